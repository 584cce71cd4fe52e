# SPDX-License-Identifier: Apache-2.0
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.bf16 import to_bf16
from sparsity.errors import ShapeError
from sparsity.predictor.blocks import FORMATS, dequantise
from sparsity.predictor.signs import negative, pack_signs, words_for


def unpacked(signs):
    """Plain code: bit i % 64 of word i // 64, for every bit that the words have."""
    return [
        [bool(int(row[i // 64]) >> (i % 64) & 1) for i in range(len(row) * 64)]
        for row in signs.words
    ]


@pytest.mark.parametrize("width", [*range(1, 131), 512, 576, 2560, 4544])
def test_every_width_is_packed_with_a_clear_tail(width):
    values = np.random.default_rng(width).standard_normal((2, width)).astype(np.float32)
    tail = [False] * (words_for(width) * 64 - width)
    assert unpacked(pack_signs(values)) == [[v < 0 for v in row] + tail for row in values.tolist()]


@given(st.lists(st.floats(width=32), min_size=1, max_size=70))
def test_every_float_is_negative_or_not_in_every_format_alike(values):
    exact = np.array([values], np.float32)
    plain = [[value < 0 for value in values]]
    assert negative(exact).tolist() == plain
    assert negative(exact.astype(np.float64)).tolist() == plain
    rounded = to_bf16(exact)
    as_float = (rounded.astype(np.uint32) << 16).view(np.float32)
    assert negative(rounded).tolist() == (as_float < 0).tolist()


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64])
def test_minus_zero_is_not_negative_and_a_denormal_is(kind):
    values = np.array([[-0.0, 0.0, -np.finfo(kind).smallest_subnormal]], kind)
    assert unpacked(pack_signs(values))[0][:3] == [False, False, True]


def test_bfloat16_bits_of_zero_nan_and_infinity():
    bits = np.array([[0x8000, 0x0000, 0xFFC0, 0xFF80, 0x8001, 0x7F80]], np.uint16)
    assert negative(bits).tolist() == [[False, False, False, True, True, False]]


def test_int8_has_its_least_value():
    assert negative(np.array([[-128, -1, 0, 127]], np.int8)).tolist() == [
        [True, True, False, False]
    ]


def half(value):
    return np.frombuffer(struct.pack("<e", value), np.uint8)


def block_bytes(name, scale, minimum, numbers):
    """One block by plain code; numbers are what is stored."""
    if name == "q8_0":
        return np.concatenate([half(scale), np.array(numbers, np.int8).view(np.uint8)])
    packed = np.array([numbers[i] | numbers[i + 16] << 4 for i in range(16)], np.uint8)
    head = [half(scale), half(minimum)] if name == "q4_1" else [half(scale)]
    return np.concatenate([*head, packed])


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int16, np.uint16])
def test_signs_of_affine_integers_are_those_of_what_they_stand_for(kind):
    chance, limits = np.random.default_rng(0), np.iinfo(kind)
    q = chance.integers(limits.min, limits.max, (6, 70), kind, endpoint=True)
    for zero in (0, int(limits.max), chance.integers(limits.min, limits.max, (6, 1))):
        stands_for = 0.37 * (q.astype(float) - zero)
        np.testing.assert_array_equal(negative(q, zero_point=zero), stands_for < 0)
        assert pack_signs(q, zero_point=zero).width == 70


@pytest.mark.parametrize(
    ("values", "form", "zero", "message"),
    [
        (np.zeros((2, 3), np.float32), "", 1, "^a zero point is an integer, of integers: "),
        (np.zeros((2, 3), np.int8), "", 0.5, "^a zero point is an integer, of integers: "),
        (np.zeros((2, 18), np.uint8), "q4_0", 8, "^a zero point is an integer, of integers: "),
        (np.zeros((2, 3), np.int8), "", np.zeros(2, int), r"^zero points of shape \[2\] do not go"),
        (np.zeros((2, 3), np.int8), "", np.zeros((9, 2, 3), int), "^zero points of shape "),
    ],
)
def test_a_zero_point_that_does_not_go_with_its_values_is_refused(values, form, zero, message):
    with pytest.raises(ShapeError, match=message):
        negative(values, form, zero)


@pytest.mark.parametrize("scale", [0.25, -0.25])
@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q8_0"])
def test_signs_of_a_block_are_those_of_its_values(name, scale):
    random = np.random.default_rng(1)
    numbers = random.integers(*((-128, 128) if name == "q8_0" else (0, 16)), 32).tolist()
    minimum = -7 * scale
    shift = {"q4_0": -8 * scale, "q4_1": minimum, "q8_0": 0}[name]
    values = [scale * number + shift for number in numbers]
    raw = np.stack([block_bytes(name, scale, minimum, numbers)] * 2)
    assert dequantise(raw, name).tolist() == [values, values]
    assert negative(raw, name).tolist() == [[value < 0 for value in values]] * 2
    assert pack_signs(raw, name).width == 32


@pytest.mark.parametrize(("name", "halves"), [("q4_k", [0, 2]), ("q6_k", [208])])
def test_super_blocks_are_what_gguf_makes_of_them(name, halves):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    random = np.random.default_rng(3)
    raw = random.integers(0, 256, (50, 3, FORMATS[name].block_bytes), np.uint8)
    for at in halves:
        scales = random.standard_normal((50, 3)).astype("<f2")
        raw[:, :, at : at + 2] = scales[:, :, None].view(np.uint8)
    rows = raw.reshape(50, -1)
    theirs = gguf.quants.dequantize(rows, gguf.GGMLQuantizationType[name.upper()])
    assert dequantise(rows, name).tolist() == theirs.tolist()
    assert pack_signs(rows, name).width == 3 * 256
    assert negative(rows, name).tolist() == (theirs < 0).tolist()


def test_the_top_bit_of_a_q4_1_nibble_is_no_sign():
    """A row of small nibbles over a large minimum is all positive, whatever the nibbles' bits."""
    raw = block_bytes("q4_1", 1.0, 5.0, [8] * 32)[None]
    assert not negative(raw, "q4_1").any()
    assert negative(block_bytes("q4_1", 1.0, -9.0, [8] * 32)[None], "q4_1").all()


@pytest.mark.parametrize(
    ("values", "form", "message"),
    [
        (np.zeros((2, 3), np.uint8), "", "^uint8 has no sign: give floats, signed integers, "),
        (np.zeros((2, 3), bool), "", "^bool has no sign: "),
        (np.zeros((2, 19), np.uint8), "q4_0", "^a row of 19 bytes is no whole number of q4_0 "),
        (np.zeros((2, 0), np.uint8), "q4_0", "^a row of 0 bytes "),
        (np.zeros((2, 18), np.int8), "q4_0", r"^q4_0 rows are uint8 \[rows, bytes\], not int8 "),
        (np.zeros((2, 18), np.uint8), "q5_k", "^no block format 'q5_k': choose from q4_0, q4_1, "),
    ],
)
def test_values_without_a_sign_are_refused(values, form, message):
    with pytest.raises(ShapeError, match=message):
        negative(values, form)


@pytest.mark.parametrize("shape", [(4,), (0, 4), (4, 0), (1, 2, 3)])
def test_what_is_no_matrix_is_refused(shape):
    with pytest.raises(ShapeError, match=r"^weights of shape \[.*\] are no matrix: give one row "):
        pack_signs(np.zeros(shape, np.float32))
