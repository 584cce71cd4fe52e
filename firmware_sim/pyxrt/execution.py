# SPDX-License-Identifier: Apache-2.0
"""From a command as the driver gets it to its end: the simulator runs what hardware would get.

Ends as on an NPU: a run that cannot go on is ended by the driver after 2 s (TIMEOUT, with the op
that was being executed), what the firmware cannot read is an ERROR, an address that is mapped to
nothing a TIMEOUT without an op (xdna-driver test/shim_test: bad_timeout, bad_op, bad_addr).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.errors import Aie2Error
from aie2.fields import WORD_BYTES
from firmware_sim.errors import SimulationError, Stalled
from firmware_sim.outcome import WATCHDOG_S
from firmware_sim.pyxrt.buffers import Span
from firmware_sim.pyxrt.containers import Content
from firmware_sim.pyxrt.enums import ert_cmd_state
from firmware_sim.pyxrt.memory import Argument
from firmware_sim.pyxrt.messages import SIMULATOR_TAG, warn
from firmware_sim.pyxrt.npu import Npu
from firmware_sim.result import Result
from firmware_sim.simulate import simulate

NEW = int(ert_cmd_state.ERT_CMD_STATE_NEW)
COMPLETED = int(ert_cmd_state.ERT_CMD_STATE_COMPLETED)
ERROR = int(ert_cmd_state.ERT_CMD_STATE_ERROR)
ABORT = int(ert_cmd_state.ERT_CMD_STATE_ABORT)
TIMEOUT = int(ert_cmd_state.ERT_CMD_STATE_TIMEOUT)

RUN_STREAM = 3
"""Opcode of a command that runs an instruction stream."""
NO_OP = 0xFFFFFFFF
"""What the health words say where no op was being executed."""
UNMAPPED = ("bad-patch", "bad-address", "patch-offset")
"""Diagnostics of the simulator that are accesses to memory that is not mapped."""
MICROSECONDS = 1e6


@dataclass(frozen=True)
class Order:
    """What the driver gets for one run."""

    opcode: int | None
    """None: the kernel has no such argument."""
    instructions: NDArray[np.uint8] | None
    """Device copy of the instruction buffer; None: none was set."""
    count: int
    """Length of the stream, in words or in bytes."""
    arguments: tuple[Span | None, ...]
    """Host buffers in argument order; None: not set."""


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    state: int
    seconds: float = 0.0
    """Device time until it ended."""
    result: Result | None = None
    reason: str = ""
    """Why it is not COMPLETED."""
    op: int = NO_OP
    """Op that was being executed when it hung."""


class _Refused(Exception):  # noqa: N818 - carries an outcome
    """The firmware does not take the order."""

    def __init__(self, reason: str, state: int = ERROR) -> None:
        super().__init__(reason)
        self.outcome = Outcome(state, WATCHDOG_S if state == TIMEOUT else 0.0, reason=reason)


def execute(npu: Npu, content: Content, order: Order) -> Outcome:
    """Run an order to its end; says on stderr what was found, unless the settings are silent."""
    fault = npu.next_fault()
    if fault:
        outcome = _injected(fault)
    elif npu.hung:
        outcome = Outcome(ABORT, WATCHDOG_S, reason="a run that was queued before it hangs")
    else:
        try:
            outcome = _simulate(npu, content, order, _stream(npu, content, order))
        except _Refused as refused:
            outcome = refused.outcome
    _say(npu, outcome)
    return outcome


def _injected(fault: str) -> Outcome:
    states = {"TIMEOUT": TIMEOUT, "ERROR": ERROR, "ABORT": ABORT}
    seconds = WATCHDOG_S if fault == "TIMEOUT" else 0.0
    return Outcome(states[fault], seconds, reason=f"{fault} was injected by the settings")


def _stream(npu: Npu, content: Content, order: Order) -> NDArray[np.uint32]:
    """The instruction stream, as long as its own header says."""
    if order.opcode not in (None, RUN_STREAM):
        raise _Refused(f"opcode {order.opcode} is not {RUN_STREAM}, which runs a stream")
    data = order.instructions
    if data is None:
        raise _Refused("no instruction buffer was set", TIMEOUT)
    if data.size < txn.HEADER_WORDS * WORD_BYTES:
        raise _Refused(f"the instruction buffer's {data.size} bytes have no room for a header")
    words = data[: data.size // WORD_BYTES * WORD_BYTES].view(np.uint32)
    stated_bytes = int(words[txn.HEADER_BYTES_WORD])
    if stated_bytes > data.size:
        raise _Refused(
            f"the stream's header states {stated_bytes} bytes and the instruction buffer has "
            f"{data.size}"
        )
    if order.count * WORD_BYTES < stated_bytes:
        raise _Refused(
            f"the stream's header states {stated_bytes} bytes, and {order.count} are too few "
            "words or bytes for that; were the instructions synced to the device?"
        )
    return _for_this(npu, content, words[: stated_bytes // WORD_BYTES])


def _for_this(npu: Npu, content: Content, words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """The words, if they are a stream for this device and design."""
    try:
        header = txn.read_header(words)
    except Aie2Error as error:
        raise _Refused(f"{error}; were the instructions synced to the device?") from error
    if header.generation != npu.device.generation:
        raise _Refused(
            f"the stream was made for device generation {header.generation} and this is "
            f"{npu.device.name}, generation {npu.device.generation}; make it for this device"
        )
    columns = content.configuration.columns
    if header.columns > columns:
        raise _Refused(
            f"the stream is for {header.columns} columns and the context has {columns}", TIMEOUT
        )
    return words


def _simulate(npu: Npu, content: Content, order: Order, words: NDArray[np.uint32]) -> Outcome:
    """Run a stream on the device copies of its buffers."""
    settings = npu.settings
    buffers, originals = _buffers(order.arguments, settings.check_syncs)
    hung = ""
    try:
        result = simulate(
            content.configuration,
            words,
            buffers,
            device=settings.device,
            profile=settings.profile,
            firmware=settings.firmware,
            l2=settings.l2,
            clock_mhz=settings.clock_mhz,
            calibration=settings.calibration,
            jitter_seed=settings.jitter_seed,
            start_column=settings.start_column,
        )
    except Stalled as stalled:
        hung, result = str(stalled), stalled.result
    except (Aie2Error, SimulationError) as error:
        raise _Refused(str(error)) from error
    for argument, before in originals.items():
        _merge(order.arguments[argument], buffers[argument], before)
    unmapped = next((note for note in result.diagnostics if note.kind in UNMAPPED), None)
    if unmapped is not None:
        reason = f"{unmapped}{_not_set(order.arguments)}"
        return Outcome(TIMEOUT, WATCHDOG_S, result, reason)
    if hung:
        return Outcome(TIMEOUT, WATCHDOG_S, result, hung, result.counts.ops)
    return Outcome(COMPLETED, result.dispatch_base_us / MICROSECONDS + _seconds(result), result)


def _seconds(result: Result) -> float:
    return result.microseconds / MICROSECONDS


def _not_set(arguments: Sequence[Span | None]) -> str:
    missing = [str(number) for number, span in enumerate(arguments) if span is None]
    return f"; host buffers {', '.join(missing)} of the run were not set" if missing else ""


def _buffers(
    arguments: Sequence[Span | None], check_syncs: bool
) -> tuple[list[Argument], dict[int, NDArray[np.uint8]]]:
    """Buffers for `simulate`, and those that share memory with others as they were before.

    What shares memory is given as a copy and brought together after the run, since the simulator
    keeps buffers apart. Trailing arguments that were not set are left out; those between get no
    bytes, so that their use is noticed.
    """
    last = max((number for number, span in enumerate(arguments) if span is not None), default=-1)
    buffers: list[Argument] = []
    seen: list[NDArray[np.uint8]] = []
    originals: dict[int, NDArray[np.uint8]] = {}
    for number, span in enumerate(arguments[: last + 1]):
        if span is None:
            buffers.append(Argument(np.zeros(0, np.uint8), False))
            continue
        data = span.device_bytes
        if any(np.may_share_memory(data, other) for other in seen):
            originals[number] = data.copy()
            data = data.copy()
        seen.append(data)
        buffers.append(Argument(data, check_syncs and span.differs))
    return buffers, originals


def _merge(span: Span | None, buffer: Argument, before: NDArray[np.uint8]) -> None:
    """Bring what the run changed in a copy back to where it was copied from."""
    if span is None:
        return
    changed = buffer.device_bytes != before
    span.device_bytes[changed] = buffer.device_bytes[changed]


def _say(npu: Npu, outcome: Outcome) -> None:
    """Say why a run failed, and what the simulator found that would spoil data; each thing once."""
    if not npu.settings.messages:
        return
    found = [outcome.reason] if outcome.reason else []
    if outcome.result is not None:
        found += [str(note) for note in outcome.result.diagnostics if not note.is_warning]
    for text in found:
        if text not in npu.said:
            npu.said.add(text)
            warn(text, SIMULATOR_TAG)
