# SPDX-License-Identifier: Apache-2.0
"""DMA channels of the word-by-word model: task queues, chains, repeats, locks, tokens."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field
from typing import NoReturn

from word_array import Array, place_name
from word_bds import (
    Fields,
    Queued,
    Tile,
    base,
    fault,
    iteration,
    lock_of,
    made_header,
    places,
    queued,
)
from word_routes import CONTROLLER, Place
from word_streams import HEADER, MOVED, Streams, Ticket

from aie2.control_packets import PACKET_HEADER
from aie2.registers import DMA, Direction
from aie2.tiles import ROWS, TileKind, address, kind

Steps = Generator[str, None, None]


@dataclass
class Channel:
    """A DMA channel: its queue and what it executes."""

    place: Place
    queue: deque[Queued] = field(default_factory=deque)
    task: Queued | None = None
    bd: int = 0
    rounds_left: int = 0
    left: int = 0
    """Words of the BD that are still to come or go."""
    done: int = 0
    """Words of it that have."""
    halted: bool = False
    broken: bool = False
    """The BD has named memory that there is not."""
    holds_lock: bool = False
    """It sends under a lock."""
    waits: str = ""

    def start(self, task: Queued | None) -> None:
        """Begin a task, or none."""
        self.task = task
        self.bd, self.rounds_left = (task.start, task.repeat) if task else (0, 0)


class Channels:
    """All DMA channels."""

    def __init__(self, array: Array, streams: Streams) -> None:
        self.array, self.streams = array, streams
        tiles = [(column, row) for column in range(array.columns) for row in ROWS]
        self.all = {
            place: Channel(place)
            for tile in tiles
            for way in Direction
            for number in range(DMA[kind(tile[1])].channels(way))
            for place in [(tile, way.name, number)]
        }
        self.loaded: dict[str, list[int]] = defaultdict(list)
        """BDs in the order in which each channel loaded them."""
        self.tokens: dict[Place, int] = defaultdict(int)
        """Tokens that nobody has waited for yet."""
        self.arrived: dict[str, int] = defaultdict(int)

    def behind_queue(self, tile: Tile, offset: int) -> Channel | None:
        """The channel whose task queue is the register at an offset."""
        dma = DMA[kind(tile[1])]
        for way in Direction:
            for number in range(dma.channels(way)):
                if offset == dma.queue_address(way, number):
                    return self.all[tile, way.name, number]
        return None

    def push(self, channel: Channel, word: int, live: bool) -> None:
        """A queue word: a task that starts, waits, or is lost."""
        task = queued(DMA[kind(channel.place[0][1])], word)
        if live:
            routes = self.streams.routes
            if channel.place not in routes.by_packet and channel.place not in routes.capacity:
                self.array.note("no-route", channel.place)
            user = self._user(channel.place[0], task.start)
            if user is not None:
                self.array.note("live-bd-pushed", user.place)
        if channel.task is None:
            channel.start(task)
        elif len(channel.queue) == self.array.device.queue_depth:
            self.array.note("queue-overflow", channel.place)
        else:
            channel.queue.append(task)

    def check_bd_write(self, tile: Tile, offset: int) -> None:
        """Note a write to a BD that a task has still to execute."""
        dma = DMA[kind(tile[1])]
        number = (offset - dma.bd_base) // dma.bd_stride
        user = self._user(tile, number) if 0 <= number < dma.bd_count else None
        if user is not None:
            exhausted = all(self._user(tile, other) for other in range(dma.bd_count))
            self.array.note("bd-exhausted" if exhausted else "live-bd-rewritten", user.place)

    def _user(self, tile: Tile, number: int) -> Channel | None:
        """A channel that has still to execute a BD."""
        for place, channel in self.all.items():
            if place[0] != tile or channel.task is None:
                continue
            if any(number in bds for bds in self._to_execute(channel, channel.task)):
                return channel
        return None

    def _to_execute(self, channel: Channel, task: Queued) -> Iterator[set[int]]:
        """BDs of running and queued tasks that have still to be executed."""
        tile = channel.place[0]
        if self._out_of_order(channel.place):
            yield {channel.bd} if channel.left else set()
            return
        if not channel.halted:
            yield self._chain(tile, channel.bd)
        if channel.rounds_left:
            yield self._chain(tile, task.start)
        yield from (self._chain(tile, each.start) for each in channel.queue)

    def _chain(self, tile: Tile, start: int) -> set[int]:
        found: set[int] = set()
        number: int | None = start
        while number is not None and number not in found:
            found.add(number)
            number = following(self._fields(tile, number))
        return found

    def _fields(self, tile: Tile, number: int) -> Fields | None:
        """Fields of a BD; None: the tile has no such BD."""
        dma = DMA[kind(tile[1])]
        if number >= dma.bd_count:
            return None
        first = address(*tile, dma.bd_address(number))
        return dma.bd.decode([self.array.registers[first + 4 * n] for n in range(dma.bd.words)])

    def _out_of_order(self, place: Place) -> bool:
        return place[1] == "S2MM" and bool(self.array.control(place, "enable_out_of_order"))

    def tasks(self, channel: Channel) -> Steps:
        """Execute tasks; to be asked only while there is one."""
        while True:
            task = channel.task
            assert task is not None
            for left in range(task.repeat, -1, -1):
                channel.rounds_left = left
                if self._out_of_order(channel.place):
                    word, _ = yield from self.streams.take(channel.place, HEADER)
                    named = PACKET_HEADER.field("out_of_order_id").take(word)
                    yield from self._bd(channel, named)
                    continue
                number: int | None = task.start
                while number is not None:
                    number = following((yield from self._bd(channel, number)))
            self.array.changes += 1
            if task.token:
                self._issue_token(channel.place)
            channel.start(channel.queue.popleft() if channel.queue else None)
            yield MOVED

    def _bd(self, channel: Channel, number: int) -> Generator[str, None, Fields]:
        """Execute one BD; returns its fields."""
        tile, way, n = channel.place
        channel.bd, channel.done = number, 0
        fields = self._fields(tile, number)
        if fields is None:
            return (yield from self._halt(channel, "bd-missing"))
        why = fault(tile, n, number, fields, self.array.columns)
        if why is not None:
            return (yield from self._halt(channel, why))
        self.array.changes += 1
        self.loaded[place_name(channel.place)].append(number)
        first = base(tile, fields) + self._iterate(tile, number, fields)
        while not self._acquired(channel, fields):
            yield "lock"
        sends = way == "MM2S"
        channel.holds_lock = sends and bool(fields["lock_acq_enable"])
        where = [None if at is None else first + at for at in places(fields, sends)]
        channel.left = len(where)
        yield from (self._send(channel, fields, where) if sends else self._receive(channel, where))
        channel.holds_lock, channel.left, channel.done = False, 0, 0
        if channel.broken:
            yield from self._halt(channel)
        if fields["lock_rel_value"]:
            lock = lock_of(tile, n, fields["lock_rel_id"], self.array.columns)
            assert lock is not None
            self.array.release(lock, fields["lock_rel_value"])
        return fields

    def _halt(self, channel: Channel, why: str | None = None) -> Generator[str, None, NoReturn]:
        """Go on never again."""
        if why is not None:
            self.array.note(why, channel.place)
        channel.halted = True
        while True:
            yield "halted"

    def _iterate(self, tile: Tile, number: int, fields: Fields) -> int:
        """Bytes that the iteration adds this time; counts in the register."""
        plus, then = iteration(fields)
        dma = DMA[kind(tile[1])]
        entry = dma.bd.field("iteration_current")
        at = address(*tile, dma.bd_address(number) + 4 * entry.word)
        others = self.array.registers[at] & ~(entry.mask << entry.shift)
        self.array.registers[at] = others | entry.place(then)
        return plus

    def _acquired(self, channel: Channel, fields: Fields) -> bool:
        if not fields["lock_acq_enable"]:
            return True
        tile, _, n = channel.place
        lock = lock_of(tile, n, fields["lock_acq_id"], self.array.columns)
        assert lock is not None
        return self.array.acquire(lock, fields["lock_acq_value"])

    def _issue_token(self, place: Place) -> None:
        packet_id = self.array.control(place, "controller_id") & 0x1F
        ends = self.streams.routes.ends((place[0], "out", 0), packet_id)
        if any(end.sink == CONTROLLER for end in ends):
            self.tokens[place] += 1
            self.arrived[place_name(place)] += 1
        else:
            self.array.note("token-unrouted", place)

    def _send(self, channel: Channel, fields: Fields, where: list[int | None]) -> Steps:
        """Send a BD's words; it is done when the last has been taken everywhere."""
        ticket, place, packet = Ticket(), channel.place, bool(fields["enable_packet"])
        if packet:
            yield from self.streams.put(place, made_header(place[0], fields), False)
        tlast = packet or not fields["tlast_suppress"]
        for at in where:
            word = self.array.padding(place) if at is None else self._load(channel, at)
            last = channel.left == 1
            yield from self.streams.put(place, word, last and tlast, ticket if last else None)
            channel.left -= 1
            channel.done += 1
        while ticket.waiting:
            yield "flush"

    def _receive(self, channel: Channel, where: list[int | None]) -> Steps:
        """Take a BD's words; where TLAST counts, it ends the BD."""
        framed = self.array.control(channel.place, "fot_mode")
        for at in where:
            assert at is not None
            word, last = yield from self.streams.take(channel.place)
            found = self.array.behind(channel.place, at)
            channel.broken |= found is None and kind(channel.place[0][1]) is not TileKind.SHIM
            if found is not None:
                found[0][found[1]] = word
            channel.left -= 1
            channel.done += 1
            if last and framed:
                break

    def _load(self, channel: Channel, at: int) -> int:
        found = self.array.behind(channel.place, at)
        channel.broken |= found is None and kind(channel.place[0][1]) is not TileKind.SHIM
        return 0 if found is None else int(found[0][found[1]])


def following(fields: Fields | None) -> int | None:
    """BD that comes next in a chain."""
    return fields["next_bd"] if fields and fields["use_next_bd"] else None
