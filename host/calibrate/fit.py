# SPDX-License-Identifier: Apache-2.0
"""Wall times to what each term costs: weighted, robust linear least squares with intervals.

The time of a point is the floor of its design, which no one asks for, and a sum of terms. Floors
are free, so that constants come from differences within a design alone. Everything here is in
microseconds; `host.calibrate.constants` makes cycles of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from host.calibrate.measure import Sample
from host.calibrate.setting import Point

Floats = NDArray[np.float64]

CONFIDENCE = 0.95
"""How sure an interval is meant to be."""
HUBER = 2.0
"""Standard errors beyond which a point counts less the farther off it is."""
ROBUST_STEPS = 20
"""Rounds of reweighting; weights stand still after a few."""
TO_DEVIATION = 1.4826
"""A median of absolute values times this is the deviation, where they are normal."""
FLOOR = "floor of "
"""How the terms of floors begin; the design's name follows."""


@dataclass(frozen=True)
class Estimate:
    """A value and the standard error that it is known to."""

    value: float
    error: float
    freedom: float
    """Degrees of freedom of the error."""

    @property
    def half(self) -> float:
        """Half of the interval that holds the true value with `CONFIDENCE`."""
        return student(self.freedom) * self.error

    @property
    def interval(self) -> tuple[float, float]:
        """Least and greatest value that the measurement allows; costs are not negative."""
        return max(0.0, self.value - self.half), max(0.0, self.value + self.half)


@dataclass(frozen=True)
class Fit:
    """What each term costs, and how far every point is from the sum of its terms."""

    names: tuple[str, ...]
    us: Floats
    covariance: Floats
    freedom: float
    scale: float
    """How many times larger the residuals are than the times' own scatter explains; at least 1."""
    samples: tuple[Sample, ...]
    residuals: Floats
    """Measured less fitted, in microseconds, in the order of `samples`."""

    def estimate(self, name: str) -> Estimate:
        """A term in microseconds; KeyError if no point has it."""
        place = self._place(name)
        error = float(np.sqrt(self.covariance[place, place]))
        return Estimate(float(self.us[place]), error, self.freedom)

    def combined(self, value: float, slopes: dict[str, float]) -> Estimate:
        """An estimate of what is made of several terms, from its slopes in each of them."""
        places = [self._place(name) for name in slopes]
        by = np.array(list(slopes.values()))
        variance = by @ self.covariance[np.ix_(places, places)] @ by
        return Estimate(value, float(np.sqrt(variance)), self.freedom)

    def _place(self, name: str) -> int:
        if name not in self.names:
            raise KeyError(name)
        return self.names.index(name)


def fit(samples: Sequence[Sample]) -> Fit:
    """Fit all points at once."""
    names, matrix = terms_of([sample.point for sample in samples])
    times = np.array([sample.us for sample in samples])
    errors = _errors(samples)
    freedom = float(len(samples) - len(names))
    weights = errors**-2
    for _ in range(ROBUST_STEPS):
        us, spread = _solve(matrix, times, weights)
        off = np.abs(times - matrix @ us) / errors
        usual = max(1.0, TO_DEVIATION * float(np.median(off)))
        weights = errors**-2 * np.minimum(1.0, HUBER * usual / np.maximum(off, 1e-12))
    us, spread = _solve(matrix, times, weights)
    residuals = times - matrix @ us
    scale = max(1.0, float(np.sqrt(np.sum(weights * residuals**2) / freedom)))
    return Fit(names, us, spread * scale**2, freedom, scale, tuple(samples), residuals)


def _errors(samples: Sequence[Sample]) -> Floats:
    """Standard errors of times: no run scatters less than a usual one does.

    Else a point that happened to scatter little would pull the fit towards itself.
    """
    root = np.sqrt([sample.times.size for sample in samples])
    own = np.array([sample.error_us for sample in samples]) * root
    return np.maximum(own, np.median(own)) / root


def terms_of(points: Sequence[Point]) -> tuple[tuple[str, ...], Floats]:
    """Names of all terms, floors first, and how often each is in each point (points x terms)."""
    floors = dict.fromkeys(FLOOR + point.design.name for point in points)
    others = dict.fromkeys(name for point in points for name in sorted(point.terms))
    names = (*floors, *others)
    matrix = np.zeros((len(points), len(names)))
    for row, point in enumerate(points):
        matrix[row, names.index(FLOOR + point.design.name)] = 1.0
        for name, count in point.terms.items():
            matrix[row, names.index(name)] = count
    return names, matrix


def expected(points: Sequence[Point], error_us: Callable[[Point], float]) -> dict[str, float]:
    """Half intervals in microseconds that a fit will have if every time has this error."""
    names, matrix = terms_of(points)
    weights = np.array([error_us(point) for point in points]) ** -2.0
    _, spread = _solve(matrix, np.zeros(len(points)), weights)
    quantile = student(len(points) - len(names))
    return dict(zip(names, quantile * np.sqrt(np.diag(spread)), strict=True))


def student(freedom: float) -> float:
    """Quantile of Student's t for `CONFIDENCE`, by Cornish and Fisher's expansion.

    Right to 0.1 % from 10 degrees of freedom on.
    """
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / freedom + second / freedom**2 + third / freedom**3


def _solve(matrix: Floats, times: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Least squares and the covariance of its result, columns scaled for the arithmetic's sake."""
    root = np.sqrt(weights)[:, None]
    sizes = np.linalg.norm(root * matrix, axis=0)
    scaled = root * matrix / sizes
    inverse = np.linalg.pinv(scaled)
    return inverse @ (root[:, 0] * times) / sizes, inverse @ inverse.T / np.outer(sizes, sizes)
