# SPDX-License-Identifier: Apache-2.0
"""Where buffers lie: banks in turn, else in sequence, and equal ones in std::sort's order."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_flows import dataflows

from aie2.devices import NPU1, NPU2
from aie2.tiles import TileKind
from iron_designs.compiler.memory import BANKS, largest_first, place
from iron_designs.compiler.objects import lower
from iron_designs.compiler.parts import Buffer
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError

MEMTILE, CORE = Tile(0, 1), Tile(0, 2)
BANK = 65_536
"""Bytes of a memtile's bank."""


def buffers(*sizes, tile=MEMTILE):
    return [Buffer(f"b{n}", tile, words) for n, words in enumerate(sizes)]


def placed(*sizes, tile=MEMTILE):
    mine = buffers(*sizes, tile=tile)
    found = place(mine, NPU2)
    return [found[buffer] for buffer in mine]


def test_a_buffer_may_fill_a_bank():
    """test/assign-buffer-addresses/bank_aware_alloc_memtile_simple.mlir, and a second one."""
    assert placed(16_384, 16_384) == [0, BANK]


def test_the_largest_comes_first_and_each_goes_to_the_next_bank():
    """test/assign-buffer-addresses/bank_aware_alloc_simple.mlir: b, c, a by size, without stack."""
    assert placed(4, 512, 8, tile=CORE) == [2 * 16_384, 0, 16_384]


def test_the_ninth_buffer_shares_the_first_bank():
    assert placed(*[100] * 9) == [*(n * BANK for n in range(8)), 400]


def test_a_bank_without_room_is_passed_over():
    small = (100,) * 7
    assert placed(16_384, *small, 200) == [
        0,
        *(n * BANK for n in (2, 3, 4, 5, 6, 7)),
        BANK + 800,
        BANK,
    ]


@pytest.mark.parametrize("tile", [MEMTILE, CORE])
def test_what_no_bank_holds_puts_the_whole_tile_in_sequence(tile):
    """test/assign-buffer-addresses/fallback_routine_simple.mlir: largest first, from 0."""
    bank_words = (NPU2.memtile_bytes if tile is MEMTILE else NPU2.core_bytes) // 4 // 8
    too_large = 2 * bank_words + 1
    assert placed(8, too_large, 8, tile=tile) == [4 * too_large, 0, 4 * too_large + 32]


def test_what_a_tile_cannot_hold_is_refused():
    """test/assign-buffer-addresses/bank_aware_alloc_memtile_error.mlir."""
    with pytest.raises(DesignError, match=r"memtile tile \(0, 1\) take 528000 bytes .* 524288"):
        placed(132_000)
    assert placed(131_072) == [0]


def test_each_tile_has_its_own_memory():
    mine = [*buffers(8), *buffers(8, tile=Tile(1, 1))]
    assert list(place(mine, NPU1).values()) == [0, 0]


def test_24_equal_buffers_lie_where_aiecc_put_them():
    """A tile of mlir-aie's whole_array example that was taken apart and built again.

    Buffers 31 to 24 and 15 to 0 of a word each, in this order; addresses by falling number.
    """
    aiecc = """
        262148 458760 393224 327688 262152 196616 131080 65544
        8 458756 393220 327684 0 196612 131076 65540
        4 458752 393216 327680 262144 196608 131072 65536
    """
    assert placed(*[1] * 24) == [int(address) for address in aiecc.split()]


@given(st.lists(st.integers(1, 5), max_size=16))
def test_up_to_16_buffers_of_a_size_stay_in_order(sizes):
    mine = buffers(*sizes)
    assert largest_first(mine) == sorted(mine, key=lambda buffer: -buffer.words)


@given(st.lists(st.integers(1, 20), max_size=80))
def test_the_largest_come_first_and_none_is_lost(sizes):
    mine = buffers(*sizes)
    ordered = largest_first(mine)
    assert all(one.words >= other.words for one, other in pairwise(ordered))
    assert sorted(ordered, key=mine.index) == mine


@pytest.mark.parametrize(
    ("sizes", "order"),
    [
        ([1] * 17, "8 16 15 14 13 12 11 10 9 0 7 6 5 4 3 2 1"),
        ([1, 2] * 9, "9 17 15 13 11 7 5 3 1 6 8 0 10 4 12 14 2 16"),
        ([1] * 17 + [2], "17 9 16 15 14 13 12 11 10 0 8 7 6 5 4 3 2 1"),
        ([2, 2, 1] * 6, "1 16 15 13 12 10 9 7 6 4 3 0 8 5 11 14 2 17"),
        ([2, 1] * 9, "2 16 4 6 14 8 0 10 12 9 17 15 13 11 7 5 3 1"),
    ],
)
def test_more_than_16_come_out_as_gnu_sorts_them(sizes, order):
    """Orders that std::sort of libstdc++ 12 gave for these sizes."""
    mine = buffers(*sizes)
    assert " ".join(str(mine.index(one)) for one in largest_first(mine)) == order


@given(dataflows())
def test_no_two_buffers_of_a_tile_overlap(design):
    objects = lower(design)
    addresses = place(objects.buffers, design.device)
    assert set(addresses) == set(objects.buffers)
    for tile in {buffer.tile for buffer in objects.buffers}:
        size = (
            design.device.memtile_bytes
            if tile.kind is TileKind.MEMTILE
            else design.device.core_bytes
        )
        spans = sorted(
            (addresses[one], addresses[one] + 4 * one.words)
            for one in objects.buffers
            if one.tile == tile
        )
        assert spans[0][0] >= 0 and spans[-1][1] <= size
        assert all(end <= start for (_, end), (start, _) in pairwise(spans))


@given(st.lists(st.integers(1, 16_384), min_size=1, max_size=7))
def test_as_many_buffers_as_banks_lie_in_a_bank_each(sizes):
    assert len({address // BANK for address in placed(*sizes)}) == len(sizes) < BANKS[MEMTILE.kind]
