# SPDX-License-Identifier: Apache-2.0
"""The compiled greedy search under `bdgen.pack`: from the lowest row left, the largest lattice.

A progression from row `a` is found with bitmaps alone: bit d of the rows left, shifted down by
`a`, says whether row a + d is left; the same bit of every m-th row says it of a + m*d. Their
conjunction holds the steps d of all progressions of m + 1 rows at once. Where such a progression
may be moved to without losing a row is, again, the conjunction of its rows' shifted bitmaps: so
its twins are found, and the twins of twins.

All bitmaps lie in one array of words, because numba counts references to arrays in tuples at each
access: twice the time here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.blocks import BLOCK, BLOCK_ROWS, conjoin_block, copy_block
from bdgen.compiled import entry, inner
from bdgen.lattices import (
    COUNT,
    FIRST,
    OUTER,
    OUTER_STEP,
    REPEAT,
    REPEAT_STEP,
    RUN,
    STEP,
    Reach,
    Table,
)
from bdgen.words import trailing_zeros

INVERSE_BITS = 33
"""Rows are divided by m with a product and a shift: exact for all row numbers of a matrix."""

Bits = NDArray[np.uint64]
Every = NDArray[np.int64]

AT, PITCH, INVERSE = range(3)
"""Columns of the table about the bitmaps of every m-th row; its row is m."""


class Knobs(NamedTuple):
    """How hard to search, and where in the scratch words its bitmaps lie.

    A progression has at most `longest` rows, its steps and those of its twins are at most
    `max_step` rows; `tries` candidates of a length are looked at. With `steps` progressions are
    made at all; they are doubled up to `doublings` times, first through the chain's repeat if
    `repeats`.

    The rows left are the first `words` words: bit r is row r. From word `hits + n * width` on lie
    the steps of progressions of n + 1 rows, bit d - 1 for step d; from `places` on, how far a
    progression can be moved.
    """

    longest: int
    max_step: int
    tries: int
    steps: bool
    doublings: int
    repeats: bool
    words: int
    width: int
    hits: int
    places: int


class Found(NamedTuple):
    """The largest lattice from an anchor so far: a progression, its twin and the twin of both."""

    length: int
    step: int
    twin: int
    second: int
    size: int


class Scratch(NamedTuple):
    """What `cover` works in. The rows left go into `bits[: knobs.words]` before each call.

    Row m of `table` says where in `bits` the bitmaps of every m-th row lie: one for each residue of
    m, `PITCH` words each; bit q is row m*q + residue. All bitmaps end in zeros, so that no shift
    reads past their end.
    """

    bits: Bits
    table: Every
    knobs: Knobs


def scratch(rows: int, known: Reach, repeats: bool, longest: int, tries: int, span: int) -> Scratch:
    """Room and knobs for packing a matrix of `rows` rows; steps go up to `span` rows at most."""
    max_step = min(known.max_step, span)
    doublings = max(known.levels - 1, 0) + repeats
    words, width = -(-rows // 64), -(-max_step // BLOCK_ROWS) * BLOCK
    beyond = (longest + 2 * doublings) * width + BLOCK + 1
    table = np.zeros((longest, 3), np.int64)
    end = words + beyond
    for every in range(2, longest):
        pitch = rows // every // 64 + 2 + width + BLOCK
        table[every] = (end, pitch, (1 << INVERSE_BITS) // every + 1)
        end += every * pitch
    hits = end
    places = hits + (longest + 1) * width
    bits = np.zeros(places + 2 * width + 2 * BLOCK, np.uint64)
    return Scratch(
        bits,
        table,
        Knobs(
            longest,
            max_step,
            tries,
            known.levels > 0,
            doublings,
            repeats,
            words,
            width,
            hits,
            places,
        ),
    )


@entry
def cover(bits: Bits, table: Every, known: Knobs, thresholds: Every, out: Table, made: int) -> int:
    """Take lattices from the rows left until there is none; return how many are in `out`.

    `out` holds `made` lattices already. One pass a threshold, over all anchors from the lowest: a
    lattice is taken if it has at least so many rows. The last threshold must be 1.
    """
    _decimate(bits, table, known)
    for threshold in thresholds:
        for word in range(known.words):
            passed = np.uint64(0)
            while bits[word] & ~passed:
                bit = trailing_zeros(bits[word] & ~passed)
                passed |= np.uint64(1) << np.uint64(bit)
                best = _search(bits, table, known, word * 64 + bit, threshold)
                if best.size >= threshold:
                    _take(bits, table, known, word * 64 + bit, best)
                    _write(out[made], known, word * 64 + bit, best)
                    made += 1
    return made


@inner
def _search(bits: Bits, table: Every, known: Knobs, anchor: int, threshold: int) -> Found:
    """Find the largest lattice from `anchor`."""
    best = Found(1, 0, 0, 0, 1)
    longest = _progressions(bits, table, known, anchor)
    for count in range(longest, 1, -1):
        most = count << known.doublings
        if most <= best.size or most < threshold:
            return best
        tries = known.tries
        for word in range(known.width):
            steps = bits[known.hits + (count - 1) * known.width + word]
            while steps and tries > 0:
                step = word * 64 + trailing_zeros(steps) + 1
                steps &= steps - np.uint64(1)
                tries -= 1
                best = _doubled(bits, known, anchor, count, step, best)
                if best.size == most:
                    return best
    if known.doublings > 0 and best.size == 1 and threshold <= 2:
        best = _doubled(bits, known, anchor, 1, 1, best)
    return best


@inner
def _progressions(bits: Bits, table: Every, known: Knobs, anchor: int) -> int:
    """Fill the steps of the progressions of n rows, for each n; return the greatest n."""
    if not known.steps:
        return 1
    width, hits = known.width, known.hits + known.width
    some = False
    for at in range(0, width, BLOCK):
        some |= copy_block(bits, anchor + 1 + 64 * at, hits + at)
    if not some:
        return 1
    _cut(bits, hits, width, known.max_step)
    for times in range(2, known.longest):
        nth = (anchor * table[times, INVERSE]) >> INVERSE_BITS
        start = table[times, AT] + (anchor - nth * times) * table[times, PITCH]
        for word in range(hits, hits + width):
            bits[word + width] = bits[word]
        hits += width
        some = False
        for at in range(0, width, BLOCK):
            some |= conjoin_block(bits, 64 * (start + at) + nth + 1, hits + at)
        if not some:
            return times
    return known.longest


@inner
def _doubled(bits: Bits, known: Knobs, anchor: int, count: int, step: int, best: Found) -> Found:
    """Double a progression as often as that goes; return it if it is then the largest."""
    if count > best.size:
        best = Found(count, step, 0, 0, count)
    if known.doublings == 0 or not _places(bits, known, anchor, count, step):
        return best
    tries = known.tries
    for word in range(known.width):
        twins = bits[known.places + word]
        while twins and tries > 0:
            twin = word * 64 + trailing_zeros(twins) + 1
            if twin > known.max_step:
                return best
            twins &= twins - np.uint64(1)
            tries -= 1
            if 2 * count > best.size or (2 * count == best.size and best.twin == 0):
                best = Found(count, step, twin, 0, 2 * count)
            if known.doublings == 1:
                return best
            second = _second_twin(bits, known, count, step, twin)
            if second:
                return Found(count, step, twin, second, 4 * count)
    return best


@inner
def _places(bits: Bits, known: Knobs, anchor: int, count: int, step: int) -> bool:
    """Fill in how far the progression can be moved without meeting itself; whether at all."""
    some = False
    for at in range(0, known.width * known.doublings, BLOCK):
        first = anchor + 1 + 64 * at
        here = copy_block(bits, first, known.places + at)
        for nth in range(1, count):
            if here:
                here = conjoin_block(bits, first + nth * step, known.places + at)
        some |= here
    for nth in range(1, count):
        met = nth * step - 1
        if met < 64 * known.width * known.doublings:
            bits[known.places + (met >> 6)] &= ~(np.uint64(1) << np.uint64(met & 63))
    return some


@inner
def _second_twin(bits: Bits, known: Knobs, count: int, step: int, twin: int) -> int:
    """How far both a progression and its twin can be moved together, or 0."""
    room = known.places + 2 * known.width + BLOCK
    for at in range(0, known.width, BLOCK):
        copy_block(bits, 64 * (known.places + at) + twin, room)
        if conjoin_block(bits, 64 * (known.places + at), room):
            for word in range(BLOCK):
                both = bits[room + word]
                while both:
                    second = (at + word) * 64 + trailing_zeros(both) + 1
                    both &= both - np.uint64(1)
                    apart = abs(second - twin)
                    meets = apart % step == 0 and apart // step < count
                    if second <= known.max_step and not meets:
                        return second
    return 0


@inner
def _take(bits: Bits, table: Every, known: Knobs, anchor: int, best: Found) -> None:
    """The rows of a lattice are no longer left."""
    for t in range(2 if best.second else 1):
        for j in range(2 if best.twin else 1):
            for i in range(best.length):
                row = anchor + i * best.step + j * best.twin + t * best.second
                bits[row >> 6] &= ~(np.uint64(1) << np.uint64(row & 63))
                for times in range(2, known.longest):
                    nth = (row * table[times, INVERSE]) >> INVERSE_BITS
                    start = table[times, AT] + (row - nth * times) * table[times, PITCH]
                    bits[start + (nth >> 6)] &= ~(np.uint64(1) << np.uint64(nth & 63))


@inner
def _write(one: Table, known: Knobs, anchor: int, best: Found) -> None:
    """Write a lattice; its last twin goes into the chain's repeat, as does half a progression."""
    count, twin, second = best.length, best.twin, best.second
    if known.repeats and twin == 0 and count % 2 == 0 and count // 2 * best.step <= known.max_step:
        count //= 2
        twin = count * best.step
    if known.repeats and second == 0:
        twin, second = 0, twin
    one[FIRST], one[RUN] = anchor, 1
    one[COUNT], one[STEP] = count, best.step if count > 1 else 0
    one[OUTER], one[OUTER_STEP] = 2 if twin else 1, twin
    one[REPEAT], one[REPEAT_STEP] = 2 if second else 1, second


@inner
def _decimate(bits: Bits, table: Every, known: Knobs) -> None:
    """Fill the bitmaps of every second, third and so on row left."""
    for word in range(table[2, AT] if known.longest > 2 else known.hits, known.hits):
        bits[word] = np.uint64(0)
    for word in range(known.words):
        left = bits[word]
        while left:
            row = word * 64 + trailing_zeros(left)
            left &= left - np.uint64(1)
            for times in range(2, known.longest):
                nth = (row * table[times, INVERSE]) >> INVERSE_BITS
                start = table[times, AT] + (row - nth * times) * table[times, PITCH]
                bits[start + (nth >> 6)] |= np.uint64(1) << np.uint64(nth & 63)


@inner
def _cut(bits: Bits, start: int, width: int, count: int) -> None:
    """Clear all but the first `count` bits of the `width` words from word `start` on."""
    for word in range(count >> 6, width):
        keep = np.uint64(max(count - word * 64, 0))
        bits[start + word] &= (np.uint64(1) << keep) - np.uint64(1)
