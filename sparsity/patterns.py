# SPDX-License-Identifier: Apache-2.0
"""How far a pattern of wanted rows says which rows come next: matches, chance, and what they cost.

The seed compares patterns by the share of neurons on which two agree. With half of them wanted, two
patterns that have nothing to do with each other agree on half, so every match is given beside that
chance and as kappa, which is 0 at chance and 1 if they are equal. Masks are [tokens, k], true where
the row is wanted. Texts that a model ran over one by one have masks of their own: the last token of
one is no neighbour of the next one's first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import SparsityError

Mask = NDArray[np.bool_]
Masks = Mask | Sequence[Mask]
"""[tokens, k] of one text, or of each of several."""


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


def consecutive(masks: Masks, distance: int = 1) -> Agreement:
    """Each token's pattern beside the one `distance` tokens later in its text.

    Raises:
        SparsityError: a distance of no token, or no text of more tokens than that.
    """
    if distance < 1:
        raise SparsityError(f"a distance of {distance} tokens cannot be: give 1 or more")
    texts = _texts(masks, distance + 1)
    return agreement(
        np.concatenate([each[:-distance] for each in texts]),
        np.concatenate([each[distance:] for each in texts]),
    )


def union_sparsity(masks: Masks, window: int) -> float:
    """Share of rows that no token of a window wants: what is left to skip for all at once.

    Windows are neighbouring tokens (speculative decoding) one after the other; tokens beyond a
    text's last whole window are left out.

    Raises:
        SparsityError: a window of no token, or of more than any text has.
    """
    if window < 1:
        raise SparsityError(f"a window of {window} tokens cannot be: give 1 or more")
    texts = _texts(masks, window)
    whole = np.concatenate([each[: len(each) // window * window] for each in texts])
    return float(1 - np.mean(whole.reshape(-1, window, whole.shape[1]).any(axis=1)))


def batch_sparsity(masks: Masks, batch: int, samples: int = 200, seed: int = 0) -> float:
    """As `union_sparsity`, for a batch of tokens that have nothing to do with each other.

    Args:
        masks: Of all texts together.
        batch: Tokens in a batch, drawn without repetition.
        samples: Batches that are drawn.
        seed: Of the draw.

    Raises:
        SparsityError: a batch of no token, or more than there are.
    """
    if batch < 1:
        raise SparsityError(f"a batch of {batch} tokens cannot be: give 1 or more")
    every = np.concatenate(_texts(masks, 0))
    _check_tokens(len(every), batch)
    random = np.random.default_rng(seed)
    left = [
        np.mean(~every[random.choice(len(every), batch, replace=False)].any(axis=0))
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


def last_token(masks: Masks, history: int = 1) -> Prefetch:
    """Prefetch every row that one of the last `history` tokens of the text wanted.

    Raises:
        SparsityError: a history of no token, or no text of more tokens than that.
    """
    if history < 1:
        raise SparsityError(f"a history of {history} tokens cannot be: give 1 or more")
    texts = _texts(masks, history + 1)
    wanted = np.concatenate([each[history:] for each in texts])
    ahead = np.zeros_like(wanted)
    for back in range(1, history + 1):
        ahead |= np.concatenate([each[history - back : len(each) - back] for each in texts])
    loaded, needed = np.count_nonzero(ahead), np.count_nonzero(wanted)
    used = np.count_nonzero(ahead & wanted)
    return Prefetch(
        loaded=loaded / ahead.size,
        missed=1 - used / needed if needed else 0.0,
        useless=1 - used / loaded if loaded else 0.0,
    )


def _texts(masks: Masks, least: int) -> list[Mask]:
    """Return the texts of at least that many tokens; SparsityError if there is none."""
    given = [masks] if isinstance(masks, np.ndarray) else masks
    texts = [np.asarray(each, np.bool_) for each in given]
    for each in texts:
        if each.ndim != 2 or not each.shape[1]:
            raise SparsityError(f"masks have shape {each.shape}: give [tokens, neurons]")
    if len(widths := sorted({each.shape[1] for each in texts})) > 1:
        raise SparsityError(f"texts have {widths} neurons: give those of one layer")
    _check_tokens(max(map(len, texts), default=0), least)
    return [each for each in texts if len(each) >= least]


def _check_tokens(tokens: int, least: int) -> None:
    if tokens < least:
        raise SparsityError(f"{tokens} tokens are too few: give {least} or more")
