# SPDX-License-Identifier: Apache-2.0
"""Locks in compiled code: acquire, release, and whose turn it is then."""

from __future__ import annotations

from aie2.registers import LOCK_VALUE
from firmware_sim import diagnostics as d
from firmware_sim.array import events as e
from firmware_sim.array.bd_registers import is_mm2s
from firmware_sim.array.events import happened
from firmware_sim.array.state import (
    CORE_ACTOR,
    LOCK_SLOTS,
    NONE,
    READY,
    ROWS,
    TILE_CHANNELS,
    WAIT_LOCK,
    State,
)
from firmware_sim.array.streams import kick_sink, kick_source
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

LOCK_MAX = LOCK_VALUE.field("value").max


@compiled
def acquire(m: State, actor: int, lock: int, wanted: int, now: float) -> bool:
    """Try to take a lock; `wanted` < 0: at least that many, else: exactly that many."""
    tile, index = lock // LOCK_SLOTS, lock % LOCK_SLOTS
    value = m.locks[tile, index]
    if wanted >= 0:
        m.equal_waits = 1
    if value < -wanted or (wanted >= 0 and value != wanted):
        return False
    if wanted:
        m.locks[tile, index] = value - abs(wanted)
        happened(m, e.LOCK_CHANGED, tile, index, value - abs(wanted), now)
    happened(m, e.LOCK_TAKEN, actor, lock, wanted, now)
    return True


@compiled
def change(m: State, lock: int, by: int, now: float) -> None:
    """Add to a lock; a value outside its six bits is reported and held at the limit."""
    tile, index = lock // LOCK_SLOTS, lock % LOCK_SLOTS
    value = m.locks[tile, index] + by
    if value > LOCK_MAX:
        report(m, d.LOCK_OVERFLOW, NONE, tile, index, now)
        value = LOCK_MAX
    if value < 0:
        report(m, d.LOCK_UNDERFLOW, NONE, tile, index, now)
        value = 0
    m.locks[tile, index] = value
    happened(m, e.LOCK_CHANGED, tile, index, value, now)


@compiled
def wake(m: State, tile: int, now: float) -> None:
    """Let those who wait for locks of `tile` try again until none gets what it waits for.

    Channels try in order of their numbers, then core models; one that is granted may let another
    go on.
    """
    granted = m.lock_waiters[tile] > 0
    while granted:
        granted = False
        for neighbour in range(max(tile - ROWS, tile % ROWS), tile + ROWS + 1, ROWS):
            if neighbour < m.columns * ROWS:
                for channel in range(neighbour * TILE_CHANNELS, (neighbour + 1) * TILE_CHANNELS):
                    ch = m.channels[channel]
                    if ch.phase == WAIT_LOCK and ch.wait_lock // LOCK_SLOTS == tile:
                        granted = try_channel(m, channel, now) or granted
        if m.cores:
            granted = wake_cores(m, tile, now) or granted


@compiled
def try_channel(m: State, channel: int, now: float) -> bool:
    """Let one waiting channel try; one that gets its lock offers its BD to the stream."""
    ch = m.channels[channel]
    entry = m.descriptors[channel // TILE_CHANNELS, ch.bd]
    if not acquire(m, channel, entry.acquire, entry.acquire_value, now):
        return False
    m.lock_waiters[ch.wait_lock // LOCK_SLOTS] -= 1
    ch.wait_lock = NONE
    ch.phase = READY
    ch.ready_at = max(ch.ready_at, now + m.costs.lock_handoff)
    if is_mm2s(channel):
        kick_source(m, channel, now)
    else:
        kick_sink(m, channel, now)
    return True


@compiled
def wake_cores(m: State, tile: int, now: float) -> bool:
    """Let core models that wait for a lock of `tile` try; those that get it are due at once."""
    granted = False
    for core in range(m.columns * ROWS):
        waits = m.core_phase[core] == WAIT_LOCK and m.core_lock[core] // LOCK_SLOTS == tile
        if waits and acquire(m, CORE_ACTOR + core, m.core_lock[core], m.core_value[core], now):
            m.lock_waiters[tile] -= 1
            m.core_phase[core] = READY
            m.due[m.core_slot[core]] = now
            granted = True
    return granted
