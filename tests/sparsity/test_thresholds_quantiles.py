# SPDX-License-Identifier: Apache-2.0
"""Thresholds: the seed's definition to the letter, and streams within one bin of it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from sparsity.bf16 import from_bf16, to_bf16
from sparsity.errors import SparsityError
from sparsity.thresholds.quantiles import MagnitudeHistogram, below, share_of, threshold

FLOATS = hn.arrays(
    np.float32,
    st.integers(1, 200),
    elements=st.floats(-1e4, 1e4, width=32) | st.sampled_from([0.0, -0.0, 1.0, -1.0]),
)
SHARES = st.floats(0, 1)


@given(FLOATS, SHARES)
def test_at_most_the_share_asked_for_is_below_and_no_higher_threshold_does_it(values, share):
    limit = threshold(values, share)
    wanted = share_of(share, values.size)
    assert np.count_nonzero(below(values, limit)) <= wanted
    if np.isfinite(limit):
        assert np.count_nonzero(below(values, np.nextafter(np.float32(limit), np.inf))) > wanted


@given(SHARES, st.integers(1, 10**9))
def test_a_share_is_rounded_down(share, count):
    assert share_of(share, count) <= share * count * (1 + 1e-12)
    assert share_of(share, count) > share * count - 1


def test_a_share_that_is_a_whole_number_is_that_number():
    assert share_of(0.29, 100) == 29  # .29 * 100 is 28.999999999999996
    for count in range(1, 200):
        assert [share_of(part / count, count) for part in range(count + 1)] == [*range(count + 1)]


def test_what_equals_the_threshold_is_kept():
    values = np.array([1, -2, 2, 3], np.float32)
    assert threshold(values, 0.5) == 2
    assert below(values, 2).tolist() == [True, False, False, False]


def test_all_and_nothing():
    values = np.array([1, 2], np.float32)
    assert not below(values, threshold(values, 0)).any()
    assert below(values, threshold(values, 1)).all()


@given(FLOATS, SHARES, st.integers(1, 7))
def test_a_stream_is_at_most_one_bin_below_the_exact_threshold(values, share, parts):
    stream = MagnitudeHistogram()
    for part in np.array_split(values, parts):
        stream.add(part)
    exact, found = threshold(values, share), stream.threshold(share)
    assert found <= exact
    if np.isfinite(exact) and exact > 1e-30:
        assert found * (1 + 2**-7) >= exact


@given(FLOATS, SHARES)
def test_a_stream_of_bfloat16_is_exact(values, share):
    rounded = from_bf16(to_bf16(values))
    stream = MagnitudeHistogram()
    stream.add(rounded)
    assert stream.threshold(share) == threshold(rounded, share)


@given(FLOATS, FLOATS, SHARES)
def test_merged_histograms_are_those_of_all_values(first, second, share):
    together, one, other = (MagnitudeHistogram() for _ in range(3))
    together.add(np.concatenate([first, second]))
    one.add(first)
    other.add(second)
    one.merge(other)
    assert one.threshold(share) == together.threshold(share)
    assert one.total == first.size + second.size


@pytest.mark.parametrize(
    ("values", "share", "why"),
    [
        ([], 0.5, "at least one"),
        ([1.0], 1.5, "give 0 to 1"),
        ([1.0], -0.1, "give 0 to 1"),
        ([1.0, float("nan")], 0.5, "not a number"),
    ],
)
def test_what_has_no_threshold_is_refused(values, share, why):
    with pytest.raises(SparsityError, match=why):
        threshold(np.array(values, np.float32), share)
    with pytest.raises(SparsityError, match=why):
        stream = MagnitudeHistogram()
        stream.add(np.array(values, np.float32))
        stream.threshold(share)
