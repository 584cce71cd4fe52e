# SPDX-License-Identifier: Apache-2.0
"""Counting lattices and masks: against all lattices, and all masks, of matrices small enough."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest

from bdgen.bitmap import pack as to_bitmap
from bdgen.counting_bound import fewest_bds_of_most, lattice_counts
from bdgen.errors import PlanError
from bdgen.pack import pack
from tests.bdgen import exact_cover


@pytest.mark.parametrize("rows", [1, 2, 7, 16])
@pytest.mark.parametrize("row_bytes", [256, 2048, 4124, 8192])
@pytest.mark.parametrize("repeats", [False, True])
def test_no_size_has_more_lattices_than_counted(rows, row_bytes, repeats):
    every = exact_cover.lattices((1 << rows) - 1, row_bytes, repeats=repeats)
    sizes = np.bincount([one.bit_count() for one in every], minlength=rows + 1)
    counted = lattice_counts(rows, row_bytes, repeats)
    assert (counted >= sizes - 1e-6).all()
    assert counted[0] == 0
    assert counted[1] == rows
    assert counted[-1] < 1000


def test_linear_rows_are_counted_exactly():
    assert lattice_counts(50, 4124, False)[1:].tolist() == list(range(50, 0, -1))


def test_progressions_are_counted_exactly():
    # three rows of eight: steps of 1, 2 and 3 fit 6, 4 and 2 times
    assert lattice_counts(8, 8192, False)[3] == 12


@pytest.mark.parametrize("share", [0.5, 0.1, 0.02])
@pytest.mark.parametrize("repeats", [False, True])
def test_no_more_masks_than_the_share_need_fewer(share, repeats):
    fewest = [
        exact_cover.fewest_bds(sum(1 << row for row in rows), 4124, repeats=repeats)
        for rows in itertools.islice(itertools.combinations(range(9), 4), 0, None, 2)
    ]
    bound = fewest_bds_of_most(9, 4, 4124, repeats=repeats, share=share / 2)
    assert sum(bds < bound for bds in fewest) <= share * len(fewest)


def test_the_bound_of_a_layer_says_something():
    mask = np.random.default_rng(0).random(11008) < 0.33
    bound = fewest_bds_of_most(11008, int(mask.sum()), 8192)
    assert 340 <= bound <= len(pack(to_bitmap(mask), 11008, 8192))


def test_a_smaller_share_bounds_less():
    bounds = [fewest_bds_of_most(2000, 400, 8192, share=share) for share in (1.0, 1e-3, 1e-300)]
    assert bounds == sorted(bounds, reverse=True)
    assert bounds[0] > bounds[-1] > 1


@pytest.mark.parametrize(("rows", "wanted", "fewest"), [(5, 0, 0), (5, 5, 1), (1, 1, 1), (9, 1, 1)])
def test_masks_of_one_bd_are_said_to_need_one(rows, wanted, fewest):
    assert fewest_bds_of_most(rows, wanted, 8192) == fewest


def test_more_wanted_rows_than_rows_are_refused():
    sentence = "9 of 8 rows cannot be wanted; give 0 to 8"
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        fewest_bds_of_most(8, 9, 8192)


@pytest.mark.parametrize("share", [0.0, -1.0, 1.5, float("nan")])
def test_no_share_is_refused(share):
    sentence = f"{share} is no share of masks; give one above 0, and at most 1"
    with pytest.raises(PlanError, match=f"^{re.escape(sentence)}$"):
        fewest_bds_of_most(8, 4, 8192, share=share)
