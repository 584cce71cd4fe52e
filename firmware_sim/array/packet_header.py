# SPDX-License-Identifier: Apache-2.0
"""Stream words that steer: the odd parity that packet headers and control headers carry."""

from __future__ import annotations

from firmware_sim.array.bits import wide
from firmware_sim.compiled import compiled

PARITY_SHIFT = 31


@compiled
def ones_are_odd(word: int) -> bool:
    """Whether a word has an odd number of ones."""
    rest = wide(word)
    for shift in (16, 8, 4, 2, 1):
        rest ^= rest >> shift
    return rest & 1 == 1


@compiled
def with_parity(word: int) -> int:
    """The word with bit 31 chosen so that it has an odd number of ones."""
    return wide(word) if ones_are_odd(word) else wide(word) | 1 << PARITY_SHIFT
