# SPDX-License-Identifier: Apache-2.0
"""Weights at a few bits: what is read of a matrix to estimate its products before it is read.

A row is rounded as `planes` rounds a token: to odd multiples of half a step, the step that is best
for Gaussian values of the row's root mean square. Its scale is then the one with the least squared
error, so that at one bit a row is its signs times their mean magnitude.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.predictor.planes import quantise
from sparsity.predictor.signs import check_matrix

SCALE_BYTES = 2
"""Of a row's scale, as bfloat16."""


def rounded(weights: NDArray[Any], bits: int) -> NDArray[np.float32]:
    """Return a matrix [rows, width] as it is at 1 to 8 bits a weight and one scale a row.

    Raises:
        ShapeError: not a matrix, bits outside 1 to 8, or a weight that is not finite.
    """
    check_matrix(weights)
    levels = quantise(weights, bits).astype(np.float64)
    scale = (levels * weights).sum(axis=1, keepdims=True)
    scale /= np.square(levels).sum(axis=1, keepdims=True)
    return (levels * scale).astype(np.float32)


def read_bytes(rows: int, width: int, bits: int) -> int:
    """Return what is read of such a matrix: whole bytes a row, and the scales."""
    return rows * (-(-width * bits // 8) + SCALE_BYTES)
