# SPDX-License-Identifier: Apache-2.0
"""Rules that guess activations before their weights are read: from signs, or from a few bits."""

from __future__ import annotations

import numpy as np

from sparsity.errors import SparsityError
from sparsity.models.activation import activate
from sparsity.predictor.few_bits import rounded
from sparsity.predictor.predict import scores
from sparsity.predictor.signs import SignBits, pack_signs
from sparsity.thresholds.rule import Array, FfnStep, Fitted, Known, needed


class Predicted(Fitted):
    """Lowest products with the first matrix as its signs foretell them: nothing is read before."""

    title = "predicted"
    source = "SparseInfer, DATE 2025, with activations of 4 bits and a threshold per layer"
    known = Known.BEFORE
    ahead = "signs"

    BITS = 4
    """Of the activations; see docs/predicting-sparsity.md for what they bring."""
    SPREAD = 32
    """Scores lie within -1 and 1; exp(SPREAD * score) is what is counted, since the histogram's
    bins are even in the logarithm: a bin is 2^-7 / SPREAD wide."""

    def __init__(self, sparsity: float) -> None:
        super().__init__(sparsity)
        self._signs: dict[int, SignBits] = {}

    def magnitudes(self, step: FfnStep) -> Array:
        """Grows with the score of a row."""
        if step.layer not in self._signs:
            weights = needed(step.weights, self, "the weights")
            self._signs[step.layer] = pack_signs(
                weights.up if weights.gate is None else weights.gate
            )
        x = needed(step.x, self, "the FFN's input")
        return np.exp(scores(self._signs[step.layer], x, self.BITS) * np.float32(self.SPREAD))


class Estimated(Fitted):
    """Smallest |activation(gate) * up|, both products estimated from a few bits of each weight."""

    title = "estimated"
    source = "products with 3 bits of every gate and up weight, which are read first"
    known = Known.BEFORE
    ahead = "a few bits of gate, up"

    BITS = 3
    """Of a weight: 3/16 of what bfloat16 takes; see docs/what-zeroing-costs.md for 1 to 4."""

    def __init__(self, sparsity: float, bits: int = BITS) -> None:
        super().__init__(sparsity)
        self.bits = bits
        self._weights: dict[int, tuple[Array, Array]] = {}

    def magnitudes(self, step: FfnStep) -> Array:
        """The estimate of the down projection's input."""
        if step.layer not in self._weights:
            weights = needed(step.weights, self, "the weights")
            if weights.gate is None:
                raise SparsityError("estimated needs a gate projection, which this FFN has not")
            self._weights[step.layer] = (
                rounded(weights.gate, self.bits),
                rounded(weights.up, self.bits),
            )
        gate, up = self._weights[step.layer]
        x = needed(step.x, self, "the FFN's input")
        return np.multiply(activate(step.activation, x @ gate.T), x @ up.T)
