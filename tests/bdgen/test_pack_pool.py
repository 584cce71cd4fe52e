# SPDX-License-Identifier: Apache-2.0
"""The parts of `best`: counts and candidates against a listing of all row sets, and the choice.

The slow listing tries all steps on Python sets; nothing is shared with the bitmaps.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen.lattices import LATTICE, reach, table
from bdgen.pack_bits import blocks, survey, to_words
from bdgen.pack_long import LONG, take_long
from bdgen.pack_pool import MAX_ROWS, gather, members, sizes
from bdgen.pack_search import Schedule, choose
from bdgen.pack_shapes import Offer, Shape, largest, offers, step_order

compiles = settings(deadline=None, max_examples=30)  # the first call may compile for seconds
masks = st.lists(st.booleans(), min_size=1, max_size=40).map(lambda mask: np.array(mask, np.bool_))

MAX_STEP = 12

SHAPES = [
    Shape(1, 3, 1, 1),
    Shape(1, 2, 1, 2),
    Shape(1, 3, 1, 2),
    Shape(2, 2, 1, 2),
    Shape(1, 3, 3, 1),
    Shape(1, 2, 2, 2),
    Shape(1, 3, 2, 2),
]


def row_sets_within(mask, shape):
    """All sets of rows of a shape within a mask, with no row twice and no blocks that touch."""
    wanted = set(np.flatnonzero(mask).tolist())
    times = [times for times in (shape.count, shape.outer, shape.repeat) if times > 1]
    corners = list(itertools.product(range(shape.run), *map(range, times)))
    least = shape.run + 1 if shape.run > 1 else 1
    some = range(1, min(MAX_STEP, len(mask)) + 1)
    for steps in itertools.product(some[least - 1 :], *[some] * (len(times) - 1)):
        moves = [corner[0] + int(np.dot(corner[1:], steps)) for corner in corners]
        if len(set(moves)) == shape.rows:
            for first in wanted:
                rows = frozenset(first + move for move in moves)
                if rows <= wanted:
                    yield rows


def gathered(mask, shape, space=1 << 16, work=1 << 30):
    """Candidates of a shape in a mask."""
    pool = table(np.empty(space, LATTICE))
    kind = (shape.run, shape.count, shape.outer, shape.repeat)
    starts = blocks(to_words(mask), shape.run)
    return pool[: gather(starts, kind, step_order(MAX_STEP), MAX_STEP, pool, 0, work)]


def row_sets(pool):
    """The rows of each candidate."""
    return [
        frozenset(rows.tolist()) for rows in np.split(members(pool), np.cumsum(sizes(pool)[:-1]))
    ]


@compiles
@given(masks, st.sampled_from(SHAPES))
def test_all_row_sets_of_a_shape_are_candidates(mask, shape):
    assert set(row_sets_within(mask, shape)) <= set(row_sets(gathered(mask, shape)))


@compiles
@given(masks, st.sampled_from(SHAPES))
def test_candidates_hold_wanted_rows_only_and_none_twice(mask, shape):
    pool = gathered(mask, shape)
    assert mask[members(pool)].all()
    if len(pool):
        assert [len(rows) for rows in row_sets(pool)] == sizes(pool).tolist()


def test_candidates_go_on_as_long_as_the_rows_do():
    line = np.arange(400) % 7 == 3
    sets = row_sets(gathered(line, Shape(1, 3, 1, 1)))
    assert frozenset(np.flatnonzero(line).tolist()) in sets
    longer = row_sets(gathered(np.arange(4000) % 7 == 3, Shape(1, 3, 1, 1)))
    assert max(map(len, longer)) == MAX_ROWS


def test_a_full_pool_and_spent_work_end_the_search():
    everything = np.ones(300, np.bool_)
    assert len(gathered(everything, Shape(1, 2, 1, 2), space=17)) == 17
    assert len(gathered(everything, Shape(1, 2, 1, 2), work=50)) < 500


@compiles
@given(masks)
def test_a_survey_of_all_steps_counts_the_progressions(mask):
    found = survey(to_words(mask), step_order(MAX_STEP), 6)
    assert (found[:, 0] == mask.sum()).all()
    for count in (2, 3, 5):
        expected = len(list(row_sets_within(mask, Shape(1, count, 1, 1))))
        steps = step_order(MAX_STEP) <= len(mask)
        assert found[steps, count - 1].sum() == expected


@compiles
@given(masks, st.integers(1, 9))
def test_blocks_start_where_so_many_rows_follow(mask, run):
    starts = np.unpackbits(blocks(to_words(mask), run).view(np.uint8), bitorder="little")
    expected = [row for row in range(len(mask)) if mask[row : row + run].sum() == run]
    assert np.flatnonzero(starts).tolist() == expected


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("row_bytes", [2048, 8192])
def test_offers_are_shapes_that_bds_can_express(row_bytes, repeats):
    mask = np.random.default_rng(3).random(3000) < 0.4
    known = reach(row_bytes)
    offered = offers(to_words(mask), len(mask), known, repeats)
    assert {offer.shape.repeat for offer in offered} == ({1, 2} if repeats else {1})
    for shape, number in offered:
        assert (shape.count > 1) + (shape.outer > 1) <= known.run_levels(shape.run)
        assert number >= 0


def test_an_estimate_is_near_the_number_there_is():
    mask = np.random.default_rng(4).random(2000) < 0.1
    number = dict(offers(to_words(mask), len(mask), reach(8192), True))[Shape(1, 3, 1, 2)]
    pool = table(np.empty(1 << 16, LATTICE))
    made = gather(to_words(mask), (1, 3, 1, 2), step_order(512), 512, pool, 0, 1 << 30)
    assert number == pytest.approx(made, rel=0.5)


def test_the_largest_shapes_that_are_common_enough_are_taken():
    small, middle, large = Shape(1, 2, 1, 2), Shape(1, 3, 1, 2), Shape(1, 6, 1, 2)
    offered = [Offer(small, 1000), Offer(middle, 50), Offer(large, 1)]
    assert largest(offered, 100, 40) == [middle]
    assert largest(offered, 100, 1) == [large]
    assert largest(offered, 12, 60) == [small]
    assert largest(offered, 6, 10_000) == [small]
    assert largest(offered, 4, 1) == []


def first_come(pool):
    """How many candidates a pass over the pool takes."""
    taken, number = set(), 0
    for rows in row_sets(pool):
        if not rows & taken:
            taken |= rows
            number += 1
    return number


def test_a_choice_is_disjoint_better_than_first_come_and_kept_without_work():
    mask = np.random.default_rng(5).random(2000) < 0.2
    pool = gathered(mask, Shape(1, 2, 1, 2), space=3000)
    nothing = np.zeros(len(pool), np.bool_)
    chosen = choose(pool, mask, nothing, Schedule(100_000, 0.3, 0.05, 0.5), 1)
    rows = members(pool[chosen])
    assert len(np.unique(rows)) == len(rows)
    assert chosen.sum() > first_come(pool)
    again = choose(pool, mask, chosen, Schedule(0, 0.3, 0.05, 0.5), 1)
    np.testing.assert_array_equal(again, chosen)


def test_long_sets_are_cleared_and_shorter_ones_left():
    line = np.arange(2000) % 13 == 0
    rest = np.zeros(2000, np.bool_)
    rest[[5, 99, 500]] = True
    mask = line | rest
    taken = take_long(mask, reach(8192), True)
    assert sorted(members(taken).tolist()) == np.flatnonzero(line).tolist()
    np.testing.assert_array_equal(mask, rest)
    short = np.arange(LONG - 1) >= 0
    assert len(take_long(short, reach(8192), True)) == 0
