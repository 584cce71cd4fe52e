# SPDX-License-Identifier: Apache-2.0
"""Packing against the true minimum, which a solver proves on masks that are small enough.

A sample of what `benchmarks/optimality.py` does on thousands; the solver's own list of lattices is
checked against every record there is.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
import pytest

from bdgen.bitmap import pack as to_bitmap
from bdgen.errors import PlanError
from bdgen.lattices import LATTICE, check, reach
from bdgen.lattices import rows as rows_of
from bdgen.pack import pack
from tests.bdgen import exact_cover

CASES = [(8192, False), (8192, True), (2048, False), (2048, True), (4124, True)]
"""Row bytes, and whether chains repeat: rows of one level, of two, and linear runs only."""

FAST_MEAN, BEST_MEAN = 1.30, 1.06
"""BDs over the fewest, mean of the sample, at most; 1.15 and 1.01 on 2,000 larger masks."""


class Packed(NamedTuple):
    """BDs of one mask by effort, and the fewest that there can be."""

    fewest: int
    runs: int
    fast: int
    best: int


@pytest.fixture(scope="module")
def sample():
    """Forty masks, packed for each kind of row in turn."""
    packed = []
    cases = itertools.cycle(CASES[:4])
    for one, (row_bytes, repeats) in zip(exact_cover.instances(2, 40, 15), cases, strict=False):
        wanted, bitmap = exact_cover.as_bits(one.mask), to_bitmap(one.mask)
        fewest = exact_cover.fewest_bds(wanted, row_bytes, repeats=repeats)
        packed.append(
            Packed(
                fewest,
                *(
                    len(pack(bitmap, len(one.mask), row_bytes, effort=effort, repeats=repeats))
                    for effort in ("runs", "fast", "best")
                ),
            )
        )
    return packed


def test_no_effort_is_better_than_the_optimum(sample):
    assert all(one.fewest <= min(one.runs, one.fast, one.best) for one in sample)
    assert sum(one.fewest for one in sample) > 40


def test_best_is_never_worse_than_fast(sample):
    assert all(one.best <= one.fast for one in sample)


def test_fast_stays_near_the_optimum(sample):
    assert np.mean([one.fast / one.fewest for one in sample if one.fewest]) <= FAST_MEAN


def test_best_stays_nearer_the_optimum(sample):
    assert np.mean([one.best / one.fewest for one in sample if one.fewest]) <= BEST_MEAN


@pytest.mark.parametrize("one", list(exact_cover.instances(3, 12)), ids=lambda one: one.kind)
def test_runs_are_the_fewest_linear_reads(one):
    made = len(pack(to_bitmap(one.mask), len(one.mask), 8192, effort="runs"))
    assert made == exact_cover.fewest_runs(exact_cover.as_bits(one.mask))


def every_record(count, row_bytes):
    """All lattices of a matrix that `check` lets pass and that have no row twice, as row sets."""
    known = reach(row_bytes)
    levels = [(1, 0), *itertools.product(range(2, count + 1), range(1, known.max_step + 1))]
    levels = [level for level in levels if (level[0] - 1) * level[1] < count]
    for first, run, outer, repeat, inner in itertools.product(
        range(count), range(1, count + 1), levels, levels, levels
    ):
        record = np.array([(first, run, *inner, *outer, *repeat)], LATTICE)
        last = first + run - 1 + sum((times - 1) * step for times, step in (inner, outer, repeat))
        if last < count:
            try:
                check(record, row_bytes, count)
            except PlanError:
                continue
            moved = rows_of(record).tolist()
            if len(set(moved)) == len(moved):
                yield sum(1 << row for row in moved), repeat[0] > 1


@pytest.mark.parametrize("row_bytes", [256, 2048, 4124, 8192, 1 << 20])
def test_the_solver_chooses_among_all_lattices_there_are(row_bytes):
    records = list(every_record(6, row_bytes))
    for repeats in (False, True):
        expected = {rows for rows, repeated in records if repeats or not repeated}
        assert set(exact_cover.lattices(0b111111, row_bytes, repeats=repeats)) == expected


@pytest.mark.parametrize(("row_bytes", "repeats"), CASES)
def test_the_solvers_lattices_are_ones_that_a_bd_can_read(row_bytes, repeats):
    mask = np.random.default_rng(5).random(24) < 0.6
    listed = exact_cover.lattices(exact_cover.as_bits(mask), row_bytes, repeats=repeats)
    records = np.concatenate(list(listed.values()))
    check(records, row_bytes, len(mask))
    assert repeats or (records["repeat"] == 1).all()
    for rows, record in listed.items():
        assert sorted(rows_of(record)) == np.flatnonzero(exact_cover.as_mask(rows, 24)).tolist()
        assert mask[rows_of(record)].all()


def test_a_cover_is_exact_and_proved_minimal_by_hand():
    # rows 0 1 2 4 of a linear-only format: one run of three and one of one
    sets = list(exact_cover.lattices(0b10111, 4124, repeats=False))
    chosen = exact_cover.fewest(0b10111, sets)
    assert sorted(chosen) == [0b111, 0b10000]


def test_overlapping_sets_are_no_cover():
    with pytest.raises(RuntimeError, match="^CP-SAT ended with INFEASIBLE, not with an optimum$"):
        exact_cover.fewest(0b111, [0b011, 0b110])
