# SPDX-License-Identifier: Apache-2.0
"""What a model offers here: its FFNs' weights, and a forward pass that is opened up at each FFN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError

Matrix = NDArray[np.float32]
Tokens = NDArray[np.int64]

Hook = Callable[[int, Matrix, Matrix | None, Matrix, Matrix], Matrix | None]
"""Called at each layer's FFN with (layer, x, gate, up, a); may return what to use instead of `a`.

`x` [tokens, d] is the FFN's input, `gate` [tokens, k] the gate before its activation function (None
without a gate), `up` [tokens, k] the up product, before the activation function where there is no
gate, and `a` [tokens, k] the input of the down projection. All are the model's own: copy, do not
write into them.
"""


@dataclass(frozen=True, slots=True, eq=False)
class FfnWeights:
    """One layer's FFN, every matrix with one row per neuron."""

    up: Matrix
    """[k, d]"""
    down: Matrix
    """[k, d]: the transposed down projection."""
    gate: Matrix | None = None
    """[k, d]; None in an FFN without a gate."""
    bias_up: Matrix | None = None
    """[k]"""
    bias_down: Matrix | None = None
    """[d]"""


class FfnModel(Protocol):
    """A model that thresholds, predictors and captures can be tried on."""

    @property
    def name(self) -> str:
        """Name in tables and files."""
        ...

    @property
    def layers(self) -> int:
        """FFNs, from input to output."""
        ...

    @property
    def d(self) -> int:
        """Width: length of an FFN's input."""
        ...

    @property
    def k(self) -> int:
        """Neurons of an FFN."""
        ...

    @property
    def gated(self) -> bool:
        """Whether the FFN has a gate projection."""
        ...

    @property
    def activation(self) -> str:
        """Activation function: relu, silu, gelu."""
        ...

    @property
    def language(self) -> bool:
        """Whether `run` gives next-token logits, by which a perplexity can be had."""
        ...

    def weights(self, layer: int) -> FfnWeights:
        """One layer's FFN weights, as float32."""
        ...

    def run(self, tokens: Tokens, hook: Hook | None = None) -> Matrix:
        """Run a text.

        Args:
            tokens: [T] token numbers.
            hook: see `Hook`.

        Returns:
            Logits [T, vocabulary] of a language model, else what it makes of the text, any shape.
        """
        ...


def check_layer(model: FfnModel, layer: int) -> None:
    """CaptureError for a layer that a model lacks."""
    if not 0 <= layer < model.layers:
        raise CaptureError(f"{model.name} has no layer {layer}: give 0 to {model.layers - 1}")
