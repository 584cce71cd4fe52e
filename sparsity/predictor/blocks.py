# SPDX-License-Identifier: Apache-2.0
"""GGUF's block formats to float32: before `signs`, where weights are quantised.

In Q4_0, Q4_1 and Q8_0 a block is 32 weights with one scale, in Q4_K and Q6_K, of which files called
Q4_K_M are made, 256 weights with a scale and scales of their parts. In Q4_1 and Q4_K a weight is
`scale * number` and a minimum, in Q4_0 and Q6_K the scale is often negative and Q8_0's may be, so
that no bit of the stored weight need be its sign: signs are taken of the values. Layouts are those
of ggml (`ggml-common.h`, `ggml-quants.c`, MIT).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import ShapeError

_BLOCK, _SUPER_BLOCK = 32, 256
"""Weights in a block."""
_TWO_BITS = np.arange(0, 8, 2, dtype=np.uint8)[:, None]
"""Where in a byte four numbers of two bits are."""


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """One block format."""

    name: str
    block_bytes: int
    values: Callable[[NDArray[np.uint8]], NDArray[Any]]
    """From [blocks, block_bytes] to float32 [blocks, weights]."""
    weights: int = _BLOCK
    """In a block."""


def _half(raw: NDArray[np.uint8], at: int) -> NDArray[Any]:
    """The float16 at byte `at` of every block, [blocks, 1]."""
    return np.ascontiguousarray(raw[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(raw: NDArray[np.uint8], at: int) -> NDArray[Any]:
    """The 4-bit numbers from byte `at` on: all low nibbles, then all high ones."""
    packed = raw[:, at : at + _BLOCK // 2]
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)


def _q4_0(raw: NDArray[np.uint8]) -> NDArray[Any]:
    return _half(raw, 0) * (_nibbles(raw, 2) - np.float32(8))


def _q4_1(raw: NDArray[np.uint8]) -> NDArray[Any]:
    return _half(raw, 0) * _nibbles(raw, 4) + _half(raw, 2)


def _q8_0(raw: NDArray[np.uint8]) -> NDArray[Any]:
    whole = np.ascontiguousarray(raw[:, 2 : 2 + _BLOCK]).view(np.int8).astype(np.float32)
    return _half(raw, 0) * whole


def _q4_k(raw: NDArray[np.uint8]) -> NDArray[Any]:
    """Eight parts of 32, whose scales and minima have 6 bits: the last four's are in two places."""
    first, second, rest = raw[:, 4:8], raw[:, 8:12], raw[:, 12:16]
    scales = np.concatenate([first & 63, rest & 15 | first >> 6 << 4], axis=1).astype(np.float32)
    minima = np.concatenate([second & 63, rest >> 4 | second >> 6 << 4], axis=1).astype(np.float32)
    packed = raw[:, 16:].reshape(-1, 4, 1, 32)
    numbers = np.concatenate([packed & 15, packed >> 4], axis=2).reshape(-1, 8, 32)
    return (_half(raw, 0) * scales)[:, :, None] * numbers - (_half(raw, 2) * minima)[:, :, None]


def _q6_k(raw: NDArray[np.uint8]) -> NDArray[Any]:
    """Sixteen parts of 16 with signed scales; four bits of a number are here and two there."""
    low = raw[:, :128].reshape(-1, 2, 1, 64)
    low = np.concatenate([low & 15, low >> 4], axis=2).reshape(-1, 16, 16)
    high = (raw[:, 128:192].reshape(-1, 2, 1, 32) >> _TWO_BITS & 3).reshape(-1, 16, 16)
    numbers = (low | high << 4).astype(np.float32) - np.float32(32)
    scales = np.ascontiguousarray(raw[:, 192:208]).view(np.int8).astype(np.float32)
    return (_half(raw, 208) * scales)[:, :, None] * numbers


FORMATS = {
    each.name: each
    for each in (
        BlockFormat("q4_0", 18, _q4_0),
        BlockFormat("q4_1", 20, _q4_1),
        BlockFormat("q8_0", 34, _q8_0),
        BlockFormat("q4_k", 144, _q4_k, _SUPER_BLOCK),
        BlockFormat("q6_k", 210, _q6_k, _SUPER_BLOCK),
    )
}
"""Block formats by name."""


def dequantise(raw: NDArray[Any], name: str) -> NDArray[np.float32]:
    """Return the values of rows of blocks, float32 [rows, weights].

    Args:
        raw: uint8 [rows, bytes of a row].
        name: a key of `FORMATS`.

    Raises:
        ShapeError: unknown format, not bytes, or a row that is no whole number of blocks.
    """
    if name not in FORMATS:
        raise ShapeError(f"no block format {name!r}: choose from {', '.join(FORMATS)}")
    form = FORMATS[name]
    if raw.dtype != np.uint8 or raw.ndim != 2:
        raise ShapeError(f"{name} rows are uint8 [rows, bytes], not {raw.dtype} {list(raw.shape)}")
    if raw.shape[1] == 0 or raw.shape[1] % form.block_bytes:
        raise ShapeError(
            f"a row of {raw.shape[1]} bytes is no whole number of {name} blocks of "
            f"{form.block_bytes}: give the tensor as it is in the file, one row per neuron"
        )
    blocks = np.ascontiguousarray(raw).reshape(-1, form.block_bytes)
    return form.values(blocks).reshape(len(raw), -1)
