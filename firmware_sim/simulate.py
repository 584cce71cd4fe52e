# SPDX-License-Identifier: Apache-2.0
"""The simulator's one call: xclbin, stream and host buffers in; data, time and mistakes out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.devices import Device, by_generation
from aie2.devices import device as device_named
from aie2.registers import Direction
from firmware_sim.bd_registers import WORD_BYTES
from firmware_sim.calibration import Costs
from firmware_sim.calibration import costs as costs_of
from firmware_sim.configure import (
    Configuration,
    XclbinSource,
    load,
    object_bytes,
    read_configuration,
)
from firmware_sim.diagnostics import KINDS, PATCH_NOT_FOLDED, Diagnostic, counts, read
from firmware_sim.engine import (
    CORE,
    DONE,
    IDLE_EVENTS,
    PYTHON_OP,
    REROUTE,
    ROOM,
    STALLED,
    STRICT,
    run,
    start,
)
from firmware_sim.errors import ConfigurationError, HostBufferError, Stalled
from firmware_sim.firmware import Firmware, image
from firmware_sim.firmware.script import Context, Script
from firmware_sim.machine import Machine
from firmware_sim.result import TASK, Counts, Result
from firmware_sim.routes import connect
from firmware_sim.state import (
    BUFFER,
    READY,
    channel_id,
    channel_name,
    channel_of,
    tile_index,
    tile_kind_channels,
)
from firmware_sim.waits import explain, unfinished

WATCHDOG_S = 2.0
"""The driver ends a dispatch after this long (xdna-driver, timeout_in_sec)."""
ADDRESS_WINDOW_BITS = 36
"""Each host buffer has its own window of device addresses: an overrun never hits another."""

FOLDING = KINDS[PATCH_NOT_FOLDED].name
NAMES = frozenset(kind.name for kind in KINDS)

Insts = bytes | str | PathLike[str] | NDArray[np.uint32]
L2 = Mapping[tuple[int, int, int], NDArray]


def simulate(
    xclbin: XclbinSource | Configuration,
    insts: Insts,
    buffers: Sequence[NDArray],
    *,
    device: str | Device | None = None,
    profile: str = "central",
    firmware: str | Firmware = "stock",
    l2: L2 | None = None,
    clock_mhz: float | None = None,
) -> Result:
    """Run a stream on a configured array; `buffers` are updated as the device would.

    Args:
        xclbin: path, bytes or parsed container, or a `Configuration`.
        insts: TXN stream: path, bytes or words.
        buffers: host buffers in argument order, C-contiguous; more than the xclbin declares is
            taken with a warning.
        device: "npu1" or "npu2"; by default what the stream's header says.
        profile: which split of the unmeasured timing (`firmware_sim.calibration.PROFILES`).
        firmware: "stock", "native", "phase2", or an image such as `Phase1(...)`.
        l2: {(column, row, offset): array} memtile memory as the layer before left it.
        clock_mhz: array clock; by default the device's.

    Raises:
        aie2.errors.FormatError: the container or the stream is malformed.
        SimulationError: the design, the buffers or the calibration cannot be used.
        Stalled: the run cannot progress; says which channel waits for what.
    """
    words = _words(insts)
    target = _device(words, device)
    costs = costs_of(target.name, profile, clock_mhz)
    clock = target.clock_mhz if clock_mhz is None else clock_mhz
    configuration = read_configuration(xclbin)
    _check_columns(words, configuration)
    machine = load(configuration, target, costs)
    arrays = _host_buffers(buffers)
    _preload(machine, l2 or {})
    firm = image(firmware)
    script = firm.script(_context(words, target, machine, arrays, costs))
    _arm(machine, script, arrays)
    started = time.perf_counter()
    ended = _run(machine, WATCHDOG_S * clock * 1e6)
    wall_s = time.perf_counter() - started
    notes = _all_notes(_too_many(configuration, arrays), machine, ended)
    result = Result(
        device=target.name,
        profile=profile,
        firmware=firm.name,
        clock_mhz=clock,
        cycles=round(float(machine.state["last_op_at"]) + script.tail_cycles),
        array_cycles=round(float(np.nanmax(machine.log()["finished"], initial=0.0))),
        dispatch_base_us=costs.dispatch_base / clock,
        counts=_counts(machine),
        diagnostics=notes,
        met=counts(machine.state) | {note.kind: note.times for note in notes if note.kind not in NAMES},
        tasks=_shim_tasks(machine),
        wall_s=wall_s,
        notes=script.notes,
    )
    if ended != DONE:
        raise Stalled(_stall(machine, result, ended), result)
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
        read_tile=lambda column, row, offset, count: _tile(machine, column, row, offset, count),
        read_argument=lambda argument, offset, count: _argument(arrays, argument, offset, count),
    )


def _words(insts: Insts) -> NDArray[np.uint32]:
    """Words of a stream in version 0.1, whichever version it came in."""
    data = Path(insts).read_bytes() if isinstance(insts, (str, PathLike)) else insts
    header = txn.read_header(data)
    if (header.major, header.minor) != (0, 1):
        program = txn.decode(data)
        data = txn.encode(replace(program, header=replace(header, major=0, minor=1)))
    if isinstance(data, bytes):
        return np.frombuffer(data, np.uint32)
    return np.ascontiguousarray(data, np.uint32)


def _device(words: NDArray[np.uint32], wanted: str | Device | None) -> Device:
    stated = by_generation(txn.read_header(words).generation)
    if wanted is None:
        return stated
    chosen = device_named(wanted) if isinstance(wanted, str) else wanted
    if chosen.name != stated.name:
        raise ConfigurationError(
            f"the stream was made for {stated.name} and {chosen.name} was asked for; make it again "
            "for that device"
        )
    return chosen


def _check_columns(words: NDArray[np.uint32], configuration: Configuration) -> None:
    columns = txn.read_header(words).columns
    if columns > configuration.columns:
        raise ConfigurationError(
            f"the stream is for {columns} columns and the design has {configuration.columns}; use "
            "the xclbin that the stream was made for"
        )


def _host_buffers(buffers: Sequence[NDArray]) -> list[NDArray[np.uint8]]:
    arrays: list[NDArray[np.uint8]] = []
    for number, buffer in enumerate(buffers):
        if not isinstance(buffer, np.ndarray) or not buffer.flags.c_contiguous:
            raise HostBufferError(f"buffer {number} is not a C-contiguous numpy array")
        if buffer.dtype.hasobject:
            raise HostBufferError(f"buffer {number} holds Python objects; give it a number type")
        if not buffer.flags.writeable:
            raise HostBufferError(f"buffer {number} is read-only; the device may write to it")
        flat = buffer.reshape(-1).view(np.uint8)
        for other, seen in enumerate(arrays):
            if np.may_share_memory(flat, seen):
                raise HostBufferError(
                    f"buffers {other} and {number} share memory; copy one of them"
                )
        arrays.append(flat)
    return arrays


def _too_many(
    configuration: Configuration, arrays: list[NDArray[np.uint8]]
) -> tuple[Diagnostic, ...]:
    declared = configuration.host_buffers
    if declared is None or len(arrays) <= declared:
        return ()
    text = (
        f"the xclbin declares {declared} host buffers and {len(arrays)} were given; a real device "
        "cannot be called like that; patches of the others are read alike, folded or not"
    )
    return (Diagnostic("too-many-buffers", 0, 0, "", text),)


def _tile(machine: Machine, column: int, row: int, offset: int, count: int) -> NDArray[np.uint8]:
    memory = machine.memory_of(column, row)
    if offset < 0 or offset + count > memory.size:
        raise ConfigurationError(
            f"{count} bytes at offset 0x{offset:x} of tile ({column},{row}) are not in its "
            f"{memory.size} bytes of memory"
        )
    return memory[offset : offset + count]


def _argument(
    arrays: list[NDArray[np.uint8]], argument: int, offset: int, count: int
) -> NDArray[np.uint8]:
    if argument >= len(arrays) or offset + count > arrays[argument].size:
        raise HostBufferError(
            f"{count} bytes at offset {offset} of host buffer {argument} were asked for, and no "
            "such bytes were given"
        )
    return arrays[argument][offset : offset + count]


def _preload(machine: Machine, l2: L2) -> None:
    for (column, row, offset), array in l2.items():
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        _tile(machine, column, row, offset, raw.size)[:] = raw


def _arm(machine: Machine, script: Script, arrays: list[NDArray[np.uint8]]) -> None:
    """Give the machine its host buffers and its script."""
    buffers = np.zeros(len(arrays), BUFFER)
    buffers["pointer"] = [array.ctypes.data for array in arrays]
    buffers["base"] = [number + 1 << ADDRESS_WINDOW_BITS for number in range(len(arrays))]
    buffers["length"] = [array.size for array in arrays]
    machine.keep("buffers", buffers)
    machine.keep("words", np.ascontiguousarray(script.words))
    machine.keep("ops", script.ops)


def _run(machine: Machine, limit: float) -> int:
    """Run to the end, doing what the compiled loop leaves to Python."""
    start(machine.record, 0.0)
    while True:
        ended = run(machine.record, limit)
        if ended == ROOM:
            machine.make_room()
        elif ended == REROUTE:
            connect(machine)
            start(machine.record, float(machine.state["stop_at"]))
        elif ended not in (CORE, PYTHON_OP):
            return ended


def _shim_channels(machine: Machine, direction: Direction) -> list[int]:
    return [
        channel_id(column, 0, direction, channel)
        for column in range(machine.columns)
        for channel in range(tile_kind_channels(0))
    ]


def _counts(machine: Machine) -> Counts:
    done = machine.state
    moved = machine.channels["moved"]
    return Counts(
        ops=int(done["op"]),
        bds=int(done["bds_written"]),
        pushes=int(done["pushes"]),
        tokens=int(done["tokens"]),
        patches=int(done["patches"]),
        polls=int(done["polls"]),
        dropped_pushes=int(done["dropped"]),
        bytes_read=int(moved[_shim_channels(machine, Direction.MM2S)].sum()) * WORD_BYTES,
        bytes_written=int(moved[_shim_channels(machine, Direction.S2MM)].sum()) * WORD_BYTES,
    )


def _shim_tasks(machine: Machine) -> NDArray[np.void]:
    log = machine.log()
    tasks = np.zeros(log.size, TASK)
    where = np.array([channel_of(number) for number in log["channel"]], np.int64).reshape(-1, 4)
    for place, name in enumerate(("column", "row", "direction", "channel")):
        tasks[name] = where[:, place]
    for name in ("started", "finished", "words"):
        tasks[name] = log[name]
    return tasks


def _all_notes(
    before: tuple[Diagnostic, ...], machine: Machine, ended: int
) -> tuple[Diagnostic, ...]:
    """What was met before, during and after the run; one warning about folding is enough."""
    met, folding = list(before), bool(before)
    for note in read(machine.state):
        if note.kind != FOLDING or not folding:
            met.append(note)
        folding = folding or note.kind == FOLDING
    return (*met, *_left_behind(machine, ended))


def _left_behind(machine: Machine, ended: int) -> tuple[Diagnostic, ...]:
    """What a stream that came to its end leaves behind: tasks, and words in the array."""
    if ended != DONE:
        return ()
    op, at = int(machine.state["op"]), float(machine.state["last_op_at"])

    def note(kind: str, channel: str, text: str) -> Diagnostic:
        return Diagnostic(kind, round(at), op, channel, text)

    stuck = unfinished(machine)
    notes = [
        note(
            "unfinished-task",
            name,
            f"{name} still has a task when the stream ends, and nothing will move any more; wait "
            "for its token before the end",
        )
        for name in stuck
    ]
    log = machine.log()
    late = sorted({int(number) for number in log["channel"][log["finished"] > at]})
    for name in (channel_name(number) for number in late):
        text = f"{name} finishes after the stream has ended; the host would read too early"
        notes.append(note("ends-early", name, f"{text}; wait for its token before the end"))
    left = _left_in_array(machine)
    if left and not stuck:
        notes.append(note("left-in-array", "", f"{left}; the next run would begin with that"))
    return tuple(notes)


def _left_in_array(machine: Machine) -> str:
    """Words that came in and found no way out, so that the next run would begin with them."""
    channels = machine.channels
    for number in np.flatnonzero(channels["held"] > 0):
        held = int(channels["held"][number])
        return f"{held} words lie in the stream before {channel_name(int(number))}"
    has_task = channels["task"] >= 0
    for number in np.flatnonzero(has_task & (channels["position"] > 0)):
        done, name = int(channels["position"][number]), channel_name(int(number))
        if channels["words_left"][number] > 0:
            return f"{name} stands in the middle of a BD, {done} words in"
    for number in np.flatnonzero(has_task & (channels["phase"] == READY)):
        column, row, direction, _ = channel_of(int(number))
        fields = machine.bd(tile_index(column, row), int(channels["bd"][number]))
        if direction == Direction.MM2S and fields["lock_acq_enable"]:
            return f"{channel_name(int(number))} holds data that nothing takes"
    return ""


def _stall(machine: Machine, result: Result, ended: int) -> str:
    if ended == STALLED:
        text = f"no progress after cycle {result.array_cycles}: {explain(machine)}"
    else:
        text = (
            f"still running after {WATCHDOG_S:g} s of device time or {IDLE_EVENTS} events in the "
            "array, when the driver's watchdog would have ended it; op "
            f"{machine.state['op']} was being executed"
        )
    first = next((note for note in result.diagnostics if not note.is_warning), None)
    return text if first is None else f"{text}; before that: {first}"
