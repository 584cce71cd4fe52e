# SPDX-License-Identifier: Apache-2.0
"""A command: its arguments, its start, and the wait for its end.

The simulation is done when a run is started. Its end comes at the device time that it took: waits
with a limit let that much device time pass without sleeping, polling lets real time pass. So a
program with time limits meets them as on an NPU, however long the simulation itself takes.
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field

from aie2.xclbin import INSTRUCTIONS, Kernel
from firmware_sim.pyxrt.buffers import BANK_MASK, Span
from firmware_sim.pyxrt.contexts import Context
from firmware_sim.pyxrt.enums import RUNNING, ert_cmd_state, xrt_msg_level
from firmware_sim.pyxrt.execution import COMPLETED, NEW, TIMEOUT, Order, Outcome, execute
from firmware_sim.pyxrt.failures import only_here, xrt_error
from firmware_sim.pyxrt.messages import TAG, log_message, warn
from firmware_sim.pyxrt.metadata import NO_BANK, connections

WORD_MASK = 0xFFFFFFFF
OPCODE, COUNT = "opcode", "ninstr"
"""Names of the scalar arguments of a kernel (mlir-aie tools/aiecc)."""
MILLISECONDS = 1e3
SLOT_SHIFT = 16


NOT_STARTED = Outcome(NEW)


class Entry:
    """A kernel of a context: what its arguments are and which memory they are connected to."""

    def __init__(self, context: Context, kernel: Kernel) -> None:
        self.context = context
        self.kernel = kernel
        self.banks = connections(context.content.container, kernel.name)
        names = [argument.name for argument in kernel.arguments]
        self.places = {name: place for place, name in enumerate(names)}
        self.buffers = tuple(
            place
            for place, argument in enumerate(kernel.arguments)
            if argument.in_memory and argument.name != INSTRUCTIONS
        )

    def group_id(self, place: int) -> int:
        """Memory bank of an argument, and the context's number."""
        bank = max(self.banks.get(place, {NO_BANK}))
        return bank | self.context.slot << SLOT_SHIFT


@dataclass(eq=False)
class Command:
    """What a run holds."""

    entry: Entry
    scalars: dict[int, int] = field(default_factory=dict[int, int])
    spans: dict[int, Span] = field(default_factory=dict[int, Span])
    outcome: Outcome = NOT_STARTED
    launched: bool = False
    """Started, and its end not yet noticed by the host."""
    runlists: int = 0
    """Runlists that it is in."""
    waited_s: float = 0.0
    ended_at: float = 0.0

    def set_buffer(self, place: int, span: Span) -> None:
        """Set an argument to a buffer; one in a bank that it is not connected to is warned about.

        Raises:
            RuntimeError: no such argument, where pyxrt crashes.
        """
        arguments = self.entry.kernel.arguments
        if not 0 <= place < len(arguments):
            raise only_here(
                f"Bad argument index '{place}': kernel {self.entry.kernel.name} takes "
                f"{len(arguments)} arguments, of which {len(self.entry.buffers)} are host buffers; "
                "pyxrt would crash here"
            )
        allowed = self.entry.banks.get(place, frozenset({NO_BANK}))
        if span.group & BANK_MASK not in allowed and self.entry.banks:
            warn(
                f"Kernel {self.entry.kernel.name} has no compute units with connectivity required "
                f"for global argument at index {place}. The argument is allocated in bank "
                f"{span.group}, the compute unit is connected to bank "
                f"{self.entry.group_id(place)}. Allocating local copy of argument buffer in "
                "connected bank."
            )
        self.spans[place] = span
        self.scalars[place] = span.address

    def set_scalar(self, place: int, value: int) -> None:
        """Set an argument to 32 bits; IndexError if there is no such argument."""
        count = len(self.entry.kernel.arguments)
        if not 0 <= place < count:
            raise IndexError(
                f"vector::_M_range_check: __n (which is {place % 2**64}) >= this->size() (which is "
                f"{count})"
            )
        self.scalars[place] = value & WORD_MASK
        self.spans.pop(place, None)

    def start(self) -> None:
        """Start the command.

        Raises:
            RuntimeError: it belongs to a runlist, or is still running.
        """
        if self.runlists:
            raise xrt_error("Run object belongs to a runlist and cannot be explicitly started")
        if self.launched:
            raise RuntimeError("bad command state, can't launch")
        self.execute()
        self.launched, self.waited_s, self.ended_at = True, 0.0, time.perf_counter()
        self._count(1)

    def execute(self) -> None:
        """Simulate the command."""
        self.outcome = execute(self.entry.context.npu, self.entry.context.content, self._order())

    def state(self) -> int:
        """State as polling sees it; notices the end."""
        if self.launched and self._elapsed_s() < self.outcome.seconds:
            return RUNNING
        self.settle()
        return self.outcome.state

    def wait(self, limit_ms: int) -> int:
        """State when it has ended; TIMEOUT if it has not within `limit_ms` (0: no limit)."""
        if limit_ms and self.launched:
            limit_s = limit_ms / MILLISECONDS
            if self._elapsed_s() + limit_s < self.outcome.seconds:
                self.waited_s += limit_s
                return TIMEOUT
        self.settle()
        return self.outcome.state

    def wait_or_raise(self) -> None:
        """Wait for the end; RuntimeError unless it is COMPLETED."""
        if self.wait(0) != COMPLETED:
            raise failure("Command failed to complete successfully", self.outcome)

    def settle(self) -> None:
        """The host has noticed the end."""
        if self.launched:
            self.launched = False
            self._count(-1)

    def _count(self, change: int) -> None:
        """Keep account of what is in flight."""
        for span in self.spans.values():
            span.memory.in_flight += change
        if self.outcome.state == TIMEOUT:
            self.entry.context.npu.hung += change

    def _elapsed_s(self) -> float:
        return self.waited_s + time.perf_counter() - self.ended_at

    def _order(self) -> Order:
        """The command as the driver gets it."""
        places = self.entry.places
        opcode = self.scalars.get(places[OPCODE], 0) if OPCODE in places else None
        instructions = self.spans.get(places.get(INSTRUCTIONS, -1))
        return Order(
            opcode,
            None if instructions is None else instructions.device_bytes,
            self.scalars.get(places.get(COUNT, -1), 0),
            tuple(self.spans.get(place) for place in self.entry.buffers),
        )

    def __del__(self) -> None:
        if getattr(self, "launched", False) and not sys.is_finalizing():
            self.settle()
            text = "xrt::run destructed while command is still in progress"
            log_message(xrt_msg_level.error, TAG, f"{text}; pyxrt ends the process here")


def failure(sentence: str, outcome: Outcome) -> RuntimeError:
    """What is raised for a bad end; a TIMEOUT comes with the context's health words."""
    text = f"{sentence} ({ert_cmd_state(outcome.state)._title()})"
    if outcome.state != TIMEOUT:
        return RuntimeError(text)
    words = {
        "txn_op_idx": outcome.op,
        "ctx_pc": 0,
        "fatal_error_type": 0,
        "fatal_error_exception_type": 0,
        "fatal_error_exception_pc": 0,
        "fatal_error_app_module": 0,
    }
    return RuntimeError(
        "\n".join([text, *(f"{name} = 0x{word:08X}" for name, word in words.items())]) + "\n"
    )
