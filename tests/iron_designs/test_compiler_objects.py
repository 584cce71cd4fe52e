# SPDX-License-Identifier: Apache-2.0
"""Buffers, locks, BDs and channels of fifos: cases of mlir-aie's tests, and what always holds.

The named cases state what mlir-aie expects of its own objectFifo pass, each in the file of its test
folder test/objectFifo-stateful-transform that is named beside it.
"""

from collections import Counter

import pytest
from hypothesis import given
from random_flows import dataflows

from aie2.devices import NPU1, NPU2
from aie2.registers import DMA, LOCKS, Direction
from aie2.tiles import TileKind
from iron_designs.compiler.objects import lower
from iron_designs.compiler.parts import Buffer
from iron_designs.dataflow import Dataflow, Dim, Fifo, Link, Tile
from iron_designs.errors import DesignError

SHIM, MEMTILE, CORE, FAR_CORE = Tile(0, 0), Tile(0, 1), Tile(0, 2), Tile(0, 4)
IN, OUT = Direction.S2MM, Direction.MM2S


def lowered(*fifos, links=(), device=NPU2, columns=8, tiles=()):
    return lower(Dataflow(device, columns, fifos, tuple(links), tuple(tiles)))


def locks(objects):
    """(name, id, value at the start) in order, without the shims' locks, which are all 0."""
    inner = (lock for lock in objects.locks if lock.tile.kind is not TileKind.SHIM)
    return [(lock.name, lock.id, lock.init) for lock in inner]


def channel(objects, tile, direction, index):
    """(buffer, offset, words, acquired, how many, released, how many) of each BD."""
    (found,) = (
        one
        for one in objects.channels
        if (one.tile, one.direction, one.index) == (tile, direction, index)
    )
    return [
        (
            *(bd.buffer.name, bd.offset, bd.words),
            *(bd.acquire.name, bd.acquire_count, bd.release.name, bd.release_count),
        )
        for bd in found.bds
    ]


def ends(objects):
    return [
        (flow.source.tile, flow.source.channel, flow.destination.tile, flow.destination.channel)
        for flow in objects.flows
    ]


def split_in_three():
    """data_movement_patterns/link/link_test_distribute_offsets.mlir."""
    memtile, cores = Tile(2, 1), (Tile(2, 2), Tile(2, 3), Tile(3, 3))
    sizes = (16, 20, 12)
    parts = [
        Fifo(f"link{n}", memtile, (core,), size)
        for n, (core, size) in enumerate(zip(cores, sizes, strict=True), 2)
    ]
    whole = Fifo("link1", Tile(2, 0), (memtile,), 48)
    link = Link(("link1",), ("link2", "link3", "link4"), (0, 16, 36))
    return lowered(whole, *parts, links=[link])


def test_a_split_has_a_pair_of_locks_for_each_part():
    expected = [("link4_cons_prod_lock_0", 0, 2), ("link4_cons_cons_lock_0", 1, 0)]
    expected += [("link3_cons_prod_lock_0", 0, 2), ("link3_cons_cons_lock_0", 1, 0)]
    expected += [("link2_cons_prod_lock_0", 0, 2), ("link2_cons_cons_lock_0", 1, 0)]
    for part in range(3):
        expected.append((f"link1_cons_prod_lock_{part}", 2 * part, 2))
        expected.append((f"link1_cons_cons_lock_{part}", 2 * part + 1, 0))
    assert locks(split_in_three()) == expected


def test_a_split_receives_part_by_part_and_sends_each_from_its_offset():
    objects = split_in_three()
    memtile = Tile(2, 1)
    places = [(0, 16), (16, 20), (36, 12)]
    room, filled = "link1_cons_prod_lock", "link1_cons_cons_lock"
    assert channel(objects, memtile, IN, 0) == [
        (f"link1_cons_buff_{turn}", *places[n], f"{room}_{n}", 1, f"{filled}_{n}", 1)
        for turn in range(2)
        for n in range(3)
    ]
    for n in range(3):
        assert channel(objects, memtile, OUT, n) == [
            (f"link1_cons_buff_{turn}", *places[n], f"{filled}_{n}", 1, f"{room}_{n}", 1)
            for turn in range(2)
        ]


def test_a_join_sends_part_by_part_and_receives_each_at_its_offset():
    """data_movement_patterns/link/link_test_join_offsets.mlir."""
    memtile, cores = Tile(2, 1), (Tile(2, 2), Tile(2, 3), Tile(3, 3))
    parts = [Fifo(f"link{n}", core, (memtile,), 16) for n, core in enumerate(cores, 1)]
    whole = Fifo("link4", memtile, (Tile(2, 0),), 48)
    link = Link(("link1", "link2", "link3"), ("link4",), (0, 16, 36))
    objects = lowered(*parts, whole, links=[link])
    assert [buffer.name for buffer in objects.buffers[:2]] == ["link4_buff_0", "link4_buff_1"]
    places = [(0, 16), (16, 20), (36, 12)]
    assert [one[1:3] for one in channel(objects, memtile, OUT, 0)] == places * 2
    for n in range(3):
        assert {one[1:4] for one in channel(objects, memtile, IN, n)} == {
            (*places[n], f"link4_prod_lock_{n}")
        }


def test_a_broadcast_has_its_own_ring_at_each_end_and_flows_last_consumer_first():
    """data_movement_patterns/link/link_test_broadcast.mlir."""
    copies = Fifo("mem_in", SHIM, (CORE, MEMTILE), 3000, depth=(2, 2, 7))
    on = Fifo("mem_out", MEMTILE, (Tile(0, 3),), 3000, depth=(7, 4))
    objects = lowered(copies, on, links=[Link(("mem_in",), ("mem_out",))])
    assert locks(objects) == [
        ("mem_out_cons_prod_lock_0", 0, 4),
        ("mem_out_cons_cons_lock_0", 1, 0),
        ("mem_in_0_cons_prod_lock_0", 0, 2),
        ("mem_in_0_cons_cons_lock_0", 1, 0),
        ("mem_in_1_cons_prod_lock_0", 0, 7),
        ("mem_in_1_cons_cons_lock_0", 1, 0),
    ]
    assert ends(objects) == [
        (SHIM, 0, MEMTILE, 0),
        (SHIM, 0, CORE, 0),
        (MEMTILE, 0, Tile(0, 3), 0),
    ]
    assert len(channel(objects, MEMTILE, OUT, 0)) == 7


def test_parts_that_are_repeated_are_filled_so_many_times_as_they_are_sent():
    """repeat_count/link_distribute_repeat_count_test.mlir."""
    whole = Fifo("of0", Tile(1, 0), (Tile(1, 1),), 32)
    parts = [
        Fifo(f"of{n}", Tile(1, 1), (core,), 16, repeat=3)
        for n, core in enumerate((Tile(1, 2), Tile(3, 3)), 1)
    ]
    objects = lowered(whole, *parts, links=[Link(("of0",), ("of1", "of2"), (0, 16))])
    assert locks(objects)[-4:] == [
        ("of0_cons_prod_lock_0", 0, 6),
        ("of0_cons_cons_lock_0", 1, 0),
        ("of0_cons_prod_lock_1", 2, 6),
        ("of0_cons_cons_lock_1", 3, 0),
    ]
    received = channel(objects, Tile(1, 1), IN, 0)
    assert {(one[4], one[6]) for one in received} == {(3, 3)}
    sent = channel(objects, Tile(1, 1), OUT, 1)
    assert [one[0] for one in sent] == ["of0_cons_buff_0"] * 3 + ["of0_cons_buff_1"] * 3
    assert {(one[4], one[6]) for one in sent} == {(1, 1)}


def test_a_core_sends_what_it_repeats_by_so_many_bds():
    """repeat_count/link_join_repeat_count_test.mlir."""
    parts = [
        Fifo(f"of{n}", core, (Tile(1, 1),), 16, depth=1, repeat=3)
        for n, core in enumerate((Tile(1, 2), Tile(3, 3)))
    ]
    whole = Fifo("of2", Tile(1, 1), (Tile(1, 0),), 32, depth=1)
    objects = lowered(*parts, whole, links=[Link(("of0", "of1"), ("of2",), (0, 16))])
    assert ("of1_prod_lock_0", 0, 3) in locks(objects)
    assert ("of2_prod_lock_0", 0, 1) in locks(objects)
    one = ("of1_buff_0", 0, 16, "of1_cons_lock_0", 1, "of1_prod_lock_0", 1)
    assert channel(objects, Tile(3, 3), OUT, 0) == [one] * 3


def test_a_transform_goes_to_every_bd_of_the_end_that_has_it():
    """dma_transformations/nd_dma_fromStream_join.mlir, in smaller numbers."""
    order = (Dim(2, 8), Dim(4, 1))
    parts = [Fifo(f"p{n}", Tile(0, 2 + n), (MEMTILE,), 16, from_stream=(order,)) for n in range(2)]
    whole = Fifo("whole", MEMTILE, (SHIM,), 32, to_stream=(Dim(16, 1),))
    objects = lowered(*parts, whole, links=[Link(("p0", "p1"), ("whole",), (0, 16))])
    dims = {
        (one.direction, one.index): {bd.dims for bd in one.bds}
        for one in objects.channels
        if one.tile == MEMTILE
    }
    assert dims == {(IN, 0): {order}, (IN, 1): {order}, (OUT, 0): {(Dim(16, 1),)}}


def large_in_and_small_out(column, depth, words, back_words=8):
    """adjacent_memtile_allocation/*.mlir: a large fifo in, a small one out, and back again."""
    shim, memtile, core = (Tile(column, row) for row in range(3))
    fifos = (
        Fifo("in0", shim, (memtile,), words, depth),
        Fifo("in1", memtile, (core,), 8),
        Fifo("out0", memtile, (shim,), back_words),
        Fifo("out1", core, (memtile,), 8),
    )
    links = (Link(("in0",), ("in1",)), Link(("out1",), ("out0",)))
    return lowered(*fifos, links=links, device=NPU1, columns=4, tiles=(shim, memtile, core))


@pytest.mark.parametrize(
    ("column", "depth", "columns"), [(0, 2, [0, 1]), (1, 3, [1, 0, 2]), (3, 2, [3, 2])]
)
def test_what_a_memtile_cannot_hold_spills_west_then_east(column, depth, columns):
    objects = large_in_and_small_out(column, depth, 96_000)
    spilled = [one for one in objects.buffers if one.name.startswith("in0_cons")]
    assert [buffer.tile for buffer in spilled] == [Tile(c, 1) for c in columns]
    held = [lock for lock in objects.locks if lock.name.startswith("in0_cons_prod")]
    assert [(lock.tile, lock.init) for lock in held] == [(Tile(column, 1), depth)]


def test_fifos_with_spilled_buffers_choose_their_channels_first():
    """adjacent_memtile_allocation/twofifo_on_2memtile.mlir."""
    objects = large_in_and_small_out(0, 2, 64_000, back_words=64_000)
    assert [one.tile for one in objects.buffers if one.name.startswith("out0_")] == [
        Tile(1, 1),
        Tile(1, 1),
    ]
    assert ends(objects) == [
        (SHIM, 0, MEMTILE, 1),
        (MEMTILE, 1, CORE, 0),
        (MEMTILE, 0, SHIM, 0),
        (CORE, 0, MEMTILE, 0),
    ]


def test_a_fifth_fifo_with_spilled_buffers_has_no_channel_in_reach():
    full = Fifo("full", Tile(7, 0), (Tile(1, 1),), 131_000, depth=1)
    more = [Fifo(f"more{n}", Tile(n, 0), (Tile(1, 1),), 20_000, depth=1) for n in range(5)]
    assert [end[3] for end in ends(lowered(full, *more[:4]))] == [4, 0, 1, 2, 3]
    with pytest.raises(DesignError, match="4 S2MM channels with the neighbours' memory in reach$"):
        lowered(full, *more)


def test_what_comes_after_a_memtile_that_a_spill_brings_in_is_listed_below_it():
    """AIEObjectFifoStatefulTransform.cpp, findOrCreateTile: it is then the last tile of all."""
    large = Fifo("large", SHIM, (MEMTILE,), 96_000)
    small = Fifo("small", CORE, (Tile(1, 0),), 8, depth=1)
    rest = (SHIM, Tile(1, 0), CORE)
    spilled_last = lowered(large, small, columns=2, tiles=(*rest, MEMTILE))
    assert [buffer.name for buffer in spilled_last.buffers] == [
        "large_cons_buff_0",
        "small_buff_0",
        "large_cons_buff_1",
    ]
    spilled_before = lowered(large, small, columns=2, tiles=(MEMTILE, *rest))
    assert [buffer.name for buffer in spilled_before.buffers] == [
        "small_buff_0",
        "large_cons_buff_0",
        "large_cons_buff_1",
    ]


@pytest.mark.parametrize(("into", "out", "owner"), [(48, 16, "in_cons"), (16, 48, "out")])
def test_the_larger_objects_of_a_link_are_those_held(into, out, owner):
    fifos = Fifo("in", SHIM, (MEMTILE,), into), Fifo("out", MEMTILE, (SHIM,), out)
    objects = lowered(*fifos, links=[Link(("in",), ("out",))])
    assert [buffer.name for buffer in objects.buffers] == [f"{owner}_buff_0", f"{owner}_buff_1"]
    assert {bd.words for one in objects.channels for bd in one.bds} == {48}


def test_both_ends_of_a_link_in_a_core_go_round_the_same_ring():
    fifos = Fifo("in", SHIM, (CORE,), 16, depth=3), Fifo("out", CORE, (SHIM,), 16, depth=2)
    objects = lowered(*fifos, links=[Link(("in",), ("out",))])
    rings = [[bd.buffer.name for bd in one.bds] for one in objects.channels]
    assert rings == [[f"in_cons_buff_{n}" for n in range(3)]] * 2


def test_fifos_out_of_one_link_repeat_equally():
    whole = Fifo("whole", SHIM, (MEMTILE,), 32)
    parts = [Fifo(f"part{n}", MEMTILE, (Tile(0, 2 + n),), 16, repeat=1 + n) for n in range(2)]
    with pytest.raises(DesignError, match="unequally often: give all of them the same repeat$"):
        lowered(whole, *parts, links=[Link(("whole",), ("part0", "part1"), (0, 16))])


@pytest.mark.parametrize(
    ("fifos", "why"),
    [
        ([Fifo(f"f{n}", SHIM, (MEMTILE,), 8) for n in range(3)], "send from shim .* it has 2 MM2S"),
        ([Fifo(f"f{n}", Tile(n, 0), (CORE,), 8) for n in range(3)], "arrive at core .* 2 S2MM"),
        ([Fifo(f"f{n}", Tile(n, 0), (MEMTILE,), 8) for n in range(7)], "memtile .* 6 S2MM"),
    ],
)
def test_channels_that_a_tile_has_not_are_refused(fifos, why):
    with pytest.raises(DesignError, match=why):
        lowered(*fifos)


def test_locks_that_a_memtile_has_not_are_refused():
    """A split into 33 parts would take 66 of 64 locks."""
    cores = [Tile(n % 8, 2 + n // 8) for n in range(32)]
    parts = [Fifo(f"p{n}", MEMTILE, (core,), 1) for n, core in enumerate([*cores, cores[0]])]
    link = Link(("whole",), tuple(part.name for part in parts), tuple(range(33)))
    with pytest.raises(DesignError, match=r"memtile tile \(0, 1\) needs more than its 64 locks"):
        lowered(Fifo("whole", SHIM, (MEMTILE,), 33), *parts, links=[link])


@given(dataflows())
def test_every_channel_and_lock_is_within_its_tile_and_there_once(design):
    objects = lower(design)
    for one in objects.channels:
        assert one.index < DMA[one.tile.kind].channels(one.direction)
        assert one.bds
    named = [(one.tile, one.direction, one.index) for one in objects.channels]
    assert len(set(named)) == len(named)
    for tile in design.tiles:
        ids = [lock.id for lock in objects.locks if lock.tile == tile]
        assert sorted(ids) == list(range(len(ids)))
        assert len(ids) <= LOCKS[tile.kind].count
    sent = Counter(flow.destination for flow in objects.flows)
    assert set(sent.values()) == {1}
    assert len(objects.flows) == sum(len(fifo.consumers) for fifo in design.fifos)


@given(dataflows())
def test_every_bd_lies_within_its_buffer_between_locks_of_its_tile(design):
    objects = lower(design)
    for one in objects.channels:
        for bd in one.bds:
            assert 0 <= bd.offset < bd.offset + bd.words <= bd.buffer.words
            assert bd.acquire.tile == bd.release.tile == one.tile
            assert isinstance(bd.buffer, Buffer) and bd.buffer in objects.buffers


@given(dataflows())
def test_in_a_round_of_all_rings_each_lock_is_taken_as_often_as_it_is_given(design):
    """Room for every object is taken and given back once; of some locks a core has one side."""
    objects = lower(design)
    taken, given_back = Counter(), Counter()
    for one in objects.channels:
        for bd in one.bds:
            taken[bd.acquire] += bd.acquire_count
            given_back[bd.release] += bd.release_count
    for lock in taken | given_back:
        if lock.init:
            assert {taken[lock], given_back[lock]} <= {lock.init, 0}
        elif taken[lock] and given_back[lock]:
            assert taken[lock] == given_back[lock]
