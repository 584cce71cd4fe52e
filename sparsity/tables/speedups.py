# SPDX-License-Identifier: Apache-2.0
"""What speed-ups of a whole token say about the part that was made faster: Amdahl's law.

SparseInfer gives how decoding splits into attention and MLP, and speed-ups over two engines. The
MLP's rest, and the speed of the engine in between, follow.
"""

from dataclasses import dataclass

from sparsity.errors import SparsityError
from sparsity.predictor.traffic import HALF_BYTES
from sparsity.tables.architecture import Architecture

MLP_SHARE = 0.62
"""Of the time of a token in llama.cpp on Orin, Llama2-13B: the paper's footnote."""


def speedup(share: float, left: float) -> float:
    """Return how much faster a token is when a share of its time shrinks to a rest.

    Args:
        share: of the time, 0 to 1: what is made faster.
        left: of that share's time, 0 or more.

    Raises:
        SparsityError: a share that is none, or nothing left of everything.
    """
    if not 0 <= share <= 1 or left < 0 or (share == 1 and left == 0):
        raise SparsityError(f"share {share}, left {left}: give a share from 0 to 1, and its rest")
    return 1 / (1 - share + share * left)


def left_over(share: float, gained: float) -> float:
    """Return the rest of a share's time that a speed-up implies: the inverse of `speedup`.

    Negative where not even a rest of 0 would give it.

    Raises:
        SparsityError: no share, or no speed-up.
    """
    if not 0 < share <= 1 or gained <= 0:
        raise SparsityError(f"share {share}, speed-up {gained}: give more than 0, at most 1")
    return (1 / gained - (1 - share)) / share


@dataclass(frozen=True, slots=True)
class Split:
    """Bytes of weights that a token reads, as shares of all."""

    attention: float
    mlp: float
    head: float


def split_by_bytes(model: Architecture, weight_bytes: float = HALF_BYTES) -> Split:
    """Return where a dense token's weights go; the cache of keys and values is left out."""
    layers = model.shape.layers
    parts = [
        each * weight_bytes for each in (model.attention * layers, model.ffn * layers, model.head)
    ]
    return Split(*(each / sum(parts) for each in parts))
