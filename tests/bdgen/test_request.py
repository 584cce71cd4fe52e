# SPDX-License-Identifier: Apache-2.0
"""What would make a firmware gather wrong rows: a request misread, or a damaged one believed."""

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aie2.txn import DdrPatch
from bdgen.errors import PlanError
from bdgen.request import Location, Request, RequestError, unpack

DTYPES = ("bf16", "fp16", "fp32", "int8", "int4")

thresholds = st.one_of(st.just(0.0), st.floats(2.0**-126, 2.0**127, width=32))


@st.composite
def requests(draw):
    common = {
        "dtype": draw(st.sampled_from(DTYPES)),
        "row_bytes": 4 * draw(st.integers(1, 65535)),
        "threshold": draw(thresholds),
    }
    if draw(st.booleans()):
        return Request(
            Location.TILE,
            count=draw(st.integers(1, 16384)),
            column=draw(st.integers(0, 7)),
            offset_bytes=16 * draw(st.integers(0, (512 - 64) * 64)),
            **common,
        )
    return Request(
        Location.DDR,
        count=draw(st.integers(1, 2**24 - 1)),
        arg=draw(st.integers(0, 31)),
        offset_bytes=16 * draw(st.integers(0, 2**27 - 1)),
        **common,
    )


def example(**changes):
    return Request(
        **{"kind": Location.TILE, "count": 11008, "dtype": "bf16", "row_bytes": 8192} | changes
    )


def checked(words):
    """Words with the check byte that they ought to have."""
    data = bytearray(struct.pack("<4I", *words))
    data[11] = 0
    data[11] = int(np.bitwise_xor.reduce(np.frombuffer(data, np.uint8)))
    return struct.unpack("<4I", data)


@settings(deadline=None)
@given(requests())
def test_round_trip(request_):
    words = request_.pack()
    assert unpack(words) == request_
    assert checked(words) == words
    assert (
        unpack(DdrPatch.from_words(DdrPatch(0x1D004, 0, 0, words).to_words()).reserved) == request_
    )


@settings(deadline=None)
@given(requests(), st.integers(0, 127))
def test_any_flipped_bit_is_noticed(request_, bit):
    words = list(request_.pack())
    words[bit // 32] ^= 1 << bit % 32
    with pytest.raises(RequestError):
        unpack(words)


def test_bits_are_where_the_page_says():
    tile = example(column=2, offset_bytes=0x400, threshold=0.5, dtype="int8")
    assert tile.pack()[0] == 0xBD << 24 | 1 << 20 | 3 << 17 | 2048
    assert tile.pack()[1] == 2 << 25 | 1 << 20 | 0x400
    assert tile.pack()[2] & 0xFFFFFF == 11008
    assert tile.pack()[3] == 0x3F000000
    ddr = example(kind=Location.DDR, arg=2, offset_bytes=4096)
    assert ddr.pack()[0] == 0xBD << 24 | 1 << 20 | 1 << 16 | 2048
    assert ddr.pack()[1] == 2 << 27 | 256


def test_the_usual_request_leaves_the_action_word_zero():
    assert example().pack()[3] == 0


def test_threshold_is_the_fp32_that_the_firmware_compares_with():
    assert example(threshold=0.1).threshold == float(np.float32(0.1))


def test_int4_activations_are_two_to_a_byte():
    assert example(dtype="int4", count=5).nbytes == 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dtype": "fp8"}, 'activations of type "fp8"; give bf16, fp16, fp32, int8, int4'),
        ({"count": 0}, "a request for 0 activations; give 1 to 16777215"),
        ({"count": 1 << 24}, "a request for 16777216 activations; give 1 to 16777215"),
        ({"row_bytes": 0}, "a row pitch of 0 bytes in a Phase 2 request; give a multiple of 4"),
        ({"row_bytes": 510}, "a row pitch of 510 bytes"),
        ({"row_bytes": 4 << 16}, "a row pitch of 262144 bytes .* from 4 to 262140"),
        ({"offset_bytes": 8}, "activations at byte offset 8, which the firmware cannot read 16"),
        ({"offset_bytes": -16}, "activations at byte offset -16"),
        ({"column": 8}, "activations in column 8; devices have columns 0 to 7"),
        ({"row": 0}, "activations in tile row 0, which is no memtile; give row 1"),
        ({"row": 2}, "activations in tile row 2, which is no memtile; give row 1"),
        (
            {"offset_bytes": 512 * 1024 - 22016 + 16},
            "activations end at byte 524304 of a memtile of 524288 bytes; place them lower",
        ),
        ({"kind": Location.DDR, "arg": 32}, "activations in host buffer 32; give 0 to 31"),
        ({"kind": Location.DDR, "offset_bytes": 1 << 31}, "activations at byte offset 2147483648"),
        ({"kind": 7}, "location kind 7; give Location.TILE or Location.DDR"),
        ({"threshold": math.nan}, "a threshold of nan; give a finite number, 0 or above"),
        ({"threshold": -1.0}, "a threshold of -1.0; give a finite number, 0 or above"),
        ({"threshold": -0.0}, "a threshold of -0.0; give a finite number"),
        ({"threshold": math.inf}, "a threshold of inf"),
        ({"threshold": 1e39}, "a threshold of 1e\\+39 is beyond fp32"),
        ({"threshold": 1e-50}, "a threshold of 1e-50 is beyond fp32"),
    ],
)
def test_impossible_request_refused(changes, message):
    with pytest.raises(RequestError, match=f"^{message}"):
        example(**changes)


def test_the_last_byte_of_the_memtile_may_be_used():
    assert example(offset_bytes=512 * 1024 - 22016).nbytes == 22016


WORDS = (0xBD100800, 0x00100000, 0x00002B00, 0)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((0, 0, 0, 0), "the first DDR patch carries no Phase 2 request: its magic byte is 0x00"),
        ((0xBE100800, *WORDS[1:]), "the first DDR patch carries no Phase 2 request: .* is 0xbe"),
        ((0xBD200800, *WORDS[1:]), "a Phase 2 request of version 2, this is version 1"),
        ((0xBD1A0800, *WORDS[1:]), "element type code 5 in a Phase 2 request; known are 0 to 4"),
        ((0xBD100000, *WORDS[1:]), "a row pitch of 0 bytes"),
        ((WORDS[0], 0x00100008, *WORDS[2:]), "activations at byte offset 8"),
        ((WORDS[0], 0x00200000, *WORDS[2:]), "activations in tile row 2, which is no memtile"),
        ((WORDS[0], 0x01F00000, *WORDS[2:]), "activations in tile row 31, which is no memtile"),
        ((WORDS[0], 0x00180000, *WORDS[2:]), "activations end at byte 546304 of a memtile"),
        ((WORDS[0], 0xFE100000, *WORDS[2:]), "activations in column 127"),
        ((*WORDS[:2], 0, 0), "a request for 0 activations"),
        ((*WORDS[:3], 0x7FC00000), "a threshold of nan"),
        ((*WORDS[:3], 0x80000000), "a threshold of -0.0"),
        ((*WORDS[:3], 0xBF800000), "a threshold of -1.0"),
    ],
)
def test_malformed_words_refused(words, message):
    with pytest.raises(RequestError, match=f"^{message}"):
        unpack(checked(words))


def test_damage_is_named():
    words = list(checked(WORDS))
    words[2] ^= 0x01000000
    with pytest.raises(RequestError, match="^a damaged Phase 2 request: check byte "):
        unpack(words)


def test_wrong_number_of_words_refused():
    with pytest.raises(RequestError, match="^3 reserved words; a DDR patch op has 4$"):
        unpack(WORDS[:3])


def test_column_beyond_the_partition_refused():
    words = example(column=4).pack()
    assert unpack(words, columns=5).column == 4
    with pytest.raises(RequestError, match="^activations in column 4 of a partition of 4 columns"):
        unpack(words, columns=4)


def test_a_request_error_is_a_plan_error():
    assert issubclass(RequestError, PlanError)
