# SPDX-License-Identifier: Apache-2.0
"""Control ports of the word-by-word model: packets that write registers or ask for them."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Generator

from word_array import Array
from word_bds import Tile, odd_parity
from word_routes import Place
from word_streams import Streams

from aie2.control_packets import CONTROL_HEADER, PACKET_HEADER, Operation
from aie2.tiles import address

ANSWER_WORDS = 128
"""Words of answers that a control port keeps."""


class ControlPorts:
    """The control ports of all tiles."""

    def __init__(self, array: Array, streams: Streams, write: Callable[[int, int], None]) -> None:
        self.array, self.streams, self._write = array, streams, write
        self.answers: dict[Tile, deque[tuple[int, bool]]] = defaultdict(deque)
        """Words that wait to be sent, with TLAST."""

    def taking(self, tile: Tile) -> Generator[str, None, None]:
        """Act on packets; what is wrong with one is thrown away up to its TLAST."""
        while True:
            last = yield from self._packet(tile)
            while not last:
                _, last = yield from self.streams.take((tile, "in", 0))

    def answering(self, tile: Tile) -> Generator[str, None, None]:
        """Send answers."""
        while True:
            while not self.answers[tile]:
                yield "nothing"
            word, last = self.answers[tile][0]
            yield from self.streams.put((tile, "out", 0), word, last)
            self.answers[tile].popleft()

    def _packet(self, tile: Tile) -> Generator[str, None, bool]:
        """One packet; returns whether another may follow, else the rest is thrown away."""
        place: Place = tile, "in", 0
        if place in self.streams.routes.keeps_header:
            _, last = yield from self.streams.take(place)
            if last:
                return True
        word, last = yield from self.streams.take(place)
        head = CONTROL_HEADER.decode([word])
        if word.bit_count() % 2 == 0 or head["operation"] not in tuple(Operation):
            self.array.note("control-packet", tile)
            return last
        beats, at = head["beats"] + 1, address(*tile, head["address"])
        if head["operation"] == Operation.READ:
            self._answer(tile, at, beats, head["answer_id"])
        else:
            for beat in range(beats):
                if last:
                    self.array.note("control-packet", tile)
                    return True
                word, last = yield from self.streams.take(place)
                self._write(at + 4 * beat, word)
        if last or self.array.device.chained_control:
            return True
        self.array.note("control-packet", tile)
        return False

    def _answer(self, tile: Tile, at: int, beats: int, answer_id: int) -> None:
        ready = self.answers[tile]
        if len(ready) + beats + 1 > ANSWER_WORDS:
            self.array.note("control-packet", tile)
            return
        fields = {"packet_id": answer_id, "source_row": tile[1], "source_column": tile[0]}
        ready.append((odd_parity(int(PACKET_HEADER.encode(**fields)[0])), False))
        ready.extend((self.array.read(at + 4 * n), n == beats - 1) for n in range(beats))
