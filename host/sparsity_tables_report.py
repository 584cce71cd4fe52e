# SPDX-License-Identifier: Apache-2.0
"""The seeds' figures as tables for people, as JSON, and as a plot."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from textwrap import shorten
from typing import TYPE_CHECKING

import pydantic
from rich.console import Console
from rich.table import Table
from rich.text import Text

from host.consoles import plain_table
from host.plots import new_figure
from sparsity.tables.catalogue import SEEDS, totals
from sparsity.tables.figure import SeedFigure, Verdict

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {
    Verdict.SAME: "green",
    Verdict.DIFFERS: "yellow",
    Verdict.CLOSEST: "cyan",
    Verdict.BESIDE: "default",
    Verdict.MISSING: "red",
}
_PLOT_COLOURS = {Verdict.SAME: "C2", Verdict.DIFFERS: "C1", Verdict.CLOSEST: "C0"}
_MOST_OF_AXIS = 20.0


class Report(pydantic.BaseModel):
    """The whole command."""

    same: int
    differ: int
    not_reproducible_here: int
    """With the closest thing, where there is one."""
    beside: int
    """Worked out from what the seeds state, which they do not state themselves."""
    not_measured_yet: int
    figures: list[SeedFigure]


def report(found: Sequence[SeedFigure]) -> Report:
    """Count and collect."""
    counts = totals(found)
    return Report(
        same=counts[Verdict.SAME],
        differ=counts[Verdict.DIFFERS],
        not_reproducible_here=counts[Verdict.CLOSEST],
        beside=counts[Verdict.BESIDE],
        not_measured_yet=counts[Verdict.MISSING],
        figures=list(found),
    )


def show(made: Report, console: Console) -> None:
    """Print a table for each part of each seed, and the summary."""
    for (seed, name), part in groupby(made.figures, key=lambda each: (each.seed, each.table)):
        console.print(f"\nSeed {seed}, {name}", style="bold", highlight=False)
        console.print(_table(list(part)), highlight=False)
    shown = sorted({each.seed for each in made.figures})
    console.print("", *(f"Seed {number}: {SEEDS[number]}" for number in shown), sep="\n")
    console.print(summary(made), style="bold", highlight=False)


def summary(made: Report) -> str:
    """One sentence for all of it."""
    return (
        f"{len(made.figures)} figures: {made.same} same, {made.differ} differ, "
        f"{made.not_reproducible_here} not reproducible here, {made.beside} worked out beside, "
        f"{made.not_measured_yet} not measured yet"
    )


def _table(part: Sequence[SeedFigure]) -> Table:
    table = plain_table()
    table.add_column("what", ratio=5)
    table.add_column("seed", ratio=2)
    table.add_column("ours", ratio=2)
    table.add_column("")
    table.add_column("", ratio=6)
    for each in part:
        colour = _COLOURS[each.verdict]
        table.add_row(
            each.what,
            each.printed,
            "-" if each.ours is None else f"{value(each.ours)} {each.unit}".strip(),
            Text(each.verdict, colour),
            each.sentence,
        )
    return table


def value(ours: int | float | str) -> str:
    """Write a value with as many digits as are worth reading."""
    if isinstance(ours, str):
        return ours
    if ours == round(ours) and abs(ours) < 1e12:
        return f"{ours:,.0f}"
    return f"{ours:,.1f}" if abs(ours) >= 10_000 else f"{ours:.5g}"


def draw(found: Sequence[SeedFigure]) -> Figure:
    """Draw ours over the seed's, one point for each pair of numbers."""
    from matplotlib.ticker import LogLocator

    points = [each for each in found if each.ratio is not None and each.ratio > 0]
    figure = new_figure(10, 2 + 0.16 * len(points))
    axes = figure.add_subplot()
    for place, each in enumerate(points):
        ratio = min(max(each.ratio or 1.0, 1 / _MOST_OF_AXIS), _MOST_OF_AXIS)
        axes.plot(ratio, place, "o", color=_PLOT_COLOURS[each.verdict], markersize=4)
    axes.axvline(1, color="grey", linewidth=0.8)
    labels = [shorten(f"{each.seed}: {each.table}, {each.what}", 90) for each in points]
    axes.set_yticks(range(len(points)), labels, fontsize=5)
    xlabel = f"ours / the seed's; what is further off stands at {_MOST_OF_AXIS:g} times"
    axes.set(xscale="log", xlabel=xlabel, ylim=(len(points), -1))
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    for verdict, colour in _PLOT_COLOURS.items():
        axes.plot([], [], "o", color=colour, label=str(verdict))
    axes.legend(loc="upper left")
    return figure
