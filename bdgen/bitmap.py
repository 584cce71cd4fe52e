# SPDX-License-Identifier: Apache-2.0
"""Row bitmaps: one bit per row of the weight matrix, the form a mask has between scan and runs.

Bit `i % 8` of byte `i // 8` is row i (numpy's little bit order). A bitmap is a 1-D uint8 array of
`bitmap_bytes(count)` bytes; the bits past the last row are zero.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import entry
from bdgen.errors import PlanError, describe
from bdgen.words import load_word, trailing_zeros

Bitmap = NDArray[np.uint8]


def bitmap_bytes(count: int) -> int:
    """Bytes of the bitmap of `count` rows."""
    return (count + 7) // 8


def check(bitmap: Bitmap, count: int) -> Bitmap:
    """Return `bitmap`, contiguous, if it is a bitmap of `count` rows; else raise PlanError."""
    if not isinstance(bitmap, np.ndarray) or bitmap.dtype != np.uint8 or bitmap.ndim != 1:
        raise PlanError(f"a bitmap is a 1-D uint8 array, not {describe(bitmap)}; use bitmap.pack")
    if count < 0:
        raise PlanError(f"a bitmap of {count} rows cannot be; give 0 or more")
    if len(bitmap) != bitmap_bytes(count):
        raise PlanError(
            f"a bitmap of {count} rows has {bitmap_bytes(count)} bytes, this one {len(bitmap)}; "
            "give the bitmap and the row count of the same matrix"
        )
    if count % 8 and bitmap[-1] >> count % 8:
        raise PlanError(f"the bitmap marks rows past the last of {count}; clear its unused bits")
    return np.ascontiguousarray(bitmap)


def pack(mask: NDArray[np.bool_]) -> Bitmap:
    """Pack a 1-D boolean mask, one entry per row; PlanError for any other array."""
    if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 1:
        raise PlanError(f"a mask is a 1-D bool array, not {describe(mask)}; use mask != 0")
    return np.packbits(mask, bitorder="little")


def unpack(bitmap: Bitmap, count: int) -> NDArray[np.bool_]:
    """Unpack to a boolean mask of `count` rows; PlanError if the bitmap is not one of `count`."""
    bits = np.unpackbits(check(bitmap, count), count=count, bitorder="little")
    return bits.view(np.bool_)


def popcount(bitmap: Bitmap) -> int:
    """Count the rows that a bitmap marks."""
    return int(np.bitwise_count(bitmap).sum(dtype=np.int64))


def rows(bitmap: Bitmap, count: int) -> NDArray[np.int64]:
    """List the marked rows, ascending; PlanError if the bitmap is not one of `count` rows."""
    bitmap = check(bitmap, count)
    marked = np.empty(popcount(bitmap), np.int64)
    _fill_rows(bitmap, marked)
    return marked


@entry
def _fill_rows(bitmap: NDArray[Any], marked: NDArray[Any]) -> None:
    """Write the index of each set bit, one `trailing_zeros` per row."""
    made = 0
    for word in range((len(bitmap) + 7) // 8):
        bits = load_word(bitmap, word)
        while bits:
            marked[made] = word * 64 + trailing_zeros(bits)
            made += 1
            bits &= bits - np.uint64(1)
