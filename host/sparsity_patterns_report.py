# SPDX-License-Identifier: Apache-2.0
"""Figures of `sparsebd sparsity patterns`, their tables and their plot."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel
from rich.console import Console

from host.consoles import plain_table
from host.plots import new_figure
from sparsity.patterns import Mask, batch_sparsity, consecutive, last_token, union_sparsity
from sparsity.similar import SimilarInputs

if TYPE_CHECKING:
    from matplotlib.figure import Figure

WINDOWS = (1, 2, 4, 8, 16)
"""Tokens that are decoded at once."""
HISTORIES = (1, 2, 4)
"""Tokens whose rows are prefetched for the next."""
DISTANCES = (1, 2, 8)
"""Tokens between two patterns that are compared."""


class Match(BaseModel):
    """Patterns some tokens apart."""

    distance: int
    match: float
    chance: float
    kappa: float
    overlap: float
    recall: float


class Union(BaseModel):
    """What is left to skip for several tokens at once."""

    tokens: int
    neighbours: float
    """Sparsity of the union over neighbouring tokens."""
    strangers: float
    """Of a batch of tokens from anywhere."""
    independent: float
    """If tokens had nothing to do with each other: the sparsity to that power."""


class Ahead(BaseModel):
    """Prefetching the rows of the last tokens."""

    history: int
    loaded: float
    missed: float
    useless: float


class LayerPatterns(BaseModel):
    """One layer's figures."""

    layer: int
    tokens: int
    neurons: int
    sparsity: float
    matches: list[Match]
    unions: list[Union]
    prefetch: list[Ahead]


class Report(BaseModel):
    """Everything that one run found."""

    model: str
    threshold_sparsity: float | None
    """Share of magnitudes below each layer's threshold; None where zeros are the model's own."""
    layers: list[LayerPatterns]
    similar: SimilarInputs | None = None


def figures(layer: int, texts: Sequence[Mask]) -> LayerPatterns:
    """All figures of one layer, from the masks of every text, as far as texts are long enough."""
    longest = max(map(len, texts))
    every = np.concatenate(texts)
    tokens, neurons = every.shape
    sparsity = float(1 - every.mean())
    return LayerPatterns(
        layer=layer,
        tokens=tokens,
        neurons=neurons,
        sparsity=sparsity,
        matches=[_match(texts, distance) for distance in DISTANCES if distance < longest],
        unions=[
            Union(
                tokens=window,
                neighbours=union_sparsity(texts, window),
                strangers=batch_sparsity(texts, window),
                independent=sparsity**window,
            )
            for window in WINDOWS
            if window <= longest
        ],
        prefetch=[_ahead(texts, history) for history in HISTORIES if history < longest],
    )


def _match(texts: Sequence[Mask], distance: int) -> Match:
    found = consecutive(texts, distance)
    return Match(
        distance=distance,
        match=found.match,
        chance=found.chance,
        kappa=found.kappa,
        overlap=found.overlap,
        recall=found.recall,
    )


def _ahead(texts: Sequence[Mask], history: int) -> Ahead:
    found = last_token(texts, history)
    return Ahead(history=history, loaded=found.loaded, missed=found.missed, useless=found.useless)


def show(found: Report, console: Console) -> None:
    """Print the tables for people."""
    for each in found.layers:
        console.print(
            f"layer {each.layer}: {each.tokens} tokens, {each.neurons} neurons, "
            f"{100 * each.sparsity:.1f} % sparse",
            highlight=False,
        )
        _print(
            console,
            ("tokens apart", "match", "chance", "kappa", "overlap", "recall"),
            [
                (str(m.distance), *map(_share, (m.match, m.chance, m.kappa, m.overlap, m.recall)))
                for m in each.matches
            ],
        )
        _print(
            console,
            ("tokens at once", "sparse, neighbours", "strangers", "if independent"),
            [
                (str(u.tokens), *map(_share, (u.neighbours, u.strangers, u.independent)))
                for u in each.unions
            ],
        )
        _print(
            console,
            ("prefetched: last", "loads", "misses of wanted", "loads in vain"),
            [
                (str(a.history), *map(_share, (a.loaded, a.missed, a.useless)))
                for a in each.prefetch
            ],
        )


def show_similar(found: SimilarInputs, console: Console) -> None:
    """Print the seed's table of similar inputs, and the means of what it should have shown."""
    console.print(
        "match at the first token of inputs and variants that are so similar: the seed's table",
        highlight=False,
    )
    titles = [f"{similarity:.0%}" for similarity in found.similarities]
    _print(
        console,
        ("sample", *titles),
        [(str(n + 1), *map(_share, row.first)) for n, row in enumerate(found.rows)],
    )
    console.print("the same inputs, mean over samples", highlight=False)
    means = {
        "first token": [row.first for row in found.rows],
        "last token": [row.last for row in found.rows],
        "aligned tokens": [row.aligned for row in found.rows],
        "kappa, aligned": [row.kappa for row in found.rows],
    }
    others = ("", "", _share(found.unrelated), _share(found.unrelated_kappa))
    _print(
        console,
        ("", *titles, "unrelated"),
        [
            (name, *map(_share, np.mean(values, axis=0)), other)
            for (name, values), other in zip(means.items(), others, strict=True)
        ],
    )


def _print(console: Console, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = plain_table(*head)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def draw(layers: list[LayerPatterns]) -> Figure:
    """Draw what is left to skip against tokens at once, per layer, beside chance."""
    figure = new_figure(7, 4)
    axes: Any = figure.subplots()
    for each in layers:
        at = [union.tokens for union in each.unions]
        for name, style in (("neighbours", "-o"), ("strangers", "--s"), ("independent", ":")):
            shares = [100 * getattr(union, name) for union in each.unions]
            axes.plot(
                at, shares, style, color=f"C{each.layer}", label=f"layer {each.layer}, {name}"
            )
    axes.set_xscale("log", base=2)
    axes.set_xlabel("tokens decoded at once")
    axes.set_ylabel("rows that none of them wants (%)")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7)
    return figure
