# SPDX-License-Identifier: Apache-2.0
"""The large lattices of a mask, for `bdgen.lower_bound`: all that have a number of rows or more.

A lattice is found by its longest progression, which few rows begin, then by the next in length
among those that begin one. Passes look for smaller and smaller lattices while work and room last.
The limits of wraps and repeats (1023, 64) are left out, which makes no lattice smaller.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.bitmap import Bitmap, popcount
from bdgen.compiled import counted, inner
from bdgen.lattices import reach
from bdgen.row_sets import Bits, conjoin, has, listed, put, size, times_in_steps
from bdgen.runs import runs

Ints = NDArray[np.int64]

_PASS, _EMPTY_PASS = 0.85, 0.7
"""A pass looks for lattices of so many times the rows that the pass before, or one that found
nothing, looked for."""

_PAIRS = 1 << 20
"""Pairs of rows that one pass sorts by distance at a time; with more it gives up."""

_MEMBERS = 2_000_000
"""Rows of all lattices in a list, at most."""


class LargeLattices(NamedTuple):
    """Lattices of wanted rows such that every one of `least` rows or more lies within one of them.

    Lattice n has the rows `members[offsets[n] : offsets[n + 1]]`; some are listed twice.
    """

    least: int
    offsets: Ints
    members: NDArray[np.int32]


class _Hunt(NamedTuple):
    """What a pass works on. Bitmaps have a word more than rows need."""

    rows: int
    max_step: int
    target: int
    base: Bits
    """First rows of runs of the length in hand."""
    places: Bits
    """First rows of progressions of such runs."""
    twins: Bits
    """First rows of progressions of those."""
    anchors: Ints
    """The rows in `places`, ascending."""
    unsorted: Ints
    """Pairs of anchors: their distance, and 32 bits further down the first of both."""
    pairs: Ints
    """First rows of these pairs, by distance."""
    ends: Ints
    """Where the pairs of each distance end in `pairs`."""
    offsets: Ints
    members: NDArray[np.int32]
    made: Ints
    """How many lattices are listed, in its only entry; -1 if there is no room for them."""
    left: Ints
    """Steps left, in its only entry; below 0 if there are none."""


class _Shape(NamedTuple):
    """A lattice without its place: runs of `run` rows in three levels."""

    run: int
    times: int
    step: int
    times2: int
    step2: int
    times3: int
    step3: int


def find(
    bitmap: Bitmap, rows: int, row_bytes: int, *, repeats: bool, work: int, least: int = 2
) -> LargeLattices:
    """List lattices down to `least` rows, or as few as `work` steps of about 2 ns allow.

    PlanError if the bitmap is not one of `rows` rows, or `row_bytes` no whole number of words.
    """
    known = reach(row_bytes)
    starts, lengths = runs(bitmap, rows)
    longest = int(lengths.max(initial=0))
    levels = np.array([known.run_levels(run) + repeats for run in range(1, longest + 1)], np.int64)
    bits = np.zeros(len(bitmap) // 8 + 2, np.uint64)
    bits.view(np.uint8)[: len(bitmap)] = bitmap
    left = np.array([work], np.int64)
    done, spare = (_hunt(bits, rows, known.max_step, left) for _ in range(2))
    done, lowest = done._replace(target=popcount(bitmap) + 1), max(2, least)
    while lowest < done.target:
        share = _PASS if done.made[0] else _EMPTY_PASS
        spare = spare._replace(target=max(lowest, int((done.target - 1) * share)))
        spare.made[0] = 0
        _search(bits, starts, lengths, levels, spare)
        if left[0] < 0:
            break
        if spare.made[0] < 0:
            lowest = spare.target + 1
        else:
            done, spare = spare, done
    offsets = done.offsets[: done.made[0] + 1]
    return LargeLattices(done.target, offsets, done.members[: offsets[-1]])


def _hunt(bits: Bits, rows: int, max_step: int, left: Ints) -> _Hunt:
    """Room for a pass."""
    max_step = min(max_step, rows)
    return _Hunt(
        rows,
        max_step,
        0,
        base=np.empty_like(bits),
        places=np.empty_like(bits),
        twins=np.zeros_like(bits),
        anchors=np.empty(rows, np.int64),
        unsorted=np.empty(_PAIRS, np.int64),
        pairs=np.empty(_PAIRS, np.int64),
        ends=np.empty(max_step + 2, np.int64),
        offsets=np.zeros(_MEMBERS // 2, np.int64),
        members=np.empty(_MEMBERS, np.int32),
        made=np.zeros(1, np.int64),
        left=left,
    )


@counted
def _search(bits: Bits, starts: Ints, lengths: Ints, levels: Ints, hunt: Any) -> None:
    """List lattices such that every one of `hunt.target` rows or more lies within one of them."""
    for nth in range(len(starts)):
        if lengths[nth] >= hunt.target:
            _add(hunt, starts[nth], _Shape(lengths[nth], 1, 0, 1, 0, 1, 0))
    base, left = hunt.base, hunt.left
    base[:] = bits
    for run in range(1, len(levels) + 1):
        if run > 1:
            conjoin(base, bits, run - 1)
        dimensions = levels[run - 1]
        need = max(2, -(-hunt.target // run))
        if dimensions == 0 or size(base) < need:
            continue
        for step in range(run, hunt.max_step + 1):
            _progressions(hunt, run, step, dimensions, need)
            if left[0] < 0 or hunt.made[0] < 0:
                return


@counted
def _progressions(hunt: Any, run: int, step: int, dimensions: int, need: int) -> None:
    """Take runs `step` apart as the longest of `dimensions` levels."""
    base, places, anchors, left = hunt.base, hunt.places, hunt.anchors, hunt.left
    places[:] = base
    times = 1
    while times * step < hunt.rows and left[0] >= 0:
        some = conjoin(places, base, times * step)
        left[0] -= len(places) // 4
        times += 1
        if not some:
            return
        if times**dimensions < need:
            continue
        number = listed(places, anchors)
        left[0] -= len(places) + number
        shape = _Shape(run, times, step, 1, 0, 1, 0)
        if times >= need:
            for first in anchors[:number]:
                if not has(base, first - step) and not has(base, first + times * step):
                    _add(hunt, first, shape)
        if number < 2 or number * times < need or dimensions == 1:
            continue
        least = -(-need // times)
        if dimensions == 2:
            _second(hunt, number, shape, max(2, least))
            continue
        half = 2
        while half * half < least:
            half += 1
        _second_of_three(hunt, number, shape, need, half)


@counted
def _second(hunt: Any, number: int, shape: Any, least: int) -> None:
    """Take progressions of `least` anchors or more as the last level."""
    places, anchors, left = hunt.places, hunt.anchors, hunt.left
    looked = 0
    for nth in range(number):
        if looked > left[0]:
            break
        first = anchors[nth]
        for other in range(nth + 1, number):
            step = anchors[other] - first
            if step > hunt.max_step:
                break
            times = times_in_steps(places, first, step, number)
            looked += times
            if times < least or step < shape.run or has(places, first - step):
                continue
            apart = _apart(shape, times, step)
            if apart >= least:
                for moved in range(first, first + (times - apart) * step + 1, step):
                    _add(hunt, moved, _with_second(shape, apart, step))
    left[0] -= looked


@counted
def _second_of_three(hunt: Any, number: int, shape: Any, need: int, least: int) -> None:
    """Take progressions of the anchors, no longer than the first level's, as the second of three.

    They have `least` anchors or more, or the third level would be longer.
    """
    places, twins, pairs, ends, left = hunt.places, hunt.twins, hunt.pairs, hunt.ends, hunt.left
    if least > shape.times:
        return
    if not _sort_pairs(hunt, number, least):
        left[0] = -1
        return
    begin = np.int64(0)
    for step in range(hunt.max_step + 1):
        if left[0] < 0:
            return
        end = ends[step]
        if begin == end:
            continue
        firsts = pairs[begin:end]
        begin = end
        longest = _apart(shape, shape.times, step) if step >= shape.run else 0
        for first in firsts:
            put(twins, first, True)
        held, times = len(firsts), least
        while held and times <= longest:
            both = shape.times * times
            left[0] -= 4 * held
            whole = _with_second(shape, times, step)
            if both >= need:
                for first in firsts[:held]:
                    longer = has(places, first - step) or has(places, first + times * step)
                    if times == longest or not longer:
                        _add(hunt, first, whole)
            if held > 1 and both * held >= need:
                _third(hunt, firsts[:held], whole, max(2, -(-need // both)))
            held = _thin(places, twins, firsts[:held], times * step)
            times += 1
        for first in firsts[:held]:
            put(twins, first, False)


@counted
def _third(hunt: Any, firsts: Ints, shape: Any, least: int) -> None:
    """Take progressions of `least` or more of `firsts`, the set `hunt.twins`, as the last level."""
    twins, left = hunt.twins, hunt.left
    looked = 0
    for nth in range(len(firsts)):
        if looked > left[0]:
            break
        first = firsts[nth]
        for other in range(nth + 1, len(firsts)):
            step = firsts[other] - first
            if step > hunt.max_step:
                break
            times = times_in_steps(twins, first, step, len(firsts))
            looked += times
            if times < least or step < shape.run or has(twins, first - step):
                continue
            apart = _apart(shape, times, step)
            if apart >= least:
                for moved in range(first, first + (times - apart) * step + 1, step):
                    _add(hunt, moved, _with_third(shape, apart, step))
    left[0] -= looked


@counted
def _sort_pairs(hunt: Any, number: int, least: int) -> bool:
    """Sort pairs of anchors that begin progressions of `least` by distance; whether they fit."""
    places, anchors, unsorted, ends = hunt.places, hunt.anchors, hunt.unsorted, hunt.ends
    ends[:] = 0
    total = looked = 0
    for nth in range(number):
        first = anchors[nth]
        for other in range(nth + 1, number):
            step = anchors[other] - first
            looked += 1
            if step > hunt.max_step:
                break
            if times_in_steps(places, first, step, least) < least:
                continue
            if total == len(unsorted):
                return False
            unsorted[total] = step << 32 | first
            ends[step + 1] += 1
            total += 1
    hunt.left[0] -= looked + total + len(ends)
    for step in range(1, len(ends)):
        ends[step] += ends[step - 1]
    for pair in unsorted[:total]:
        step = pair >> 32
        hunt.pairs[ends[step]] = pair & 0xFFFFFFFF
        ends[step] += 1
    return True


@counted
def _thin(places: Bits, twins: Bits, firsts: Ints, away: int) -> int:
    """Move to the front, and keep in `twins`, the rows with another `away` in `places`."""
    kept = 0
    for first in firsts:
        if has(places, first + away):
            firsts[kept] = first
            kept += 1
        else:
            put(twins, first, False)
    return kept


@inner
def _with_second(shape: Any, times: int, step: int) -> Any:
    """The shape with its second level set."""
    return _Shape(shape.run, shape.times, shape.step, times, step, 1, 0)


@inner
def _with_third(shape: Any, times: int, step: int) -> Any:
    """The shape with its third level set."""
    return _Shape(shape.run, shape.times, shape.step, shape.times2, shape.step2, times, step)


@counted
def _apart(shape: Any, times: int, step: int) -> int:
    """How often, up to `times`, a shape can be moved by `step` without meeting itself."""
    for nth in range(1, times):
        for second in range(1 - shape.times2, shape.times2):
            distance = nth * step + second * shape.step2
            nearest = distance // shape.step
            for first in (nearest, nearest + 1):
                if abs(first) < shape.times and abs(distance - first * shape.step) < shape.run:
                    return nth
    return times


@counted
def _add(hunt: Any, first: int, shape: Any) -> None:
    """List the lattice of a shape from row `first` on, if there is room."""
    offsets, members, made, left = hunt.offsets, hunt.members, hunt.made, hunt.left
    count = shape.run * shape.times * shape.times2 * shape.times3
    left[0] -= count
    if made[0] < 0 or made[0] + 1 == len(offsets) or offsets[made[0]] + count > len(members):
        made[0] = -1
        return
    at = offsets[made[0]]
    for t in range(shape.times3):
        for j in range(shape.times2):
            for i in range(shape.times):
                row = first + t * shape.step3 + j * shape.step2 + i * shape.step
                for one in range(row, row + shape.run):
                    members[at] = one
                    at += 1
    made[0] += 1
    offsets[made[0]] = at
