# SPDX-License-Identifier: Apache-2.0
"""A token's times for people: tables and the plot of `sparsebd run --ffn`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from host.consoles import plain_table
from host.plots import new_figure
from host.token.report import SourceTime, TokenTime, shown_profile
from host.token.sources import FEW_BITS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 150
"""Width of the tables, with what each source costs."""


def show(found: TokenTime, console: Console) -> None:
    """Print the tables for people."""
    place = shown_profile(found.profiles)
    whole = found.layers > 1
    what = f"a token through {found.layers} FFNs" if whole else "one FFN of a token"
    console.print(
        f"{found.model}, {what} of {found.k} neurons, rows of {found.row_bytes} bytes, on "
        f"{found.device} with {found.columns} columns: {found.origin}",
        highlight=False,
    )
    console.print(_times(found, place))
    console.print(_matrices(found, place))
    console.print(_steps(found))
    if found.early:
        console.print(_early(found))
    console.print(
        "us: gathers and submissions (simulated), plans and predictions (measured on this "
        "machine), one after the other; attention and arithmetic are not in it.",
        highlight=False,
    )


def _table(*titles: str) -> Table:
    table = plain_table()
    for number, title in enumerate(titles):
        table.add_column(title, justify="right" if number else "left")
    return table


def _times(found: TokenTime, place: int) -> Table:
    head = ("rows known by", "us", "low", "high", "x dense", "NPU", "submit", "plan", "predict")
    table = _table(*head)
    table.add_column("cost")
    dense = found.sources[0].us[place]
    for each in found.sources:
        table.add_row(
            each.name,
            _us(each.us[place]),
            _us(min(each.us)),
            _us(max(each.us)),
            f"{dense / each.us[place]:.2f}",
            _us(each.npu_us[place]),
            _us(each.submit_us[place]),
            _us(each.plan_us),
            _us(each.predict_us),
            each.cost or ("none" if each.exact else ""),
        )
    return table


def _matrices(found: TokenTime, place: int) -> Table:
    names = _names(found)
    table = _table("by matrix", *(f"{name} {what}" for name in names for what in _COLUMNS))
    for each in found.sources:
        table.add_row(each.name, *_cells(each, names, found, place))
    return table


def _names(found: TokenTime) -> list[str]:
    """Matrices of all sources; what is read ahead of them comes last."""
    return list(dict.fromkeys(matrix.matrix for each in found.sources for matrix in each.matrices))


_COLUMNS = ("rows", "BDs", "us")


def _cells(source: SourceTime, names: list[str], found: TokenTime, place: int) -> list[str]:
    own = {matrix.matrix: matrix for matrix in source.matrices}
    cells = []
    for name in names:
        if name not in own:
            cells += [""] * len(_COLUMNS)
            continue
        share = own[name].rows / (found.k * found.layers)
        rows = "all" if name == FEW_BITS else f"{share:.1%}"
        cells += [rows, f"{own[name].bds}", _us(own[name].us[place])]
    return cells


def _steps(found: TokenTime) -> Table:
    """When masks are known and rows arrive, in the mean layer."""
    table = _table("in a layer, us after its input", "reads", "known", "known at", "from", "to")
    for each in found.sources:
        for number, step in enumerate(each.steps):
            table.add_row(
                "" if number else each.name,
                ", ".join(step.reads),
                step.known,
                _us(step.known_us),
                _us(step.begin_us),
                _us(step.end_us),
            )
    return table


def _early(found: TokenTime) -> Table:
    table = _table(
        "what knowing early is worth, us",
        "rows of the first",
        "of the others",
        "waiting",
        "predicting",
        "in all",
    )
    for each in found.early:
        parts = (
            each.first_rows_us,
            each.other_rows_us,
            each.waiting_us,
            each.predicting_us,
        )
        table.add_row(each.predictor, *(f"{part:+,.0f}" for part in (*parts, sum(parts))))
    return table


def _us(value: float) -> str:
    return f"{value:,.0f}"


def draw(found: TokenTime) -> Figure:
    """Draw every source's time as a bar of its parts, with the band."""
    place = shown_profile(found.profiles)
    figure = new_figure(9, 1.2 + 0.45 * len(found.sources))
    axes = figure.add_subplot()
    names = [each.name for each in found.sources]
    left = [0.0] * len(names)
    bars = {
        name: [
            sum(matrix.us[place] for matrix in each.matrices if matrix.matrix == name)
            for each in found.sources
        ]
        for name in _names(found)
    }
    bars["submit"] = [each.submit_us[place] for each in found.sources]
    bars["plan and predict"] = [each.plan_us + each.predict_us for each in found.sources]
    for name, values in bars.items():
        axes.barh(names, [v / 1000 for v in values], left=[x / 1000 for x in left], label=name)
        left = [a + b for a, b in zip(left, values, strict=True)]
    low = [max(0.0, x - min(each.us)) / 1000 for x, each in zip(left, found.sources, strict=True)]
    high = [max(0.0, max(each.us) - x) / 1000 for x, each in zip(left, found.sources, strict=True)]
    axes.errorbar([x / 1000 for x in left], names, xerr=[low, high], fmt="none", color="black")
    axes.invert_yaxis()
    axes.set_xlabel("ms" if found.layers > 1 else "ms, one layer")
    axes.set_title(f"{found.model} on {found.device}: FFNs of a token")
    axes.legend(fontsize=8)
    return figure
