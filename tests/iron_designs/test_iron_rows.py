# SPDX-License-Identifier: Apache-2.0
"""Which rows go where: dealt once each, in batches, and what a gather refuses."""

from __future__ import annotations

import argparse
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2.devices import NPU1, NPU2
from iron_designs import rows
from iron_designs.errors import DesignError
from iron_designs.rows import Gather, parse_rows


@st.composite
def gathers(draw: st.DrawFn) -> Gather:
    device = draw(st.sampled_from([NPU1, NPU2]))
    matrix_rows = draw(st.integers(1, 80))
    wanted = draw(st.lists(st.integers(0, matrix_rows - 1), min_size=1, max_size=100))
    columns = draw(st.integers(1, device.columns))
    row_bytes = 4 * draw(st.integers(1, 600))
    batch = draw(st.integers(1, 15))
    return Gather(device, tuple(wanted), columns, matrix_rows, row_bytes, row_bytes, batch)


@given(gathers())
def test_every_wanted_row_has_one_place_and_no_place_two_rows(gather: Gather):
    shares = [share for batch in gather.batches() for share in batch]
    placed = [
        (row, share.place + index) for share in shares for index, row in enumerate(share.rows)
    ]
    assert sorted(row for row, _ in placed) == sorted(gather.wanted)
    places = [place for _, place in placed]
    assert len(set(places)) == len(places)
    assert 0 <= min(places) <= max(places) < gather.out_bytes // gather.row_bytes


@given(gathers())
def test_kth_row_goes_to_column_k_and_keeps_its_turn(gather: Gather):
    for column in range(gather.columns):
        mine = [
            (share.place, share.rows)
            for batch in gather.batches()
            for share in batch
            if share.column == column
        ]
        assert [row for _, group in mine for row in group] == list(
            gather.wanted[column :: gather.columns]
        )
        assert [place for place, _ in mine] == sorted(place for place, _ in mine)


@given(gathers())
def test_no_share_is_empty_or_longer_than_a_batch(gather: Gather):
    for batch in gather.batches():
        assert batch
        assert len({share.column for share in batch}) == len(batch)
        for share in batch:
            assert 1 <= len(share.rows) <= gather.batch


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"columns": 5}, "columns is 5: npu1 has 1 to 4"),
        ({"row_bytes": 0}, "row bytes is 0: DMAs move 32-bit words, give a multiple of 4"),
        ({"row_bytes": 6}, "row bytes is 6: DMAs move 32-bit words, give a multiple of 4"),
        (
            {"object_bytes": 1022},
            "object bytes is 1022: DMAs move 32-bit words, give a multiple of 4",
        ),
        (
            {"object_bytes": 262148},
            "object bytes is 262148: 2 objects for each of 1 channel(s) must fit in a memtile of "
            "524288 bytes, so at most 262144",
        ),
        ({"matrix_rows": 0}, "matrix rows is 0: give 1 or more"),
        ({"wanted": ()}, "no row is wanted: give at least one"),
        ({"wanted": (3, 64)}, "row 64 is wanted, but the matrix has rows 0 to 63"),
        ({"wanted": (-1,)}, "row -1 is wanted, but the matrix has rows 0 to 63"),
        (
            {"batch": 0},
            "batch is 0 rows: give 1 to 15, the BDs of a shim besides the one that receives",
        ),
        (
            {"batch": 16},
            "batch is 16 rows: give 1 to 15, the BDs of a shim besides the one that receives",
        ),
        (
            {"object_bytes": 16384, "wanted": (1, 2, 3)},
            "column 0 moves 24576 bytes in a batch, which is not whole objects of 16384 bytes: the "
            "last object would never leave the memtile",
        ),
    ],
)
def test_impossible_gather_is_refused(sizes, sentence):
    with pytest.raises(DesignError, match=f"^{re.escape(sentence)}$"):
        Gather(**{"device": NPU1, "wanted": (0, 63), **sizes})


@pytest.mark.parametrize(
    "sizes",
    [
        {"columns": 4, "batch": 15},
        {"object_bytes": 4},
        {"object_bytes": 16384, "wanted": (1, 2)},
        {"object_bytes": 262144, "row_bytes": 262144},
    ],
)
def test_gather_on_the_limit_is_accepted(sizes):
    Gather(**{"device": NPU1, "wanted": (0, 63), **sizes})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", (0,)),
        ("1,4, 8-11", (1, 4, 8, 9, 10, 11)),
        ("5-5", (5,)),
        ("63,0,63", (63, 0, 63)),
    ],
)
def test_rows_are_read(text, expected):
    assert parse_rows(text, 64) == expected


@pytest.mark.parametrize("text", ["", "x", "1,,2", "1-", "-3", "1-2-3", "1.5", "²"])
def test_what_is_no_row_is_refused(text):
    with pytest.raises(DesignError, match=r"give numbers and ranges like 1,4,8-11$"):
        parse_rows(text, 64)


@pytest.mark.parametrize("text", ["64", "60-64", "0-99999999999999"])
def test_row_beyond_the_matrix_is_refused_before_it_is_counted_out(text):
    with pytest.raises(DesignError, match=r"is wanted, but the matrix has rows 0 to 63$"):
        parse_rows(text, 64)


def options(*arguments: str, wanted: bool = True) -> Gather:
    parser = argparse.ArgumentParser()
    parser.add_argument("--columns", type=int, default=1)
    rows.add_options(parser.add_argument, batch=4, wanted=wanted)
    return rows.from_options(NPU2, parser.parse_args(arguments))


def test_an_object_is_a_row_unless_told_otherwise():
    assert options("--row-bytes", "1024").object_bytes == 1024
    assert options("--row-bytes", "1024", "--object-bytes", "512").object_bytes == 512


def test_every_second_row_is_wanted_unless_told_otherwise():
    assert options("--matrix-rows", "5").wanted == (0, 2, 4)
    assert options("--matrix-rows", "5", "--wanted", "1-3").wanted == (1, 2, 3)
    assert options("--matrix-rows", "5", wanted=False).wanted == (0, 1, 2, 3, 4)
