# SPDX-License-Identifier: Apache-2.0
"""The table of registers that move no data: in order, apart from all that do, and no wider."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import pytest

from aie2.core_registers import CORE_CONTROL_ADDRESS
from aie2.devices import NPU1
from aie2.quiet_registers import QUIET
from aie2.registers import DMA, LOCKS, SHIM_DEMUX_ADDRESS, SHIM_MUX_ADDRESS, SWITCHES, Direction
from aie2.tiles import TileKind

KINDS = list(TileKind)


def moving(kind: TileKind) -> Iterator[int]:
    """Offsets of registers that move data."""
    dma, locks, switch = DMA[kind], LOCKS[kind], SWITCHES[kind]
    for bd in range(dma.bd_count):
        yield from range(dma.bd_address(bd), dma.bd_address(bd) + dma.bd_stride, 4)
    for direction in Direction:
        for channel in range(dma.channels(direction)):
            yield dma.ctrl(direction, channel)
            yield dma.queue_address(direction, channel)
            yield dma.status(direction, channel)
    yield from range(locks.base, locks.base + locks.stride * locks.count, locks.stride)
    yield from range(switch.master_base, switch.slot_base + 0x200, 4)
    if kind is TileKind.SHIM:
        yield from (SHIM_MUX_ADDRESS, SHIM_DEMUX_ADDRESS)
    elif kind is TileKind.MEMTILE:
        yield from (0, NPU1.memtile_bytes - 4)
    else:
        yield from (0, NPU1.core_bytes - 4, CORE_CONTROL_ADDRESS)


def quiet(kind: TileKind, offset: int) -> bool:
    return any(first <= offset < end for first, end in QUIET[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_ranges_are_of_whole_words_and_apart(kind: TileKind):
    assert all(first % 4 == end % 4 == 0 and first < end for first, end in QUIET[kind])
    ordered = sorted(QUIET[kind])
    assert all(end <= first for (_, end), (first, _) in pairwise(ordered))


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_moves_data_is_quiet(kind: TileKind):
    assert not [hex(offset) for offset in moving(kind) if quiet(kind, offset)]


@pytest.mark.parametrize(
    ("kind", "offsets"),
    [
        (TileKind.SHIM, (0x15004, 0x33000, 0x34010, 0x340D0, 0x3450C, 0x35004, 0x35048, 0xFFF00)),
        (TileKind.MEMTILE, (0x91000, 0x94010, 0x94060, 0x94518, 0xA06A0, 0xB0F00)),
        (TileKind.CORE, (0x12110, 0x14010, 0x14514, 0x20000, 0x32034, 0x32038, 0x34510, 0x36060)),
    ],
)
def test_what_designs_write_is_quiet(kind: TileKind, offsets: tuple[int, ...]):
    assert all(quiet(kind, offset) for offset in offsets)


@pytest.mark.parametrize(
    ("kind", "offsets"),
    [
        (TileKind.SHIM, (0x0, 0x1E008, 0x33010, 0x36030, 0x3F800, 0x40000, 0xFFF10, 0xFFFFC)),
        (TileKind.MEMTILE, (0x80000, 0x96030, 0x96048, 0xA06E0, 0xB0800, 0xD0000, 0xFFF10)),
        (TileKind.CORE, (0x10000, 0x16010, 0x36030, 0x36070, 0x3F800, 0x40000, 0x60010)),
    ],
)
def test_what_moves_stops_or_clears_data_and_what_is_unknown_is_not(
    kind: TileKind, offsets: tuple[int, ...]
):
    assert not [hex(offset) for offset in offsets if quiet(kind, offset)]
