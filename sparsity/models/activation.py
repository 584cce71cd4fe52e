# SPDX-License-Identifier: Apache-2.0
"""Activation functions of FFNs, and what goes into a down projection."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sparsity.errors import SparsityError
from sparsity.models.interface import FfnWeights, Matrix


def relu(x: Matrix) -> Matrix:
    """Nothing below zero."""
    return np.maximum(x, np.float32(0))


def silu(x: Matrix) -> Matrix:
    """Return x / (1 + exp(-x)), written so that nothing overflows."""
    return np.asarray(x * (np.tanh(x * np.float32(0.5)) * 0.5 + 0.5), np.float32)


def gelu(x: Matrix) -> Matrix:
    """Return GELU by its tanh approximation (Hendrycks and Gimpel, arXiv 1606.08415)."""
    inner = np.float32(np.sqrt(2 / np.pi)) * (x + np.float32(0.044715) * x**3)
    return np.asarray(x * (np.tanh(inner) * 0.5 + 0.5), np.float32)


ACTIVATIONS: dict[str, Callable[[Matrix], Matrix]] = {"relu": relu, "silu": silu, "gelu": gelu}
"""By the name that a model gives in `FfnModel.activation`."""


def activate(name: str, x: Matrix) -> Matrix:
    """Return an activation function's values; SparsityError for a name that is not known."""
    if name not in ACTIVATIONS:
        raise SparsityError(f"no activation {name!r} is known: give {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[name](x)


def down_input(x: Matrix, weights: FfnWeights, activation: str) -> Matrix:
    """Return what goes into the down projection, [tokens, k], for an FFN's input [tokens, d]."""
    up: Matrix = x @ weights.up.T
    if weights.bias_up is not None:
        up = up + weights.bias_up
    if weights.gate is None:
        return activate(activation, up)
    return np.multiply(activate(activation, x @ weights.gate.T), up)
