# SPDX-License-Identifier: Apache-2.0
"""Streams of the word-by-word model: a word moves to all its sinks at once, or not at all.

Actors are generators: they yield `MOVED` after a word, else what they wait for.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Generator
from dataclasses import dataclass

from word_array import Array, place_name
from word_bds import Tile
from word_routes import LOST, End, Place, Routes

MOVED = ""
"""What an actor yields after it has moved a word."""
DATA, HEADER = "data", "header"
"""What an actor that takes a word waits for."""
Taken = tuple[int, bool]
"""A word, and whether it has TLAST."""


class Ticket:
    """Counts the sinks that have not yet taken the last word of a BD."""

    def __init__(self) -> None:
        self.waiting = 0


@dataclass
class Sender:
    """Where a source stands in its packets."""

    first: bool = True
    """The next word is a packet's first."""
    ends: tuple[End, ...] = ()


class Streams:
    """Everything between sources and sinks."""

    def __init__(self, array: Array) -> None:
        self.array = array
        self.fifos: dict[Place, deque[tuple[int, bool, Ticket | None]]] = defaultdict(deque)
        self.taken: dict[str, list[int]] = defaultdict(list)
        """Words of data in the order in which each sink took them."""
        self._arbiters: dict[tuple[Tile, int], Place] = {}
        self._senders: dict[Place, Sender] = defaultdict(Sender)
        self.find_routes()

    def find_routes(self) -> None:
        """Look at the switches as they stand now."""
        self.routes = Routes(self.array.registers.__getitem__, self.array.columns)

    def put(
        self, source: Place, word: int, last: bool, ticket: Ticket | None = None
    ) -> Generator[str, None, None]:
        """Send a word as soon as all its sinks have room."""
        while (reason := self._offer(source, word, last, ticket)) is not None:
            yield reason
        self.array.changes += 1
        yield MOVED

    def take(self, sink: Place, what: str = DATA) -> Generator[str, None, Taken]:
        """Take the first word that lies before a sink."""
        while not self.fifos[sink]:
            yield what if sink in self.routes.capacity else "route"
        word, last, ticket = self.fifos[sink].popleft()
        if ticket is not None:
            ticket.waiting -= 1
        if what == DATA:
            self.taken[place_name(sink)].append(word)
        self.array.changes += 1
        yield MOVED
        return word, last

    def _offer(self, source: Place, word: int, last: bool, ticket: Ticket | None) -> str | None:
        """Put a word before all its sinks; if that cannot be, what it waits for."""
        if source not in self.routes.by_packet:
            return "route"
        sender, packets = self._senders[source], self.routes.by_packet[source]
        header = packets and sender.first
        if not packets:
            sender.ends = self.routes.ends(source, 0)
        elif header:
            reason = self._open(source, sender, word)
            if reason is not None:
                return reason
        sinks = [end.sink for end in sender.ends if not (header and end.drops)]
        full = [sink for sink in sinks if len(self.fifos[sink]) >= self.routes.capacity[sink]]
        if any(sink[1].startswith(LOST) for sink in full):
            self.array.note("route-dead-end", source)
        if full:
            return "room"
        for sink in sinks:
            self.fifos[sink].append((word, last, ticket))
        if ticket is not None:
            ticket.waiting += len(sinks)
        sender.first = last
        if packets and last:
            self._arbiters = {each: who for each, who in self._arbiters.items() if who != source}
        return None

    def _open(self, source: Place, sender: Sender, header: int) -> str | None:
        """Choose a packet's way and take its arbiters; if that cannot be, what it waits for."""
        sender.ends = self.routes.ends(source, header & 0x1F)
        if not sender.ends or any(end.unruled for end in sender.ends):
            self.array.note("packet-unrouted", source)
            return "route"
        for arbiter in dict.fromkeys(each for end in sender.ends for each in end.arbiters):
            if arbiter not in self._arbiters:
                self.array.changes += 1
            if self._arbiters.setdefault(arbiter, source) != source:
                return "arbiter"
        return None
