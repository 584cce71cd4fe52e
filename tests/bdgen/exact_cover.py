# SPDX-License-Identifier: Apache-2.0
"""The fewest BDs of a small mask, proved: all lattices listed, the choice of them left to CP-SAT.

Row sets are Python integers here, bit i for row i, so that a lattice is moved by a shift and tried
by an AND. Nothing is shared with `bdgen.pack`: only `bdgen.lattices` says what a BD can express.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

import numpy as np
from ortools.sat.python import cp_model

from bdgen.lattices import LATTICE, MAX_REPEAT, Lattices, Reach, reach

MOST_ROWS = MAX_REPEAT
"""Masks want at most so many rows, so that neither a wrap nor a repeat meets its limit."""


KINDS = ("bernoulli", "alternating", "clustered")
DENSITIES = (0.1, 0.2, 0.33, 0.5, 0.8)


class Instance(NamedTuple):
    """A small mask and how it was drawn."""

    kind: str
    density: float
    mask: np.ndarray


class Level(NamedTuple):
    """One dimension that a pattern is repeated in."""

    times: int
    step: int


class Pattern(NamedTuple):
    """A run repeated in some levels, as the rows that it covers from row 0 on."""

    rows: int
    run: int
    levels: tuple[Level, ...] = ()


def instances(seed: int, count: int, most_wanted: int = 20) -> Iterator[Instance]:
    """Random masks of 8 to 64 rows, of each kind in turn.

    With more than 20 wanted rows a proof takes seconds.
    """
    for number in range(count):
        random = np.random.default_rng((seed, number))
        kind, density = KINDS[number % len(KINDS)], float(random.choice(DENSITIES))
        most = max(8, min(MOST_ROWS, int(most_wanted / density)))
        mask = _mask(kind, int(random.integers(8, most + 1)), density, random)
        mask[np.flatnonzero(mask)[most_wanted:]] = False
        yield Instance(kind, density, mask)


def _mask(kind: str, rows: int, density: float, random: np.random.Generator) -> np.ndarray:
    """Coin flips; one row in so many, and 3 % of rows flipped; or blocks of about three rows."""
    if kind == "bernoulli":
        return random.random(rows) < density
    if kind == "alternating":
        return (np.arange(rows) * density % 1.0 < density) ^ (random.random(rows) < 0.03)
    return np.repeat(random.random(rows) < density, random.integers(1, 6, rows))[:rows]


def as_bits(mask: np.ndarray) -> int:
    """A boolean mask as an integer."""
    return int.from_bytes(np.packbits(mask, bitorder="little").tobytes(), "little")


def as_mask(rows: int, count: int) -> np.ndarray:
    """The boolean mask of `count` rows of an integer."""
    return np.array([rows >> row & 1 for row in range(count)], np.bool_)


def lattices(wanted: int, row_bytes: int, *, repeats: bool = True) -> dict[int, Lattices]:
    """Every row set within `wanted` that one BD can read, and a lattice that reads it.

    Of the levels, all are alike on so few rows: a count, an outer count and a repeat differ only
    in limits that are not met. So sets of levels are listed, not sequences.
    """
    if wanted.bit_count() > MOST_ROWS:
        raise ValueError(f"{wanted.bit_count()} rows are wanted, which is more than {MOST_ROWS}")
    known, found = reach(row_bytes), {}
    for pattern, anchors in runs(wanted):
        left = known.run_levels(pattern.run) + repeats
        for repeated, places in _repeated(pattern, anchors, known, left):
            for first in _bits(places):
                found.setdefault(repeated.rows << first, (repeated, first))
    return {rows: _lattice(*of, repeats=repeats) for rows, of in found.items()}


def runs(wanted: int) -> Iterator[tuple[Pattern, int]]:
    """Each length of run that `wanted` has, and the rows where such runs begin."""
    run, anchors = 1, wanted
    while anchors:
        yield Pattern((1 << run) - 1, run), anchors
        anchors &= wanted >> run
        run += 1


def fewest(wanted: int, sets: list[int], most_seconds: float = 60.0) -> list[int]:
    """Fewest of `sets` that have each row of `wanted` exactly once; RuntimeError if not proved."""
    if not wanted:
        return []
    model = cp_model.CpModel()
    taken = [model.new_bool_var("") for _ in sets]
    for row in _bits(wanted):
        model.add_exactly_one(var for var, rows in zip(taken, sets, strict=True) if rows >> row & 1)
    model.minimize(sum(taken))
    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1
    solver.parameters.optimize_with_lb_tree_search = True
    solver.parameters.max_time_in_seconds = most_seconds
    status = solver.solve(model)
    if status != cp_model.OPTIMAL:
        raise RuntimeError(f"CP-SAT ended with {solver.status_name(status)}, not with an optimum")
    return [rows for var, rows in zip(taken, sets, strict=True) if solver.boolean_value(var)]


def fewest_bds(wanted: int, row_bytes: int, *, repeats: bool = True) -> int:
    """Fewest BDs that have each row of `wanted` exactly once."""
    return len(fewest(wanted, list(lattices(wanted, row_bytes, repeats=repeats))))


def fewest_runs(wanted: int) -> int:
    """Fewest linear runs that have each row of `wanted` exactly once."""
    sets = [run.rows << first for run, anchors in runs(wanted) for first in _bits(anchors)]
    return len(fewest(wanted, sets))


def cheapest_islands(
    mask: np.ndarray, bd_cost: float | Fraction, row_cost: float | Fraction
) -> Fraction:
    """Least cost, exactly, of reading the wanted rows in linear runs, with unwanted ones or not.

    Dynamic programming over where the last run begins: `cost[n]` is for the first n rows.
    """
    bd_cost, row_cost = Fraction(bd_cost), Fraction(row_cost)
    cost = [Fraction(0)]
    for end, wanted in enumerate(mask.tolist(), 1):
        ways = [] if wanted else [cost[-1]]
        ways += [cost[begin] + bd_cost + row_cost * (end - begin) for begin in range(end)]
        cost.append(min(ways))
    return cost[-1]


def _repeated(
    pattern: Pattern, anchors: int, known: Reach, left: int
) -> Iterator[tuple[Pattern, int]]:
    """A pattern and all that `left` more levels make of it, each with the rows where it begins.

    Steps do not fall from level to level, since the order of levels changes no row set.
    """
    yield pattern, anchors
    if not left:
        return
    least = max([pattern.run, *(level.step + 1 for level in pattern.levels)])
    for step in range(least, min(known.max_step, anchors.bit_length() - 1) + 1):
        rows, places, times = pattern.rows, anchors, 1
        while True:
            moved = pattern.rows << step * times
            places &= anchors >> step * times
            if not places or rows & moved:
                break
            rows |= moved
            times += 1
            longer = Pattern(rows, pattern.run, (*pattern.levels, Level(times, step)))
            yield from _repeated(longer, places, known, left - 1)


def _lattice(pattern: Pattern, first: int, *, repeats: bool) -> Lattices:
    """A pattern from row `first` on as a record; the last level becomes the repeat if it can."""
    levels = list(pattern.levels)
    repeat = levels.pop() if repeats and levels else Level(1, 0)
    count, outer = (*levels, Level(1, 0), Level(1, 0))[:2]
    return np.array([(first, pattern.run, *count, *outer, *repeat)], LATTICE)


def _bits(rows: int) -> Iterator[int]:
    """The rows of a set, ascending."""
    while rows:
        lowest = rows & -rows
        yield lowest.bit_length() - 1
        rows ^= lowest
