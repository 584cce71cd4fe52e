# SPDX-License-Identifier: Apache-2.0
"""GGUF's block formats Q4_0, Q4_1 and Q8_0 to float32: before `signs`, where weights are quantised.

A block is 32 weights with one scale. In Q4_1 a weight is `scale * nibble + minimum`, Q4_0's scale
is often negative and Q8_0's may be, so that no bit of the stored weight need be its sign: signs are
taken of the values. Layouts are those of ggml (`ggml-common.h`, `ggml-quants.c`, MIT).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import ShapeError

BLOCK = 32
"""Weights in a block."""


@dataclass(frozen=True, slots=True)
class BlockFormat:
    """One block format."""

    name: str
    block_bytes: int
    values: Callable[[NDArray[np.uint8]], NDArray[Any]]
    """From [blocks, block_bytes] to float32 [blocks, BLOCK]."""


def _half(raw: NDArray[np.uint8], at: int) -> NDArray[Any]:
    """The float16 at byte `at` of every block, [blocks, 1]."""
    return np.ascontiguousarray(raw[:, at : at + 2]).view("<f2").astype(np.float32)


def _nibbles(raw: NDArray[np.uint8], at: int) -> NDArray[Any]:
    """The 4-bit numbers from byte `at` on: all low nibbles, then all high ones."""
    packed = raw[:, at : at + BLOCK // 2]
    return np.concatenate([packed & 15, packed >> 4], axis=1).astype(np.float32)


def _q4_0(raw: NDArray[np.uint8]) -> NDArray[Any]:
    return _half(raw, 0) * (_nibbles(raw, 2) - np.float32(8))


def _q4_1(raw: NDArray[np.uint8]) -> NDArray[Any]:
    return _half(raw, 0) * _nibbles(raw, 4) + _half(raw, 2)


def _q8_0(raw: NDArray[np.uint8]) -> NDArray[Any]:
    whole = np.ascontiguousarray(raw[:, 2 : 2 + BLOCK]).view(np.int8).astype(np.float32)
    return _half(raw, 0) * whole


FORMATS = {
    each.name: each
    for each in (
        BlockFormat("q4_0", 18, _q4_0),
        BlockFormat("q4_1", 20, _q4_1),
        BlockFormat("q8_0", 34, _q8_0),
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
