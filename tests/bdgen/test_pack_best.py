# SPDX-License-Identifier: Apache-2.0
"""The effort `best`: exact whatever the mask, obvious sets found whole, and more than greedy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen import lattices
from bdgen.bitmap import pack
from bdgen.errors import PlanError
from bdgen.lattices import LATTICE
from bdgen.pack_best import SEGMENT, best
from bdgen.runs import runs

compiles = settings(deadline=None, max_examples=40)  # the first call may compile for seconds

ROW_BYTES = (4, 64, 512, 2048, 4096, 8192, 4 * 1031, 4 * 2049, 1 << 22, 1 << 23)
"""Two, one and no levels; steps of more rows than any mask here has, and of none."""

row_sizes = st.sampled_from(ROW_BYTES)
any_mask = st.lists(st.booleans(), max_size=120).map(lambda mask: np.array(mask, np.bool_))


@st.composite
def regular(draw):
    """A mask with structure: stripes, blocks and noise over each other."""
    rows = draw(st.integers(1, 300))
    at = np.arange(rows)
    period = draw(st.integers(1, 40))
    mask = at % period < draw(st.integers(1, period))
    if draw(st.booleans()):
        mask &= at // draw(st.integers(20, 100)) % 2 == 0
    noise = np.random.default_rng(draw(st.integers(0, 99))).random(rows)
    return mask ^ (noise < draw(st.sampled_from((0, 0.05, 0.3))))


def cover(mask, row_bytes=8192, **options):
    """Pack a mask, and refuse what is no exact cover that BDs can express."""
    found = best(pack(mask), len(mask), row_bytes, **options)
    assert found.dtype == LATTICE
    lattices.check(found, row_bytes, len(mask))
    np.testing.assert_array_equal(np.sort(lattices.rows(found)), np.flatnonzero(mask))
    return found


def bernoulli(rows, density, seed=0):
    return np.random.default_rng(seed).random(rows) < density


def rows_per_bd(density, row_bytes, repeats, seeds=3):
    masks = [bernoulli(11_008, density, seed) for seed in range(seeds)]
    return np.mean([mask.sum() / len(cover(mask, row_bytes, repeats=repeats)) for mask in masks])


@compiles
@given(any_mask | regular(), row_sizes, st.booleans())
def test_each_row_once_and_never_more_bds_than_runs(mask, row_bytes, repeats):
    found = cover(mask, row_bytes, repeats=repeats)
    assert len(found) <= len(runs(pack(mask), len(mask))[0])
    assert found["repeat"].max(initial=1) <= (2 if repeats else 1)


@compiles
@given(any_mask, st.booleans())
def test_of_two_rows_within_a_step_one_bd_at_most_is_needed(mask, repeats):
    assert len(cover(mask, 8192, repeats=repeats)) <= (mask.sum() + 1) // 2


@compiles
@given(regular())
def test_the_same_mask_gives_the_same_lattices_and_is_left_alone(mask):
    bitmap = pack(mask)
    before = bitmap.copy()
    first, second = (best(bitmap, len(mask), 2048) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(bitmap, before)


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("row_bytes", [2048, 8192])
@pytest.mark.parametrize(
    "wanted",
    [
        lambda row: row >= 0,
        lambda row: (row >= 500) & (row < 1600),
        lambda row: row % 2 == 0,
        lambda row: row % 11 == 5,
        lambda row: row % 11 < 3,
        lambda row: row % 64 < 16,
        lambda row: row == 11_007,
    ],
    ids=["all", "contiguous", "every-2nd", "every-11th", "3-of-11", "16-of-64", "last"],
)
def test_a_regular_mask_is_one_bd(wanted, row_bytes, repeats):
    assert len(cover(wanted(np.arange(11_008)), row_bytes, repeats=repeats)) == 1


def test_rows_that_follow_each_other_are_a_plain_run():
    rows = np.arange(11_008)
    (found,) = cover((rows >= 500) & (rows < 1600))
    assert (found["first"], found["run"], found["count"], found["repeat"]) == (500, 1100, 1, 1)
    (found,) = cover(np.ones(2, np.bool_), repeats=False)
    assert (found["run"], found["count"]) == (2, 1)


def test_a_grid_is_as_many_bds_as_its_levels_leave():
    row = np.arange(4096)
    grid = (row % 512 < 256) & (row % 4 == 0)  # 8 progressions of 64 rows, 512 rows apart
    assert len(cover(grid, 2048, repeats=False)) == 1
    assert len(cover(grid, 8192, repeats=False)) == 8
    assert len(cover(grid, 8192)) == 4


def test_stripes_are_found_in_noise():
    noise = bernoulli(11_008, 0.03)
    stripes = np.arange(11_008) % 11 == 0
    both = cover(noise | stripes)
    assert lattices.size(both).max() > 900
    assert len(both) <= len(cover(noise & ~stripes)) + 3


def test_an_empty_mask_and_an_empty_matrix_need_no_bd():
    assert len(cover(np.zeros(100, np.bool_))) == len(cover(np.zeros(0, np.bool_))) == 0


@pytest.mark.parametrize("rows", [1, 2, 3])
@pytest.mark.parametrize("row_bytes", ROW_BYTES)
def test_tiny_matrices(rows, row_bytes):
    assert len(cover(np.ones(rows, np.bool_), row_bytes)) == 1


@pytest.mark.parametrize("repeats", [True, False])
def test_three_rows_in_line_are_one_bd_though_three_is_odd(repeats):
    mask = np.zeros(200, np.bool_)
    mask[[20, 90, 160]] = True
    assert len(cover(mask, repeats=repeats)) == 1


def test_runs_of_rows_without_levels_are_paired_by_the_repeat():
    mask = np.zeros(300, np.bool_)
    for first, length in ((3, 5), (40, 7), (90, 5), (200, 7), (250, 2)):
        mask[first : first + length] = True
    assert len(cover(mask, 4 * 1031)) == 3
    assert len(cover(mask, 4 * 1031, repeats=False)) == 5


def test_steps_end_at_the_greatest_that_a_bd_has():
    mask = np.zeros(1100, np.bool_)
    mask[[0, 512]] = True
    assert len(cover(mask, 8192)) == 1
    mask[[512, 513]] = mask[[513, 512]]
    assert len(cover(mask, 8192)) == 2


def test_even_lattices_join_the_chains_of_those_that_repeat():
    mask = bernoulli(4000, 0.1)
    found = cover(mask, 2048)
    single = found[found["repeat"] == 1]
    assert len(single) <= 3
    assert (lattices.size(single) % 2 == 1).all()


@pytest.mark.parametrize("count", [SEGMENT, SEGMENT + 1, 2 * SEGMENT + 77])
def test_matrices_of_more_than_a_segment(count):
    mask = bernoulli(count, 0.02)
    assert mask.sum() / len(cover(mask)) > 2.8


@pytest.mark.parametrize(
    ("density", "row_bytes", "repeats", "least"),
    [
        (0.10, 8192, True, 5.0),
        (0.33, 8192, True, 8.0),
        (0.10, 8192, False, 3.3),
        (0.33, 8192, False, 5.1),
        (0.10, 2048, True, 6.3),
        (0.10, 2048, False, 5.8),
    ],
)
def test_rows_per_bd_of_bernoulli_masks(density, row_bytes, repeats, least):
    assert rows_per_bd(density, row_bytes, repeats) > least


def test_more_work_finds_no_less():
    mask = bernoulli(4000, 0.2)
    little, much = (len(cover(mask, work=work)) for work in (1, 300))
    assert much < little


def test_planted_lattices_are_found_again():
    """Disjoint sets of 24 rows, far larger than chance makes them, cost about a BD each."""
    mask, planted = np.zeros(11_008, np.bool_), 0
    random = np.random.default_rng(1)
    while planted < 30:
        step, apart = random.integers(20, 500, 2)
        rows = random.integers(0, 4000) + (np.arange(12)[:, None] * step + [0, apart]).ravel()
        if len(np.unique(rows)) == 24 and not mask[rows].any():
            mask[rows] = True
            planted += 1
    assert len(cover(mask)) <= 1.1 * planted


def test_a_bitmap_of_another_matrix_is_refused():
    with pytest.raises(PlanError, match="^a bitmap of 64 rows has 8 bytes, this one 2; "):
        best(pack(np.ones(16, np.bool_)), 64, 8192)


def test_rows_of_no_whole_words_are_refused():
    with pytest.raises(PlanError, match="^a row of 6 bytes is not a whole number of 32-bit words"):
        best(pack(np.ones(16, np.bool_)), 16, 6)
