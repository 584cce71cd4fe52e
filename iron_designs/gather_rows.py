# SPDX-License-Identifier: Apache-2.0
"""Phase 0: wanted rows, one BD and one push each: DDR -> memtile -> DDR, per column.

In IRON's own classes, for both generations of its API (`iron_designs.iron`). A shim's task queue
holds four, so a batch has at most four rows; one BD receives the batch, and its token ends it.
`gather_chain` needs a single push for up to 15 rows, `dense_rowwise` streams all rows this way.

    python -m iron_designs.gather_rows -d npu2 --columns 8 --wanted 1,4,8-11
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import Any

from aie2.devices import Device
from iron_designs import iron, rows
from iron_designs.command import Command
from iron_designs.rows import Gather

BATCH = 4
"""Rows per batch if nothing else is said: as many as the queue holds."""


def mlir(gather: Gather) -> str:
    """Text of the MLIR module that aiecc compiles.

    Raises:
        DesignError: a batch does not fit in the task queue.
        ToolchainMissing: mlir-aie cannot be imported.
    """
    gather.check_batch(gather.device.queue_depth, "tasks that a DMA channel's queue holds")
    return row_by_row(gather)


def row_by_row(gather: Gather) -> str:
    """`mlir`, whatever the batch: more rows than the queue holds may be pushed into it."""
    array = iron.array(gather.device, gather.columns)
    lanes = [array.pass_through(c, gather.object_bytes) for c in range(gather.columns)]
    row = gather.row_bytes

    def sequence(matrix: Any, out: Any) -> None:
        for batch in gather.batches():
            with array.group() as group:
                for share in batch:
                    lane = lanes[share.column]
                    for wanted in share.rows:
                        group.fill(lane, matrix, wanted * row, row)
                    group.drain(lane, out, share.place * row, len(share.rows) * row)

    return array.resolve(sequence, (gather.matrix_bytes, gather.out_bytes))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or compile the design that the command line describes; 0 when all went well."""
    summary = "Gather wanted rows of a matrix, one BD each."
    return Command("gather_rows", summary, _add_options, _from_options).run(arguments)


def _add_options(add: Callable[..., object]) -> None:
    rows.add_options(add, batch=BATCH)


def _from_options(device: Device, options: argparse.Namespace) -> str:
    return mlir(rows.from_options(device, options))


if __name__ == "__main__":
    sys.exit(main())
