# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparsity.errors import MaskError
from sparsity.masks import bernoulli
from sparsity.tables import islands

MASKS = arrays(np.bool_, st.integers(1, 60))


@pytest.mark.parametrize(
    ("density", "gap", "descriptors", "rows"),
    [
        (0.1, 0, 991, 1101),
        (0.1, 1, 892, 1200),
        (0.1, 3, 722, 1619),
        (0.33, 0, 2434, 3633),
        (0.33, 1, 1631, 4436),
        (0.5, 1, 1376, 6880),
    ],
)
def test_closed_form_of_7b(density, gap, descriptors, rows):
    found = islands.expected(11_008, density, gap)
    assert found.descriptors == pytest.approx(descriptors, abs=1)
    assert found.rows == pytest.approx(rows, abs=1)


@pytest.mark.parametrize("density", [0.05, 0.3, 0.7])
@pytest.mark.parametrize("gap", [0, 1, 4])
def test_closed_form_against_drawn_masks(density, gap):
    rows, draws = 2000, 400
    counted = [islands.count(bernoulli(rows, 1 - density, seed), gap) for seed in range(draws)]
    found = islands.expected(rows, density, gap)
    for name in ("descriptors", "rows"):
        values = np.array([getattr(each, name) for each in counted])
        error = values.std() / np.sqrt(draws)
        assert abs(values.mean() - getattr(found, name)) < 3 * error


def test_small_matrices_are_exact():
    for rows in range(1, 9):
        for density in (0.2, 0.6):
            for gap in (0, 1, 2):
                total = np.zeros(2)
                for bits in range(1 << rows):
                    mask = np.array([bits >> row & 1 for row in range(rows)], np.bool_)
                    wanted = int(mask.sum())
                    weight = density**wanted * (1 - density) ** (rows - wanted)
                    found = islands.count(mask, gap)
                    total += weight * np.array([found.descriptors, found.rows])
                expected = islands.expected(rows, density, gap)
                assert total == pytest.approx([expected.descriptors, expected.rows])


def test_scatter_of_runs():
    rows, density = 4000, 0.2
    runs = [islands.count(bernoulli(rows, 1 - density, seed)).descriptors for seed in range(800)]
    assert np.std(runs) == pytest.approx(islands.scatter(rows, density), rel=0.12)


@given(MASKS, st.integers(0, 8))
def test_wider_gaps_make_fewer_islands_of_more_rows(mask, gap):
    narrow, wide = islands.count(mask, gap), islands.count(mask, gap + 1)
    assert wide.descriptors <= narrow.descriptors
    assert wide.rows >= narrow.rows >= mask.sum()


@given(MASKS, st.floats(0, 10), st.floats(0.1, 3))
def test_the_best_gap_is_the_optimum(mask, descriptor, row):
    gap = islands.best_gap(descriptor, row)
    assert islands.cost(mask, gap, descriptor, row) == pytest.approx(
        islands.least_cost(mask, descriptor, row)
    )


@pytest.mark.parametrize(
    ("sparsity", "less_time", "faster"),
    [
        (0.5, 0.351, 0.851),
        (0.75, 1.027, 1.777),
        (0.9, 1.432, 2.332),
        (0.95, 1.568, 2.518),
        (1.0, 1.703, 2.703),
    ],
)
def test_readings_of_37_percent(sparsity, less_time, faster):
    for expected, as_speedup in ((less_time, False), (faster, True)):
        walk = islands.phase1_ratio(0.37, sparsity, as_speedup)
        assert walk is not None
        assert walk == pytest.approx(expected, abs=5e-4)
        before, after = (islands.phase1_time(s, walk, 1.0) for s in (0.0, sparsity))
        gained = before / after - 1 if as_speedup else 1 - after / before
        assert gained == pytest.approx(0.37)


def test_a_gain_beyond_the_rows_skipped_is_out_of_reach():
    assert islands.phase1_ratio(0.37, 0.3, as_speedup=False) is None


def test_refuses_what_is_no_mask_or_cost():
    with pytest.raises(MaskError, match="1 row or more"):
        islands.expected(0, 0.5)
    with pytest.raises(MaskError, match="density 1.5"):
        islands.expected(10, 1.5)
    with pytest.raises(MaskError, match="costs"):
        islands.best_gap(1, 0)


def test_no_wanted_row_costs_nothing():
    assert islands.count(np.zeros(5, np.bool_)) == islands.Islands(0, 0)
    assert islands.least_cost(np.zeros(5, np.bool_), 1, 1) == 0
