# SPDX-License-Identifier: Apache-2.0
"""How few BDs could cover a mask at best: what `bdgen.pack` is measured against.

Let every row pay a price such that the rows of no lattice pay more than 1 together. Then the rows
of each BD of an exact cover pay at most 1 for it, and what all rows pay is at most the number of
BDs. Rows that pay one over the rows of the largest lattice they lie in are such prices; better ones
come from the linear program of which they are the dual, by a primal-dual gradient method. Whatever
it returns is made feasible in integers at the end, so that rounding never lifts the bound.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen import bitmap as bitmaps
from bdgen.bitmap import Bitmap
from bdgen.compiled import counted, inner
from bdgen.large_lattices import LargeLattices, find

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

WORK = 800_000_000
"""Steps of about 2 ns that a call takes at most."""

ONE = 1 << 30
"""The price of a BD in integers."""

_ROUNDS = 400
"""Rounds of the gradient method at most."""

_EVERY = 20
"""Rounds between two looks at how good the prices are."""

_MEMBERS_A_STEP = 2
"""Rows of lattices that a round goes through in the time of a step."""

_STRIDE = 10.0
"""Step size of the cover over that of the prices."""

_SHARPNESS = 6.0
"""The larger, the smaller the steps of lattices that pay little at first, and of their rows."""


def fewest_bds(
    bitmap: Bitmap, rows: int, row_bytes: int, *, repeats: bool = True, work: int = WORK
) -> int:
    """No exact cover of the marked rows has fewer BDs than this; 0 if none is marked.

    Good for rows that lie about at random; long runs have too many lattices to look at. `work`
    bounds the time: with less the bound is as true but may be lower. PlanError if the bitmap is not
    one of `rows` rows, or `row_bytes` no whole number of words.
    """
    paid = prices(bitmap, rows, row_bytes, repeats=repeats, work=work)
    return -(-int(paid.sum()) // ONE)


def prices(
    bitmap: Bitmap, rows: int, row_bytes: int, *, repeats: bool = True, work: int = WORK
) -> Ints:
    """What each row pays, in parts of which a BD is `ONE`, such that no lattice pays more than one.

    A row that is not wanted pays 0. Arguments and errors as of `fewest_bds`.
    """
    wanted = bitmaps.rows(bitmap, rows)
    large = find(bitmap, rows, row_bytes, repeats=repeats, work=work - work // 3)
    paid = _largest_first(rows, wanted, large)
    if len(wanted):
        rounds = work // 3 * _MEMBERS_A_STEP // (len(large.members) + rows)
        _improve(paid, wanted, large, min(_ROUNDS, rounds))
    exact = np.floor(paid * ONE).astype(np.int64)
    _round_down(exact, large)
    return exact


def _largest_first(rows: int, wanted: Ints, large: LargeLattices) -> Floats:
    """Prices of one over the rows of the largest lattice that each wanted row lies in."""
    sizes = np.zeros(rows, np.int64)
    sizes[wanted] = large.least - 1
    lengths = np.diff(large.offsets)
    np.maximum.at(sizes, large.members, np.repeat(lengths, lengths))
    return np.divide(1.0, sizes, out=np.zeros(rows), where=sizes > 0)


@counted
def _improve(best: Floats, wanted: Ints, large: Any, rounds: int) -> None:
    """Raise the sum of feasible prices, by Chambolle and Pock's method.

    `taken` is how much of each lattice a fractional cover takes; a row's price follows how far it
    is covered. Lattices have step sizes, `pace`, and rows what their lattices leave them.
    """
    offsets, members = large.offsets, large.members
    pace, hold = np.zeros(len(offsets) - 1), np.zeros(len(best))
    _weigh(best, offsets, members, pace, hold)
    taken, cover, prices = np.zeros(len(pace)), np.zeros(len(best)), best.copy()
    for nth in range(1, rounds + 1):
        cover[:] = 0.0
        _take(prices, offsets, members, pace, taken, cover)
        for row in wanted:
            price = 1.0
            if hold[row] > 0.0:
                price = max(0.0, prices[row] + (1.0 - cover[row]) / hold[row])
            prices[row] = min(price, 1.0 / (large.least - 1))
        if nth % _EVERY == 0 or nth == rounds:
            feasible = _feasible(prices, offsets, members)
            if feasible.sum() > best.sum():
                best[:] = feasible


@counted
def _weigh(prices: Floats, offsets: Ints, members: Any, pace: Floats, hold: Floats) -> None:
    """Set step sizes: large for lattices that pay much, as those will be taken."""
    for lattice in range(len(pace)):
        begin, end = offsets[lattice], offsets[lattice + 1]
        weight = _sum(prices, members[begin:end]) ** _SHARPNESS
        pace[lattice] = weight * _STRIDE / (end - begin)
        for row in members[begin:end]:
            hold[row] += weight * _STRIDE


@counted
def _take(
    prices: Floats, offsets: Ints, members: Any, pace: Floats, taken: Floats, cover: Floats
) -> None:
    """Take less of lattices that pay less than 1, more of others; sum up how rows are covered."""
    for lattice in range(len(taken)):
        begin, end = offsets[lattice], offsets[lattice + 1]
        before = taken[lattice]
        paid = _sum(prices, members[begin:end])
        taken[lattice] = max(0.0, before - (1.0 - paid) * pace[lattice])
        ahead = 2.0 * taken[lattice] - before
        if ahead != 0.0:
            for at in range(begin, end):
                cover[members[at]] += ahead


@counted
def _feasible(prices: Floats, offsets: Ints, members: Any) -> Floats:
    """Divide each price by the most that a lattice of the row pays, if that is above 1."""
    most = np.ones(len(prices))
    for lattice in range(len(offsets) - 1):
        of = members[offsets[lattice] : offsets[lattice + 1]]
        paid = _sum(prices, of)
        for row in of:
            most[row] = max(most[row], paid)
    return prices / most


@counted
def _round_down(prices: Ints, large: Any) -> None:
    """Lower prices in units of which a BD is `ONE`, until no lattice pays more than that."""
    most = np.full(len(prices), ONE)
    for row in range(len(prices)):
        prices[row] = min(prices[row], ONE // max(1, large.least - 1))
    for lattice in range(len(large.offsets) - 1):
        of = large.members[large.offsets[lattice] : large.offsets[lattice + 1]]
        paid = _sum(prices, of)
        for row in of:
            most[row] = max(most[row], paid)
    for row in range(len(prices)):
        prices[row] = prices[row] * ONE // most[row]


@inner
def _sum(prices: Any, of: Any) -> Any:
    """What some rows pay together."""
    paid = prices[0] * 0
    for row in of:
        paid += prices[row]
    return paid
