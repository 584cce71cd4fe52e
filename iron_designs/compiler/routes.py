# SPDX-License-Identifier: Apache-2.0
"""Find a path through the stream switches for every flow.

mlir-aie's pathfinder (AIEPathFinder.cpp), rule for rule: flows take the cheapest path one after
another; a switch connection or wire that is taken costs more for the next; if one is taken twice,
all paths are found anew at costs that remember where it was crowded. Of equally cheap paths the one
taken depends on the order in which a 4-ary heap hands out the ports, so that heap is here too.

A node of the graph is a port of a tile, incoming and outgoing alike, as it is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aie2.tiles import TileKind, kind
from iron_designs.compiler.parts import Endpoint, Flow
from iron_designs.compiler.ports import (
    BUNDLES,
    DMA,
    EAST,
    NORTH,
    SOUTH,
    WEST,
    Port,
    is_connectable,
    masters,
    slaves,
)
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError

ROUNDS = 1000
"""Attempts at paths that do not meet before routing is given up (AIEPasses.td)."""
CROWDED_BEFORE, TAKEN_BEFORE, TAKEN_NOW = 0.1, 0.02, 1.1
"""What a connection costs more: per round in which it was taken twice, per flow that took it in the
last round, and (as a factor) per flow that takes it in this one (AIEPathFinder.h)."""

CHANNELS = 8
"""Most channels of a bundle; a node is (tile x bundles + bundle) x channels + channel."""
PORTS = BUNDLES * CHANNELS
ROWS = 6


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection inside a tile's switch."""

    tile: Tile
    source: Port
    destination: Port


@dataclass(frozen=True)
class Graph:
    """Edges out of node n: `targets[starts[n] : starts[n + 1]]`, in rising order."""

    starts: NDArray[np.int32]
    targets: NDArray[np.int32]


def route(flows: Sequence[Flow], columns: int) -> dict[Endpoint, list[Connection]]:
    """Switch connections of every source, from its farthest destination back to it, tile by tile.

    Raises:
        DesignError: the switches cannot carry all flows, or one of them at all.
    """
    graph = _graph(columns)
    wanted: dict[Endpoint, list[int]] = {}
    for flow in flows:
        wanted.setdefault(flow.source, []).append(_dma_node(flow.destination))
    crowded = np.zeros(graph.targets.size, np.int32)
    taken = np.zeros(graph.targets.size, np.int32)
    for _ in range(ROUNDS):
        cost = (1.0 + CROWDED_BEFORE * crowded) * (1.0 + TAKEN_BEFORE * taken)
        taken[:] = 0
        paths = {
            source: _tree(graph, cost, taken, _dma_node(source), targets)
            for source, targets in wanted.items()
        }
        over = taken > 1
        if not over.any():
            for source, pairs in paths.items():
                _check_turns(source, pairs)
            return {source: _connections(pairs) for source, pairs in paths.items()}
        crowded += over
    raise DesignError(
        f"no way was found to carry all {len(flows)} streams at once: the ports between two tiles "
        "are too few, use fewer columns' worth of fifos across them"
    )


def load(columns: int) -> None:
    """Load what `route` needs for a partition: compiled code and the graph of its switches."""
    tile = Tile(0, 0)
    route([Flow(Endpoint(tile, 0), Endpoint(Tile(0, 1), 0))], columns)


def _tree(
    graph: Graph,
    cost: NDArray[np.float64],
    taken: NDArray[np.int32],
    source: int,
    targets: list[int],
) -> list[tuple[int, int]]:
    """(from, to) nodes of the paths from one source, each traced back from its target."""
    others = np.array([node for node in targets if node != source], np.int64)
    edges = _search(graph.starts, graph.targets, cost, source, others)
    reached = {source}
    pairs: list[tuple[int, int]] = []
    for node in targets:
        if node == source:
            pairs.append((source, source))
        while node not in reached:
            edge = int(edges[node])
            if edge < 0:
                raise DesignError(f"no switch leads to {_place(node)}: it cannot be reached")
            taken[edge] += 1
            if taken[edge] >= 1:
                cost[edge] *= TAKEN_NOW
            reached.add(node)
            before = int(np.searchsorted(graph.starts, edge, "right")) - 1
            pairs.append((before, node))
            node = before
    return pairs


def _check_turns(source: Endpoint, pairs: Iterable[tuple[int, int]]) -> None:
    """A port is one node for both ways; in truth what goes out of a tile does not go on in it."""
    steps = [(before, node) for before, node in pairs if before != node]
    inside = {node for before, node in steps if before // PORTS == node // PORTS}
    for before, node in steps:
        crosses = before // PORTS != node // PORTS
        if (before in inside) != crosses:
            raise DesignError(
                f"the stream from DMA channel {source.channel} of {source.tile} would have to "
                f"turn within {_tile(before)}, whose switch cannot: end the fifo at another tile"
            )


def _connections(pairs: Iterable[tuple[int, int]]) -> list[Connection]:
    """Pairs of nodes within a tile, tiles in order of column and row."""
    found = [
        Connection(_tile(before), _port(before), _port(node))
        for before, node in pairs
        if before // PORTS == node // PORTS
    ]
    return sorted(found, key=lambda connection: connection.tile)


@njit(cache=True, nogil=True)
def _search(  # pragma: no cover (compiled)
    starts: NDArray[np.int32],
    targets: NDArray[np.int32],
    cost: NDArray[np.float64],
    source: int,
    wanted: NDArray[np.int64],
) -> NDArray[np.int32]:
    """Edge by which every node is reached most cheaply, -1 where it has not been needed.

    It stops when every wanted node has left the heap: nothing that leads to them changes then.
    A node's place in the heap is not mended when it gets cheaper, and a source that an edge joins
    to itself goes in twice, as in the original.
    """
    count = starts.size - 1
    distance = np.full(count, np.inf)
    reached_by = np.full(count, -1, np.int32)
    color = np.zeros(count, np.uint8)  # 0 not seen, 1 in the heap, 2 done
    heap = np.empty(count * 2, np.int64)
    distance[source] = 0.0
    heap[0] = source
    size = 1
    left = wanted.size
    while size:
        node = heap[0]
        size -= 1
        if size:
            moved = heap[size]
            at = 0
            while True:
                first = 4 * at + 1
                if first >= size:
                    break
                smallest = first
                for child in range(first + 1, min(first + 4, size)):
                    if distance[heap[child]] < distance[heap[smallest]]:
                        smallest = child
                if not distance[heap[smallest]] < distance[moved]:
                    break
                heap[at] = heap[smallest]
                at = smallest
            heap[at] = moved
        for edge in range(starts[node], starts[node + 1]):
            target = targets[edge]
            closer = distance[node] + cost[edge] < distance[target]
            if closer and color[target] != 2:
                distance[target] = distance[node] + cost[edge]
                reached_by[target] = edge
            if color[target] == 0:
                color[target] = 1
                at = size
                size += 1
                while at and distance[target] < distance[heap[(at - 1) // 4]]:
                    heap[at] = heap[(at - 1) // 4]
                    at = (at - 1) // 4
                heap[at] = target
        color[node] = 2
        for each in wanted:
            if each == node:
                left -= 1
        if left == 0:
            break
    return reached_by


@lru_cache
def _graph(columns: int) -> Graph:
    """The switches of a partition."""
    sources: list[NDArray[np.int32]] = []
    targets: list[NDArray[np.int32]] = []
    for column in range(columns):
        for row in range(ROWS):
            base = (column * ROWS + row) * PORTS
            inside = _inside(kind(row), column == 0, column == columns - 1, row == ROWS - 1)
            sources.append(inside[0] + base)
            targets.append(inside[1] + base)
            outside = _outside(kind(row), column == 0, column == columns - 1, row == ROWS - 1)
            sources.append(outside[0] + base)
            targets.append(outside[1] + base)
    source, target = np.concatenate(sources), np.concatenate(targets)
    order = np.lexsort((target, source))
    starts = np.searchsorted(source[order], np.arange(columns * ROWS * PORTS + 1))
    return Graph(starts.astype(np.int32), target[order].astype(np.int32))


Edges = tuple[NDArray[np.int32], NDArray[np.int32]]


@lru_cache
def _inside(tile: TileKind, west: bool, east: bool, top: bool) -> Edges:
    """Edges within a switch, nodes counted from the tile's first."""
    pairs = [
        (_local(slave), _local(master))
        for slave in slaves(tile, west=west, east=east, top=top)
        for master in masters(tile, west=west, east=east, top=top)
        if is_connectable(tile, slave, master)
    ]
    source, target = zip(*pairs, strict=True)
    return np.array(source, np.int32), np.array(target, np.int32)


@lru_cache
def _outside(tile: TileKind, west: bool, east: bool, top: bool) -> Edges:
    """Edges to the neighbours' switches, nodes counted from the tile's first."""
    steps = {
        SOUTH: (-PORTS, NORTH),
        NORTH: (PORTS, SOUTH),
        WEST: (-ROWS * PORTS, EAST),
        EAST: (ROWS * PORTS, WEST),
    }
    pairs = [
        (_local(port), _local(Port(steps[port.bundle][1], port.channel)) + steps[port.bundle][0])
        for port in masters(tile, west=west, east=east, top=top)
        if port.bundle in steps and not (tile is TileKind.SHIM and port.bundle == SOUTH)
    ]
    source, target = zip(*pairs, strict=True)
    return np.array(source, np.int32), np.array(target, np.int32)


def _local(port: Port) -> int:
    return port.bundle * CHANNELS + port.channel


def _dma_node(end: Endpoint) -> int:
    tile = end.tile.column * ROWS + end.tile.row
    return tile * PORTS + _local(Port(DMA, end.channel))


def _tile(node: int) -> Tile:
    return Tile(*divmod(node // PORTS, ROWS))


def _port(node: int) -> Port:
    return Port(*divmod(node % PORTS, CHANNELS))


def _place(node: int) -> str:
    return f"{_port(node)} of {_tile(node)}"
