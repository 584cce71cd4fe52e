# SPDX-License-Identifier: Apache-2.0
"""What `sparsebd plan` found out about one gather: figures for programs, lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from bdgen.chains import ROWS
from bdgen.forecast import Forecast
from firmware_sim import PROFILES
from host.explain_text import count
from host.gathers import Gather, Run, Timing, simulated, timing
from host.plan_explain import Explained
from host.plan_explain import lines as explained_lines

UNPROVEN = "unproven on silicon"
ADDRESSED = {
    "patch": "every BD's address is patched by the firmware",
    "absolute": f"device addresses in the stream, no patches; {UNPROVEN}",
    "iteration": f"a BD is patched once and then stepped to its row; {UNPROVEN}",
}
"""What an addressing mode means, for a person."""


class LaneRows(BaseModel):
    """Rows that one lane moves."""

    column: int
    channel: int
    rows: int


class ForecastUs(BaseModel):
    """`bdgen.forecast.Forecast` in microseconds."""

    total_us: float
    controller_us: float
    transfer_us: float
    start_us: float
    limit: str


class Stream(BaseModel):
    """What the instruction stream holds."""

    words: int
    nbytes: int
    ops: int
    bds: int
    patches: int
    pushes: int
    tokens: int
    words_per_row: float | None
    """Per wanted row; None if none is wanted."""


class PlanReport(BaseModel):
    """One gather: what was asked, what was planned, how long that takes."""

    device: str
    clock_mhz: float
    columns: int
    channels: int
    model: str
    rows: int
    row_bytes: int
    pattern: str
    sparsity: float
    profile: str
    """Its costs decided how the work is shared out, and the forecast is of it."""
    effort: str
    addressing: str
    max_gap: int
    rows_wanted: int
    rows_moved: int
    bytes_moved: int
    padding_bytes: int
    lattices: int
    """BDs that the rows were packed into, before any was split between lanes."""
    rows_per_bd: float | None
    """Rows moved per lattice."""
    stream: Stream
    lanes: list[LaneRows]
    timing: Timing
    forecast: ForecastUs
    simulated: list[Run]
    """In every profile, the same stream."""
    explained: Explained | None = None


def report(gather: Gather) -> PlanReport:
    """Simulate a gather in all profiles, time its planning, and put the figures together."""
    setup, work, plan = gather.setup, gather.workload, gather.plan
    options, wanted = gather.planner.options, gather.program.rows_wanted
    counts, moved = plan.counts, plan.rows_moved
    return PlanReport(
        device=setup.device.name,
        clock_mhz=setup.clock,
        columns=setup.columns,
        channels=setup.channels,
        model=work.model,
        rows=work.rows,
        row_bytes=work.row_bytes,
        pattern=work.pattern,
        sparsity=work.sparsity,
        profile=setup.profile,
        effort=options.effort,
        addressing=options.addressing,
        max_gap=options.max_gap,
        rows_wanted=wanted,
        rows_moved=moved,
        bytes_moved=plan.bytes_moved,
        padding_bytes=plan.padding_bytes,
        lattices=plan.lattices,
        rows_per_bd=moved / plan.lattices if plan.lattices else None,
        stream=Stream(
            words=counts.words,
            nbytes=plan.words.nbytes,
            ops=counts.ops,
            bds=counts.bds,
            patches=counts.patches,
            pushes=counts.pushes,
            tokens=counts.tokens,
            words_per_row=counts.words / wanted if wanted else None,
        ),
        lanes=[
            LaneRows(column=column, channel=channel, rows=int(plan.lanes[nth, ROWS]))
            for nth, (column, channel) in enumerate(setup.target.lanes)
        ],
        timing=timing(gather),
        forecast=in_us(gather.forecast, setup.clock),
        simulated=[simulated(setup, work, gather.made, profile) for profile in PROFILES],
    )


def in_us(forecast: Forecast, clock_mhz: float) -> ForecastUs:
    """A forecast at a clock."""
    return ForecastUs(
        total_us=forecast.total / clock_mhz,
        controller_us=forecast.controller / clock_mhz,
        transfer_us=forecast.transfer / clock_mhz,
        start_us=forecast.start / clock_mhz,
        limit=forecast.limit,
    )


def lines(found: PlanReport) -> Iterator[str]:
    """The report as lines for a person."""
    yield (
        f"{found.model}, {found.rows} rows of {found.row_bytes} B; {found.pattern} mask, "
        f"{100 * found.sparsity:.1f} % sparse"
    )
    yield (
        f"{found.device}, {count(found.columns, 'column')} of {count(found.channels, 'channel')} "
        f"at {found.clock_mhz:g} MHz; planned for the {found.profile} profile"
    )
    yield ""
    for name, values in _sections(found):
        for nth, value in enumerate(values):
            yield f"{name if nth == 0 else '':<11}{value}"
    if found.explained is not None:
        yield from explained_lines(found.explained)


def _sections(found: PlanReport) -> Iterator[tuple[str, list[str]]]:
    yield "rows", [_rows(found)]
    each = "" if found.rows_per_bd is None else f", {found.rows_per_bd:.2f} rows each"
    repeat = "" if found.addressing == "iteration" else ", chains may be repeated"
    yield "packing", [f"{found.effort}: {count(found.lattices, 'lattice')}{each}{repeat}"]
    yield "addressing", [f"{found.addressing}: {ADDRESSED[found.addressing]}"]
    yield "stream", list(_stream(found.stream))
    yield "lanes", [_lanes(found)]
    took = found.timing
    yield (
        "planning",
        [
            f"{took.plan_us:.1f} us from vector to words: scan {took.scan_us:.1f}, pack "
            f"{took.pack_us:.1f}; the quickest of {took.calls} warm calls"
        ],
    )
    told = found.forecast
    yield (
        "forecast",
        [
            f"{told.total_us:.1f} us: controller {told.controller_us:.1f}, transfer "
            f"{told.transfer_us:.1f}; the {told.limit} limits",
            f"the last lane starts after {told.start_us:.1f} us",
        ],
    )
    yield "simulated", [_run(run) for run in found.simulated]


def _rows(found: PlanReport) -> str:
    more = found.rows_moved - found.rows_wanted
    unneeded = f" ({more} that nobody wants, in gaps of up to {found.max_gap})" if more else ""
    padded = f", {found.padding_bytes} bytes of padding" if found.padding_bytes else ""
    return (
        f"{found.rows_wanted} wanted, {found.rows_moved} moved{unneeded}: "
        f"{found.bytes_moved} bytes{padded}"
    )


def _stream(of: Stream) -> Iterator[str]:
    yield (
        f"{count(of.bds, 'BD')}, {of.patches} patches, {of.pushes} pushes, "
        f"{count(of.tokens, 'token')}: {count(of.ops, 'op')}"
    )
    each = "" if of.words_per_row is None else f", {of.words_per_row:.2f} per wanted row"
    yield f"{count(of.words, 'word')}{each}; {of.nbytes} bytes"


def _lanes(found: PlanReport) -> str:
    """Rows of each column, channel by channel."""
    of = [
        "+".join(str(lane.rows) for lane in found.lanes if lane.column == column)
        for column in range(found.columns)
    ]
    return (
        f"{', '.join(of)} rows in column{'' if found.columns == 1 else 's'} {_range(found.columns)}"
    )


def _range(columns: int) -> str:
    return "0" if columns == 1 else f"0 to {columns - 1}"


def _run(run: Run) -> str:
    bound = "" if run.bound_ratio is None else f", {run.bound_ratio:.2f} times the bound"
    return f"{run.profile:<8}{run.us:9.1f} us{bound}, {'data ok' if run.data_ok else 'data WRONG'}"
