# SPDX-License-Identifier: Apache-2.0
"""Activations at 1 to 8 bits as bit planes: more is known of x, and no more weight is read.

A token's input is rounded to odd multiples of half a step, -(2**bits - 1) to 2**bits - 1, which
have a binary form in signs alone: the sum of s_b * 2**b with every s_b +1 or -1. So the product
with a weight's sign stays an XOR per plane, weighted with 2**b, and one bit per value is
SparseInfer. The step is the one with the least mean square error for Gaussian values (Max,
"Quantizing for minimum distortion", 1960, table II), times the token's root mean square.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.bf16 import from_bf16
from sparsity.errors import ShapeError
from sparsity.predictor import kernels
from sparsity.predictor.signs import WORD_BITS, Words, words_for

_NOT_FINITE = "the input has a NaN or an infinity: find out where the model made it"

MAX_STEPS = {1: 1.596, 2: 0.9957, 3: 0.5860, 4: 0.3352, 5: 0.1881, 6: 0.1041, 7: 0.0569, 8: 0.0308}
"""Bits to the step of the best uniform quantiser of a Gaussian, in standard deviations."""


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """One token's input, or several tokens', at few bits."""

    words: Words
    """[..., bits, words of 64 values]; a set bit is -1, plane b counts 2**b."""
    total: NDArray[np.int64]
    """[...], the sum of the magnitudes |q|: what all products would come to were all positive."""
    width: int
    """Values in a token's input."""

    @property
    def bits(self) -> int:
        """Number of planes."""
        return self.words.shape[-2]


def quantise(x: NDArray[Any], bits: int) -> NDArray[np.int64]:
    """Round each token of x [..., width] to odd numbers from -(2**bits - 1) to 2**bits - 1.

    Negative values, and no others, become negative numbers.

    Raises:
        ShapeError: bits outside 1 to 8, no value, or one that is not finite.
    """
    values = _checked(np.asarray(x), bits)
    if not np.isfinite(values).all():
        raise ShapeError(_NOT_FINITE)
    tokens = np.ascontiguousarray(values.reshape(-1, values.shape[-1]))
    steps = np.array([_step(each, bits) for each in tokens]).reshape(*values.shape[:-1], 1)
    half = 1 << (bits - 1)
    cell = np.clip(np.floor(values.astype(np.float64) / steps), -half, half - 1).astype(np.int64)
    return 2 * np.where(values < 0, np.minimum(cell, -1), cell) + 1


def make_planes(x: NDArray[Any], bits: int = 1) -> Planes:
    """Make the bit planes of a token's input [width], or of several [tokens, width].

    Raises:
        ShapeError: as in `quantise`.
    """
    values = _checked(np.asarray(x), bits)
    width = values.shape[-1]
    tokens = np.ascontiguousarray(values.reshape(-1, width))
    words = np.empty((len(tokens), bits, words_for(width)), np.uint64)
    total = np.full(len(tokens), width, np.int64)
    levels = np.empty(words_for(width) * WORD_BITS, np.uint8)
    for token, value in enumerate(tokens):
        if not kernels.pack_minus(value, words[token, -1]):
            raise ShapeError(_NOT_FINITE)
        if bits > 1:
            step = _step(value, bits)
            total[token] = kernels.pack_levels(value, step, levels, words[token])
    lead = values.shape[:-1]
    return Planes(words.reshape(*lead, *words.shape[1:]), total.reshape(lead), width)


def _checked(values: NDArray[Any], bits: int) -> NDArray[Any]:
    """The values as float32 or float64."""
    if bits not in MAX_STEPS:
        raise ShapeError(f"activations at {bits} bits: give 1 to {max(MAX_STEPS)}")
    if values.ndim == 0 or values.shape[-1] == 0:
        raise ShapeError("an input without a value: give [width] or [tokens, width]")
    if values.dtype == np.uint16:
        return from_bf16(values)
    if values.dtype.kind not in "fi":
        raise ShapeError(f"an input of {values.dtype}: give floats, or bfloat16 bits as uint16")
    kept = values.dtype in (np.float32, np.float64)
    return values if kept else values.astype(np.float64)


def _step(values: NDArray[Any], bits: int) -> float:
    """The quantiser's step for a token; 1 where all is zero, as good as any."""
    rms = math.sqrt(kernels.mean_square(values))
    return MAX_STEPS[bits] * rms if rms > 0 else 1.0
