# SPDX-License-Identifier: Apache-2.0
"""Do similar inputs want the same rows? The seed's experiment, and the same with tokens aligned.

Its table gives twelve inputs, variants that are 95 to 70 % similar, and match rates of 100 %,
57.73 % or 53.83 %. With causal attention the first token's pattern hangs on the first token alone:
it is the same in every variant that keeps that token, and at chance in one that does not. So the
match is given here at the first token, at the last, and over all aligned tokens, with kappa beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError
from sparsity.models.interface import FfnModel, Matrix, Tokens
from sparsity.patterns import agreement
from sparsity.thresholds.quantiles import MagnitudeHistogram

SIMILARITIES = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7)
"""Of the seed's table."""
SAMPLES = 12
"""Inputs in the seed's table."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Row:
    """One input beside its variants, by similarity."""

    first: tuple[float, ...]
    """Match at the first token, all layers: what the seed's table seems to show."""
    last: tuple[float, ...]
    aligned: tuple[float, ...]
    """Match over all tokens, each beside the one in its place."""
    kappa: tuple[float, ...]
    """`aligned` beyond chance."""


@dataclass(frozen=True, slots=True)
class SimilarInputs:
    """The table, and what inputs that have nothing in common give."""

    similarities: tuple[float, ...]
    rows: tuple[Row, ...]
    unrelated: float
    """Match of aligned tokens of different inputs, mean over all pairs."""
    unrelated_kappa: float


def thresholds(
    model: FfnModel, windows: Sequence[Tokens], sparsity: float | None
) -> NDArray[np.float32]:
    """Return a threshold for each layer's activations, [layers].

    Args:
        model: what is run over the windows.
        windows: token numbers.
        sparsity: share of magnitudes below the threshold, more where more are zero; None for what
            is not exactly zero.
    """
    least = np.full(model.layers, np.finfo(np.float32).smallest_subnormal, np.float32)
    if sparsity is None:
        return least
    seen = [MagnitudeHistogram() for _ in range(model.layers)]

    def hook(layer: int, _x: Matrix, _gate: Matrix | None, _up: Matrix, a: Matrix) -> None:
        seen[layer].add(a)

    for window in windows:
        model.run(window, hook)
    return np.maximum([each.threshold(sparsity) for each in seen], least, dtype=np.float32)


def masks(model: FfnModel, tokens: Tokens, limits: NDArray[np.float32]) -> Mask:
    """Return where the magnitude reaches its layer's threshold, [layers, T, k].

    Raises:
        SparsityError: layers have different numbers of neurons.
    """
    heard: list[Mask] = []

    def hook(layer: int, _x: Matrix, _gate: Matrix | None, _up: Matrix, a: Matrix) -> None:
        heard.append(np.abs(a) >= limits[layer])

    model.run(tokens, hook)
    if len({mask.shape for mask in heard}) > 1:
        raise SparsityError(
            f"layers of {model.name} differ in width: record them, and give the recording"
        )
    return np.array(heard)


def variants(
    tokens: Tokens, similarities: Sequence[float], random: np.random.Generator, instead: Tokens
) -> list[Tokens]:
    """Return copies of a text with a share of its tokens replaced, more and more of the same ones.

    Args:
        tokens: [T].
        similarities: shares of tokens that stay, from high to low.
        random: says which go, in which order, and what comes.
        instead: tokens to draw from; what is drawn differs from what was there.

    Raises:
        SparsityError: nothing else to draw from.
    """
    order = random.permutation(len(tokens))
    new = tokens.copy()
    for place in range(len(tokens)):
        others = instead[instead != tokens[place]]
        if not len(others):
            raise SparsityError("there is no other token to put in: give more text")
        new[place] = random.choice(others)
    made = []
    for similarity in similarities:
        gone = order[: round((1 - similarity) * len(tokens))]
        variant = tokens.copy()
        variant[gone] = new[gone]
        made.append(variant)
    return made


def similar_inputs(
    model: FfnModel,
    texts: Sequence[Tokens],
    limits: NDArray[np.float32],
    similarities: Sequence[float] = SIMILARITIES,
    seed: int = 0,
) -> SimilarInputs:
    """Compare each text's patterns with those of its variants.

    Args:
        model: a model with causal attention, else first tokens mean nothing.
        texts: two or more, all of the same length.
        limits: thresholds by layer.
        similarities: as in `variants`.
        seed: of the replacements.

    Raises:
        SparsityError: fewer than two texts, or of different lengths.
    """
    if len(texts) < 2 or len({len(text) for text in texts}) != 1:
        raise SparsityError("similar inputs are compared on two or more texts of one length")
    random = np.random.default_rng(seed)
    every = np.concatenate(texts)
    patterns = [_by_token(masks(model, text, limits)) for text in texts]
    rows = []
    for text, pattern in zip(texts, patterns, strict=True):
        made = variants(text, similarities, random, every)
        rows.append(_row(pattern, [_by_token(masks(model, each, limits)) for each in made]))
    pairs = [
        agreement(patterns[i], patterns[j])
        for i in range(len(patterns))
        for j in range(i + 1, len(patterns))
    ]
    return SimilarInputs(
        similarities=tuple(similarities),
        rows=tuple(rows),
        unrelated=float(np.mean([pair.match for pair in pairs])),
        unrelated_kappa=float(np.mean([pair.kappa for pair in pairs])),
    )


def _by_token(mask: Mask) -> Mask:
    """From [layers, T, k] to [T, layers * k]: a token's pattern over all layers."""
    return mask.swapaxes(0, 1).reshape(mask.shape[1], -1)


def _row(pattern: Mask, others: Sequence[Mask]) -> Row:
    whole = [agreement(pattern, other) for other in others]
    return Row(
        first=tuple(float(np.mean(pattern[0] == other[0])) for other in others),
        last=tuple(float(np.mean(pattern[-1] == other[-1])) for other in others),
        aligned=tuple(each.match for each in whole),
        kappa=tuple(each.kappa for each in whole),
    )
