# SPDX-License-Identifier: Apache-2.0
"""Paths through the switches: those that aiecc found, and that every path leads where it should."""

from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_flows import dataflows

from aie2.tiles import TileKind, kind
from iron_designs.compiler import routes
from iron_designs.compiler.objects import lower
from iron_designs.compiler.parts import Endpoint, Flow
from iron_designs.compiler.ports import (
    BUNDLE_NAMES,
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
from iron_designs.compiler.routes import route
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError

DATA = Path(__file__).parent / "data"
CHANNELS = {TileKind.SHIM: 2, TileKind.MEMTILE: 6, TileKind.CORE: 2}
STEPS = {SOUTH: (0, -1, NORTH), NORTH: (0, 1, SOUTH), WEST: (-1, 0, EAST), EAST: (1, 0, WEST)}


def end(text):
    column, row, channel = map(int, text.split("."))
    return Endpoint(Tile(column, row), channel)


def recorded(name):
    """Flows and, per tile, the connections of a file in `data`."""
    flows, tiles = [], {}
    for line in (DATA / name).read_text().splitlines():
        first, *rest = line.split()
        if first == "flow":
            flows.append(Flow(*map(end, rest)))
        elif first != "#":
            tiles[Tile(*map(int, first.split(".")))] = rest
    return flows, tiles


def named(port, tile, *, is_source):
    """A port as the recordings name it: a shim's DMA ports are those behind its mux."""
    if tile.kind is TileKind.SHIM and port.bundle == DMA:
        return f"south{(3, 7)[port.channel] if is_source else (2, 3)[port.channel]}"
    return f"{BUNDLE_NAMES[port.bundle].lower()}{port.channel}"


def by_tile(flows, columns):
    """What the recordings hold, of our routes."""
    found = route(flows, columns)
    tiles = defaultdict(list)
    for source in dict.fromkeys(flow.source for flow in flows):
        for one in found[source]:
            slave = named(one.source, one.tile, is_source=True)
            master = named(one.destination, one.tile, is_source=False)
            tiles[one.tile].append(f"{slave}>{master}")
    return tiles


@pytest.mark.parametrize(
    ("name", "flows", "connections"),
    [("routed_matmul.txt", 60, 160), ("routed_silu.txt", 32, 208)],
)
def test_streams_take_the_ways_that_aiecc_found(name, flows, connections):
    wanted, theirs = recorded(name)
    assert (len(wanted), sum(map(len, theirs.values()))) == (flows, connections)
    ours = by_tile(wanted, 8)
    assert list(ours) == list(theirs)
    assert ours == theirs


def test_a_narrower_partition_leads_other_ways():
    """The same matmul in 4 columns: aiecc would not have what it found in 8."""
    wanted, theirs = recorded("routed_matmul.txt")
    ours = by_tile(wanted, 4)
    assert ours != theirs
    check_paths(wanted, route(wanted, 4), 4)


def check_paths(flows, found, columns):
    """Every stream reaches its ends over wires that exist, no port serves two of them."""
    assert set(found) == {flow.source for flow in flows}
    taken = set()
    for source, connections in found.items():
        onward = defaultdict(list)
        for one in connections:
            row, column = one.tile.row, one.tile.column
            edges = {"west": column == 0, "east": column == columns - 1, "top": row == 5}
            is_shim_dma = one.tile.kind is TileKind.SHIM and DMA in (
                one.source.bundle,
                one.destination.bundle,
            )
            assert one.source in slaves(kind(row), **edges)
            assert one.destination in masters(kind(row), **edges)
            assert is_shim_dma or is_connectable(kind(row), one.source, one.destination)
            assert (one.tile, one.destination) not in taken
            taken.add((one.tile, one.destination))
            onward[one.tile, one.source].append(one.destination)
        reached, used = trace(source, onward)
        assert reached == {flow.destination for flow in flows if flow.source == source}
        assert used == set(onward)


def trace(source, onward):
    """Endpoints that a stream from `source` comes to, and the incoming ports it passes."""
    reached, used = set(), set()
    heads = [(source.tile, Port(DMA, source.channel))]
    while heads:
        head = heads.pop()
        assert head not in used, "a stream comes by twice"
        used.add(head)
        tile = head[0]
        for port in onward.get(head, []):
            if port.bundle == DMA:
                reached.add(Endpoint(tile, port.channel))
                continue
            right, up, bundle = STEPS[port.bundle]
            heads.append((Tile(tile.column + right, tile.row + up), Port(bundle, port.channel)))
    return reached, {head for head in used if head in onward}


@st.composite
def streams(draw, most_columns=8):
    """Columns and flows between any channels of different tiles, some to several destinations."""
    columns = draw(st.integers(1, most_columns))
    everywhere = [
        Endpoint(Tile(column, row), channel)
        for column in range(columns)
        for row in range(6)
        for channel in range(CHANNELS[kind(row)])
    ]
    random = draw(st.randoms(use_true_random=False))
    sources = random.sample(everywhere, draw(st.integers(1, min(len(everywhere), 4 * columns))))
    free = random.sample(everywhere, len(everywhere))
    flows = []
    for source in sources:
        for _ in range(random.choice((1, 1, 1, 3))):
            other = next((one for one in free if one.tile != source.tile), None)
            if other is not None:
                free.remove(other)
                flows.append(Flow(source, other))
    return columns, flows


@settings(max_examples=25)
@given(streams())
def test_any_streams_that_can_be_carried_reach_their_ends(drawn):
    columns, flows = drawn
    try:
        found = route(flows, columns)
    except DesignError as error:
        assert "no way was found" in str(error)
        return
    check_paths(flows, found, columns)


@settings(max_examples=40)
@given(dataflows())
def test_streams_of_random_designs_reach_their_ends(design):
    flows = lower(design).flows
    check_paths(flows, route(flows, design.columns), design.columns)


@settings(max_examples=8)
@given(streams(most_columns=2), st.data())
def test_compiled_search_finds_what_the_plain_one_does(drawn, data):
    columns, flows = drawn
    graph = routes._graph(columns)
    random = np.random.default_rng(data.draw(st.integers(0, 1000)))
    cost = (1.0 + 0.1 * random.integers(0, 4, graph.targets.size)).astype(np.float64)
    source = routes._dma_node(flows[0].source)
    wanted = np.array([routes._dma_node(flow.destination) for flow in flows[:3]], np.int64)
    arguments = graph.starts, graph.targets, cost, source, wanted
    plain = routes._search.py_func(*arguments)  # type: ignore[attr-defined]
    assert np.array_equal(routes._search(*arguments), plain)


def test_the_order_of_streams_decides_who_takes_the_short_way():
    """Six streams from a memtile upwards, first in one order, then in the other."""
    flows = [Flow(Endpoint(Tile(0, 1), n), Endpoint(Tile(0, 2 + n // 2), n % 2)) for n in range(6)]
    assert by_tile(flows, 2)[Tile(0, 1)] != by_tile(flows[::-1], 2)[Tile(0, 1)]


def test_more_streams_than_ports_are_refused():
    """A column of its own has six ports from its memtile north; seven streams do not fit."""
    ends = [Endpoint(Tile(0, row), channel) for row in range(2, 6) for channel in range(2)]
    sources = [Endpoint(Tile(0, 1), n) for n in range(6)] + [Endpoint(Tile(0, 0), 0)]
    flows = [Flow(*pair) for pair in zip(sources, ends[:7], strict=True)]
    with pytest.raises(DesignError, match="no way was found to carry all 7 streams at once"):
        route(flows, 1)
    assert route(flows[:6], 1)


@pytest.mark.parametrize("row", range(6))
def test_a_channel_reaches_the_same_channel_of_its_own_tile(row):
    one = Endpoint(Tile(0, row), 1)
    (connection,) = route([Flow(one, one)], 1)[one]
    assert connection == routes.Connection(Tile(0, row), Port(DMA, 1), Port(DMA, 1))


def test_a_stream_to_its_own_channel_may_go_on_to_others():
    one, other = Endpoint(Tile(0, 1), 0), Endpoint(Tile(0, 4), 0)
    flows = [Flow(one, one), Flow(one, other)]
    check_paths(flows, route(flows, 1), 1)


@pytest.mark.parametrize("row", range(1, 6))
def test_a_channel_does_not_reach_another_one_of_its_own_tile(row):
    """Only a shim's switch joins the two; a way out and back in would need a wire that turns."""
    tile = Tile(0, row)
    with pytest.raises(DesignError, match=r"would have to turn within .*: end the fifo at another"):
        route([Flow(Endpoint(tile, 0), Endpoint(tile, 1))], 1)


@pytest.mark.parametrize(
    ("tile", "ports"),
    [(TileKind.SHIM, (37, 34)), (TileKind.MEMTILE, (18, 17)), (TileKind.CORE, (25, 23))],
)
def test_a_switch_has_so_many_ports(tile, ports):
    """AIETargetModel.cpp, with the shim mux's as a router sees them."""
    inner = {"west": False, "east": False, "top": False}
    assert (len(slaves(tile, **inner)), len(masters(tile, **inner))) == ports


def test_memtiles_pass_streams_on_at_the_same_port():
    """AIETargetModel.cpp, isLegalTileConnection."""
    assert is_connectable(TileKind.MEMTILE, Port(SOUTH, 3), Port(NORTH, 3))
    assert not is_connectable(TileKind.MEMTILE, Port(SOUTH, 3), Port(NORTH, 2))
    assert is_connectable(TileKind.MEMTILE, Port(SOUTH, 3), Port(DMA, 2))
    assert not is_connectable(TileKind.MEMTILE, Port(DMA, 3), Port(DMA, 2))
    assert is_connectable(TileKind.CORE, Port(SOUTH, 3), Port(NORTH, 2))
    assert not is_connectable(TileKind.CORE, Port(SOUTH, 3), Port(SOUTH, 2))
