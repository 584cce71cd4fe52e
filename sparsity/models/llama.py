# SPDX-License-Identifier: Apache-2.0
"""A decoder of the Llama family in numpy: attention with shared keys, rotary positions, gated FFN.

One text at a time, all its tokens at once, nothing kept between calls: for measuring what a change
of an FFN does to the next-token probabilities, not for generating text.
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike

import numpy as np

from sparsity.errors import CaptureError, PackageError
from sparsity.models.activation import silu
from sparsity.models.gguf_file import GgufFile
from sparsity.models.interface import FfnWeights, Hook, Matrix, Tokens, check_layer

ARCHITECTURE = "llama"
ROPE_BASE = "llama.rope.freq_base"
"""Key of the header; a file that leaves it out means 10,000, as llama.cpp reads it."""


@dataclass(frozen=True, slots=True)
class Config:
    """Sizes and constants of a model, as its GGUF header has them."""

    layers: int
    d: int
    k: int
    heads: int
    kv_heads: int
    vocabulary: int
    context: int
    rope_base: float
    epsilon: float
    """Added to the mean square in a norm."""

    @property
    def head(self) -> int:
        """Length of one head's query."""
        return self.d // self.heads

    @classmethod
    def of(cls, file: GgufFile) -> Config:
        """Read the header of a GGUF file."""
        if file.fact("general.architecture") != ARCHITECTURE:
            raise PackageError(f"{file.path.name} is not of the architecture {ARCHITECTURE}")
        config = cls(
            layers=file.size("llama.block_count"),
            d=file.size("llama.embedding_length"),
            k=file.size("llama.feed_forward_length"),
            heads=file.size("llama.attention.head_count"),
            kv_heads=file.size("llama.attention.head_count_kv"),
            vocabulary=len(file.texts("tokenizer.ggml.tokens")),
            context=file.size("llama.context_length"),
            rope_base=file.real(ROPE_BASE) if file.states(ROPE_BASE) else 10_000.0,
            epsilon=file.real("llama.attention.layer_norm_rms_epsilon"),
        )
        if config.d % (2 * config.heads) or config.heads % config.kv_heads:
            raise PackageError(f"{file.path.name}: heads {config.heads} do not divide {config.d}")
        _refuse_variants(file, config)
        return config


def _refuse_variants(file: GgufFile, config: Config) -> None:
    """Refuse what this forward pass would leave out: other rotary positions, further tensors."""
    name, scaling, turned = file.path.name, "llama.rope.scaling.type", "llama.rope.dimension_count"
    if file.states(scaling) and file.fact(scaling) != "none":
        raise PackageError(f"{name} scales its rotary positions, which is not done here")
    if file.states(turned) and file.fact(turned) != config.head:
        raise PackageError(f"{name} turns {file.fact(turned)} of a head's {config.head} values")
    if config.layers > len(file.tensors):
        raise PackageError(f"{name} has {len(file.tensors)} tensors for {config.layers} layers")
    known = {f"{tensor}.weight" for tensor in ("token_embd", "output_norm", "output")}
    for number in range(config.layers):
        known |= {f"blk.{number}.{tensor}.weight" for tensor, _ in _shapes(config).values()}
    further = sorted(file.tensors - known)
    if further:
        raise PackageError(f"{name} has {further[0]}, which is not of a plain Llama")


@dataclass(frozen=True, slots=True, eq=False)
class _Layer:
    norm: Matrix
    query: Matrix
    key: Matrix
    value: Matrix
    output: Matrix
    ffn_norm: Matrix
    gate: Matrix
    up: Matrix
    down: Matrix
    """[d, k], as stored."""


class Llama:
    """A model of the Llama family from a GGUF file; see `FfnModel`."""

    gated = True
    activation = "silu"
    language = True

    def __init__(self, path: str | PathLike[str], name: str) -> None:
        self.name = name
        file = GgufFile(path)
        self.config = Config.of(file)
        self.layers, self.d, self.k = self.config.layers, self.config.d, self.config.k
        self.tokenizer = file.tokenizer()
        """Of the package `tokenizers`: `.encode(text).ids`, `.decode(ids)`."""
        sizes = self.config
        self._embedding = file.tensor("token_embd.weight", (sizes.vocabulary, sizes.d))
        self._norm = file.tensor("output_norm.weight", (sizes.d,))
        tied = not file.has("output.weight")
        self._head = (
            self._embedding if tied else file.tensor("output.weight", (sizes.vocabulary, sizes.d))
        )
        self._layers = [_read_layer(file, sizes, number) for number in range(sizes.layers)]

    def encode(self, text: str) -> Tokens:
        """Return the token numbers of a text."""
        return np.asarray(self.tokenizer.encode(text).ids, np.int64)

    def weights(self, layer: int) -> FfnWeights:
        """One layer's FFN weights; CaptureError for a layer that it lacks."""
        check_layer(self, layer)
        own = self._layers[layer]
        return FfnWeights(own.up, np.ascontiguousarray(own.down.T), own.gate)

    def run(self, tokens: Tokens, hook: Hook | None = None) -> Matrix:
        """Return the logits [T, vocabulary] of a text of T tokens.

        Raises:
            CaptureError: no tokens, more than the model takes, or numbers not in its vocabulary.
        """
        return self.hidden(tokens, hook) @ self._head.T

    def hidden(self, tokens: Tokens, hook: Hook | None = None) -> Matrix:
        """Return what the output matrix is multiplied with, [T, d]."""
        state = self._embedding[self._checked(tokens)]
        turns = _turns(len(state), self.config)
        for number, layer in enumerate(self._layers):
            state = state + _attention(self._scaled(state, layer.norm), layer, self.config, turns)
            state = state + _ffn(self._scaled(state, layer.ffn_norm), layer, number, hook)
        return self._scaled(state, self._norm)

    def _scaled(self, state: Matrix, weight: Matrix) -> Matrix:
        mean_square = np.square(state).mean(-1, keepdims=True)
        scale: Matrix = np.sqrt(mean_square + np.float32(self.config.epsilon))
        return np.divide(state, scale) * weight

    def _checked(self, tokens: Tokens) -> Tokens:
        numbers = np.asarray(tokens, np.int64)
        if numbers.ndim != 1 or not 0 < len(numbers) <= self.config.context:
            raise CaptureError(
                f"tokens are {list(numbers.shape)}: give one text of 1 to {self.config.context}"
            )
        if numbers.min() < 0 or numbers.max() >= self.config.vocabulary:
            raise CaptureError(f"a token number is not within 0 to {self.config.vocabulary - 1}")
        return numbers


def _shapes(sizes: Config) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Names in the file and shapes of a layer's weights, by the fields of `_Layer`."""
    d, k, kv = sizes.d, sizes.k, sizes.kv_heads * sizes.head
    return {
        "norm": ("attn_norm", (d,)),
        "query": ("attn_q", (d, d)),
        "key": ("attn_k", (kv, d)),
        "value": ("attn_v", (kv, d)),
        "output": ("attn_output", (d, d)),
        "ffn_norm": ("ffn_norm", (d,)),
        "gate": ("ffn_gate", (k, d)),
        "up": ("ffn_up", (k, d)),
        "down": ("ffn_down", (d, k)),
    }


def _read_layer(file: GgufFile, sizes: Config, number: int) -> _Layer:
    return _Layer(
        **{
            field: file.tensor(f"blk.{number}.{name}.weight", shape)
            for field, (name, shape) in _shapes(sizes).items()
        }
    )


def _turns(length: int, sizes: Config) -> tuple[Matrix, Matrix]:
    """Cosine and sine of every position's rotations, [T, head / 2]."""
    half = np.arange(0, sizes.head, 2) / sizes.head
    angle = np.outer(np.arange(length), sizes.rope_base**-half)
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def _turned(heads: Matrix, turns: tuple[Matrix, Matrix]) -> Matrix:
    """Rotate neighbouring pairs, the order of pairs in a GGUF file; `heads` is [heads, T, head]."""
    cosine, sine = turns
    even, odd = heads[..., 0::2], heads[..., 1::2]
    turned = np.empty_like(heads)
    turned[..., 0::2] = even * cosine - odd * sine
    turned[..., 1::2] = even * sine + odd * cosine
    return turned


def _attention(x: Matrix, layer: _Layer, sizes: Config, turns: tuple[Matrix, Matrix]) -> Matrix:
    def split(product: Matrix) -> Matrix:
        return product.reshape(len(x), -1, sizes.head).swapaxes(0, 1)

    query = _turned(split(x @ layer.query.T), turns)
    key = _turned(split(x @ layer.key.T), turns)
    shared = sizes.heads // sizes.kv_heads
    key, value = np.repeat(key, shared, 0), np.repeat(split(x @ layer.value.T), shared, 0)
    scores = query @ key.swapaxes(1, 2) / np.float32(np.sqrt(sizes.head))
    scores[:, *np.triu_indices(len(x), 1)] = -np.inf
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    return (scores @ value).swapaxes(0, 1).reshape(len(x), -1) @ layer.output.T


def _ffn(x: Matrix, layer: _Layer, number: int, hook: Hook | None) -> Matrix:
    gate: Matrix = x @ layer.gate.T
    up: Matrix = x @ layer.up.T
    a: Matrix = np.multiply(silu(gate), up)
    if hook is not None:
        instead = hook(number, x, gate, up, a)
        a = a if instead is None else _fitting(instead, a)
    return a @ layer.down.T


def _fitting(instead: Matrix, a: Matrix) -> Matrix:
    if np.shape(instead) != a.shape:
        raise CaptureError(f"a hook returned {list(np.shape(instead))} for {list(a.shape)}")
    return np.asarray(instead, np.float32)
