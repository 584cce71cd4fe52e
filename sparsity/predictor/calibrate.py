# SPDX-License-Identifier: Apache-2.0
"""The alpha at which a layer misses no more active neurons than was asked for.

A row with score s = (P - N) / (P + N) is skipped at every alpha below (1 - s) / (1 + s), so the
alphas at which active rows of some text would be lost are known at once, and no search is needed.
The answer is rounded up to the next 1/10000, which only skips less.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.predictor.alpha import LARGEST, SCALE
from sparsity.predictor.predict import scores
from sparsity.predictor.quality import Masks, threshold
from sparsity.predictor.signs import SignBits


@dataclass(frozen=True, slots=True)
class Calibrated:
    """An alpha and what it was made from."""

    alpha: float
    missed_target: float
    """Share of active neurons that may be skipped."""
    bits: int
    tokens: int
    active: int
    """Active neurons seen: the target is as sure as this number is large."""


def calibrate(
    signs: SignBits, x: NDArray[Any], active: Masks, missed: float, bits: int = 1
) -> Calibrated:
    """Find the smallest alpha that skips at most a share `missed` of the active rows.

    Args:
        signs: of the matrix before the ReLU.
        x: [tokens, d], inputs of the FFN.
        active: [tokens, k], neurons that are not zero at those.
        missed: 0 to 1.
        bits: of the activations.

    Raises:
        MaskError: no active neuron, or a share outside 0 to 1.
        ShapeError: an input that does not fit.
    """
    alpha = from_scores(scores(signs, x, bits), active, missed)
    return Calibrated(alpha, missed, bits, len(active), int(np.count_nonzero(active)))


def from_scores(found: NDArray[np.float32], active: Masks, missed: float) -> float:
    """Return the alpha for scores that `predict.scores` made; errors as in `calibrate`.

    `LARGEST` where no alpha up to it keeps so many, as where all products of a row are negative.
    """
    # Scores are rounded to float32: the next one below is not above the exact score.
    least = float(np.nextafter(np.float32(threshold(found, active, missed)), np.float32(-np.inf)))
    if least <= -1:
        return LARGEST
    if least >= 1:
        return 0.0
    alpha = (1 - least) / (1 + least)
    return min(math.ceil(alpha * SCALE) / SCALE, LARGEST)
