# SPDX-License-Identifier: Apache-2.0
"""Results for people and programs: a table, a plot, and what goes into the JSON file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import BaseModel
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from host.cases import AUTO, PHASES
from host.measure import Case
from host.plots import new_figure
from sparsity.masks import PATTERNS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = dict(
    zip(
        (*PHASES, AUTO),
        ("#666666", "#d1495b", "#edae49", "#00798c", "#30638e", "#8f4899"),
        strict=True,
    )
)
"""One colour per phase in every plot."""


class Report(BaseModel):
    """What `sparsebd run` found out."""

    backend: str = "sim"
    """"sim", or "xrt" where an NPU was timed."""
    device: str
    clock_mhz: float
    model: str
    rows: int
    row_bytes: int
    columns: int
    profile: str
    dispatch_base_us: float
    """Time of a dispatch before its first op; in no case's time."""
    cases: list[Case]
    sweep: list[Case] = []
    """Random masks over the same matrix: what the plot shows."""


def table(report: Report) -> Table:
    """The cases as a table that a person can read in 80 columns."""
    out = Table(title=_title(report), box=box.SIMPLE_HEAD)
    out.show_edge, out.pad_edge, out.collapse_padding = False, False, True
    out.add_column("mode")
    for name in ("rows", "BDs", "pushes", "us", "low", "high", "bound", "dense", "by row"):
        out.add_column(name, justify="right")
    out.add_column("data")
    for case in report.cases:
        out.add_row(
            case.phase,
            f"{case.rows_moved}",
            f"{case.bds}",
            f"{case.pushes}",
            _us(case.us),
            _us(case.us_low),
            _us(case.us_high),
            _times(case.bound_ratio),
            _times(case.speedup_vs_dense),
            _times(case.speedup_vs_rowwise),
            "ok" if case.data_ok else "[red]WRONG[/red]",
        )
    return out


def _title(report: Report) -> str:
    first = report.cases[0] if report.cases else None
    mask = f"; {first.pattern} mask, {100 * first.sparsity:.1f} % sparse" if first else ""
    return escape(
        f"{report.model}, {report.rows} rows of {report.row_bytes} B{mask}\n"
        f"{_where(report)}, {report.columns} columns at {report.clock_mhz:g} MHz"
    )


def _where(report: Report) -> str:
    return f"simulated {report.device}" if report.backend == "sim" else f"{report.device}, measured"


def _legend(report: Report) -> str:
    if report.backend != "sim":
        return (
            "us: median from submission to the noticed end, a dispatch included; low: the least; "
            "high: the 99th percentile.\n"
            "bound: times the least time that the wanted bytes need, by the timing model.\n"
            "dense, by row: speed-up over moving all rows, one BD a column or one a row."
        )
    return (
        f"us: {_profile(report)} profile; low and high: the band of what nobody has measured.\n"
        "bound: times the least time that the wanted bytes need.\n"
        "dense, by row: speed-up over moving all rows, one BD a column or one a row.\n"
        f"A dispatch adds about {report.dispatch_base_us:.0f} us before its first op."
    )


def _profile(report: Report) -> str:
    """The profile that `us` is of."""
    return "central" if report.profile == "band" else report.profile


def _us(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _times(value: float | None) -> str:
    if value is None:
        return "-"
    digits = 2 if value < 10 else 1 if value < 100 else 0
    return f"{value:.{digits}f}x"


def _ordered(cases: list[Case], phase: str) -> list[Case]:
    return sorted((case for case in cases if case.phase == phase), key=lambda case: case.sparsity)


def draw(report: Report) -> Figure:
    """Draw time against sparsity, one line and band per phase, the bound dashed."""
    figure = new_figure(8, 5)
    axes = figure.subplots()
    cases = report.sweep or report.cases
    for phase in COLOURS:
        points = _ordered(cases, phase)
        if not points:
            continue
        at = [100 * case.sparsity for case in points]
        colour = COLOURS[phase]
        axes.plot(at, [case.us for case in points], "o-", ms=3, color=colour, label=phase)
        low, high = [case.us_low for case in points], [case.us_high for case in points]
        axes.fill_between(at, low, high, color=colour, alpha=0.12, linewidth=0)
    bounded = _ordered(cases, cases[0].phase) if cases else []
    at = [100 * case.sparsity for case in bounded]
    axes.plot(
        at, [case.bound_us for case in bounded], "k--", lw=1, label="bound of the wanted bytes"
    )
    for case in report.cases if report.sweep else ():
        axes.plot(100 * case.sparsity, case.us, "*", ms=11, color=COLOURS[case.phase])
    if any(case.us_high > 0 or case.bound_us > 0 for case in cases):
        axes.set_yscale("log")
    axes.set_xlabel("sparsity (% of rows not wanted)")
    axes.set_ylabel(f"time (us at {report.clock_mhz:g} MHz)")
    axes.set_title(_headline(report), fontsize=10, parse_math=False)
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    return figure


def _headline(report: Report) -> str:
    lines = "lines: random masks, " if report.sweep else ""
    stars = f"; stars: {_asked_for(report.cases[0])}" if report.sweep and report.cases else ""
    return (
        f"{report.model}, {report.rows} x {report.row_bytes} B, {_where(report)}{stars}\n{lines}"
        + (
            f"{_profile(report)} profile; bands: what nobody has measured"
            if report.backend == "sim"
            else "medians; bands: least to 99th percentile"
        )
    )


def _asked_for(case: Case) -> str:
    """The mask of a run in words that every font has, whatever its file is called."""
    if case.pattern == "model":
        return "the real token"
    return f"the {case.pattern} mask" if case.pattern in PATTERNS else "the mask from a file"


def show(report: Report, console: Console) -> None:
    """Print the table, and what a reader must know to read it."""
    console.print(table(report))
    console.print(_legend(report), highlight=False, soft_wrap=True)
    phase1 = [case for case in report.cases if case.us_skip_walked is not None]
    for case in phase1:
        console.print(
            f"phase1 has two readings: skipped BDs still written and patched "
            f"{case.us_skip_written:.1f} us, only walked over {case.us_skip_walked:.1f} us."
        )
    for case in report.cases:
        if case.way is not None:
            console.print(f"auto took: {case.way}.", highlight=False)
    errors = [case.product_error for case in report.cases if case.product_error is not None]
    if errors:
        console.print(
            f"product of the gathered rows with the activations against the dense product: "
            f"relative error at most {max(errors):.1e}"
        )
