# SPDX-License-Identifier: Apache-2.0
"""Bitmaps in 64-row words, and where they hold blocks and progressions of rows.

For `bdgen.pack_best`. Whatever rows a pattern has, the rows at which it starts are the AND of the
bitmap shifted by each of them, 64 rows at a time.
"""

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import entry, inner
from bdgen.words import set_bits, trailing_zeros

Words = NDArray[np.uint64]
"""A bitmap in 64-row words, with one zero word behind the last."""


def to_words(mask: NDArray[np.bool_]) -> Words:
    """Pack a mask, one entry per row, into words."""
    words = np.zeros((len(mask) + 63) // 64 + 1, np.uint64)
    packed = np.packbits(mask, bitorder="little")
    words.view(np.uint8)[: len(packed)] = packed
    return words


@inner
def and_shifted(target: Words, words: Words, other: Words, shift: int) -> int:
    """Set `target` to the rows of `words` for which `other` has the row `shift` further on.

    `target` may not be `words` or `other`. Returns how many rows are left.
    """
    length = len(words) - 1
    skip = min(shift >> 6, length)
    bits = np.uint64(shift & 63)
    rest = np.uint64(63) - bits
    live = length - skip
    low, high = other[skip:], other[skip + 1 :]
    left = 0
    for at in range(live):
        value = words[at] & (low[at] >> bits | high[at] << np.uint64(1) << rest)
        target[at] = value
        left += set_bits(value)
    for at in range(live, length):
        target[at] = 0
    return left


def blocks(words: Words, run: int) -> Words:
    """Rows at which `run` rows of the bitmap follow each other."""
    found, spare = np.empty_like(words), np.zeros_like(words)
    _fill_windows(words, run, 1, found, spare)
    return found


def survey(words: Words, steps: NDArray[np.int64], longest: int) -> NDArray[np.int64]:
    """Count the progressions of 1 to `longest` rows for each step: (steps, longest)."""
    found = np.zeros((len(steps), longest), np.int64)
    found[:, 0] = np.bitwise_count(words).sum()
    _survey(words, steps, found, np.zeros_like(words), np.zeros_like(words))
    return found


@entry
def _survey(
    words: Words, steps: NDArray[np.int64], found: NDArray[np.int64], held: Words, spare: Words
) -> None:
    for nth in range(len(steps)):
        for word in range(len(words)):
            held[word] = words[word]
        for count in range(1, found.shape[1]):
            left = and_shifted(spare, held, words, steps[nth] * count)
            held, spare = spare, held
            found[nth, count] = left
            if left == 0:
                break


@inner
def is_set(words: Words, row: int) -> bool:
    """Whether the bitmap has a row; rows past its end are not set; `row` >= 0."""
    word = row >> 6
    return word < len(words) and (words[word] >> np.uint64(row & 63)) & np.uint64(1) != 0


@inner
def windows(words: Words, count: int, step: int, found: Words, spare: Words) -> None:
    """Fill `found` with the starts of `count` rows that are `step` apart, by doubling."""
    for word in range(len(words)):
        found[word] = words[word]
    held, other = found, spare
    have, left = 1, 1
    while have < count and left:
        more = min(have, count - have)
        left = and_shifted(other, held, held, step * more)
        held, other = other, held
        have += more
        if have >= count or not left:
            for word in range(len(words)):
                found[word] = held[word]


@inner
def list_rows(words: Words, rows: NDArray[np.int32]) -> int:
    """Write the rows of a bitmap, ascending; return how many."""
    made = 0
    for word in range(len(words)):
        bits = words[word]
        while bits:
            rows[made] = word * 64 + trailing_zeros(bits)
            made += 1
            bits &= bits - np.uint64(1)
    return made


@entry
def _fill_windows(words: Words, count: int, step: int, found: Words, spare: Words) -> None:
    windows(words, count, step, found, spare)
