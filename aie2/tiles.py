# SPDX-License-Identifier: Apache-2.0
"""Where registers and memory lie: the tile address map, and how a memtile's DMA sees memory.

Facts: mlir-aie lib/Dialect/AIE/IR/AIETargetModel.cpp; aie-rt driver/src/global/xaiemlgbl_reginit.c.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from aie2.errors import RegisterError

COLUMN_SHIFT = 25
"""A register address holds the column from this bit on, counted within the partition."""
ROW_SHIFT = 20
"""A register address holds the row from this bit on."""
COLUMN_MASK = 0x7F
"""Largest column that a 32-bit address can hold."""
ROW_MASK = 0x1F
"""Largest row that an address can hold."""
OFFSET_MASK = 0xFFFFF
"""Bits of an address that select a register or memory byte within its tile."""

OWN_MEMORY_OFFSET = 0x80000
"""Where a memtile's DMA sees the tile's own memory; below is the west neighbour's."""
EAST_MEMORY_OFFSET = 0x100000
"""Where a memtile's DMA sees the east neighbour's memory."""
MEMTILE_OWN_LOCK = 64
"""Id of a memtile's own lock 0 in its BDs; below are the west neighbour's."""
MEMTILE_EAST_LOCK = 128
"""Id of the east neighbour's lock 0 in a memtile's BDs."""


class TileKind(Enum):
    """What a tile is; the value is its name in messages."""

    SHIM = "shim"
    MEMTILE = "memtile"
    CORE = "core"


_KINDS = (TileKind.SHIM, TileKind.MEMTILE) + (TileKind.CORE,) * 4
"""Tile kind by row; the same on every device here."""
ROWS = range(len(_KINDS))
"""Rows that there are."""


class TileAddress(NamedTuple):
    """A register address taken apart; column within the partition, offset in bytes."""

    column: int
    row: int
    offset: int


def kind(row: int) -> TileKind:
    """Kind of the tiles in `row`; RegisterError for a row that no device has."""
    if row not in ROWS:
        raise RegisterError(f"row {row} does not exist: rows are 0 to {ROWS[-1]}")
    return _KINDS[row]


def address(column: int, row: int, offset: int) -> int:
    """Register address of byte `offset` in tile (column, row); RegisterError if out of range."""
    limits = (
        ("column", column, COLUMN_MASK),
        ("row", row, ROW_MASK),
        ("offset", offset, OFFSET_MASK),
    )
    for name, value, limit in limits:
        if not 0 <= value <= limit:
            raise RegisterError(f"{name} {value} does not fit a tile address: 0 to {limit} do")
    return column << COLUMN_SHIFT | row << ROW_SHIFT | offset


def split(address: int) -> TileAddress:
    """Column, row and byte offset of a 32-bit register address; RegisterError if it is wider."""
    if not 0 <= address < 1 << 32:
        raise RegisterError(f"address {address:#x} is not a 32-bit register address")
    row = address >> ROW_SHIFT & ROW_MASK
    return TileAddress(address >> COLUMN_SHIFT, row, address & OFFSET_MASK)
