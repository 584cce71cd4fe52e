# SPDX-License-Identifier: Apache-2.0
"""All predictors on one layer: how many rows each skips when it misses equally many active ones.

Tokens are cut in order: the first half trains what is trained, the next quarter sets thresholds and
the last judges them, so that the share missed there is only near what was asked for; both are in
the result. Bytes are what a token makes the predictor read.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sparsity.errors import MaskError
from sparsity.predictor import baselines
from sparsity.predictor.baselines import Scores
from sparsity.predictor.calibrate import from_scores
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.predict import scores
from sparsity.predictor.quality import Masks, Quality, judge, threshold
from sparsity.predictor.signs import pack_signs
from sparsity.predictor.traffic import low_bit_predictor, low_rank_predictor

MISSED = 0.02, 0.05, 0.10
BITS = 1, 2, 3, 4, 8
CURVE = tuple(np.geomspace(0.002, 0.5, 16).tolist())
"""Shares of missed active neurons at which curves are drawn."""
LOW_RANK = {
    "SVD of W": baselines.from_weights,
    "least squares": baselines.from_data,
    "trained": baselines.trained,
}
"""Ways to two thin matrices: without data, fitted to the values, and then to which are active."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """One predictor on one layer."""

    name: str
    calibration: Scores
    """Scores of the tokens that thresholds are made from."""
    held_out: Scores
    read_bytes: int
    """Read per token and layer."""
    alpha: bool = False
    """Whether a threshold of its scores is an alpha."""


@dataclass(frozen=True, slots=True)
class Point:
    """One predictor at one calibrated miss rate, judged on held-out tokens."""

    predictor: str
    read_bytes: int
    missed_target: float
    quality: Quality
    alpha: float | None = None
    """Of the sign predictors."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """A layer's tokens by their use."""

    training: FfnLayer
    calibration: FfnLayer
    held_out: FfnLayer


def split(layer: FfnLayer) -> Split:
    """Cut a layer's tokens, in their order, in a half and two quarters.

    Raises:
        MaskError: fewer than four tokens.
    """
    tokens = len(layer.x)
    if tokens < 4:
        raise MaskError(f"{layer.name} has {tokens} tokens: give 4, to train, calibrate and judge")
    half, most = tokens // 2, tokens * 3 // 4
    return Split(*(layer.part(slice(*ends)) for ends in ((0, half), (half, most), (most, None))))


def sign_name(bits: int) -> str:
    """Name the sign predictor by the bits of its activations."""
    return "sign x sign" if bits == 1 else f"sign x {bits} bits"


def candidates(
    parts: Split, ranks: Sequence[int] = (), bits: Sequence[int] = BITS
) -> Iterator[Candidate]:
    """Make the predictors of a layer one after the other: signs, low rank, memory, chance, truth.

    Args:
        parts: the layer.
        ranks: of the low-rank predictors; none without.
        bits: of the activations.
    """
    k, d = parts.training.first.shape

    def made(
        name: str, of: Callable[[FfnLayer], Scores], read_bytes: int = 0, alpha: bool = False
    ) -> Candidate:
        return Candidate(name, of(parts.calibration), of(parts.held_out), read_bytes, alpha)

    signs = pack_signs(parts.training.first)
    for each in bits:
        read = low_bit_predictor(d, k, each).read_bytes
        yield made(
            sign_name(each), lambda part, bits=each: scores(signs, part.x, bits), read, alpha=True
        )
    for rank in ranks:
        read = low_rank_predictor(d, k, rank).read_bytes
        for name, fit in LOW_RANK.items():
            low = fit(parts.training, rank)
            yield made(f"{name}, rank {rank}", lambda part, low=low: low.scores(part.x), read)
    yield made("previous token", lambda part: baselines.previous_token(part.before_relu()))
    yield made("chance", lambda part: baselines.chance(len(part.x), k))
    yield made("oracle", lambda part: part.before_relu())


def point(
    candidate: Candidate, active: Masks, activations: Scores, missed: float, down: Scores | None
) -> Point:
    """Calibrate a predictor to a miss rate and judge it.

    Args:
        candidate: the predictor.
        active: [calibration tokens, k], the truth to calibrate on.
        activations: [held-out tokens, k], exact.
        missed: share of active neurons that may be skipped.
        down: [k, d] for the output error, or None.

    Raises:
        MaskError: no active neuron, or a share outside 0 to 1.
    """
    if candidate.alpha:
        alpha = from_scores(candidate.calibration, active, missed)
        cut = (1 - alpha) / (1 + alpha)
    else:
        alpha, cut = None, threshold(candidate.calibration, active, missed)
    quality = judge(candidate.held_out < cut, activations, down)
    return Point(candidate.name, candidate.read_bytes, missed, quality, alpha)


def compare(
    layer: FfnLayer,
    ranks: Sequence[int] = (),
    missed: Sequence[float] = MISSED,
    bits: Sequence[int] = BITS,
) -> list[Point]:
    """Return every predictor at every miss rate; arguments as in `candidates` and `point`.

    Raises:
        MaskError: under four tokens, no active neuron to calibrate on, or a share that is none.
    """
    parts = split(layer)
    active = parts.calibration.activations() != 0
    activations = parts.held_out.activations()
    return [
        point(candidate, active, activations, share, layer.down)
        for candidate in candidates(parts, ranks, bits)
        for share in missed
    ]
