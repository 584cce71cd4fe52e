# SPDX-License-Identifier: Apache-2.0
"""Runs against a slow walk, closed forms, and islands against the cheapest cover there is."""

import itertools
import math
import re
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen.bitmap import pack
from bdgen.errors import PlanError
from bdgen.runs import break_even_gap, islands, runs

compiles = settings(deadline=None)  # the first call may compile for a second
masks = st.lists(st.booleans(), max_size=300).map(lambda mask: np.array(mask, np.bool_))
costs = st.integers(1, 12)


def slow_runs(mask):
    """Maximal runs by walking the rows."""
    found, at = [], 0
    for wanted, group in itertools.groupby(mask.tolist()):
        length = len(list(group))
        if wanted:
            found.append((at, length))
        at += length
    return found


def cheapest_cover(mask, bd_cost, row_cost):
    """Cost of the best choice of BDs over all ways to cut the rows; cost[i] is for i rows."""
    cost = [0] * (len(mask) + 1)
    for end in range(1, len(mask) + 1):
        ways = [cost[at] + bd_cost + row_cost * (end - at) for at in range(end)]
        cost[end] = min(ways if mask[end - 1] else [cost[end - 1], *ways])
    return cost[-1]


def pairs(starts_and_lengths):
    starts, lengths = starts_and_lengths
    assert starts.dtype == lengths.dtype == np.int64
    return list(zip(starts.tolist(), lengths.tolist(), strict=True))


@compiles
@given(masks)
def test_runs_are_the_slow_walks(mask):
    assert pairs(runs(pack(mask), len(mask))) == slow_runs(mask)


@pytest.mark.parametrize("count", [0, 1, 8, 63, 64, 65, 128, 192, 200])
def test_one_run_of_all_rows_ends_at_the_last(count):
    everything, nothing = pack(np.ones(count, np.bool_)), pack(np.zeros(count, np.bool_))
    assert pairs(runs(everything, count)) == ([(0, count)] if count else [])
    assert pairs(runs(nothing, count)) == []


@pytest.mark.parametrize("first", [62, 63, 64, 65])
def test_a_run_across_a_word_is_one_run(first):
    mask = np.zeros(200, np.bool_)
    mask[first : first + 70] = True
    assert pairs(runs(pack(mask), 200)) == [(first, 70)]


def test_alternating_rows_are_a_run_each():
    mask = np.arange(11008) % 2 == 0
    starts, lengths = runs(pack(mask), len(mask))
    assert len(starts) == 5504
    assert (lengths == 1).all()


@compiles
@given(masks, st.integers(0, 10))
def test_islands_leave_only_wider_gaps_and_lose_no_row(mask, max_gap):
    starts, lengths = runs(pack(mask), len(mask))
    merged = pairs(islands(starts, lengths, max_gap))
    covered = np.zeros_like(mask)
    for start, length in merged:
        assert mask[start] and mask[start + length - 1]
        covered[start : start + length] = True
    for (start, length), (after, _) in itertools.pairwise(merged):
        assert after - (start + length) > max_gap
    assert not (mask & ~covered).any()
    unwanted = covered & ~mask
    assert all(length <= max_gap for _, length in slow_runs(unwanted))


def test_islands_join_runs_that_touch_and_no_gap_wider_than_asked():
    starts, lengths = np.array([0, 2, 5, 9]), np.array([2, 1, 1, 1])
    assert pairs(islands(starts, lengths, 0)) == [(0, 3), (5, 1), (9, 1)]
    assert pairs(islands(starts, lengths, 1)) == [(0, 3), (5, 1), (9, 1)]
    assert pairs(islands(starts, lengths, 2)) == [(0, 6), (9, 1)]
    assert pairs(islands(starts, lengths, 3)) == [(0, 10)]
    assert pairs(islands(starts, lengths, 10**30)) == [(0, 10)]


@compiles
@given(st.lists(st.booleans(), max_size=40), costs, costs)
def test_merging_up_to_the_break_even_gap_is_the_cheapest_cover(mask, bd_cost, row_cost):
    starts, lengths = runs(pack(np.array(mask, np.bool_)), len(mask))
    _, moved = islands(starts, lengths, break_even_gap(bd_cost, row_cost))
    assert len(moved) * bd_cost + moved.sum() * row_cost == cheapest_cover(mask, bd_cost, row_cost)


@compiles
@given(st.floats(0, 1e6), st.floats(1e-3, 1e6))
def test_the_break_even_gap_pays_and_one_row_more_does_not(bd_cost, row_cost):
    gap = break_even_gap(bd_cost, row_cost)
    bd, row = Fraction(bd_cost), Fraction(row_cost)
    assert gap == 0 or gap * row < bd
    assert (gap + 1) * row >= bd


@pytest.mark.parametrize(
    ("bd_cost", "row_cost", "gap"), [(0, 1, 0), (1, 2, 0), (2, 2, 0), (5, 2, 2), (6, 2, 2)]
)
def test_a_gap_that_costs_exactly_a_bd_stays_a_gap(bd_cost, row_cost, gap):
    assert break_even_gap(bd_cost, row_cost) == gap


@pytest.mark.parametrize("density", [0.02, 0.1, 0.33, 0.5, 0.9])
def test_bernoulli_rows_make_the_expected_number_of_runs(density):
    count, tries = 11008, 40
    edge = density * (1 - density)
    mean = density + (count - 1) * edge
    covariance = (count - 2) * edge**2 + density * edge
    variance = edge + (count - 1) * edge * (1 - edge) - 2 * covariance
    rng = np.random.default_rng(7)
    found = [len(runs(pack(rng.random(count) < density), count)[0]) for _ in range(tries)]
    assert abs(np.mean(found) - mean) < 3 * math.sqrt(variance / tries)
    assert 0.5 < np.var(found) / variance < 2


@pytest.mark.parametrize(
    ("density", "max_gap", "descriptors", "moved"),
    [(0.1, 0, 991, 1101), (0.1, 1, 892, 1200), (0.1, 3, 722, 1619), (0.33, 1, 1631, 4436)],
)
def test_bernoulli_islands_follow_the_closed_form(density, max_gap, descriptors, moved):
    """N p (1-p)^(g+1) BDs; N p + sum over gaps j of j N p^2 (1-p)^j rows, for N = 11008."""
    rng = np.random.default_rng(11)
    counts, rows = [], []
    for _ in range(60):
        starts, lengths = runs(pack(rng.random(11008) < density), 11008)
        _, merged = islands(starts, lengths, max_gap)
        counts.append(len(merged))
        rows.append(merged.sum())
    assert np.mean(counts) == pytest.approx(descriptors, rel=0.01)
    assert np.mean(rows) == pytest.approx(moved, rel=0.01)


def ints(*values):
    return np.array(values, np.int64)


@pytest.mark.parametrize(
    ("starts", "lengths", "max_gap", "sentence"),
    [
        (
            ints(0, 5),
            ints(6, 1),
            0,
            "run 1 (1 rows from row 5) is empty or starts before the end of the one before; give "
            "non-empty runs in ascending order",
        ),
        (
            ints(5, 0),
            ints(1, 1),
            9,
            "run 1 (1 rows from row 0) is empty or starts before the end of the one before; give "
            "non-empty runs in ascending order",
        ),
        (
            ints(3),
            ints(0),
            0,
            "run 0 (0 rows from row 3) is empty or starts before the end of the one before; give "
            "non-empty runs in ascending order",
        ),
        (ints(1, 3), ints(1), 0, "2 run starts but 1 lengths; give one each"),
        (ints(1), ints(1), -1, "a gap of -1 rows between runs cannot be; give 0 or more"),
        (
            [1],
            ints(1),
            0,
            "run starts are a 1-D int64 array, not a list; use bdgen.runs",
        ),
        (
            ints(1),
            np.ones(1),
            0,
            "run lengths are a 1-D int64 array, not a 1-D float64 array; use bdgen.runs",
        ),
    ],
)
def test_what_are_no_runs_is_refused(starts, lengths, max_gap, sentence):
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        islands(starts, lengths, max_gap)


def test_a_bitmap_of_another_matrix_is_refused():
    with pytest.raises(PlanError, match=r"^a bitmap of 17 rows has 3 bytes, this one 2; "):
        runs(np.zeros(2, np.uint8), 17)


@pytest.mark.parametrize("cost", [-1, math.nan, math.inf])
def test_costs_without_a_break_even_gap_are_refused(cost):
    with pytest.raises(PlanError, match=f"^a BD cost of {cost} has no break-even gap; give a "):
        break_even_gap(cost, 1)
    with pytest.raises(PlanError, match=f"^a row cost of {cost} has no break-even gap; give a "):
        break_even_gap(1, cost)


def test_a_free_row_is_refused():
    with pytest.raises(PlanError, match=r"^a row cost of 0 has no break-even gap; give a finite"):
        break_even_gap(1, 0)
