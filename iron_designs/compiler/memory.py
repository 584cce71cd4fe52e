# SPDX-License-Identifier: Apache-2.0
"""Place buffers in their tiles: bank by bank in turn, or one after the other where that fails.

As mlir-aie's aie-assign-buffer-addresses (AIEAssignBuffers.cpp) does: largest buffers first, each
in the next bank with room; a buffer that no bank holds sends the whole tile to plain sequential
allocation. Which of equally large buffers comes first is left to std::sort, and aiecc is built with
GNU's: beyond 16 buffers it does not keep them in order, so its steps are taken here.
"""

from __future__ import annotations

from collections.abc import Sequence

from aie2.devices import Device
from aie2.fields import WORD_BYTES
from aie2.tiles import TileKind
from iron_designs.compiler.parts import Buffer
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError

BANKS = {TileKind.MEMTILE: 8, TileKind.CORE: 4}
"""Memory banks of a tile (AIETargetModel.h)."""

SHORT = 16
"""A range of so many buffers is not partitioned any further (libstdc++)."""


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
        ordered = largest_first(mine)
        found = _in_banks(ordered, size, BANKS[tile.kind]) or _in_sequence(ordered, size, tile)
        addresses.update(found)
    return addresses


def largest_first(buffers: Sequence[Buffer]) -> list[Buffer]:
    """Buffers by falling size, equal ones in the order that std::sort leaves them in.

    Ranges are partitioned around a median of three until they are short; then all is sorted by
    insertion, which moves no equal ones. Its way out of bad partitions, a heap sort, is not here:
    equal sizes part well, and unequal ones have one order only.
    """
    ordered = list(buffers)
    ranges = [(0, len(ordered))]
    while ranges:
        first, last = ranges.pop()
        while last - first > SHORT:
            cut = _partition(ordered, first, last)
            ranges.append((cut, last))
            last = cut
    return sorted(ordered, key=lambda buffer: -buffer.words)


def _partition(ordered: list[Buffer], first: int, last: int) -> int:
    """Larger buffers before smaller ones, both swapped if they equal the median; where they meet.

    The median of the last, the middle and the second buffer, taken in this order if they are equal,
    goes to the front.
    """
    three = (last - 1, (first + last) // 2, first + 1)
    by_size = sorted(three, key=lambda at: -ordered[at].words)
    _swap(ordered, first, by_size[1])
    median = ordered[first].words
    left, right = first + 1, last
    while True:
        while ordered[left].words > median:
            left += 1
        right -= 1
        while median > ordered[right].words:
            right -= 1
        if left >= right:
            return left
        _swap(ordered, left, right)
        left += 1


def _swap(ordered: list[Buffer], one: int, other: int) -> None:
    ordered[one], ordered[other] = ordered[other], ordered[one]


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
