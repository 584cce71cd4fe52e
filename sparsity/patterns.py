# SPDX-License-Identifier: Apache-2.0
"""How far a pattern of wanted rows says which rows come next: matches, chance, and what they cost.

The seed compares patterns by the share of neurons on which two agree. With half of them wanted, two
patterns that have nothing to do with each other agree on half, so every match is given beside that
chance and as kappa, which is 0 at chance and 1 if they are equal. Masks are [tokens, k], true where
the row is wanted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Agreement:
    """How one pattern foretells another, over all tokens."""

    match: float
    """Share of neurons on which both agree: the seed's figure."""
    chance: float
    """What it would be if each kept its density and nothing else."""
    kappa: float
    """(match - chance) / (1 - chance); 1 if both are constant and equal."""
    overlap: float
    """Jaccard: wanted by both over wanted by either; 1 if neither wants any."""
    recall: float
    """Share of the second's wanted rows that the first wants too."""


def agreement(first: Mask, second: Mask) -> Agreement:
    """Compare patterns of the same shape, neuron by neuron.

    Raises:
        SparsityError: shapes differ, or there is nothing to compare.
    """
    first, second = np.asarray(first, np.bool_), np.asarray(second, np.bool_)
    if first.shape != second.shape:
        raise SparsityError(
            f"patterns of shapes {first.shape} and {second.shape} cannot be compared: align the "
            "tokens first"
        )
    if not first.size:
        raise SparsityError("no pattern was given: compare at least one token")
    match = float(np.mean(first == second))
    p, q = float(np.mean(first)), float(np.mean(second))
    chance = p * q + (1 - p) * (1 - q)
    both, either = np.count_nonzero(first & second), np.count_nonzero(first | second)
    wanted = np.count_nonzero(second)
    return Agreement(
        match=match,
        chance=chance,
        kappa=(match - chance) / (1 - chance) if chance < 1 else 1.0,
        overlap=both / either if either else 1.0,
        recall=both / wanted if wanted else 1.0,
    )


def consecutive(masks: Mask, distance: int = 1) -> Agreement:
    """Each token's pattern beside the one `distance` tokens later.

    Raises:
        SparsityError: a distance of no token, or fewer tokens than that.
    """
    if distance < 1:
        raise SparsityError(f"a distance of {distance} tokens cannot be: give 1 or more")
    _check_tokens(masks, distance + 1)
    return agreement(masks[:-distance], masks[distance:])


def union_sparsity(masks: Mask, window: int) -> float:
    """Share of rows that no token of a window wants: what is left to skip for all at once.

    Windows are neighbouring tokens (speculative decoding) one after the other; tokens beyond the
    last whole window are left out.

    Raises:
        SparsityError: a window of no token, or more than there are.
    """
    if window < 1:
        raise SparsityError(f"a window of {window} tokens cannot be: give 1 or more")
    _check_tokens(masks, window)
    whole = len(masks) // window * window
    windows = np.asarray(masks[:whole], np.bool_).reshape(-1, window, masks.shape[1])
    return float(1 - np.mean(windows.any(axis=1)))


def batch_sparsity(masks: Mask, batch: int, samples: int = 200, seed: int = 0) -> float:
    """As `union_sparsity`, for a batch of tokens that have nothing to do with each other.

    Args:
        masks: [tokens, k].
        batch: Tokens in a batch, drawn without repetition.
        samples: Batches that are drawn.
        seed: Of the draw.

    Raises:
        SparsityError: a batch of no token, or more than there are.
    """
    if batch < 1:
        raise SparsityError(f"a batch of {batch} tokens cannot be: give 1 or more")
    _check_tokens(masks, batch)
    random = np.random.default_rng(seed)
    left = [
        np.mean(~masks[random.choice(len(masks), batch, replace=False)].any(axis=0))
        for _ in range(samples)
    ]
    return float(np.mean(left))


@dataclass(frozen=True, slots=True)
class Prefetch:
    """What "the same rows as for the last token" would load and miss, per token."""

    loaded: float
    """Share of rows loaded ahead."""
    missed: float
    """Share of the wanted rows that were not loaded ahead, and are loaded late."""
    useless: float
    """Share of the loaded rows that nobody wants."""


def last_token(masks: Mask, history: int = 1) -> Prefetch:
    """Prefetch every row that one of the last `history` tokens wanted.

    Raises:
        SparsityError: a history of no token, or fewer tokens than that.
    """
    if history < 1:
        raise SparsityError(f"a history of {history} tokens cannot be: give 1 or more")
    _check_tokens(masks, history + 1)
    masks = np.asarray(masks, np.bool_)
    ahead = np.zeros_like(masks[history:])
    for back in range(1, history + 1):
        ahead |= masks[history - back : len(masks) - back]
    wanted = masks[history:]
    loaded, needed = np.count_nonzero(ahead), np.count_nonzero(wanted)
    used = np.count_nonzero(ahead & wanted)
    return Prefetch(
        loaded=loaded / ahead.size,
        missed=1 - used / needed if needed else 0.0,
        useless=1 - used / loaded if loaded else 0.0,
    )


def _check_tokens(masks: Mask, least: int) -> None:
    if masks.ndim != 2:
        raise SparsityError(f"masks have shape {masks.shape}: give [tokens, neurons]")
    if len(masks) < least:
        raise SparsityError(f"{len(masks)} tokens are too few: give {least} or more")
