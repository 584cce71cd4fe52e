# SPDX-License-Identifier: Apache-2.0
"""What an instruction stream does: tasks with what they move, waits with what they end."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np

from aie2.devices import by_generation
from aie2.fields import WORD_BYTES
from aie2.tiles import COLUMN_SHIFT
from aie2.txn import Opcode
from bdgen.target import TRANSLATED_ARGS
from firmware_sim.array.controller import FOLD
from firmware_sim.array.mmio import (
    BD,
    CORE_ENABLE,
    CTRL,
    LOCK,
    MEMORY,
    MUX,
    PAD_VALUE,
    QUEUE,
    SILENT,
    STATUS,
    SWITCH,
)
from firmware_sim.array.state import BD_SLOTS, NONE, TILE_CHANNELS, channel_name
from firmware_sim.check.stream import Event, Stream
from firmware_sim.check.tasks import Rectangle, Task
from firmware_sim.check.walk import Walk
from firmware_sim.explain import facts
from firmware_sim.explain.bds import HOST, read_bd

WRITTEN = {
    CTRL: "channel control",
    STATUS: "channel status",
    LOCK: "lock",
    SWITCH: "stream switch",
    MUX: "shim mux",
    MEMORY: "data memory",
    PAD_VALUE: "padding value",
    CORE_ENABLE: "core control",
    SILENT: "events, trace, program memory",
}
"""Registers that are no BD and no queue, by what they are."""


class _Patch(NamedTuple):
    argument: int
    offset: int


class _Asked(NamedTuple):
    """A wait that is being made."""

    op: int
    text: str
    proves: dict[int, int]
    """By channel: tasks that have ended when it is over; NONE: as many as it covers."""


class Recorder(Walk):
    """Writes down the tasks and waits of a stream."""

    def __init__(self, stream: Stream) -> None:
        self.pushes: list[facts.Push] = []
        self.waits: list[facts.Waiting] = []
        super().__init__(stream)

    def began(self) -> None:
        """See `Walk`."""
        self._patches: dict[int, _Patch] = {}
        self._known: dict[int, int] = {}
        """Tasks of each channel that earlier waits ended or covered."""
        self._proven: dict[int, int] = {}
        """Tasks of each channel whose end earlier waits have proven."""
        self._asked = _Asked(NONE, "", {})

    def described(self, op: int, tile: int, bd: int) -> None:
        """See `Walk`."""
        self._patches.pop(tile * BD_SLOTS + bd, None)

    def patched(self, event: Event) -> None:
        """See `Walk`."""
        offset = event.value
        if event.number >= TRANSLATED_ARGS and offset >= FOLD:
            offset -= FOLD
        self._patches[event.where] = _Patch(event.number, offset)

    def started(self, task: Task) -> None:
        """See `Walk`."""
        if task.op < 0:
            return
        moves = tuple(self._move(task, bd, row) for bd, row in task.chain if row != NONE)
        times = task.repeats + 1
        nbytes = sum(move.bd.words for move in moves) * WORD_BYTES * times
        self.pushes.append(
            facts.Push(
                op=task.op,
                channel=channel_name(task.channel),
                chain=tuple(bd for bd, _ in task.chain),
                endless=task.endless,
                times=times,
                token=task.token,
                nbytes=0 if task.endless else nbytes,
                moves=moves,
            )
        )

    def _move(self, task: Task, number: int, row: int) -> facts.Move:
        tile = task.channel // TILE_CHANNELS
        bd = read_bd(tile, number, self.stream.bds.words[row], self.columns)
        patch = self._patches.get(tile * BD_SLOTS + number)
        if bd.memory != HOST or patch is None:
            return facts.Move(bd, None, bd.address)
        return facts.Move(bd, *patch)

    def awaited(self, op: int, asked: Rectangle, channels: tuple[int, ...]) -> None:
        """See `Walk`."""
        names = [channel_name(number) for number in channels]
        where = " and ".join(names) or f"tiles at ({asked.column},{asked.row}) that are not there"
        self._asked = _Asked(op, f"a token of {where}", {})
        for number in channels:
            state = self.channel(number)
            if state.tokens:
                self._asked.proves[number] = state.tokens[0] + 1

    def polled(self, event: Event) -> None:
        """See `Walk`."""
        what, proves = f"register 0x{event.number:x}", dict[int, int]()
        if event.where != NONE:
            what = f"the status of {channel_name(event.where)}"
            proves[event.where] = NONE
        text = f"{what} to be 0x{event.value:x} under mask 0x{event.mask:x}"
        self._asked = _Asked(event.op, text, proves)

    def merged(self, op: int, tokens: int, columns: int) -> None:
        """See `Walk`."""
        self._asked = _Asked(op, f"{tokens} tokens of {columns} columns", {})

    def passed(self) -> None:
        """See `Walk`."""
        ends: list[int] = []
        for number, upto in self._asked.proves.items():
            state = self.channels[number]
            upto = min(state.covered if upto == NONE else upto, state.limit)
            ends += state.sent_by[self._proven.get(number, 0) : upto]
            self._proven[number] = max(self._proven.get(number, 0), upto)
        covers: list[int] = []
        for number, state in self.channels.items():
            first = self._known.get(number, 0)
            if state.covered > first:
                covers += state.sent_by[first : state.covered]
                self._known[number] = state.covered
        more = tuple(sorted(op for op in set(covers) - set(ends) if op >= 0))
        proven = tuple(op for op in ends if op >= 0)
        self.waits.append(facts.Waiting(self._asked.op, self._asked.text, proven, more))


def explain_stream(stream: Stream) -> facts.Stream:
    """Everything that a stream does, in its order."""
    recorder = Recorder(stream)
    recorder.run()
    counts = Counter(stream.bds.length[stream.configured :])
    return facts.Stream(
        version=f"{stream.header.major}.{stream.header.minor}",
        device=by_generation(stream.header.generation).name,
        columns=stream.header.columns,
        nbytes=stream.words.nbytes,
        ops=_ops(stream),
        touched_columns=_columns(stream),
        pushes=tuple(recorder.pushes),
        waits=tuple(recorder.waits),
        lengths_words=dict(sorted(counts.items())),
        arguments=_arguments(recorder.pushes),
        other_writes=_other_writes(stream),
    )


def _ops(stream: Stream) -> dict[str, int]:
    codes, counts = np.unique(stream.opcodes, return_counts=True)
    return {Opcode(int(code)).name: int(n) for code, n in zip(codes, counts, strict=True)}


def _columns(stream: Stream) -> tuple[int, ...]:
    return tuple(np.unique(stream.accesses.address >> COLUMN_SHIFT).tolist())


def _other_writes(stream: Stream) -> dict[str, int]:
    what = stream.accesses.places.what[~stream.accesses.reads]
    codes, counts = np.unique(what[(what != BD) & (what != QUEUE)], return_counts=True)
    names = [WRITTEN.get(int(code), "register not known here") for code in codes]
    found: Counter[str] = Counter()
    for name, count in zip(names, counts.tolist(), strict=True):
        found[name] += count
    return dict(found)


def _arguments(pushes: list[facts.Push]) -> tuple[facts.Argument, ...]:
    """Host buffers that pushed BDs name, with the stretch that each direction reaches."""
    found: dict[tuple[int, str], list[int]] = {}
    for push in pushes:
        direction = "read" if " MM2S " in push.channel else "written"
        for move in push.moves:
            if move.argument is None:
                continue
            end = move.offset + reach_bytes(move.bd, push.times)
            entry = found.setdefault((move.argument, direction), [move.offset, end, 0, 0])
            entry[0], entry[1] = min(entry[0], move.offset), max(entry[1], end)
            entry[2] += 1
            entry[3] += move.bd.words * WORD_BYTES * push.times
    return tuple(facts.Argument(*key, *entry) for key, entry in sorted(found.items()))


def reach_bytes(bd: facts.Bd, times: int) -> int:
    """Bytes from a BD's first word to past its furthest, over so many rounds."""
    far = sum(max(each.size - 1, 0) * each.step_words for each in bd.dimensions)
    if bd.iteration is not None:
        far += (min(times, bd.iteration.times) - 1) * bd.iteration.step_words
    return (far + 1) * WORD_BYTES
