# SPDX-License-Identifier: Apache-2.0
"""Choose disjoint candidates that leave few rows over: simulated annealing for `bdgen.pack_best`.

A move takes a row that no chosen candidate holds, looks at some candidates that hold it, and
chooses the best of them in place of those that it overlaps, if that costs no more than the
temperature allows. Costs are integers, `ONE` to a BD; a row left over costs a part of a BD. All
random numbers come from a seed, so that the same rows are always packed the same way.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import entry, inner
from bdgen.lattices import Table
from bdgen.pack_pool import members, sizes

ONE = 1 << 12
"""The cost of a BD."""

LOOKS = 16
"""How many candidates a move looks at."""

_EXPONENTIAL = -np.log((np.arange(1024) + 0.5) / 1024)
_BLOCK = 1024


class Pool(NamedTuple):
    """Candidates and their rows, both ways; rows are counted among the wanted ones.

    Candidate c holds `members[offsets[c] : offsets[c + 1]]`, row r is held by
    `holders[begin[r] : begin[r + 1]]`. Members are unsigned, for which numba has no index to wrap.
    """

    offsets: NDArray[np.int32]
    members: NDArray[np.uint32]
    begin: NDArray[np.int32]
    holders: NDArray[np.int32]


class _State(NamedTuple):
    """What is chosen: `owner` of a row or -1, and `loss`, the cost of giving its owner up.

    `free[:left]` are the rows without an owner and `place` their places in it; `stamp` marks
    candidates that a move has met.
    """

    owner: NDArray[np.int32]
    loss: NDArray[np.int32]
    free: NDArray[np.int64]
    place: NDArray[np.int64]
    stamp: NDArray[np.int64]


class Schedule(NamedTuple):
    """How long to search and how freely.

    `work` candidates are looked at, while the temperature falls from `hot` to `cold`; `left` is
    what a row left over costs. All three in BDs.
    """

    work: int
    hot: float
    cold: float
    left: float


def choose(
    candidates: Table,
    wanted: NDArray[np.bool_],
    chosen: NDArray[np.bool_],
    schedule: Schedule,
    seed: int,
) -> NDArray[np.bool_]:
    """Choose disjoint candidates, to begin with `chosen`: a flag for each.

    All rows of the candidates are wanted; chosen candidates are disjoint.
    """
    pool = _pool(candidates, wanted)
    rows = int(np.count_nonzero(wanted))
    state = _State(
        np.full(rows, -1, np.int32),
        np.zeros(rows, np.int32),
        np.empty(rows, np.int64),
        np.empty(rows, np.int64),
        np.zeros(len(candidates), np.int64),
    )
    _own(pool, np.flatnonzero(chosen), state.owner)
    row_cost = round(schedule.left * ONE)
    _anneal(pool, state, schedule.work, schedule.hot * ONE, schedule.cold * ONE, row_cost, seed)
    kept = np.zeros(len(candidates), np.bool_)
    kept[state.owner[state.owner >= 0]] = True
    return kept


def _pool(candidates: Table, wanted: NDArray[np.bool_]) -> Pool:
    """List the rows of candidates, and the candidates of rows."""
    rows = int(np.count_nonzero(wanted))
    index = np.cumsum(wanted, dtype=np.int32) - np.int32(1)
    offsets = np.zeros(len(candidates) + 1, np.int32)
    np.cumsum(sizes(candidates), out=offsets[1:])
    held = index[members(candidates)].view(np.uint32)
    begin, holders = np.zeros(rows + 2, np.int32), np.empty(offsets[-1], np.int32)
    _list_holders(offsets, held, begin, holders)
    return Pool(offsets, held, begin, holders)


@entry
def _list_holders(
    offsets: NDArray[np.int32],
    members: NDArray[np.uint32],
    begin: NDArray[np.int32],
    holders: NDArray[np.int32],
) -> None:
    """Fill `begin` and `holders` by counting."""
    for member in members:
        begin[np.int64(member) + 2] += 1
    for row in range(2, len(begin)):
        begin[row] += begin[row - 1]
    for nth in range(len(offsets) - 1):
        for at in range(offsets[nth], offsets[nth + 1]):
            row = np.int64(members[at]) + 1
            holders[begin[row]] = nth
            begin[row] += 1


@entry
def _own(pool: Pool, chosen: NDArray[np.int64], owner: NDArray[np.int32]) -> None:
    """Give the rows of the chosen candidates their owner."""
    for nth in chosen:
        for at in range(pool.offsets[nth], pool.offsets[nth + 1]):
            owner[pool.members[at]] = nth


@entry
def _anneal(
    pool: Pool, state: _State, work: int, hot: float, cold: float, row_cost: int, seed: int
) -> None:
    """Search as `Schedule` says, changing `state.owner`; costs in units of `ONE`."""
    left = _start(pool, state, row_cost)
    heat, cooling = hot, (cold / hot) ** (_BLOCK / max(work, 1))
    random = np.uint64(seed) + np.uint64(0x9E3779B97F4A7C15)
    looked, due, moves = 0, _BLOCK, 0
    while looked < work and left:
        while looked >= due:
            heat *= cooling
            due += _BLOCK
        random = _next(random)
        row = state.free[_below(random >> np.uint64(32), left)]
        number = pool.begin[row + 1] - pool.begin[row]
        looked += 1 + min(number, LOOKS)
        if number == 0:
            continue
        best = _best(pool, state.loss, row, _below(random, number), row_cost)
        moves += 1
        random = _next(random)
        allowed = heat * _EXPONENTIAL[_below(random >> np.uint64(32), len(_EXPONENTIAL))]
        if _cost(pool, state, best, moves, row_cost) <= allowed:
            left = _take(pool, state, best, left, row_cost)


@inner
def _start(pool: Pool, state: _State, row_cost: int) -> int:
    """Fill `loss`, `free` and `place` from `owner`; return how many rows are free."""
    left = 0
    for row in range(len(state.owner)):
        owner = state.owner[row]
        if owner < 0:
            state.free[left] = row
            state.place[row] = left
            left += 1
        else:
            state.loss[row] = row_cost * (pool.offsets[owner + 1] - pool.offsets[owner]) - ONE
    return left


@inner
def _best(pool: Pool, loss: NDArray[np.int32], row: Any, nth: int, row_cost: int) -> Any:
    """Of some candidates that hold a row, from its nth on, the one that costs least.

    An owner that a candidate overlaps in two rows is counted twice here.
    """
    low, high = pool.begin[row], pool.begin[row + 1]
    best, least = 0, 1 << 40
    place = low + nth
    for _ in range(min(high - low, LOOKS)):
        candidate = pool.holders[place]
        begin, end = pool.offsets[candidate], pool.offsets[candidate + 1]
        cost = row_cost * (begin - end)
        for at in range(begin, end):
            cost += loss[pool.members[np.uint64(at)]]
        if cost < least:
            best, least = candidate, cost
        place = place + 1 if place + 1 < high else low
    return best


@inner
def _cost(pool: Pool, state: _State, candidate: int, mark: int, row_cost: int) -> int:
    """What it costs to choose a candidate: itself and the owners it replaces, less its rows."""
    begin, end = pool.offsets[candidate], pool.offsets[candidate + 1]
    cost = ONE - row_cost * (end - begin)
    for member in pool.members[begin:end]:
        owner = state.owner[member]
        if owner >= 0 and state.stamp[owner] != mark:
            state.stamp[owner] = mark
            cost += state.loss[member]
    return cost


@inner
def _take(pool: Pool, state: _State, candidate: int, left: int, row_cost: int) -> int:
    """Choose a candidate, giving up those that it overlaps; return how many rows are free."""
    begin, end = pool.offsets[candidate], pool.offsets[candidate + 1]
    for member in pool.members[begin:end]:
        owner = state.owner[member]
        if owner >= 0:
            for row in pool.members[pool.offsets[owner] : pool.offsets[owner + 1]]:
                state.owner[row] = -1
                state.loss[row] = 0
                state.free[left] = row
                state.place[row] = left
                left += 1
    for member in pool.members[begin:end]:
        left -= 1
        last = state.free[left]
        state.free[state.place[member]] = last
        state.place[last] = state.place[member]
        state.owner[member] = candidate
        state.loss[member] = row_cost * (end - begin) - ONE
    return left


@inner
def _next(random: np.uint64) -> np.uint64:
    """Step a xorshift generator."""
    random ^= random << np.uint64(13)
    random ^= random >> np.uint64(7)
    return random ^ random << np.uint64(17)


@inner
def _below(random: np.uint64, limit: Any) -> Any:
    """Scale the low 32 bits of a random number to 0 .. limit - 1."""
    return np.int64((random & np.uint64(0xFFFFFFFF)) * np.uint64(limit) >> np.uint64(32))
