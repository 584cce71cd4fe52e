# SPDX-License-Identifier: Apache-2.0
"""Register accesses in compiled code: the only way that anything in the array is configured.

The configuration (CDO), the stream (TXN) and control packets come through the same `write32`.
"""

from __future__ import annotations

import numpy as np

from aie2.core_registers import CORE_CONTROL, CORE_CONTROL_ADDRESS
from aie2.dma_registers import MEMTILE_PAD_VALUES
from aie2.quiet_registers import QUIET
from aie2.registers import (
    CHANNEL_STATUS,
    DMA,
    LOCK_VALUE,
    LOCKS,
    MEMTILE_CHANNEL_CTRL,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX_ADDRESS,
    SWITCHES,
    Direction,
)
from aie2.switch_registers import LOCK_REQUEST as REQUEST
from aie2.tiles import COLUMN_SHIFT, OFFSET_MASK, ROW_MASK, ROW_SHIFT
from firmware_sim import diagnostics as d
from firmware_sim.array.bd_registers import BD_COUNTS, chain_holds, start_bd, tile_kind
from firmware_sim.array.bits import bits, cut, wide
from firmware_sim.array.dma import out_of_order, push_task, reset_channel
from firmware_sim.array.locks import acquire, change, wake
from firmware_sim.array.pointers import words_at
from firmware_sim.array.state import (
    CHANNEL_SLOTS,
    CORE,
    HALTED,
    IDLE,
    KINDS,
    LOCK_SLOTS,
    MEMTILE,
    MOVING,
    NONE,
    ROWS,
    SHIM,
    SWITCH_WORDS,
    TILE_CHANNELS,
    WAIT_HEADER,
    WAIT_LOCK,
    State,
)
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

(
    NOTHING,
    BD,
    CTRL,
    QUEUE,
    STATUS,
    LOCK,
    SWITCH,
    MUX,
    MEMORY,
    PAD_VALUE,
    CORE_ENABLE,
    LOCK_REQUEST,
    SILENT,
) = range(13)
"""What a register is."""

LOCK_BITS = bits(LOCK_VALUE, "value")
RESET = bits(MEMTILE_CHANNEL_CTRL, "reset")
ENABLE = bits(CORE_CONTROL, "enable")
STATUS_SIZE = bits(CHANNEL_STATUS, "task_queue_size")
STATUS_RUNNING = bits(CHANNEL_STATUS, "channel_running")
STATUS_OVERFLOW = bits(CHANNEL_STATUS, "task_queue_overflow")
STATUS_INVALID = bits(CHANNEL_STATUS, "error_bd_invalid")
STATUS_BD = bits(CHANNEL_STATUS, "cur_bd")
STATUS_STATE = bits(CHANNEL_STATUS, "status")
STATUS_LOCK = bits(CHANNEL_STATUS, "stalled_lock_acq")
STATUS_STREAM = bits(CHANNEL_STATUS, "stalled_stream")
ALL_BITS = 0xFFFFFFFF

_MAPS = [DMA[kind] for kind in KINDS]
_STRIDES = {
    (dma.bd_stride, dma.ctrl_stride, dma.queue_offset, dma.status_stride, LOCKS[dma.kind].stride)
    for dma in _MAPS
}
if len(_STRIDES) != 1:  # pragma: no cover
    raise RuntimeError(
        "register strides differ between tile kinds: classify() must tell them apart"
    )
((BD_STRIDE, CTRL_STRIDE, QUEUE_OFFSET, STATUS_STRIDE, LOCK_STRIDE),) = _STRIDES

BD_BASES = np.array([dma.bd_base for dma in _MAPS])
CTRL_BASES = np.array([[dma.s2mm_ctrl, dma.mm2s_ctrl] for dma in _MAPS])
STATUS_BASES = np.array([[dma.s2mm_status, dma.mm2s_status] for dma in _MAPS])
CHANNEL_COUNTS = np.array([[dma.channels(way) for way in Direction] for dma in _MAPS])
LOCK_BASES = np.array([LOCKS[kind].base for kind in KINDS])
LOCK_COUNTS = np.array([LOCKS[kind].count for kind in KINDS])
REQUEST_BASES = np.array([LOCKS[kind].request for kind in KINDS])
REQUEST_BYTES = 1 << REQUEST.field("lock").shift
REQUEST_ACQUIRE = bits(REQUEST, "acquire")
REQUEST_VALUE = bits(REQUEST, "value")
SWITCH_BASES = np.array([SWITCHES[kind].master_base for kind in KINDS])
QUIET_RANGES = np.array(
    [(number, *span) for number, kind in enumerate(KINDS) for span in QUIET[kind]], np.int64
).reshape(-1, 3)
"""(kind, first, end) of registers that have no part in moving data."""


@compiled
def classify(kind: int, offset: int, memory_bytes: int) -> tuple[int, int, int]:
    """(what, number, word) of a register: BD and word, channel in its tile, lock, switch word."""
    bd = offset - BD_BASES[kind]
    if 0 <= bd < BD_COUNTS[kind] * BD_STRIDE:
        return BD, bd // BD_STRIDE, bd % BD_STRIDE // 4
    for direction in range(2):
        count = CHANNEL_COUNTS[kind, direction]
        ctrl = offset - CTRL_BASES[kind, direction]
        if 0 <= ctrl < count * CTRL_STRIDE:
            channel = direction * CHANNEL_SLOTS + ctrl // CTRL_STRIDE
            return (QUEUE if ctrl % CTRL_STRIDE == QUEUE_OFFSET else CTRL), channel, 0
        status = offset - STATUS_BASES[kind, direction]
        if 0 <= status < count * STATUS_STRIDE:
            return STATUS, direction * CHANNEL_SLOTS + status // STATUS_STRIDE, 0
    lock = offset - LOCK_BASES[kind]
    if 0 <= lock < LOCK_COUNTS[kind] * LOCK_STRIDE:
        return LOCK, lock // LOCK_STRIDE, 0
    switch = offset - SWITCH_BASES[kind]
    if 0 <= switch < SWITCH_WORDS * 4:
        return SWITCH, switch // 4, 0
    if offset < memory_bytes:
        return MEMORY, offset, 0
    if kind == SHIM and offset in (SHIM_MUX_ADDRESS, SHIM_DEMUX_ADDRESS):
        return MUX, int(offset == SHIM_DEMUX_ADDRESS), 0
    return classify_rest(kind, offset)


@compiled
def classify_rest(kind: int, offset: int) -> tuple[int, int, int]:
    """Registers that are seldom touched."""
    if kind == MEMTILE:
        pad = offset - MEMTILE_PAD_VALUES
        if 0 <= pad < CHANNEL_SLOTS * 4:
            return PAD_VALUE, pad // 4, 0
    request = offset - REQUEST_BASES[kind]
    if 0 <= request < LOCK_COUNTS[kind] * REQUEST_BYTES:
        return LOCK_REQUEST, request // REQUEST_BYTES, request % REQUEST_BYTES
    if kind == CORE and offset == CORE_CONTROL_ADDRESS:
        return CORE_ENABLE, 0, 0
    for row in range(QUIET_RANGES.shape[0]):
        if QUIET_RANGES[row, 0] == kind and QUIET_RANGES[row, 1] <= offset < QUIET_RANGES[row, 2]:
            return SILENT, 0, 0
    return NOTHING, 0, 0


@compiled
def merged(old: int, value: int, mask: int) -> int:
    """A register's word after a masked write."""
    return (wide(old) & ~wide(mask)) | (wide(value) & wide(mask))


@compiled
def tile_of(m: State, address: int, now: float) -> int:
    """Tile of a register address; NONE, with a diagnostic, where there is none or no register."""
    column, row = address >> COLUMN_SHIFT, (address >> ROW_SHIFT) & ROW_MASK
    if column >= m.columns or row >= ROWS:
        report(m, d.OUTSIDE_PARTITION, NONE, 0, address, now)
        return NONE
    if address % 4:
        report(m, d.MISALIGNED, NONE, 0, address, now)
        return NONE
    return column * ROWS + row


@compiled
def write32(m: State, address: int, value: int, mask: int, now: float) -> None:
    """One masked 32-bit register write at partition address `address`."""
    tile = tile_of(m, address, now)
    if tile == NONE:
        return
    kind = tile_kind(tile)
    what, number, word = classify(kind, address & OFFSET_MASK, m.memory_bytes[tile])
    if what == BD:
        write_bd(m, tile, number, word, value, mask, now)
    elif what == QUEUE:
        if m.live:
            m.pushes += 1
            ch = m.channels[tile * TILE_CHANNELS + number]
            if ch.route == NONE and not ch.packets and ch.holder == NONE and not ch.fed:
                report(m, d.NO_ROUTE, tile * TILE_CHANNELS + number, 0, 0, now)
            check_not_pushed_again(m, tile, start_bd(tile * TILE_CHANNELS, value), now)
        push_task(m, tile * TILE_CHANNELS + number, value & mask, now)
    elif what == MEMORY:
        place = words_at(m.memory_at[tile] + number, 1)
        place[0] = merged(place[0], value, mask)
    elif what == LOCK:
        m.locks[tile, number] = merged(m.locks[tile, number], value, mask) & LOCK_BITS.mask
        wake(m, tile, now)
    elif what == CTRL:
        ch = m.channels[tile * TILE_CHANNELS + number]
        ch.control = merged(ch.control, value, mask)
        if kind != SHIM and cut(ch.control, RESET):
            reset_channel(m, tile * TILE_CHANNELS + number, now)
    elif what == STATUS:
        if (value & mask) >> STATUS_OVERFLOW.shift & 1:
            m.channels[tile * TILE_CHANNELS + number].overflowed = 0
    elif what == SWITCH:
        old = wide(m.switch[tile, number])
        m.switch[tile, number] = merged(old, value, mask)
        rerouted(m, tile, address, old != merged(old, value, mask), now)
    elif what == MUX:
        old = wide(m.mux[tile, number])
        m.mux[tile, number] = merged(old, value, mask)
        rerouted(m, tile, address, old != merged(old, value, mask), now)
    elif what == PAD_VALUE:
        if m.pad_values_kept:
            m.pad_values[tile, number] = merged(m.pad_values[tile, number], value, mask)
        else:
            report(m, d.UNMODELLED_REGISTER, NONE, 0, address, now)
    elif what == CORE_ENABLE:
        if cut(value & mask, ENABLE):
            report(m, d.CORE_NOT_EXECUTED, NONE, tile, 0, now)
    elif what in (NOTHING, LOCK_REQUEST):
        report(m, d.UNMODELLED_REGISTER, NONE, 0, address, now)


@compiled
def write_bd(m: State, tile: int, bd: int, word: int, value: int, mask: int, now: float) -> None:
    """Write one word of a BD; a BD that a task has still to execute must not be written."""
    if m.live:
        check_bd_free(m, tile, bd, now)
    if word < m.bds.shape[2]:
        m.bds[tile, bd, word] = merged(m.bds[tile, bd, word], value, mask)
        m.descriptors[tile, bd].known = 0


@compiled
def rerouted(m: State, tile: int, address: int, changed: bool, now: float) -> None:
    """A live design changed its routes: find them again before anything else happens."""
    if not (m.live and changed):
        return
    m.reroute = 1
    for slot in range(m.slots):
        endpoint = m.actor[slot]
        if endpoint < m.channels.size and m.channels[endpoint].phase == MOVING:
            report(m, d.ROUTE_REWRITTEN, NONE, tile, address & OFFSET_MASK, now)
            return


@compiled
def read32(m: State, address: int, now: float) -> int:
    """Value of a register as the controller would read it; 0 where nothing is modelled."""
    tile = tile_of(m, address, now)
    if tile == NONE:
        return 0
    what, number, word = classify(tile_kind(tile), address & OFFSET_MASK, m.memory_bytes[tile])
    if what == BD:
        return wide(m.bds[tile, number, word]) if word < m.bds.shape[2] else 0
    if what == STATUS:
        return channel_status(m, tile * TILE_CHANNELS + number)
    if what == CTRL:
        return m.channels[tile * TILE_CHANNELS + number].control
    if what == LOCK:
        return m.locks[tile, number]
    if what == SWITCH:
        return wide(m.switch[tile, number])
    if what == MUX:
        return wide(m.mux[tile, number])
    if what == MEMORY:
        return wide(words_at(m.memory_at[tile] + number, 1)[0])
    if what == PAD_VALUE:
        return wide(m.pad_values[tile, number])
    if what == LOCK_REQUEST:
        return request_lock(m, tile * LOCK_SLOTS + number, word, now)
    report(m, d.UNMODELLED_READ, NONE, 0, address, now)
    return 0


@compiled
def request_lock(m: State, lock: int, request: int, now: float) -> int:
    """A read that acquires or releases a lock; 1: it did."""
    value = request >> REQUEST_VALUE.shift & REQUEST_VALUE.mask
    if value & REQUEST_VALUE.sign:
        value -= REQUEST_VALUE.sign << 1
    if cut(request, REQUEST_ACQUIRE):
        if not acquire(m, NONE, lock, value, now):
            return 0
    else:
        change(m, lock, value, now)
    wake(m, lock // LOCK_SLOTS, now)
    return 1


@compiled
def channel_status(m: State, channel: int) -> int:
    """A channel's status register, from its state."""
    ch = m.channels[channel]
    phase, length = ch.phase, ch.queue_length
    running = phase != IDLE or length > 0
    word = length << STATUS_SIZE.shift
    word |= int(running) << STATUS_RUNNING.shift
    word |= ch.overflowed << STATUS_OVERFLOW.shift
    word |= ch.invalid << STATUS_INVALID.shift
    word |= ch.bd << STATUS_BD.shift
    if running:
        word |= 2 << STATUS_STATE.shift
    if phase == WAIT_LOCK:
        word |= 1 << STATUS_LOCK.shift
    elif running and phase != MOVING:
        word |= 1 << STATUS_STREAM.shift
    return word


@compiled
def holds(m: State, channel: int, bd: int) -> bool:
    """Whether a running or queued task of a channel has still to execute BD `bd`."""
    ch = m.channels[channel]
    if ch.task < 0:
        return False
    tile = channel // TILE_CHANNELS
    if out_of_order(m, channel):
        return ch.phase not in (WAIT_HEADER, HALTED) and ch.bd == bd
    if ch.phase != HALTED and chain_holds(m, tile, ch.bd, bd):
        return True
    if ch.rounds_left > 0 and chain_holds(m, tile, start_bd(channel, ch.task), bd):
        return True
    for queued in range(ch.queue_length):
        if chain_holds(m, tile, start_bd(channel, ch.queue[queued]), bd):
            return True
    return False


@compiled
def holder_of(m: State, tile: int, bd: int) -> int:
    """A channel of the tile that has still to execute the BD; NONE: none has."""
    for direction in range(2):
        for number in range(CHANNEL_COUNTS[tile_kind(tile), direction]):
            channel = tile * TILE_CHANNELS + direction * CHANNEL_SLOTS + number
            if holds(m, channel, bd):
                return channel
    return NONE


@compiled
def check_bd_free(m: State, tile: int, bd: int, now: float) -> None:
    """Report a write to a BD that a running or queued task of the tile has still to execute."""
    channel = holder_of(m, tile, bd)
    if channel == NONE:
        return
    kind = d.LIVE_BD_PATCHED if m.patching else d.LIVE_BD_REWRITTEN
    if kind == d.LIVE_BD_REWRITTEN:
        exhausted = True
        for other in range(BD_COUNTS[tile_kind(tile)]):
            exhausted = exhausted and holder_of(m, tile, other) != NONE
        if exhausted:
            kind = d.BD_EXHAUSTED
    report(m, kind, channel, tile, bd, now)


@compiled
def check_not_pushed_again(m: State, tile: int, bd: int, now: float) -> None:
    """Report a push of a BD that is still in use."""
    channel = holder_of(m, tile, bd)
    if channel != NONE:
        report(m, d.LIVE_BD_PUSHED, channel, tile, bd, now)
