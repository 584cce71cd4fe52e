# SPDX-License-Identifier: Apache-2.0
"""Where each op of an instruction stream begins: the one check that every reader relies on.

`aie2.txn` calls it to decode, to index and to check what it has encoded. The table says how long
each op is in either stream version; an op that it does not list is refused.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aie2.errors import TxnError
from aie2.fields import WORD_BYTES
from aie2.txn_ops import (
    BLOCK_WRITE_HEADER_WORDS,
    DDR_PATCH_WORDS,
    MASK_POLL_WORDS,
    MASK_WRITE_WORDS,
    TCT_WORDS,
    WRITE_WORDS,
    BlockWrite,
    DdrPatch,
    MaskPoll,
    MaskPollBusy,
    MaskWrite,
    Op,
    Opcode,
    Tct,
    Write,
)
from aie2.txn_rare_ops import (
    CUSTOM_HEADER_WORDS,
    MERGE_SYNC_WORDS,
    CreateScratchpad,
    Custom134,
    LoadPdi,
    LoadPmStart,
    MergeSync,
    Noop,
    Preempt,
    ReadRegs,
    RecordTimer,
    UpdateReg,
)

HEADER_WORDS = 4
ANY = 1 << 30
"""Upper limit of an op that may have any number of words."""
NONE = 0
"""No such word: word 0 is always the opcode."""


@dataclass(frozen=True, slots=True)
class OpSpec:
    """How long an op is, and which of its words are checked."""

    op: type[Op]
    least_words: int
    most_words: int
    size_word: int = NONE
    """Word that states the op's size in bytes."""
    high_word: int = NONE
    """Upper half of a register address, which must be 0."""
    step_words: int = 1
    """From one permitted number of words to the next."""

    @property
    def opcode(self) -> Opcode:
        """Opcode of the op."""
        return self.op.opcode

    @property
    def doc(self) -> str:
        """What the op does, in a sentence."""
        return (self.op.__doc__ or "").partition("\n")[0]


_UNSIZED = (
    OpSpec(Noop, 1, 1),
    OpSpec(Preempt, 1, 1),
    OpSpec(LoadPdi, 4, 4),
    OpSpec(LoadPmStart, 2, 2),
    OpSpec(CreateScratchpad, 4, 4),
    OpSpec(UpdateReg, 3, 3),
)
_CUSTOM = (
    OpSpec(Tct, TCT_WORDS, TCT_WORDS, size_word=1),
    OpSpec(ReadRegs, 4, ANY, size_word=1, step_words=2),
    OpSpec(RecordTimer, 3, 3, size_word=1),
    OpSpec(MergeSync, MERGE_SYNC_WORDS, MERGE_SYNC_WORDS + 1, size_word=1),
    OpSpec(Custom134, CUSTOM_HEADER_WORDS, ANY, size_word=1),
)

SPECS = (
    OpSpec(Write, WRITE_WORDS, WRITE_WORDS, size_word=5, high_word=3),
    OpSpec(BlockWrite, BLOCK_WRITE_HEADER_WORDS, ANY, size_word=3),
    OpSpec(MaskWrite, MASK_WRITE_WORDS, MASK_POLL_WORDS, size_word=6, high_word=3),
    OpSpec(MaskPoll, MASK_WRITE_WORDS, MASK_POLL_WORDS, size_word=6, high_word=3),
    OpSpec(MaskPollBusy, MASK_WRITE_WORDS, MASK_POLL_WORDS, size_word=6, high_word=3),
    *_UNSIZED,
    *_CUSTOM,
    OpSpec(DdrPatch, DDR_PATCH_WORDS, DDR_PATCH_WORDS, size_word=1, high_word=7),
)
"""The ops of stream version 0.1."""

DDR_PATCH_WORDS_V1 = 6
"""Words of aie-rt's short DDR patch; aiebu reads the long one in version 1.0 too."""

SPECS_V1 = (
    OpSpec(Write, 3, 3),
    OpSpec(BlockWrite, 3, ANY, size_word=2),
    OpSpec(MaskWrite, 4, 4),
    OpSpec(MaskPoll, 4, 4),
    OpSpec(MaskPollBusy, 4, 4),
    *_UNSIZED,
    *_CUSTOM,
    OpSpec(
        DdrPatch,
        DDR_PATCH_WORDS_V1,
        DDR_PATCH_WORDS,
        size_word=1,
        step_words=DDR_PATCH_WORDS - DDR_PATCH_WORDS_V1,
    ),
)
"""The ops of stream version 1.0 (aie-rt's `_opt` structs)."""

LEAST, MOST, STEP, SIZE_WORD, HIGH_WORD = range(5)
Rules = NDArray[np.int64]


def rules(specs: tuple[OpSpec, ...]) -> Rules:
    """`specs` as the walk wants them: (256 opcodes, 5 numbers), zero where there is no such op."""
    table = np.zeros((256, 5), np.int64)
    for spec in specs:
        lengths = (spec.least_words, spec.most_words, spec.step_words)
        table[spec.opcode] = (*lengths, spec.size_word, spec.high_word)
    return table


FINE, UNKNOWN, TRUNCATED, SIZE, WIDE, DIRECTION, NO_TILES, COUNT, TOO_FEW, LEFT_OVER = range(10)
"""What the walk found."""

_TCT, _READ_REGS = int(Opcode.TCT), int(Opcode.READ_REGS)
_READ_REGS_HEADER_WORDS = 4


@njit(cache=True)
def _word(words: NDArray[np.uint32], at: int) -> int:
    return int(np.int64(words[at]))


@njit(cache=True)
def _walk(
    words: NDArray[np.uint32],
    table: Rules,
    opcodes: NDArray[np.uint8],
    offsets: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Fill `opcodes` and `offsets`; returns (what, op, word at which it begins, value to blame)."""
    at, end = HEADER_WORDS, int(words.size)
    for op in range(opcodes.size):
        if at == end:
            return TOO_FEW, op, at, 0
        opcode = _word(words, at) & 0xFF
        least, size_word = int(table[opcode, LEAST]), int(table[opcode, SIZE_WORD])
        if least == 0:
            return UNKNOWN, op, at, opcode
        if at + least > end:
            return TRUNCATED, op, at, least
        length = least
        if size_word != NONE:
            size_bytes = _word(words, at + size_word)
            length = size_bytes // WORD_BYTES
            step_bytes = WORD_BYTES * int(table[opcode, STEP])
            if (size_bytes - WORD_BYTES * least) % step_bytes:
                return SIZE, op, at, size_bytes
            if not least <= length <= table[opcode, MOST]:
                return SIZE, op, at, size_bytes
            if at + length > end:
                return TRUNCATED, op, at, length
        high_word = int(table[opcode, HIGH_WORD])
        if high_word != NONE and words[at + high_word]:
            return WIDE, op, at, _word(words, at + high_word)
        if opcode == _TCT and _word(words, at + 2) & 0xFF > 1:
            return DIRECTION, op, at, _word(words, at + 2) & 0xFF
        if opcode == _TCT and not (_word(words, at + 3) >> 8 & 0xFF) * (
            _word(words, at + 3) >> 16 & 0xFF
        ):
            return NO_TILES, op, at, 0
        if opcode == _READ_REGS:
            count = _word(words, at + 2)
            if length != _READ_REGS_HEADER_WORDS + 2 * count:
                return COUNT, op, at, count
        opcodes[op], offsets[op] = opcode, at
        at += length
    return (FINE if at == end else LEFT_OVER), opcodes.size, at, 0


def walk(
    words: NDArray[np.uint32], table: Rules, ops: int
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Opcode and first word of each of the `ops` ops that follow the header in `words`.

    Raises:
        TxnError: an op that is not known, does not fit or contradicts itself; another number of
            ops than `ops`.
    """
    if ops > max(words.size - HEADER_WORDS, 0):
        raise TxnError(
            f"TXN header at byte 8 states {ops} ops, more than the stream has words; the stream "
            "is truncated or corrupt",
            8,
        )
    opcodes, offsets = np.empty(ops, np.uint8), np.empty(ops, np.int64)
    what, op, at, value = _walk(words, table, opcodes, offsets)
    if what != FINE:
        raise _error(int(what), int(op), int(at), int(value), words, table)
    return opcodes, offsets


_SENTENCES = {
    UNKNOWN: "{name} (0x{value:02x}) is not an op that can be read here",
    TRUNCATED: "{name} needs {needed} bytes and {left} are left; the stream is truncated",
    SIZE: "{name} states a size of {value} bytes; it can be {sizes}",
    WIDE: "{name} has a register address of more than 32 bits, 0x{value:x} in the upper half",
    DIRECTION: "{name} waits for direction {value}; it can be 0 (S2MM) or 1 (MM2S)",
    NO_TILES: "{name} waits for a rectangle of no tiles; give at least one row and column",
    COUNT: "{name} states {value} addresses, which its size does not agree with",
    TOO_FEW: "the stream ends here, but its header states more ops",
    LEFT_OVER: "{left} bytes are left after the last op that the header states",
}
"""What to say of each finding."""


def _error(
    what: int, op: int, at: int, value: int, words: NDArray[np.uint32], table: Rules
) -> TxnError:
    """The exception for what `_walk` returned."""
    offset = at * WORD_BYTES
    left_bytes = words.nbytes - offset
    opcode = int(words[at]) & 0xFF if left_bytes else 0
    sentence = _SENTENCES[what].format(
        name=_name(opcode),
        value=value,
        needed=value * WORD_BYTES,
        left=left_bytes,
        sizes=_sizes(table[opcode]),
    )
    return TxnError(f"TXN op {op} at byte {offset}: {sentence}", offset, op)


def _name(opcode: int) -> str:
    known = opcode in Opcode.__members__.values()
    return Opcode(opcode).name if known else f"opcode {opcode}"


def _sizes(limits: NDArray[np.int64]) -> str:
    least, most, step = (int(limits[column]) * WORD_BYTES for column in (LEAST, MOST, STEP))
    if least == most:
        return f"{least}"
    upper = "or more" if most == ANY * WORD_BYTES else f"to {most}"
    return f"{least} {upper} in steps of {step}"
