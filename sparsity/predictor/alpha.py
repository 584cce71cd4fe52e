# SPDX-License-Identifier: Apache-2.0
"""SparseInfer's alpha: how sure the predictor must be, and what one alpha means at another width.

A row is skipped where `alpha * positive < negative`, positive and negative being the (weighted)
counts of products by sign; ties are not skipped. Alpha is an integer over `SCALE`, so that the
comparison has no rounding; in whole percents it is the paper's Listing 1,
`negative * 100 - positive * alpha > 0`.

Signs of unrelated values make a sum with standard deviation sqrt(width), and alpha asks for
`width * (alpha - 1) / (alpha + 1)`: the same alpha is stricter the wider the layer. `rescale` keeps
the number of standard deviations instead.
"""

import math

from sparsity.errors import SparsityError

SCALE = 10_000
"""What stands for alpha = 1."""
LARGEST = 1000.0
"""The largest alpha; at every width up to 2**20 the integers stay far below 2**63."""


def scaled(alpha: float) -> int:
    """Return alpha as an integer over `SCALE`.

    Raises:
        SparsityError: not a number from 0 to `LARGEST`.
    """
    if not 0 <= alpha <= LARGEST:
        raise SparsityError(
            f"alpha {alpha} is no share: give 0 to {LARGEST:g}, 1.0 to 1.03 as a rule"
        )
    return round(alpha * SCALE)


def margin(alpha: float) -> float:
    """Return the share of the products that must be negative over positive: (a - 1) / (a + 1)."""
    return (alpha - 1) / (alpha + 1)


def from_margin(share: float) -> float:
    """Return the alpha with a `margin`.

    Raises:
        SparsityError: the share is not between -1 and 1.
    """
    if not -1 < share < 1:
        raise SparsityError(f"a margin of {share} is out of reach: give more than -1, less than 1")
    return (1 + share) / (1 - share)


def offset_counts(alpha: float, width: int) -> float:
    """Return how many more than half of `width` products alpha wants to be negative."""
    return width * margin(alpha) / 2


def sigmas(alpha: float, width: int) -> float:
    """Return `offset_counts` in standard deviations of the count of unrelated signs."""
    return math.sqrt(width) * margin(alpha)


def rescale(alpha: float, width: int, to_width: int) -> float:
    """Return the alpha that is as strict at `to_width` as alpha is at `width`.

    Raises:
        SparsityError: `to_width` is too small to be that strict.
    """
    return from_margin(sigmas(alpha, width) / math.sqrt(to_width))


def per_layer(layers: int, alpha: float, early: int = 20, late: float = 1.0) -> tuple[float, ...]:
    """Return one alpha per layer: `alpha` for the first `early` layers, `late` for the rest.

    The paper applies alpha > 1 to the first 20 layers of 32 and of 40.

    Raises:
        SparsityError: no layer, or an alpha out of range.
    """
    if layers < 1 or early < 0:
        raise SparsityError(f"{layers} layers, {early} of them early: give at least 1, and 0")
    for each in (alpha, late):
        scaled(each)
    return tuple(alpha if layer < early else late for layer in range(layers))
