# SPDX-License-Identifier: Apache-2.0
"""Lattices to lanes and chains: who moves what, in which batches; after `bdgen.pack`.

Any column can read any row, so lattices are dealt freely: every lane gets what it can move until
all are done at the same time, those that start later the less. A lattice that does not fit whole
is split between two lanes. A lane's lattices are cut into *chains*, one task each: the BDs of one
chain are written while the one before runs (ping-pong), and all of a chain share its repeat.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import entry, inner
from bdgen.lattices import (
    COUNT,
    FIRST,
    LATTICE,
    MAX_REPEAT,
    OUTER,
    OUTER_STEP,
    REPEAT,
    REPEAT_STEP,
    RUN,
    STEP,
    Table,
    table,
)
from bdgen.words import copy_words

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

CHAIN_FIRST, CHAIN_COUNT, CHAIN_REPEAT = range(3)
"""Columns of `Room.chains`: the first piece, how many pieces, and how often they are moved."""

CLASS_COUNT, CLASS_LOAD = range(2)
"""Columns of `Room.classes`: how many lattices have a repeat, and the time that they take."""

MOST_SIZES = 256
"""Lattices of as many rows or more are dealt as if they were all of one size."""

PADDING = 0
"""Repeat of a chain that moves no pieces but a lane's padding, in one BD."""

FIRST_CHAIN, END_CHAIN, ROWS, NBYTES, DST, PAD = range(6)
"""Columns of `Room.lanes`: its chains, its rows, their bytes, where they land, and its padding."""


class Weights(NamedTuple):
    """What moving takes, in one unit of time: a row, and a BD each time it is loaded."""

    row: float
    bd: float


class Room(NamedTuple):
    """Room for a deal, and the deal: plain arrays that are filled again for each plan.

    `pieces` is a table of lattices or parts of them, `chains` and `lanes` have the columns named
    above. `marks` says where the pieces of each repeat and lane begin; the rest is for `deal`.
    """

    pieces: Table
    chains: Ints
    lanes: Ints
    marks: Ints
    order: Ints
    classes: Floats
    needs: Floats
    tally: Ints


def room(rows: int, lanes: int) -> Room:
    """Room for any deal of a matrix of `rows` rows to so many lanes."""
    most = rows + 2 * lanes
    return Room(
        pieces=table(np.zeros(most, LATTICE)),
        chains=np.zeros((most + lanes, 3), np.int64),
        lanes=np.zeros((lanes, 6), np.int64),
        marks=np.zeros((MAX_REPEAT + 1, lanes + 1), np.int64),
        order=np.zeros(most, np.int64),
        classes=np.zeros((MAX_REPEAT + 1, 2)),
        needs=np.zeros(lanes),
        tally=np.zeros(MOST_SIZES, np.int64),
    )


@entry
def deal(
    lattices: Table,
    starts: Floats,
    weights: Weights,
    pieces: Table,
    marks: Ints,
    order: Ints,
    lanes: Ints,
    classes: Floats,
    needs: Floats,
    tally: Ints,
) -> int:
    """Deal lattices to lanes, lane n starting at time `starts[n]`; return how many pieces.

    The pieces of one repeat lie together, lane after lane; `marks[repeat, n]` is the first of lane
    n, `marks[repeat, -1]` the end. `lanes` gets the rows of each lane.
    """
    for lane in range(len(lanes)):
        lanes[lane, ROWS] = 0
    left = _weigh(lattices, weights, classes)
    _fill_needs(left, starts, needs)
    made = end = 0
    for repeat in range(MAX_REPEAT, 0, -1):
        for lane in range(len(lanes) + 1):
            marks[repeat, lane] = made
        count = int(classes[repeat, CLASS_COUNT])
        if count == 0:
            continue
        _list_class(lattices, repeat, order, end, tally)
        at, end = end, end + count
        load = classes[repeat, CLASS_LOAD]
        share = min(load / left, 1.0)
        made = _share_out(
            lattices, order, at, count, needs, share, weights, pieces, marks, repeat, lanes
        )
        left -= load
        for lane in range(len(lanes)):
            needs[lane] *= 1.0 - share
    return made


@entry
def deal_runs(
    runs: Table,
    starts: Floats,
    weights: Weights,
    pieces: Table,
    marks: Ints,
    lanes: Ints,
    needs: Floats,
) -> int:
    """Deal runs of rows, none repeated, in shares of neighbours; else as `deal` does, and faster.

    What lies between two cuts is copied as one block. `head` rows of run `nth` are dealt already.
    """
    rows = 0
    for nth in range(len(runs)):
        rows += runs[nth, RUN]
    _fill_needs(rows * weights.row + len(runs) * weights.bd, starts, needs)
    for repeat in range(MAX_REPEAT + 1):
        for lane in range(len(lanes) + 1):
            marks[repeat, lane] = 0
    nth = head = made = 0
    filled = goal = 0.0
    for lane in range(len(lanes)):
        marks[1, lane] = made
        goal = goal + needs[lane] if lane + 1 < len(lanes) else np.inf
        rows = 0
        if head == 0:
            first = nth
            while nth < len(runs) and filled + runs[nth, RUN] * weights.row + weights.bd <= goal:
                filled += runs[nth, RUN] * weights.row + weights.bd
                rows += runs[nth, RUN]
                nth += 1
            _copy_lattices(pieces, made, runs, first, nth - first)
            made += nth - first
        while nth < len(runs) and filled < goal:
            left = runs[nth, RUN] - head
            part = weights.row + weights.bd / runs[nth, RUN]
            fit = left
            if filled + left * part > goal:
                fit = min(int((goal - filled) / part + 0.5), left)
                if fit == 0:
                    break
            _copy_lattices(pieces, made, runs, nth, 1)
            pieces[made, FIRST] += head
            pieces[made, RUN] = fit
            made += 1
            filled += fit * part
            rows += fit
            head += fit
            if head == runs[nth, RUN]:
                head, nth = 0, nth + 1
            else:
                break
        lanes[lane, ROWS] = rows
    marks[1, len(lanes)] = made
    return made


@inner
def _copy_lattices(into: Table, at: int, source: Table, first: int, count: int) -> None:
    """Copy lattices from one table to another."""
    width = REPEAT_STEP + 1
    copy_words(into, at * width, source, first * width, count * width)


@entry
def _weigh(lattices: Table, weights: Weights, classes: Floats) -> float:
    """Count the lattices of each repeat and add up their time; return the time of all."""
    for repeat in range(MAX_REPEAT + 1):
        classes[repeat, CLASS_COUNT] = classes[repeat, CLASS_LOAD] = 0.0
    total = 0.0
    at = 0
    while at < len(lattices):
        repeat, rows, first = lattices[at, REPEAT], 0, at
        while at < len(lattices) and lattices[at, REPEAT] == repeat:
            rows += _size(lattices, at)
            at += 1
        load = rows * weights.row + (at - first) * repeat * weights.bd
        classes[repeat, CLASS_COUNT] += at - first
        classes[repeat, CLASS_LOAD] += load
        total += load
    return total


@entry
def _list_class(lattices: Table, repeat: int, order: Ints, at: int, tally: Ints) -> None:
    """List the lattices of one repeat, the largest first, from place `at` of `order` on.

    So the chains of one round are about equally long on all lanes, and none waits for another.
    """
    most = len(tally) - 1
    for size in range(most + 1):
        tally[size] = 0
    for nth in range(len(lattices)):
        if lattices[nth, REPEAT] == repeat:
            tally[min(_size(lattices, nth), most)] += 1
    for size in range(most, -1, -1):
        count, tally[size] = tally[size], at
        at += count
    for nth in range(len(lattices)):
        if lattices[nth, REPEAT] == repeat:
            size = min(_size(lattices, nth), most)
            order[tally[size]] = nth
            tally[size] += 1


@entry
def cut(
    marks: Ints,
    ramp: Ints,
    halves: Ints,
    row_bytes: int,
    object_bytes: int,
    chains: Ints,
    lanes: Ints,
) -> int:
    """Cut every lane's pieces into chains, and place lane after lane; return how many chains.

    Chain number r of a lane has at most `halves[r % 2]` BDs, and `ramp[r]` while the ramp lasts.
    A lane whose rows are no whole number of fifo objects gets padding, in a chain of its own.
    """
    made = end = 0
    for lane in range(len(lanes)):
        nbytes = lanes[lane, ROWS] * row_bytes
        lanes[lane, NBYTES], lanes[lane, DST] = nbytes, end
        lanes[lane, PAD] = -nbytes % object_bytes
        end += nbytes
        first = lanes[lane, FIRST_CHAIN] = made
        for repeat in range(MAX_REPEAT, 0, -1):
            at = marks[repeat, lane]
            while at < marks[repeat, lane + 1]:
                most = halves[(made - first) % 2]
                if made - first < len(ramp):
                    most = min(most, ramp[made - first])
                chains[made, CHAIN_FIRST], chains[made, CHAIN_REPEAT] = at, repeat
                chains[made, CHAIN_COUNT] = min(most, marks[repeat, lane + 1] - at)
                at += chains[made, CHAIN_COUNT]
                made += 1
        if lanes[lane, PAD] > 0:
            chains[made, CHAIN_FIRST], chains[made, CHAIN_COUNT], chains[made, CHAIN_REPEAT] = (
                -1,
                1,
                PADDING,
            )
            made += 1
        lanes[lane, END_CHAIN] = made
    return made


@entry
def _fill_needs(load: float, starts: Floats, needs: Floats) -> None:
    """What each lane has to move so that all are done at once; nothing if it starts too late."""
    end = np.inf
    for _ in range(len(starts)):
        late, used = 0.0, 0
        for lane in range(len(starts)):
            if starts[lane] < end:
                late += starts[lane]
                used += 1
        if used > 0:
            end = (load + late) / used
    for lane in range(len(starts)):
        needs[lane] = max(end - starts[lane], 0.0)


@entry
def _share_out(
    lattices: Table,
    order: Ints,
    first: int,
    count: int,
    needs: Floats,
    share: float,
    weights: Weights,
    pieces: Table,
    marks: Ints,
    repeat: int,
    lanes: Ints,
) -> int:
    """Deal the lattices of one repeat: each lane gets `share` of what it still has to move.

    Every lane takes every so manieth lattice, so that all get large and small ones alike.
    """
    last = len(needs) - 1
    made, lane, rows = marks[repeat, 0], 0, 0
    filled, goal = 0.0, needs[0] * share if last > 0 else np.inf
    for stripe in range(last + 1):
        for nth in range(first + stripe, first + count, last + 1):
            _copy_lattices(pieces, made, lattices, order[nth], 1)
            size = _size(pieces, made)
            load = size * weights.row + pieces[made, REPEAT] * weights.bd
            while filled + load > goal:
                units = _units(pieces, made)
                fit = int((goal - filled) * units / load + 0.5) if goal > filled else 0
                if fit == units:
                    break
                if fit > 0:
                    filled += fit * load / units
                    load -= fit * load / units
                    _split(pieces, made, fit)
                    rows += _size(pieces, made)
                    made += 1
                    size = _size(pieces, made)
                lanes[lane, ROWS] += rows
                lane, rows = lane + 1, 0
                marks[repeat, lane] = made
                goal = goal + needs[lane] * share if lane < last else np.inf
            rows += size
            filled += load
            made += 1
    lanes[lane, ROWS] += rows
    for rest in range(lane + 1, last + 2):
        marks[repeat, rest] = made
    return made


@inner
def _size(of: Table, nth: int) -> int:
    """Rows of a lattice, its repeats included."""
    return of[nth, RUN] * of[nth, COUNT] * of[nth, OUTER] * of[nth, REPEAT]


@inner
def _units(of: Table, nth: int) -> int:
    """Into how many equal parts a lattice can be split along its outermost level."""
    if of[nth, OUTER] > 1:
        return of[nth, OUTER]
    return of[nth, COUNT] if of[nth, COUNT] > 1 else of[nth, RUN]


@inner
def _split(pieces: Table, at: int, units: int) -> None:
    """Split off the first `units` parts of a piece; the rest becomes the next piece."""
    _copy_lattices(pieces, at + 1, pieces, at, 1)
    level, step = RUN, 1
    if pieces[at, OUTER] > 1:
        level, step = OUTER, pieces[at, OUTER_STEP]
    elif pieces[at, COUNT] > 1:
        level, step = COUNT, pieces[at, STEP]
    pieces[at + 1, level] -= units
    pieces[at + 1, FIRST] += units * step
    pieces[at, level] = units
    for part in (at, at + 1):
        if level != RUN and pieces[part, level] == 1:
            pieces[part, level + 1] = 0


@entry
def list_rows(pieces: Table, chains: Ints, lanes: Ints, listed: Ints) -> None:
    """List the rows of a deal in the order in which they land."""
    at = 0
    for lane in range(len(lanes)):
        for chain in range(lanes[lane, FIRST_CHAIN], lanes[lane, END_CHAIN]):
            for t in range(chains[chain, CHAIN_REPEAT]):
                first = chains[chain, CHAIN_FIRST]
                for nth in range(first, first + chains[chain, CHAIN_COUNT]):
                    at = _list(pieces, nth, t, listed, at)


@inner
def _list(of: Table, nth: int, t: int, listed: Ints, at: int) -> int:
    """List the rows of a lattice in its repeat number `t`."""
    first = of[nth, FIRST] + t * of[nth, REPEAT_STEP]
    for j in range(of[nth, OUTER]):
        for i in range(of[nth, COUNT]):
            for a in range(of[nth, RUN]):
                listed[at] = first + j * of[nth, OUTER_STEP] + i * of[nth, STEP] + a
                at += 1
    return at
