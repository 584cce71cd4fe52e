# SPDX-License-Identifier: Apache-2.0
"""Addresses and words worth trying: every kind of register, its neighbours, and nothing."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from aie2.core_registers import CORE_CONTROL_ADDRESS, PROGRAM_MEMORY
from aie2.dma_registers import MEMTILE_PAD_VALUES
from aie2.fields import WORD_MAX, Layout
from aie2.registers import (
    DMA,
    LOCKS,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX_ADDRESS,
    SWITCHES,
    Direction,
)
from aie2.tiles import COLUMN_MASK, ROW_MASK, ROWS, TileKind, address, kind, split

EDGES = (0, 4, 0xFFFC, 0x10000, 0x7FFFC, 0x80000, 0xFFFFC, 0x40000, 0xD0000, 0x34010)
"""Memory's first and last words, what lies behind them, and registers that are not modelled."""


def _offsets(which: TileKind) -> Iterator[int]:
    dma, locks, switch = DMA[which], LOCKS[which], SWITCHES[which]
    for bd in range(dma.bd_count):
        yield from range(dma.bd_address(bd), dma.bd_address(bd) + 4 * dma.bd.words, 4)
    for direction in Direction:
        for channel in range(dma.channels(direction)):
            yield from [dma.queue_address(direction, channel)] * 8
            yield from [dma.ctrl(direction, channel), dma.status(direction, channel)] * 4
    yield from range(locks.base, locks.base + locks.stride * locks.count, locks.stride)
    yield from range(switch.master_base, switch.master_base + 0x70, 4)
    yield from range(switch.slave_base, switch.slave_base + 0x70, 4)
    yield from range(switch.slot_base, switch.slot_base + 0x1A0, 4)
    yield from EDGES
    if which is TileKind.SHIM:
        yield from (SHIM_MUX_ADDRESS, SHIM_DEMUX_ADDRESS) * 4
    elif which is TileKind.MEMTILE:
        yield from range(MEMTILE_PAD_VALUES, MEMTILE_PAD_VALUES + 24, 4)
    else:
        yield from (CORE_CONTROL_ADDRESS, PROGRAM_MEMORY)


OFFSETS = {which: tuple(_offsets(which)) for which in TileKind}
QUEUES = {
    which: {dma.queue_address(way, n) for way in Direction for n in range(dma.channels(way))}
    for which, dma in DMA.items()
}


def one_in(rng: Random, count: int) -> bool:
    """Whether a thing that happens once in `count` times happens."""
    return rng.randrange(count) == 0


def some_address(rng: Random, columns: int) -> int:
    """A register address, mostly of a register that there is."""
    column, row = rng.randrange(columns), rng.randrange(len(ROWS))
    if one_in(rng, 30):
        column = rng.choice((columns, rng.randint(0, COLUMN_MASK)))
    if one_in(rng, 30):
        row = rng.choice((len(ROWS), rng.randint(0, ROW_MASK)))
    which = kind(row) if row in ROWS else TileKind.CORE
    return address(column, row, rng.choice(OFFSETS[which])) | (one_in(rng, 60) * rng.randrange(4))


def some_word(rng: Random, old: int = 0) -> int:
    """A word: small, extreme, any, or like the old one."""
    match rng.randrange(6):
        case 0:
            return rng.randrange(16)
        case 1:
            return rng.choice((0, WORD_MAX, 1 << 31, (1 << 31) - 1, 1, 1 << 16))
        case 2:
            return rng.getrandbits(32)
        case 3:
            return (old + rng.choice((-4, -1, 1, 4))) & WORD_MAX
        case _:
            return old ^ 1 << rng.randrange(32)


def some_push(rng: Random, layout: Layout) -> int:
    """A queue push."""
    bd = rng.randrange(16) if rng.randrange(4) else layout.field("start_bd_id").max
    repeat = 0 if rng.randrange(3) else rng.choice((1, 3, 255))
    token = rng.randrange(2)
    return int(layout.encode(start_bd_id=bd, repeat_count=repeat, enable_token_issue=token)[0])


def fitting_word(rng: Random, where: int, old: int = 0) -> int:
    """A word for the register at `where`: a push for a queue, else any."""
    place = split(where)
    if place.row in ROWS and place.offset in QUEUES[kind(place.row)] and rng.randrange(4):
        return some_push(rng, DMA[kind(place.row)].queue)
    return some_word(rng, old)
