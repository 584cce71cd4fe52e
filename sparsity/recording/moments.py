# SPDX-License-Identifier: Apache-2.0
"""Statistics of a stream of activations: moments merged as batches come, in float64."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict


class Statistics(BaseModel):
    """One layer's activations over all tokens; sparsities are of the recorded masks."""

    model_config = ConfigDict(frozen=True)

    mean: float
    mean_magnitude: float
    std: float
    largest_magnitude: float
    kurtosis: float | None
    """Fourth central moment over the squared variance: 3 for a Gaussian, 6 for a Laplace
    distribution; None where all values are equal."""
    sparsity: float
    """Mean over the tokens of the share of neurons that are not active."""
    sparsity_least: float
    sparsity_most: float
    sparsity_std: float
    """Of single tokens."""


@dataclass(slots=True)
class _Central:
    """Count, mean and sums of powers of the distance from it."""

    count: int = 0
    mean: float = 0.0
    second: float = 0.0
    third: float = 0.0
    fourth: float = 0.0

    def add(self, values: NDArray[np.float64]) -> None:
        """Take values in; merged as in Pébay, Sandia report SAND2008-6212, section 3.1."""
        own, other = self.count, values.size
        if not other:
            return
        centre = float(values.mean())
        from_it = values - centre
        squares = np.square(from_it)
        second, third = float(squares.sum()), float((squares * from_it).sum())
        fourth = float(np.square(squares).sum())
        both, gap = own + other, centre - self.mean
        step = gap / both
        self.fourth += (
            fourth
            + gap * step**3 * own * other * (own * own - own * other + other * other)
            + 6 * step**2 * (own * own * second + other * other * self.second)
            + 4 * step * (own * third - other * self.third)
        )
        self.third += (
            third
            + gap * step**2 * own * other * (own - other)
            + 3 * step * (own * second - other * self.second)
        )
        self.second += second + gap * step * own * other
        self.mean += step * other
        self.count = both


class Moments:
    """Statistics of activations as they come, [tokens, neurons] at a time."""

    def __init__(self) -> None:
        self._values = _Central()
        self._magnitudes = 0.0
        self._largest = 0.0
        self._sparsities = _Central()
        self._least, self._most = 1.0, 0.0

    def add(self, values: NDArray[Any], active: NDArray[np.bool_]) -> None:
        """Take some tokens' activations in, and which of them count as active."""
        if not values.size:
            return
        exact = values.astype(np.float64)
        self._values.add(exact.ravel())
        magnitudes = np.abs(exact)
        self._magnitudes += float(magnitudes.sum())
        self._largest = max(self._largest, float(magnitudes.max()))
        sparsities = 1 - active.mean(axis=1)
        self._sparsities.add(sparsities)
        self._least = min(self._least, float(sparsities.min()))
        self._most = max(self._most, float(sparsities.max()))

    def statistics(self) -> Statistics | None:
        """What was found; None if nothing has come."""
        values, sparsities = self._values, self._sparsities
        if not values.count:
            return None
        variance = values.second / values.count
        kurtosis = values.fourth / values.count / variance**2 if variance**2 else None
        return Statistics(
            mean=values.mean,
            mean_magnitude=self._magnitudes / values.count,
            std=math.sqrt(variance),
            largest_magnitude=self._largest,
            kurtosis=kurtosis,
            sparsity=sparsities.mean,
            sparsity_least=self._least,
            sparsity_most=self._most,
            sparsity_std=math.sqrt(max(sparsities.second / sparsities.count, 0.0)),
        )
