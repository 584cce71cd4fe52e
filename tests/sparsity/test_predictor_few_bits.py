# SPDX-License-Identifier: Apache-2.0
"""Weights at a few bits: how near they are, and what is read of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import ShapeError
from sparsity.predictor.few_bits import read_bytes, rounded

RANDOM = np.random.default_rng(0)
WEIGHTS = RANDOM.normal(0, RANDOM.uniform(0.1, 9, (40, 1)), (40, 200)).astype(np.float32)


def test_one_bit_is_the_signs_times_their_mean_magnitude():
    mean = np.abs(WEIGHTS).mean(axis=1, keepdims=True)
    expected = np.where(WEIGHTS < 0, -mean, mean)
    np.testing.assert_allclose(rounded(WEIGHTS, 1), expected, rtol=1e-6)


def test_errors_are_those_of_the_best_uniform_quantisers_of_a_gaussian():
    gaussian = RANDOM.normal(0, 1, (100, 5000))
    # Mean square errors of Max (1960), table II, by bits.
    for bits, square in {1: 0.3634, 2: 0.1188, 3: 0.03744, 4: 0.01154, 5: 0.00349}.items():
        error = np.mean(np.square(rounded(gaussian, bits) - gaussian))
        assert error == pytest.approx(square, rel=0.03)


@given(st.integers(1, 8), st.floats(0.01, 100), st.integers(0, 9))
def test_rows_keep_their_signs_and_scale_with_their_weights(bits, factor, seed):
    weights = np.random.default_rng(seed).normal(0, 1, (3, 50))
    found = rounded(weights, bits)
    assert (np.sign(found) == np.where(weights < 0, -1, 1)).all()
    np.testing.assert_allclose(rounded(weights * factor, bits), found * factor, rtol=1e-5)
    assert all(len(np.unique(np.abs(row))) <= 2 ** (bits - 1) for row in found)


def test_a_row_of_zeros_stays_one():
    assert not rounded(np.zeros((2, 8), np.float32), 3).any()


@pytest.mark.parametrize(
    ("weights", "bits", "message"),
    [
        (WEIGHTS[0], 3, "are no matrix: give one row per neuron$"),
        (WEIGHTS, 0, "activations at 0 bits: give 1 to 8$"),
        (np.full((2, 2), np.nan), 3, "has a NaN or an infinity"),
    ],
)
def test_what_is_no_matrix_of_numbers_is_refused(weights, bits, message):
    with pytest.raises(ShapeError, match=message):
        rounded(weights, bits)


def test_three_bits_of_a_7b_gate_are_three_sixteenths_of_it():
    size = read_bytes(11008, 4096, 3)
    assert size == 11008 * (1536 + 2)
    assert size / (11008 * 4096 * 2) == pytest.approx(3 / 16, rel=2e-3)
    assert read_bytes(1, 9, 1) == 4
