# SPDX-License-Identifier: Apache-2.0
"""Candidate lattices for `bdgen.pack_best`: all of a shape in a bitmap, or a fair share of them.

Progressions of blocks are found by AND of shifted bitmaps (`bdgen.pack_bits`). On the next level
are pairs of equal progressions; on the last, pairs of such pairs that are equally far apart.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import SOURCES, entry, inner
from bdgen.lattices import (
    COUNT,
    FIRST,
    OUTER,
    OUTER_STEP,
    REPEAT,
    REPEAT_STEP,
    RUN,
    STEP,
    Table,
)
from bdgen.pack_bits import Words, is_set, list_rows, windows

MAX_ROWS = 96
"""Rows up to which candidates are continued."""

_LINKS = 1 << 14

Rows = NDArray[np.int32]


class Room(NamedTuple):
    """Scratch of `gather`: progressions found and the rows they start at, lists, the lattice.

    The lists are of pairs of progressions that are equally far apart: `heads[apart]` is the last
    link, or -1; a link is a start, the link before and `apart`.
    """

    found: Words
    spare: Words
    starts: Rows
    heads: Rows
    links: Rows
    lattice: Rows


def gather(
    words: Words,
    shape: tuple[int, int, int, int],
    steps: NDArray[np.int64],
    max_step: int,
    pool: Table,
    made: int,
    work: int,
) -> int:
    """Append candidates of `shape` to `pool` from `made` on, each also as long as it can be made.

    `shape` is run, count, outer and repeat; `words` holds the rows at which blocks of `run` rows
    start; `steps` are the steps to try, in this order. Ends when the pool is full or about `work`
    pairs were looked at. Returns how many candidates there are.
    """
    run, count, outer, repeat = shape
    room = Room(
        np.empty_like(words),
        np.zeros_like(words),
        np.empty(len(words) * 64, np.int32),
        np.full(max_step + 1, -1, np.int32),
        np.empty((_LINKS if outer > 1 and repeat > 1 else 0, 3), np.int32),
        np.array([0, run, count, 0, outer, 0, repeat, 0], np.int32),
    )
    return _gather(words, steps, max_step, pool, made, work, room)


def _compile(stamp: int) -> Any:
    """Compile `gather` for the sources at hand."""

    @entry
    def gather(
        words: Words,
        steps: NDArray[np.int64],
        max_step: int,
        pool: Table,
        made: int,
        work: int,
        room: Room,
    ) -> int:
        return _try_steps(words, steps, max_step, pool, made, work, room) if stamp else made

    return gather


@inner
def _try_steps(
    words: Words,
    steps: NDArray[np.int64],
    max_step: int,
    pool: Table,
    made: int,
    work: int,
    room: Room,
) -> int:
    """`gather` with one step after the other."""
    lattice = room.lattice
    for step in steps:
        if step <= lattice[RUN] and lattice[RUN] > 1:
            continue
        windows(words, lattice[COUNT], step, room.found, room.spare)
        listed = room.starts[: list_rows(room.found, room.starts)]
        lattice[STEP] = step
        work -= len(listed)
        if lattice[OUTER] == 1 and lattice[REPEAT] == 1:
            made = _lines(words, listed, room, pool, made)
        elif lattice[OUTER] == 1 or lattice[REPEAT] == 1:
            made, work = _pairs(words, listed, room, max_step, pool, made, work)
        else:
            made, work = _pairs_of_pairs(words, listed, room, max_step, pool, made, work)
        if made == len(pool) or work < 0:
            break
    return made


@inner
def _lines(words: Words, starts: Rows, room: Room, pool: Table, made: int) -> int:
    """Append the progressions from each start."""
    for start in starts:
        room.lattice[FIRST] = start
        made = _append(words, room.lattice, pool, made)
    return made


@inner
def _pairs(
    words: Words, starts: Rows, room: Room, max_step: int, pool: Table, made: int, work: int
) -> tuple[int, int]:
    """Append two or more equal progressions, from each pair of starts on."""
    found, lattice = room.found, room.lattice
    run, count, step = lattice[RUN], lattice[COUNT], lattice[STEP]
    copies = max(lattice[OUTER], lattice[REPEAT])
    level = OUTER_STEP if lattice[OUTER] > 1 else REPEAT_STEP
    nearest = step if count == copies and run == 1 else 0  # the same set the other way round
    for one in range(len(starts)):
        first = starts[one]
        for other in starts[one + 1 :]:
            apart = other - first
            if apart > max_step:
                break
            work -= 1
            if apart < nearest or meet(apart, run, count, step):
                continue
            lattice[FIRST], lattice[level] = first, apart
            if _repeats(found, first, apart, copies) and (copies == 2 or not overlaps(lattice)):
                made = _append(words, lattice, pool, made)
        if made == len(pool) or work < 0:
            break
    return made, work


@inner
def _pairs_of_pairs(
    words: Words, starts: Rows, room: Room, max_step: int, pool: Table, made: int, work: int
) -> tuple[int, int]:
    """Append pairs of what `_pairs` finds, as far apart as each other."""
    found, heads, links, lattice = room.found, room.heads, room.links, room.lattice
    outer, linked = lattice[OUTER], 0
    nearest = lattice[STEP] if lattice[RUN] == 1 and lattice[COUNT] == outer else 0
    for one in range(len(starts)):
        first = starts[one]
        for other in starts[one + 1 :]:
            apart = other - first
            if apart > max_step or linked == len(links):
                break
            work -= 1
            if apart < nearest or not _repeats(found, first, apart, outer):
                continue
            lattice[OUTER_STEP] = apart
            link = heads[apart]
            while link >= 0 and first - links[link, 0] <= max_step:
                lattice[FIRST], lattice[REPEAT_STEP] = links[link, 0], first - links[link, 0]
                if (outer > 2 or lattice[REPEAT_STEP] > apart) and not overlaps(lattice):
                    made = _append(words, lattice, pool, made)
                link = links[link, 1]
            links[linked, 0], links[linked, 1], links[linked, 2] = first, heads[apart], apart
            heads[apart] = linked
            linked += 1
        if made == len(pool) or work < 0:
            break
    for link in range(linked):
        heads[links[link, 2]] = -1
    return made, work


@inner
def _repeats(found: Words, first: int, apart: int, times: int) -> bool:
    """Whether a bitmap has the third row and all later ones of a progression."""
    for copy in range(2, times):  # noqa: SIM110  numba has no all()
        if not is_set(found, first + copy * apart):
            return False
    return True


@inner
def overlaps(lattice: Rows) -> bool:
    """Whether a lattice holds a row twice."""
    for twin in range(lattice[REPEAT]):
        for copy in range(1 - lattice[OUTER] if twin else 1, lattice[OUTER]):
            apart = abs(twin * lattice[REPEAT_STEP] + copy * lattice[OUTER_STEP])
            if meet(apart, lattice[RUN], lattice[COUNT], lattice[STEP]):
                return True
    return False


@inner
def meet(apart: int, run: int, count: int, step: int) -> bool:
    """Whether two progressions of blocks that are `apart` rows apart have a row in common."""
    near = apart // step
    over = apart - near * step
    return (over < run and near < count) or (step - over < run and near + 1 < count)


@inner
def _append(words: Words, lattice: Rows, pool: Table, made: int) -> int:
    """Append a lattice as it is and, with the same start and steps, as long as the rows allow."""
    count, step = lattice[COUNT], lattice[STEP]
    longest = MAX_ROWS // (lattice[RUN] * lattice[OUTER] * lattice[REPEAT])
    made = _write(lattice, pool, made)
    while lattice[COUNT] < longest and _goes_on(words, lattice, step * lattice[COUNT]):
        lattice[COUNT] += 1
        if overlaps(lattice):
            lattice[COUNT] -= 1
            break
    if lattice[COUNT] > count:
        made = _write(lattice, pool, made)
    lattice[COUNT] = count
    return made


@inner
def _write(lattice: Rows, pool: Table, made: int) -> int:
    """Append a lattice unless the pool is full; return how many it holds."""
    if made == len(pool):
        return made
    for field in range(pool.shape[1]):
        pool[made, field] = lattice[field]
    return made + 1


@inner
def _goes_on(words: Words, lattice: Rows, on: int) -> bool:
    """Whether the bitmap has all copies of a lattice's first row, `on` rows further on."""
    for copy in range(lattice[OUTER]):
        for twin in range(lattice[REPEAT]):
            moved = copy * lattice[OUTER_STEP] + twin * lattice[REPEAT_STEP]
            if not is_set(words, lattice[FIRST] + on + moved):
                return False
    return True


def sizes(pool: Table) -> NDArray[np.int64]:
    """Rows of each lattice of a table."""
    return pool[:, (RUN, COUNT, OUTER, REPEAT)].prod(axis=1, dtype=np.int64)


def members(pool: Table) -> NDArray[np.int32]:
    """List the rows of all lattices, one after the other."""
    listed = np.empty(int(sizes(pool).sum()), np.int32)
    _list_members(pool, listed)
    return listed


@entry
def _list_members(pool: Table, listed: Rows) -> None:
    at = 0
    for nth in range(len(pool)):
        first, run, count, step, outer, outer_step, repeat, repeat_step = pool[nth]
        for twin in range(repeat):
            for copy in range(outer):
                start = first + twin * repeat_step + copy * outer_step
                for _ in range(count):
                    for row in range(start, start + run):
                        listed[at] = row
                        at += 1
                    start += step


_gather = _compile(SOURCES)
