# SPDX-License-Identifier: Apache-2.0
"""The predictors to compare with: low-rank ones, trained or not, chance, memory, and the truth.

Each gives scores [tokens, k], low where a row is thought to be zero, so that all are cut at the
same share of missed active neurons by `quality.threshold`. DejaVu and PowerInfer use two trained
matrices, d x rank and rank x k; here they are fitted on a layer's own inputs, first by least
squares, then as a logistic regression on which neurons were active.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.quality import Masks

Scores = NDArray[np.float32]
_DAMPING = 1e-3
"""Share of the inputs' mean power added to every direction of them, for a stable fit."""


@dataclass(frozen=True, slots=True, eq=False)
class LowRank:
    """Scores `x @ inward @ outward + bias`: a predictor of two thin matrices."""

    inward: Scores
    """[d, rank]"""
    outward: Scores
    """[rank, k]"""
    bias: Scores
    """[k]"""

    def scores(self, x: Scores) -> Scores:
        """Return [tokens, k] for inputs [tokens, d]."""
        return np.asarray((x @ self.inward) @ self.outward + self.bias, np.float32)

    @property
    def values(self) -> int:
        """Numbers in both matrices, which are read for every token; the bias left out."""
        return self.inward.size + self.outward.size


def from_weights(layer: FfnLayer, rank: int) -> LowRank:
    """Cut the singular values of the weights themselves: no data, no training.

    Raises:
        SparsityError: a rank that the weights cannot have.
    """
    _check_rank(layer, rank)
    left, sizes, right = np.linalg.svd(layer.first.T, full_matrices=False)
    return LowRank(left[:, :rank] * sizes[:rank], right[:rank], _bias(layer))


def from_data(train: FfnLayer, rank: int) -> LowRank:
    """Make the least squares fit of that rank to what goes into the ReLU on some tokens.

    The weights' singular values, weighted with how much of the inputs lies in each direction.

    Raises:
        SparsityError: a rank that the weights cannot have.
    """
    _check_rank(train, rank)
    power = train.x.T.astype(np.float64) @ train.x / len(train.x)
    power += np.eye(len(power)) * (_DAMPING * np.trace(power) / len(power))
    spread, axes = np.linalg.eigh(power)
    root = (axes * np.sqrt(spread)) @ axes.T
    back = (axes / np.sqrt(spread)) @ axes.T
    left, sizes, right = np.linalg.svd(root @ train.first.T, full_matrices=False)
    inward = back @ (left[:, :rank] * sizes[:rank])
    return LowRank(inward.astype(np.float32), right[:rank].astype(np.float32), _bias(train))


def trained(
    train: FfnLayer,
    rank: int,
    epochs: int = 20,
    batch: int = 64,
    rate: float = 2e-3,
    seed: int = 0,
) -> LowRank:
    """Fit `from_data` further to which neurons are active: logistic loss, Adam.

    Args:
        train: the layer with the tokens to learn from.
        rank: inner width.
        epochs: times through the tokens.
        batch: tokens per step.
        rate: Adam's step size.
        seed: of the order of the tokens.

    Raises:
        SparsityError: a rank that the weights cannot have, or no epoch or token per step.
    """
    if epochs < 1 or batch < 1:
        raise SparsityError(f"{epochs} epochs of batches of {batch}: give at least 1 of each")
    start = from_data(train, rank)
    before = train.before_relu()
    size = np.float32(np.sqrt(np.abs(before).mean()))
    model = [start.inward / size, start.outward / size, start.bias / size**2]
    adam = _Adam(model, rate)
    random = np.random.default_rng(seed)
    for _ in range(epochs):
        order = random.permutation(len(train.x))
        for first in range(0, len(order), batch):
            chosen = order[first : first + batch]
            adam.step(_gradients(model, train.x[chosen], before[chosen] > 0))
    return LowRank(*model)


def _gradients(model: list[Scores], x: Scores, active: Masks) -> list[NDArray[Any]]:
    """Of the mean logistic loss; active neurons weigh as much in all as inactive ones."""
    inward, outward, bias = model
    hidden = x @ inward
    share = 1 / (1 + np.exp(-np.clip(hidden @ outward + bias, -30, 30)))
    rarity = np.float32(max(active.size - active.sum(), 1) / max(active.sum(), 1))
    error = np.where(active, (share - 1) * rarity, share) / np.float32(len(x))
    return [x.T @ (error @ outward.T), hidden.T @ error, error.sum(axis=0)]


class _Adam:
    """Kingma and Ba's optimiser, with its usual constants; changes the arrays it was given."""

    def __init__(self, parameters: list[Scores], rate: float) -> None:
        self._parameters, self._rate, self._steps = parameters, rate, 0
        self._means = [np.zeros_like(each) for each in parameters]
        self._squares = [np.zeros_like(each) for each in parameters]

    def step(self, gradients: list[NDArray[Any]]) -> None:
        """Move against the gradients."""
        self._steps += 1
        scale = self._rate * np.sqrt(1 - 0.999**self._steps) / (1 - 0.9**self._steps)
        moved = zip(self._parameters, self._means, self._squares, gradients, strict=True)
        for parameter, mean, square, gradient in moved:
            mean += np.float32(0.1) * (gradient - mean)
            square += np.float32(0.001) * (gradient * gradient - square)
            parameter -= np.float32(scale) * mean / (np.sqrt(square) + np.float32(1e-8))


def chance(tokens: int, k: int, seed: int = 0) -> Scores:
    """Return scores that know nothing."""
    return np.random.default_rng(seed).random((tokens, k), np.float32)


def previous_token(before_relu: Scores) -> Scores:
    """Return each token's scores as the exact values of the token before it; the first its own."""
    return np.concatenate([before_relu[:1], before_relu[:-1]])


def _bias(layer: FfnLayer) -> Scores:
    return np.zeros(len(layer.first), np.float32) if layer.bias is None else layer.bias


def _check_rank(layer: FfnLayer, rank: int) -> None:
    if not 1 <= rank <= min(layer.first.shape):
        raise SparsityError(
            f"rank {rank} is not one of a {layer.first.shape[1]} x {layer.first.shape[0]} matrix: "
            f"give 1 to {min(layer.first.shape)}"
        )
