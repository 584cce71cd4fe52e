# SPDX-License-Identifier: Apache-2.0
"""What a design is, before anything is placed: tiles, object fifos between them, and links.

`iron_designs.compiler` lowers a `Dataflow` to registers, and `iron_designs.compiler.mlir` prints it
as the MLIR that aiecc takes. The words and their meaning are those of mlir-aie's objectFifo
operations (include/aie/Dialect/AIE/IR/AIEOps.td); an element is a 32-bit word.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

from aie2.devices import Device
from aie2.tiles import TileKind, kind
from iron_designs.errors import DesignError
from iron_designs.limits import DEPTH, partition_name


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """A tile by column, counted within the partition, and row: 0 shim, 1 memtile, 2 to 5 cores."""

    column: int
    row: int

    @property
    def kind(self) -> TileKind:
        """Shim, memtile or core."""
        return kind(self.row)

    def __str__(self) -> str:
        return f"{self.kind.value} tile ({self.column}, {self.row})"


@dataclass(frozen=True, slots=True)
class Dim:
    """A dimension of an n-d transform: `size` steps of `stride` words; the first is outermost."""

    size: int
    stride: int


Dims = tuple[Dim, ...]


@dataclass(frozen=True, slots=True)
class Fifo:
    """Objects on their way from one tile to others, in order."""

    name: str
    producer: Tile
    consumers: tuple[Tile, ...]
    words: int
    """32-bit words of an object."""
    depth: int | tuple[int, ...] = DEPTH
    """Objects held at each end, or at the producer and at each consumer."""
    to_stream: Dims = ()
    """In which order a memtile's or core's DMA reads an object; none: as it lies."""
    from_stream: tuple[Dims, ...] = ()
    """In which order each consumer's DMA writes one; none: as it comes."""
    repeat: int | None = None
    """How often each object is sent (memtile or core producers)."""

    def depth_at(self, end: int) -> int:
        """Objects held at end 0, the producer, or at end n, the n-th consumer from 1."""
        return self.depth if isinstance(self.depth, int) else self.depth[end]

    def received_as(self, consumer: int) -> Dims:
        """The n-d transform of a consumer by index."""
        return self.from_stream[consumer] if self.from_stream else ()


@dataclass(frozen=True, slots=True)
class Link:
    """Fifos into a tile joined to fifos out of it: the objects stay where they are.

    One source and one destination forward; several destinations split each object at `offsets`
    (words), several sources join theirs.
    """

    sources: tuple[str, ...]
    destinations: tuple[str, ...]
    offsets: tuple[int, ...] = ()

    @property
    def is_join(self) -> bool:
        """Several sources make one object."""
        return len(self.sources) > 1

    @property
    def is_split(self) -> bool:
        """One object goes in parts to several destinations."""
        return len(self.destinations) > 1


@dataclass(frozen=True)
class Dataflow:
    """A design for one partition of a device.

    Raises:
        DesignError: a tile that the partition has not, a fifo or link that makes no sense.
    """

    device: Device
    columns: int
    """Columns of the partition."""
    fifos: tuple[Fifo, ...]
    links: tuple[Link, ...] = ()
    extra_tiles: tuple[Tile, ...] = ()
    """Tiles that are declared although no fifo ends there."""

    def __post_init__(self) -> None:
        if not 1 <= self.columns <= self.device.columns:
            raise DesignError(
                f"columns is {self.columns}: {self.device.name} has 1 to {self.device.columns}"
            )
        for tile in self.tiles:
            self._check_tile(tile)
        for fifo in self.fifos:
            _check_fifo(fifo)
            if self.link_of(fifo.name) is None:
                _check_shared_memory(fifo)
        names = [fifo.name for fifo in self.fifos]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise DesignError(f"two fifos are called {min(twice)!r}: give each its own name")
        self._check_links()

    @property
    def target(self) -> str:
        """mlir-aie's name of the partition: the device's own at full width."""
        return partition_name(self.device, self.columns)

    @cached_property
    def tiles(self) -> tuple[Tile, ...]:
        """Tiles in the order in which the fifos name them, shims and memtiles of a fifo first."""
        seen: dict[Tile, None] = {}
        for fifo in self.fifos:
            seen.update(dict.fromkeys((fifo.producer, *fifo.consumers)))
        seen.update(dict.fromkeys(self.extra_tiles))
        return tuple(seen)

    @cached_property
    def by_name(self) -> dict[str, Fifo]:
        """Fifos by name."""
        return {fifo.name: fifo for fifo in self.fifos}

    def link_of(self, name: str) -> Link | None:
        """The link in which a fifo is, if any."""
        for link in self.links:
            if name in link.sources or name in link.destinations:
                return link
        return None

    def with_columns(self, columns: int) -> Dataflow:
        """The same design in a wider or narrower partition."""
        return replace(self, columns=columns)

    def _check_tile(self, tile: Tile) -> None:
        if not (0 <= tile.column < self.columns and 0 <= tile.row < self.device.rows):
            raise DesignError(
                f"tile ({tile.column}, {tile.row}) does not exist: {self.target} has columns 0 to "
                f"{self.columns - 1} and rows 0 to {self.device.rows - 1}"
            )

    def _check_links(self) -> None:
        linked: set[str] = set()
        for link in self.links:
            for name in (*link.sources, *link.destinations):
                if name not in self.by_name:
                    raise DesignError(f"a link names fifo {name!r}, which is not in the design")
                if name in linked:
                    raise DesignError(f"fifo {name!r} is in two links: give it one")
                linked.add(name)
            _check_link(link, self.by_name)


def _check_fifo(fifo: Fifo) -> None:
    if fifo.words < 1:
        raise DesignError(f"fifo {fifo.name!r} has objects of {fifo.words} words: give 1 or more")
    if not fifo.consumers:
        raise DesignError(f"fifo {fifo.name!r} has no consumer: give it one or more tiles")
    depths = [fifo.depth] if isinstance(fifo.depth, int) else fifo.depth
    if min(depths, default=0) < 1:
        raise DesignError(f"fifo {fifo.name!r} has depth {fifo.depth}: give 1 or more objects")
    if not isinstance(fifo.depth, int) and len(fifo.depth) != 1 + len(fifo.consumers):
        raise DesignError(
            f"fifo {fifo.name!r} has {len(fifo.depth)} depths: give one for the producer and one "
            f"for each of its {len(fifo.consumers)} consumer(s)"
        )
    if fifo.from_stream and len(fifo.from_stream) != len(fifo.consumers):
        raise DesignError(
            f"fifo {fifo.name!r} has {len(fifo.from_stream)} receiving transforms for "
            f"{len(fifo.consumers)} consumer(s): give one for each"
        )
    if fifo.repeat is not None and fifo.repeat < 1:
        raise DesignError(f"fifo {fifo.name!r} repeats {fifo.repeat} times: give 1 or more")
    _check_shim_ends(fifo)


def _check_shim_ends(fifo: Fifo) -> None:
    """A shim's DMA is programmed at run time: it has neither transform nor repeat here."""
    if fifo.producer.kind is TileKind.SHIM and (fifo.to_stream or fifo.repeat is not None):
        raise DesignError(
            f"fifo {fifo.name!r} comes from a shim, whose BDs the runtime sequence writes: put the "
            "transform or the repeat there"
        )
    for index, tile in enumerate(fifo.consumers):
        if tile.kind is TileKind.SHIM and fifo.received_as(index):
            raise DesignError(
                f"fifo {fifo.name!r} goes to a shim, whose BDs the runtime sequence writes: put "
                "the transform there"
            )


def _check_shared_memory(fifo: Fifo) -> None:
    """Neighbours of a kind share memory; plain objects between two need no DMA at all."""
    if len(fifo.consumers) > 1 or fifo.to_stream or any(fifo.from_stream) or fifo.repeat:
        return
    tile = fifo.producer
    for other in fifo.consumers:
        apart = abs(tile.column - other.column) + abs(tile.row - other.row)
        if tile.kind is other.kind is not TileKind.SHIM and apart <= 1:
            raise DesignError(
                f"fifo {fifo.name!r} joins {tile} and {other}, which share memory: only fifos "
                "that DMAs move are compiled here, use mlir-aie's aiecc"
            )


def _check_link(link: Link, by_name: dict[str, Fifo]) -> None:
    title = f"the link {', '.join(link.sources)} -> {', '.join(link.destinations)}"
    if not link.sources or not link.destinations:
        raise DesignError(f"{title} lacks an end: give fifos on both sides")
    if link.is_join and link.is_split:
        raise DesignError(f"{title} both joins and splits: use two links")
    parts = max(len(link.sources), len(link.destinations))
    if parts > 1 and len(link.offsets) != parts:
        raise DesignError(f"{title} has {len(link.offsets)} offsets: give {parts}, one for each")
    if parts == 1 and link.offsets:
        raise DesignError(f"{title} forwards whole objects: leave the offsets out")
    shared = _shared_tiles(link, by_name)
    if not shared:
        raise DesignError(f"{title} has no tile where all its fifos meet")
    if any(tile.kind is TileKind.SHIM for tile in shared):
        raise DesignError(f"{title} meets in a shim, which has no memory: use a memtile")
    if parts > 1:
        _check_parts(title, link, by_name, shared)


def _shared_tiles(link: Link, by_name: dict[str, Fifo]) -> set[Tile]:
    """Tiles at which every source ends and every destination begins."""
    meeting: Iterable[Sequence[Tile]] = (
        *((by_name[name].consumers) for name in link.sources),
        *((by_name[name].producer,) for name in link.destinations),
    )
    sets = [set(tiles) for tiles in meeting]
    return set[Tile].intersection(*sets)


def _check_parts(title: str, link: Link, by_name: dict[str, Fifo], shared: set[Tile]) -> None:
    whole = by_name[link.destinations[0] if link.is_join else link.sources[0]]
    if any(tile.kind is not TileKind.MEMTILE for tile in shared):
        raise DesignError(f"{title} meets outside a memtile: only memtiles join and split")
    edges = (*link.offsets, whole.words)
    if edges[0] < 0 or any(late <= early for early, late in pairwise(edges)):
        raise DesignError(
            f"{title} has offsets {list(link.offsets)}: they must rise and lie within the "
            f"{whole.words} words of {whole.name!r}"
        )
