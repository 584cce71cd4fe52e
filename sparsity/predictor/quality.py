# SPDX-License-Identifier: Apache-2.0
"""How good a guess of the rows was: precision and recall as published, and what they hide.

Precision and recall are of *zeros*, as in the paper. Where 98 % of the neurons are zero a mask that
is 99.4 % precise still drops a quarter of the few that are not, hence `missed`, the share of active
neurons that were skipped, and `output_error`, which is what the rest of the model gets to see.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import MaskError
from sparsity.thresholds.quantiles import share_of

Masks = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Quality:
    """A mask against the truth, over some tokens of one layer."""

    sparsity: float
    """Share of neurons that are zero."""
    skipped: float
    """Share of neurons predicted to be zero."""
    precision: float
    """Share of the skipped that are zero; 1 where nothing was skipped."""
    recall: float
    """Share of the zeros that were skipped; 1 where there is none."""
    missed: float
    """Share of the active neurons that were skipped; 0 where none is active."""
    output_error: float | None = None
    """Norm of what the FFN's output lacks over the norm of the output; None if not computed."""


def judge(
    skip: Masks,
    activations: NDArray[Any],
    down: NDArray[np.float32] | None = None,
) -> Quality:
    """Compare skipped rows with the activations of the exact FFN.

    Args:
        skip: [tokens, k], true where a row was skipped.
        activations: [tokens, k], the down projection's exact input; zero is inactive.
        down: float32 [k, d]; with it the output error is computed.

    Raises:
        MaskError: shapes that differ, no token, or a `down` of other neurons.
    """
    if skip.shape != activations.shape:
        raise MaskError(
            f"flags are {list(skip.shape)}, activations {list(activations.shape)}: give the same "
            "tokens and rows of both"
        )
    if not skip.size:
        raise MaskError("no token to judge by: give at least one")
    zero = activations != 0
    np.logical_not(zero, out=zero)
    right = int(np.count_nonzero(skip & zero))
    skipped, zeros, total = int(np.count_nonzero(skip)), int(np.count_nonzero(zero)), skip.size
    return Quality(
        sparsity=zeros / total,
        skipped=skipped / total,
        precision=_share(right, skipped, 1.0),
        recall=_share(right, zeros, 1.0),
        missed=_share(skipped - right, total - zeros, 0.0),
        output_error=None if down is None else output_error(skip, activations, down),
    )


def output_error(skip: Masks, activations: NDArray[Any], down: NDArray[np.float32]) -> float:
    """Return the norm of the lost output over that of the whole, both over all tokens; 0 of 0 is 0.

    The output is `activations @ down`, a residual path and a bias not counted in.
    """
    exact = np.asarray(activations, np.float32)
    if down.ndim != 2 or len(down) != exact.shape[-1]:
        raise MaskError(
            f"down is {list(down.shape)} for {exact.shape[-1]} neurons: give one row per neuron"
        )
    whole = float(np.linalg.norm(exact @ down))
    lost = float(np.linalg.norm((exact * skip) @ down))
    return lost / whole if whole else 0.0


def threshold(scores: NDArray[np.floating[Any]], active: Masks, missed: float) -> float:
    """Return the largest t at which skipping `score < t` misses at most a share of the active.

    Args:
        scores: [tokens, k], low where a row is thought to be zero.
        active: [tokens, k], the truth.
        missed: 0 to 1; at 0 no active neuron seen here is skipped.

    Raises:
        MaskError: shapes that differ, no active neuron to go by, or a share outside 0 to 1.
    """
    if not 0 <= missed <= 1:
        raise MaskError(f"missed {missed} is no share: give 0 to 1, such as 0.02")
    if scores.shape != active.shape:
        raise MaskError(
            f"scores are {list(scores.shape)}, active neurons {list(active.shape)}: give the same "
            "tokens and rows of both"
        )
    found = np.sort(scores[active])
    if not found.size:
        raise MaskError("no neuron is active on these tokens: calibrate on more text")
    allowed = share_of(missed, found.size)
    return float(found[allowed]) if allowed < found.size else float("inf")


def _share(part: int, whole: int, of_nothing: float) -> float:
    return part / whole if whole else of_nothing
