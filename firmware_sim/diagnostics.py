# SPDX-License-Identifier: Apache-2.0
"""What silicon would do wrong, by name: met by the compiled engine, told here in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from firmware_sim.array.state import (
    NONE,
    NOTES_KEPT,
    ROWS,
    State,
    channel_name,
    endpoint_tile,
    tile_name,
)
from firmware_sim.compiled import compiled


class Kind(NamedTuple):
    """A class of mistake: its name, what happened, and what to do about it."""

    name: str
    text: str


KINDS = (
    Kind("", ""),
    Kind(
        "queue-overflow",
        "push of BD {value} to {channel} dropped: its task queue was full; await earlier tasks, "
        "chain BDs, or poll the queue-full bit before pushing",
    ),
    Kind(
        "live-bd-rewritten",
        "BD {value} of {tile} rewritten while {channel} still has it queued or running; wait for "
        "the task's token first",
    ),
    Kind(
        "live-bd-patched",
        "BD {value} of {tile} given a new address while {channel} still has it queued or running; "
        "wait for the task's token first",
    ),
    Kind(
        "live-bd-pushed",
        "BD {value} of {tile} pushed again while {channel} still has it queued or running; right "
        "only if both tasks are meant to be the same",
    ),
    Kind(
        "bd-exhausted",
        "BD {value} of {tile} rewritten while every BD of the tile is queued or running ({channel} "
        "has this one); free BDs by waiting for tokens",
    ),
    Kind(
        "bd-invalid",
        "{channel} loaded BD {value}, whose valid bit is clear; the channel halts: write the BD "
        "before it is pushed",
    ),
    Kind(
        "bd-missing",
        "{channel} was given BD {value}, which its tile does not have; the channel halts: use a "
        "lower BD id",
    ),
    Kind(
        "bd-empty",
        "{channel} loaded BD {value} with length 0; the channel halts: give it a length in words",
    ),
    Kind(
        "bd-feature",
        "{channel} loaded BD {value} with compression, which is not modelled; the channel halts",
    ),
    Kind(
        "bd-field",
        "{channel} loaded BD {value} with a field out of range (a lock that no tile has, or an "
        "iteration beyond its wrap); the channel halts: correct the field",
    ),
    Kind(
        "bd-parity",
        "{channel} cannot run BD {value}: memtile BDs 0 to 23 are for even channels, "
        "24 to 47 for odd ones; the channel halts",
    ),
    Kind(
        "no-route",
        "{channel} has a task but no stream route to anything; connect it in the stream switches",
    ),
    Kind(
        "route-dead-end",
        "the words of {channel} also go to a port that nothing empties; the stream stops when its "
        "FIFO is full: connect the port or disable it",
    ),
    Kind(
        "packet-unrouted",
        "{channel} sends a packet with id {value}, for which no packet slot on its way has a rule; "
        "its words go nowhere: add the slot, or correct the id",
    ),
    Kind(
        "bad-address",
        "{channel} reached address 0x{value:x}, which is in no buffer: the words are lost (a "
        "memtile's or core's channel halts): correct the BD's address, length or steps",
    ),
    Kind(
        "bad-patch",
        "DDR patch names argument {value}, but no such host buffer was given: address 0 is used; "
        "pass that buffer",
    ),
    Kind(
        "patch-not-folded",
        "DDR patch of argument {value} is not folded: firmware translates only the first five host "
        "buffers, later compilers add 0x80000000 to the offset of the others; read as if folded",
    ),
    Kind(
        "patch-offset",
        "DDR patch by {value} bytes is beyond any host buffer; the BD gets address 0",
    ),
    Kind(
        "token-unrouted",
        "{channel} finished a task with a token of id {value} that has no route to the controller: "
        "it never arrives; route the tile's control port to its column's shim south 0 for that id",
    ),
    Kind(
        "lock-overflow",
        "lock {value} of {tile} was raised beyond 63 and stays there; releases and acquires do not "
        "balance",
    ),
    Kind(
        "lock-underflow",
        "lock {value} of {tile} was lowered below 0 and stays there; releases and acquires do not "
        "balance",
    ),
    Kind(
        "misaligned",
        "access to 0x{value:x}, which is no multiple of 4: registers are 32-bit words; it had no "
        "effect",
    ),
    Kind(
        "unmodelled-register",
        "write to 0x{value:x}, a register that is not modelled, had no effect",
    ),
    Kind(
        "unmodelled-read",
        "read of 0x{value:x}, a register that is not modelled; it was read as 0",
    ),
    Kind(
        "outside-partition",
        "access to address 0x{value:x} outside the partition had no effect; the stream is for "
        "more columns than the design",
    ),
    Kind(
        "route-rewritten",
        "stream-switch register 0x{value:x} of {tile} rewritten while words are on their way; what "
        "silicon does with them is not known",
    ),
    Kind(
        "core-not-executed",
        "{tile} was given core code, which is not executed; pass core_models={{...}} to stand in "
        "for it",
    ),
    Kind(
        "control-packet",
        "{tile} got a malformed control packet (header 0x{value:x}); it is ignored: check parity, "
        "length and operation",
    ),
    Kind(
        "load-pdi",
        "op loads PDI {value}, which the container does not hold; the array stays as it is",
    ),
    Kind(
        "unmodelled-op",
        "op of kind {value} is not modelled: it costs time and does nothing; it belongs to the "
        "full-ELF flow",
    ),
    Kind(
        "buffer-not-synced",
        "the device read host buffer {value}, which was changed after it was last synced: it got "
        "the old bytes; call sync_to_device() before the run",
    ),
    Kind(
        "channel-reset",
        "{channel} was reset while it ran; its task and queue are lost",
    ),
)
"""Every diagnostic of the engine; its position is its code, and 0 means none."""

(
    _,
    QUEUE_OVERFLOW,
    LIVE_BD_REWRITTEN,
    LIVE_BD_PATCHED,
    LIVE_BD_PUSHED,
    BD_EXHAUSTED,
    BD_INVALID,
    BD_MISSING,
    BD_EMPTY,
    BD_FEATURE,
    BD_FIELD,
    BD_PARITY,
    NO_ROUTE,
    ROUTE_DEAD_END,
    PACKET_UNROUTED,
    BAD_ADDRESS,
    BAD_PATCH,
    PATCH_NOT_FOLDED,
    PATCH_OFFSET,
    TOKEN_UNROUTED,
    LOCK_OVERFLOW,
    LOCK_UNDERFLOW,
    MISALIGNED,
    UNMODELLED_REGISTER,
    UNMODELLED_READ,
    OUTSIDE_PARTITION,
    ROUTE_REWRITTEN,
    CORE_NOT_EXECUTED,
    CONTROL_PACKET,
    LOAD_PDI,
    UNMODELLED_OP,
    BUFFER_NOT_SYNCED,
    CHANNEL_RESET,
) = range(len(KINDS))

WARNINGS = frozenset(
    {
        "patch-not-folded",
        "too-many-buffers",
        "unmodelled-register",
        "left-in-array",
        "live-bd-pushed",
        "core-not-executed",
    }
)
"""Diagnostics after which the data can still be right."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: when, where, by which op of the stream, and what to do."""

    kind: str
    cycle: int
    op: int
    """Op of the stream that caused it, by number in what the firmware executes.

    A mistake of a task is the op that pushed the task; -1: the configuration did."""
    channel: str
    message: str
    times: int = 1
    """How often the same was met; cycle and op are those of the first time."""
    tile: tuple[int, int] | None = None
    """(column, row), where one tile is meant."""

    def __str__(self) -> str:
        more = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.kind} at cycle {self.cycle}, op {self.op}: {self.message}{more}"

    @property
    def is_warning(self) -> bool:
        """Whether the data can still be right."""
        return self.kind in WARNINGS


ADDRESS_WINDOW_BITS = 36
"""Each host buffer has its own window of device addresses: an overrun never hits another."""
WARNING_CODES = tuple(code for code, kind in enumerate(KINDS) if kind.name in WARNINGS)
ROOM_FOR_WARNINGS = NOTES_KEPT // 2


@compiled
def report(m: State, kind: int, channel: int, tile: int, value: int, now: float) -> None:
    """Note a diagnostic, once for all times that the same is met; count it in any case.

    A channel's mistake is that of the op that pushed its task. Warnings fill at most half of the
    notes, so that they never crowd out mistakes.
    """
    m.note_counts[kind] += 1
    warning = kind in WARNING_CODES
    if m.strict and not warning:
        m.stop = 1
    for row in range(m.notes_used):
        note = m.notes[row]
        same = note.kind == kind and note.channel == channel and note.tile == tile
        if same and (note.value == value or kind == BAD_ADDRESS):
            note.times += 1
            return
    room = ROOM_FOR_WARNINGS if warning else m.notes.size
    if m.notes_used < room:
        note = m.notes[m.notes_used]
        note.at = now
        note.kind = kind
        note.op = m.op
        if not m.live:
            note.op = NONE
        elif channel >= 0 and kind > LIVE_BD_PUSHED and m.channels[channel].task >= 0:
            note.op = m.channels[channel].task_op
        note.channel = channel
        note.tile = tile
        note.value = value
        note.times = 1
        m.notes_used += 1


def read(state: State) -> tuple[Diagnostic, ...]:
    """The diagnostics that were kept, in the order they were first met."""
    return tuple(_one(note) for note in state["notes"][: int(state["notes_used"])])


def counts(state: State) -> dict[str, int]:
    """How often each kind of diagnostic was met, kept or not; kinds not met are left out."""
    pairs: Sequence[tuple[Kind, int]] = list(zip(KINDS, state["note_counts"], strict=False))
    return {kind.name: int(count) for kind, count in pairs if count}


def _one(note: Any) -> Diagnostic:
    channel, tile = int(note["channel"]), int(note["tile"])
    if channel >= 0:
        tile = endpoint_tile(channel)
    column, row = divmod(tile, ROWS)
    name = channel_name(channel) if channel >= 0 else ""
    kind = KINDS[int(note["kind"])]
    value = int(note["value"])
    text = kind.text.format(channel=name, tile=tile_name(column, row), value=value)
    argument = (value >> ADDRESS_WINDOW_BITS) - 1
    if note["kind"] == BAD_ADDRESS and argument >= 0:
        place = f"host buffer {argument} + 0x{value % (1 << ADDRESS_WINDOW_BITS):x}"
        text = text.replace(f"address 0x{value:x}", place)
    at, op, times = round(float(note["at"])), int(note["op"]), int(note["times"])
    where = (column, row) if channel >= 0 or "{tile}" in kind.text else None
    return Diagnostic(kind.name, at, op, name, text, times, where)
