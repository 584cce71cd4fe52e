# SPDX-License-Identifier: Apache-2.0
"""Long regular sets of rows: taken greedily, before `bdgen.pack_best` searches the rest.

Chance makes no progression of `LONG` rows in a mask that is sparse enough to skip rows; stripes,
blocks, every n-th row and rows that are nearly all wanted do. Few of them are the whole mask, and
one after the other is as good as a search.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen.bitmap import pack
from bdgen.compiled import SOURCES, entry, inner
from bdgen.lattices import (
    COUNT,
    FIRST,
    LATTICE,
    MAX_WRAP,
    OUTER,
    OUTER_STEP,
    REPEAT,
    REPEAT_STEP,
    RUN,
    STEP,
    Reach,
    Table,
    table,
)
from bdgen.pack_bits import Words, is_set, list_rows, to_words, windows
from bdgen.pack_pool import members, overlaps
from bdgen.runs import runs

LONG = 48
"""Fewest rows of a progression that is taken."""

SPAN = 2048
"""Greatest step that is tried, in rows."""

_LENGTHS = 4
"""How many lengths of runs are tried as blocks, besides single rows."""


def take_long(mask: NDArray[np.bool_], known: Reach, repeats: bool) -> Table:
    """Take long progressions of rows and of equal runs out of `mask`, as lattices.

    The longest are taken first, and copied on the outer levels as they stand. `mask` is changed:
    the rows that are taken are cleared.
    """
    taken = [table(np.empty(0, LATTICE))]
    max_step = min(known.max_step, SPAN, len(mask) - 1)
    while max_step > 0:
        found = np.concatenate(
            [_longest(starts, run, max_step) for run, starts in _blocks(mask, known)]
        )
        sizes = found[:, RUN] * found[:, COUNT]
        if sizes.max(initial=0) < LONG:
            break
        for nth in np.argsort(-sizes, kind="stable"):
            if sizes[nth] < max(LONG, 0.75 * sizes.max()):
                break
            lattice = found[nth : nth + 1]
            if mask[members(lattice)].all():
                levels = known.run_levels(int(lattice[0, RUN]))
                _repeat(to_words(mask), lattice[0], max_step, levels, repeats)
                mask[members(lattice)] = False
                taken.append(lattice)
    return np.concatenate(taken)


def _blocks(mask: NDArray[np.bool_], known: Reach) -> Iterator[tuple[int, Words]]:
    """Block lengths and the starts of such blocks: single rows, and the commonest lengths of runs.

    Runs that are too few for a progression of `LONG` rows are left out.
    """
    yield 1, to_words(mask)
    starts, lengths = runs(pack(mask), len(mask))
    kinds, numbers = np.unique(lengths, return_counts=True)
    common = np.argsort(-kinds * numbers, kind="stable")[:_LENGTHS]
    for kind, number in zip(kinds[common].tolist(), numbers[common].tolist(), strict=True):
        if kind > 1 and number > 1 and kind * number >= LONG and known.run_levels(kind):
            begins = np.zeros(len(mask), np.bool_)
            begins[starts[lengths == kind]] = True
            yield kind, to_words(begins)


def _longest(words: Words, run: int, max_step: int) -> Table:
    """For each step, the longest progression of blocks, if it has `LONG` rows."""
    need = max(2, -(-LONG // run))
    scratch = np.empty_like(words), np.zeros_like(words), np.empty(64 * len(words), np.int32)
    found = table(np.zeros(max_step, LATTICE))
    found[:, [RUN, OUTER, REPEAT]] = run, 1, 1
    return found[: _find_longest(words, need, *scratch, found)]


@inner
def _try_steps(
    words: Words, need: int, whole: Words, spare: Words, starts: NDArray[np.int32], found: Table
) -> int:
    """Fill in first row, count and step; return how many steps have a progression."""
    made, run = 0, found[0, RUN]
    for step in range(run + 1 if run > 1 else 1, len(found) + 1):
        windows(words, need, step, whole, spare)
        found[made, STEP] = step
        for start in starts[: list_rows(whole, starts)]:
            if start >= step and is_set(whole, start - step):
                continue
            count = need
            while is_set(whole, start + step * (count - need + 1)):
                count += 1
            if count > found[made, COUNT]:
                found[made, FIRST], found[made, COUNT] = start, count
        made += found[made, COUNT] > 0
    return made


@inner
def _copy(
    words: Words, lattice: NDArray[np.int32], max_step: int, levels: int, repeats: bool
) -> None:
    """Repeat a progression on the outer levels as often as rows of the bitmap allow it.

    As many copies as can be on the outer level, if there is one; then one twin of all of them.
    """
    most, best = 1, 0
    if levels == 2 and lattice[COUNT] <= MAX_WRAP:
        for apart in range(1, max_step + 1):
            lattice[OUTER], lattice[OUTER_STEP] = 1, apart
            while _has(words, lattice, lattice[OUTER] * apart):
                lattice[OUTER] += 1
                if overlaps(lattice):
                    lattice[OUTER] -= 1
                    break
            if lattice[OUTER] > most:
                most, best = lattice[OUTER], apart
    lattice[OUTER], lattice[OUTER_STEP] = most, best
    if not repeats:
        return
    for apart in range(1, max_step + 1):
        whole = True
        for copy in range(most):
            whole = whole and _has(words, lattice, apart + copy * best)
        lattice[REPEAT], lattice[REPEAT_STEP] = 2, apart
        if whole and not overlaps(lattice):
            return
    lattice[REPEAT], lattice[REPEAT_STEP] = 1, 0


@inner
def _has(words: Words, lattice: NDArray[np.int32], on: int) -> bool:
    """Whether the bitmap has the rows of a progression, `on` rows further on."""
    for nth in range(lattice[COUNT]):
        for row in range(lattice[RUN]):
            if not is_set(words, lattice[FIRST] + on + nth * lattice[STEP] + row):
                return False
    return True


def _compile(stamp: int) -> tuple[Any, Any]:
    """Compile the two searches for the sources at hand."""

    @entry
    def find_longest(
        words: Words, need: int, whole: Words, spare: Words, starts: NDArray[np.int32], found: Table
    ) -> int:
        return _try_steps(words, need, whole, spare, starts, found) if stamp else 0

    @entry
    def repeat(
        words: Words, lattice: NDArray[np.int32], max_step: int, levels: int, repeats: bool
    ) -> None:
        if stamp:
            _copy(words, lattice, max_step, levels, repeats)

    return find_longest, repeat


_find_longest, _repeat = _compile(SOURCES)
