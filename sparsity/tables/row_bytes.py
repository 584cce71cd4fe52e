# SPDX-License-Identifier: Apache-2.0
"""Bytes of rows, activation vectors, bitmaps and sign bits, of every model in `sparsity.shapes`."""

from dataclasses import dataclass

from sparsity.predictor.blocks import FORMATS
from sparsity.predictor.traffic import HALF_BYTES, sign_predictor
from sparsity.shapes import MODELS, ModelShape

BATCH = 16
"""BDs of a tile that the seed's Phase 2 fills at once, one row each."""
READ_BYTES = 16
"""What the seed's Phase 2 reads of the vector at once."""


@dataclass(frozen=True, slots=True)
class RowBytes:
    """One model's layer."""

    model: str
    rows: int
    by_format: dict[str, int]
    """Bytes of a row, by element or block format."""
    matrix_bytes: int
    """The down projection in 16 bits."""
    vector_bytes: int
    """Its input in 16 bits."""
    bitmap_bytes: int
    batches: int
    """Of 16 rows, where all are wanted."""
    sign_bytes: int
    """Sign bits of the first matrix, one layer."""


def row_bytes(model: ModelShape) -> RowBytes:
    """Work out one model's row of the table."""
    formats = {dtype: model.row_bytes(dtype) for dtype in ("bf16", "int8", "int4")}
    for name, form in FORMATS.items():
        if model.d % form.weights == 0:
            formats[name] = model.d // form.weights * form.block_bytes
    return RowBytes(
        model=model.name,
        rows=model.k,
        by_format=formats,
        matrix_bytes=model.matrix_bytes(),
        vector_bytes=model.k * HALF_BYTES,
        bitmap_bytes=-(-model.k // 8),
        batches=-(-model.k // BATCH),
        sign_bytes=sign_predictor(model.d, model.k).read_bytes,
    )


def every_model() -> list[RowBytes]:
    """Return the table, a row for each model."""
    return [row_bytes(model) for model in MODELS]


def rows_told_by_a_read(element_bits: int) -> int:
    """Return about how many rows one read of `READ_BYTES` tells."""
    return READ_BYTES * 8 // element_bits
