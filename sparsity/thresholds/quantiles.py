# SPDX-License-Identifier: Apache-2.0
"""The threshold T below which a share of the magnitudes lies: exact, or from a stream of values.

The seed's definition: the magnitudes of a layer's activations, sorted; T is the one that a share
`sparsity` of them precedes; an activation is zeroed if its magnitude is below T, and kept if it is
equal. So at most the share asked for is zeroed, and less only where many magnitudes equal T.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError

MAGNITUDE_BITS = 16
"""Bits of a bfloat16, by whose magnitudes, sign apart, a stream's histogram counts."""
_BINS = 1 << MAGNITUDE_BITS - 1


def threshold(values: NDArray[Any], sparsity: float) -> float:
    """The seed's threshold T of some values: a share `sparsity` of magnitudes is below it.

    Args:
        values: any shape, real numbers.
        sparsity: 0 to 1; 0 gives the least magnitude (nothing is below), 1 gives infinity.

    Raises:
        SparsityError: no values, a share out of range, or a value that is not a number.
    """
    _check_share(sparsity)
    magnitudes = np.abs(np.asarray(values, np.float32)).ravel()
    if not magnitudes.size:
        raise SparsityError("no activations were given: a threshold needs at least one")
    if np.isnan(magnitudes).any():
        raise SparsityError("an activation is not a number (NaN): find where it comes from")
    below = share_of(sparsity, magnitudes.size)
    if below == magnitudes.size:
        return float("inf")
    return float(np.partition(magnitudes, below)[below])


def share_of(share: float, count: int) -> int:
    """How many of `count` a share of them is, rounded down; .29 of 100 is 29, not 28.999... ."""
    exact = share * count
    return round(exact) if math.isclose(exact, round(exact), rel_tol=1e-12) else math.floor(exact)


def below(values: NDArray[Any], limit: float | NDArray[Any]) -> NDArray[np.bool_]:
    """Where a magnitude is below the threshold, strictly: what is zeroed."""
    return np.abs(np.asarray(values, np.float32)) < limit


class MagnitudeHistogram:
    """Magnitudes counted as they stream by: their quantiles at any time, in fixed memory.

    A bin holds the magnitudes that share the upper 15 bits of a float32 behind the sign: 8 of
    exponent and 7 of mantissa, which is a bfloat16. For bfloat16 values thresholds are exact; for
    others the threshold is at most one bin, a factor of 1 + 2^-7, below the exact one and never
    above it.
    """

    def __init__(self) -> None:
        self.counts: NDArray[np.int64] = np.zeros(_BINS, np.int64)

    @property
    def total(self) -> int:
        """Magnitudes counted."""
        return int(self.counts.sum())

    def add(self, values: NDArray[Any]) -> None:
        """Count the magnitudes of some values.

        Raises:
            SparsityError: a value is not a number.
        """
        words = np.ascontiguousarray(values, np.float32).ravel().view(np.uint32) & 0x7FFFFFFF
        if words.size and words.max() > 0x7F800000:
            raise SparsityError("an activation is not a number (NaN): find where it comes from")
        self.counts += np.bincount(words >> 16, minlength=_BINS)

    def merge(self, other: MagnitudeHistogram) -> None:
        """Count what another histogram has counted too."""
        self.counts += other.counts

    def threshold(self, sparsity: float) -> float:
        """As the function `threshold`, to within one bin.

        Raises:
            SparsityError: nothing has been counted, or a share out of range.
        """
        _check_share(sparsity)
        total = self.total
        if not total:
            raise SparsityError("no activations were counted: a threshold needs at least one")
        before = share_of(sparsity, total)
        if before == total:
            return float("inf")
        at = int(np.searchsorted(np.cumsum(self.counts), before, "right"))
        return float(np.array(at << 16, np.uint32).view(np.float32))


def _check_share(sparsity: float) -> None:
    if not 0 <= sparsity <= 1:
        raise SparsityError(f"sparsity {sparsity} is not a share: give 0 to 1")
