# SPDX-License-Identifier: Apache-2.0
"""Row gathers in closed form: descriptors of coin-flip masks, islands over gaps, and Phase 1.

Real activations lie like coin flips (`sparsity.masks.bernoulli`). A gap of unwanted rows that is no
longer than `gap` is moved along with its neighbours, which saves a descriptor. Phase 1 walks over
a descriptor for every row and enqueues those that are wanted.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import MaskError
from sparsity.masks import Mask


@dataclass(frozen=True, slots=True)
class Islands:
    """Expected cost of one vector, or counted cost of one mask."""

    descriptors: float
    rows: float
    """Moved, unwanted ones in gaps included."""


def expected(rows: int, density: float, gap: int = 0) -> Islands:
    """Return what a coin-flip mask costs on average, ends of the matrix counted exactly.

    Args:
        rows: of the matrix, at least 1.
        density: share of wanted rows.
        gap: the longest run of unwanted rows to move along.

    Raises:
        MaskError: no row, a density that is none, or a negative gap.
    """
    _check(rows, density, gap)
    p, q = density, 1 - density
    # A row starts an island if it is wanted and none of the gap + 1 rows before it is.
    before = np.minimum(np.arange(rows), gap + 1)
    starts = float(np.sum(p * q**before))
    bridged = sum(
        length * p * p * q**length * max(rows - length - 1, 0) for length in range(1, gap + 1)
    )
    return Islands(starts, rows * p + bridged)


def scatter(rows: int, density: float) -> float:
    """Return the standard deviation of the number of runs of a coin-flip mask, ends left out."""
    _check(rows, density, 0)
    p = density * (1 - density)
    return math.sqrt(rows * p * (1 - 3 * p))


def count(mask: Mask, gap: int = 0) -> Islands:
    """Count the islands of a mask, and the rows they move; errors as in `expected`."""
    _check(len(mask), 0, gap)
    wanted = np.flatnonzero(mask)
    if not len(wanted):
        return Islands(0, 0)
    gaps = np.diff(wanted) - 1
    closed = gaps <= gap
    return Islands(
        int(np.count_nonzero(~closed)) + 1, len(wanted) + int(np.sum(gaps[closed], dtype=np.int64))
    )


def best_gap(descriptor: float, row: float) -> int:
    """Return the longest gap worth moving along, where each has a fixed cost in one unit.

    With a cost per descriptor and one per row, gaps can be decided one by one, so this is the
    optimum and not only a rule of thumb.

    Raises:
        MaskError: costs that are none.
    """
    if descriptor < 0 or row <= 0:
        raise MaskError(f"costs {descriptor} and {row}: give 0 or more, and more than 0")
    return math.floor(descriptor / row)


def cost(mask: Mask, gap: int, descriptor: float, row: float) -> float:
    """Return what a mask costs with islands over gaps."""
    found = count(mask, gap)
    return found.descriptors * descriptor + found.rows * row


def least_cost(mask: Mask, descriptor: float, row: float) -> float:
    """Return the least cost of any cover by intervals, by dynamic programming over wanted rows."""
    wanted: NDArray[np.intp] = np.flatnonzero(mask)
    best = 0.0
    for place, here in enumerate(wanted):
        gap = here - wanted[place - 1] - 1 if place else math.inf
        best += row + min(descriptor, gap * row)
    return best


def phase1_time(sparsity: float, walk: float, move: float) -> float:
    """Return a row's time in Phase 1: each is walked over, and moved if it is wanted."""
    return walk + (1 - sparsity) * move


def phase1_ratio(gain: float, sparsity: float, as_speedup: bool) -> float | None:
    """Return walk / move at which Phase 1 gains so much at a sparsity, or None if none does.

    Args:
        gain: 0.37, say.
        sparsity: at which it is reached.
        as_speedup: whether 1 + gain is a quotient of times; else the gain is saved time.
    """
    saved = 1 - 1 / (1 + gain) if as_speedup else gain
    ratio = sparsity / saved - 1
    return ratio if ratio >= 0 else None


def _check(rows: int, density: float, gap: int) -> None:
    if rows < 1 or not 0 <= density <= 1 or gap < 0:
        raise MaskError(
            f"{rows} rows, density {density}, gap {gap}: give 1 row or more, 0 to 1, and 0 or more"
        )
