# SPDX-License-Identifier: Apache-2.0
"""Lower object fifos: who holds which buffers, locks and DMA channels, and which flows join them.

The order in which things are found here decides every id and the order of register writes, so it
is that of mlir-aie's objectFifo pass (AIEObjectFifoStatefulTransform.cpp): fifos as declared, each
followed by its receiving ends, last consumer first; buffers and locks of a later fifo listed before
those of an earlier one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from aie2.devices import Device
from aie2.fields import WORD_BYTES
from aie2.registers import DMA, LOCKS, Direction
from aie2.tiles import TileKind
from iron_designs.compiler.parts import Bd, Buffer, Channel, Endpoint, Flow, Lock, Objects
from iron_designs.dataflow import Dataflow, Dims, Fifo, Link, Tile
from iron_designs.errors import DesignError

ADJACENT_CHANNELS = 4
"""Memtile channels 0 to 3 reach the neighbours' memory (AIETargetModel.h)."""


@dataclass(eq=False, slots=True)
class End:
    """One end of a fifo: the producer's, or a consumer's, at `tile`."""

    fifo: Fifo
    tile: Tile
    consumer: int | None
    """Index of the consumer; None at the producer."""
    depth: int
    link: Link | None = None
    """The link that joins objects at this end."""
    buffers: list[Buffer] = field(default_factory=list[Buffer])
    locks: list[Lock] = field(default_factory=list[Lock])
    channel: int = -1

    @property
    def name(self) -> str:
        """mlir-aie's name of the end, which its buffers and locks begin with."""
        if self.consumer is None:
            return self.fifo.name
        many = len(self.fifo.consumers) > 1
        return f"{self.fifo.name}_{self.consumer}_cons" if many else f"{self.fifo.name}_cons"

    @property
    def direction(self) -> Direction:
        """Producers send, consumers receive."""
        return Direction.MM2S if self.consumer is None else Direction.S2MM

    @property
    def dims(self) -> Dims:
        """n-d transform of this end."""
        if self.consumer is None:
            return self.fifo.to_stream
        return self.fifo.received_as(self.consumer)


def lower(design: Dataflow) -> Objects:
    """DMA programs and flows of a design.

    Raises:
        DesignError: more channels, locks or memory than a tile has.
    """
    return _Lowering(design).result()


class _Lowering:
    """State of one lowering; each method is one stage of mlir-aie's pass."""

    def __init__(self, design: Dataflow) -> None:
        self.design = design
        self.device: Device = design.device
        self.split = {fifo.name: _ends(fifo, design) for fifo in design.fifos}
        """(producer, consumers) of each fifo."""
        self.owners: dict[Link, End] = {}
        """The end of each link whose buffers and locks all its fifos use."""
        self.listed: list[Tile | Buffer | Lock] = [(design.extra_tiles or design.tiles)[-1]]
        """The last tile to be declared and what stands below it: each end's objects directly."""
        self.at = 1
        """Where the next object is listed."""
        self.used_locks: dict[Tile, int] = {}
        self.used_bytes: dict[Tile, int] = {}
        self.used_channels: dict[tuple[Tile, Direction], set[int]] = {}
        self.tiles = dict.fromkeys(design.tiles)

    def result(self) -> Objects:
        """Run all stages."""
        for producer, consumers in self.split.values():
            for end in (producer, *reversed(consumers)):
                self._make_elements(end)
        self._assign_channels()
        programs: dict[Tile, list[Channel]] = {}
        for producer, consumers in self.split.values():
            for end in (producer, *consumers):
                if end.tile.kind is not TileKind.SHIM:
                    programs.setdefault(end.tile, []).append(self._program(end))
        cores_first = sorted(programs, key=lambda tile: tile.kind is not TileKind.CORE)
        return Objects(
            buffers=tuple(one for one in self.listed if isinstance(one, Buffer)),
            locks=tuple(one for one in self.listed if isinstance(one, Lock)),
            channels=tuple(channel for tile in cores_first for channel in programs[tile]),
            flows=tuple(self._flows()),
            shim_channels=dict(self._shim_channels()),
        )

    def _make_elements(self, end: End) -> None:
        """Buffers and locks of an end, unless another end of its link has them for all."""
        if end.link is not None and (end.link in self.owners or not self._owns(end, end.link)):
            return
        self.at = 1 + max(n for n, one in enumerate(self.listed) if isinstance(one, Tile))
        if end.tile.kind is not TileKind.SHIM:
            end.buffers = [self._buffer(end, index) for index in range(end.depth)]
        parts, repeat = 1, end.fifo.repeat if end.consumer is None else None
        if end.link is not None:
            parts = max(len(end.link.sources), len(end.link.destinations))
            repeat = self._link_repeat(end.link) or repeat
            self.owners[end.link] = end
        end.locks = self._locks(end, parts, repeat or 1)
        self.listed[self.at : self.at] = end.locks

    def _owns(self, end: End, link: Link) -> bool:
        """Whether the link's objects are this end's: the larger ones, the input's if equal."""
        first, last = self._end_in(link.sources[0], link), self.split[link.destinations[0]][0]
        if link.is_join:
            return end is last
        if link.is_split:
            return end is first
        return end is (first if first.fifo.words >= last.fifo.words else last)

    def _end_in(self, source: str, link: Link) -> End:
        """The receiving end of a link's source fifo."""
        return next(end for end in self.split[source][1] if end.link is link)

    def _link_repeat(self, link: Link) -> int | None:
        repeats = {self.design.by_name[name].repeat for name in link.destinations}
        if len(repeats) > 1:
            raise DesignError(
                f"fifos {', '.join(link.destinations)} share objects and repeat them unequally "
                "often: give all of them the same repeat"
            )
        return repeats.pop()

    def _buffer(self, end: End, index: int) -> Buffer:
        """Memory for one object; a full memtile's next buffer goes to a neighbour's memory."""
        size = end.fifo.words * WORD_BYTES
        tile = end.tile
        if tile.kind is TileKind.MEMTILE and self._used(tile) + size > self.device.memtile_bytes:
            for other in self._neighbours(tile):
                if self._used(other) + size <= self.device.memtile_bytes:
                    tile = other
                    break
        self.used_bytes[tile] = self._used(tile) + size
        buffer = Buffer(f"{end.name}_buff_{index}", tile, end.fifo.words)
        self.listed.insert(self.at, buffer)
        self.at += 1
        return buffer

    def _used(self, tile: Tile) -> int:
        return self.used_bytes.get(tile, 0)

    def _neighbours(self, tile: Tile) -> list[Tile]:
        columns = (tile.column - 1, tile.column + 1)
        found = [Tile(c, tile.row) for c in columns if 0 <= c < self.design.columns]
        for other in found:
            if other not in self.tiles:
                self._declare(other, tile)
        return found

    def _declare(self, tile: Tile, after: Tile) -> None:
        """A tile that nothing has named stands below the one that needs it and its buffers."""
        self.tiles[tile] = None
        if after in self.listed:
            at = self.listed.index(after) + 1
            while at < len(self.listed) and isinstance(self.listed[at], Buffer):
                at += 1
            self.listed.insert(at, tile)
            self.at += at == self.at

    def _locks(self, end: End, parts: int, repeat: int) -> list[Lock]:
        """A pair per part: how many objects may be written, and how many may be read."""
        free = 0 if end.tile.kind is TileKind.SHIM else end.depth
        return [
            Lock(f"{end.name}_{role}_lock_{part}", end.tile, self._lock_id(end.tile), init)
            for part in range(parts)
            for role, init in (("prod", free * repeat), ("cons", 0))
        ]

    def _lock_id(self, tile: Tile) -> int:
        taken = self.used_locks.get(tile, 0)
        count = LOCKS[tile.kind].count
        if taken == count:
            raise DesignError(f"{tile} needs more than its {count} locks: use fewer fifos there")
        self.used_locks[tile] = taken + 1
        return taken

    def _assign_channels(self) -> None:
        """Lowest free channel each; ends with buffers in a neighbour's memory choose first."""
        for apart in (True, False):
            for producer, consumers in self.split.values():
                for end in (producer, *consumers):
                    if self._is_apart(end) == apart:
                        end.channel = self._free_channel(end, apart=apart)

    def _is_apart(self, end: End) -> bool:
        return any(buffer.tile != self._owner(end).tile for buffer in self._owner(end).buffers)

    def _owner(self, end: End) -> End:
        return end if end.link is None else self.owners[end.link]

    def _free_channel(self, end: End, *, apart: bool) -> int:
        count = DMA[end.tile.kind].channels(end.direction)
        if apart:
            count = min(count, ADJACENT_CHANNELS)
        used = self.used_channels.setdefault((end.tile, end.direction), set())
        for index in range(count):
            if index not in used:
                used.add(index)
                return index
        verb = "send from" if end.consumer is None else "arrive at"
        reach = " with the neighbours' memory in reach" if apart else ""
        raise DesignError(
            f"fifo {end.fifo.name!r} is one too many to {verb} {end.tile}: it has {count} "
            f"{end.direction.name} channels{reach}"
        )

    def _program(self, end: End) -> Channel:
        """The BD loop of an end."""
        return Channel(end.tile, end.direction, end.channel, tuple(self._bds(end)))

    def _bds(self, end: End) -> list[Bd]:
        owner, link = self._owner(end), end.link
        parts = self._parts(end, owner)
        repeat = (end.fifo.repeat or 1) if end.consumer is None else 1
        count = 1
        if link is not None and end.consumer is not None:
            count = self._link_repeat(link) or 1
        return [
            self._bd(end, owner, buffer, *parts[turn % len(parts)], count)
            for buffer in owner.buffers
            for turn in range(repeat * len(parts))
        ]

    def _parts(self, end: End, owner: End) -> list[tuple[int, int, int]]:
        """(offset, words, lock pair) of each BD that an object takes at this end."""
        link = end.link
        if link is None or not (link.is_join or link.is_split):
            in_core = end.tile.kind is TileKind.CORE
            words = end.fifo.words if in_core else max(end.fifo.words, owner.fifo.words)
            return [(0, words, 0)]
        edges = (*link.offsets, owner.fifo.words)
        parts = [(edges[n], edges[n + 1] - edges[n], n) for n in range(len(link.offsets))]
        if end is owner:
            return parts
        names = link.sources if link.is_join else link.destinations
        return [parts[names.index(end.fifo.name)]]

    def _bd(
        self, end: End, owner: End, buffer: Buffer, offset: int, words: int, pair: int, count: int
    ) -> Bd:
        room, filled = owner.locks[2 * pair], owner.locks[2 * pair + 1]
        acquire, release = (filled, room) if end.consumer is None else (room, filled)
        return Bd(buffer, offset, words, end.dims, acquire, count, release, count)

    def _flows(self) -> list[Flow]:
        """Flows as declared; of several consumers the last comes first."""
        return [
            Flow(Endpoint(producer.tile, producer.channel), Endpoint(end.tile, end.channel))
            for producer, consumers in self.split.values()
            for end in reversed(consumers)
        ]

    def _shim_channels(self) -> list[tuple[str, tuple[Tile, Direction, int]]]:
        return [
            (end.fifo.name, (end.tile, end.direction, end.channel))
            for producer, consumers in self.split.values()
            for end in (producer, *consumers)
            if end.tile.kind is TileKind.SHIM
        ]


def _ends(fifo: Fifo, design: Dataflow) -> tuple[End, list[End]]:
    """Both ends of a fifo; a link holds at the producer, or at the consumer where it meets."""
    link = design.link_of(fifo.name)
    producer = End(fifo, fifo.producer, None, fifo.depth_at(0))
    consumers = [
        End(fifo, tile, index, fifo.depth_at(index + 1))
        for index, tile in enumerate(fifo.consumers)
    ]
    if link is not None and fifo.name in link.destinations:
        producer.link = link
    elif link is not None:
        meeting = design.by_name[link.destinations[0]].producer
        next(end for end in consumers if end.tile == meeting).link = link
    return producer, consumers
