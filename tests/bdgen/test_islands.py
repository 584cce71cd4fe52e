# SPDX-License-Identifier: Apache-2.0
"""Islands by the break-even rule against dynamic programming, with costs as exact fractions.

`tests/bdgen/test_runs.py` has small whole costs; here costs are any floats, as calibrations have.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdgen.bitmap import pack as to_bitmap
from bdgen.runs import break_even_gap, islands, runs
from tests.bdgen import exact_cover

masks = st.lists(st.booleans(), max_size=48).map(lambda mask: np.array(mask, np.bool_))
gappy = st.lists(st.tuples(st.integers(1, 4), st.integers(1, 9)), max_size=8).map(
    lambda pairs: np.repeat(np.arange(2 * len(pairs)) % 2 == 0, np.ravel(pairs).astype(int))
)
bd_costs = st.one_of(st.integers(0, 40).map(float), st.floats(0, 1e4))
row_costs = st.one_of(st.integers(1, 9).map(float), st.floats(1e-3, 1e4))


def as_islands(mask, gap):
    return islands(*runs(to_bitmap(mask), len(mask)), gap)


def cost(mask, gap, bd_cost, row_cost):
    """What islands of a gap cost, exactly."""
    starts, lengths = as_islands(mask, gap)
    return len(starts) * Fraction(bd_cost) + int(lengths.sum()) * Fraction(row_cost)


@given(st.one_of(masks, gappy), bd_costs, row_costs)
def test_islands_cost_what_dynamic_programming_finds(mask, bd_cost, row_cost):
    least = exact_cover.cheapest_islands(mask, Fraction(bd_cost), Fraction(row_cost))
    assert cost(mask, break_even_gap(bd_cost, row_cost), bd_cost, row_cost) == least


@given(gappy, bd_costs, row_costs)
def test_no_other_gap_is_cheaper(mask, bd_cost, row_cost):
    chosen = cost(mask, break_even_gap(bd_cost, row_cost), bd_cost, row_cost)
    assert all(cost(mask, gap, bd_cost, row_cost) >= chosen for gap in range(11))


@given(gappy, st.integers(1, 9), st.integers(1, 40))
def test_of_equally_cheap_islands_those_that_move_fewest_rows_are_chosen(mask, row_cost, bd_cost):
    # a row that costs a trifle more decides ties, and must not change the islands
    trifle = Fraction(1, 1000)
    starts, lengths = as_islands(mask, break_even_gap(bd_cost, row_cost))
    dearer = exact_cover.cheapest_islands(mask, Fraction(bd_cost), row_cost + trifle)
    assert len(starts) * bd_cost + int(lengths.sum()) * (row_cost + trifle) == dearer


@pytest.mark.parametrize(
    ("bd_cost", "row_cost", "expected"),
    [
        (3000.0, 2048.0, [(0, 4), (6, 2)]),  # pushed one by one: a gap of a row pays
        (300.0, 2048.0, [(0, 2), (3, 1), (6, 2)]),  # in a chain: none does
        (5000.0, 2048.0, [(0, 8)]),
    ],
)
def test_the_cost_of_a_bd_decides_what_is_merged(bd_cost, row_cost, expected):
    mask = np.array([1, 1, 0, 1, 0, 0, 1, 1], np.bool_)
    starts, lengths = as_islands(mask, break_even_gap(bd_cost, row_cost))
    assert list(zip(starts.tolist(), lengths.tolist(), strict=True)) == expected


def test_dynamic_programming_reads_nothing_for_nothing():
    assert exact_cover.cheapest_islands(np.zeros(9, np.bool_), 5, 1) == 0
    assert exact_cover.cheapest_islands(np.zeros(0, np.bool_), 5, 1) == 0
    assert exact_cover.cheapest_islands(np.ones(9, np.bool_), 5, 1) == 14
