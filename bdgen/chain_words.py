# SPDX-License-Identifier: Apache-2.0
"""Chains to TXN words: the compiled writer under `bdgen.planner`, after `bdgen.chains`.

Round after round: chain number r of every lane. The BDs of a column are written in one block write,
since they lie next to each other, then patched, then each lane's chain is pushed as one task. Two
halves of a lane's BDs take turns, so before round r the tokens of round r - 2 are awaited, of
several columns at once. The receive side is one task a lane, over all its bytes; its token ends the
stream.

From the third round on, whole rounds differ in a few words only: they are copied from a stamp and
filled in. Stamps are made by the same writer.
"""

from typing import NamedTuple

import numpy as np

from aie2 import txn
from bdgen.bd_words import (
    BD_WORDS,
    D0,
    HIGH,
    ITERATION,
    LENGTH,
    LOW,
    TAIL,
    Addressing,
    RowShape,
    Words,
    iteration_to,
    iteration_word,
    lattice_words,
    tail,
    write_address,
    write_linear,
    write_shape,
)
from bdgen.chains import (
    CHAIN_COUNT,
    CHAIN_FIRST,
    CHAIN_REPEAT,
    DST,
    END_CHAIN,
    FIRST_CHAIN,
    NBYTES,
    PAD,
    PADDING,
    Ints,
)
from bdgen.compiled import entry, inner
from bdgen.lattices import COUNT, FIRST, OUTER, REPEAT, REPEAT_STEP, RUN, Table
from bdgen.pen import (
    ADDRESS,
    AT,
    BDS,
    BLOCK_BYTES,
    BLOCK_HEADER,
    BLOCK_OP,
    FOLLOWING,
    LISTED,
    MASK_WRITE_WORDS,
    MM2S,
    OPS,
    PATCH_PLUS,
    PATCH_WORDS,
    REPEAT_SHIFT,
    S2MM,
    TCT_WORDS,
    TOKEN,
    TOKENS,
    VALUE,
    WRITE_OP,
    WRITE_WORDS,
    bd_address,
    list_patch,
    open_bd,
    write_op,
    write_patches,
    write_push,
    write_set_id,
    write_wait,
)
from bdgen.target import WORD_BYTES, Target
from bdgen.words import copy_words

HEADER_WORDS = txn.HEADER_WORDS
HEADER_OPS, HEADER_BYTES = txn.HEADER_OPS_WORD, txn.HEADER_BYTES_WORD
PATCH, ABSOLUTE, ITERATED = (int(mode) for mode in Addressing)


class Layout(NamedTuple):
    """Where BDs and bytes lie, the same for every plan of a planner.

    Tokens of `together` columns are awaited at once. `receives` BDs a lane come first among a
    shim's, then the first halves of its lanes' send BDs, `half0` each, then the second, `half1`
    each. `arg` and `output_arg` are host buffers, or device addresses if `addressing` is absolute.
    """

    addressing: int
    columns: int
    channels: int
    together: int
    receives: int
    half0: int
    half1: int
    arg: int
    output_arg: int


class Desk(NamedTuple):
    """What `write` works with: the pen, the list of a column's patches, what BDs hold, stamps.

    `held[column, bd]` is the length that a BD holds while it is patched to the start of the matrix,
    else -1. `stamps[half]` are the words of a later round: `tallies[half, AT]` of them, or 0 if
    such rounds are written word by word; the tally has the other counts, as a pen has them.
    """

    pen: Ints
    listed: Ints
    held: Ints
    stamps: Words
    tallies: Ints


def desk(target: Target, layout: Layout, shape: RowShape) -> Desk:
    """A desk for streams of a layout, with its stamps."""
    bds = target.device.shim_bds
    column = BLOCK_HEADER + bds * (BD_WORDS + PATCH_WORDS) + layout.channels * WRITE_WORDS
    widest = layout.columns * (column + layout.channels * TCT_WORDS)
    made = Desk(
        pen=np.zeros(LISTED + 1, np.int64),
        listed=np.zeros((bds, 3), np.int64),
        held=np.zeros((layout.columns, bds), np.int64),
        stamps=np.zeros((2, widest), np.uint32),
        tallies=np.zeros((2, LISTED + 1), np.int64),
    )
    if layout.addressing != ITERATED:
        _make_stamps(layout, shape, made)
    return made


def _make_stamps(layout: Layout, shape: RowShape, made: Desk) -> None:
    """Write the third and the fourth of six full rounds of linear BDs."""
    halves = (layout.half0, layout.half1)
    pieces = np.ones((max(halves), REPEAT_STEP + 1), np.int32)
    chains = np.array([(0, halves[nth % 2], 1) for nth in range(6)])
    lanes = np.zeros((layout.columns * layout.channels, PAD + 1), np.int64)
    lanes[:, END_CHAIN] = len(chains)
    for half in range(2):
        made.pen[:] = 0
        write_round(
            made.stamps[half], layout, shape, pieces, chains, lanes, made.pen, made.listed,
            made.held, 2 + half,
        )  # fmt: skip
        made.tallies[half] = made.pen


def capacity(target: Target, sends: int) -> int:
    """Words that no stream with so many send BDs exceeds, however they are cut into chains."""
    bd = 2 * BLOCK_HEADER + BD_WORDS + PATCH_WORDS + 2 * WRITE_WORDS + TCT_WORDS
    lane = 4 * bd + 2 * (MASK_WRITE_WORDS + WRITE_WORDS)
    return HEADER_WORDS + sends * bd + len(target.lanes) * lane


@entry
def write(
    words: Words,
    layout: Layout,
    shape: RowShape,
    pieces: Table,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    listed: Ints,
    held: Ints,
    stamps: Words,
    tallies: Ints,
) -> None:
    """Write a stream behind its header and complete the header; `pen` then has the `Counts`."""
    for place in range(LISTED + 1):
        pen[place] = 0
    pen[AT] = HEADER_WORDS
    for column in range(layout.columns):
        for bd in range(held.shape[1]):
            held[column, bd] = -1
    rounds = 0
    for lane in range(len(lanes)):
        rounds = max(rounds, lanes[lane, END_CHAIN] - lanes[lane, FIRST_CHAIN])
    for nth in range(rounds):
        if nth >= 2 and tallies[nth % 2, AT] > 0 and _is_full(layout, chains, lanes, nth):
            _stamp(words, stamps, tallies, layout, shape, pieces, chains, lanes, pen, nth)
        else:
            write_round(words, layout, shape, pieces, chains, lanes, pen, listed, held, nth)
    _wait(words, layout, lanes, pen, 0, layout.columns, 0, S2MM)
    words[HEADER_OPS] = pen[OPS]
    words[HEADER_BYTES] = pen[AT] * WORD_BYTES


@entry
def write_round(
    words: Words,
    layout: Layout,
    shape: RowShape,
    pieces: Table,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    listed: Ints,
    held: Ints,
    nth: int,
) -> None:
    """Write chains number `nth` of all lanes, column after column."""
    for column in range(layout.columns):
        if nth >= 2 and column % layout.together == 0:
            end = min(column + layout.together, layout.columns)
            _wait(words, layout, lanes, pen, column, end, nth, MM2S)
        _write_column(words, layout, shape, pieces, chains, lanes, pen, listed, held, column, nth)


@inner
def _write_column(
    words: Words,
    layout: Layout,
    shape: RowShape,
    pieces: Table,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    listed: Ints,
    held: Ints,
    column: int,
    nth: int,
) -> None:
    """Write a column's chains number `nth`: BDs, patches and pushes.

    With the first chains go the receive tasks.
    """
    pen[FOLLOWING] = -1
    lane0, lane1 = column * layout.channels, (column + 1) * layout.channels
    for lane in range(lane0, lane1):
        if nth == 0 and _has(lanes, lane, 0):
            _write_receives(words, layout, shape, lanes, pen, listed, column, lane)
    for lane in range(lane0, lane1):
        if _has(lanes, lane, nth):
            _write_chain(
                words, layout, shape, pieces, chains, lanes, pen, listed, held, column, lane, nth
            )
    write_patches(words, pen, listed, column)
    for lane in range(lane0, lane1):
        if _has(lanes, lane, nth):
            _push(words, layout, chains, lanes, pen, column, lane, nth)


@inner
def _is_full(layout: Layout, chains: Ints, lanes: Ints, nth: int) -> bool:
    """Whether every lane has a whole half of BDs to send."""
    half = layout.half1 if nth % 2 else layout.half0
    for lane in range(len(lanes)):
        if not _has(lanes, lane, nth):
            return False
        chain = lanes[lane, FIRST_CHAIN] + nth
        if chains[chain, CHAIN_COUNT] != half or chains[chain, CHAIN_REPEAT] == PADDING:
            return False
    return True


@inner
def _stamp(
    words: Words,
    stamps: Words,
    tallies: Ints,
    layout: Layout,
    shape: RowShape,
    pieces: Table,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    nth: int,
) -> None:
    """Write the full chains number `nth` of all lanes: a stamp, and the words that differ."""
    at, parity = pen[AT], nth % 2
    copy_words(words, at, stamps, parity * stamps.shape[1], tallies[parity, AT])
    half = layout.half1 if parity else layout.half0
    patch_words = 0 if layout.addressing == ABSOLUTE else PATCH_WORDS
    for column in range(layout.columns):
        if column % layout.together == 0:
            at += layout.channels * TCT_WORDS
        bd = at + BLOCK_HEADER
        plus = bd + layout.channels * half * BD_WORDS + PATCH_PLUS
        at += BLOCK_HEADER + layout.channels * half * (BD_WORDS + patch_words)
        for lane in range(column * layout.channels, (column + 1) * layout.channels):
            chain = lanes[lane, FIRST_CHAIN] + nth
            first = chains[chain, CHAIN_FIRST]
            for one in range(first, first + half):
                offset = pieces[one, FIRST] * shape.row_words * WORD_BYTES
                if pieces[one, COUNT] * pieces[one, OUTER] * pieces[one, REPEAT] == 1:
                    words[bd + LENGTH] = pieces[one, RUN] * shape.row_words
                else:
                    write_shape(words, bd, shape, pieces, one)
                if layout.addressing == ABSOLUTE:
                    write_address(words, bd, layout.arg + offset)
                else:
                    words[bd + LOW] = offset
                    words[plus] = offset
                bd += BD_WORDS
                plus += patch_words
            words[at + VALUE] += np.uint32((chains[chain, CHAIN_REPEAT] - 1) << REPEAT_SHIFT)
            if not _has(lanes, lane, nth + 2):
                words[at + VALUE] -= np.uint32(TOKEN)
            at += WRITE_WORDS
    for place in range(TOKENS + 1):
        pen[place] += tallies[parity, place]


@inner
def _write_receives(
    words: Words,
    layout: Layout,
    shape: RowShape,
    lanes: Ints,
    pen: Ints,
    listed: Ints,
    column: int,
    lane: int,
) -> None:
    """Write a lane's receive BD, and that of its padding."""
    first = lane % layout.channels * layout.receives
    padded = lanes[lane, PAD] > 0
    at = open_bd(words, pen, column, first)
    write_linear(words, at, shape, lanes[lane, NBYTES] // WORD_BYTES)
    words[at + TAIL] = tail(first, padded)
    _address(words, at, layout, pen, listed, first, layout.output_arg, lanes[lane, DST])
    if padded:
        at = open_bd(words, pen, column, first + 1)
        write_linear(words, at, shape, lanes[lane, PAD] // WORD_BYTES)
        words[at + TAIL] = tail(first + 1, False)
        _address(words, at, layout, pen, listed, first + 1, layout.output_arg, _scratch(lanes))


@inner
def _write_chain(
    words: Words,
    layout: Layout,
    shape: RowShape,
    pieces: Table,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    listed: Ints,
    held: Ints,
    column: int,
    lane: int,
    nth: int,
) -> None:
    """Write the BDs of a lane's chain number `nth`."""
    chain = lanes[lane, FIRST_CHAIN] + nth
    first, count = _first_send(layout, lane, nth), chains[chain, CHAIN_COUNT]
    for which in range(count):
        bd, last = first + which, tail(first + which, which + 1 < count)
        if chains[chain, CHAIN_REPEAT] == PADDING:
            at = open_bd(words, pen, column, bd)
            write_linear(words, at, shape, lanes[lane, PAD] // WORD_BYTES)
            _address(words, at, layout, pen, listed, bd, layout.output_arg, _scratch(lanes))
            words[at + TAIL] = last
            held[column, bd] = -1
            continue
        one = chains[chain, CHAIN_FIRST] + which
        current, step = -1, 0
        if layout.addressing == ITERATED and pieces[one, REPEAT] == 1:
            current, step = iteration_to(shape, pieces[one, FIRST])
        if current >= 0 and held[column, bd] >= 0:
            at = _rewrite(words, shape, pieces, one, pen, held, column, bd)
        else:
            at = open_bd(words, pen, column, bd)
            write_shape(words, at, shape, pieces, one)
            offset = pieces[one, FIRST] * shape.row_words * WORD_BYTES if current < 0 else 0
            _address(words, at, layout, pen, listed, bd, layout.arg, offset)
            held[column, bd] = words[at + LENGTH] if current >= 0 else -1
        if current >= 0:
            words[at + ITERATION] = iteration_word(current, step)
        words[at + TAIL] = last


@inner
def _address(
    words: Words, at: int, layout: Layout, pen: Ints, listed: Ints, bd: int, arg: int, offset: int
) -> None:
    """Give a BD its address, or the offset that its patch will add to a buffer's."""
    if layout.addressing == ABSOLUTE:
        write_address(words, at, arg + offset)
    else:
        write_address(words, at, offset)
        list_patch(pen, listed, bd, arg, offset)


@inner
def _rewrite(
    words: Words,
    shape: RowShape,
    pieces: Table,
    one: int,
    pen: Ints,
    held: Ints,
    column: int,
    bd: int,
) -> int:
    """Write all words of a BD but its address: the length only where it differs.

    Returns where the BD's first word would be.
    """
    length = lattice_words(shape, pieces, one)
    if length != held[column, bd]:
        at = write_op(words, pen, WRITE_OP, WRITE_WORDS)
        words[at + ADDRESS] = bd_address(column, bd) + LENGTH * WORD_BYTES
        words[at + VALUE] = length
        held[column, bd] = length
    head = write_op(words, pen, BLOCK_OP, BLOCK_HEADER)
    words[head + ADDRESS] = bd_address(column, bd) + D0 * WORD_BYTES
    words[head + BLOCK_BYTES] = (BLOCK_HEADER + BD_WORDS - D0) * WORD_BYTES
    at = head + BLOCK_HEADER - D0
    before = words[at + LENGTH], words[at + LOW], words[at + HIGH]
    write_shape(words, at, shape, pieces, one)
    words[at + LENGTH], words[at + LOW], words[at + HIGH] = before
    pen[AT] = at + BD_WORDS
    pen[FOLLOWING] = -1
    pen[BDS] += 1
    return at


@inner
def _push(
    words: Words,
    layout: Layout,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    column: int,
    lane: int,
    nth: int,
) -> None:
    """Push a lane's chain number `nth`, with a token if another will use its BDs.

    With the first goes the receive task, whose token is due at the end. Before the first token of
    a channel, its controller id is set.
    """
    channel, chain = lane % layout.channels, lanes[lane, FIRST_CHAIN] + nth
    repeats = max(chains[chain, CHAIN_REPEAT] - 1, 0) << REPEAT_SHIFT
    token = TOKEN if _has(lanes, lane, nth + 2) else 0
    if nth == 0 and token:
        write_set_id(words, pen, column, channel, MM2S)
    write_push(words, pen, column, channel, MM2S, _first_send(layout, lane, nth) | repeats | token)
    if nth == 0:
        write_set_id(words, pen, column, channel, S2MM)
        write_push(words, pen, column, channel, S2MM, channel * layout.receives | TOKEN)


@inner
def _wait(
    words: Words,
    layout: Layout,
    lanes: Ints,
    pen: Ints,
    column: int,
    beyond: int,
    nth: int,
    way: int,
) -> None:
    """Await a token of each lane of some columns that has a chain number `nth`.

    One op does for adjacent columns.
    """
    for channel in range(layout.channels):
        first = column
        while first < beyond:
            end = first
            while end < beyond and _has(lanes, end * layout.channels + channel, nth):
                end += 1
            if end > first:
                write_wait(words, pen, first, end - first, channel, way)
            first = end + 1


@inner
def _has(lanes: Ints, lane: int, nth: int) -> bool:
    """Whether a lane has a chain number `nth`."""
    return lanes[lane, FIRST_CHAIN] + nth < lanes[lane, END_CHAIN]


@inner
def _first_send(layout: Layout, lane: int, nth: int) -> int:
    """The first BD of a lane's chain number `nth`."""
    base, channel = layout.channels * layout.receives, lane % layout.channels
    if nth % 2 == 0:
        return base + channel * layout.half0
    return base + layout.channels * layout.half0 + channel * layout.half1


@inner
def _scratch(lanes: Ints) -> int:
    """Byte offset in the output that padding is read from and written to: behind all rows."""
    return lanes[-1, DST] + lanes[-1, NBYTES]
