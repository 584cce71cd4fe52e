# SPDX-License-Identifier: Apache-2.0
"""What `sparsebd sparsity predict` found: its figures, its tables and its plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pydantic
from rich.console import Console
from rich.table import Table

from host.consoles import plain_table
from host.plots import new_figure
from sparsity.errors import SparsityError
from sparsity.predictor import theory
from sparsity.predictor.alpha import rescale, scaled, sigmas
from sparsity.predictor.compare import Point, compare, sign_name
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.predict import scores
from sparsity.predictor.quality import judge
from sparsity.predictor.signs import pack_signs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PAPER_WIDTH = 5120
"""Width at which the paper gives its alphas, ProSparse-Llama2-13B's."""


class Judged(pydantic.BaseModel):
    """A predictor at one setting; shares as in `sparsity.predictor.quality.Quality`."""

    predictor: str
    alpha: float | None
    """Of a sign predictor."""
    missed_target: float | None
    """Share of active neurons that calibration was allowed to miss; none where alpha was given."""
    read_bytes: int | None = None
    """What the predictor reads per token."""
    sparsity: float
    skipped: float
    precision: float
    recall: float
    missed: float
    output_error: float | None


class At(Judged):
    """The sign predictor at an alpha that was given, over all tokens."""

    sigmas: float
    """How strict alpha is at this width."""
    alpha_at_paper_width: float | None
    """The alpha that is as strict at `PAPER_WIDTH`; None where no alpha is."""


class LayerReport(pydantic.BaseModel):
    """One layer."""

    layer: str
    tokens: int
    width: int
    neurons: int
    norm_ratio: float
    """|x|_1 / (sqrt(d) |x|_2); 0.798 for Gaussian inputs, lower where signs tell less."""
    at: list[At]
    calibrated: list[Judged]
    """Judged on the last quarter of the tokens."""


class Report(pydantic.BaseModel):
    """The whole command."""

    model: str
    layers: list[LayerReport]


def judge_layer(
    layer: FfnLayer,
    alphas: Sequence[float],
    bits: int,
    missed: Sequence[float],
    ranks: Sequence[int],
) -> LayerReport:
    """Find a layer's figures; errors are those of `sparsity.predictor`."""
    for alpha in alphas:
        scaled(alpha)  # refuses what is none
    k, d = layer.first.shape
    found = scores(pack_signs(layer.first), layer.x, bits)
    activations = layer.activations()
    at = []
    for alpha in alphas:
        quality = judge(found < (1 - alpha) / (1 + alpha), activations, layer.down)
        strictness = sigmas(alpha, d)
        at.append(
            At(
                predictor=sign_name(bits),
                alpha=alpha,
                missed_target=None,
                sigmas=strictness,
                alpha_at_paper_width=_at_paper_width(alpha, d),
                **_figures(quality),
            )
        )
    return LayerReport(
        layer=layer.name,
        tokens=len(layer.x),
        width=d,
        neurons=k,
        norm_ratio=theory.norm_ratio(layer.x),
        at=at,
        calibrated=[_judged(point) for point in compare(layer, ranks, missed)],
    )


def _at_paper_width(alpha: float, width: int) -> float | None:
    try:
        return rescale(alpha, width, PAPER_WIDTH)
    except SparsityError:
        return None


def _judged(point: Point) -> Judged:
    return Judged(
        predictor=point.predictor,
        alpha=point.alpha,
        missed_target=point.missed_target,
        read_bytes=point.read_bytes,
        **_figures(point.quality),
    )


def _figures(quality: Any) -> dict[str, Any]:
    names = "sparsity", "skipped", "precision", "recall", "missed", "output_error"
    return {name: getattr(quality, name) for name in names}


def show(report: Report, console: Console) -> None:
    """Print the tables."""
    for layer in report.layers:
        console.print(
            f"\n{layer.layer}: {layer.neurons} neurons of {layer.width} weights, "
            f"{layer.tokens} tokens, {layer.at[0].sparsity:.1%} zero; norm ratio of the input "
            f"{layer.norm_ratio:.3f} (Gaussian: {theory.GAUSSIAN_NORM_RATIO:.3f})"
        )
        console.print(_table("alpha", layer.at))
        console.print()
        console.print(_table("asked to miss", layer.calibrated))


def _table(first: str, rows: Sequence[Judged]) -> Table:
    names = "predictor", first, "skipped", "precision", "recall", "missed", "output error"
    names += () if first == "alpha" else ("alpha", "bytes read")
    table = plain_table(*names)
    for row in rows:
        asked = f"{row.alpha:.4g}" if row.missed_target is None else f"{row.missed_target:.0%}"
        shares = (row.skipped, row.precision, row.recall, row.missed, row.output_error or 0.0)
        cells = [row.predictor, asked, *(f"{share:.3f}" for share in shares)]
        if row.missed_target is not None:
            cells += ["" if row.alpha is None else f"{row.alpha:.4f}", f"{row.read_bytes:,}"]
        table.add_row(*cells)
    return table


def draw(curves: Mapping[str, Sequence[Point]]) -> Figure:
    """Draw, per layer, the share of rows skipped against the share of active neurons missed."""
    from matplotlib import colormaps

    figure = new_figure(4.5 * len(curves) + 2, 4.5)
    lines = {}
    for place, (name, points) in enumerate(curves.items()):
        axes = figure.add_subplot(1, len(curves), place + 1)
        for number, predictor in enumerate(dict.fromkeys(point.predictor for point in points)):
            own = [point.quality for point in points if point.predictor == predictor]
            missed, skipped = [each.missed for each in own], [each.skipped for each in own]
            colour = colormaps["tab20"](number)
            (lines[predictor],) = axes.plot(missed, skipped, marker=".", color=colour)
        axes.set(xscale="log", xlabel="active neurons missed", title=name, ylim=(0, 1))
        axes.set_ylabel("rows skipped")
    figure.legend(lines.values(), lines.keys(), loc="outside right center", fontsize="small")
    return figure
