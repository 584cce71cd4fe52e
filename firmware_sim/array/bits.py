# SPDX-License-Identifier: Apache-2.0
"""Register fields for compiled code: the tables of `aie2.registers` as constants, and a reader."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.registers import Layout
from firmware_sim.compiled import compiled


class Bits(NamedTuple):
    """Where a field lies: word, shift, mask, and the weight of its sign bit (0: unsigned)."""

    word: int
    shift: int
    mask: int
    sign: int

    def of(self, word: int) -> int:
        """Value of an unsigned field in its word; for Python, where no table is at hand."""
        return word >> self.shift & self.mask


def bits(layout: Layout, name: str) -> Bits:
    """Field `name` of `layout`, as the compiled reader wants it."""
    field = layout.field(name)
    return Bits(field.word, field.shift, field.mask, (field.mask + 1) >> 1 if field.signed else 0)


@compiled
def wide(word: Any) -> int:
    """A register word as a signed 64-bit number, so that arithmetic on it is exact."""
    return np.int64(word)  # pyright: ignore[reportReturnType]


@compiled
def get(words: NDArray, field: Bits) -> int:
    """Value of `field` in the register words of one BD; signed where the field is."""
    value = (wide(words[field.word]) >> field.shift) & field.mask
    if field.sign and value & field.sign:
        value -= field.sign << 1
    return value


@compiled
def cut(word: int, field: Bits) -> int:
    """Value of an unsigned `field` in a one-word register."""
    return (wide(word) >> field.shift) & field.mask
