# SPDX-License-Identifier: Apache-2.0
"""What is measured anew each time, on the shipped USE-lite layers and on made-up numbers.

All of it takes about two seconds. Each function is worked out once per process.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sparsity import patterns
from sparsity.capture import load_use_lite
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.made_up import make_layer
from sparsity.predictor.predict import scores
from sparsity.predictor.quality import Quality, judge
from sparsity.predictor.signs import pack_signs
from sparsity.predictor.theory import norm_ratio
from sparsity.predictor.use_lite_up import shipped_layer
from sparsity.tables.islands import count, expected, scatter

LAYERS = 2
"""Of USE-lite."""
RANDOM_SKIP = 0.9
"""Share of rows that the paper skips at random."""


@cache
def layer(number: int) -> FfnLayer:
    """Return a shipped layer."""
    return shipped_layer(number)


@cache
def _scored(number: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    found = layer(number)
    return scores(pack_signs(found.first), found.x), found.activations()


@cache
def predicted(number: int, alpha: float) -> Quality:
    """Judge the sign predictor on a shipped layer, biases not known to it."""
    found, activations = _scored(number)
    return judge(found < (1 - alpha) / (1 + alpha), activations, layer(number).down)


@cache
def skipped_at_random(number: int, share: float = RANDOM_SKIP) -> Quality:
    """Skip rows that were drawn by lot."""
    activations = _scored(number)[1]
    random = np.random.default_rng(0).random(activations.shape) < share
    return judge(random, activations, layer(number).down)


@cache
def texts(number: int) -> list[NDArray[np.bool_]]:
    """Return the shipped capture's masks of a layer, [tokens, k] of each text."""
    return [each != 0 for each in load_use_lite().texts(number)]


def masks(number: int) -> NDArray[np.bool_]:
    """Return the masks of all texts, [tokens, k]."""
    return np.concatenate(texts(number))


def sparsity(number: int) -> float:
    """Return a layer's share of zeros in the shipped capture."""
    return load_use_lite().sparsity(number)


@dataclass(frozen=True, slots=True)
class Runs:
    """How the wanted rows of real vectors lie, beside coin flips of each vector's density."""

    real: float
    """Mean number of runs."""
    coin_flips: float
    z: float
    """Mean distance in standard deviations."""


@cache
def runs(number: int) -> Runs:
    """Count the runs of a layer's masks."""
    real, flips, z = [], [], []
    for mask in masks(number):
        density = float(mask.mean())
        if not 0 < density < 1:
            continue
        real.append(count(mask).descriptors)
        flips.append(expected(len(mask), density).descriptors)
        z.append((real[-1] - flips[-1]) / scatter(len(mask), density))
    return Runs(float(np.mean(real)), float(np.mean(flips)), float(np.mean(z)))


def union(number: int, window: int) -> float:
    """Return the sparsity left for a window of tokens at once."""
    return patterns.union_sparsity(texts(number), window)


def next_token(number: int) -> patterns.Agreement:
    """Compare each token's mask with the next one's."""
    return patterns.consecutive(texts(number))


def prefetch(number: int) -> patterns.Prefetch:
    """Return what loading the last token's rows ahead is worth."""
    return patterns.last_token(texts(number))


def zero_weights() -> float:
    """Return the share of USE-lite's FFN weights that are exactly zero."""
    weights = [each for n in range(LAYERS) for each in (layer(n).first, layer(n).down)]
    return sum(int(np.count_nonzero(each == 0)) for each in weights) / sum(
        each.size for each in weights
    )


def small_weights(share: float = 0.01) -> float:
    """Return the share of weights below a share of their matrix' largest."""
    weights = [each for n in range(LAYERS) for each in (layer(n).first, layer(n).down)]
    small = [np.count_nonzero(np.abs(each) < share * np.abs(each).max()) for each in weights]
    return float(sum(small) / sum(each.size for each in weights))


@cache
def product_kurtosis(samples: int = 4_000_000, seed: int = 0) -> float:
    """Return the excess kurtosis of products of two independent normals; 6 in theory."""
    random = np.random.default_rng(seed)
    y = random.standard_normal(samples, np.float32) * random.standard_normal(samples, np.float32)
    square = np.square(y, dtype=np.float64)
    return float(np.mean(square**2) / np.mean(square) ** 2 - 3)


@cache
def made_up(tau: float, alpha: float = 1.0, zeros: float = 0.92) -> Quality:
    """Judge the sign predictor on a made-up layer of 7B's width, half as many rows as it is wide.

    Args:
        tau: how much rows differ in how often they are on.
        alpha: of the predictor.
        zeros: share of zeros.
    """
    made = make_layer(d=4096, k=2048, tokens=16, sparsity=zeros, tau=tau)
    found = scores(pack_signs(made.first), made.x)
    return judge(found < (1 - alpha) / (1 + alpha), made.activations())


def input_norm_ratio(number: int) -> float:
    """Return |x|_1 / (sqrt(d) |x|_2) of a layer's inputs."""
    return norm_ratio(layer(number).x)


@cache
def changed_by_quantising() -> tuple[float, float]:
    """Return the share of decisions that int8 weights and inputs change, and that fp16 ones do."""
    found = layer(0)
    exact = _scored(0)[0] < 0

    def int8(values: NDArray[np.float32]) -> NDArray[np.int8]:
        scale = np.abs(values).max(axis=1, keepdims=True) / 127
        return np.rint(values / scale).astype(np.int8)

    coarse = scores(pack_signs(int8(found.first)), int8(found.x).astype(np.float32)) < 0
    half = (
        scores(
            pack_signs(found.first.astype(np.float16)),
            found.x.astype(np.float16).astype(np.float32),
        )
        < 0
    )
    return float(np.mean(coarse != exact)), float(np.mean(half != exact))


@cache
def lost_by_skipping_zeros() -> float:
    """Return the largest change of an output when rows of zero activations are not added.

    Weights and activations are made whole numbers, so that sums are exact in any order.
    """
    found = layer(0)
    a = np.rint(_scored(0)[1] * 1024).astype(np.int64)
    down = np.rint(found.down * 4096).astype(np.int64)
    dense = a.astype(np.float64) @ down.astype(np.float64)
    worst = 0.0
    for token, row in enumerate(a):
        wanted = np.flatnonzero(row)
        sparse = row[wanted].astype(np.float64) @ down[wanted].astype(np.float64)
        worst = max(worst, float(np.abs(dense[token] - sparse).max()))
    return worst


def zeros_of_gated(seed: int = 0) -> tuple[float, float, float]:
    """Return the shares of zeros in h1, h2 and h3 of a made-up gated layer with a ReLU."""
    random = np.random.default_rng(seed)
    gate, up = random.standard_normal((2, 64, 4096))
    h1 = np.maximum(gate, 0)
    return tuple(float(np.mean(each == 0)) for each in (h1, up, h1 * up))  # type: ignore[return-value]
