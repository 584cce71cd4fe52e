# SPDX-License-Identifier: Apache-2.0
"""What a register field is: a place and a range, from which words are packed and unpacked.

`aie2.bd_registers`, `aie2.dma_registers` and `aie2.switch_registers` are tables of these; packed
words of an instruction stream are described by them too.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import SupportsIndex

import numpy as np
from numpy.typing import NDArray

from aie2.errors import RegisterError

WORD_BYTES = 4
WORD_MAX = 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Field:
    """Bits [msb:lsb] of word `word` of a register group; values are as the register holds them."""

    name: str
    word: int
    msb: int
    lsb: int
    signed: bool = False
    """Two's complement."""
    unit: str = ""
    """Unit of the value, where it has one."""
    bias: int = 0
    """What the actual value has over the stored one: 1 where the register holds actual - 1."""
    source: str = ""
    """Where the fact comes from, if not from where its layout does."""

    @property
    def width(self) -> int:
        """Number of bits."""
        return self.msb - self.lsb + 1

    @property
    def shift(self) -> int:
        """Bits to the right of the field."""
        return self.lsb

    @property
    def mask(self) -> int:
        """`width` one bits, not shifted."""
        return (1 << self.width) - 1

    @property
    def min(self) -> int:
        """Least value that the field holds."""
        return -(1 << self.width - 1) if self.signed else 0

    @property
    def max(self) -> int:
        """Greatest value that the field holds."""
        return self.mask >> 1 if self.signed else self.mask

    def place(self, value: int) -> int:
        """`value` shifted to where the field lies in its word; RegisterError if it does not fit."""
        if not self.min <= value <= self.max:
            raise RegisterError(
                f"{self.name} is {value}: its {self.width} bits hold {self.min} to {self.max}"
            )
        return (value & self.mask) << self.lsb

    def take(self, word: int) -> int:
        """Value of the field in its word."""
        value = word >> self.lsb & self.mask
        return value - (1 << self.width) if value > self.max else value


@dataclass(frozen=True)
class Layout:
    """The fields of a group of consecutive 32-bit registers, such as a BD."""

    name: str
    words: int
    fields: tuple[Field, ...]
    source: str = ""
    """Where the table comes from."""
    _by_name: dict[str, Field] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {entry.name: entry for entry in self.fields})

    def field(self, name: str) -> Field:
        """The field called `name`; RegisterError if there is none."""
        if name not in self._by_name:
            raise RegisterError(
                f"{self.name} has no field {name!r}: it has {', '.join(self._by_name)}"
            )
        return self._by_name[name]

    def encode(self, **raw_values: SupportsIndex) -> NDArray[np.uint32]:
        """Register words with these field values, all other fields zero.

        Values are as the register holds them: steps and iteration wraps are actual - 1.

        Returns:
            uint32 array of `words` elements.

        Raises:
            RegisterError: no such field, or a value that its bits cannot hold.
        """
        words = [0] * self.words
        for name, value in raw_values.items():
            entry = self.field(name)
            words[entry.word] |= entry.place(operator.index(value))
        return np.array(words, np.uint32)

    def decode(self, words: Iterable[SupportsIndex]) -> dict[str, int]:
        """Field values, as the register holds them, of exactly `words` 32-bit words.

        Raises:
            RegisterError: another number of words, or one that has more than 32 bits.
        """
        values = [operator.index(word) for word in words]
        if len(values) != self.words:
            raise RegisterError(f"{self.name} has {self.words} words, not {len(values)}")
        for value in values:
            if not 0 <= value <= WORD_MAX:
                raise RegisterError(f"{self.name}: {value:#x} is not a 32-bit word")
        return {entry.name: entry.take(values[entry.word]) for entry in self.fields}
