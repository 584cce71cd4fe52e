# SPDX-License-Identifier: Apache-2.0
"""Stream switches and the shims' muxes as register writes, in the order in which aiecc makes them.

A tile's switch is configured when the first flow comes through it, flow after flow (mlir-aie
AIECreatePathFindFlows.cpp); each shim gets the route of its task-complete tokens besides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from aie2.registers import (
    SHIM_DEMUX,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX,
    SHIM_MUX_ADDRESS,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Direction,
    SwitchMap,
)
from aie2.tiles import TileKind
from iron_designs.compiler import ports
from iron_designs.compiler.parts import Endpoint, Flow
from iron_designs.compiler.ports import Port
from iron_designs.compiler.routes import Connection
from iron_designs.compiler.writes import Write, at
from iron_designs.dataflow import Dataflow, Tile

Routes = dict[Endpoint, list[Connection]]

SHIM_SOUTH = {Direction.MM2S: (3, 7), Direction.S2MM: (2, 3)}
"""South port of a shim's switch behind which each DMA channel lies."""

TOKEN_ROUTE = (5, 3, 15)
"""Arbiter, msel and packet id of the route that takes a shim's task-complete tokens south
(AIEGenerateColumnControlOverlay.cpp)."""


def switches(design: Dataflow, flows: Sequence[Flow], routes: Routes) -> Iterator[Write]:
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
        at(tile, switch.master_base + switch.port_stride * outgoing),
        SWITCH_MASTER.field("enable").place(1) | SWITCH_MASTER.field("config").place(incoming),
    )
    yield Write(
        at(tile, switch.slave_base + switch.port_stride * incoming),
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
        yield Write(at(tile, offset), int(words[0]))


def muxes(flows: Sequence[Flow]) -> Iterator[Write]:
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
    return Write(at(end.tile, offset), field.place(1), mask)
