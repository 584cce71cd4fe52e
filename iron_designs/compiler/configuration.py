# SPDX-License-Identifier: Apache-2.0
"""A lowered design as register writes, in the order in which aiecc makes them.

Locks, then the BDs and first tasks of each tile's DMA, then switches, then the shims' muxes. Facts:
mlir-aie AIERT.cpp (the order), AIECreatePathFindFlows.cpp (which switch is configured when),
AIEAssignBufferDescriptorIDs.cpp (BD ids), and the golden CDO files, which these writes equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aie2.registers import (
    DMA,
    LOCK_VALUE,
    LOCKS,
    Layout,
)
from aie2.tiles import (
    EAST_MEMORY_OFFSET,
    MEMTILE_OWN_LOCK,
    OWN_MEMORY_OFFSET,
    TileKind,
)
from iron_designs.compiler.parts import Bd, Buffer, Channel, Lock, Objects
from iron_designs.compiler.switches import Routes, muxes, switches
from iron_designs.compiler.writes import Block, Op, Write, at
from iron_designs.dataflow import Dataflow, Tile
from iron_designs.errors import DesignError

START_MASK, START = 0, 1
"""Write with which aie-rt enables a channel that has no enable bit: it changes nothing."""


def configure(
    design: Dataflow, objects: Objects, addresses: dict[Buffer, int], routes: Routes
) -> list[Op]:
    """All register writes that set the partition up.

    Raises:
        DesignError: more BDs than a tile has, or an n-d transform that its BDs cannot hold.
    """
    return [
        *(_lock(lock) for lock in objects.locks),
        *_dmas(objects.channels, addresses),
        *switches(design, objects.flows, routes),
        *muxes(objects.flows),
    ]


def _lock(lock: Lock) -> Write:
    where, most = LOCKS[lock.tile.kind], LOCK_VALUE.field("value").max
    if lock.init > most:
        raise DesignError(
            f"lock {lock.name!r} would start at {lock.init}, and locks count to {most}: hold fewer "
            "objects or repeat them less often"
        )
    return Write(at(lock.tile, where.base + where.stride * lock.id), lock.init)


def _dmas(channels: Sequence[Channel], addresses: dict[Buffer, int]) -> Iterator[Op]:
    """Each tile's BDs, then its first tasks."""
    by_tile: dict[Tile, list[Channel]] = {}
    for channel in channels:
        by_tile.setdefault(channel.tile, []).append(channel)
    for tile, mine in by_tile.items():
        ids = _bd_ids(tile, mine)
        for channel, turn in _bd_order(mine):
            yield _bd(channel, turn, ids[channel], addresses)
        for channel in mine:
            yield from _start(channel, ids[channel][0])


def bd_ids(channels: Sequence[Channel]) -> dict[Channel, list[int]]:
    """BD ids of every channel's loop, as `configure` assigns them."""
    tiles = dict.fromkeys(channel.tile for channel in channels)
    found: dict[Channel, list[int]] = {}
    for tile in tiles:
        found.update(_bd_ids(tile, [channel for channel in channels if channel.tile == tile]))
    return found


def _bd_ids(tile: Tile, channels: Sequence[Channel]) -> dict[Channel, list[int]]:
    """Lowest free id that a channel reaches, BD by BD; a memtile's odd channels have the upper."""
    dma = DMA[tile.kind]
    is_memtile = tile.kind is TileKind.MEMTILE
    half = dma.bd_count // 2 if is_memtile else dma.bd_count
    free = [iter(range(half)), iter(range(half, dma.bd_count))]
    found: dict[Channel, list[int]] = {}
    for channel in channels:
        mine = free[channel.index % 2 if is_memtile else 0]
        found[channel] = [bd for _, bd in zip(channel.bds, mine, strict=False)]
        if len(found[channel]) < len(channel.bds):
            raise DesignError(
                f"{tile} needs more than the {half} BDs that {channel.direction.name} channel "
                f"{channel.index} can run: use fewer fifos, smaller depths or fewer parts there"
            )
    return found


def _bd_order(channels: Sequence[Channel]) -> Iterator[tuple[Channel, int]]:
    """First BDs of all channels, then the rest of the last channel, of the one before, and so on.

    That is how aiecc walks the blocks of a DMA program (AIETargetShared.cpp).
    """
    for channel in channels:
        yield channel, 0
    for channel in reversed(channels):
        for turn in range(1, len(channel.bds)):
            yield channel, turn


def _bd(channel: Channel, turn: int, ids: list[int], addresses: dict[Buffer, int]) -> Block:
    bd, dma = channel.bds[turn], DMA[channel.tile.kind]
    own = MEMTILE_OWN_LOCK if channel.tile.kind is TileKind.MEMTILE else 0
    fields = {
        "buffer_length": bd.words,
        "base_address": _seen_at(channel.tile, bd.buffer, addresses) // 4 + bd.offset,
        "use_next_bd": 1,
        "next_bd": ids[(turn + 1) % len(ids)],
        "valid_bd": 1,
        "lock_acq_enable": 1,
        "lock_acq_id": own + bd.acquire.id,
        "lock_acq_value": -bd.acquire_count,
        "lock_rel_id": own + bd.release.id,
        "lock_rel_value": bd.release_count,
        **_transform(bd, channel, dma.bd),
    }
    for name, value in fields.items():
        entry = dma.bd.field(name)
        if not entry.min <= value <= entry.max:
            raise DesignError(
                f"a BD of {channel.tile} would need {name} {value}, and it holds {entry.min} to "
                f"{entry.max}: split the object or its transform"
            )
    words = tuple(dma.bd.encode(**fields).tolist())
    return Block(at(channel.tile, dma.bd_address(ids[turn])), words)


def _seen_at(tile: Tile, buffer: Buffer, addresses: dict[Buffer, int]) -> int:
    """Byte address of a buffer as the tile's DMA sees it."""
    if tile.kind is not TileKind.MEMTILE:
        return addresses[buffer]
    steps = {-1: 0, 0: OWN_MEMORY_OFFSET, 1: EAST_MEMORY_OFFSET}
    return addresses[buffer] + steps[buffer.tile.column - tile.column]


def _transform(bd: Bd, channel: Channel, layout: Layout) -> dict[str, int]:
    """Fields of an n-d transform, which is given outermost first."""
    if any(dim.size < 1 or dim.stride < 1 for dim in bd.dims):
        raise DesignError(f"a transform at {channel.tile} has a size or stride below 1: give 1")
    end = bd.offset + sum((dim.size - 1) * dim.stride for dim in bd.dims)
    if end >= bd.buffer.words:
        raise DesignError(
            f"a transform at {channel.tile} reaches word {end} of {bd.buffer.name!r}, which has "
            f"{bd.buffer.words}: make its sizes or strides smaller"
        )
    known = {field.name for field in layout.fields}
    fields: dict[str, int] = {}
    for level, dim in enumerate(reversed(bd.dims)):
        if f"d{level}_stepsize" not in known:
            raise DesignError(
                f"a transform at {channel.tile} has {len(bd.dims)} dimensions: its BDs have {level}"
            )
        fields[f"d{level}_stepsize"] = dim.stride - 1
        if f"d{level}_wrap" in known:
            fields[f"d{level}_wrap"] = dim.size
    return fields


def _start(channel: Channel, bd_id: int) -> Iterator[Write]:
    dma = DMA[channel.tile.kind]
    queue = dma.queue_address(channel.direction, channel.index)
    yield Write(at(channel.tile, queue), bd_id)
    control = dma.ctrl(channel.direction, channel.index)
    yield Write(at(channel.tile, control), START, START_MASK)
