# SPDX-License-Identifier: Apache-2.0
"""`sparsebd plan --table`: gathers of `host` over models, sparsities and machines, all simulated.

Every figure is a run of the stream itself in `firmware_sim`, its data checked byte by byte; the
planner's own forecast is in the JSON beside it. `host.plan_modes` adds the other modes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from pydantic import BaseModel

from aie2.devices import device as device_named
from bdgen.choose import choose
from bdgen.pack import Effort
from bdgen.planner import AddressingName
from bdgen.scan import scan
from bdgen.target import Matrix
from firmware_sim import PROFILES
from host.cases import ADDRESSINGS, AUTO, Setup, prepare, take
from host.errors import UsageError
from host.gathers import Run, plan_gather, simulated
from host.measure import way_text
from host.plan_modes import Modes
from host.plan_modes import find as find_modes
from host.plan_modes import markdown as modes_markdown
from host.plan_modes import steps as modes_steps
from host.workload import Workload, masked, matrix_shape, random_weights

SEED = 0
EFFORTS: tuple[Effort, ...] = ("fast", "best")


class Spec(NamedTuple):
    """What a line of the table is about."""

    group: str
    what: str
    shape: tuple[int, int]
    """Rows, and bytes of a row."""
    sparsity: float = 0.9
    device: str = "npu1"
    columns: int = 4
    channels: int = 1
    effort: Effort = "fast"


class Cell(BaseModel):
    """One stream in one profile, planned for that profile."""

    mode: str
    """An addressing of `host`, or `auto`."""
    run: Run
    limit: str
    """What limits it, by the forecast: "transfer" or "controller"."""
    forecast_us: float
    forecast_error: float
    """The forecast's, relative to the simulated time."""
    lattices: int
    words_per_row: float
    way: str
    """What `auto` took."""


class Line(BaseModel):
    """One workload on one machine at one effort, in all addressings and profiles."""

    group: str
    what: str
    rows: int
    row_bytes: int
    sparsity: float
    device: str
    columns: int
    channels: int
    effort: str
    rows_wanted: int
    cells: list[Cell]

    def of(self, mode: str) -> list[Cell]:
        """The cells of a mode, in the order of the profiles."""
        return [cell for cell in self.cells if cell.mode == mode]


class Found(BaseModel):
    """The whole table."""

    lines: list[Line]
    modes: Modes


def specs(quick: bool = False) -> list[Spec]:
    """The lines of the table, in order; `quick` leaves one."""
    seven = _shape("relullama-7b")
    if quick:
        return [_main(seven, 0.9, "fast")]
    main = [
        _main(seven, sparsity, effort)
        for sparsity in (0.5, 0.67, 0.8, 0.9, 0.97)
        for effort in EFFORTS
    ]
    shapes = [
        Spec("other rows, 90 %, npu1, 4 columns", f"{name}, {shape[0]} x {shape[1]} B", shape)
        for name, shape in (
            ("13B", _shape("relullama-13b")),
            ("OPT-6.7B", _shape("opt-6.7b")),
            ("7B in int8", (seven[0], seven[1] // 2)),
            ("7B in int4", (seven[0], seven[1] // 4)),
        )
    ]
    machines = [
        Spec(
            "other machines, 7B, 90 %",
            f"{name}, {columns} x {channels}",
            seven,
            device=name,
            columns=columns,
            channels=channels,
        )
        for name, most in (("npu1", (1, 2, 4)), ("npu2", (1, 2, 4, 8)))
        for channels in (1, 2)
        for columns in most
    ]
    shapes = [spec._replace(effort=effort) for spec in shapes for effort in EFFORTS]
    return [*main, *shapes, *machines]


def _main(shape: tuple[int, int], sparsity: float, effort: Effort) -> Spec:
    return Spec(
        f"7B, {shape[0]} x {shape[1]} B, npu1, 4 columns",
        f"{100 * sparsity:.0f} % sparse",
        shape,
        sparsity,
        effort=effort,
    )


def _shape(model: str) -> tuple[int, int]:
    return matrix_shape(model, None, None)[1:]


def steps(quick: bool) -> int:
    """How often `find` calls `advance`."""
    return len(specs(quick)) + modes_steps(quick)


def find(quick: bool = False, advance: Callable[[], None] = lambda: None) -> Found:
    """Plan and simulate every line.

    Raises:
        UsageError: a run whose data came out wrong.
    """
    wanted = specs(quick)
    lines: dict[Spec, Line] = {}
    for shape in dict.fromkeys(spec.shape for spec in wanted):
        weights = random_weights(*shape, SEED)
        for spec in wanted:
            if spec.shape == shape:
                work = masked(weights, spec.what, "random", spec.sparsity, SEED)
                lines[spec] = _line(spec, work)
                advance()
        del weights  # before the next are made
    return Found(lines=[lines[spec] for spec in wanted], modes=find_modes(quick, advance))


def _line(spec: Spec, work: Workload) -> Line:
    cells = [_host(spec, work, mode, profile) for mode in ADDRESSINGS for profile in PROFILES]
    if spec.effort == "fast":
        cells += [_auto(spec, work, profile) for profile in PROFILES]
    for cell in cells:
        if not cell.run.data_ok:
            raise UsageError(f"{spec.what}, {cell.mode}, {cell.run.profile}: data came out wrong")
    return Line(
        group=spec.group,
        what=spec.what,
        rows=work.rows,
        row_bytes=work.row_bytes,
        sparsity=work.sparsity,
        device=spec.device,
        columns=spec.columns,
        channels=spec.channels,
        effort=spec.effort,
        rows_wanted=int(np.count_nonzero(work.wanted)),
        cells=cells,
    )


def _setup(spec: Spec, profile: str, addressing: AddressingName = "patch") -> Setup:
    return prepare(
        device_named(spec.device),
        spec.columns,
        spec.shape[1],
        channels=spec.channels,
        profile=profile,
        effort=spec.effort,
        addressing=addressing,
    )


def _host(spec: Spec, work: Workload, addressing: AddressingName, profile: str) -> Cell:
    setup = _setup(spec, profile, addressing)
    gather = plan_gather(setup, work)
    run = simulated(setup, work, gather.made, profile)
    forecast = gather.forecast.total / setup.clock
    return Cell(
        mode=addressing,
        run=run,
        limit=gather.forecast.limit,
        forecast_us=forecast,
        forecast_error=forecast / run.us - 1,
        lattices=gather.plan.lattices,
        words_per_row=gather.plan.counts.words / gather.program.rows_wanted,
        way="",
    )


def _auto(spec: Spec, work: Workload, profile: str) -> Cell:
    setup = _setup(spec, profile)
    matrix = Matrix(rows=work.rows, row_bytes=work.row_bytes)
    bitmap = scan(work.activations, dtype=work.dtype)
    way = choose(setup.target, matrix, bitmap, setup.options).best
    run = simulated(setup, work, take(way, matrix, bitmap), profile)
    forecast = way.forecast.total / setup.clock
    return Cell(
        mode=AUTO,
        run=run,
        limit=way.forecast.limit,
        forecast_us=forecast,
        forecast_error=forecast / run.us - 1,
        lattices=way.lattices,
        words_per_row=way.counts.words / int(np.count_nonzero(work.wanted)),
        way=way_text(way),
    )


def markdown(found: Found) -> str:
    """The table as Markdown, with what a reader must know to read it."""
    head = ["", "effort", "rows a BD", "words a row", "bound us", *ADDRESSINGS, AUTO]
    rows: list[list[str]] = []
    group = ""
    for line in found.lines:
        if line.group != group:
            group = line.group
            rows.append([f"**{group}**", *[""] * (len(head) - 1)])
        rows.append(_markdown_line(line))
    lines = ["| " + " | ".join(row) + " |" for row in (head, *rows)]
    lines.insert(1, "|" + "-|" * len(head))
    return "\n".join(
        [*INTRODUCTION, "", *lines, "", *_forecasts(found), "", modes_markdown(found.modes)]
    )


INTRODUCTION = (
    "# Packed gathers: the table",
    "",
    "Written by `sparsebd plan --table > docs/packing-table.md`; see [packing](packing.md).",
    "",
    "Random masks. Times are simulated and given as multiples of the bound, the least time that",
    "the wanted bytes need, in the profiles low, central and high; **t**: the transfer limits,",
    "**c**: the controller does. The stream is planned for each profile; all data was checked.",
    "`absolute` and `iteration` are unproven on silicon; chains cannot be repeated with",
    "`iteration`, so it has more BDs (second figure of rows a BD). Words a row are of `patch`,",
    "`absolute`, `iteration`, per wanted row. `auto` is `patch` with first chains, waits, columns",
    "and gaps as `bdgen.choose` forecasts them to be best.",
)


def _markdown_line(line: Line) -> list[str]:
    central = {cell.mode: cell for cell in line.cells if cell.run.profile == "central"}
    each = [line.rows_wanted / central[mode].lattices for mode in ("patch", "iteration")]
    words = [f"{central[mode].words_per_row:.1f}" for mode in ADDRESSINGS]
    return [
        line.what,
        line.effort,
        " / ".join(f"{value:.2f}" for value in each),
        " / ".join(words),
        f"{central['patch'].run.bound_us:.0f}",
        *(_ratios(line.of(mode)) for mode in (*ADDRESSINGS, AUTO)),
    ]


def _ratios(cells: list[Cell]) -> str:
    """Multiples of the bound in the three profiles, and what limits."""
    return ", ".join(f"{cell.run.bound_ratio or 0:.2f} {cell.limit[0]}" for cell in cells) or "-"


def _forecasts(found: Found) -> list[str]:
    """How far the planner's forecast is from the simulated time."""
    errors = {
        (line.group, line.what, cell.mode, cell.run.profile): cell.forecast_error
        for line in found.lines
        for cell in line.cells
    }
    worst = max(errors, key=lambda key: abs(errors[key]))
    middle = float(np.median(np.abs(list(errors.values()))))
    return [
        f"The planner's own forecast differs from these {len(errors)} simulated times by "
        f"{100 * middle:.1f} % in the median, by {100 * errors[worst]:+.1f} % at worst "
        f"({', '.join(worst[1:])}).",
    ]
