# SPDX-License-Identifier: Apache-2.0
"""The pen that `bdgen.chain_words` writes with: where it stands, and the ops that it writes.

In compiled code. A pen is a small integer array with the places named below. Ops are copied from
one of each kind that `aie2.txn` has encoded; the caller fills them in.
"""

from typing import NamedTuple

import numpy as np

from aie2 import tiles, txn, txn_ops
from aie2.registers import CHANNEL_CTRL, SHIM_DMA, SHIM_QUEUE, Direction
from bdgen.bd_words import BD_WORDS, LOW, Words
from bdgen.chains import Ints
from bdgen.compiled import inner
from bdgen.stencils import CONTROLLER_ID_BITS, SHIM_CONTROLLER_ID, SHIM_ROW
from bdgen.target import WORD_BYTES


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

ADDRESS, VALUE = txn_ops.ADDRESS_WORD, txn_ops.VALUE_WORD
BLOCK_BYTES, PATCHED = txn_ops.BLOCK_BYTES_WORD, txn_ops.DDR_PATCH_ADDRESS_WORD
PATCH_ARG, PATCH_PLUS = txn_ops.DDR_PATCH_ARG_WORD, txn_ops.DDR_PATCH_ARG_PLUS_WORD
BLOCK_HEADER, PATCH_WORDS = txn_ops.BLOCK_WRITE_HEADER_WORDS, txn_ops.DDR_PATCH_WORDS
WRITE_WORDS, MASK_WRITE_WORDS = txn_ops.WRITE_WORDS, txn_ops.MASK_WRITE_WORDS
TCT_WORDS = txn_ops.TCT_WORDS
TCT_FIRST = TCT_WORDS - txn_ops.TCT.words
TCT_COLUMN, TCT_COLUMNS = (txn_ops.TCT.field(name).shift for name in ("column", "columns"))
TCT_WAY, TCT_CHANNEL = (txn_ops.TCT.field(name).shift for name in ("direction", "channel"))

BD_BASE, BD_STRIDE, COLUMN_SHIFT = SHIM_DMA.bd_base, SHIM_DMA.bd_stride, tiles.COLUMN_SHIFT
TOKEN = SHIM_QUEUE.field("enable_token_issue").place(1)
REPEAT_SHIFT = SHIM_QUEUE.field("repeat_count").shift
ID_SHIFT = CHANNEL_CTRL.field("controller_id").shift
S2MM, MM2S = int(Direction.S2MM), int(Direction.MM2S)

BLOCK_OP, PATCH_OP, SET_ID_OP, WRITE_OP, TCT_OP = np.cumsum(
    [0, BLOCK_HEADER, PATCH_WORDS, MASK_WRITE_WORDS, WRITE_WORDS]
).tolist()
"""Where ops begin in `EMPTY`."""

EMPTY = np.array(
    [
        word
        for op in (
            txn.BlockWrite(0, ()),
            txn.DdrPatch(0, 0, 0),
            txn.MaskWrite(0, SHIM_CONTROLLER_ID << ID_SHIFT, CONTROLLER_ID_BITS << ID_SHIFT),
            txn.Write(0, 0),
            txn.Tct(0, SHIM_ROW, Direction.S2MM, 0, columns=0),
        )
        for word in op.to_words()
    ],
    np.uint32,
)
"""One of each op that a stream holds."""

CTRL, QUEUE = range(2)
CHANNELS = range(SHIM_DMA.s2mm_channels)
REGISTERS = np.array(
    [
        [[register(way, channel) for channel in CHANNELS] for way in Direction]
        for register in (SHIM_DMA.ctrl, SHIM_DMA.queue_address)
    ]
)
"""Offsets of a shim's channel registers: by CTRL or QUEUE, direction and channel."""


@inner
def write_op(words: Words, pen: Ints, op: int, size: int) -> int:
    """Write an empty op; return its first word."""
    at = pen[AT]
    for word in range(size):
        words[at + word] = EMPTY[op + word]
    pen[AT] = at + size
    pen[OPS] += 1
    return at


@inner
def open_bd(words: Words, pen: Ints, column: int, bd: int) -> int:
    """Make room for a BD, in the open block write if it goes on there; return its first word."""
    if bd != pen[FOLLOWING]:
        pen[HEAD] = write_op(words, pen, BLOCK_OP, BLOCK_HEADER)
        words[pen[HEAD] + ADDRESS] = bd_address(column, bd)
    at = pen[AT]
    pen[AT] = at + BD_WORDS
    pen[FOLLOWING] = bd + 1
    pen[BDS] += 1
    words[pen[HEAD] + BLOCK_BYTES] = (at + BD_WORDS - pen[HEAD]) * WORD_BYTES
    return at


@inner
def list_patch(pen: Ints, listed: Ints, bd: int, arg: int, offset: int) -> None:
    """List a patch: BD `bd` gets the address of byte `offset` of host buffer `arg`."""
    nth = pen[LISTED]
    listed[nth, LISTED_BD], listed[nth, LISTED_ARG], listed[nth, LISTED_OFFSET] = bd, arg, offset
    pen[LISTED] = nth + 1


@inner
def write_patches(words: Words, pen: Ints, listed: Ints, column: int) -> None:
    """Write the patches that are listed."""
    for nth in range(pen[LISTED]):
        at = write_op(words, pen, PATCH_OP, PATCH_WORDS)
        words[at + PATCHED] = bd_address(column, listed[nth, LISTED_BD]) + LOW * WORD_BYTES
        words[at + PATCH_ARG] = listed[nth, LISTED_ARG]
        words[at + PATCH_PLUS] = listed[nth, LISTED_OFFSET]
    pen[PATCHES] += pen[LISTED]
    pen[LISTED] = 0


@inner
def write_push(words: Words, pen: Ints, column: int, channel: int, way: int, value: int) -> None:
    """Push a task to a channel's queue."""
    at = write_op(words, pen, WRITE_OP, WRITE_WORDS)
    words[at + ADDRESS] = column << COLUMN_SHIFT | REGISTERS[QUEUE, way, channel]
    words[at + VALUE] = value
    pen[PUSHES] += 1


@inner
def write_set_id(words: Words, pen: Ints, column: int, channel: int, way: int) -> None:
    """Set the controller id that a channel's tokens carry."""
    at = write_op(words, pen, SET_ID_OP, MASK_WRITE_WORDS)
    words[at + ADDRESS] = column << COLUMN_SHIFT | REGISTERS[CTRL, way, channel]


@inner
def write_wait(words: Words, pen: Ints, first: int, columns: int, channel: int, way: int) -> None:
    """Await a token of a channel from each of some adjacent columns."""
    at = write_op(words, pen, TCT_OP, TCT_WORDS) + TCT_FIRST
    words[at] |= np.uint32(first << TCT_COLUMN | way << TCT_WAY)
    words[at + 1] |= np.uint32(columns << TCT_COLUMNS | channel << TCT_CHANNEL)
    pen[TOKENS] += columns


@inner
def bd_address(column: int, bd: int) -> int:
    """Register address of the first word of a shim BD."""
    return column << COLUMN_SHIFT | BD_BASE + bd * BD_STRIDE
