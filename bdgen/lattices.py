# SPDX-License-Identifier: Apache-2.0
"""Lattices: the sets of rows that one shim BD can read, which `bdgen.pack` covers a mask with.

A shim BD counts in three nested dimensions and, when its chain is repeated, steps on at each
repeat. Row lengths up to a wrap use up one dimension, so that two are left to step over rows;
longer rows use up two, and rows whose words do not factor into two wraps use up all three.
"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from aie2.registers import SHIM_BD
from bdgen.errors import PlanError
from bdgen.target import WORD_BYTES

LATTICE = np.dtype(
    [
        ("first", np.int32),
        ("run", np.int32),
        ("count", np.int32),
        ("step", np.int32),
        ("outer", np.int32),
        ("outer_step", np.int32),
        ("repeat", np.int32),
        ("repeat_step", np.int32),
    ]
)
"""One BD: rows `first + a + step*i + outer_step*j + repeat_step*t` for `a < run`, `i < count`,
`j < outer`, `t < repeat`.

All in rows. A BD moves its rows with `a` fastest, then `i`, then `j`; `t` counts the repeats of
the whole chain that the BD is in, so a chain holds BDs of one `repeat` only. A level of 1 has
step 0.
"""

Lattices = NDArray[np.void]
"""A 1-D array of `LATTICE`."""

FIRST, RUN, COUNT, STEP, OUTER, OUTER_STEP, REPEAT, REPEAT_STEP = range(8)
"""The fields of `LATTICE` as columns of a table, which is what compiled code works on: numba counts
references to records, at each access."""

Table = NDArray[np.int32]

MAX_WRAP = SHIM_BD.field("d0_wrap").max
"""Greatest wrap of the first two dimensions: 1023."""

MAX_STEP_WORDS = SHIM_BD.field("d0_stepsize").max + 1
"""Greatest step of a dimension or of the iteration, in words: the fields hold one less."""

MAX_REPEAT = SHIM_BD.field("iteration_wrap").max + 1
"""How often a BD can be repeated with another address each time: 64."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the BD fields can express for rows of `row_words` words.

    `max_step` is the greatest step in rows. `levels` is how many dimensions are left to step over
    single rows: 2, 1 or 0; `run_levels(n)` the same for runs of n rows that follow each other.
    """

    row_words: int
    max_step: int
    levels: int

    def run_levels(self, run: int) -> int:
        """Dimensions left to step over runs of `run` rows: 2, 1 or 0."""
        words = run * self.row_words
        if words <= MAX_WRAP:
            return 2
        return 1 if _factors(words) != (0, 0) else 0


@lru_cache(maxsize=256)
def reach(row_bytes: int) -> Reach:
    """What BDs can express for rows of `row_bytes`; PlanError if that is no number of words."""
    if row_bytes <= 0 or row_bytes % WORD_BYTES:
        raise PlanError(
            f"a row of {row_bytes} bytes is not a whole number of 32-bit words; "
            f"pad rows to a multiple of {WORD_BYTES} bytes"
        )
    words = row_bytes // WORD_BYTES
    single = Reach(words, MAX_STEP_WORDS // words, 0)
    return Reach(words, single.max_step, single.run_levels(1))


def table(lattices: Lattices) -> Table:
    """Lattices as a table with the columns named above; the same memory."""
    return lattices.view(np.int32).reshape(len(lattices), REPEAT_STEP + 1)


def size(lattices: Lattices) -> NDArray[np.int64]:
    """Rows of each lattice, its repeats included."""
    wide = {name: lattices[name].astype(np.int64) for name in ("run", "count", "outer", "repeat")}
    return wide["run"] * wide["count"] * wide["outer"] * wide["repeat"]


def rows(lattices: Lattices) -> NDArray[np.int64]:
    """List all rows, lattice after lattice, each in the order of the record: `t`, `j`, `i`, `a`."""
    sizes = size(lattices)
    nth = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    row = np.repeat(lattices["first"].astype(np.int64), sizes)
    for level, step in (("run", None), ("count", "step"), ("outer", "outer_step")):
        nth, at = np.divmod(nth, np.repeat(lattices[level], sizes))
        row += at if step is None else at * np.repeat(lattices[step], sizes)
    return row + nth * np.repeat(lattices["repeat_step"], sizes)


def check(lattices: Lattices, row_bytes: int, count: int) -> None:
    """Refuse lattices that no BD can express, or that leave a matrix of `count` rows."""
    known = reach(row_bytes)
    for number, lattice in enumerate(lattices):
        fault = _fault(known, {name: int(lattice[name]) for name in LATTICE.names or ()}, count)
        if fault:
            raise PlanError(f"lattice {number} {fault}")


def _fault(known: Reach, of: dict[str, int], count: int) -> str | None:
    """What is wrong with one lattice, or None."""
    levels = (("count", "step"), ("outer", "outer_step"), ("repeat", "repeat_step"))
    if of["first"] < 0 or of["run"] < 1:
        return f"starts at row {of['first']} with runs of {of['run']} rows"
    last = of["first"] + of["run"] - 1
    for level, step in levels:
        times, by = of[level], of[step]
        if times < 1 or (by != 0 if times == 1 else not 1 <= by <= known.max_step):
            return (
                f"has {level} {times} with steps of {by} rows; steps go from 1 to {known.max_step}"
            )
        last += (times - 1) * by
    if last >= count:
        return f"ends at row {last} of a matrix of {count}"
    if of["repeat"] > MAX_REPEAT:
        return f"is repeated {of['repeat']} times; a BD's iteration ends at {MAX_REPEAT}"
    stepped = (of["count"] > 1) + (of["outer"] > 1)
    if stepped > known.run_levels(of["run"]):
        return (
            f"steps over runs of {of['run']} rows in {stepped} dimensions, which a BD has not left"
        )
    if of["outer"] > 1 and of["count"] > MAX_WRAP:
        return f"wraps after {of['count']} runs; a wrap ends at {MAX_WRAP}"
    return None


@lru_cache(maxsize=4096)
def _factors(words: int) -> tuple[int, int]:
    """Two wraps whose product is `words`, the first as large as can be; (0, 0) if none."""
    for first in range(min(words, MAX_WRAP), 0, -1):
        if words % first == 0:
            return (first, words // first) if words // first <= MAX_WRAP else (0, 0)
    return (0, 0)
