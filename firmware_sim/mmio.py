# SPDX-License-Identifier: Apache-2.0
"""Register writes in compiled code: the only way that anything in the array is configured.

The configuration (CDO) and the stream (TXN) come through the same `write32`.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aie2.registers import (
    CHANNEL_CTRL,
    CHANNEL_STATUS,
    LOCK_VALUE,
    MEMTILE_DMA,
    MEMTILE_LOCKS,
    MEMTILE_SWITCH,
    SHIM_DEMUX_ADDRESS,
    SHIM_DMA,
    SHIM_LOCKS,
    SHIM_MUX_ADDRESS,
    SHIM_SWITCH,
    SWITCH_SLOT,
)
from aie2.tiles import COLUMN_SHIFT, OFFSET_MASK, ROW_MASK, ROW_SHIFT
from firmware_sim import diagnostics as d
from firmware_sim.bd_registers import M_NEXT, M_USE_NEXT, S_NEXT, S_USE_NEXT, start_bd
from firmware_sim.bits import bits, cut, get, wide
from firmware_sim.calibration import Costs
from firmware_sim.compiled import SOURCES
from firmware_sim.diagnostics import report
from firmware_sim.dma import push_task, wake
from firmware_sim.state import (
    BD_SLOTS,
    CHANNEL_SLOTS,
    IDLE,
    MOVING,
    ROWS_MODELLED,
    SWITCH_WORDS,
    TILE_CHANNELS,
    WAIT_LOCK,
    Machine,
)

NOTHING, BD, CTRL, QUEUE, STATUS, LOCK, SWITCH, MUX, MEMORY = range(9)
"""What a register is."""

CONTROLLER_ID = bits(CHANNEL_CTRL, "controller_id")
LOCK_BITS = bits(LOCK_VALUE, "value")
STATUS_SIZE = bits(CHANNEL_STATUS, "task_queue_size")
STATUS_RUNNING = bits(CHANNEL_STATUS, "channel_running")
STATUS_OVERFLOW = bits(CHANNEL_STATUS, "task_queue_overflow")
STATUS_BD = bits(CHANNEL_STATUS, "cur_bd")
STATUS_STATE = bits(CHANNEL_STATUS, "status")
STATUS_LOCK = bits(CHANNEL_STATUS, "stalled_lock_acq")
STATUS_STREAM = bits(CHANNEL_STATUS, "stalled_stream")
TOKEN_ID_MASK = SWITCH_SLOT.field("id").mask

SHIM_BD_END = SHIM_DMA.bd_base + SHIM_DMA.bd_stride * SHIM_DMA.bd_count
MEMTILE_BD_END = MEMTILE_DMA.bd_base + MEMTILE_DMA.bd_stride * MEMTILE_DMA.bd_count

DMA_BASES = np.array(
    [
        [SHIM_DMA.bd_base, MEMTILE_DMA.bd_base],
        [SHIM_BD_END, MEMTILE_BD_END],
        [SHIM_DMA.s2mm_ctrl, MEMTILE_DMA.s2mm_ctrl],
        [SHIM_DMA.mm2s_ctrl, MEMTILE_DMA.mm2s_ctrl],
        [SHIM_DMA.s2mm_status, MEMTILE_DMA.s2mm_status],
        [SHIM_DMA.mm2s_status, MEMTILE_DMA.mm2s_status],
        [SHIM_DMA.s2mm_channels, MEMTILE_DMA.s2mm_channels],
        [SHIM_LOCKS.base, MEMTILE_LOCKS.base],
        [SHIM_LOCKS.count, MEMTILE_LOCKS.count],
        [SHIM_SWITCH.master_base, MEMTILE_SWITCH.master_base],
    ]
)
"""Register bases of (shim, memtile), one row each; read by `classify`."""

CTRL_STRIDE = SHIM_DMA.ctrl_stride
QUEUE_OFFSET = SHIM_DMA.queue_offset
BD_STRIDE = SHIM_DMA.bd_stride
STATUS_STRIDE = SHIM_DMA.status_stride
LOCK_STRIDE = SHIM_LOCKS.stride
if (
    MEMTILE_DMA.ctrl_stride,
    MEMTILE_DMA.queue_offset,
    MEMTILE_DMA.bd_stride,
    MEMTILE_DMA.status_stride,
    MEMTILE_LOCKS.stride,
) != (CTRL_STRIDE, QUEUE_OFFSET, BD_STRIDE, STATUS_STRIDE, LOCK_STRIDE):  # pragma: no cover
    raise RuntimeError("shim and memtile register strides differ: classify() must tell them apart")


@njit
def classify(row: int, offset: int, columns_memory: int) -> tuple[int, int, int]:
    """(what, number, word) of a register: BD and word, channel in its tile, lock, switch word."""
    bases = DMA_BASES[:, row]
    if bases[0] <= offset < bases[1]:
        return BD, (offset - bases[0]) // BD_STRIDE, (offset - bases[0]) % BD_STRIDE // 4
    for direction in range(2):
        ctrl = offset - bases[2 + direction]
        if 0 <= ctrl < bases[6] * CTRL_STRIDE:
            channel = direction * CHANNEL_SLOTS + ctrl // CTRL_STRIDE
            return (QUEUE if ctrl % CTRL_STRIDE == QUEUE_OFFSET else CTRL), channel, 0
        status = offset - bases[4 + direction]
        if 0 <= status < bases[6] * STATUS_STRIDE:
            return STATUS, direction * CHANNEL_SLOTS + status // STATUS_STRIDE, 0
    lock = offset - bases[7]
    if 0 <= lock < bases[8] * LOCK_STRIDE:
        return LOCK, lock // LOCK_STRIDE, 0
    switch = offset - bases[9]
    if 0 <= switch < SWITCH_WORDS * 4:
        return SWITCH, switch // 4, 0
    if row == 0 and offset in (SHIM_MUX_ADDRESS, SHIM_DEMUX_ADDRESS):
        return MUX, int(offset == SHIM_DEMUX_ADDRESS), 0
    if row == 1 and offset < columns_memory:
        return MEMORY, offset, 0
    return NOTHING, 0, 0


@njit
def merged(old: int, value: int, mask: int) -> int:
    """A register's word after a masked write."""
    return (wide(old) & ~wide(mask)) | (wide(value) & wide(mask))


@njit
def write32(
    m: Machine, costs: Costs, address: int, value: int, mask: int, live: bool, now: float
) -> None:
    """One masked 32-bit register write at partition address `address`.

    `live` is false while the configuration is being loaded: routes may still change then, and
    pushed tasks wait until the routes are known.
    """
    column, row = address >> COLUMN_SHIFT, (address >> ROW_SHIFT) & ROW_MASK
    offset = address & OFFSET_MASK
    if column >= m.memory.shape[0]:
        report(m, d.OUTSIDE_PARTITION, -1, 0, address, now)
        return
    if row >= ROWS_MODELLED or offset % 4:
        if live:
            report(m, d.UNMODELLED_REGISTER, -1, 0, address, now)
        return
    tile = column * ROWS_MODELLED + row
    what, number, word = classify(row, offset, m.memory.shape[1])
    channel = tile * TILE_CHANNELS + number
    if what == BD:
        if live:
            check_bd_free(m, tile, number, now)
        m.bds[tile, number, word] = merged(m.bds[tile, number, word], value, mask)
    elif what == QUEUE:
        if live:
            m.progress[0].pushes += 1
            if m.channels[channel].peer < 0:
                report(m, d.NO_ROUTE, channel, 0, 0, now)
        push_task(m, costs, channel, value & mask, now)
    elif what == CTRL:
        old = m.channels[channel].controller_id << CONTROLLER_ID.shift
        new = merged(old, value, mask)
        m.channels[channel].controller_id = cut(new, CONTROLLER_ID) & TOKEN_ID_MASK
    elif what == STATUS:
        if (value & mask) >> STATUS_OVERFLOW.shift & 1:
            m.channels[channel].overflowed = 0
    elif what == LOCK:
        m.locks[tile, number] = merged(m.locks[tile, number], value, mask) & LOCK_BITS.mask
        if live:
            wake(m, costs, tile, now)
    elif what == SWITCH:
        if live and m.switch[tile, number] != merged(m.switch[tile, number], value, mask):
            report(m, d.ROUTE_REWRITTEN, -1, tile, offset, now)
        m.switch[tile, number] = merged(m.switch[tile, number], value, mask)
    elif what == MUX:
        if live and m.mux[tile, number] != merged(m.mux[tile, number], value, mask):
            report(m, d.ROUTE_REWRITTEN, -1, tile, offset, now)
        m.mux[tile, number] = merged(m.mux[tile, number], value, mask)
    elif what == MEMORY:
        memory = m.memory[column].view(np.uint32)
        memory[number // 4] = merged(memory[number // 4], value, mask)
    elif live:
        report(m, d.UNMODELLED_REGISTER, -1, 0, address, now)


@njit
def read32(m: Machine, address: int, now: float) -> int:
    """Value of a register as the controller would read it; 0 where nothing is modelled."""
    column, row = address >> COLUMN_SHIFT, (address >> ROW_SHIFT) & ROW_MASK
    if column >= m.memory.shape[0] or row >= ROWS_MODELLED or address % 4:
        report(m, d.UNMODELLED_READ, -1, 0, address, now)
        return 0
    tile = column * ROWS_MODELLED + row
    what, number, word = classify(row, address & OFFSET_MASK, m.memory.shape[1])
    if what == BD:
        return wide(m.bds[tile, number, word])
    if what == STATUS:
        return channel_status(m, tile * TILE_CHANNELS + number)
    if what == CTRL:
        return m.channels[tile * TILE_CHANNELS + number].controller_id << CONTROLLER_ID.shift
    if what == LOCK:
        return m.locks[tile, number]
    if what == SWITCH:
        return wide(m.switch[tile, number])
    if what == MUX:
        return wide(m.mux[tile, number])
    if what == MEMORY:
        return wide(m.memory[column].view(np.uint32)[number // 4])
    report(m, d.UNMODELLED_READ, -1, 0, address, now)
    return 0


@njit
def channel_status(m: Machine, channel: int) -> int:
    """A channel's status register, from its state."""
    ch = m.channels[channel]
    phase, length = ch.phase, ch.queue_length
    running = phase != IDLE or length > 0
    word = length << STATUS_SIZE.shift
    word |= int(running) << STATUS_RUNNING.shift
    word |= ch.overflowed << STATUS_OVERFLOW.shift
    word |= ch.bd << STATUS_BD.shift
    if running:
        word |= 2 << STATUS_STATE.shift
    if phase == WAIT_LOCK:
        word |= 1 << STATUS_LOCK.shift
    elif running and phase != MOVING:
        word |= 1 << STATUS_STREAM.shift
    return word


@njit
def check_bd_free(m: Machine, tile: int, bd: int, now: float) -> None:
    """Report a write to a BD that a running or queued task of the tile has still to execute."""
    for channel in range(tile * TILE_CHANNELS, (tile + 1) * TILE_CHANNELS):
        ch = m.channels[channel]
        if ch.task < 0:
            continue
        live = chain_holds(m, tile, ch.bd, bd)
        if ch.rounds_left > 0:
            live = live or chain_holds(m, tile, start_bd(channel, ch.task), bd)
        for queued in range(ch.queue_length):
            live = live or chain_holds(m, tile, start_bd(channel, ch.queue[queued]), bd)
        if live:
            report(m, d.LIVE_BD_REWRITTEN, channel, 0, bd, now)
            return


@njit
def chain_holds(m: Machine, tile: int, start: int, wanted: int) -> bool:
    """Whether a chain of BDs that begins at `start` comes by BD `wanted`."""
    bd = start
    shim = tile % ROWS_MODELLED == 0
    for _ in range(BD_SLOTS):
        if bd == wanted:
            return True
        if bd >= BD_SLOTS:
            return False
        words = m.bds[tile, bd]
        if not (get(words, S_USE_NEXT) if shim else get(words, M_USE_NEXT)):
            return False
        bd = get(words, S_NEXT) if shim else get(words, M_NEXT)
    return False


@njit
def write_all(
    m: Machine, costs: Costs, addresses: NDArray, values: NDArray, masks: NDArray
) -> None:
    """Load a configuration: register writes in order, before anything runs."""
    for write in range(addresses.size):
        write32(
            m,
            costs,
            wide(addresses[write]),
            wide(values[write]),
            wide(masks[write]),
            False,
            0.0,
        )


def _entry(stamp: int) -> Callable[[Machine, Costs, NDArray, NDArray, NDArray], None]:
    @njit(cache=True)
    def entry(
        m: Machine, costs: Costs, addresses: NDArray, values: NDArray, masks: NDArray
    ) -> None:
        if stamp:
            write_all(m, costs, addresses, values, masks)

    return entry


replay = _entry(SOURCES)
"""`write_all`, compiled once for these sources and kept on disk."""
