# SPDX-License-Identifier: Apache-2.0
"""What a run is about: a weight matrix, an activation vector, and the mask that follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bdgen.scan import ElementName
from bdgen.target import Matrix
from host.errors import UsageError
from sparsity import masks, shapes
from sparsity.bf16 import from_bf16, to_bf16
from sparsity.capture import load_use_lite
from sparsity.recording import naming

CAPTURED = "use-lite"


@dataclass(frozen=True)
class Workload:
    """One matrix with one activation vector."""

    model: str
    pattern: str
    weights: NDArray[np.uint8]
    """(rows, row_bytes) bytes of W_down, one row per neuron."""
    activations: NDArray
    """(rows) as the layer before left them in memory: fp16, or bf16 as uint16."""
    dtype: ElementName
    """Element type of `activations`, as `bdgen.scan` names it."""
    wanted: NDArray[np.bool_]
    """(rows) which rows count, worked out here and not by bdgen."""

    @property
    def rows(self) -> int:
        """Rows of the matrix."""
        return self.weights.shape[0]

    @property
    def row_bytes(self) -> int:
        """Bytes of a row."""
        return self.weights.shape[1]

    @property
    def sparsity(self) -> float:
        """Share of rows that are not wanted."""
        return 1.0 - float(np.count_nonzero(self.wanted)) / self.rows

    def values(self) -> NDArray[np.float32]:
        """The activations as float32."""
        if self.dtype == "bf16":
            return from_bf16(self.activations)
        return self.activations.astype(np.float32)


def captured(layer: int, token: int) -> Workload:
    """The shipped layer of Universal Sentence Encoder Lite with one token's real activations.

    Raises:
        CaptureError: no such layer or token.
    """
    sample = load_use_lite().layer(layer, token)
    rows = sample.w_down.copy()  # host buffers must be writable
    values = sample.activation.astype(np.float64)
    return Workload(
        model="USE-lite",
        pattern="model",
        weights=rows.view(np.uint8).reshape(rows.shape[0], -1),
        activations=np.ascontiguousarray(sample.activation),
        dtype="fp16",
        wanted=(values != 0) | np.isnan(values),
    )


def matrix_shape(
    model: str | None, rows: int | None, row_bytes: int | None
) -> tuple[str, int, int]:
    """(name, rows, row bytes) from a model's name or from sizes given by hand.

    Raises:
        UsageError: both, or half of the sizes, or sizes that no shim DMA moves.
        PlanError: a matrix that host buffers cannot hold.
        ShapeError: no such model; the sentence lists those there are.
    """
    if rows is None and row_bytes is None:
        shape = shapes.shape(CAPTURED if model is None else model)
        return shape.name, shape.k, shape.row_bytes()
    if rows is None or row_bytes is None or model is not None:
        raise UsageError("give either --model, or both --rows and --row-bytes")
    if rows < 1 or row_bytes < 4 or row_bytes % 4:
        raise UsageError(
            f"{rows} rows of {row_bytes} bytes cannot be moved: rows must be positive and a "
            "row a multiple of 4 bytes, the word of a shim DMA"
        )
    Matrix(rows, row_bytes)  # refuses what host buffers cannot hold
    return f"{rows}x{row_bytes}", rows, row_bytes


def random_weights(rows: int, row_bytes: int, seed: int) -> NDArray[np.uint8]:
    """(rows, row_bytes) bytes that are finite small bf16 numbers, so that products stay finite."""
    rng = np.random.default_rng(seed)
    words = rng.integers(0, 1 << 16, (rows, row_bytes // 2), np.uint16)
    words &= 0x80FF
    words |= 0x3C00
    return words.view(np.uint8)


def masked(
    weights: NDArray[np.uint8], model: str, pattern: str, sparsity: float, seed: int
) -> Workload:
    """A workload whose wanted rows follow a pattern; their activations are random bf16 numbers.

    `pattern` may also be the path of a mask file; `sparsity` then says nothing.

    Raises:
        UsageError: neither a pattern nor a file.
        MaskError: a sparsity outside 0 to 1, or a file that is no mask of so many rows.
    """
    rows = weights.shape[0]
    wanted = _mask(pattern, rows, sparsity, seed)
    rng = np.random.default_rng(seed + 1)
    values = rng.uniform(0.5, 2.0, rows).astype(np.float32) * wanted
    name = pattern.encode(errors="replace").decode()  # JSON has no half characters
    return Workload(model, name, weights, to_bf16(values), "bf16", wanted)


def _mask(pattern: str, rows: int, sparsity: float, seed: int) -> masks.Mask:
    if pattern in masks.PATTERNS:
        return masks.make(pattern, rows, sparsity, seed)
    if not Path(pattern).exists() and not naming.is_named(pattern):
        known = ", ".join(("model", *masks.PATTERNS))
        raise UsageError(
            f"--mask {pattern!r} is neither one of {known} nor a file that exists: give one of "
            "these, the path of a mask file, or FILE.npz:LAYER:TOKEN of a recording"
        )
    return masks.from_file(pattern, rows)
