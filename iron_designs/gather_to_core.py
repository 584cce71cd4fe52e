# SPDX-License-Identifier: Apache-2.0
"""Wanted rows stay on the array: DDR -> memtile, where a core takes them one after another.

The memtile holds several rows, so that reading DDR runs ahead of the core; nothing goes back to
DDR, and what a batch waits for is the token of its last read. Each column has one core (a Worker)
that acquires and releases row by row; a kernel, compiled beforehand and called with the row, is an
option. In IRON's own classes, for both generations of its API (`iron_designs.iron`). Cores have
code, so compiling this design needs Peano (llvm-aie). `gather_rows` passes the rows out instead.

    python -m iron_designs.gather_to_core -d npu --columns 4 --kernel scale.o --function scale_row
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aie2.devices import Device
from iron_designs import iron, rows
from iron_designs.command import Command
from iron_designs.errors import DesignError
from iron_designs.gather_rows import BATCH
from iron_designs.limits import DEPTH
from iron_designs.placed import words
from iron_designs.rows import Gather

RESIDENT = 4
"""Rows that a memtile holds if nothing else is said."""

CORE_ROW = 2
"""Row of the consuming core: the one next to the memtile."""

STACK_BYTES = 1024
"""Stack of a core as IRON's Worker sets it aside if nothing else is said."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A function for the core: `void name(int32_t *row)` in a compiled object file."""

    object_file: Path
    name: str

    def __post_init__(self) -> None:
        if not self.object_file.is_file():
            raise DesignError(f"kernel {self.object_file} is not a file: compile it first")


@dataclass(frozen=True, slots=True)
class GatherToCore:
    """Rows for cores; an object is a row.

    Raises:
        DesignError: memtile or core cannot hold the rows, or a batch overflows the task queue.
    """

    gather: Gather
    resident: int = RESIDENT
    """Rows that a memtile holds."""
    kernel: Kernel | None = None
    """What the core does with each row; nothing else than acquire and release it."""

    def __post_init__(self) -> None:
        gather, npu = self.gather, self.gather.device
        if gather.object_bytes != gather.row_bytes:
            raise DesignError(
                f"object bytes is {gather.object_bytes} and row bytes {gather.row_bytes}: the core "
                "takes whole rows, make them equal"
            )
        gather.check_batch(npu.queue_depth, "tasks that a DMA channel's queue holds")
        # Each row held has a BD to receive and one to send, on channels that share half the BDs.
        most = min(npu.memtile_bytes // gather.row_bytes, npu.memtile_bds // 2 // 2)
        if not 1 <= self.resident <= most:
            raise DesignError(
                f"resident is {self.resident} rows of {gather.row_bytes} bytes: a memtile of "
                f"{npu.memtile_bytes} bytes and {npu.memtile_bds} BDs holds 1 to {most}"
            )
        room = (npu.core_bytes - STACK_BYTES) // DEPTH
        if gather.row_bytes > room:
            raise DesignError(
                f"row bytes is {gather.row_bytes}: {DEPTH} rows and a stack must fit in a core's "
                f"{npu.core_bytes} bytes, so at most {room}"
            )


def mlir(design: GatherToCore) -> str:
    """Text of the MLIR module that aiecc compiles.

    Raises:
        ToolchainMissing: mlir-aie cannot be imported.
    """
    gather, row = design.gather, design.gather.row_bytes
    array = iron.array(gather.device, gather.columns)
    kernels = _kernels(array, design)
    ends = [_column(array, design, column, kernels) for column in range(gather.columns)]

    def sequence(matrix: Any) -> None:
        for batch in gather.batches():
            with array.group() as group:
                for share in batch:
                    lane, _ = ends[share.column]
                    for index, wanted in enumerate(share.rows, 1):
                        last = index == len(share.rows)
                        group.fill(lane, matrix, wanted * row, row, wait=last)

    return array.resolve(sequence, (gather.matrix_bytes,), [worker for _, worker in ends])


def _kernels(array: iron.Array, design: GatherToCore) -> list[Any]:
    """IRON's Kernel for the design's, if it has one."""
    if design.kernel is None:
        return []
    file, name = design.kernel.object_file.resolve(), design.kernel.name
    return [array.iron.Kernel(name, str(file), [words(design.gather.row_bytes)])]


def _column(
    array: iron.Array, design: GatherToCore, column: int, kernels: Sequence[Any]
) -> tuple[iron.Lane, Any]:
    """The lane of a column and the worker at its end."""
    make = array.iron
    item = words(design.gather.row_bytes)
    down = make.ObjectFifo(item, depth=design.resident, name=f"down{column}")
    held = down.cons().forward(make.Tile(column, 1), name=f"core{column}")
    worker = make.Worker(_consume, [held.cons(DEPTH), *kernels], make.Tile(column, CORE_ROW))
    return array.lane(column, down), worker


def _consume(held: Any, *kernels: Any) -> None:
    """What a core does over and over: take the next row, call the kernel, give the row back."""
    row = held.acquire(1)
    for kernel in kernels:
        kernel(row)
    held.release(1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or compile the design that the command line describes; 0 when all went well."""
    summary = "Bring wanted rows of a matrix to a core in each column."
    return Command("gather_to_core", summary, _add_options, _from_options).run(arguments)


def _add_options(add: Callable[..., object]) -> None:
    rows.add_options(add, batch=BATCH)
    add("--resident", type=int, default=RESIDENT, help="rows in a memtile (default: %(default)s)")
    add("--kernel", type=Path, metavar="FILE", help="object file of a kernel (default: none)")
    add("--function", default="consume_row", help="its function (default: %(default)s)")


def _from_options(device: Device, options: argparse.Namespace) -> str:
    kernel = None if options.kernel is None else Kernel(options.kernel, options.function)
    return mlir(GatherToCore(rows.from_options(device, options), options.resident, kernel))


if __name__ == "__main__":
    sys.exit(main())
