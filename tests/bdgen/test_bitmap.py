# SPDX-License-Identifier: Apache-2.0
"""Bitmaps against lists of booleans, and what is no bitmap of a given row count."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen.bitmap import bitmap_bytes, check, pack, popcount, rows, unpack
from bdgen.errors import PlanError

compiles = settings(deadline=None)  # the first call may compile for a second
masks = st.lists(st.booleans(), max_size=200).map(lambda mask: np.array(mask, np.bool_))


@compiles
@given(masks)
def test_row_i_is_bit_i_modulo_8_of_byte_i_over_8(mask):
    bitmap = pack(mask)
    assert len(bitmap) == bitmap_bytes(len(mask))
    assert [bool(bitmap[i // 8] >> i % 8 & 1) for i in range(len(mask))] == mask.tolist()


@compiles
@given(masks)
def test_unpack_undoes_pack(mask):
    unpacked = unpack(pack(mask), len(mask))
    assert unpacked.dtype == np.bool_
    np.testing.assert_array_equal(unpacked, mask)


@compiles
@given(masks)
def test_rows_lists_each_marked_row_once(mask):
    bitmap = pack(mask)
    listed = rows(bitmap, len(mask))
    assert listed.dtype == np.int64
    assert listed.tolist() == [i for i, wanted in enumerate(mask) if wanted]
    assert popcount(bitmap) == len(listed)


@pytest.mark.parametrize("count", [0, 1, 63, 64, 65, 128, 11008])
def test_all_rows_and_no_rows(count):
    everything, nothing = pack(np.ones(count, np.bool_)), pack(np.zeros(count, np.bool_))
    assert rows(everything, count).tolist() == list(range(count))
    assert rows(nothing, count).tolist() == []


def test_a_read_only_strided_unaligned_bitmap_is_read_right():
    mask = np.arange(200) % 3 == 0
    spread = np.zeros(51, np.uint8)
    spread[1::2] = pack(mask)
    spread.flags.writeable = False
    assert rows(spread[1::2], 200).tolist() == list(range(0, 200, 3))
    shifted = np.frombuffer(b"\0" + pack(mask).tobytes(), np.uint8, offset=1)
    assert rows(shifted, 200).tolist() == list(range(0, 200, 3))


@pytest.mark.parametrize(
    ("bitmap", "count", "sentence"),
    [
        (b"\1", 8, "a bitmap is a 1-D uint8 array, not a bytes; use bitmap.pack"),
        (
            np.zeros(1, np.bool_),
            8,
            "a bitmap is a 1-D uint8 array, not a 1-D bool array; use bitmap.pack",
        ),
        (
            np.zeros((1, 1), np.uint8),
            8,
            "a bitmap is a 1-D uint8 array, not a 2-D uint8 array; use bitmap.pack",
        ),
        (np.zeros(0, np.uint8), -1, "a bitmap of -1 rows cannot be; give 0 or more"),
        (
            np.zeros(2, np.uint8),
            8,
            "a bitmap of 8 rows has 1 bytes, this one 2; give the bitmap and the row count of "
            "the same matrix",
        ),
        (
            np.zeros(1, np.uint8),
            9,
            "a bitmap of 9 rows has 2 bytes, this one 1; give the bitmap and the row count of "
            "the same matrix",
        ),
        (
            np.array([0, 8], np.uint8),
            11,
            "the bitmap marks rows past the last of 11; clear its unused bits",
        ),
    ],
)
@pytest.mark.parametrize("reader", [check, rows, unpack])
def test_what_is_no_bitmap_of_count_rows_is_refused(reader, bitmap, count, sentence):
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        reader(bitmap, count)


def test_the_last_row_may_be_marked():
    assert rows(np.array([0, 4], np.uint8), 11).tolist() == [10]


@pytest.mark.parametrize(
    ("mask", "what"),
    [
        ([True], "a list"),
        (np.zeros(8, np.uint8), "a 1-D uint8 array"),
        (np.zeros((2, 4), np.bool_), "a 2-D bool array"),
    ],
)
def test_what_is_no_mask_is_refused(mask, what):
    with pytest.raises(PlanError, match=f"^a mask is a 1-D bool array, not {what}; use mask != 0$"):
        pack(mask)
