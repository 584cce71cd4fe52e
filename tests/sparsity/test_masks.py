# SPDX-License-Identifier: Apache-2.0
"""Patterns: how many rows, which ones; the same for any size and sparsity."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import MaskError
from sparsity.masks import PATTERNS, alternating, bernoulli, contiguous, make

ROWS = st.integers(1, 20000)
SHARES = st.floats(0, 1)


@pytest.mark.parametrize("pattern", PATTERNS)
@given(rows=ROWS)
def test_no_sparsity_wants_all_and_full_sparsity_none(pattern: str, rows: int) -> None:
    assert make(pattern, rows, 0.0).all()
    assert not make(pattern, rows, 1.0).any()


@pytest.mark.parametrize("pattern", PATTERNS)
@given(rows=ROWS, sparsity=SHARES)
def test_a_mask_is_bools_of_the_rows(pattern: str, rows: int, sparsity: float) -> None:
    mask = make(pattern, rows, sparsity, seed=3)
    assert (mask.dtype, mask.shape) == (np.bool_, (rows,))


@given(rows=ROWS, sparsity=SHARES)
def test_alternating_and_contiguous_want_the_share_to_within_a_row(
    rows: int, sparsity: float
) -> None:
    wanted = np.count_nonzero(alternating(rows, sparsity))
    assert abs(wanted - rows * (1 - sparsity)) <= 1
    assert np.count_nonzero(contiguous(rows, sparsity)) == wanted


@given(rows=st.integers(2, 20000), sparsity=st.floats(0.01, 0.999))
def test_alternating_is_even(rows: int, sparsity: float) -> None:
    distances = np.diff(np.flatnonzero(alternating(rows, sparsity)))
    if distances.size:
        assert distances.max() - distances.min() <= 1


@given(rows=st.integers(500, 20000), period=st.integers(1, 500))
def test_alternating_wants_exactly_one_row_in_every_period(rows: int, period: int) -> None:
    wanted = np.flatnonzero(alternating(rows, 1 - 1 / period))
    assert wanted.tolist() == list(range(0, rows, period))


@given(rows=ROWS, sparsity=SHARES)
def test_contiguous_is_one_block_at_the_start(rows: int, sparsity: float) -> None:
    mask = contiguous(rows, sparsity)
    assert mask[: np.count_nonzero(mask)].all()


@pytest.mark.parametrize("sparsity", [0.1, 0.5, 0.9, 0.99])
def test_random_has_the_share_and_the_runs_of_coin_flips(sparsity: float) -> None:
    rows = 200_000
    mask = bernoulli(rows, sparsity, seed=11)
    density = 1 - sparsity
    deviation = math.sqrt(rows * density * sparsity)
    assert abs(np.count_nonzero(mask) - rows * density) < 4 * deviation
    runs = np.count_nonzero(mask[1:] & ~mask[:-1])
    assert abs(runs - rows * density * sparsity) < 4 * deviation


def test_random_follows_its_seed() -> None:
    first, again, other = (bernoulli(4096, 0.5, seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


@given(seed=st.integers(0, 2**32), low=SHARES, high=SHARES)
def test_sparser_random_mask_is_a_subset(seed: int, low: float, high: float) -> None:
    low, high = min(low, high), max(low, high)
    assert not (bernoulli(512, high, seed) & ~bernoulli(512, low, seed)).any()


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("sparsity", [-0.01, 1.01, math.nan, math.inf])
def test_sparsity_that_is_no_share_refused(pattern: str, sparsity: float) -> None:
    with pytest.raises(MaskError, match=f"^sparsity {sparsity} is not a share: give 0"):
        make(pattern, 16, sparsity)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_mask_of_no_rows_refused(pattern: str) -> None:
    with pytest.raises(MaskError, match=r"^a mask of 0 rows: give at least 1$"):
        make(pattern, 0, 0.5)


def test_unknown_pattern_refused() -> None:
    with pytest.raises(
        MaskError, match=r"^no pattern 'zebra': choose from random, alternating, co"
    ):
        make("zebra", 16, 0.5)


def test_negative_seed_refused() -> None:
    with pytest.raises(MaskError, match=r"^seed -1 is negative"):
        bernoulli(16, 0.5, -1)
