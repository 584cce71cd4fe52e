# SPDX-License-Identifier: Apache-2.0
"""The ops of an instruction stream (TXN): what each says, and its words in stream version 0.1.

Here are the ops that write registers and wait; `aie2.txn_rare_ops` has the others, `aie2.txn` reads
and writes whole streams. Facts: mlir-aie include/aie/Runtime/TxnEncoding.h (opcodes, layouts); for
what mlir-aie does not write, aie-rt driver/src/global/xaiegbl.h and aiebu
src/cpp/aiebu/src/preprocessor/aie2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import ClassVar, Self

from aie2.dma_registers import Direction
from aie2.fields import WORD_BYTES, WORD_MAX, Field, Layout

WRITE_WORDS = 6
MASK_WRITE_WORDS = 7
"""As mlir-aie writes it; aie-rt's struct is padded to 8."""
MASK_POLL_WORDS = 8
"""As aie-rt writes it."""
BLOCK_WRITE_HEADER_WORDS = 4
DDR_PATCH_WORDS = 12
DDR_PATCH_ARG_WORD = 8
DDR_PATCH_ARG_PLUS_WORD = 10
TCT_WORDS = 4
ADDRESS_WORD, BLOCK_BYTES_WORD, VALUE_WORD, MASK_WORD = 2, 3, 4, 5
"""Words of a write, block write, mask write or poll that hold what the names say."""
DDR_PATCH_ADDRESS_WORD = 6
"""Word of a DDR patch that holds the patched register's address."""


class Opcode(IntEnum):
    """What byte 0 of an op says; values from mlir-aie, not from the older numbering of aie-rt."""

    WRITE = 0
    BLOCKWRITE = 1
    BLOCKSET = 2
    MASKWRITE = 3
    MASKPOLL = 4
    NOOP = 5
    PREEMPT = 6
    MASKPOLL_BUSY = 7
    LOADPDI = 8
    LOAD_PM_START = 9
    CREATE_SCRATCHPAD = 10
    UPDATE_STATE_TABLE = 11
    UPDATE_REG = 12
    UPDATE_SCRATCH = 13
    CONFIG_SHIMDMA_BD = 14
    CONFIG_SHIMDMA_DMABUF_BD = 15
    TCT = 128
    DDR_PATCH = 129
    READ_REGS = 130
    RECORD_TIMER = 131
    MERGE_SYNC = 132
    CUSTOM_134 = 134
    LOAD_PM_END_INTERNAL = 200


def layout(name: str, *fields: tuple[int, str, int, int]) -> Layout:
    """A layout of packed words, from (word, field name, msb, lsb)."""
    words = 1 + max(word for word, *_ in fields)
    return Layout(name, words, tuple(Field(n, word, msb, lsb) for word, n, msb, lsb in fields))


TCT = layout(
    "TCT",
    (0, "direction", 7, 0),
    (0, "row", 15, 8),
    (0, "column", 23, 16),
    (1, "rows", 15, 8),
    (1, "columns", 23, 16),
    (1, "channel", 31, 24),
)


def split64(value: int) -> list[int]:
    """Low and high word of a 64-bit value; a value that does not fit gives an unfit high word."""
    return [value & WORD_MAX, value >> 32]


def padded(words: list[int], size_bytes: int, most_words: int) -> list[int]:
    """`words` with zeros after them up to a size, which `aie2.txn.encode` checks after it."""
    return words + [0] * (min(size_bytes // WORD_BYTES, most_words) - len(words))


def join64(words: Sequence[int]) -> int:
    """64-bit value of a low and a high word."""
    return words[0] | words[1] << 32


@dataclass(frozen=True, slots=True)
class Op:
    """One op of a stream. Padding that means nothing is written as zero and not kept in reading."""

    opcode: ClassVar[Opcode]

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """The op in `words`, which are all its words and have been checked by `aie2.txn`."""
        raise NotImplementedError

    def to_words(self) -> list[int]:
        """Words of the op; some may not fit 32 bits if a value is too large."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Write(Op):
    """Write a register."""

    opcode: ClassVar[Opcode] = Opcode.WRITE
    address: int
    value: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(words[2], words[4])

    def to_words(self) -> list[int]:
        """See `Op`."""
        return [self.opcode, 0, self.address, 0, self.value, WRITE_WORDS * WORD_BYTES]


@dataclass(frozen=True, slots=True)
class _Masked(Op):
    address: int
    value: int
    mask: int
    size_bytes: int = MASK_POLL_WORDS * WORD_BYTES

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(words[2], words[4], words[5], words[6])

    def to_words(self) -> list[int]:
        """See `Op`."""
        words = [self.opcode, 0, self.address, 0, self.value, self.mask, self.size_bytes]
        return padded(words, self.size_bytes, MASK_POLL_WORDS)


@dataclass(frozen=True, slots=True)
class MaskWrite(_Masked):
    """Write the bits of a register that are set in `mask`.

    `size_bytes` is 28, or 32 in streams from aie-rt.
    """

    opcode: ClassVar[Opcode] = Opcode.MASKWRITE
    size_bytes: int = MASK_WRITE_WORDS * WORD_BYTES


@dataclass(frozen=True, slots=True)
class MaskPoll(_Masked):
    """Wait until (register & mask) == value; `size_bytes` is 32, or 28."""

    opcode: ClassVar[Opcode] = Opcode.MASKPOLL


@dataclass(frozen=True, slots=True)
class MaskPollBusy(_Masked):
    """Like `MaskPoll`, without giving the controller up."""

    opcode: ClassVar[Opcode] = Opcode.MASKPOLL_BUSY


@dataclass(frozen=True, slots=True)
class BlockWrite(Op):
    """Write consecutive registers. `tile_word` repeats the tile (column | row << 8) or is 0."""

    opcode: ClassVar[Opcode] = Opcode.BLOCKWRITE
    address: int
    payload: tuple[int, ...]
    tile_word: int = 0

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(words[2], tuple(words[BLOCK_WRITE_HEADER_WORDS:]), words[1])

    def to_words(self) -> list[int]:
        """See `Op`."""
        size_bytes = (BLOCK_WRITE_HEADER_WORDS + len(self.payload)) * WORD_BYTES
        return [self.opcode, self.tile_word, self.address, size_bytes, *self.payload]


@dataclass(frozen=True, slots=True)
class Tct(Op):
    """Wait for one token from a channel of every tile in a rectangle, and take it."""

    opcode: ClassVar[Opcode] = Opcode.TCT
    column: int
    row: int
    direction: Direction
    channel: int
    columns: int = 1
    rows: int = 1

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        fields = TCT.decode(words[2:])
        return cls(
            fields["column"],
            fields["row"],
            Direction(fields["direction"]),
            fields["channel"],
            fields["columns"],
            fields["rows"],
        )

    def to_words(self) -> list[int]:
        """See `Op`."""
        where = TCT.encode(
            direction=self.direction,
            row=self.row,
            column=self.column,
            rows=self.rows,
            columns=self.columns,
            channel=self.channel,
        )
        return [self.opcode, TCT_WORDS * WORD_BYTES, *where.tolist()]


@dataclass(frozen=True, slots=True)
class DdrPatch(Op):
    """Set the address in a BD to that of host buffer `arg` plus `arg_plus` bytes.

    `address` is the BD's address word (BD + 4); buffers count from 0. `reserved` are the op's
    words 2 to 5, which stock firmware ignores and AMD's own files leave uninitialised.
    """

    opcode: ClassVar[Opcode] = Opcode.DDR_PATCH
    address: int
    arg: int
    arg_plus: int
    reserved: tuple[int, int, int, int] = (0, 0, 0, 0)

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        two, three, four, five = words[2:6]
        arg = join64(words[DDR_PATCH_ARG_WORD:DDR_PATCH_ARG_PLUS_WORD])
        arg_plus = join64(words[DDR_PATCH_ARG_PLUS_WORD:])
        return cls(words[6], arg, arg_plus, (two, three, four, five))

    def to_words(self) -> list[int]:
        """See `Op`."""
        size_bytes = DDR_PATCH_WORDS * WORD_BYTES
        where = [self.address, 0, *split64(self.arg), *split64(self.arg_plus)]
        return [self.opcode, size_bytes, *self.reserved, *where]
