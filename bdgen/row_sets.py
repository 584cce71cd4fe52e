# SPDX-License-Identifier: Apache-2.0
"""Sets of rows as words of 64, for `bdgen.large_lattices`; for compiled code only.

Every set has an empty word after its last row.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import counted, inner
from bdgen.words import set_bits, trailing_zeros

Bits = NDArray[np.uint64]


@counted
def conjoin(into: Bits, bits: Bits, shift: int) -> bool:
    """Keep the rows of `into` whose `shift`th next row is in `bits`; whether any is left."""
    bit = np.uint64(shift & 63)
    low, high = bits[shift >> 6 :], bits[(shift >> 6) + 1 :]
    some = np.uint64(0)
    for at in range(len(high)):
        into[at] &= low[at] >> bit | high[at] << np.uint64(1) << (np.uint64(63) - bit)
        some |= into[at]
    into[len(high) :] = 0
    return some != 0


@counted
def size(bits: Bits) -> int:
    """How many rows a set has."""
    rows = 0
    for word in bits:
        rows += set_bits(word)
    return rows


@counted
def listed(bits: Bits, into: Any) -> int:
    """List the rows of a set, ascending, in `into`; return how many."""
    rows = 0
    for at in range(len(bits)):
        word = bits[at]
        while word:
            into[rows] = at * 64 + trailing_zeros(word)
            word &= word - np.uint64(1)
            rows += 1
    return rows


@inner
def has(bits: Bits, row: int) -> bool:
    """Whether a row, which may be one that no set has, is in a set."""
    if row < 0 or row >= 64 * len(bits):
        return False
    return (bits[row >> 6] >> np.uint64(row & 63)) & np.uint64(1) != 0


@inner
def times_in_steps(bits: Bits, first: int, step: int, most: int) -> int:
    """How many rows `step` apart a set has from `first` on: from 2, not asked for, to `most`."""
    times = 2
    while times < most and has(bits, first + times * step):
        times += 1
    return times


@inner
def put(bits: Bits, row: int, value: bool) -> None:
    """Put a row into a set, or take it out."""
    one = np.uint64(1) << np.uint64(row & 63)
    bits[row >> 6] = bits[row >> 6] | one if value else bits[row >> 6] & ~one
