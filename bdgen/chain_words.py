# SPDX-License-Identifier: Apache-2.0
"""Chains to TXN words: the compiled writer under `bdgen.planner`, after `bdgen.chains`.

Round after round: chain number r of every lane. The BDs of a column are written in one block write,
since they lie next to each other, then patched, then each lane's chain is pushed as one task. Two
halves of a lane's BDs take turns, so before round r the tokens of round r - 2 are awaited, all
columns at once. The receive side is one task a lane, over all its bytes; its token ends the stream.
"""

from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from aie2 import tiles, txn, txn_ops
from aie2.registers import CHANNEL_CTRL, SHIM_DMA, SHIM_QUEUE, Direction
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
    COUNT,
    DST,
    END_CHAIN,
    FIRST,
    FIRST_CHAIN,
    NBYTES,
    PAD,
    PADDING,
    REPEAT,
    Ints,
)
from bdgen.lattices import Lattices
from bdgen.stencils import CONTROLLER_ID_BITS, SHIM_CONTROLLER_ID, SHIM_ROW
from bdgen.target import WORD_BYTES, Target


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


class Counts(NamedTuple):
    """What a stream holds: words, ops, BDs written, patches, pushes and awaited tokens."""

    words: int
    ops: int
    bds: int
    patches: int
    pushes: int
    tokens: int


AT, OPS, BDS, PATCHES, PUSHES, TOKENS, HEAD, FOLLOWING, LISTED = range(9)
"""Places in a pen: the counts of `Counts`, the first word of the block write that is open and the
BD that would go on with it, and how many patches are listed for the column."""

LISTED_BD, LISTED_ARG, LISTED_OFFSET = range(3)
"""Columns of the list of patches."""


class Desk(NamedTuple):
    """What `write` works with: the pen, the list of a column's patches, and what BDs hold.

    `held[column, bd]` is the length that a BD holds while it is patched to the start of the matrix,
    else -1.
    """

    pen: Ints
    listed: Ints
    held: Ints


ADDRESS, VALUE = txn_ops.ADDRESS_WORD, txn_ops.VALUE_WORD
BLOCK_BYTES, PATCHED = txn_ops.BLOCK_BYTES_WORD, txn_ops.DDR_PATCH_ADDRESS_WORD
PATCH_ARG, PATCH_PLUS = txn_ops.DDR_PATCH_ARG_WORD, txn_ops.DDR_PATCH_ARG_PLUS_WORD
BLOCK_HEADER, PATCH_WORDS = txn_ops.BLOCK_WRITE_HEADER_WORDS, txn_ops.DDR_PATCH_WORDS
WRITE_WORDS, MASK_WRITE_WORDS = txn_ops.WRITE_WORDS, txn_ops.MASK_WRITE_WORDS
TCT_WORDS = txn_ops.TCT_WORDS
HEADER_WORDS = txn.HEADER_WORDS
HEADER_OPS, HEADER_BYTES = txn.HEADER_OPS_WORD, txn.HEADER_BYTES_WORD
TCT_FIRST = TCT_WORDS - txn_ops.TCT.words
TCT_COLUMN, TCT_COLUMNS = (txn_ops.TCT.field(name).shift for name in ("column", "columns"))
TCT_CHANNEL, TCT_DIRECTION = (txn_ops.TCT.field(name).shift for name in ("channel", "direction"))


BD_BASE, BD_STRIDE, COLUMN_SHIFT = SHIM_DMA.bd_base, SHIM_DMA.bd_stride, tiles.COLUMN_SHIFT
TOKEN = SHIM_QUEUE.field("enable_token_issue").place(1)
REPEAT_SHIFT = SHIM_QUEUE.field("repeat_count").shift
ID_SHIFT = CHANNEL_CTRL.field("controller_id").shift
SET_ID, ID_MASK = SHIM_CONTROLLER_ID << ID_SHIFT, CONTROLLER_ID_BITS << ID_SHIFT
S2MM, MM2S = int(Direction.S2MM), int(Direction.MM2S)
CTRL, QUEUE = range(2)
PATCH_MODE, ABSOLUTE_MODE, ITERATION_MODE = (int(mode) for mode in Addressing)

BLOCK_OP, PATCH_OP, MASK_OP, WRITE_OP, TCT_OP = np.cumsum(
    [0, BLOCK_HEADER, PATCH_WORDS, MASK_WRITE_WORDS, WRITE_WORDS]
).tolist()
"""Where the empty ops lie in `empty_ops`."""


@lru_cache(maxsize=1)
def empty_ops() -> Words:
    """One of each op that a stream holds, as `aie2.txn` encodes it, to be copied and filled in."""
    ops = (
        txn.BlockWrite(0, ()),
        txn.DdrPatch(0, 0, 0),
        txn.MaskWrite(0, SET_ID, ID_MASK),
        txn.Write(0, 0),
        txn.Tct(0, SHIM_ROW, Direction.S2MM, 0, columns=0),
    )
    return np.array([word for op in ops for word in op.to_words()], np.uint32)


@lru_cache(maxsize=1)
def channel_registers() -> Ints:
    """Offsets of a shim's channel registers: by CTRL or QUEUE, direction and channel."""
    channels = range(SHIM_DMA.s2mm_channels)
    registers = (SHIM_DMA.ctrl, SHIM_DMA.queue_address)
    return np.array([[[of(way, n) for n in channels] for way in Direction] for of in registers])


def capacity(target: Target, sends: int) -> int:
    """Words that no stream with so many send BDs exceeds, however they are cut into chains."""
    bd = BLOCK_HEADER + BD_WORDS + PATCH_WORDS + WRITE_WORDS + TCT_WORDS
    lane = 4 * bd + 2 * (MASK_WRITE_WORDS + WRITE_WORDS)
    return HEADER_WORDS + sends * (bd + WRITE_WORDS) + len(target.lanes) * lane


def desk(target: Target) -> Desk:
    """A desk for streams of a target."""
    bds = target.device.shim_bds
    return Desk(
        pen=np.zeros(LISTED + 1, np.int64),
        listed=np.zeros((bds, 3), np.int64),
        held=np.zeros((target.columns, bds), np.int64),
    )


@njit(cache=True, nogil=True)
def write(
    words: Words,
    empty: Words,
    registers: Ints,
    layout: Layout,
    shape: RowShape,
    pieces: Lattices,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    listed: Ints,
    held: Ints,
) -> None:
    """Write a stream behind its header and complete the header; `pen` then has the `Counts`."""
    pen[:] = 0
    pen[AT] = HEADER_WORDS
    held[:] = -1
    rounds = 0
    for lane in range(len(lanes)):
        rounds = max(rounds, lanes[lane, END_CHAIN] - lanes[lane, FIRST_CHAIN])
    for nth in range(rounds):
        for column in range(layout.columns):
            if nth >= 2 and column % layout.together == 0:
                end = min(column + layout.together, layout.columns)
                _wait(words, empty, layout, lanes, pen, column, end, nth, MM2S)
            pen[FOLLOWING], pen[LISTED] = -1, 0
            for lane in range(column * layout.channels, (column + 1) * layout.channels):
                if nth == 0 and _has(lanes, lane, 0):
                    _write_receives(words, empty, layout, shape, lanes, pen, listed, column, lane)
            for lane in range(column * layout.channels, (column + 1) * layout.channels):
                if _has(lanes, lane, nth):
                    _write_chain(
                        words, empty, layout, shape, pieces, chains, lanes, pen, listed,
                        held[column], column, lane, nth,
                    )  # fmt: skip
            _write_patches(words, empty, pen, listed, column)
            for lane in range(column * layout.channels, (column + 1) * layout.channels):
                if _has(lanes, lane, nth):
                    _push(words, empty, registers, layout, chains, lanes, pen, lane, nth)
    _wait(words, empty, layout, lanes, pen, 0, layout.columns, 0, S2MM)
    words[HEADER_OPS] = pen[OPS]
    words[HEADER_BYTES] = pen[AT] * WORD_BYTES


@njit(cache=True, nogil=True, forceinline=True)
def _write_receives(
    words: Words,
    empty: Words,
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
    at = _open(words, empty, pen, column, first)
    write_linear(words, at, shape, lanes[lane, NBYTES] // WORD_BYTES)
    words[at + TAIL] = tail(first, padded)
    _address(words, at, layout, pen, listed, first, layout.output_arg, lanes[lane, DST])
    if padded:
        at = _open(words, empty, pen, column, first + 1)
        write_linear(words, at, shape, lanes[lane, PAD] // WORD_BYTES)
        words[at + TAIL] = tail(first + 1, False)
        _address(words, at, layout, pen, listed, first + 1, layout.output_arg, _scratch(lanes))


@njit(cache=True, nogil=True, forceinline=True)
def _write_chain(
    words: Words,
    empty: Words,
    layout: Layout,
    shape: RowShape,
    pieces: Lattices,
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
    first, count = _first_send(layout, lane, nth), chains[chain, COUNT]
    for which in range(count):
        bd = first + which
        last = tail(bd, which + 1 < count)
        if chains[chain, REPEAT] == PADDING:
            at = _open(words, empty, pen, column, bd)
            write_linear(words, at, shape, lanes[lane, PAD] // WORD_BYTES)
            _address(words, at, layout, pen, listed, bd, layout.output_arg, _scratch(lanes))
            words[at + TAIL] = last
            held[bd] = -1
            continue
        one = pieces[chains[chain, FIRST] + which]
        current, step = -1, 0
        if layout.addressing == ITERATION_MODE and one.repeat == 1:
            current, step = iteration_to(shape, one.first)
        if current >= 0 and held[bd] >= 0:
            _rewrite(words, empty, shape, one, pen, held, column, bd, last)
            words[pen[AT] - BD_WORDS + ITERATION] = iteration_word(current, step)
            continue
        at = _open(words, empty, pen, column, bd)
        write_shape(words, at, shape, one)
        offset = one.first * shape.row_words * WORD_BYTES
        held[bd] = -1
        if current >= 0:
            held[bd] = words[at + LENGTH]
            words[at + ITERATION] = iteration_word(current, step)
            offset = 0
        _address(words, at, layout, pen, listed, bd, layout.arg, offset)
        words[at + TAIL] = last


@njit(cache=True, nogil=True, forceinline=True)
def _open(words: Words, empty: Words, pen: Ints, column: int, bd: int) -> int:
    """Make room for a BD, in the open block write if it goes on there; return its first word."""
    if bd != pen[FOLLOWING]:
        pen[HEAD] = _op(words, empty, pen, BLOCK_OP, BLOCK_HEADER)
        words[pen[HEAD] + ADDRESS] = _bd_address(column, bd)
    at = pen[AT]
    pen[AT] = at + BD_WORDS
    pen[FOLLOWING] = bd + 1
    pen[BDS] += 1
    words[pen[HEAD] + BLOCK_BYTES] = (at + BD_WORDS - pen[HEAD]) * WORD_BYTES
    return at


@njit(cache=True, nogil=True, forceinline=True)
def _address(
    words: Words, at: int, layout: Layout, pen: Ints, listed: Ints, bd: int, arg: int, offset: int
) -> None:
    """Give a BD its address, or list the patch that will."""
    if layout.addressing == ABSOLUTE_MODE:
        write_address(words, at, arg + offset)
        return
    write_address(words, at, offset)
    nth = pen[LISTED]
    listed[nth, LISTED_BD], listed[nth, LISTED_ARG], listed[nth, LISTED_OFFSET] = bd, arg, offset
    pen[LISTED] = nth + 1


@njit(cache=True, nogil=True, forceinline=True)
def _rewrite(
    words: Words,
    empty: Words,
    shape: RowShape,
    one: Any,
    pen: Ints,
    held: Ints,
    column: int,
    bd: int,
    last: int,
) -> None:
    """Write all words of a BD but its address: the length only where it differs."""
    length = lattice_words(shape, one)
    if length != held[bd]:
        at = _op(words, empty, pen, WRITE_OP, WRITE_WORDS)
        words[at + ADDRESS] = _bd_address(column, bd) + LENGTH * WORD_BYTES
        words[at + VALUE] = length
        held[bd] = length
    at = _op(words, empty, pen, BLOCK_OP, BLOCK_HEADER)
    words[at + ADDRESS] = _bd_address(column, bd) + D0 * WORD_BYTES
    words[at + BLOCK_BYTES] = (BLOCK_HEADER + BD_WORDS - D0) * WORD_BYTES
    shifted = at + BLOCK_HEADER - D0
    head = words[shifted + LENGTH], words[shifted + LOW], words[shifted + HIGH]
    write_shape(words, shifted, shape, one)
    words[shifted + LENGTH], words[shifted + LOW], words[shifted + HIGH] = head
    words[shifted + TAIL] = last
    pen[AT] = shifted + BD_WORDS
    pen[FOLLOWING] = -1
    pen[BDS] += 1


@njit(cache=True, nogil=True, forceinline=True)
def _write_patches(words: Words, empty: Words, pen: Ints, listed: Ints, column: int) -> None:
    """Patch the BDs that a column's list names."""
    for nth in range(pen[LISTED]):
        at = _op(words, empty, pen, PATCH_OP, PATCH_WORDS)
        bd = listed[nth, LISTED_BD]
        words[at + PATCHED] = _bd_address(column, bd) + LOW * WORD_BYTES
        words[at + PATCH_ARG] = listed[nth, LISTED_ARG]
        words[at + PATCH_PLUS] = listed[nth, LISTED_OFFSET]
    pen[PATCHES] += pen[LISTED]


@njit(cache=True, nogil=True, forceinline=True)
def _push(
    words: Words,
    empty: Words,
    registers: Ints,
    layout: Layout,
    chains: Ints,
    lanes: Ints,
    pen: Ints,
    lane: int,
    nth: int,
) -> None:
    """Push a lane's chain number `nth`, with a token if another will use its BDs.

    With the first goes the receive task, whose token is due at the end. Before the first token of
    a channel, its controller id is set.
    """
    channel, chain = lane % layout.channels, lanes[lane, FIRST_CHAIN] + nth
    tokened = _has(lanes, lane, nth + 2)
    if nth == 0 and tokened:
        _set_id(words, empty, registers, layout, pen, lane, MM2S)
    at = _op(words, empty, pen, WRITE_OP, WRITE_WORDS)
    words[at + ADDRESS] = _channel(registers, layout, lane, QUEUE, MM2S)
    words[at + VALUE] = (
        _first_send(layout, lane, nth)
        | max(chains[chain, REPEAT] - 1, 0) << REPEAT_SHIFT
        | (TOKEN if tokened else 0)
    )
    pen[PUSHES] += 1
    if nth == 0:
        _set_id(words, empty, registers, layout, pen, lane, S2MM)
        at = _op(words, empty, pen, WRITE_OP, WRITE_WORDS)
        words[at + ADDRESS] = _channel(registers, layout, lane, QUEUE, S2MM)
        words[at + VALUE] = channel * layout.receives | TOKEN
        pen[PUSHES] += 1


@njit(cache=True, nogil=True, forceinline=True)
def _set_id(
    words: Words, empty: Words, registers: Ints, layout: Layout, pen: Ints, lane: int, way: int
) -> None:
    """Set the controller id that a channel's tokens carry."""
    at = _op(words, empty, pen, MASK_OP, MASK_WRITE_WORDS)
    words[at + ADDRESS] = _channel(registers, layout, lane, CTRL, way)


@njit(cache=True, nogil=True, forceinline=True)
def _wait(
    words: Words,
    empty: Words,
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
                at = _op(words, empty, pen, TCT_OP, TCT_WORDS) + TCT_FIRST
                words[at] |= first << TCT_COLUMN | way << TCT_DIRECTION
                words[at + 1] |= (end - first) << TCT_COLUMNS | channel << TCT_CHANNEL
                pen[TOKENS] += end - first
            first = end + 1


@njit(cache=True, nogil=True, forceinline=True)
def _op(words: Words, empty: Words, pen: Ints, op: int, size: int) -> int:
    """Write an empty op; return its first word."""
    at = pen[AT]
    for word in range(size):
        words[at + word] = empty[op + word]
    pen[AT] = at + size
    pen[OPS] += 1
    return at


@njit(cache=True, nogil=True, forceinline=True)
def _has(lanes: Ints, lane: int, nth: int) -> bool:
    """Whether a lane has a chain number `nth`."""
    return lanes[lane, FIRST_CHAIN] + nth < lanes[lane, END_CHAIN]


@njit(cache=True, nogil=True, forceinline=True)
def _first_send(layout: Layout, lane: int, nth: int) -> int:
    """The first BD of a lane's chain number `nth`."""
    base, channel = layout.channels * layout.receives, lane % layout.channels
    if nth % 2 == 0:
        return base + channel * layout.half0
    return base + layout.channels * layout.half0 + channel * layout.half1


@njit(cache=True, nogil=True, forceinline=True)
def _bd_address(column: int, bd: int) -> int:
    """Register address of the first word of a shim BD."""
    return column << COLUMN_SHIFT | BD_BASE + bd * BD_STRIDE


@njit(cache=True, nogil=True, forceinline=True)
def _channel(registers: Ints, layout: Layout, lane: int, which: int, way: int) -> int:
    """Register address of a lane's CTRL or QUEUE."""
    return lane // layout.channels << COLUMN_SHIFT | registers[which, way, lane % layout.channels]


@njit(cache=True, nogil=True, forceinline=True)
def _scratch(lanes: Ints) -> int:
    """Byte offset in the output that padding is read from and written to: behind all rows."""
    return lanes[-1, DST] + lanes[-1, NBYTES]
