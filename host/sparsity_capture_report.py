# SPDX-License-Identifier: Apache-2.0
"""What `sparsebd sparsity capture` shows of a recording: figures, tables and the plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel
from rich.console import Console

from host.consoles import plain_table
from host.errors import UsageError
from host.plots import new_figure
from sparsity.recording.moments import Statistics
from sparsity.recording.powerinfer import hottest
from sparsity.recording.published import SparsityTable
from sparsity.recording.reading import Recording

if TYPE_CHECKING:
    from matplotlib.figure import Figure

QUANTILES = (0.5, 0.7, 0.9)
"""Sparsities whose thresholds are shown."""
HOT = 0.1
"""Share of the neurons whose share of the activity is shown."""


class LayerFigures(BaseModel):
    """One layer; None where the recording does not say."""

    layer: int
    neurons: int | None
    threshold: float | None
    """Of the masks."""
    statistics: Statistics | None
    zeros: float | None
    """Share of values that are exactly zero, or smaller than float32's normal numbers."""
    thresholds: dict[str, float] | None
    """By sparsity: the magnitude that such a share of the values is below."""
    hottest: float | None
    """Share of the activity that the hottest tenth of the neurons has."""
    never_active: int | None
    """Neurons."""


class Figures(BaseModel):
    """A recording."""

    model: str
    tokens: int | None
    source: dict[str, Any]
    layers: list[LayerFigures]


class Tables(BaseModel):
    """Published sparsities: by what they are of, shares by layer."""

    name: str
    sparsities: dict[str, list[float]]

    @classmethod
    def of(cls, name: str, tables: list[SparsityTable]) -> Tables:
        """Take tables that were read."""
        return cls(name=name, sparsities={each.what: list(each.by_layer) for each in tables})


def describe(recording: Recording) -> Figures:
    """Find a recording's figures; errors are those of `Recording`."""
    return Figures(
        model=recording.about.model,
        tokens=recording.about.tokens,
        source=recording.about.source,
        layers=[_layer(recording, layer) for layer in recording.layers],
    )


def _layer(recording: Recording, layer: int) -> LayerFigures:
    about = recording.layer(layer)
    figures = LayerFigures(
        layer=layer,
        neurons=about.neurons,
        threshold=about.threshold,
        statistics=about.statistics,
        zeros=None,
        thresholds=None,
        hottest=None,
        never_active=None,
    )
    if about.has_histogram:
        histogram = recording.histogram(layer)
        figures.zeros = float(histogram.counts[0] / max(histogram.total, 1))
        figures.thresholds = {f"{each:g}": histogram.threshold(each) for each in QUANTILES}
    if about.has_counts:
        counts = recording.counts(layer)
        figures.hottest = hottest(counts, [HOT])[0]
        figures.never_active = int(np.count_nonzero(counts == 0))
    return figures


def show(found: Figures | Tables, console: Console) -> None:
    """Print it for people."""
    if isinstance(found, Tables):
        _show_tables(found, console)
        return
    tokens = "tokens unknown" if found.tokens is None else f"{found.tokens} tokens"
    said = ", ".join(f"{key}: {value}" for key, value in found.source.items())
    console.print(f"{found.model}, {tokens}; {said}", highlight=False)
    quantiles = [f"|a| {each:.0%}" for each in QUANTILES]
    head = "layer", "neurons", "sparsity", "least to most", *quantiles, "largest", "kurtosis"
    table = plain_table(*head, "mask from", f"hottest {HOT:.0%}", "never active")
    for layer in found.layers:
        table.add_row(*_cells(layer))
    console.print(table)


def _cells(layer: LayerFigures) -> list[str]:
    seen, limits = layer.statistics, layer.thresholds or {}
    spread = seen and f"{seen.sparsity_least:.3f} to {seen.sparsity_most:.3f}"
    return [
        str(layer.layer),
        _text(layer.neurons),
        _text(seen and seen.sparsity, ".4f"),
        spread or "",
        *(_text(limits.get(f"{each:g}"), ".4g") for each in QUANTILES),
        _text(seen and seen.largest_magnitude, ".4g"),
        _text(seen and seen.kurtosis, ".1f"),
        "not 0" if seen and layer.threshold is None else _text(layer.threshold, ".4g"),
        _text(layer.hottest, ".1%"),
        _text(layer.never_active),
    ]


def _text(value: float | None, form: str = "") -> str:
    return "" if value is None else format(value, form)


def _show_tables(found: Tables, console: Console) -> None:
    table = plain_table("layer", *found.sparsities)
    layers = max(map(len, found.sparsities.values()))
    for layer in range(layers):
        shares = [each[layer] if layer < len(each) else None for each in found.sparsities.values()]
        table.add_row(str(layer), *(_text(share, ".4f") for share in shares))
    means = [sum(each) / len(each) for each in found.sparsities.values()]
    table.add_row("mean", *(_text(mean, ".4f") for mean in means))
    console.print(f"{found.name}: sparsity by layer", highlight=False)
    console.print(table)


def draw(recording: Recording) -> Figure:
    """Draw the share of values below each magnitude, and sparsity by layer.

    Raises:
        UsageError: the recording has no histogram.
    """
    from matplotlib import colormaps

    drawn = [layer for layer in recording.layers if recording.layer(layer).has_histogram]
    if not drawn:
        raise UsageError("there is no histogram to draw in this recording: leave out --plot")
    figure = new_figure(11, 4)
    left, right = figure.subplots(1, 2)
    colours = colormaps["viridis"]
    middles = (np.arange(1 << 15, dtype=np.uint32) << 16 | 0x8000).view(np.float32)
    for place, layer in enumerate(drawn):
        counts = recording.histogram(layer).counts
        there = np.flatnonzero(counts[1:]) + 1
        shares = np.cumsum(counts)[there] / max(counts.sum(), 1)
        left.plot(middles[there], shares, color=colours(place / max(len(drawn) - 1, 1)), lw=0.8)
    left.set(xscale="log", xlabel="magnitude", ylabel="share of values not above it", ylim=(0, 1))
    left.set_title(f"{recording.about.model}, layers {drawn[0]} (dark) to {drawn[-1]} (light)")
    seen = [(layer, recording.layer(layer).statistics) for layer in drawn]
    known = [(layer, each) for layer, each in seen if each is not None]
    if known:
        numbers = [layer for layer, _ in known]
        right.plot(numbers, [each.sparsity for _, each in known], marker=".")
        lows, highs = zip(*((s.sparsity_least, s.sparsity_most) for _, s in known), strict=True)
        right.fill_between(numbers, lows, highs, alpha=0.2)
        right.set(xlabel="layer", ylabel="sparsity of the masks", title="mean, and single tokens")
        right.xaxis.get_major_locator().set_params(integer=True)
    else:
        right.set_axis_off()
    return figure
