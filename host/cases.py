# SPDX-License-Identifier: Apache-2.0
"""One phase on one workload: the machine, the program, the run, and whether its data is right.

The road that the README draws: mask -> bdgen -> TXN words -> firmware_sim -> check. `host.measure`
walks it in every profile and compares times.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device
from bdgen import bitmap as bitmaps
from bdgen import program
from bdgen.bitmap import Bitmap
from bdgen.choose import Way, choose
from bdgen.pack import EFFORTS, Effort
from bdgen.planner import AddressingName, Options
from bdgen.program import Guard, Program
from bdgen.request import Location, Request
from bdgen.scan import scan
from bdgen.target import Matrix, Target
from firmware_sim import Configuration, Phase1, Result, read_configuration, simulate
from firmware_sim.calibration import costs
from firmware_sim.diagnostics import ADDRESS_WINDOW_BITS
from firmware_sim.firmware import Firmware
from firmware_sim.inputs import L2
from host import check
from host.errors import UsageError
from host.on_device import OnDevice, Outcome
from host.plan_costs import plan_costs
from host.workload import Workload
from iron_designs.shipped import Shipped, select

PHASES: tuple[str, ...] = ("dense", "phase0", "phase1", "phase2", "host")
"""The modes, in the order of the design document."""

AUTO = "auto"
"""No mode of its own: `host` in the way that is forecast to be fastest, or `dense`."""

ADDRESSINGS: tuple[AddressingName, ...] = ("patch", "absolute", "iteration")
"""How a BD of `host` comes by its address; only the first is known to work on silicon."""

SIMULATED_ADDRESSES = 1 << ADDRESS_WINDOW_BITS, 2 << ADDRESS_WINDOW_BITS
"""Where the simulator has the first two host buffers, for addressing "absolute"."""

GUARDS: tuple[Guard, ...] = ("wait", "poll")
"""How a stream keeps a task queue from overflowing."""

PHASE2_SCANS: tuple[str, ...] = ("whole", "ahead")
"""When the Phase 2 firmware scans: all of the vector first, or while its first batches move."""

L2_COLUMN, L2_ROW, L2_OFFSET = 0, 1, 0x40000
"""Where the activations lie in Phase 2: upper half of the first memtile, free of fifo buffers."""


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
    effort: Effort = "fast"
    addressing: AddressingName = "patch"
    max_gap: int = 0
    on: OnDevice | None = field(default=None, compare=False)
    """The device that runs the cases; None: they are simulated directly."""
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
        return Options(
            effort=self.effort,
            addressing=self.addressing,
            addresses=SIMULATED_ADDRESSES if self.addressing == "absolute" else None,
            max_gap=self.max_gap,
            costs=plan_costs(self.device.name, self.profile, self.clock_mhz),
        )

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
    effort: str = "fast",
    addressing: str = "patch",
    max_gap: int = 0,
) -> Setup:
    """Choose the shipped xclbin for a row size and check the options against the device."""
    wanted = device.columns if columns is None else columns
    if not 1 <= wanted <= device.columns:
        raise UsageError(
            f"{device.name} has {device.columns} columns; --columns {wanted} cannot be"
        )
    for option, value, known in (
        ("--queue-guard", guard, GUARDS),
        ("--phase2-scan", phase2_scan, PHASE2_SCANS),
        ("--effort", effort, EFFORTS),
        ("--addressing", addressing, ADDRESSINGS),
    ):
        if value not in known:
            raise UsageError(f"{option} {value!r} is not one of {', '.join(known)}")
    if max_gap < 0:
        raise UsageError(f"--max-gap {max_gap} is negative: give 0 or more rows")
    return Setup(
        device=device,
        columns=wanted,
        shipped=select(device.name, wanted, row_bytes, channels=channels),
        profile=profile,
        guard=cast(Guard, guard),
        channels=channels,
        clock_mhz=clock_mhz,
        phase2_scan=phase2_scan,
        effort=cast(Effort, effort),
        addressing=cast(AddressingName, addressing),
        max_gap=max_gap,
    )


class Made(NamedTuple):
    """A program, and what must be known to judge it."""

    program: Program
    max_gap: int = 0
    """Rows that nobody wants may be moved where they are a gap of at most so many."""
    way: Way | None = None
    """What `auto` took."""


def plan(setup: Setup, workload: Workload, phase: str) -> Program:
    """The program of a phase for a workload, from the activation vector as bdgen scans it."""
    return make(setup, workload, phase).program


def make(setup: Setup, workload: Workload, phase: str) -> Made:
    """`plan`, with what is needed to judge the program."""
    target, matrix = setup.target, Matrix(rows=workload.rows, row_bytes=workload.row_bytes)
    bitmap = scan(workload.activations, dtype=workload.dtype)
    if phase == "dense":
        return Made(program.dense(target, matrix))
    if phase == "phase0":
        return Made(program.phase0(target, matrix, bitmap, guard=setup.guard))
    if phase == "phase1":
        return Made(program.phase1(target, matrix, bitmap, guard=setup.guard))
    if phase == "phase2":
        ahead, request = setup.phase2_scan == "ahead", request_for(workload)
        return Made(program.phase2(target, matrix, request, bitmap, overlap=ahead))
    if phase == "host":
        return Made(program.host(target, matrix, bitmap, setup.options), setup.max_gap)
    if phase == AUTO:
        return take(choose(target, matrix, bitmap, setup.options).best, matrix, bitmap)
    raise UsageError(f"--phase {phase!r} is not one of {', '.join(PHASES)}, {AUTO}, all")


def take(way: Way, matrix: Matrix, bitmap: Bitmap) -> Made:
    """The program of a way that `bdgen.choose` considered.

    Its dense transfer is `host` with all rows: as `dense`, but all lanes are awaited at once.
    """
    if way.gathers:
        made = program.host(way.target, matrix, bitmap, way.options)
        return Made(made, way.options.max_gap, way)
    everything = bitmaps.pack(np.ones(matrix.rows, np.bool_))
    made = program.host(way.target, matrix, everything, way.options)
    return Made(replace(made, phase="dense"), 0, way)


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
        l2=_l2(workload),
        clock_mhz=setup.clock_mhz,
    )


def perform(
    setup: Setup,
    workload: Workload,
    made: Program,
    profile: str,
    output: NDArray[np.uint8],
    firmware: str | Firmware | None = None,
) -> Outcome:
    """As `execute`, on the setup's device if it has one.

    Raises:
        NpuError: the device could not run it.
    """
    if setup.on is None:
        return execute(setup, workload, made, profile, output, firmware)
    output[:] = check.SENTINEL
    return setup.on.run(
        made,
        workload.weights,
        output,
        profile=profile,
        firmware=firmware or image_for(made, workload),
        clock_mhz=setup.clock_mhz,
        l2=_l2(workload),
    )


def _l2(workload: Workload) -> L2:
    """Memtile memory as the layer before leaves it: the activations, for Phase 2."""
    return {(L2_COLUMN, L2_ROW, L2_OFFSET): workload.activations}


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


def data_ok(
    workload: Workload,
    made: Program,
    result: Outcome,
    output: NDArray[np.uint8],
    max_gap: int = 0,
) -> bool:
    """Whether every wanted row arrived, once, whole and right, and nothing else was touched.

    Rows that nobody wants may have come along from gaps of at most `max_gap`.
    """
    where, wanted = pieces(made), _must_arrive(workload, made)
    return (
        result.ok
        and check.rows_complete(where, wanted, workload.row_bytes)
        and bool(np.all(check.closed(wanted, max_gap)[where.row]))
        and made.rows_moved == np.unique(where.row).size
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


def output_buffer(workload: Workload, made: Program) -> NDArray[np.uint8]:
    """An output buffer for any phase: room for all rows, scratch and a margin to stay untouched."""
    return np.empty(max(made.output_bytes, workload.weights.size) + 65536, np.uint8)
