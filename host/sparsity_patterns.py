# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity patterns`: how far one token's wanted rows foretell the next one's.

The seed's table gives the share of neurons on which two patterns agree; here it stands beside what
chance gives, with the union over speculative windows and batches, and what prefetching the last
token's rows would load and miss. Figures are of `sparsity.patterns`.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from host.errors import UsageError
from host.outputs import check_writable, write_whole
from sparsity.capture import load_use_lite
from sparsity.npy import parse_only_array
from sparsity.patterns import batch_sparsity, consecutive, last_token, union_sparsity

WINDOWS = (1, 2, 4, 8, 16)
"""Tokens that are decoded at once."""
HISTORIES = (1, 2, 4)
"""Tokens whose rows are prefetched for the next."""
DISTANCES = (1, 2, 8)
"""Tokens between two patterns that are compared."""
SHIPPED = "use-lite"


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


def patterns(
    masks: Annotated[
        Path | None,
        typer.Option(help="recorded masks or activations of one layer as .npy, tokens x neurons"),
    ] = None,
    model: Annotated[str, typer.Option(help="use-lite: its recorded activations")] = SHIPPED,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="where the plot (PNG) goes")
    ] = None,
) -> None:
    """How far one token's wanted rows foretell the next one's, beside chance."""
    check_writable(*(path for path in (json_file, plot_file) if path is not None))
    layers = [figures(number, mask) for number, mask in enumerate(_masks(masks, model))]
    files: dict[Path, bytes] = {}
    if json_file is not None:
        data = json.dumps([each.model_dump() for each in layers], indent=1) + "\n"
        files[json_file] = data.encode()
    if plot_file is not None:
        files[plot_file] = plot(layers)
    write_whole(files)
    show(layers, Console())


def _masks(file: Path | None, model: str) -> list[NDArray[np.bool_]]:
    """Masks by layer, [tokens, neurons]."""
    if file is None:
        if model != SHIPPED:
            raise UsageError(f"no patterns of {model!r} are shipped: give {SHIPPED}, or --masks")
        return [activations != 0 for activations in load_use_lite().activations]
    array = parse_only_array(file.read_bytes())
    if array.ndim != 2 or not array.size:
        raise UsageError(f"{file} has shape {array.shape}: save tokens x neurons")
    return [np.asarray(array != 0)]


def figures(layer: int, masks: NDArray[np.bool_]) -> LayerPatterns:
    """All figures of one layer, for as many tokens as there are."""
    tokens, neurons = masks.shape
    sparsity = float(1 - masks.mean())
    return LayerPatterns(
        layer=layer,
        tokens=tokens,
        neurons=neurons,
        sparsity=sparsity,
        matches=[_match(masks, distance) for distance in DISTANCES if distance < tokens],
        unions=[
            Union(
                tokens=window,
                neighbours=union_sparsity(masks, window),
                strangers=batch_sparsity(masks, window),
                independent=sparsity**window,
            )
            for window in WINDOWS
            if window <= tokens
        ],
        prefetch=[_ahead(masks, history) for history in HISTORIES if history < tokens],
    )


def _match(masks: NDArray[np.bool_], distance: int) -> Match:
    found = consecutive(masks, distance)
    return Match(
        distance=distance,
        match=found.match,
        chance=found.chance,
        kappa=found.kappa,
        overlap=found.overlap,
        recall=found.recall,
    )


def _ahead(masks: NDArray[np.bool_], history: int) -> Ahead:
    found = last_token(masks, history)
    return Ahead(history=history, loaded=found.loaded, missed=found.missed, useless=found.useless)


def show(layers: list[LayerPatterns], console: Console) -> None:
    """Print the tables for people."""
    for each in layers:
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


def _print(console: Console, head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    table = Table(*head, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*row)
    console.print(table)
    console.print()


def _share(value: float) -> str:
    return f"{100 * value:.1f} %"


def plot(layers: list[LayerPatterns]) -> bytes:
    """PNG: what is left to skip against tokens at once, per layer, beside chance."""
    figure = Figure(figsize=(7, 4), layout="tight")
    FigureCanvasAgg(figure)
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
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
