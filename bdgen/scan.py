# SPDX-License-Identifier: Apache-2.0
"""Activation vector to row bitmap: which rows of the weight matrix the vector needs.

First step of bdgen; `bdgen.bitmap` and `bdgen.runs` follow. Floats are compared as integers, by
their bits less the sign, which order as magnitudes do: so -0.0 is zero, NaN is above infinity,
thresholds are exact and no float16 arithmetic is needed. A test of all bits against 0 would take
-0.0 for a wanted row, and `relu(gate) * up` is -0.0 in half of the rows it does not need.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from bdgen.bitmap import Bitmap, bitmap_bytes
from bdgen.errors import PlanError, describe
from bdgen.lanes import pack_integers, pack_magnitudes, pack_nibbles

ElementName = Literal["bf16", "fp16", "fp32", "int8", "int4"]


@dataclass(frozen=True, slots=True)
class Element:
    """An activation's element type.

    `word` is what the compiled loop `pack` loads, and holds `per_word` elements; `array` is the
    numpy type that says by itself that it holds these elements, where there is one.
    """

    name: ElementName
    bits: int
    word: np.dtype
    per_word: int
    array: np.dtype | None
    pack: Callable[[NDArray[Any], int, int, Bitmap], bool]


_UINT8, _INT8 = np.dtype(np.uint8), np.dtype(np.int8)
_UINT16, _FLOAT16 = np.dtype(np.uint16), np.dtype(np.float16)
_UINT32, _FLOAT32 = np.dtype(np.uint32), np.dtype(np.float32)

ELEMENTS: dict[str, Element] = {
    element.name: element
    for element in (
        Element("bf16", 16, _UINT16, 1, None, pack_magnitudes),
        Element("fp16", 16, _UINT16, 1, _FLOAT16, pack_magnitudes),
        Element("fp32", 32, _UINT32, 1, _FLOAT32, pack_magnitudes),
        Element("int8", 8, _INT8, 1, _INT8, pack_integers),
        Element("int4", 4, _UINT8, 2, None, pack_nibbles),
    )
}
"""Element types by name. int4 is two's complement, two to a byte, the low nibble first."""

_BY_ARRAY = {(element.word, element.name): element for element in ELEMENTS.values()} | {
    (element.array, name): element
    for element in ELEMENTS.values()
    if element.array is not None
    for name in (None, element.name)
}


def scan(
    values: NDArray[Any],
    *,
    dtype: ElementName | None = None,
    threshold: float = 0.0,
    count: int | None = None,
    out: Bitmap | None = None,
) -> Bitmap:
    """Mark the elements of a 1-D activation vector that are at least `threshold` in magnitude.

    With threshold 0 every element but 0.0 and -0.0 is marked. NaN is always marked, infinities
    and denormals like any other value. float16, float32 and int8 arrays say their type; uint16
    needs `dtype` "bf16" or "fp16", uint8 (int4 pairs) needs "int4", and there `count` drops the
    unused last nibble. A vector that is not contiguous is copied first.

    Returns a bitmap of one bit per element (see `bdgen.bitmap`), in `out` where given. PlanError
    for any other array, a negative or NaN threshold, or an `out` that does not fit.
    """
    try:
        element = _BY_ARRAY[values.dtype, dtype]
    except (AttributeError, KeyError, TypeError):
        raise PlanError(_unknown(values, dtype)) from None
    if values.ndim != 1 or not values.flags.c_contiguous:
        values = _contiguous(values)
    try:
        limit = _known_limit(element.name, threshold)
    except TypeError:  # no key for the cache, so perhaps no number
        limit = magnitude_limit(element.name, threshold)
    if values.dtype is not element.word:
        values = values.view(element.word)
    length = len(values) * element.per_word
    if count is not None and count != length:
        length = _without_last_nibble(length, count, element)
    if out is None:
        out = np.empty(bitmap_bytes(length), np.uint8)
    elif not _fits(out, length):
        raise PlanError(
            f"out is {describe(out)} that cannot take the bitmap of {length} elements; give a "
            f"writable, contiguous uint8 array of {bitmap_bytes(length)} bytes"
        )
    if not element.pack(values, length, limit, out):
        raise PlanError("out shares memory with the activation vector; give it its own array")
    return out


class Scanner:
    """Scans vector after vector of one length into one bitmap.

    As `scan`, whose checks are made once for each kind of array that comes: a vector like the one
    before takes little more than the compiled loop.
    """

    def __init__(
        self, count: int, *, dtype: ElementName | None = None, threshold: float = 0.0
    ) -> None:
        self.count, self.threshold = count, threshold
        self.dtype: ElementName | None = dtype
        self.bitmap: Bitmap = np.empty(bitmap_bytes(count), np.uint8)
        """The bitmap of the last vector."""
        self._like: tuple[np.dtype, tuple[int, ...]] | None = None
        self._element = ELEMENTS["fp16"]
        self._limit = 1

    def __call__(self, values: NDArray[Any]) -> Bitmap:
        """Mark the elements of a vector in `bitmap`, and return it; PlanError as `scan` has it."""
        if type(values) is not np.ndarray or self._like != (values.dtype, values.shape):
            return self._scan_first(values)
        if not values.flags.c_contiguous:
            return self._scan_first(values)
        element = self._element
        words = values if values.dtype is element.word else values.view(element.word)
        if not element.pack(words, self.count, self._limit, self.bitmap):
            return self._scan_first(values)
        return self.bitmap

    def _scan_first(self, values: NDArray[Any]) -> Bitmap:
        """Scan a vector with all checks, and remember its kind."""
        self._like = None
        scan(values, dtype=self.dtype, threshold=self.threshold, count=self.count, out=self.bitmap)
        self._element = _BY_ARRAY[values.dtype, self.dtype]
        self._limit = magnitude_limit(self._element.name, self.threshold)
        self._like = values.dtype, values.shape
        return self.bitmap


def magnitude_limit(dtype: ElementName, threshold: float) -> int:
    """Smallest magnitude that counts, at least 1: a bit pattern (floats) or an integer.

    Exact: the least one whose value is not below `threshold`; for integers at most one more than
    the largest magnitude, which nothing reaches. PlanError for a negative or NaN threshold.
    """
    if dtype not in ELEMENTS:
        raise PlanError(_unknown(None, dtype))
    try:
        limit = float(threshold)
    except (TypeError, ValueError, OverflowError):
        raise PlanError(f"threshold {threshold!r} is not a number; give 0 or more") from None
    if not limit >= 0:
        raise PlanError(f"threshold {threshold} is not a magnitude; give 0 or more")
    if dtype == "fp16":
        pattern = _round_up(limit, np.float16, np.uint16)
    elif dtype == "fp32":
        pattern = _round_up(limit, np.float32, np.uint32)
    elif dtype == "bf16":
        pattern = -(-_round_up(limit, np.float32, np.uint32) >> 16)  # upper half, rounded up
    else:
        pattern = math.ceil(min(limit, (1 << ELEMENTS[dtype].bits - 1) + 1))
    return max(pattern, 1)


_known_limit = lru_cache(maxsize=4096)(magnitude_limit)


def _round_up(value: float, kind: type, storage: type) -> int:
    """Bit pattern of the least `kind` that is not below `value`, which is not negative."""
    with np.errstate(over="ignore", under="ignore"):
        nearest = kind(value)
    return int(nearest.view(storage)) + (float(nearest) < value)


def _contiguous(values: NDArray[Any]) -> NDArray[Any]:
    """Copy a vector that is not contiguous; PlanError for more or fewer than 1 dimension."""
    if values.ndim != 1:
        raise PlanError(
            f"an activation vector has 1 dimension, not {values.ndim}; scan one token at a time"
        )
    return np.ascontiguousarray(values)


def _without_last_nibble(held: int, count: int, element: Element) -> int:
    """Return `held` - 1 if that is `count` and the last byte is half used; else PlanError."""
    if element.per_word == 2 and count == held - 1 and held > 0:
        return held - 1
    raise PlanError(
        f"count is {count}, but the vector holds {held} {element.name} elements; slice it"
    )


def _fits(out: Bitmap, count: int) -> bool:
    """Whether `out` can be written as the bitmap of `count` elements."""
    return (
        isinstance(out, np.ndarray)
        and out.dtype is _UINT8
        and out.shape == ((count + 7) // 8,)
        and out.flags.carray
    )


def _unknown(values: object, dtype: object) -> str:
    """Say why an array and a type name do not make an activation vector."""
    if dtype is None:
        return (
            f"{describe(values)} does not say what elements it holds; give a float16, float32 or "
            'int8 array, or bits with a dtype: uint16 with "bf16" or "fp16", uint8 with "int4"'
        )
    if not isinstance(dtype, str) or dtype not in ELEMENTS:
        return f"element type {dtype!r} is unknown; give one of {', '.join(ELEMENTS)}"
    element = ELEMENTS[dtype]
    kinds = {str(kind): None for kind in (element.array, element.word) if kind is not None}
    return f"{describe(values)} does not hold {dtype} elements; give {' or '.join(kinds)}"
