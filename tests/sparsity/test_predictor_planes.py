# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.bf16 import from_bf16, to_bf16
from sparsity.errors import ShapeError
from sparsity.predictor.planes import MAX_STEPS, make_planes, quantise
from sparsity.predictor.signs import pack_signs

finite = st.floats(allow_nan=False, allow_infinity=False, width=32)


def values_of(planes):
    """Plain code: a value is the sum over planes of 2**b, minus where the bit is set."""
    words = planes.words.tolist()
    return [
        sum((-1) ** (row[i // 64] >> (i % 64) & 1) << b for b, row in enumerate(words))
        for i in range(planes.width)
    ]


@given(st.lists(finite, min_size=1, max_size=140), st.integers(1, 8))
def test_planes_hold_the_quantised_values(values, bits):
    x = np.array(values, np.float32)
    planes = make_planes(x, bits)
    q = quantise(x, bits)
    assert values_of(planes) == q.tolist()
    assert int(planes.total) == np.abs(q).sum()
    assert ((q < 0) == (x < 0)).all()
    assert (q % 2 == 1).all()
    assert np.abs(q).max() < 1 << bits


@pytest.mark.parametrize("width", [1, 63, 64, 65, 127, 128, 129])
@pytest.mark.parametrize("bits", [1, 3, 8])
def test_bits_past_the_width_are_clear(width, bits):
    planes = make_planes(-np.ones(width, np.float32), bits)
    used = (1 << (width - 1) % 64 + 1) - 1
    assert not any(int(row[-1]) & ~used for row in planes.words)


def test_one_bit_is_the_sign():
    x = np.random.default_rng(0).standard_normal((5, 100)).astype(np.float32)
    planes = make_planes(x)
    assert (planes.words[:, 0] == pack_signs(x).words).all()
    assert planes.total.tolist() == [100] * 5


def test_more_bits_come_nearer():
    x = np.random.default_rng(0).standard_normal(4000)
    errors = [np.square(quantise(x, b) * step / 2 - x).mean() for b, step in MAX_STEPS.items()]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] == pytest.approx(1 - 2 / np.pi, abs=0.02)  # Max, 1960: 0.3634
    assert errors[3] == pytest.approx(0.01154, rel=0.1)  # Max, 1960


def test_several_tokens_are_each_quantised_by_their_own_size():
    x = np.random.default_rng(0).standard_normal((3, 70)).astype(np.float32)
    scaled = x * np.array([[1], [1024], [0.25]], np.float32)
    assert (make_planes(x, 4).words == make_planes(scaled, 4).words).all()


def test_an_input_of_zeros_is_positive():
    assert (quantise(np.zeros(9), 4) == 1).all()
    assert not make_planes(np.zeros(9), 4).words[-1].any()


def test_bfloat16_and_integers_are_inputs_too():
    bits = to_bf16(np.random.default_rng(0).standard_normal(70))
    assert (make_planes(bits, 4).words == make_planes(from_bf16(bits), 4).words).all()
    assert values_of(make_planes(np.array([-3, 0, 2], np.int8))) == [-1, 1, 1]


@pytest.mark.parametrize("make", [make_planes, quantise])
@pytest.mark.parametrize(
    ("x", "bits", "message"),
    [
        (np.ones(3), 0, "^activations at 0 bits: give 1 to 8$"),
        (np.ones(3), 9, "^activations at 9 bits: give 1 to 8$"),
        (np.ones((2, 0)), 1, "^an input without a value: "),
        (np.array([1, np.nan]), 1, "^the input has a NaN or an infinity: "),
        (np.array([1, -np.inf]), 4, "^the input has a NaN or an infinity: "),
        (np.ones(3, bool), 1, "^an input of bool: give floats, or bfloat16 bits as uint16$"),
    ],
)
def test_inputs_that_mean_nothing_are_refused(make, x, bits, message):
    with pytest.raises(ShapeError, match=message):
        make(x, bits)
