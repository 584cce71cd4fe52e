# SPDX-License-Identifier: Apache-2.0
"""The slide's table of matching patterns, and what a match is worth beyond chance."""

from sparsity.errors import SparsityError
from sparsity.similar import SAMPLES, SIMILARITIES

__all__ = ["SEED_TABLE", "SIMILARITIES", "chance", "kappa"]

_ALL = (100.0,) * len(SIMILARITIES)
_SOME = (57.73,) * len(SIMILARITIES)
_ODD = (100.0, 53.83, 53.83, 53.83, 53.93, 53.83)
_OTHERS = {2: _SOME, 4: _ODD, 8: _SOME}
SEED_TABLE = tuple(_OTHERS.get(sample, _ALL) for sample in range(1, SAMPLES + 1))
"""Percent, samples 1 to 12 by the similarities 95 to 70 %, as printed."""


def chance(first: float, second: float) -> float:
    """Return how often two unrelated patterns agree, given the shares of neurons they want.

    Raises:
        SparsityError: a share that is none.
    """
    if not (0 <= first <= 1 and 0 <= second <= 1):
        raise SparsityError(f"shares {first} and {second}: give 0 to 1")
    return first * second + (1 - first) * (1 - second)


def kappa(match: float, density: float) -> float:
    """Return a match beyond chance, for two patterns of one density: 0 at chance, 1 if equal.

    Raises:
        SparsityError: a density of 0 or 1, where every pattern is equal.
    """
    expected = chance(density, density)
    if expected == 1:
        raise SparsityError("patterns that want all or nothing agree always: kappa says nothing")
    return (match - expected) / (1 - expected)
