# SPDX-License-Identifier: Apache-2.0
"""The lower bound against proved optima, and its lattices and prices against all that there are.

A bound that is too high would call a good packing impossible; one that is too low says nothing.
"""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen.bitmap import pack as to_bitmap
from bdgen.errors import PlanError
from bdgen.large_lattices import find
from bdgen.lower_bound import ONE, fewest_bds, prices
from bdgen.pack import pack
from tests.bdgen import exact_cover

works = st.sampled_from([0, 3_000, 1_000_000])
row_sizes = st.sampled_from([256, 2048, 4124, 8192, 1 << 19])


near = st.integers(1, 15)
far = st.sampled_from([1, 2, 511, 512, 513, 1024, 2047, 2048, 2049]) | st.integers(1, 600)


@st.composite
def masks(draw, count=64, steps=near):
    """Coin flips, or a few lattices of up to four levels laid over each other."""
    if draw(st.booleans()):
        return np.array(draw(st.lists(st.booleans(), max_size=40)), np.bool_)
    mask = np.zeros(count, np.bool_)
    for _ in range(draw(st.integers(1, 3))):
        rows = np.array([draw(st.integers(0, count - 1))])
        for most in (4, 4, 3, 3):
            times = np.arange(draw(st.integers(1, most)))
            rows = np.add.outer(rows, times * draw(steps)).ravel()
        mask[rows[rows < count]] = True
    mask[np.flatnonzero(mask)[40:]] = False
    return mask


GOLOMB = (0, 1, 4, 9, 15, 22, 32, 34)
"""Rows of which no two are as far apart as another two: no lattice has three of them."""


def in_rows(*rows, count=None):
    mask = np.zeros(count or max(rows) + 1, np.bool_)
    mask[list(rows)] = True
    return mask


@pytest.mark.parametrize("row_bytes", [2048, 8192])
@pytest.mark.parametrize("repeats", [False, True])
def test_the_bound_is_never_above_the_optimum_and_often_it(row_bytes, repeats):
    tight = 0
    for one in exact_cover.instances(4, 24, 14):
        wanted, bitmap = exact_cover.as_bits(one.mask), to_bitmap(one.mask)
        fewest = exact_cover.fewest_bds(wanted, row_bytes, repeats=repeats)
        bound = fewest_bds(bitmap, len(one.mask), row_bytes, repeats=repeats)
        assert bound <= fewest
        tight += bound == fewest
    assert tight >= 18


@given(masks(), row_sizes, st.booleans(), works)
@settings(max_examples=100)
def test_no_lattice_at_all_pays_more_than_a_bd(mask, row_bytes, repeats, work):
    paid = prices(to_bitmap(mask), len(mask), row_bytes, repeats=repeats, work=work)
    assert (paid >= 0).all()
    assert not paid[~mask].any()
    for rows in exact_cover.lattices(exact_cover.as_bits(mask), row_bytes, repeats=repeats):
        assert paid[exact_cover.as_mask(rows, len(mask))].sum() <= ONE


def missing(mask, row_bytes, repeats, large):
    """Lattices that should lie within a listed one and do not; all listed ones must be lattices."""
    every = exact_cover.lattices(exact_cover.as_bits(mask), row_bytes, repeats=repeats)
    bounds = large.offsets.tolist()
    listed = {
        sum(1 << row for row in large.members[begin:end].tolist())
        for begin, end in itertools.pairwise(bounds)
    }
    assert listed <= set(every)
    many = [rows for rows in every if rows.bit_count() >= large.least]
    return [rows for rows in many if not any(rows & held == rows for held in listed)]


@given(masks(), row_sizes, st.booleans(), st.integers(2, 24))
@settings(max_examples=200)
def test_every_large_lattice_lies_within_a_listed_one(mask, row_bytes, repeats, least):
    large = find(to_bitmap(mask), len(mask), row_bytes, repeats=repeats, work=10**7, least=least)
    assert large.least <= max(least, mask.sum() + 1)
    assert missing(mask, row_bytes, repeats, large) == []


@given(masks(4500, far), st.sampled_from([2048, 8192]), st.integers(2, 12))
@settings(max_examples=25)
def test_lattices_with_the_longest_steps_are_found_and_none_with_longer(mask, row_bytes, least):
    large = find(to_bitmap(mask), len(mask), row_bytes, repeats=True, work=10**7, least=least)
    assert missing(mask, row_bytes, True, large) == []


@pytest.mark.parametrize(
    "times", [(2, 2, 2), (3, 3, 2), (3, 3, 3), (5, 2, 2), (4, 3, 3), (9, 3, 1)]
)
@pytest.mark.parametrize("steps", list(itertools.permutations([1, 11, 140])), ids=str)
def test_a_lattice_alone_is_listed_whatever_the_order_of_its_steps(times, steps):
    axes = [np.arange(number) * step for number, step in zip(times, steps, strict=True)]
    rows = np.unique(np.add.outer(np.add.outer(axes[0], axes[1]), axes[2]))
    bitmap = to_bitmap(in_rows(*rows))
    large = find(bitmap, rows[-1] + 1, 2048, repeats=True, work=10**7, least=len(rows))
    assert large.least == len(rows)
    assert {tuple(np.sort(large.members[: len(rows)]))} == {tuple(rows)}
    assert fewest_bds(bitmap, rows[-1] + 1, 2048) == 1


def test_work_makes_the_list_reach_down_to_pairs():
    bitmap = to_bitmap(np.random.default_rng(1).random(500) < 0.2)
    least = [find(bitmap, 500, 8192, repeats=True, work=work).least for work in (0, 10**5, 10**8)]
    assert least == sorted(least, reverse=True)
    assert least[0] > 90
    assert least[-1] == 2


@pytest.mark.parametrize(("row_bytes", "repeats"), [(8192, False), (8192, True), (2048, True)])
def test_rows_without_lattices_of_three_need_a_bd_a_pair(row_bytes, repeats):
    assert fewest_bds(to_bitmap(in_rows(*GOLOMB)), 35, row_bytes, repeats=repeats) == 4


@pytest.mark.parametrize("count", [1, 63, 64, 65, 700])
def test_one_run_needs_one_bd_and_no_row_none(count):
    everything, nothing = np.ones(count, np.bool_), np.zeros(count, np.bool_)
    assert fewest_bds(to_bitmap(everything), count, 8192, work=10**6) == 1
    assert fewest_bds(to_bitmap(nothing), count, 8192) == 0


def test_rows_farther_apart_than_a_step_need_a_bd_each():
    mask = in_rows(0, 513, 1026, count=2000)
    assert fewest_bds(to_bitmap(mask), 2000, 8192) == 3
    assert fewest_bds(to_bitmap(mask), 2000, 4096) == 1


def test_a_last_row_and_a_first_count():
    for count in (64, 65, 127, 128, 129):
        assert fewest_bds(to_bitmap(in_rows(0, count - 1)), count, 8192) == 1
        assert fewest_bds(to_bitmap(in_rows(0, count - 1)), count, 8192, repeats=False) == 1


@pytest.mark.parametrize(("density", "least"), [(0.1, 180), (0.33, 280)])
def test_a_layer_has_a_bound_that_says_something(density, least):
    mask = np.random.default_rng(0).random(11008) < density
    bitmap = to_bitmap(mask)
    assert least <= fewest_bds(bitmap, 11008, 8192) <= len(pack(bitmap, 11008, 8192))


def test_a_layer_of_clustered_rows_ends_soon_and_is_bounded():
    random = np.random.default_rng(1)
    mask = np.repeat(random.random(1376) < 0.4, random.integers(1, 16, 1376))
    bitmap = to_bitmap(mask)
    bound = fewest_bds(bitmap, len(mask), 2048, work=10**7)
    assert 1 <= bound <= len(pack(bitmap, len(mask), 2048))


def test_the_same_mask_has_the_same_bound():
    bitmap = to_bitmap(np.random.default_rng(2).random(2000) < 0.3)
    assert len({fewest_bds(bitmap, 2000, 8192, work=10**7) for _ in range(3)}) == 1


def test_a_bitmap_of_another_matrix_is_refused():
    sentence = (
        "a bitmap of 16 rows has 2 bytes, this one 1; give the bitmap and the row count of the "
        "same matrix"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        fewest_bds(np.zeros(1, np.uint8), 16, 8192)


def test_rows_of_no_whole_word_are_refused():
    sentence = (
        "a row of 8190 bytes is not a whole number of 32-bit words; pad rows to a multiple of 4 "
        "bytes"
    )
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        fewest_bds(np.zeros(2, np.uint8), 16, 8190)
