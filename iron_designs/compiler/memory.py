# SPDX-License-Identifier: Apache-2.0
"""Place buffers in their tiles: bank by bank in turn, or one after the other where that fails.

As mlir-aie's aie-assign-buffer-addresses (AIEAssignBuffers.cpp) does: largest buffers first, each
in the next bank with room; a buffer that no bank holds sends the whole tile to plain sequential
allocation.
"""

from __future__ import annotations

from collections.abc import Sequence

from aie2.devices import Device
from aie2.fields import WORD_BYTES
from aie2.tiles import TileKind
from iron_designs.compiler.objects import Buffer
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError

BANKS = {TileKind.MEMTILE: 8, TileKind.CORE: 4}
"""Memory banks of a tile (AIETargetModel.h)."""


def place(buffers: Sequence[Buffer], device: Device) -> dict[Buffer, int]:
    """Byte address of every buffer in its tile's memory.

    Raises:
        DesignError: the buffers of a tile exceed its memory.
    """
    by_tile: dict[Tile, list[Buffer]] = {}
    for buffer in buffers:
        by_tile.setdefault(buffer.tile, []).append(buffer)
    addresses: dict[Buffer, int] = {}
    for tile, mine in by_tile.items():
        size = device.memtile_bytes if tile.kind is TileKind.MEMTILE else device.core_bytes
        mine.sort(key=lambda buffer: -buffer.words)
        found = _in_banks(mine, size, BANKS[tile.kind]) or _in_sequence(mine, size, tile)
        addresses.update(found)
    return addresses


def _in_banks(buffers: Sequence[Buffer], size: int, banks: int) -> dict[Buffer, int] | None:
    """Each buffer in the next bank that has room for it; None if one fits nowhere."""
    bank_bytes = size // banks
    free = [bank * bank_bytes for bank in range(banks)]
    addresses: dict[Buffer, int] = {}
    bank = 0
    for buffer in buffers:
        for _ in range(banks):
            end = free[bank] + buffer.words * WORD_BYTES
            if end <= (bank + 1) * bank_bytes:
                break
            bank = (bank + 1) % banks
        else:
            return None
        addresses[buffer], free[bank] = free[bank], end
        bank = (bank + 1) % banks
    return addresses


def _in_sequence(buffers: Sequence[Buffer], size: int, tile: Tile) -> dict[Buffer, int]:
    addresses: dict[Buffer, int] = {}
    address = 0
    for buffer in buffers:
        addresses[buffer] = address
        address += buffer.words * WORD_BYTES
    if address > size:
        raise DesignError(
            f"the objects held in {tile} take {address} bytes and it has {size}: make them "
            "smaller, fewer, or less deep"
        )
    return addresses
