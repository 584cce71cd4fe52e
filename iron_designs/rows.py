# SPDX-License-Identifier: Apache-2.0
"""Which rows a design moves over which column, in which batches: what the row designs share.

The k-th wanted row goes to column k mod columns, and each column writes its rows one after another
into its own part of the output. `gather_rows`, `gather_chain`, `dense_rowwise` and `gather_to_core`
turn the batches into transfers. `bdgen` does this per activation vector; here it is static.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aie2.devices import Device
from iron_designs.errors import DesignError
from iron_designs.limits import check_lanes, check_object, partition_name, words_of


@dataclass(frozen=True, slots=True)
class Share:
    """Rows that one column moves in one batch."""

    column: int
    rows: tuple[int, ...]
    """Rows of the matrix, in the order in which they are read."""
    place: int
    """Row of the output where the first of them lands."""


@dataclass(frozen=True, slots=True)
class Gather:
    """A matrix in DDR, the rows of it that are wanted, and the columns that move them.

    Raises:
        DesignError: the array cannot hold it, a row is not in the matrix, or rows are not whole
            objects.
    """

    device: Device
    wanted: tuple[int, ...]
    """Rows to move, in this order; a row may come twice."""
    columns: int = 1
    """Columns used, from the partition's first; one lane each."""
    matrix_rows: int = 64
    row_bytes: int = 8192
    object_bytes: int = 8192
    """Bytes of one fifo object: a lane moves whole objects or it stalls."""
    batch: int = 4
    """Most rows per column between two waits."""

    def __post_init__(self) -> None:
        check_lanes(self.device, self.columns, 1)
        words_of(self.row_bytes, "row bytes")
        check_object(self.device, self.object_bytes, 1)
        self._check_rows()
        self.check_batch(self.device.shim_bds - 1, "BDs of a shim besides the one that receives")
        self._check_whole_objects()

    @property
    def target(self) -> str:
        """mlir-aie's name of the partition."""
        return partition_name(self.device, self.columns)

    @property
    def longest_share(self) -> int:
        """Rows of the column that has most, which is the first."""
        return -(-len(self.wanted) // self.columns)

    @property
    def matrix_bytes(self) -> int:
        """Size of the host buffer that is read."""
        return self.matrix_rows * self.row_bytes

    @property
    def out_bytes(self) -> int:
        """Size of the host buffer that is written: an equal part for every column."""
        return self.columns * self.longest_share * self.row_bytes

    def batches(self) -> Iterator[list[Share]]:
        """What moves between two waits: a share for every column that still has rows."""
        dealt = [self.wanted[column :: self.columns] for column in range(self.columns)]
        for first in range(0, self.longest_share, self.batch):
            yield [
                Share(column, rows[first : first + self.batch], column * self.longest_share + first)
                for column, rows in enumerate(dealt)
                if rows[first:]
            ]

    def check_batch(self, limit: int, what: str) -> None:
        """Refuse a batch of more rows than there are of `what`.

        Raises:
            DesignError: says how many there are.
        """
        if not 1 <= self.batch <= limit:
            raise DesignError(f"batch is {self.batch} rows: give 1 to {limit}, the {what}")

    def _check_rows(self) -> None:
        if self.matrix_rows < 1:
            raise DesignError(f"matrix rows is {self.matrix_rows}: give 1 or more")
        if not self.wanted:
            raise DesignError("no row is wanted: give at least one")
        for row in self.wanted:
            _check_row(row, self.matrix_rows)

    def _check_whole_objects(self) -> None:
        for share in (share for batch in self.batches() for share in batch):
            moved = len(share.rows) * self.row_bytes
            if moved % self.object_bytes:
                raise DesignError(
                    f"column {share.column} moves {moved} bytes in a batch, which is not whole "
                    f"objects of {self.object_bytes} bytes: the last object would never leave the "
                    "memtile"
                )


def parse_rows(text: str, matrix_rows: int) -> tuple[int, ...]:
    """Rows from "1,4,8-11": numbers, and ranges with both ends.

    Raises:
        DesignError: it is neither, or a row is not in the matrix.
    """
    rows: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise DesignError(
                f"wanted rows {text!r} has {part.strip()!r}: give numbers and ranges like 1,4,8-11"
            )
        _check_row(max(int(first), int(last or 0)), matrix_rows)
        rows += range(int(first), int(last or first) + 1)
    return tuple(rows)


def add_options(add: Callable[..., object], *, batch: int, wanted: bool = True) -> None:
    """The sizes of a `Gather` on a command line; `batch` is the default."""
    add("--matrix-rows", type=int, default=64, help="rows in DDR (default: %(default)s)")
    add("--row-bytes", type=int, default=8192, help="one row (default: %(default)s)")
    add("--object-bytes", type=int, help="one fifo object (default: one row)")
    if wanted:
        add("--wanted", metavar="ROWS", help="like 1,4,8-11 (default: every second row)")
    add("--batch", type=int, default=batch, help="rows per wait and column (default: %(default)s)")


def from_options(device: Device, options: argparse.Namespace) -> Gather:
    """The `Gather` of a command line with `add_options`: of all rows if it cannot choose some."""
    wanted = tuple(range(options.matrix_rows))
    if "wanted" in options:
        chosen = options.wanted
        wanted = wanted[::2] if chosen is None else parse_rows(chosen, options.matrix_rows)
    return Gather(
        device,
        wanted,
        options.columns,
        options.matrix_rows,
        options.row_bytes,
        options.row_bytes if options.object_bytes is None else options.object_bytes,
        options.batch,
    )


def _check_row(row: int, matrix_rows: int) -> None:
    if not 0 <= row < matrix_rows:
        raise DesignError(f"row {row} is wanted, but the matrix has rows 0 to {matrix_rows - 1}")
