# SPDX-License-Identifier: Apache-2.0
"""Results for people and programs: a table, a plot, a JSON file, each written whole or not."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure
from pydantic import BaseModel
from rich.console import Console
from rich.table import Table

from host.cases import PHASES, Case
from host.errors import UsageError

COLOURS = dict(zip(PHASES, ("#666666", "#d1495b", "#edae49", "#00798c", "#30638e"), strict=True))
"""One colour per phase in every plot."""


class Report(BaseModel):
    """What `sparsebd run` found out."""

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


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that it is there whole or not at all.

    Raises:
        UsageError: the folder does not exist or cannot be written.
    """
    try:
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except OSError as error:
        os.unlink(name)
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _number(value: float | None, form: str = ".2f") -> str:
    return "-" if value is None else format(value, form)


def table(report: Report) -> Table:
    """The cases as a table that a person can read."""
    out = Table(
        title=(
            f"{report.model}: {report.rows} rows of {report.row_bytes} bytes on a simulated "
            f"{report.device} ({report.columns} columns, {report.clock_mhz:g} MHz)"
        ),
        caption=(
            f"us: profile {report.profile}; in brackets the band of what nobody has measured. "
            f"A dispatch adds about {report.dispatch_base_us:.0f} us before its first op."
        ),
    )
    for name, justify in (
        ("phase", "left"),
        ("mask", "left"),
        ("sparse %", "right"),
        ("rows", "right"),
        ("KiB", "right"),
        ("BDs", "right"),
        ("pushes", "right"),
        ("insts B", "right"),
        ("us [low, high]", "right"),
        ("x bound", "right"),
        ("vs dense", "right"),
        ("vs row-wise", "right"),
        ("data", "left"),
    ):
        out.add_column(name, justify=justify)  # pyright: ignore[reportArgumentType]
    for case in report.cases:
        out.add_row(
            case.phase,
            case.pattern,
            f"{100 * case.sparsity:.1f}",
            f"{case.rows_moved}",
            f"{case.bytes_moved / 1024:.0f}",
            f"{case.bds}",
            f"{case.pushes}",
            f"{case.instruction_bytes}",
            f"{case.us:.1f} [{case.us_low:.1f}, {case.us_high:.1f}]",
            _number(case.bound_ratio),
            _number(case.speedup_vs_dense),
            _number(case.speedup_vs_rowwise),
            "ok" if case.data_ok else "[red]WRONG[/red]",
        )
    return out


def _ordered(cases: list[Case], phase: str) -> list[Case]:
    return sorted((case for case in cases if case.phase == phase), key=lambda case: case.sparsity)


def plot(report: Report) -> bytes:
    """PNG: time against sparsity, one line and band per phase, the bound dashed."""
    mpl.use("Agg")
    figure = Figure(figsize=(8, 5), dpi=120, layout="constrained")
    axes = figure.subplots()
    cases = report.sweep or report.cases
    for phase in PHASES:
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
    axes.set_yscale("log")
    axes.set_xlabel("sparsity (% of rows not wanted)")
    axes.set_ylabel(f"time (us at {report.clock_mhz:g} MHz)")
    stars = "; stars: the real token" if report.sweep else ""
    axes.set_title(
        f"{report.model}, {report.rows} x {report.row_bytes} B, simulated {report.device}{stars}\n"
        "lines: central profile, bands: what nobody has measured",
        fontsize=10,
    )
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def show(report: Report, console: Console) -> None:
    """Print the table, and what a reader must know to read it."""
    console.print(table(report))
    phase1 = [case for case in report.cases if case.us_skip_walked is not None]
    for case in phase1:
        console.print(
            f"phase1 has two readings: skipped BDs still written and patched "
            f"{case.us_skip_written:.1f} us, only walked over {case.us_skip_walked:.1f} us."
        )
    errors = [case.product_error for case in report.cases if case.product_error is not None]
    if errors:
        console.print(
            f"product of the gathered rows with the activations against the dense product: "
            f"relative error at most {max(errors):.1e}"
        )
