# SPDX-License-Identifier: Apache-2.0
"""The array one word at a time: a plain model to hold the fast simulator against.

Every channel is a generator that moves one word, or says what it waits for; nothing takes time.
Between two ops of the stream the array either comes to rest or, with `order`, runs for a random
while in a random order: a design whose outcome depends on it has no outcome to compare. From
`firmware_sim` comes nothing but the container of register writes and the names of tiles. Read on in
`word_bds`, `word_routes`, `word_array`, `word_streams`, `word_channels` and `word_ports`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from word_array import ALL, WINDOW, Array, HostBuffers, place_name
from word_bds import Lock, Tile
from word_channels import Channels
from word_ports import ControlPorts
from word_routes import Place
from word_streams import MOVED, Streams

from aie2 import txn
from aie2.devices import Device
from aie2.registers import SWITCHES, Direction
from aie2.tiles import ROWS, TileKind, kind, split
from firmware_sim import Configuration

DDR_ALIAS = 0x80000000
TRANSLATED_ARGUMENTS = 5
"""Host buffers that firmware translates; compilers add `DDR_ALIAS` to the offset of the others."""
LONGEST_RUN = 40
"""Rounds that the array runs at most between two ops if it need not come to rest."""


@dataclass
class Outcome:
    """What a run has left."""

    memory: dict[Tile, dict[int, int]]
    """Words of tile memory that are not 0, by byte."""
    locks: dict[Lock, int]
    """Locks that are not 0."""
    loaded: dict[str, list[int]]
    """BDs in the order in which each channel loaded them."""
    taken: dict[str, int]
    """Words of data that each S2MM channel has taken."""
    tokens: dict[str, int]
    """Tokens that arrived, by channel."""
    notes: set[tuple[str, str]]
    """Mistakes by name and place."""
    waits: dict[str, str]
    """What those wait for that cannot go on."""
    stuck_at: int | None
    """Op at which the stream stands; None: it has come to its end."""


class WordModel:
    """A configured partition; `run` takes a stream."""

    def __init__(
        self,
        configuration: Configuration,
        buffers: HostBuffers,
        device: Device,
        order: int | None = None,
    ) -> None:
        self._random = None if order is None else random.Random(order)
        self._array = Array(configuration.columns, device, buffers)
        self._streams = Streams(self._array)
        self._channels = Channels(self._array, self._streams)
        self._ports = ControlPorts(self._array, self._streams, self.write)
        self._op = 0
        self._live = False
        writes = configuration.addresses, configuration.values, configuration.masks
        for at, value, mask in zip(*writes, strict=True):
            self.write(int(at), int(value), int(mask))
        self._streams.find_routes()
        self._live = True
        self._actors: dict[Place, Iterator[str]] = {
            place: self._channels.tasks(channel) for place, channel in self._channels.all.items()
        }
        for tile in ((column, row) for column in range(configuration.columns) for row in ROWS):
            self._actors[tile, "in", 0] = self._ports.taking(tile)
            self._actors[tile, "out", 0] = self._ports.answering(tile)

    def run(self, stream: bytes) -> Outcome:
        """Execute a stream until nothing moves any more."""
        controller = self._controller(txn.decode(stream))
        ended = False
        while True:
            if self._random is None:
                self._let_run()
            elif self._random.random() < 0.5:
                self._let_run(self._random.randrange(LONGEST_RUN))
            before = self._array.changes
            ended = ended or next(controller, None) is None
            if self._array.changes == before and not self._let_run():
                return self._outcome(ended)

    def _let_run(self, rounds: int | None = None) -> bool:
        """Let every actor do one thing per round, at most until none can; whether any did."""
        first = self._array.changes
        while rounds is None or rounds > 0:
            before = self._array.changes
            actors = [place for place in self._actors if self._has_work(place)]
            if self._random is not None:
                self._random.shuffle(actors)
            for place in actors:
                reason = next(self._actors[place])
                if place in self._channels.all:
                    self._channels.all[place].waits = reason
            if self._array.changes == before:
                break
            rounds = None if rounds is None else rounds - 1
        return self._array.changes != first

    def _has_work(self, place: Place) -> bool:
        if place in self._channels.all:
            return self._channels.all[place].task is not None
        if place[1] == "in":
            return place in self._streams.routes.capacity
        return bool(self._ports.answers[place[0]])

    def _controller(self, program: txn.Program) -> Iterator[str]:
        for number, op in enumerate(program.ops):
            self._op = number
            while not self._done(op):
                yield "waits"
            self._array.changes += 1
            yield MOVED

    def _done(self, op: txn.Op) -> bool:
        """Carry an op out; False: what it waits for has not come."""
        if isinstance(op, txn.Tct):
            return self._take_tokens(op)
        if isinstance(op, txn.MaskPoll):
            return self._array.read(op.address) & op.mask == op.value
        if isinstance(op, txn.Write):
            self.write(op.address, op.value)
        elif isinstance(op, txn.MaskWrite):
            self.write(op.address, op.value, op.mask)
        elif isinstance(op, txn.BlockWrite):
            for place, word in enumerate(op.payload):
                self.write(op.address + 4 * place, word)
        elif isinstance(op, txn.DdrPatch):
            self._patch(op)
        else:
            raise NotImplementedError(type(op).__name__)
        return True

    def _patch(self, op: txn.DdrPatch) -> None:
        folded = op.arg >= TRANSLATED_ARGUMENTS and op.arg_plus >= DDR_ALIAS
        target = (op.arg + 1 << WINDOW) + op.arg_plus - DDR_ALIAS * folded
        self.write(op.address, target & ALL, ALL - 3)
        self.write(op.address + 4, target >> 32, 0xFFFF)

    def _take_tokens(self, op: txn.Tct) -> bool:
        tokens = self._channels.tokens
        wanted = [
            ((column, row), Direction(op.direction).name, op.channel)
            for column in range(op.column, op.column + op.columns)
            for row in range(op.row, op.row + op.rows)
        ]
        if any(not tokens[place] for place in wanted):
            return False
        for place in wanted:
            tokens[place] -= 1
        return True

    def write(self, at: int, value: int, mask: int = ALL) -> None:
        """One register write, whoever makes it."""
        column, row, offset = split(at)
        channel = self._channels.behind_queue((column, row), offset)
        if channel is not None:
            self._channels.push(channel, value & mask, self._live)
            self._array.changes += 1
            return
        if self._live:
            self._channels.check_bd_write((column, row), offset)
        self._array.write(at, value, mask)
        if self._live and 0 <= offset - SWITCHES[kind(row)].master_base < 0x400:
            self._streams.find_routes()

    def _outcome(self, ended: bool) -> Outcome:
        waits = {
            place_name(place): channel.waits
            for place, channel in self._channels.all.items()
            if channel.task is not None
        }
        for tile, answer in self._ports.answers.items():
            if answer:
                place = tile, "out", 0
                waits[place_name(place)] = next(self._actors[place])
        if ended:
            self._note_what_is_left()
        array, memory = self._array, self._array.memory
        kept = {tile: {at: n for at, n in words.items() if n} for tile, words in memory.items()}
        return Outcome(
            memory={tile: words for tile, words in kept.items() if words},
            locks={lock: value for lock, value in array.locks.items() if value},
            loaded=dict(self._channels.loaded),
            taken={n: len(words) for n, words in self._streams.taken.items() if "S2MM" in n},
            tokens=dict(self._channels.arrived),
            notes=array.notes,
            waits=waits,
            stuck_at=None if ended else self._op,
        )

    def _note_what_is_left(self) -> None:
        busy = {place: ch for place, ch in self._channels.all.items() if ch.task is not None}
        stuck = [place for place in busy if kind(place[0][1]) is TileKind.SHIM]
        for place in stuck:
            self._array.note("unfinished-task", place)
        held = any(self._streams.fifos.values()) or any(self._ports.answers.values())
        if not stuck and (held or any(ch.done or ch.holds_lock for ch in busy.values())):
            self._array.notes.add(("left-in-array", ""))
