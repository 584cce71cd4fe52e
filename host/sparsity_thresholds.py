# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity thresholds`: what a model loses as more of its activations are zeroed.

Rules are fitted on one half of a text and judged on the other (`sparsity.thresholds.trade_off`);
here is what a user types, the table, the JSON and the plot.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from pydantic import TypeAdapter
from rich.console import Console

from host.consoles import for_results, plain_table, say_written, working
from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, new_figure, rendered
from sparsity.models import catalogue
from sparsity.thresholds.methods import RULES, rules
from sparsity.thresholds.rule import Rule
from sparsity.thresholds.trade_off import (
    PERPLEXITY,
    Point,
    TradeOff,
    rise_said,
    sparsity_at,
    trade_off,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SPARSITIES = (0.5,)
CURVE = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
HEADLINE = 0.01
"""Rise at which the sparsity is told: SparsingLaw's PPL-1% (arXiv 2411.02335)."""
_MARKS = "osv^D*Xp.P"


def thresholds(
    model: Annotated[str, typer.Option(help=catalogue.FORMS)] = "smollm2",
    rule: Annotated[
        list[str] | None, typer.Option(help=f"some of {', '.join(RULES)}; default: all that fit")
    ] = None,
    sparsity: Annotated[
        list[float] | None, typer.Option(help="shares of activations to zero; default: 0.5")
    ] = None,
    curve: Annotated[
        bool, typer.Option(help=f"sparsities {CURVE[0]} to {CURVE[-1]}: about a minute a rule")
    ] = False,
    fit: Annotated[
        int, typer.Option(help="tokens to fit thresholds on; piper takes half of the text")
    ] = 1536,
    judge: Annotated[
        int, typer.Option(help="tokens, others, to judge by; piper the other half")
    ] = 3072,
    text: Annotated[
        Path | None, typer.Option(help="a text file; default: Python's help topics")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="the measure against what was zeroed, as .png, .svg or .pdf")
    ] = None,
) -> None:
    """Zero small activations of a real model, by several rules, and see what the model loses."""
    check_writable(json_file, plot)
    keep_inputs((json_file, plot), model, text)
    check_plot(plot)
    if curve and sparsity:
        raise UsageError("--curve and --sparsity both say which sparsities: give one of them")
    wanted = tuple(dict.fromkeys(sparsity or (CURVE if curve else SPARSITIES)))
    asked = list(dict.fromkeys(rule or ()))
    for share in wanted:  # what is wrong with them is said before a model is opened
        rules(asked or list(RULES), share)
    with working(f"opening {model}") as say:
        opened = catalogue.open_model(model)
        windows = opened.windows(fit, judge, text)
        made = rules(asked or _fitting(opened.model.gated), wanted[0])
        found = trade_off(opened.model, windows.fit, windows.judge, made, wanted, say)
    files = {} if plot is None else {plot: rendered(draw(found), plot)}
    if json_file is not None:
        files[json_file] = TypeAdapter(TradeOff).dump_json(found, indent=1) + b"\n"
    write_whole(files)
    show(found, opened.model.gated, for_results())
    say_written(files)


def _fitting(gated: bool) -> list[str]:
    """Rules that a model can have: two look at a gate."""
    return [name for name in RULES if gated or name not in ("cats", "estimated")]


def show(found: TradeOff, gated: bool, console: Console) -> None:
    """Print the table for people."""
    console.print(
        f"{found.model}: {found.measure} {found.dense:.2f} undisturbed; rules fitted on "
        f"{found.fitted_tokens} tokens, judged by {found.judged_tokens} others",
        highlight=False,
    )
    table = plain_table()
    table.add_column("rule")
    for title in ("asked", "zeroed", "by layer", "token sd", "least"):
        table.add_column(title, justify="right")
    table.add_column(found.measure, justify="right")
    table.add_column("rise", justify="right")
    table.add_column("not read")
    for point in found.points:
        table.add_row(*_cells(point, found.measure == PERPLEXITY, gated))
    console.print(table)
    if found.measure == PERPLEXITY:
        _headline(found, console)


def _cells(point: Point, perplexity: bool, gated: bool) -> list[str]:
    zeros = point.zeros
    return [
        point.rule,
        f"{point.asked:.0%}",
        f"{zeros.sparsity:.1%}",
        f"{min(zeros.layers):.0%}-{max(zeros.layers):.0%}",
        f"{zeros.token_deviation:.2f}",
        f"{zeros.token_least:.0%}",
        f"{point.score:.2f}" if perplexity else f"{point.score:.3f}",
        rise_said(point.rise) if perplexity else "",
        _not_read(RULES[point.rule], gated),
    ]


def _not_read(rule: type[Rule], gated: bool) -> str:
    rows = rule.known.skips(gated)
    return f"{rows}; read first: {rule.ahead}" if rule.ahead else rows


def _headline(found: TradeOff, console: Console) -> None:
    """Say at which sparsity the measure has risen a little, where there are curves."""
    for name, points in by_rule(found).items():
        if len(points) < 2:
            continue
        where = sparsity_at(points, HEADLINE)
        said = f"at {where:.1%} zeroed" if where is not None else "at none of these sparsities"
        console.print(f"{name}: {found.measure} is up by {HEADLINE:.0%} {said}", highlight=False)


def by_rule(found: TradeOff) -> dict[str, list[Point]]:
    """Points of each rule, in the order of the run."""
    sorted_points: dict[str, list[Point]] = {}
    for point in found.points:
        sorted_points.setdefault(point.rule, []).append(point)
    return sorted_points


def draw(found: TradeOff) -> Figure:
    """Draw the measure against what was really zeroed, a line for each rule."""
    figure = new_figure(8, 5)
    axes = figure.add_subplot()
    for mark, (name, points) in zip(_MARKS, by_rule(found).items(), strict=False):
        line = sorted((point.zeros.sparsity, point.score) for point in points)
        axes.plot(*zip(*line, strict=True), marker=mark, label=name)
    if found.measure == PERPLEXITY:
        axes.axhline(found.dense, color="grey", linewidth=1, label="undisturbed")
        axes.set_yscale("log")
    axes.set_xlabel("share of activations zeroed")
    axes.set_ylabel(found.measure)
    axes.set_title(found.model)
    axes.grid(alpha=0.3)
    axes.legend()
    return figure
