# SPDX-License-Identifier: Apache-2.0
"""Bitmap to lattices: covers the wanted rows, each exactly once, with as few BDs as effort allows.

After `bdgen.scan`, before `bdgen.chains`. A gather may take its rows in any order, so a BD need not
be one run: whatever set of rows its dimensions can step over will do (`bdgen.lattices`). `runs`
makes one BD a run; `fast` takes the largest lattice that it finds from the lowest row left
(`bdgen.progressions`), and `best` searches for many together (`bdgen.pack_best`). Neither gives
more BDs than a cheaper effort would.
"""

from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.bitmap import Bitmap, bitmap_bytes, check
from bdgen.compiled import entry, inner
from bdgen.errors import PlanError
from bdgen.lattices import (
    COUNT,
    FIRST,
    LATTICE,
    OUTER,
    OUTER_STEP,
    REPEAT,
    REPEAT_STEP,
    RUN,
    STEP,
    Lattices,
    Table,
    reach,
    table,
)
from bdgen.pack_best import best
from bdgen.progressions import Knobs, cover, scratch
from bdgen.words import load_word, set_bits, trailing_zeros

Effort = Literal["runs", "fast", "best"]
EFFORTS: tuple[Effort, ...] = ("runs", "fast", "best")

SPAN = 2048
"""Longest step that `fast` looks for, in rows: beyond it, time grows faster than lattices do."""


FEW = 400
"""Wanted rows below which twins of twins are so rare that looking for them may spend rows that make
longer progressions (4.30 rows a BD for 4.41 on layer 0 of USE-lite): the search is made without
them too."""


class Pace(NamedTuple):
    """How `fast` searches up to a density.

    A progression has at most `longest` rows, `tries` candidates of each length are looked at, and
    one pass is made per threshold, which the rows of a lattice must reach.
    """

    density: float
    longest: int
    tries: int
    thresholds: tuple[int, ...]


PACES: tuple[tuple[Pace, ...], ...] = (
    (
        Pace(0.05, 3, 8, (3, 1)),
        Pace(0.15, 4, 8, (4, 3, 1)),
        Pace(0.25, 5, 8, (5, 4, 3, 1)),
        Pace(0.40, 7, 8, (5, 4, 1)),
        Pace(1.00, 8, 8, (1,)),
    ),
    (
        Pace(0.15, 3, 8, (6, 4, 1)),
        Pace(0.25, 4, 8, (8, 6, 4, 1)),
        Pace(0.40, 5, 8, (1,)),
        Pace(1.00, 8, 8, (1,)),
    ),
    (
        Pace(0.05, 3, 8, (1,)),
        Pace(0.15, 3, 4, (1,)),
        Pace(0.40, 4, 4, (1,)),
        Pace(1.00, 4, 2, (1,)),
    ),
)
"""Paces by how often a progression can be doubled (0, 1, 2), chosen on Bernoulli masks of 11,008
rows: more passes and tries find more, but a plan must be made in less time than its rows take.
"""

LONGEST = max(pace.longest for paces in PACES for pace in paces)
TRIES = max(pace.tries for paces in PACES for pace in paces)


class Packer:
    """Packs bitmaps of one matrix shape again and again, without allocating in between.

    `repeats` allows the repeat of chains as a level. Gaps of at most `max_gap` rows are moved along
    instead of splitting runs. One packer works on one bitmap at a time. PlanError for an unknown
    effort, a negative gap, or rows that are no whole number of words.
    """

    def __init__(
        self,
        rows: int,
        row_bytes: int,
        effort: Effort = "fast",
        repeats: bool = True,
        max_gap: int = 0,
    ) -> None:
        if effort not in EFFORTS:
            raise PlanError(f'effort "{effort}" is not known; give {", ".join(EFFORTS)}')
        if rows < 1:
            raise PlanError(f"a matrix of {rows} rows has nothing to pack; give at least 1")
        if max_gap < 0:
            raise PlanError(f"a gap of {max_gap} rows between runs cannot be; give 0 or more")
        self.rows, self.row_bytes, self.effort, self.repeats = rows, row_bytes, effort, repeats
        self.max_gap = max_gap
        self.reach = reach(row_bytes)
        self._table = table(np.zeros(rows, LATTICE))
        self._spare = table(np.zeros(min(rows, FEW), LATTICE))
        _make_linear(self._table, rows)
        self._room = scratch(rows, self.reach, repeats, LONGEST, TRIES, SPAN)

    def pack(self, bitmap: Bitmap) -> Lattices:
        """The lattices of a bitmap, in a view that the next call overwrites.

        PlanError if the bitmap is not one of this packer's rows.
        """
        return self.table(check(bitmap, self.rows)).view(LATTICE).reshape(-1)

    def table(self, bitmap: Bitmap) -> Table:
        """`pack` for a bitmap that is known to be one; as a table."""
        if self.effort == "runs":
            return self._table[: cover_runs(bitmap, self.max_gap, True, self._table)]
        bits, _, knobs = self._room
        wanted = self._mark(bitmap)
        runs = count_runs(bits, knobs.words)
        found = self._best(bits) if self.effort == "best" else None
        made = self._search(wanted, knobs.doublings, self._table)
        if wanted < FEW and knobs.doublings > 1:
            self._mark(bitmap)
            other = self._search(wanted, knobs.doublings - 1, self._spare)
            if other < made:
                made = other
                self._table[:made] = self._spare[:made]
        if found is not None and len(found) < made:
            return found
        if runs <= made:
            made = cover_runs(bitmap, self.max_gap, False, self._table)
        return self._table[:made]

    def _mark(self, bitmap: Bitmap) -> int:
        """Put the rows to cover into the scratch bitmap; how many there are."""
        bits, _, knobs = self._room
        wanted = fill_words(bitmap, bits)
        return close_gaps(bits, knobs.words, self.max_gap) if self.max_gap else wanted

    def _search(self, wanted: int, doublings: int, out: Table) -> int:
        """Cover the rows in the scratch bitmap, at the pace for so many; how many are in `out`."""
        bits, every, knobs = self._room
        pace, thresholds = _pace(doublings, wanted / self.rows)
        knobs = knobs._replace(longest=pace.longest, tries=pace.tries, doublings=doublings)
        return cover(bits, every, knobs, thresholds, out, take_runs(bits, knobs, out))

    def _best(self, bits: NDArray[np.uint64]) -> Table:
        """What the longest search finds for the rows in `bits`."""
        bitmap = bits.view(np.uint8)[: bitmap_bytes(self.rows)]
        return table(best(bitmap, self.rows, self.row_bytes, repeats=self.repeats))


def pack(
    bitmap: Bitmap,
    rows: int,
    row_bytes: int,
    *,
    effort: Effort = "fast",
    repeats: bool = True,
    max_gap: int = 0,
) -> Lattices:
    """Cover the marked rows of a matrix, each once; an array of `LATTICE`, one a BD.

    `effort` is "runs", "fast" or "best"; without `repeats` no lattice uses the chain's repeat. The
    rows of gaps up to `max_gap` are covered too; with 0, no other row than those marked.
    PlanError if the bitmap is not one of `rows` rows, or `row_bytes` no whole number of words.
    """
    return Packer(rows, row_bytes, effort, repeats, max_gap).pack(bitmap).copy()


def _pace(doublings: int, density: float) -> tuple[Pace, NDArray[np.int64]]:
    """The pace for a density, and its thresholds as an array."""
    return next(pace for pace in _ready_paces()[doublings] if density <= pace[0].density)


@lru_cache(maxsize=1)
def _ready_paces() -> tuple[tuple[tuple[Pace, NDArray[np.int64]], ...], ...]:
    return tuple(
        tuple((pace, np.array(pace.thresholds, np.int64)) for pace in paces) for paces in PACES
    )


@entry
def fill_words(bitmap: Bitmap, words: NDArray[np.uint64]) -> int:
    """Copy a bitmap to words of 64 rows; return how many rows it marks."""
    marked = 0
    for word in range((len(bitmap) + 7) // 8):
        words[word] = load_word(bitmap, word)
        marked += set_bits(words[word])
    return marked


@entry
def count_runs(words: NDArray[np.uint64], count: int) -> int:
    """How many runs the first `count` words have."""
    runs, before = 0, np.uint64(0)
    for word in range(count):
        runs += set_bits(words[word] & ~(words[word] << np.uint64(1) | before))
        before = words[word] >> np.uint64(63)
    return runs


@entry
def close_gaps(words: NDArray[np.uint64], count: int, max_gap: int) -> int:
    """Mark the rows of gaps up to `max_gap` in the first `count` words; return all marked."""
    marked, last = 0, -1
    for word in range(count):
        bits = words[word]
        while bits:
            row = word * 64 + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            first = last + 1 if last >= 0 and row - last - 1 <= max_gap else row
            for filled in range(first, row):
                words[filled >> 6] |= np.uint64(1) << np.uint64(filled & 63)
            marked += row - first + 1
            last = row
    return marked


@entry
def take_runs(words: NDArray[np.uint64], knobs: Knobs, out: Table) -> int:
    """Take runs that are longer than the longest lattice, and leave the rest; how many are taken.

    A run of an odd number of rows loses its last row to the rest, so that chains can repeat.
    """
    least = knobs.longest << knobs.doublings
    made, first, last = 0, -1, -2
    for word in range(knobs.words + 1):
        bits = words[word]
        while bits or word == knobs.words:
            row = word * 64 + trailing_zeros(bits)
            bits &= bits - np.uint64(1)
            if row == last + 1 and word < knobs.words:
                last = row
                continue
            if last - first + 1 >= least:
                made = _take_run(words, knobs, first, last - first + 1, out, made)
            first = last = row
            if word == knobs.words:
                break
    return made


@entry
def _take_run(
    words: NDArray[np.uint64], knobs: Knobs, first: int, length: int, out: Table, made: int
) -> int:
    """Write a run, in two repeats if it can be."""
    _make_linear(out[made : made + 1], 1)
    out[made, FIRST] = first
    if knobs.repeats and length // 2 <= knobs.max_step:
        length -= length % 2
        out[made, RUN] = out[made, REPEAT_STEP] = length // 2
        out[made, REPEAT] = 2
    else:
        out[made, RUN] = length
    for row in range(first, first + length):
        words[row >> 6] &= ~(np.uint64(1) << np.uint64(row & 63))
    return made + 1


@entry
def cover_runs(bitmap: Bitmap, max_gap: int, linear: bool, out: Table) -> int:
    """One lattice a run or island; return how many are in `out`. One `trailing_zeros` per edge.

    With `linear`, `out` has held nothing but runs before, and only what differs is written.
    """
    made = ended = 0
    before = np.uint64(0)
    words = (len(bitmap) + 7) // 8
    for word in range(words + 1):
        bits = load_word(bitmap, word) if word < words else np.uint64(0)
        edges = bits ^ (bits << np.uint64(1) | before)
        before = bits >> np.uint64(63)
        while edges:
            row = word * 64 + trailing_zeros(edges)
            edges &= edges - np.uint64(1)
            if made > ended:
                out[ended, RUN] = row - out[ended, FIRST]
                ended += 1
            elif max_gap and made and row - out[made - 1, FIRST] - out[made - 1, RUN] <= max_gap:
                ended -= 1
            else:
                out[made, FIRST] = row
                made += 1
    if not linear:
        _make_linear(out, made)
    return made


@inner
def _make_linear(out: Table, count: int) -> None:
    """Make runs of the first lattices of a table: no steps, no repeats."""
    for nth in range(count):
        out[nth, COUNT] = out[nth, OUTER] = out[nth, REPEAT] = 1
        out[nth, STEP] = out[nth, OUTER_STEP] = out[nth, REPEAT_STEP] = 0
