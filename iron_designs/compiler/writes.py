# SPDX-License-Identifier: Apache-2.0
"""Register writes, the compiler's result: what a CDO file is made of."""

from __future__ import annotations

from dataclasses import dataclass

from aie2.tiles import address as tile_address
from iron_designs.dataflow import Tile


@dataclass(frozen=True, slots=True)
class Write:
    """A 32-bit write, or under a mask."""

    address: int
    value: int
    mask: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive words."""

    address: int
    words: tuple[int, ...]


Op = Write | Block


def at(tile: Tile, offset: int) -> int:
    """Address of byte `offset` in a tile."""
    return tile_address(tile.column, tile.row, offset)
