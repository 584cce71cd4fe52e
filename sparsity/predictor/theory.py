# SPDX-License-Identifier: Apache-2.0
"""What sign counting can know, in closed form: the law that `made_up` layers must follow.

For Gaussian weights, the sum of products' signs and the dot product are close to jointly normal,
with correlation sqrt(2 / pi) * |x|_1 / (sqrt(d) |x|_2). A Gaussian x makes that 2 / pi: with no
mean to help, sign counting agrees with the dot product 72 % of the time, not 99. Known to 4 bits
or more, x makes it sqrt(2 / pi), 0.80. What the paper measures beyond needs rows that are
almost always off.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

GAUSSIAN_NORM_RATIO = math.sqrt(2 / math.pi)
"""|x|_1 / (sqrt(d) |x|_2) of Gaussian values."""


def norm_ratio(x: NDArray[Any]) -> float:
    """Return |x|_1 / (sqrt(d) |x|_2), the mean over tokens [tokens, d]: how good signs of x are.

    1 where all magnitudes are equal, `GAUSSIAN_NORM_RATIO` for Gaussian values, less with outliers.
    A token of zeros counts as 0.
    """
    values = np.atleast_2d(np.asarray(x, np.float64))
    euclid = np.linalg.norm(values, axis=1) * math.sqrt(values.shape[1])
    sums = np.abs(values).sum(axis=1)
    return float(np.mean(np.divide(sums, euclid, out=np.zeros_like(sums), where=euclid > 0)))


def correlation(ratio: float, exact_x: bool = False) -> float:
    """Return the correlation of a prediction with the dot product, for Gaussian weights.

    Args:
        ratio: `norm_ratio` of the input.
        exact_x: whether the activations are used at full precision instead of their signs.
    """
    return GAUSSIAN_NORM_RATIO * (1.0 if exact_x else ratio)


def agreement(rho: float) -> float:
    """Return how often two zero-mean normals of correlation rho have one sign."""
    return 0.5 + math.asin(rho) / math.pi


def dot_product_kurtosis(width: int) -> float:
    """Return the excess kurtosis of the dot product of two vectors of independent normals.

    One product has 6; of a sum of `width` of them 6 / width is left. Laplace's has 3, a Gaussian 0.
    """
    return 6 / width


def quality(sparsity: float, rho: float, sigmas: float = 0.0) -> tuple[float, float]:
    """Return precision and recall of zeros where a common mean makes `sparsity` of them zero.

    Args:
        sparsity: share of zeros, above 0 and below 1.
        rho: of prediction and dot product.
        sigmas: how strict alpha is, `alpha.sigmas`.

    Integrated numerically; to 4 digits.
    """
    mean = normal_quantile(sparsity)
    z = np.linspace(-9.0, mean, 4001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    # The mean of the signs' sum is rho times the dot product's, and alpha wants more than zero.
    cut = rho * mean - sigmas
    given = (cut - rho * z) / math.sqrt(1 - rho * rho)
    both = float(np.trapezoid(density * np.array([_normal_cdf(value) for value in given]), z))
    return both / _normal_cdf(cut), both / sparsity


def _normal_cdf(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


def normal_quantile(share: float) -> float:
    """Return the value below which a standard normal lies with a probability between 0 and 1."""
    low, high = -9.0, 9.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _normal_cdf(middle) < share else (low, middle)
    return (low + high) / 2
