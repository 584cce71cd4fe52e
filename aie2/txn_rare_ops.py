# SPDX-License-Identifier: Apache-2.0
"""The ops of an instruction stream that neither write registers nor wait for tokens.

No gather needs them; they are read so that any stream of mlir-aie or AMD can be. One of mlir-aie's
is written as it was; AMD's have words that nobody set, which are written as zeros. Facts: as in
`aie2.txn_ops`; LOAD_PM_START, READ_REGS, RECORD_TIMER and MERGE_SYNC are aiebu's, the longer
MERGE_SYNC and CUSTOM_134 are in streams of AMD's overlays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

from aie2.fields import WORD_BYTES
from aie2.txn_ops import Op, Opcode, join64, layout, padded, split64

PREEMPT = layout("PREEMPT", (0, "opcode", 7, 0), (0, "level", 15, 8))
LOADPDI = layout("LOADPDI", (0, "opcode", 7, 0), (0, "pdi_id", 31, 16), (1, "size_bytes", 31, 0))
LOAD_PM_START = layout(
    "LOAD_PM_START", (0, "opcode", 7, 0), (0, "count", 31, 8), (1, "load_id", 31, 0)
)
CREATE_SCRATCHPAD = layout(
    "CREATE_SCRATCHPAD", (0, "opcode", 7, 0), (0, "usage", 15, 8), (1, "size_bytes", 31, 0)
)
UPDATE_REG = layout(
    "UPDATE_REG",
    (0, "opcode", 7, 0),
    (0, "index", 15, 8),
    (0, "function", 23, 16),
    (1, "argument", 31, 0),
    (2, "address", 31, 0),
)
MERGE_SYNC = layout("MERGE_SYNC", (0, "tokens", 7, 0), (0, "columns", 15, 8))
MERGE_SYNC_WORDS = 3
"""As aiebu writes it; AMD's overlays have one padded to 4."""
CUSTOM_HEADER_WORDS = 2
"""Opcode and size of an op that is known by nothing else."""


@dataclass(frozen=True, slots=True)
class Noop(Op):
    """Nothing."""

    opcode: ClassVar[Opcode] = Opcode.NOOP

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls()

    def to_words(self) -> list[int]:
        """See `Op`."""
        return [self.opcode]


@dataclass(frozen=True, slots=True)
class Preempt(Op):
    """A point at which the context may be switched; level 0 none .. 3 AIE registers."""

    opcode: ClassVar[Opcode] = Opcode.PREEMPT
    level: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(PREEMPT.decode(words)["level"])

    def to_words(self) -> list[int]:
        """See `Op`."""
        return PREEMPT.encode(opcode=self.opcode, level=self.level).tolist()


@dataclass(frozen=True, slots=True)
class LoadPdi(Op):
    """Load a device image of `size` bytes at a host address."""

    opcode: ClassVar[Opcode] = Opcode.LOADPDI
    pdi_id: int
    size: int
    address: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        fields = LOADPDI.decode(words[:2])
        return cls(fields["pdi_id"], fields["size_bytes"], join64(words[2:]))

    def to_words(self) -> list[int]:
        """See `Op`."""
        head = LOADPDI.encode(opcode=self.opcode, pdi_id=self.pdi_id, size_bytes=self.size)
        return head.tolist() + split64(self.address)


@dataclass(frozen=True, slots=True)
class LoadPmStart(Op):
    """Start loading program memory: the next `count` ops belong to load `load_id` (aiebu only)."""

    opcode: ClassVar[Opcode] = Opcode.LOAD_PM_START
    count: int
    load_id: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        fields = LOAD_PM_START.decode(words)
        return cls(fields["count"], fields["load_id"])

    def to_words(self) -> list[int]:
        """See `Op`."""
        return LOAD_PM_START.encode(
            opcode=self.opcode, count=self.count, load_id=self.load_id
        ).tolist()


@dataclass(frozen=True, slots=True)
class CreateScratchpad(Op):
    """Set up the controller's scratchpad of `size` bytes (full ELF only)."""

    opcode: ClassVar[Opcode] = Opcode.CREATE_SCRATCHPAD
    usage: int
    size: int
    address: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        fields = CREATE_SCRATCHPAD.decode(words[:2])
        return cls(fields["usage"], fields["size_bytes"], join64(words[2:]))

    def to_words(self) -> list[int]:
        """See `Op`."""
        head = CREATE_SCRATCHPAD.encode(opcode=self.opcode, usage=self.usage, size_bytes=self.size)
        return head.tolist() + split64(self.address)


@dataclass(frozen=True, slots=True)
class UpdateReg(Op):
    """Add `function`(state table[index], argument) to a BD's address words (full ELF only)."""

    opcode: ClassVar[Opcode] = Opcode.UPDATE_REG
    index: int
    function: int
    argument: int
    address: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        fields = UPDATE_REG.decode(words)
        return cls(fields["index"], fields["function"], fields["argument"], fields["address"])

    def to_words(self) -> list[int]:
        """See `Op`."""
        return UPDATE_REG.encode(
            opcode=self.opcode,
            index=self.index,
            function=self.function,
            argument=self.argument,
            address=self.address,
        ).tolist()


@dataclass(frozen=True, slots=True)
class ReadRegs(Op):
    """Read registers for the host's debugger; addresses have 64 bits."""

    opcode: ClassVar[Opcode] = Opcode.READ_REGS
    addresses: tuple[int, ...]

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(tuple(join64(words[at : at + 2]) for at in range(4, len(words), 2)))

    def to_words(self) -> list[int]:
        """See `Op`."""
        pairs = [word for address in self.addresses for word in split64(address)]
        return [self.opcode, (4 + len(pairs)) * WORD_BYTES, len(self.addresses), 0, *pairs]


@dataclass(frozen=True, slots=True)
class RecordTimer(Op):
    """Record the time under an id."""

    opcode: ClassVar[Opcode] = Opcode.RECORD_TIMER
    timer_id: int

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(words[2])

    def to_words(self) -> list[int]:
        """See `Op`."""
        return [self.opcode, 3 * WORD_BYTES, self.timer_id]


@dataclass(frozen=True, slots=True)
class MergeSync(Op):
    """Wait for `tokens` tokens from each of `columns` columns.

    `size_bytes` is 12, or 16 in streams of AMD's overlays.
    """

    opcode: ClassVar[Opcode] = Opcode.MERGE_SYNC
    tokens: int
    columns: int
    size_bytes: int = MERGE_SYNC_WORDS * WORD_BYTES

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(**MERGE_SYNC.decode(words[2:MERGE_SYNC_WORDS]), size_bytes=words[1])

    def to_words(self) -> list[int]:
        """See `Op`."""
        counts = MERGE_SYNC.encode(tokens=self.tokens, columns=self.columns)
        words = [self.opcode, self.size_bytes, *counts.tolist()]
        return padded(words, self.size_bytes, MERGE_SYNC_WORDS + 1)


@dataclass(frozen=True, slots=True)
class Custom134(Op):
    """Nobody has published what; its size is known, so it can be stepped over.

    AMD's overlays number theirs from 0 and put one between phases, like a RECORD_TIMER.
    """

    opcode: ClassVar[Opcode] = Opcode.CUSTOM_134
    payload: tuple[int, ...]

    @classmethod
    def from_words(cls, words: Sequence[int]) -> Self:
        """See `Op`."""
        return cls(tuple(words[CUSTOM_HEADER_WORDS:]))

    def to_words(self) -> list[int]:
        """See `Op`."""
        size_bytes = (CUSTOM_HEADER_WORDS + len(self.payload)) * WORD_BYTES
        return [self.opcode, size_bytes, *self.payload]
