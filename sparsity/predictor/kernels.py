# SPDX-License-Identifier: Apache-2.0
"""XOR and popcount over a layer's sign bits, compiled: what `predict` calls for every token.

The limit is reading the sign words once; a layer of 7B has 5.4 MiB of them. A row's words are
counted against every plane of the input while they are in the first cache. Rows are shared out over
numba's threads.
"""

from typing import Any

import numba
import numba.extending
import numpy as np
from numba import prange, types
from numpy.typing import NDArray

_intrinsic: Any = numba.extending.intrinsic  # Any: callers leave out the typing context
_njit: Any = numba.njit

ROWS_AT_ONCE = 128
"""Rows that one thread takes together."""
_LOW_BITS = np.uint64(0x0101010101010101)
_GATHER = np.uint64(0x0102040810204080)


@_intrinsic
def set_bits(_context: Any, word: Any) -> Any:
    """Count the set bits of a uint64; vectors of them where the processor can."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@_njit(nogil=True, inline="always")
def _minus(signs: Any, row: Any, planes: Any) -> Any:
    """Sum of the magnitudes' planes that are negative after the product, weighted by plane.

    Four planes go together as long as there are four: one sum over a vector's lanes, not four.
    """
    minus, plane = np.int64(0), 0
    while plane + 4 <= planes.shape[0]:
        count = np.int64(0)
        for word in range(planes.shape[1]):
            sign = signs[row, word]
            count += set_bits(sign ^ planes[plane, word])
            count += set_bits(sign ^ planes[plane + 1, word]) << 1
            count += set_bits(sign ^ planes[plane + 2, word]) << 2
            count += set_bits(sign ^ planes[plane + 3, word]) << 3
        minus += count << plane
        plane += 4
    while plane < planes.shape[0]:
        count = np.int64(0)
        for word in range(planes.shape[1]):
            count += set_bits(signs[row, word] ^ planes[plane, word])
        minus += count << plane
        plane += 1
    return minus


@_njit(nogil=True, parallel=True, cache=True)
def minus_counts(signs: NDArray[Any], planes: NDArray[Any], out: NDArray[Any]) -> None:
    """Fill `out` [rows] with sums over planes of 2**plane times the number of minus signs.

    Args:
        signs: uint64 [rows, words].
        planes: uint64 [planes, words].
        out: int64 [rows].
    """
    for block in prange((len(out) + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        for row in range(block * ROWS_AT_ONCE, min((block + 1) * ROWS_AT_ONCE, len(out))):
            out[row] = _minus(signs, row, planes)


@_njit(nogil=True, parallel=True, cache=True)
def skip_flags(signs: NDArray[Any], planes: NDArray[Any], limit: int, out: NDArray[Any]) -> None:
    """Set `out` [rows] where `_minus` is more than `limit`; bool."""
    for block in prange((len(out) + ROWS_AT_ONCE - 1) // ROWS_AT_ONCE):
        for row in range(block * ROWS_AT_ONCE, min((block + 1) * ROWS_AT_ONCE, len(out))):
            out[row] = _minus(signs, row, planes) > limit


@_njit(nogil=True, cache=True, fastmath={"reassoc", "nsz"})
def mean_square(x: NDArray[Any]) -> float:
    """Mean of the squares of one token's input, float32 or float64 [width], in float64."""
    total = 0.0
    for value in x:
        total += np.float64(value) * np.float64(value)
    return total / len(x)


@_njit(nogil=True, cache=True)
def pack_levels(x: NDArray[Any], step: float, levels: NDArray[Any], words: NDArray[Any]) -> Any:
    """Quantise one token's input to bit planes, as `planes.quantise` does.

    Args:
        x: float32 or float64 [width], finite.
        step: of the quantiser.
        levels: uint8 [64 * words], written.
        words: uint64 [planes, words], written.

    Returns:
        The sum of the magnitudes.
    """
    half = 1 << (words.shape[0] - 1)
    total = np.int64(0)
    for place in range(len(x)):
        value = np.float64(x[place])
        cell = min(max(np.floor(value / step), np.float64(-half)), np.float64(half - 1))
        level = min(np.int32(cell), np.int32(-1 if value < 0 else half - 1))
        levels[place] = level + half
        total += abs(2 * level + 1)
    levels[len(x) :] = 255
    eights = levels.view(np.uint64)
    for plane in range(words.shape[0]):
        for word in range(words.shape[1]):
            bits = np.uint64(0)
            for byte in range(8):
                # The lowest bits of eight bytes to the eight bits of one, the first to the lowest.
                ones = ~eights[8 * word + byte] >> np.uint64(plane) & _LOW_BITS
                bits |= (ones * _GATHER >> np.uint64(56)) << np.uint64(8 * byte)
            words[plane, word] = bits
    return total


@_njit(nogil=True, cache=True)
def pack_minus(x: NDArray[Any], words: NDArray[Any]) -> bool:
    """Pack one token's signs into uint64 `words`; return whether all values are finite."""
    finite = True
    for word in range(len(words)):
        first = word * 64
        bits = np.uint64(0)
        for place in range(first, min(first + 64, len(x))):
            bits |= np.uint64(x[place] < 0) << np.uint64(place - first)
            finite &= abs(x[place]) < np.inf
        words[word] = bits
    return finite
