# SPDX-License-Identifier: Apache-2.0
"""Did the right bytes arrive? Judged from the weights and the mask alone.

This module imports nothing of bdgen: which rows are wanted it works out itself, and of the plan it
takes only the claim of where each piece of a row landed, which it then proves or refutes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SENTINEL = 0xA5
"""What output buffers hold before a run, so that a byte nobody wrote shows."""

BLOCK_BYTES = 1 << 25
"""Bytes of rows that are looked at together: 1,024 rows of the longest that models have."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Where pieces of rows are said to be: arrays of equal length, byte offsets."""

    row: NDArray[np.int64]
    row_offset: NDArray[np.int64]
    nbytes: NDArray[np.int64]
    at: NDArray[np.int64]


def rows_complete(pieces: Pieces, wanted: NDArray[np.bool_], row_bytes: int) -> bool:
    """Whether every wanted row is claimed whole and exactly once, and no row twice or in part."""
    if not _inside(pieces.row, 1, wanted.size):
        return False
    if not _inside(pieces.row_offset, pieces.nbytes, row_bytes):
        return False
    covered = np.zeros(wanted.size, np.int64)
    np.add.at(covered, pieces.row, pieces.nbytes)
    whole = bool(np.all((covered == 0) | (covered == row_bytes)))
    start = pieces.row * row_bytes + pieces.row_offset
    apart = _disjoint(start, pieces.nbytes)
    return whole and apart and bool(np.all(covered[wanted] == row_bytes))


def closed(wanted: NDArray[np.bool_], max_gap: int) -> NDArray[np.bool_]:
    """Wanted rows, and those between two of them where at most `max_gap` lie there."""
    filled, rows = wanted.copy(), np.flatnonzero(wanted)
    for place in np.flatnonzero(np.diff(rows) - 1 <= max_gap) if max_gap else ():
        filled[rows[place] : rows[place + 1]] = True
    return filled


def bytes_right(
    output: NDArray[np.uint8], weights: NDArray[np.uint8], pieces: Pieces, row_bytes: int
) -> bool:
    """Whether every claimed piece equals the weights, each in bytes of the output of its own.

    `weights` has shape (rows, row_bytes); the pieces are as `rows_complete` wants them.
    """
    if not _inside(pieces.at, pieces.nbytes, output.size):
        return False
    if not _disjoint(pieces.at, pieces.nbytes):
        return False
    if np.all(pieces.nbytes == row_bytes) and not np.any(pieces.at % row_bytes):
        return _whole_rows_right(output, weights, pieces, row_bytes)
    return all(
        np.array_equal(output[at : at + count], weights[row, start : start + count])
        for row, start, count, at in zip(
            pieces.row, pieces.row_offset, pieces.nbytes, pieces.at, strict=True
        )
    )


def _whole_rows_right(
    output: NDArray[np.uint8], weights: NDArray[np.uint8], pieces: Pieces, row_bytes: int
) -> bool:
    """As `bytes_right`, for whole rows at multiples of a row: many rows at a time."""
    table = output[: output.size // row_bytes * row_bytes].reshape(-1, row_bytes)
    slots = pieces.at // row_bytes
    step = _rows_at_a_time(row_bytes)
    return all(
        np.array_equal(
            table[slots[first : first + step]], weights[pieces.row[first : first + step]]
        )
        for first in range(0, slots.size, step)
    )


def _inside(start: NDArray[np.int64], count: NDArray[np.int64] | int, size: int) -> bool:
    """Whether all of [start, start + count) lies within 0 and `size`, with nothing empty."""
    return bool(np.all((start >= 0) & (np.asarray(count) > 0) & (start + count <= size)))


def _disjoint(start: NDArray[np.int64], count: NDArray[np.int64]) -> bool:
    """Whether no two of [start, start + count) share a byte."""
    order = np.argsort(start, kind="stable")
    return bool(np.all(start[order][1:] >= (start + count)[order][:-1]))


def _rows_at_a_time(row_bytes: int) -> int:
    """Rows to look at together: few enough to take little memory however long they are."""
    return max(1, min(1024, BLOCK_BYTES // row_bytes))


def untouched(part: NDArray[np.uint8]) -> bool:
    """Whether a part of the output still holds what it held before the run."""
    return bool(np.all(part == SENTINEL))


def product(
    output: NDArray[np.uint8], pieces: Pieces, activations: NDArray[np.float32], row_bytes: int
) -> NDArray[np.float32]:
    """Sum of activation times gathered row, rows being bf16; pieces must be whole rows."""
    table = (
        output[: output.size // row_bytes * row_bytes].view(np.uint16).reshape(-1, row_bytes // 2)
    )
    return weighted_rows(table[pieces.at // row_bytes], activations[pieces.row])


def weighted_rows(
    rows_bf16: NDArray[np.uint16], activations: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Sum over rows of activation x row, in float32, a block of rows at a time."""
    total = np.zeros(rows_bf16.shape[1], np.float32)
    step = _rows_at_a_time(rows_bf16.itemsize * rows_bf16.shape[1])
    for first in range(0, rows_bf16.shape[0], step):
        block = rows_bf16[first : first + step].astype(np.uint32) << 16
        total += activations[first : first + step] @ block.view(np.float32)
    return total


def relative_error(found: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
    """Norm of the difference over the norm of `exact`; 0 when both are zero."""
    norm = float(np.linalg.norm(exact))
    difference = float(np.linalg.norm(found - exact))
    return difference / norm if norm else difference
