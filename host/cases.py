# SPDX-License-Identifier: Apache-2.0
"""One phase on one workload: plan, simulate in the whole band, check every byte, tell the time.

`measure` is the road that the README draws: mask -> bdgen -> TXN words -> firmware_sim -> check.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import cast

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from aie2.devices import Device
from bdgen import program
from bdgen.choose import choose
from bdgen.planner import Options
from bdgen.program import Guard, Program
from bdgen.request import Location, Request
from bdgen.scan import scan
from bdgen.target import Matrix, Target
from firmware_sim import PROFILES, Configuration, Phase1, Result, read_configuration, simulate
from firmware_sim.calibration import costs
from firmware_sim.firmware import Firmware
from host import check
from host.errors import UsageError
from host.plan_costs import plan_costs
from host.workload import Workload
from iron_designs.shipped import Shipped, select

PHASES: tuple[str, ...] = ("dense", "phase0", "phase1", "phase2", "host")
"""The modes, in the order of the design document."""

GUARDS: tuple[Guard, ...] = ("wait", "poll")
"""How a stream keeps a task queue from overflowing."""

PHASE2_SCANS: tuple[str, ...] = ("whole", "ahead")
"""When the Phase 2 firmware scans: all of the vector first, or while its first batches move."""

L2_COLUMN, L2_ROW, L2_OFFSET = 0, 1, 0x40000
"""Where the activations lie in Phase 2: upper half of the first memtile, free of fifo buffers."""


class Case(BaseModel):
    """One row of the result: what a phase did on a workload, and how long it took."""

    phase: str
    pattern: str
    sparsity: float
    rows_wanted: int
    rows_moved: int
    bytes_moved: int
    """Weight bytes read, padding not counted."""
    padding_bytes: int
    bds: int
    pushes: int
    tokens: int
    instruction_bytes: int
    """Size of the stream that the host submits."""
    cycles: int
    us: float
    us_low: float
    us_high: float
    bound_us: float
    bound_ratio: float | None
    speedup_vs_dense: float | None
    speedup_vs_rowwise: float | None
    data_ok: bool
    product_error: float | None
    """Relative error of the product with the gathered rows against the dense product."""
    dropped_pushes: int
    us_skip_written: float | None = None
    """Phase 1 where the BDs of skipped rows are still written and patched (this is `us`)."""
    us_skip_walked: float | None = None
    """Phase 1 where they are only walked over."""
    wall_s: float


@dataclass(frozen=True)
class Setup:
    """The machine that cases run on."""

    device: Device
    columns: int
    shipped: Shipped
    profile: str = "central"
    guard: Guard = "wait"
    channels: int = 1
    clock_mhz: float | None = None
    phase2_scan: str = "whole"
    configuration: Configuration = field(init=False)

    def __post_init__(self) -> None:
        """Read the xclbin once for all cases."""
        object.__setattr__(self, "configuration", read_configuration(self.shipped.read()))

    @property
    def clock(self) -> float:
        """Array clock in MHz."""
        return self.device.clock_mhz if self.clock_mhz is None else self.clock_mhz

    @property
    def options(self) -> Options:
        """How `host` plans: for the costs of this machine in this profile."""
        return Options(costs=plan_costs(self.device.name, self.profile, self.clock_mhz))

    @property
    def target(self) -> Target:
        """The machine as planners see it."""
        return Target(
            device=self.device,
            columns=self.columns,
            object_bytes=self.shipped.object_bytes,
            channels=self.channels,
            partition_columns=self.shipped.columns,
        )


def prepare(
    device: Device,
    columns: int | None,
    row_bytes: int,
    *,
    profile: str = "central",
    guard: str = "wait",
    channels: int = 1,
    clock_mhz: float | None = None,
    phase2_scan: str = "whole",
) -> Setup:
    """Choose the shipped xclbin for a row size and check the options against the device."""
    wanted = device.columns if columns is None else columns
    if not 1 <= wanted <= device.columns:
        raise UsageError(
            f"{device.name} has {device.columns} columns; --columns {wanted} cannot be"
        )
    if guard not in GUARDS:
        raise UsageError(f"--queue-guard {guard!r} is not one of {', '.join(GUARDS)}")
    if phase2_scan not in PHASE2_SCANS:
        raise UsageError(f"--phase2-scan {phase2_scan!r} is not one of {', '.join(PHASE2_SCANS)}")
    keeping = cast(Guard, guard)
    shipped = select(device.name, wanted, row_bytes, channels=channels)
    return Setup(device, wanted, shipped, profile, keeping, channels, clock_mhz, phase2_scan)


def plan(setup: Setup, workload: Workload, phase: str) -> Program:
    """The program of a phase for a workload, from the activation vector as bdgen scans it."""
    matrix = Matrix(rows=workload.rows, row_bytes=workload.row_bytes)
    bitmap = scan(workload.activations, dtype=workload.dtype)
    if phase == "dense":
        return program.dense(setup.target, matrix)
    if phase == "phase0":
        return program.phase0(setup.target, matrix, bitmap, guard=setup.guard)
    if phase == "phase1":
        return program.phase1(setup.target, matrix, bitmap, guard=setup.guard)
    if phase == "phase2":
        ahead = setup.phase2_scan == "ahead"
        return program.phase2(setup.target, matrix, request_for(workload), bitmap, overlap=ahead)
    if phase == "host":
        return program.host(setup.target, matrix, bitmap, setup.options)
    if phase == "auto":
        chosen = choose(setup.target, matrix, bitmap, setup.options).best
        if not chosen.gathers:
            return program.dense(setup.target, matrix)
        return program.host(chosen.target, matrix, bitmap, chosen.options)
    raise UsageError(f"--phase {phase!r} is not one of {', '.join(PHASES)}, all")


def request_for(workload: Workload) -> Request:
    """The Phase 2 request for activations that the layer before left in the first memtile."""
    return Request(
        kind=Location.TILE,
        column=L2_COLUMN,
        row=L2_ROW,
        offset_bytes=L2_OFFSET,
        count=workload.rows,
        dtype=workload.dtype,
        row_bytes=workload.row_bytes,
    )


def execute(
    setup: Setup,
    workload: Workload,
    made: Program,
    profile: str,
    output: NDArray[np.uint8],
    firmware: str | Firmware | None = None,
) -> Result:
    """Simulate a program under one profile; `output` is filled with the sentinel before."""
    output[:] = check.SENTINEL
    return simulate(
        setup.configuration,
        made.words,
        [workload.weights, output],
        device=setup.device,
        profile=profile,
        firmware=firmware or image_for(made, workload),
        l2={(L2_COLUMN, L2_ROW, L2_OFFSET): workload.activations},
        clock_mhz=setup.clock_mhz,
    )


def image_for(made: Program, workload: Workload, skip: str = "written") -> str | Firmware:
    """The firmware image that a program needs."""
    if made.firmware != "phase1":
        return made.firmware
    return Phase1(
        wanted=workload.wanted,
        row_bytes=workload.row_bytes,
        skip="walked" if skip == "walked" else "written",
    )


def bound_us(setup: Setup, nbytes: int) -> float:
    """Least time in which the wanted bytes can go in and out again, at the clock of the run.

    Over the least of the DDR read limit, the write limit, half of both together (the passthrough
    writes back what it reads), and what the columns' channels can carry.
    """
    known = costs(setup.device.name, setup.profile, setup.clock)
    channels = setup.columns * setup.channels * 4 / known.word
    rate = min(known.read_limit, known.write_limit, known.combined_limit / 2, channels)
    return nbytes / rate / setup.clock


def data_ok(workload: Workload, made: Program, result: Result, output: NDArray[np.uint8]) -> bool:
    """Whether every wanted row arrived, once, whole and right, and nothing else was touched."""
    where = pieces(made)
    return (
        result.ok
        and made.rows_moved == np.count_nonzero(_must_arrive(workload, made))
        and check.rows_complete(where, _must_arrive(workload, made), workload.row_bytes)
        and check.bytes_right(output, workload.weights, where, workload.row_bytes)
        and check.untouched(output[made.rows_moved * workload.row_bytes : made.scratch_offset])
        and check.untouched(output[made.output_bytes :])
    )


def _must_arrive(workload: Workload, made: Program) -> NDArray[np.bool_]:
    return np.ones(workload.rows, bool) if made.phase == "dense" else workload.wanted


def pieces(made: Program) -> check.Pieces:
    """A plan's claim of where rows land, as the checker takes it."""
    where = made.placement
    return check.Pieces(where.row, where.row_offset, where.nbytes, where.dst)


def product_error(workload: Workload, made: Program, output: NDArray[np.uint8]) -> float:
    """Relative error of the product with what was gathered, against the dense product."""
    values = workload.values()
    gathered = check.product(output, pieces(made), values, workload.row_bytes)
    dense = check.weighted_rows(workload.weights.view(np.uint16), values)
    return check.relative_error(gathered, dense)


def output_buffer(workload: Workload, made: Program) -> NDArray[np.uint8]:
    """An output buffer for any phase: room for all rows, scratch and a margin to stay untouched."""
    return np.empty(max(made.output_bytes, workload.weights.size) + 65536, np.uint8)


def measure(
    setup: Setup, workload: Workload, phase: str, baselines: Baselines, *, check_product: bool
) -> Case:
    """Plan a phase, run it under every profile, check it, and compare its time."""
    made = plan(setup, workload, phase)
    output = output_buffer(workload, made)
    times: dict[tuple[str, str], float] = {}
    readings = ("walked", "written") if phase == "phase1" else ("",)
    right = True
    chosen: Result | None = None
    for skip in readings:
        for profile in sorted(PROFILES, key=lambda name: name == setup.profile):
            image = image_for(made, workload, skip)
            result = execute(setup, workload, made, profile, output, image)
            right = right and data_ok(workload, made, result, output)
            times[skip, profile] = result.microseconds
            chosen = result
    if chosen is None:
        raise UsageError("no profile to run")
    bound = bound_us(setup, int(np.count_nonzero(workload.wanted)) * workload.row_bytes)
    us = chosen.microseconds
    rowwise = baselines.rowwise_native if phase in ("phase1", "phase2") else baselines.rowwise_stock
    return Case(
        phase=phase,
        pattern=workload.pattern,
        sparsity=round(workload.sparsity, 6),
        rows_wanted=int(np.count_nonzero(workload.wanted)),
        rows_moved=made.rows_moved,
        bytes_moved=made.bytes_moved,
        padding_bytes=chosen.counts.bytes_read - made.bytes_moved,
        bds=chosen.counts.bds,
        pushes=chosen.counts.pushes,
        tokens=chosen.counts.tokens,
        instruction_bytes=made.words.nbytes,
        cycles=chosen.cycles,
        us=us,
        us_low=min(times.values()),
        us_high=max(times.values()),
        bound_us=bound,
        bound_ratio=us / bound if bound else None,
        speedup_vs_dense=_ratio(baselines.dense, us),
        speedup_vs_rowwise=_ratio(rowwise, us),
        data_ok=right,
        product_error=product_error(workload, made, output) if check_product else None,
        dropped_pushes=chosen.counts.dropped_pushes,
        us_skip_written=times.get(("written", setup.profile)),
        us_skip_walked=times.get(("walked", setup.profile)),
        wall_s=chosen.wall_s,
    )


def _ratio(base: float, us: float) -> float | None:
    return base / us if us and math.isfinite(base) else None


@dataclass(frozen=True)
class Baselines:
    """What a phase is compared with, in microseconds: the whole matrix, moved in three ways."""

    dense: float
    """One BD per column on stock firmware."""
    rowwise_stock: float
    """One BD per row on stock firmware."""
    rowwise_native: float
    """One BD per row on an image that enqueues natively (what Phase 1 filters)."""


def baselines(setup: Setup, weights: NDArray[np.uint8]) -> Baselines:
    """Move the whole matrix in the three ways that phases are compared with."""
    rows = weights.shape[0]
    everything = Workload(
        "", "", weights, np.ones(rows, np.float16), "fp16", np.ones(rows, np.bool_)
    )
    output = np.empty(weights.size + 65536, np.uint8)

    def time(phase: str, firmware: str | Firmware | None) -> float:
        made = plan(setup, everything, phase)
        return execute(setup, everything, made, setup.profile, output, firmware).microseconds

    return Baselines(
        dense=time("dense", None),
        rowwise_stock=time("phase1", "stock"),
        rowwise_native=time("phase1", None),
    )
