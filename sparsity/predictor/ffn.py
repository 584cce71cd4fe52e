# SPDX-License-Identifier: Apache-2.0
"""One token through one FFN with a predicted mask: SparseInfer's four steps, fused or not.

`predict` comes before the gate product. What the product then shows to be zero (the *actual*
sparsity) joins the skipped rows of the steps that follow, unless `use_actual` is off; a skipped row
counts as zero, so what the predictor wrongly skips is lost and what it wrongly keeps is not.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import ShapeError
from sparsity.predictor.gemv import Floats, check_vector, down_times, gated_rows, rows_times
from sparsity.predictor.predict import Flags, SignPredictor


@dataclass(frozen=True, slots=True, eq=False)
class SparseFfn:
    """An FFN's weights, one row per neuron, float32 or bfloat16 bits."""

    first: NDArray[Any]
    """[k, d], what the ReLU is after: W_gate, or W_up in an FFN without a gate."""
    down: NDArray[Any]
    """[k, d]"""
    up: NDArray[Any] | None = None
    """[k, d], multiplied with the opened gate; None without a gate."""
    bias: Floats | None = None
    """[k], added before the ReLU."""

    def __post_init__(self) -> None:
        for name, matrix in (("down", self.down), ("up", self.up)):
            if matrix is not None and matrix.shape != self.first.shape:
                raise ShapeError(
                    f"{name} is {list(matrix.shape)}, the first matrix {list(self.first.shape)}: "
                    "give all with one row per neuron, the down projection transposed"
                )


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What one token did."""

    output: Floats
    """[d]"""
    skip_first: Flags
    """[k], rows of W_gate (or of W_up without a gate) that were not read: the prediction."""
    skip_up: Flags
    """[k], rows of W_up of a gated FFN that were not read."""
    skip_down: Flags
    """[k], rows of W_down that were not read."""


def run(
    ffn: SparseFfn,
    x: Floats,
    skip: Flags | None = None,
    *,
    use_actual: bool = True,
    fused: bool = False,
) -> Step:
    """Run one token.

    Args:
        ffn: the weights.
        x: float32 [d].
        skip: rows predicted to stay at zero; None reads them all.
        use_actual: skip later what the first product showed to be zero.
        fused: compute gate and up in one pass; needs a gate and `use_actual`, else is not done.

    Raises:
        ShapeError: shapes or types that do not fit.
    """
    k = len(ffn.first)
    skip = np.zeros(k, np.bool_) if skip is None else skip
    bias = np.zeros(k, np.float32) if ffn.bias is None else ffn.bias
    check_vector(bias, k, "bias")
    if fused and use_actual and ffn.up is not None:
        a, skip_up = gated_rows(ffn.first, ffn.up, x, bias, skip)
        return Step(down_times(ffn.down, a, a == 0), skip, skip_up, a == 0)
    opened = np.maximum(rows_times(ffn.first, x, skip) + bias, 0)
    opened[skip] = 0
    skip_up = skip | (opened == 0) if use_actual else skip
    a = opened if ffn.up is None else opened * rows_times(ffn.up, x, skip_up)
    skip_down = skip | (a == 0) if use_actual else skip
    return Step(down_times(ffn.down, a, skip_down), skip, skip_up, skip_down)


def predicted(ffn: SparseFfn, x: Floats, predictor: SignPredictor, **options: bool) -> Step:
    """Predict and run one token; options and errors as in `run`."""
    return run(ffn, x, predictor(x), **options)
