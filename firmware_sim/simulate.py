# SPDX-License-Identifier: Apache-2.0
"""The simulator's one call: xclbin, stream and host buffers in; data, time and mistakes out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device
from firmware_sim.array.configure import (
    Configuration,
    XclbinSource,
    load,
    memtile_buffers,
    object_bytes,
    read_configuration,
)
from firmware_sim.array.engine import DONE
from firmware_sim.array.machine import Machine
from firmware_sim.array.state import BUFFER, EVENT
from firmware_sim.calibration import CalibrationSource, Costs, costs_for
from firmware_sim.cores import CoreModels
from firmware_sim.diagnostics import ADDRESS_WINDOW_BITS, counts
from firmware_sim.drive import drive
from firmware_sim.errors import Stalled
from firmware_sim.firmware import Firmware, image
from firmware_sim.firmware.script import Context, Script
from firmware_sim.host_buffers import Buffer, flat
from firmware_sim.inputs import (
    L2,
    Insts,
    argument_bytes,
    check_columns,
    device_of,
    not_synced,
    preload,
    start_column_of,
    stream_of,
    tile_bytes,
    too_many,
)
from firmware_sim.outcome import (
    WATCHDOG_S,
    all_notes,
    counts_of,
    forget_modelled_cores,
    full_logs,
    shim_tasks,
    stall_text,
)
from firmware_sim.result import Result
from firmware_sim.waits import graph

NO_EVENTS = np.zeros(0, EVENT)


def simulate(
    xclbin: XclbinSource | Configuration,
    insts: Insts,
    buffers: Sequence[Buffer],
    *,
    device: str | Device | None = None,
    profile: str = "central",
    firmware: str | Firmware = "stock",
    l2: L2 | None = None,
    clock_mhz: float | None = None,
    strict: bool = False,
    trace: bool = False,
    core_models: CoreModels | None = None,
    jitter_seed: int | None = None,
    start_column: int | None = None,
    calibration: CalibrationSource | None = None,
) -> Result:
    """Run a stream on a configured array; `buffers` are updated as the device would.

    Args:
        xclbin: path, bytes or parsed container, or a `Configuration`.
        insts: TXN stream: path, bytes or words.
        buffers: host buffers in argument order: C-contiguous arrays, or `HostBuffer`s with a copy
            on the device; more than the xclbin declares is taken with a warning.
        device: "npu1" or "npu2"; by default what the stream's header says.
        profile: which split of the unmeasured timing (`firmware_sim.calibration.PROFILES`).
        firmware: "stock", "native", "phase2", "phase2-overlap", or an image such as
            `Phase1(...)`.
        l2: {(column, row, offset): array} memtile memory as the layer before left it.
        clock_mhz: array clock; by default the device's, or that of `calibration`.
        strict: stop at the first mistake instead of going on as hardware would.
        trace: keep every event (`Result.events`).
        core_models: {(column, row): generator function} that stand in for cores
            (`firmware_sim.cores`).
        jitter_seed: scatter DDR latencies as published, repeatably; None: do not.
        start_column: physical column at which the partition begins; None: the first that fits.
        calibration: timing constants of one machine, or the path of their file, as `sparsebd
            calibrate` writes it; None: those that come with the package.

    Raises:
        aie2.errors.FormatError: the container or the stream is malformed.
        SimulationError: the design, the buffers or the calibration cannot be used.
        Stalled: the run cannot progress; says which channel waits for what.
    """
    words = stream_of(insts)
    target = device_of(words, device)
    costs, clock = costs_for(target, profile, clock_mhz, calibration)
    configuration = read_configuration(xclbin)
    check_columns(words, configuration)
    column = start_column_of(configuration, target, start_column)
    machine = load(configuration, target, costs, trace=trace)
    arrays = flat(buffers)
    preload(machine, l2 or {})
    machine.state["strict"] = strict
    machine.state["random"] = 0 if jitter_seed is None else 2 * abs(int(jitter_seed)) + 1
    firm = image(firmware)
    script = firm.script(_context(words, target, machine, arrays, costs))
    _arm(machine, script, arrays)
    started = time.perf_counter()
    ended, reads = drive(machine, configuration, core_models or {}, WATCHDOG_S * clock * 1e6)
    wall_s = time.perf_counter() - started
    forget_modelled_cores(machine, core_models or {})
    before = too_many(configuration, arrays) + not_synced(machine, buffers)
    waits = () if ended == DONE else graph(machine)
    notes = all_notes(before, machine, ended, waits)
    result = Result(
        device=target.name,
        profile=profile,
        firmware=firm.name,
        clock_mhz=clock,
        cycles=round(float(machine.state["last_op_at"]) + script.tail_cycles),
        array_cycles=round(float(np.nanmax(machine.log()["finished"], initial=0.0))),
        dispatch_base_us=costs.dispatch_base / clock,
        counts=counts_of(machine),
        diagnostics=notes,
        met={note.kind: note.times for note in notes} | counts(machine.state),
        tasks=shim_tasks(machine),
        wall_s=wall_s,
        notes=script.notes + full_logs(machine),
        start_column=column,
        events=machine.events() if trace else NO_EVENTS,
        waits=waits,
        reads=reads,
        costs=None if calibration is None else costs,
    )
    if ended != DONE:
        raise Stalled(stall_text(machine, result, ended), result)
    return result


def _context(
    words: NDArray[np.uint32],
    device: Device,
    machine: Machine,
    arrays: list[NDArray[np.uint8]],
    costs: Costs,
) -> Context:
    """What a firmware image can see of this run."""
    return Context(
        words=words,
        device=device,
        columns=machine.columns,
        object_bytes=object_bytes(machine),
        costs=costs,
        read_tile=partial(tile_bytes, machine),
        read_argument=partial(argument_bytes, arrays),
        memtile_buffers=partial(memtile_buffers, machine),
    )


def _arm(machine: Machine, script: Script, arrays: list[NDArray[np.uint8]]) -> None:
    """Give the machine its host buffers and its script."""
    buffers = np.zeros(len(arrays), BUFFER)
    buffers["pointer"] = [array.ctypes.data for array in arrays]
    buffers["base"] = [number + 1 << ADDRESS_WINDOW_BITS for number in range(len(arrays))]
    buffers["length"] = [array.size for array in arrays]
    machine.keep("buffers", buffers)
    machine.keep("words", np.ascontiguousarray(script.words))
    machine.keep("ops", script.ops)
    machine.state["work_left"] = script.work_cycles
    machine.state["work_slice"] = script.work_slice
