# SPDX-License-Identifier: Apache-2.0
"""What silicon would do wrong, by name: met by the compiled engine, told here in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from numba import njit

from firmware_sim.state import (
    NOTES_KEPT,
    ROWS_MODELLED,
    TILE_CHANNELS,
    Machine,
    channel_name,
    tile_name,
)


class Kind(NamedTuple):
    """A class of mistake: its name, what happened, and what to do about it."""

    name: str
    text: str


KINDS = (
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
    Kind("bd-invalid", "{channel} loaded BD {value}, whose valid bit is clear; the channel halts"),
    Kind("bd-empty", "{channel} loaded BD {value} with length 0; the channel halts"),
    Kind(
        "bd-feature",
        "{channel} loaded BD {value} with packets, padding or compression, which are not modelled; "
        "the channel halts",
    ),
    Kind("no-route", "{channel} has a task but no circuit route to another DMA"),
    Kind(
        "bad-address",
        "{channel} reached address 0x{value:x}, which is in no host buffer; the words are lost",
    ),
    Kind(
        "bad-patch",
        "DDR patch names argument {value}, but no such host buffer was given: address 0 is used",
    ),
    Kind(
        "patch-not-folded",
        "DDR patch of argument {value} is not folded: firmware translates only the first five host "
        "buffers, later compilers add 0x80000000 to the offset of the others; read as if folded",
    ),
    Kind(
        "token-unrouted",
        "{channel} finished a task with a token that has no route to the controller: it never "
        "arrives",
    ),
    Kind("lock-range", "lock {value} of {tile} left the range 0 to 63"),
    Kind(
        "bd-parity", "{channel} was given BD {value}, which only channels of other parity can use"
    ),
    Kind(
        "unmodelled-register",
        "write to 0x{value:x}, a register that is not modelled, had no effect",
    ),
    Kind("outside-partition", "write to address 0x{value:x} outside the partition had no effect"),
    Kind(
        "route-rewritten",
        "stream-switch register 0x{value:x} of {tile} rewritten by the stream; routes stay as the "
        "configuration made them",
    ),
    Kind(
        "unmodelled-read",
        "poll of 0x{value:x}, a register that is not modelled; it was read as 0",
    ),
    Kind(
        "patch-offset",
        "DDR patch by {value} bytes is beyond any host buffer; the BD gets address 0",
    ),
)
"""Every diagnostic; its position is its code in the compiled engine."""

(
    QUEUE_OVERFLOW,
    LIVE_BD_REWRITTEN,
    BD_INVALID,
    BD_EMPTY,
    BD_FEATURE,
    NO_ROUTE,
    BAD_ADDRESS,
    BAD_PATCH,
    PATCH_NOT_FOLDED,
    TOKEN_UNROUTED,
    LOCK_RANGE,
    BD_PARITY,
    UNMODELLED_REGISTER,
    OUTSIDE_PARTITION,
    ROUTE_REWRITTEN,
    UNMODELLED_READ,
    PATCH_OFFSET,
) = range(len(KINDS))

WARNINGS = frozenset(
    {"patch-not-folded", "too-many-buffers", "unmodelled-register", "left-in-array"}
)
"""Diagnostics after which the data can still be right."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One mistake: when, where, by which op of the stream, and what to do."""

    kind: str
    cycle: int
    op: int
    """Number of the op that caused it or was being executed, in what the firmware executes."""
    channel: str
    message: str
    times: int = 1
    """How often the same was met; cycle and op are those of the first time."""

    def __str__(self) -> str:
        more = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.kind} at cycle {self.cycle}, op {self.op}: {self.message}{more}"

    @property
    def is_warning(self) -> bool:
        """Whether the data can still be right."""
        return self.kind in WARNINGS


WARNING_CODES = tuple(code for code, kind in enumerate(KINDS) if kind.name in WARNINGS)
ROOM_FOR_WARNINGS = NOTES_KEPT // 2


@njit
def report(m: Machine, kind: int, channel: int, tile: int, value: int, now: float) -> None:
    """Note a diagnostic, once for all times that the same is met; count it in any case.

    Warnings fill at most half of the notes, so that they never crowd out mistakes.
    """
    m.note_counts[kind] += 1
    progress = m.progress[0]
    for row in range(progress.notes):
        note = m.notes[row]
        same = note.kind == kind and note.channel == channel and note.tile == tile
        if same and (note.value == value or kind == BAD_ADDRESS):
            note.times += 1
            return
    room = ROOM_FOR_WARNINGS if kind in WARNING_CODES else m.notes.size
    if progress.notes < room:
        note = m.notes[progress.notes]
        note.at = now
        note.kind = kind
        note.op = progress.op
        note.channel = channel
        note.tile = tile
        note.value = value
        note.times = 1
        progress.notes += 1


def read(m: Machine) -> tuple[Diagnostic, ...]:
    """The diagnostics that were kept, in the order they were first met."""
    return tuple(_one(note) for note in m.notes[: int(m.progress["notes"][0])])


def counts(m: Machine) -> dict[str, int]:
    """How often each kind of diagnostic was met, kept or not; kinds not met are left out."""
    return {
        kind.name: int(count) for kind, count in zip(KINDS, m.note_counts, strict=False) if count
    }


def _one(note: Any) -> Diagnostic:
    channel, tile = int(note["channel"]), int(note["tile"])
    if channel >= 0:
        tile = channel // TILE_CHANNELS
    column, row = divmod(tile, ROWS_MODELLED)
    name = channel_name(channel) if channel >= 0 else ""
    kind = KINDS[int(note["kind"])]
    text = kind.text.format(channel=name, tile=tile_name(column, row), value=int(note["value"]))
    at, op, times = round(float(note["at"])), int(note["op"]), int(note["times"])
    return Diagnostic(kind.name, at, op, name, text, times)
