# SPDX-License-Identifier: Apache-2.0
"""Random small designs whose outcome does not depend on timing, some of them broken on purpose.

A design is made of lanes (`random_lanes`) that share nothing but switches: each has its own
channels, locks and memory. A `Maker` knows what is still free, and what is to be broken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TypeVar

import numpy as np
from fabrics import MM2S, S2MM, TOKEN_IDS, Bd, Design, counting
from hypothesis import reject
from hypothesis import strategies as st
from numpy.typing import NDArray
from routing import Port, RouteError, Tile, dma

from aie2.devices import NPU1, NPU2
from aie2.registers import DMA, LOCKS, Direction
from aie2.tiles import TileKind, kind

T = TypeVar("T")
Buffers = list[NDArray[np.uint32]]
TROUBLES = (
    *("invalid", "empty", "far-memory", "far-lock", "iteration", "parity", "bd-missing"),
    *("no-lock", "wants-too-much", "equal-lock", "too-few-words", "lock-overflow"),
    *("lock-underflow", "overflow", "packet-id", "undrained", "no-token-route"),
    *("dead-end", "dead-end-packet"),
)
"""What can be broken in a design."""
BAD_BDS = {
    "invalid": {"valid_bd": 0},
    "empty": {"buffer_length": 0},
    "far-memory": {"base_address": 0x7FFF0},
    "far-lock": {"lock_acq_enable": 1, "lock_acq_id": 250},
    "iteration": {"iteration_wrap": 1, "iteration_current": 3},
}
"""Fields with which no memtile channel can run a BD."""


class NoRoomError(Exception):
    """A lane needs what is no longer free."""


class Maker:
    """Draws a design, and keeps what is still free of it."""

    def __init__(self, draw: st.DrawFn, columns: int, trouble: str | None) -> None:
        self._draw = draw
        self.design = Design(columns, self.one_of((NPU1, NPU2)))
        self.lane = 0
        """Number of the lane that is being made."""
        self.buffers: Buffers = []
        self.waits: list[tuple[Port, Direction]] = []
        """Channels whose token the stream waits for at its end."""
        self._trouble = trouble
        self._locks: dict[Tile, int] = {}
        self._ids = [each for each in range(26) if each not in TOKEN_IDS]
        self._free = {
            (tile, way): list(range(DMA[kind(tile[1])].channels(way)))
            for tile in self.tiles(0, 1, 2, 3)
            for way in Direction
        }
        for tile in self.tiles(0, 1, 2):
            if tile[1] or not self.breaks("no-token-route"):
                self.design.tokens(tile)

    def one_of(self, choices: Sequence[T]) -> T:
        """One of several."""
        return self._draw(st.sampled_from(choices))

    def number(self, least: int, most: int) -> int:
        """A whole number in a range."""
        return self._draw(st.integers(least, most))

    def order(self, count: int) -> list[int]:
        """The numbers below `count` in some order."""
        return self._draw(st.permutations(range(count)))

    def breaks(self, *names: str) -> str | None:
        """What is to be broken, if it is one of these; it is then broken once."""
        if self._trouble not in names:
            return None
        trouble, self._trouble = self._trouble, None
        return trouble

    def tiles(self, *rows: int) -> list[Tile]:
        """Tiles of the design in these rows."""
        return [(column, row) for column in range(self.design.columns) for row in rows]

    def port(self, way: Direction, *tiles: Tile, below: int = 6) -> Port:
        """A channel that is free on one of these tiles."""
        choices = [
            (tile, channel)
            for tile in tiles
            for channel in self._free[tile, way]
            if channel < below
        ]
        if not choices:
            raise NoRoomError
        tile, channel = self.one_of(choices)
        self._free[tile, way].remove(channel)
        return dma(tile, channel)

    def locks(self, tile: Tile, count: int = 2) -> list[int]:
        """Locks that nobody else uses."""
        first = self._locks.get(tile, 0)
        if first + count > LOCKS[kind(tile[1])].count:
            raise NoRoomError
        self._locks[tile] = first + count
        return list(range(first, first + count))

    def packet_ids(self, count: int) -> list[int]:
        """Packet ids that nobody else uses."""
        if count > len(self._ids):
            raise NoRoomError
        return [self._ids.pop(self.number(0, len(self._ids) - 1)) for _ in range(count)]

    def bds(self, port: Port, count: int) -> list[int]:
        """BDs that nobody else uses and that a channel can run."""
        self.spare(port, count)
        return [self.design.free_bd(port[0], port[2]) for _ in range(count)]

    def spare(self, port: Port, count: int) -> None:
        """Give the lane up if a channel has no such number of BDs left."""
        tile, _, channel = port
        memtile = kind(tile[1]) is TileKind.MEMTILE
        first, halves = (24 * (channel % 2), 2) if memtile else (0, 1)
        used = self.design.next_bds.get((tile, channel % 2 if memtile else 0), first) - first
        if used + count > DMA[kind(tile[1])].bd_count // halves:
            raise NoRoomError

    def data(self, words: int) -> int:
        """A host buffer whose words say where they come from; returns its number."""
        self.buffers.append(counting(words, 1000 * (len(self.buffers) + 1)))
        return len(self.buffers) - 1

    def room(self, words: int) -> int:
        """A host buffer of zeros; returns its number."""
        self.buffers.append(np.zeros(words, np.uint32))
        return len(self.buffers) - 1

    def route(self, source: Port, *sinks: Port) -> None:
        """Join ports by circuit."""
        try:
            self.design.routes.circuit(source, *sinks)
        except RouteError:
            raise NoRoomError from None

    def packets(self, packet_id: int, source: Port, *sinks: Port, keep: bool) -> None:
        """Join ports for the packets of an id."""
        try:
            routes = self.design.routes
            routes.packets(packet_id, source, *sinks, keep=keep, lane=self.lane)
        except RouteError:
            raise NoRoomError from None

    def spoil(self, tile: Tile, bds: list[Bd]) -> list[Bd]:
        """The same BDs, one of them such that it cannot run if that is to be broken."""
        if kind(tile[1]) is not TileKind.MEMTILE:
            return bds
        trouble = self.breaks(*BAD_BDS)
        if trouble is None:
            return bds
        bad = self.number(0, len(bds) - 1)
        return [
            replace(bd, raw=BAD_BDS[trouble]) if place == bad else bd
            for place, bd in enumerate(bds)
        ]


def divisors(words: int, most: int = 48) -> list[int]:
    """Numbers up to `most` that divide a number of words."""
    return [n for n in range(1, min(words, most) + 1) if words % n == 0]


def shuffled(maker: Maker, words: int, dimensions: int = 3) -> list[tuple[int, int]]:
    """Dimensions that meet every word of an object once, in an order of their own."""
    sizes = [words]
    for _ in range(maker.number(0, dimensions - 1)):
        inner = maker.one_of(divisors(sizes[0]))
        sizes[:1] = [sizes[0] // inner, inner]
    steps = [int(np.prod(sizes[place + 1 :])) for place in range(len(sizes))]
    return [(sizes[place], steps[place]) for place in maker.order(len(sizes))]


def padded(maker: Maker, words: int) -> Bd:
    """A sending memtile BD that pads an object in every dimension."""
    inner = maker.one_of(divisors(words, 12))
    middle = maker.one_of(divisors(words // inner, 12))
    sizes = (words // inner // middle, middle, inner)
    pad = [(maker.number(0, 2), maker.number(0, 2)) for _ in sizes]
    total = int(
        np.prod([before + size + after for size, (before, after) in zip(sizes, pad, strict=True)])
    )
    dims = list(zip(sizes, (middle * inner, inner, 1), strict=True))
    return Bd(maker.one_of((total, max(1, total - 1))), dims=dims, pad=pad)


def parts(maker: Maker, words: int, most: int = 3) -> list[Bd]:
    """BDs that cover `words` words between them, one after the other."""
    cuts = {maker.number(1, words) for _ in range(maker.number(0, most - 1))} - {words}
    edges = [0, *sorted(cuts), words]
    return [Bd(end - start, at=4 * start) for start, end in pairwise(edges)]


def host_bds(maker: Maker, words: int, arg: int) -> list[Bd]:
    """Shim BDs that cover a host buffer between them, each in an order of its own."""
    return [Bd(bd.words, bd.at, arg, shuffled(maker, bd.words)) for bd in parts(maker, words)]


def run_all(
    maker: Maker,
    port: Port,
    way: Direction,
    bds: list[Bd],
    *,
    token: bool = False,
    chain: bool | None = None,
) -> None:
    """Push a task for each BD, or one for a chain of them all; `token`: and wait for it."""
    numbers = maker.bds(port, len(bds))
    together = maker.one_of((True, False)) if chain is None else chain
    follow = [*numbers[1:], None] if together else [None] * len(bds)
    for number, then, bd in zip(numbers, follow, bds, strict=True):
        linked = bd if then is None else replace(bd, then=then)
        maker.design.write_bd(port[0], number, linked)
    starts = numbers[:1] if together else numbers
    for start in starts:
        maker.design.push(port, way, start, token=token and start == starts[-1])
    if token:
        maker.waits.append((port, way))


def send_from_host(maker: Maker, port: Port, words: int) -> None:
    """Send a new host buffer: by BDs of any form, or by one that iterates."""
    arg = maker.data(words)
    times = maker.one_of(divisors(words, 5))
    if times > 1:
        piece = words // times
        (number,) = maker.bds(port, 1)
        maker.design.write_bd(port[0], number, Bd(piece, arg=arg, times=(times, piece, 0)))
        maker.design.push(port, MM2S, number, repeat=times - 1)
    else:
        run_all(maker, port, MM2S, host_bds(maker, words, arg))


def take_to_host(maker: Maker, port: Port, words: int) -> None:
    """Receive into a new host buffer; the stream waits for it at its end."""
    run_all(maker, port, S2MM, host_bds(maker, words, maker.room(words)), token=True)


def store(maker: Maker, port: Port, words: int) -> None:
    """Receive into a tile's memory: started by the configuration or by the stream."""
    tile = port[0]
    at = maker.design.buffer(tile, words)
    bds = [replace(bd, at=at + bd.at) for bd in parts(maker, words)]
    bds = maker.spoil(tile, bds)
    maker.spare(port, len(bds))
    if maker.one_of((True, False)):
        maker.design.program(tile, S2MM, port[2], bds, loop=False)
    else:
        run_all(maker, port, S2MM, bds, token=tile[1] <= 2)


@st.composite
def designs(
    draw: st.DrawFn,
    lanes: Sequence[Callable[[Maker], None]],
    troubles: Sequence[str | None] = (None,),
) -> tuple[Design, Buffers]:
    """A design of a few lanes, with host buffers; one of `troubles` is in it if a lane has it."""
    maker = Maker(draw, draw(st.integers(1, 3)), draw(st.sampled_from(troubles)))
    for lane in draw(st.lists(st.sampled_from(lanes), min_size=1, max_size=4)):
        maker.lane += 1
        try:
            lane(maker)
        except NoRoomError:
            continue
    for port, way in maker.waits:
        maker.design.wait(port, way)
    try:
        maker.design.configuration()
    except RouteError:
        reject()
    return maker.design, maker.buffers
