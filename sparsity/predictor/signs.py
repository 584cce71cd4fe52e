# SPDX-License-Identifier: Apache-2.0
"""Sign bits, packed: what is left of a weight matrix for the predictor, 1 bit of 16 or 32.

Bit i % 64 of word i // 64 of a row is set where value i is below zero; what is past the last value
is clear. Zero counts as positive with either sign: SparseInfer's text takes the most significant
bit and its code tests `x < 0`, which differ at -0.0, and a quantiser may make either of the two.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import ShapeError
from sparsity.predictor.blocks import FORMATS, dequantise

WORD_BITS = 64
Words = NDArray[np.uint64]
ZeroPoint = int | NDArray[np.integer[Any]]

_BF16_INFINITY = np.uint16(0x7F80)
_BF16_MAGNITUDE = np.uint16(0x7FFF)


@dataclass(frozen=True, slots=True, eq=False)
class SignBits:
    """The signs of a matrix, one row per neuron."""

    words: Words
    """[rows, words of 64 signs]"""
    width: int
    """Values in a row, which need not fill the last word."""

    @property
    def rows(self) -> int:
        """Number of neurons."""
        return len(self.words)


def words_for(width: int) -> int:
    """Return how many words hold `width` signs."""
    return -(-width // WORD_BITS)


def negative(
    values: NDArray[Any], form: str = "", zero_point: ZeroPoint | None = None
) -> NDArray[np.bool_]:
    """Return where values are below zero.

    Args:
        values: floats or signed integers of any shape; uint16 is bfloat16 bits; with `form`, uint8
            [rows, bytes] of blocks.
        form: "" for plain numbers, or a key of `blocks.FORMATS`.
        zero_point: of integers q that stand for scale * (q - zero_point), scale above 0: one, or
            an array that goes with the values, such as [rows, 1].

    Raises:
        ShapeError: a type that has no sign, blocks that are none, or a zero point that does not go
            with the values.
    """
    if zero_point is not None:
        return _below(values, form, np.asarray(zero_point))
    if form:
        return dequantise(values, form) < 0
    if values.dtype == np.uint16:
        magnitude = values & _BF16_MAGNITUDE
        return (values != magnitude) & (magnitude != 0) & (magnitude <= _BF16_INFINITY)
    if values.dtype.kind not in "fi":
        raise ShapeError(
            f"{values.dtype} has no sign: give floats, signed integers, bfloat16 bits as uint16, "
            f"integers with their zero point, or blocks as uint8 with their format, one of "
            f"{', '.join(FORMATS)}"
        )
    return values < 0


def _below(values: NDArray[Any], form: str, zero: NDArray[Any]) -> NDArray[np.bool_]:
    if form or values.dtype.kind not in "iu" or zero.dtype.kind not in "iu":
        raise ShapeError("a zero point is an integer, of integers: give such values, without form")
    try:
        return values.astype(np.int64) < np.broadcast_to(zero.astype(np.int64), values.shape)
    except ValueError:
        raise ShapeError(
            f"zero points of shape {list(zero.shape)} do not go with values of shape "
            f"{list(values.shape)}: give one, or one per row as [rows, 1]"
        ) from None


def pack_bits(bits: NDArray[np.bool_]) -> Words:
    """Pack bools along the last axis into uint64 words, the first into the lowest bit."""
    width = bits.shape[-1]
    packed = np.packbits(bits, axis=-1, bitorder="little")
    words = np.zeros((*bits.shape[:-1], words_for(width) * 8), np.uint8)
    words[..., : packed.shape[-1]] = packed
    return words.view("<u8").astype(np.uint64, copy=False)


def check_matrix(weights: NDArray[Any]) -> None:
    """Refuse weights that are not [rows, width], or none; ShapeError."""
    if weights.ndim != 2 or not weights.size:
        raise ShapeError(
            f"weights of shape {list(weights.shape)} are no matrix: give one row per neuron"
        )


def pack_signs(
    values: NDArray[Any], form: str = "", zero_point: ZeroPoint | None = None
) -> SignBits:
    """Pack the signs of a matrix [rows, width]; types and errors as in `negative`.

    Raises:
        ShapeError: not a matrix, or one without a value, or `negative`'s reasons.
    """
    check_matrix(values)
    bits = negative(values, form, zero_point)
    return SignBits(pack_bits(bits), bits.shape[1])


def unpack_signs(signs: SignBits) -> NDArray[np.int8]:
    """Return the matrix of signs, -1 or 1, [rows, width]."""
    octets = signs.words.astype("<u8", copy=False).view(np.uint8)
    minus = np.unpackbits(octets, axis=1, count=signs.width, bitorder="little")
    return 1 - 2 * minus.astype(np.int8)
