# SPDX-License-Identifier: Apache-2.0
"""A matmul's data movement on 16 cores: split, broadcast and joined, with 4-d transforms.

Shape and order of mlir-aie's whole_array example for 32x32x32 tiles of int16 in, int32 out, on four
of npu2's eight columns.
"""

from aie2.devices import NPU2
from iron_designs.dataflow import Dataflow, Dim, Fifo, Link, Tile

COLUMNS, ROWS = 4, 4
IN_WORDS, OUT_WORDS = 512, 1024
A_ORDER = (Dim(8, 64), Dim(8, 2), Dim(4, 16), Dim(2, 1))
B_ORDER = (Dim(8, 64), Dim(4, 4), Dim(4, 16), Dim(4, 1))
C_ORDER = (Dim(8, 128), Dim(4, 8), Dim(4, 32), Dim(8, 1))


def matmul():
    return Dataflow(
        NPU2,
        8,
        (*_to_memtiles(), *_to_rows(), *_columns(), *_results()),
        tuple(_links()),
        tuple(Tile(column, row) for row in range(6) for column in range(COLUMNS)),
    )


def _to_memtiles():
    for n in range(COLUMNS):
        yield Fifo(f"a_in_{n}", Tile(n, 0), (Tile(n, 1),), IN_WORDS)


def _to_rows():
    for row in range(ROWS):
        cores = tuple(Tile(column, 2 + row) for column in range(COLUMNS))
        yield Fifo(f"a_{row}", Tile(row, 1), cores, IN_WORDS, to_stream=A_ORDER)


def _columns():
    for n in range(COLUMNS):
        cores = tuple(Tile(n, 2 + row) for row in range(ROWS))
        yield Fifo(f"b_in_{n}", Tile(n, 0), (Tile(n, 1),), IN_WORDS)
        yield Fifo(f"b_{n}", Tile(n, 1), cores, IN_WORDS, to_stream=B_ORDER)


def _results():
    for n in range(COLUMNS):
        for row in range(ROWS):
            yield Fifo(f"c_{n}_{row}", Tile(n, 2 + row), (Tile(n, 1),), OUT_WORDS)
        yield Fifo(f"c_{n}", Tile(n, 1), (Tile(n, 0),), ROWS * OUT_WORDS, to_stream=C_ORDER)


def _links():
    for n in range(COLUMNS):
        yield Link((f"a_in_{n}",), (f"a_{n}",))
        yield Link((f"b_in_{n}",), (f"b_{n}",))
        parts = tuple(f"c_{n}_{row}" for row in range(ROWS))
        yield Link(parts, (f"c_{n}",), tuple(row * OUT_WORDS for row in range(ROWS)))
