# SPDX-License-Identifier: Apache-2.0
"""The plain ends of `bdgen.pack_best`: pairs of runs and of rows, and the plainest way to write.

Two equal runs of rows are one lattice, by the chain's repeat or by a step. Pairing each with the
next of its length makes as many pairs as there can be.
"""

import numpy as np
from numpy.typing import NDArray

from bdgen.bitmap import pack
from bdgen.compiled import entry
from bdgen.lattices import (
    COUNT,
    FIRST,
    LATTICE,
    OUTER,
    REPEAT,
    RUN,
    STEP,
    Reach,
    Table,
    table,
)
from bdgen.runs import Ints, runs

Mask = NDArray[np.bool_]


def pair_runs(mask: Mask, known: Reach, repeats: bool) -> Table:
    """Cover a mask by its runs, two of equal length in one lattice where a BD can."""
    starts, lengths = runs(pack(mask), len(mask))
    made = [table(np.empty(0, LATTICE))]
    for length in np.unique(lengths).tolist():
        steps = repeats or known.run_levels(length) > 0
        equal = starts[lengths == length]
        made.append(_pairs(equal, length, known.max_step if steps else 0, repeats))
    return np.concatenate(made)


def pair_rest(mask: Mask, known: Reach, repeats: bool) -> Table:
    """Cover the few rows of a mask by runs or by pairs of rows, whichever are fewer."""
    by_run = pair_runs(mask, known, repeats)
    if not (repeats or known.levels):
        return by_run
    by_row = _pairs(np.flatnonzero(mask), 1, known.max_step, repeats)
    return by_row if len(by_row) <= len(by_run) else by_run


def _pairs(starts: Ints, run: int, max_step: int, repeats: bool) -> Table:
    """Join runs of `run` rows in pairs that are at most `max_step` rows apart."""
    pairs = table(np.zeros(len(starts), LATTICE))
    pairs[:, [RUN, COUNT, OUTER, REPEAT]] = run, 1, 1, 1
    return pairs[: _join(starts, max_step, REPEAT if repeats else COUNT, pairs)]


@entry
def _join(starts: Ints, max_step: int, level: int, pairs: Table) -> int:
    """Fill in the starts and distances; return how many pairs and single runs there are."""
    made = at = 0
    while at < len(starts):
        pairs[made, FIRST] = starts[at]
        if at + 1 < len(starts) and starts[at + 1] - starts[at] <= max_step:
            pairs[made, level], pairs[made, level + 1] = 2, starts[at + 1] - starts[at]
            at += 1
        at += 1
        made += 1
    return made


def as_runs(lattices: Table) -> Table:
    """Write progressions of blocks that touch as one run, which leaves the BD's dimensions free."""
    plain = lattices.copy()
    touch = (plain[:, OUTER] == 1) & (plain[:, COUNT] > 1) & (plain[:, STEP] == plain[:, RUN])
    plain[touch, RUN] *= plain[touch, COUNT]
    plain[touch, COUNT], plain[touch, STEP] = 1, 0
    return plain


def as_twins(lattices: Table, known: Reach) -> Table:
    """Write lattices without repeats as two repeats of a half, if others have repeats anyway.

    A chain holds BDs of one repeat: lattices that all have two need no chain of their own. Those
    that are odd in each level stay as they are.
    """
    if not (lattices[:, REPEAT] > 1).any():
        return lattices
    twins = lattices.copy()
    for lattice in twins[twins[:, REPEAT] == 1]:
        halved = _halved(lattice.tolist(), known)
        if halved:
            twins[twins[:, FIRST] == lattice[FIRST]] = halved
    return twins


def _halved(lattice: list[int], known: Reach) -> list[int] | None:
    """The same rows by two repeats of half of the lattice, or None if a BD cannot do that."""
    for level in (OUTER, COUNT):
        times, step = lattice[level], lattice[level + 1]
        half = times // 2
        far, near = (half, step, half * step), (half, 2 * step, step)
        for count, inner, apart in (far, near):
            if times % 2 == 0 and apart <= known.max_step and inner <= known.max_step:
                halved = list(lattice)
                halved[level : level + 2] = count, inner if count > 1 else 0
                halved[REPEAT:] = 2, apart
                return halved
    run = lattice[RUN] // 2
    if lattice[RUN] % 2 or run > known.max_step or lattice[COUNT] * lattice[OUTER] > 1:
        return None
    return [lattice[FIRST], run, *lattice[COUNT:REPEAT], 2, run]
