# SPDX-License-Identifier: Apache-2.0
"""Runs of wanted rows, and islands: runs merged where splitting costs more than moving the gap.

After `bdgen.bitmap`, before `bdgen.schedule`. A run or island is one read of consecutive rows,
hence one BD, if it is no longer than a BD can be. Both are two equal int64 arrays, first rows
(ascending) and row counts.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen.bitmap import Bitmap, check
from bdgen.compiled import entry
from bdgen.errors import PlanError, describe
from bdgen.words import load_word, set_bits, trailing_zeros

Ints = NDArray[np.int64]


def runs(bitmap: Bitmap, count: int) -> tuple[Ints, Ints]:
    """Find the maximal runs of marked rows in a bitmap of `count` rows: (starts, lengths).

    The time follows the number of runs. PlanError if the bitmap is not one of `count` rows.
    """
    bitmap = check(bitmap, count)
    made = _count_runs(bitmap)
    starts, lengths = np.empty(made, np.int64), np.empty(made, np.int64)
    _fill_runs(bitmap, count, starts, lengths)
    return starts, lengths


def islands(starts: Ints, lengths: Ints, max_gap: int) -> tuple[Ints, Ints]:
    """Merge runs that are at most `max_gap` rows apart: (starts, lengths) of the islands.

    Runs that touch are 0 apart. PlanError if the runs are empty, overlap or do not ascend.
    """
    starts, lengths = _int64(starts, "starts"), _int64(lengths, "lengths")
    if len(starts) != len(lengths):
        raise PlanError(f"{len(starts)} run starts but {len(lengths)} lengths; give one each")
    if max_gap < 0:
        raise PlanError(f"a gap of {max_gap} rows between runs cannot be; give 0 or more")
    max_gap = min(max_gap, np.iinfo(np.int64).max)
    merged_starts, merged_lengths = np.empty_like(starts), np.empty_like(lengths)
    made, bad = _merge(starts, lengths, max_gap, merged_starts, merged_lengths)
    if bad >= 0:
        raise PlanError(
            f"run {bad} ({lengths[bad]} rows from row {starts[bad]}) is empty or starts before the "
            "end of the one before; give non-empty runs in ascending order"
        )
    return merged_starts[:made], merged_lengths[:made]


def break_even_gap(bd_cost: float, row_cost: float) -> int:
    """Largest gap, in rows, that costs less to move than another BD: `gap * row_cost < bd_cost`.

    Both costs in the same unit of time. Where cost is `bd_cost` a BD and `row_cost` a row,
    `islands` with this gap is optimal; a gap that costs exactly a BD stays a gap. PlanError for a
    negative or infinite cost, or a free row, which makes every gap worth moving.
    """
    if not 0 <= bd_cost < math.inf:
        raise PlanError(f"a BD cost of {bd_cost} has no break-even gap; give a finite cost >= 0")
    if not 0 < row_cost < math.inf:
        raise PlanError(f"a row cost of {row_cost} has no break-even gap; give a finite cost > 0")
    return max(0, math.ceil(Fraction(float(bd_cost)) / Fraction(float(row_cost))) - 1)


def _int64(values: Ints, name: str) -> Ints:
    """Return `values` contiguous if they are a 1-D int64 array; else raise PlanError."""
    if not isinstance(values, np.ndarray) or values.dtype != np.int64 or values.ndim != 1:
        raise PlanError(f"run {name} are a 1-D int64 array, not {describe(values)}; use bdgen.runs")
    return np.ascontiguousarray(values)


@entry
def _count_runs(bitmap: NDArray[Any]) -> int:
    """Count set bits whose lower neighbour is clear."""
    made = 0
    before = np.uint64(0)
    for word in range((len(bitmap) + 7) // 8):
        bits = load_word(bitmap, word)
        made += set_bits(bits & ~(bits << np.uint64(1) | before))
        before = bits >> np.uint64(63)
    return made


@entry
def _fill_runs(bitmap: NDArray[Any], count: int, starts: NDArray[Any], ends: NDArray[Any]) -> None:
    """Write where runs start and, in `ends`, how long they are; one `trailing_zeros` per edge."""
    started = ended = 0
    before = np.uint64(0)
    for word in range((len(bitmap) + 7) // 8):
        bits = load_word(bitmap, word)
        shifted = bits << np.uint64(1) | before
        before = bits >> np.uint64(63)
        rising = bits & ~shifted
        while rising:
            starts[started] = word * 64 + trailing_zeros(rising)
            started += 1
            rising &= rising - np.uint64(1)
        falling = shifted & ~bits
        while falling:
            ends[ended] = word * 64 + trailing_zeros(falling)
            ended += 1
            falling &= falling - np.uint64(1)
    if ended < started:
        ends[ended] = count
    for run in range(started):
        ends[run] -= starts[run]


@entry
def _merge(
    starts: NDArray[Any],
    lengths: NDArray[Any],
    max_gap: int,
    merged_starts: NDArray[Any],
    merged_lengths: NDArray[Any],
) -> tuple[int, int]:
    """Fill the merged arrays; return how many islands, and the index of a wrong run or -1."""
    made = 0
    end = np.int64(0)
    for run in range(len(starts)):
        start = starts[run]
        if lengths[run] <= 0 or start < end:
            return made, run
        if made == 0 or start - end > max_gap:
            merged_starts[made] = start
            made += 1
        end = start + lengths[run]
        merged_lengths[made - 1] = end - merged_starts[made - 1]
    return made, -1
