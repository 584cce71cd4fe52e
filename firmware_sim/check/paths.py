# SPDX-License-Identifier: Apache-2.0
"""What leads where as the stream switches stand, and which channels can depend on each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from aie2.registers import SWITCHES
from aie2.tiles import TileKind, kind
from firmware_sim.array.fabric import CONTROLLER, Fabric, Port
from firmware_sim.array.routes import Route, find
from firmware_sim.array.state import (
    ACTORS,
    CHANNEL_SLOTS,
    CONTROL_IN,
    CONTROL_OUT,
    NONE,
    PACKET_IDS,
    ROWS,
    TILE_CHANNELS,
    TILES,
    endpoint_tile,
    tile_index,
)
from firmware_sim.check.registers import Registers

EVERY_ID = (1 << PACKET_IDS) - 1


@dataclass(frozen=True)
class Paths:
    """Routes of the switches, by what asks for them."""

    routes: tuple[Route, ...]
    """Of DMA channels and control ports, token routes included."""
    others: tuple[Route, ...]
    """Of cores' and trace units' own stream ports; their source is NONE."""
    of: dict[tuple[int, int | None], Route]
    """By source and packet id (None: circuit)."""
    sources: frozenset[int]
    """Endpoints that have a route."""
    fed: frozenset[int]
    """Endpoints to which some stream comes."""
    token_ids: dict[int, int]
    """Bit n, by tile: a token with packet id n reaches the controller."""
    steered: frozenset[int]
    """Tiles whose registers control packets can reach: what they hold is not known for sure."""


def fabric(registers: Registers) -> Fabric:
    """The stream switches of a configuration."""
    return Fabric(registers.switch, registers.mux, registers.columns)


def paths(registers: Registers) -> Paths:
    """Follow every stream to all its ends."""
    switches = fabric(registers)
    routes = tuple(find(switches))
    others = tuple(_other_routes(switches))
    ends = [end for route in (*routes, *others) for end in route.ends]
    tokens: dict[int, int] = {}
    for route in routes:
        if route.source >= CONTROL_OUT and any(end.endpoint == CONTROLLER for end in route.ends):
            tile = endpoint_tile(route.source)
            ids = EVERY_ID if route.packet_id is None else 1 << route.packet_id
            tokens[tile] = tokens.get(tile, 0) | ids
    fed = frozenset(end.endpoint for end in ends if end.endpoint >= 0)
    return Paths(
        routes,
        others,
        {(route.source, route.packet_id): route for route in routes},
        frozenset(route.source for route in routes),
        fed,
        tokens,
        frozenset(endpoint_tile(sink) for sink in fed if sink >= CONTROL_IN),
    )


def _other_routes(switches: Fabric) -> Iterator[Route]:
    for column in range(switches.columns):
        for row in range(ROWS):
            for bundle, _, count in SWITCHES[kind(row)].slaves:
                if bundle in ("core", "trace"):
                    for number in range(count):
                        yield from _routes_from(switches, Port(column, row, bundle, number))


def _routes_from(switches: Fabric, start: Port) -> Iterator[Route]:
    index = switches.slave_index(start)
    if index is None or not switches.slave_mode(start.column, start.row, index)[0]:
        return
    ids = switches.packet_ids(start)
    for packet_id in (None,) if ids is None else ids:
        yield Route(NONE, start, packet_id, tuple(switches.ends(start, packet_id or 0)))


_LOCKS = ACTORS + TILES
"""Nodes of locks come after those of endpoints, cores and whole tiles."""


class Groups:
    """Channels that can depend on each other: joined by routes, locks, memory or a core.

    A wait for one of a group can cover tasks of all others of it; never one of another group.
    """

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}

    def of(self, node: int) -> int:
        """Representative of the group of an endpoint."""
        parent = self._parent
        while (above := parent.get(node, node)) != node:
            parent[node] = parent.get(above, above)
            node = above
        return node

    def join(self, nodes: Iterable[int]) -> None:
        """Put all these into one group."""
        first: int | None = None
        for node in nodes:
            root = self.of(node)
            if first is None:
                first = root
            elif root != first:
                self._parent[root] = first

    def join_lock(self, channel: int, lock: int) -> None:
        """A task of the channel takes or gives this lock."""
        self.join((channel, _LOCKS + lock))

    def join_tile(self, tile: int) -> None:
        """All that a tile has can depend on each other."""
        channels = range(tile * TILE_CHANNELS, (tile + 1) * TILE_CHANNELS)
        self.join((ACTORS + tile, *channels, CONTROL_IN + tile, CONTROL_OUT + tile))


def groups(found: Paths, cores: set[int], merged_tiles: Iterable[int]) -> Groups:
    """Groups by routes and cores; all channels of `merged_tiles` go together."""
    joined = Groups()
    for route in found.routes:
        if any(end.endpoint >= 0 for end in route.ends):
            joined.join((route.source, *(end.endpoint for end in route.sinks)))
    for route in found.others:
        tile = tile_index(route.start.column, route.start.row)
        joined.join((ACTORS + tile, *(end.endpoint for end in route.sinks)))
    for tile in (*merged_tiles, *found.steered):
        joined.join_tile(tile)
    for tile in cores:
        joined.join_tile(tile)
        for neighbour in (tile - ROWS, tile - 1, tile + 1, tile + ROWS):
            if 0 <= neighbour < TILES and kind(neighbour % ROWS) is TileKind.CORE:
                joined.join_tile(neighbour)
                joined.join((ACTORS + tile, ACTORS + neighbour))
    return joined


def is_sender(channel: int) -> bool:
    """Whether a channel sends (MM2S)."""
    return channel % TILE_CHANNELS >= CHANNEL_SLOTS


def is_shim(channel: int) -> bool:
    """Whether a channel is a shim's."""
    return channel // TILE_CHANNELS % ROWS == 0
