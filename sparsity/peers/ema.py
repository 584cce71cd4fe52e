# SPDX-License-Identifier: Apache-2.0
"""NNCF's threshold rule restated in numpy, so that it can be compared without NNCF and torch.

OpenVINO NNCF 3.4 (`nncf.experimental.torch.sparsify_activations`) keeps one threshold per layer: a
quantile of each calibration batch's magnitudes, averaged over the batches with exponentially
decaying weights, the latest weighing most. What differs from the seed's rule (`PerLayer`):

* the quantile of a batch is interpolated between two magnitudes, the seed's is one of them;
* the average of quantiles is not the quantile of all batches together, and leans to the last;
* an activation equal to the threshold is zeroed, the seed keeps it: matters where many are equal,
  as in quantised activations;
* while a layer is calibrated, the layers before it already zero by the thresholds that they have so
  far: `sparsity.peers.compare.fit` does this when asked to zero as it goes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.thresholds.rule import FfnStep, Known, Rule

ALPHA = 0.2
"""Weight of the newest batch, NNCF's default."""


def averaged(old: float, new: float, batches: int, alpha: float = ALPHA) -> np.float32:
    """The average threshold after one more batch, rounded to float32 as NNCF keeps it.

    Args:
        old: the average over `batches` batches; ignored for none.
        new: the threshold of the newest batch.
        batches: how many were averaged before.
        alpha: see `ALPHA`; batch i of n weighs (1 - alpha)^(n - i), weights made to sum to 1.
    """
    if not batches:
        return np.float32(new)
    kept = 1 - alpha
    weighted = new * alpha + old * kept * _weight(kept, batches)
    return np.float32(weighted / _weight(kept, batches + 1))


def _weight(kept: float, batches: int) -> float:
    """What the batches weigh together; a float32, since NNCF counts batches in a torch tensor."""
    return float(np.float32(1) - np.power(np.float32(kept), np.float32(batches)))


class EmaQuantile(Rule):
    """|a| at most the layer's averaged quantile: NNCF's rule; every `see` is one batch."""

    title = "nncf's rule"
    source = "OpenVINO NNCF 3.4, sparsify_activations: averaged quantiles, zero where at most T"
    known = Known.LAST

    def __init__(self, sparsity: float, alpha: float = ALPHA) -> None:
        super().__init__(sparsity)
        if not 0 < alpha < 1:
            raise SparsityError(f"alpha {alpha} is not a weight: give one between 0 and 1")
        self.alpha = alpha
        self.thresholds: dict[int, float] = {}
        """By layer, valid at any time."""
        self._batches: dict[int, int] = {}

    def see(self, step: FfnStep) -> None:
        """Average the quantile of one batch of a layer's activations in."""
        if not step.a.size or np.isnan(step.a).any():
            raise SparsityError("a batch is empty or has a value that is not a number (NaN)")
        new = float(np.quantile(np.abs(step.a).astype(np.float64), self.sparsity))
        seen = self._batches.get(step.layer, 0)
        old = self.thresholds.get(step.layer, 0.0)
        self.thresholds[step.layer] = float(averaged(old, new, seen, self.alpha))
        self._batches[step.layer] = seen + 1

    def at(self, sparsity: float) -> Rule:
        """Refuses another sparsity: batches leave nothing from which its quantile could be had."""
        if sparsity != self.sparsity:
            raise SparsityError(
                f"{self.title} was calibrated for {self.sparsity}: calibrate another for {sparsity}"
            )
        return self

    def zeroed(self, step: FfnStep) -> NDArray[np.bool_]:
        """Where the magnitude is at most the layer's threshold."""
        if step.layer not in self.thresholds:
            raise SparsityError(f"{self.title} was not fitted to layer {step.layer}: fit it first")
        return np.abs(step.a) <= np.float32(self.thresholds[step.layer])
