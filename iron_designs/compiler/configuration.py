# SPDX-License-Identifier: Apache-2.0
"""A lowered design as register writes, in the order in which aiecc makes them.

Locks, then the BDs and first tasks of each tile's DMA, then switches, then the shims' muxes. Facts:
mlir-aie AIERT.cpp (the order), AIECreatePathFindFlows.cpp (which switch is configured when),
AIEAssignBufferDescriptorIDs.cpp (BD ids), and the golden CDO files, which these writes equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from aie2.registers import (
    DMA,
    LOCKS,
    SHIM_DEMUX,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX,
    SHIM_MUX_ADDRESS,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Direction,
    Layout,
    SwitchMap,
)
from aie2.tiles import (
    EAST_MEMORY_OFFSET,
    MEMTILE_OWN_LOCK,
    OWN_MEMORY_OFFSET,
    TileKind,
    address,
)
from iron_designs.compiler import ports
from iron_designs.compiler.objects import Bd, Buffer, Channel, Endpoint, Flow, Lock, Objects
from iron_designs.compiler.ports import Port
from iron_designs.compiler.routes import Connection
from iron_designs.dataflow import Dataflow, Tile
from iron_designs.errors import DesignError

SHIM_SOUTH = {Direction.MM2S: (3, 7), Direction.S2MM: (2, 3)}
"""South port of a shim's switch behind which each DMA channel lies."""

TOKEN_ROUTE = (5, 3, 15)
"""Arbiter, msel and packet id of the route that takes a shim's task-complete tokens south
(AIEGenerateColumnControlOverlay.cpp)."""

START_MASK, START = 0, 1
"""Write with which aie-rt enables a channel that has no enable bit: it changes nothing."""


@dataclass(frozen=True, slots=True)
class Write:
    """A 32-bit write, or under a mask."""

    address: int
    value: int
    mask: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive words."""

    address: int
    words: tuple[int, ...]


Op = Write | Block
Routes = dict[Endpoint, list[Connection]]


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
        *_switches(design, objects.flows, routes),
        *_muxes(objects.flows),
    ]


def _lock(lock: Lock) -> Write:
    where = LOCKS[lock.tile.kind]
    return Write(_address(lock.tile, where.base + where.stride * lock.id), lock.init)


def _address(tile: Tile, offset: int) -> int:
    return address(tile.column, tile.row, offset)


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
    return Block(_address(channel.tile, dma.bd_address(ids[turn])), words)


def _seen_at(tile: Tile, buffer: Buffer, addresses: dict[Buffer, int]) -> int:
    """Byte address of a buffer as the tile's DMA sees it."""
    if tile.kind is not TileKind.MEMTILE:
        return addresses[buffer]
    steps = {-1: 0, 0: OWN_MEMORY_OFFSET, 1: EAST_MEMORY_OFFSET}
    return addresses[buffer] + steps[buffer.tile.column - tile.column]


def _transform(bd: Bd, channel: Channel, layout: Layout) -> dict[str, int]:
    """Fields of an n-d transform, which is given outermost first; a stride of 0 counts as 1."""
    known = {field.name for field in layout.fields}
    fields: dict[str, int] = {}
    for level, dim in enumerate(reversed(bd.dims)):
        if f"d{level}_stepsize" not in known:
            raise DesignError(
                f"a transform at {channel.tile} has {len(bd.dims)} dimensions: its BDs have {level}"
            )
        fields[f"d{level}_stepsize"] = max(dim.stride, 1) - 1
        if f"d{level}_wrap" in known:
            fields[f"d{level}_wrap"] = dim.size
    return fields


def _start(channel: Channel, bd_id: int) -> Iterator[Write]:
    dma = DMA[channel.tile.kind]
    queue = dma.queue_address(channel.direction, channel.index)
    yield Write(_address(channel.tile, queue), bd_id)
    control = dma.ctrl(channel.direction, channel.index)
    yield Write(_address(channel.tile, control), START, START_MASK)


def _switches(design: Dataflow, flows: Sequence[Flow], routes: Routes) -> Iterator[Write]:
    """Circuits tile by tile as flows first come through, each shim with its token route."""
    boxes: dict[Tile, list[tuple[Port, Port]]] = {
        tile: [] for tile in design.tiles if tile.kind is TileKind.SHIM and _is_idle(tile, routes)
    }
    for source in dict.fromkeys(flow.source for flow in flows):
        for connection in routes[source]:
            joined = _behind_mux(connection, source)
            boxes.setdefault(connection.tile, []).append(joined)
    shims = {tile for tile in design.tiles if tile.kind is TileKind.SHIM}
    for tile, joined in boxes.items():
        switch = SWITCHES[tile.kind]
        for slave, master in joined:
            yield from _circuit(tile, switch, slave, master)
        if tile in shims:
            yield from _token_route(tile, switch)


def _is_idle(tile: Tile, routes: Routes) -> bool:
    """Whether no stream comes through a tile's switch: then its box stands first of all."""
    return all(c.tile != tile for connections in routes.values() for c in connections)


def _behind_mux(connection: Connection, source: Endpoint) -> tuple[Port, Port]:
    """The switch ports for a connection whose DMA ports are a shim's, behind its mux."""
    slave, master = connection.source, connection.destination
    if connection.tile.kind is TileKind.SHIM:
        if connection.tile == source.tile:
            slave = Port(ports.SOUTH, SHIM_SOUTH[Direction.MM2S][source.channel])
        if master.bundle == ports.DMA:
            master = Port(ports.SOUTH, SHIM_SOUTH[Direction.S2MM][master.channel])
    return slave, master


_GROUPS = {
    ports.CORE: "core",
    ports.DMA: "dma",
    ports.FIFO: "fifo",
    ports.SOUTH: "south",
    ports.WEST: "west",
    ports.NORTH: "north",
    ports.EAST: "east",
    ports.CONTROL: "ctrl",
}
"""Our register tables' names of the bundles."""


def _index(groups: tuple[tuple[str, int, int], ...], port: Port) -> int:
    first = {name: first for name, first, _ in groups}
    return first[_GROUPS[port.bundle]] + port.channel


def _circuit(tile: Tile, switch: SwitchMap, slave: Port, master: Port) -> Iterator[Write]:
    incoming, outgoing = _index(switch.slaves, slave), _index(switch.masters, master)
    yield Write(
        _address(tile, switch.master_base + switch.port_stride * outgoing),
        SWITCH_MASTER.field("enable").place(1) | SWITCH_MASTER.field("config").place(incoming),
    )
    yield Write(
        _address(tile, switch.slave_base + switch.port_stride * incoming),
        SWITCH_SLAVE.field("enable").place(1),
    )


def _token_route(tile: Tile, switch: SwitchMap) -> Iterator[Write]:
    """Task-complete tokens leave a shim's controller port for south 0, by packet."""
    arbiter, msel, packet = TOKEN_ROUTE
    incoming = _index(switch.slaves, Port(ports.CONTROL, 0))
    outgoing = _index(switch.masters, Port(ports.SOUTH, 0))
    master = SWITCH_MASTER.encode(enable=1, packet_enable=1, config=arbiter | 1 << msel << 3)
    slave = SWITCH_SLAVE.encode(enable=1, packet_enable=1)
    slot = SWITCH_SLOT.encode(id=packet, mask=0x1F, enable=1, msel=msel, arbiter=arbiter)
    for offset, words in (
        (switch.master_base + switch.port_stride * outgoing, master),
        (switch.slave_base + switch.port_stride * incoming, slave),
        (switch.slot_base + switch.slot_port_stride * incoming, slot),
    ):
        yield Write(_address(tile, offset), int(words[0]))


def _muxes(flows: Sequence[Flow]) -> Iterator[Write]:
    """Shim by shim as flows first touch its mux, in each as the flows come."""
    boxes: dict[Tile, dict[Write, None]] = {}
    senders = {
        flow.source: [f.destination for f in flows if f.source == flow.source] for flow in flows
    }
    for source, destinations in senders.items():
        ends = [(source, Direction.MM2S)] if source.tile.kind is TileKind.SHIM else []
        ends += [(end, Direction.S2MM) for end in destinations if end.tile.kind is TileKind.SHIM]
        for end, direction in sorted(ends, key=lambda each: each[0].tile):
            boxes.setdefault(end.tile, {})[_mux(end, direction)] = None
    for writes in boxes.values():
        yield from writes


def _mux(end: Endpoint, direction: Direction) -> Write:
    """Join a shim DMA channel to its south port."""
    sends = direction is Direction.MM2S
    offset = SHIM_MUX_ADDRESS if sends else SHIM_DEMUX_ADDRESS
    layout = SHIM_MUX if sends else SHIM_DEMUX
    field = layout.field(f"south{SHIM_SOUTH[direction][end.channel]}")
    mask = field.mask << field.shift
    return Write(_address(end.tile, offset), field.place(1), mask)
