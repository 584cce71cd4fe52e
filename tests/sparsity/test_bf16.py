# SPDX-License-Identifier: Apache-2.0
"""bfloat16 rounding against the definition: the nearest of all bfloat16 values, ties to even."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.bf16 import from_bf16, to_bf16

ALL_BITS = np.arange(1 << 16, dtype=np.uint16)
FINITE = ALL_BITS[np.isfinite(from_bf16(ALL_BITS))]
NEXT_BEYOND_LARGEST = Fraction(2) ** 128


def slowly_rounded(value: float) -> int:
    """The bits of |value| rounded, by exact comparison with the two neighbours."""
    magnitude = Fraction(abs(value))
    below = int(np.float32(abs(value)).view(np.uint32)) >> 16
    low = Fraction(float(from_bf16(np.uint16(below))))
    infinite_above = below + 1 == 0x7F80
    high = (
        NEXT_BEYOND_LARGEST if infinite_above else Fraction(float(from_bf16(np.uint16(below + 1))))
    )
    to_low, to_high = magnitude - low, high - magnitude
    if to_low == to_high:
        return below + below % 2
    return below if to_low < to_high else below + 1


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_rounds_to_nearest_even(value: float) -> None:
    sign = 0x8000 if np.signbit(value) else 0
    assert int(to_bf16(np.float32(value))) == slowly_rounded(value) | sign


@given(st.integers(0, 0x7F7F), st.sampled_from([0x7FFF, 0x8000, 0x8001]))
def test_rounds_to_nearest_even_around_ties(upper: int, lower: int) -> None:
    value = float(np.uint32(upper << 16 | lower).view(np.float32))
    assert int(to_bf16(np.float32(value))) == slowly_rounded(value)


def test_every_bfloat16_survives_the_round_trip() -> None:
    assert np.array_equal(to_bf16(from_bf16(FINITE)), FINITE)


@pytest.mark.parametrize(
    ("value", "bits"), [(np.inf, 0x7F80), (-np.inf, 0xFF80), (3.4e38, 0x7F80), (-0.0, 0x8000)]
)
def test_ends_of_the_range(value: float, bits: int) -> None:
    assert int(to_bf16(np.float32(value))) == bits


@pytest.mark.parametrize("bits", [0x7F800001, 0x7FFFFFFF, 0xFF800001, 0xFFFFFFFF])
def test_nan_stays_nan_with_its_sign(bits: int) -> None:
    rounded = to_bf16(np.uint32(bits).view(np.float32))
    assert np.isnan(from_bf16(rounded))
    assert int(rounded) >> 15 == bits >> 31


def test_shape_is_kept_and_strides_do_not_matter() -> None:
    values = np.linspace(-3, 3, 24, dtype=np.float32).reshape(4, 6)[:, ::2]
    assert np.array_equal(to_bf16(values), to_bf16(values.copy()))
    assert from_bf16(to_bf16(values)).shape == (4, 3)


def test_other_words_refused() -> None:
    with pytest.raises(TypeError, match=r"^bfloat16 bits are uint16, not int16"):
        from_bf16(np.zeros(2, np.int16))
