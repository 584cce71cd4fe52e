# SPDX-License-Identifier: Apache-2.0
"""The packing effort `best`: cover the wanted rows by as few lattices as a search can find.

One of the efforts of `bdgen.pack`, for masks that are planned once and used often: milliseconds
where the others take microseconds. Long regular sets are taken first (`bdgen.pack_long`). Then,
size by size from the largest that the rows still hold, candidates are gathered
(`bdgen.pack_shapes`, `bdgen.pack_pool`) and as many disjoint ones as can be found are chosen
(`bdgen.pack_search`). In the end all candidates take part in one more search, in which rows left
over cost what they do in pairs, and they are paired (`bdgen.pack_rest`).
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from bdgen import bitmap as bitmaps
from bdgen.bitmap import Bitmap
from bdgen.lattices import FIRST, LATTICE, Lattices, Reach, Table, reach, table
from bdgen.pack_bits import blocks, to_words
from bdgen.pack_long import take_long
from bdgen.pack_pool import gather, members
from bdgen.pack_rest import as_runs, as_twins, pair_rest, pair_runs
from bdgen.pack_search import Schedule, choose
from bdgen.pack_shapes import largest, offers, step_order

Mask = NDArray[np.bool_]

SEGMENT = 1 << 14
"""Rows that are searched together; a lattice of rows of some KiB reaches over a part of them."""

ENOUGH = 0.005
"""Candidates for each row left that make a size worth a search of its own."""

SPACE = 32
"""Candidates for each row left that are gathered at most."""

PAIRS = 20
"""Pairs that are looked at for each such candidate, at most."""

_SMALL = 4
_FIRST_SEED, _LAST_SEED = 7, 11


def best(
    bitmap: Bitmap, rows: int, row_bytes: int, *, repeats: bool = True, work: int = 100
) -> Lattices:
    """Cover the marked rows, each once and no other, by few lattices, in the order of first rows.

    `repeats` allows lattices of two repeats. `work` is how many candidates are looked at for each
    row and size; more takes longer and gains little. The same bitmap always gives the same
    lattices. PlanError if the bitmap is not one of `rows` rows, or `row_bytes` no whole number of
    words.
    """
    mask = bitmaps.unpack(bitmap, rows).copy()
    known = reach(row_bytes)
    packed = pair_runs(mask, known, repeats)
    if known.levels and known.max_step:
        found = [take_long(mask, known, repeats)]
        for segment in _segments(rows):
            chosen = _search(mask[segment], known, repeats, work)
            chosen[:, FIRST] += segment.start
            mask[members(chosen)] = False
            found.append(chosen)
        searched = np.concatenate([*found, pair_rest(mask, known, repeats)])
        packed = min(searched, packed, key=len)
    lattices = as_twins(as_runs(packed), known)
    return np.ascontiguousarray(lattices[np.argsort(lattices[:, FIRST])]).view(LATTICE).reshape(-1)


def _segments(rows: int) -> list[slice]:
    """Cut the rows into equal parts of at most SEGMENT."""
    cuts = np.linspace(0, rows, math.ceil(rows / SEGMENT) + 1, dtype=np.int64).tolist()
    return [slice(low, high) for low, high in pairwise(cuts)]


def _search(wanted: Mask, known: Reach, repeats: bool, work: int) -> Table:
    """Disjoint lattices of a mask that leave few rows: size by size, then all together."""
    left = wanted.copy()
    pools = [table(np.empty(0, LATTICE))]
    picks = [np.empty(0, np.bool_)]
    below = SEGMENT
    while left.any():
        pool, below = _gather(left, known, repeats, below)
        if not below:
            break
        effort = work * min(len(pool), int(np.count_nonzero(left)))
        schedule = Schedule(effort, 0.3, 0.08, 1 / 2 if below <= _SMALL else 1 / 3)
        pick = choose(pool, left, np.zeros(len(pool), np.bool_), schedule, _FIRST_SEED)
        left[members(pool[pick])] = False
        pools.append(pool)
        picks.append(pick)
    everything = np.concatenate(pools)
    schedule = Schedule(2 * work * int(np.count_nonzero(wanted)), 0.25, 0.06, 0.4)
    chosen = choose(everything, wanted, np.concatenate(picks), schedule, _LAST_SEED)
    return everything[chosen]


def _gather(left: Mask, known: Reach, repeats: bool, below: int) -> tuple[Table, int]:
    """Candidates of the largest size below `below` that there are enough of, and that size.

    The size is 0 when there is none.
    """
    words, number = to_words(left), int(np.count_nonzero(left))
    max_step = min(known.max_step, len(left) - 1)
    shapes = largest(offers(words, len(left), known, repeats), below, ENOUGH * number)
    pool = table(np.empty(SPACE * (number + 1), LATTICE))
    made = 0
    for shape in shapes:
        kind = (shape.run, shape.count, shape.outer, shape.repeat)
        starts, steps = blocks(words, shape.run), step_order(max_step)
        made = gather(starts, kind, steps, max_step, pool, made, PAIRS * len(pool))
    return pool[:made], min((shape.rows for shape in shapes), default=0)
