# SPDX-License-Identifier: Apache-2.0
"""How well a language model foretells a text: the exponential of the mean loss per token."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.models.interface import FfnModel, Hook, Matrix, Tokens

_BLOCK = 64
"""Rows of logits that are turned into losses at once."""


def losses(logits: Matrix, tokens: Tokens) -> NDArray[np.float64]:
    """Return the loss in nats of every token but the first, [T - 1]."""
    parts = [np.zeros(0)]
    for start in range(0, len(tokens) - 1, _BLOCK):
        rows = logits[start : min(start + _BLOCK, len(tokens) - 1)]
        wanted = tokens[start + 1 : start + 1 + len(rows)]
        highest = rows.max(-1)
        total = np.log(np.exp(rows - highest[:, None]).sum(-1, dtype=np.float64))
        parts.append(total + highest - rows[np.arange(len(rows)), wanted])
    return np.concatenate(parts)


def perplexity(model: FfnModel, windows: Sequence[Tokens], hook: Hook | None = None) -> float:
    """Return exp(mean loss) over all windows, each run by itself; the first tokens do not count.

    Raises:
        CaptureError: no window of two tokens or more.
    """
    if not any(len(window) > 1 for window in windows):
        raise CaptureError("a perplexity needs at least one window, of two tokens or more")
    every = np.concatenate([losses(model.run(window, hook), window) for window in windows])
    return float(np.exp(every.mean()))
