# SPDX-License-Identifier: Apache-2.0
"""Wanted rows in chains of BDs: one push, one receiving BD and one wait for up to 15 rows a column.

Each BD names the next one, so the task queue holds one task per batch however many rows it has. A
shim has 16 BDs, of which one receives. IRON's classes make tasks of a single BD, so this design is
in mlir-aie's placed API, which both generations share (`iron_designs.placed`). `gather_rows` is the
same without chains.

    python -m iron_designs.gather_chain -d npu2 --columns 8 --wanted 1,4,8-11
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

from aie2.devices import Device
from iron_designs import placed, rows
from iron_designs.command import Command
from iron_designs.rows import Gather, Share

BATCH = 15
"""BDs per chain if nothing else is said: all that the shim has besides the one that receives."""


def mlir(gather: Gather) -> str:
    """Text of the MLIR module that aiecc compiles.

    Raises:
        ToolchainMissing: mlir-aie cannot be imported.
    """
    aie = placed.load()

    def array() -> None:
        _sequence(aie, gather, placed.lanes(aie, gather.columns, 1, gather.object_bytes))

    return placed.module(aie, gather.target, array)


def _sequence(aie: SimpleNamespace, gather: Gather, lanes: Sequence[placed.Lane]) -> None:
    """Batch after batch: start every column's chain, then await what each receives."""

    @aie.runtime_sequence(placed.words(gather.matrix_bytes), placed.words(gather.out_bytes))
    def run(matrix: Any, out: Any) -> None:
        for batch in gather.batches():
            started: list[tuple[Any, Any]] = []
            for share in batch:
                write, read = _tasks(aie, gather, lanes[share.column], share, matrix, out)
                aie.dma_start_task(write, read)
                started.append((write, read))
            for write, read in started:
                aie.dma_await_task(write)
                aie.dma_free_task(read)


def _tasks(
    aie: SimpleNamespace, gather: Gather, lane: placed.Lane, share: Share, matrix: Any, out: Any
) -> tuple[Any, Any]:
    """The BD that receives a column's share, and the chain that reads it."""
    down, up = lane
    row = gather.row_bytes
    write = placed.linear(aie, up, out, share.place * row, len(share.rows) * row, token=True)
    read = placed.chain(aie, down, matrix, [(wanted * row, row) for wanted in share.rows])
    return write, read


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or compile the design that the command line describes; 0 when all went well."""
    summary = "Gather wanted rows of a matrix, a chain of BDs for each batch."
    return Command("gather_chain", summary, _add_options, _from_options).run(arguments)


def _add_options(add: Callable[..., object]) -> None:
    rows.add_options(add, batch=BATCH)


def _from_options(device: Device, options: argparse.Namespace) -> str:
    return mlir(rows.from_options(device, options))


if __name__ == "__main__":
    sys.exit(main())
