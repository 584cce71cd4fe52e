# SPDX-License-Identifier: Apache-2.0
"""Phase 1's stream: every row of the matrix, one BD each, dealt to the columns in turn.

What `gather_rows` does, for all rows: firmware that has the pattern in its image skips the rows
that are not wanted, and stock firmware runs the whole of it as the dense baseline. A batch may have
up to 15 rows, as a compiler would make it of one BD per row; more than the four that a task queue
holds are safe only if the queue drains while the controller pushes, so four is the default.

    python -m iron_designs.dense_rowwise -d npu --columns 4 --matrix-rows 64
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

from aie2.devices import Device
from iron_designs import rows
from iron_designs.command import Command
from iron_designs.errors import DesignError
from iron_designs.gather_rows import BATCH, row_by_row
from iron_designs.rows import Gather


def mlir(gather: Gather) -> str:
    """Text of the MLIR module that aiecc compiles.

    Raises:
        DesignError: `gather` does not want all rows in order.
        ToolchainMissing: mlir-aie cannot be imported.
    """
    if gather.wanted != tuple(range(gather.matrix_rows)):
        raise DesignError(
            f"{len(gather.wanted)} rows are wanted: a dense stream has all {gather.matrix_rows} of "
            "the matrix in order, use gather_rows for some"
        )
    return row_by_row(gather)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or compile the design that the command line describes; 0 when all went well."""
    summary = "Stream all rows of a matrix, one BD each."
    return Command("dense_rowwise", summary, _add_options, _from_options).run(arguments)


def _add_options(add: Callable[..., object]) -> None:
    rows.add_options(add, batch=BATCH, wanted=False)


def _from_options(device: Device, options: argparse.Namespace) -> str:
    return mlir(rows.from_options(device, options))


if __name__ == "__main__":
    sys.exit(main())
