# SPDX-License-Identifier: Apache-2.0
"""DMA channels in compiled code: tasks, BDs, locks, and words that move along circuit routes.

A route joins one MM2S to one S2MM channel. When both have a BD (and the locks that it asks for)
they move as many words as the shorter of the two BDs has left: one segment, one event. Words are
copied at the end of their segment, so that a buffer read too early shows it.
"""

from __future__ import annotations

from numba import njit
from numpy.typing import NDArray

from aie2.registers import LOCK_VALUE
from firmware_sim import diagnostics as d
from firmware_sim.bd_registers import (
    M_ACQUIRE,
    M_ACQUIRE_ID,
    M_ACQUIRE_VALUE,
    M_NEXT,
    M_RELEASE_ID,
    M_RELEASE_VALUE,
    M_USE_NEXT,
    QUEUE_REPEAT,
    QUEUE_TOKEN,
    S_ACQUIRE,
    S_ACQUIRE_ID,
    S_ACQUIRE_VALUE,
    S_NEXT,
    S_RELEASE_ID,
    S_RELEASE_VALUE,
    S_USE_NEXT,
    WORD_BYTES,
    decode_memtile,
    decode_shim,
    has_bd,
    is_mm2s,
    is_shim,
    start_bd,
)
from firmware_sim.bits import cut, get
from firmware_sim.calibration import Costs
from firmware_sim.copying import copy_words
from firmware_sim.diagnostics import report
from firmware_sim.state import (
    BD_SLOTS,
    FINISHING,
    HALTED,
    IDLE,
    LOCK_SLOTS,
    MOVING,
    NEVER,
    READY,
    ROWS_MODELLED,
    TILE_CHANNELS,
    WAIT_LOCK,
    Machine,
)

LOCK_MAX = LOCK_VALUE.field("value").max


@njit
def push_task(m: Machine, costs: Costs, channel: int, word: int, now: float) -> None:
    """A queue write lands: start the task, queue it, or drop it when the queue is full."""
    ch = m.channels[channel]
    if ch.task < 0 and ch.phase != HALTED:
        start_task(m, costs, channel, word, now, now)
        return
    length = ch.queue_length
    if length == ch.queue.size:
        ch.overflowed = 1
        m.progress[0].dropped += 1
        report(m, d.QUEUE_OVERFLOW, channel, 0, start_bd(channel, word), now)
        return
    ch.queue[length] = word
    ch.queued_at[length] = now
    ch.queue_length = length + 1


@njit
def start_task(
    m: Machine, costs: Costs, channel: int, word: int, pushed: float, now: float
) -> None:
    """Take a task up: its latency runs from the push, its data after the task before it."""
    ch = m.channels[channel]
    ch.task = word
    ch.task_started = pushed
    ch.rounds_left = cut(word, QUEUE_REPEAT)
    row = m.progress[0].tasks
    ch.task_row = row if row < m.log.size else -1
    if row < m.log.size:
        entry = m.log[row]
        entry.channel = channel
        entry.started = pushed
        entry.words = ch.moved
        m.progress[0].tasks = row + 1
    ready = now
    if is_shim(channel):
        latency = costs.shim_s2mm_task
        if is_mm2s(channel):
            extra = costs.shim_mm2s_cold * costs.shim_mm2s_cold_decay**ch.tasks
            latency = costs.shim_mm2s_task + extra
        ready = pushed + latency
        if pushed < now:
            ready = max(ready, now + costs.next_bd)
    ch.tasks += 1
    load_bd(m, costs, channel, start_bd(channel, word), ready, now)


@njit
def load_bd(m: Machine, costs: Costs, channel: int, bd: int, ready: float, now: float) -> None:
    """Read a BD's registers; acquire its lock or wait for it; then offer it to the route."""
    ch = m.channels[channel]
    tile = channel // TILE_CHANNELS
    if not has_bd(channel, bd):
        ch.phase = HALTED
        report(m, d.BD_INVALID, channel, 0, bd, now)
        return
    ch.bd = bd
    words = m.bds[tile, bd]
    fault = (
        decode_shim(m, channel, words) if is_shim(channel) else decode_memtile(m, channel, words)
    )
    if fault == 0 and ch.words_left == 0:
        fault = d.BD_EMPTY
    if fault == 0 and not is_shim(channel) and (bd >= BD_SLOTS // 2) != (channel & 1):
        report(m, d.BD_PARITY, channel, 0, bd, now)
    if fault:
        ch.phase = HALTED
        report(m, fault, channel, 0, bd, now)
        return
    ch.bds += 1
    ch.position = 0
    ch.ready_at = ready
    if acquire(m, channel, words, now):
        ch.phase = READY
        offer(m, ch.link, now)
        if m.progress[0].equal_waits:
            wake(m, costs, tile, now)
    else:
        ch.phase = WAIT_LOCK


@njit
def lock_place(channel: int, lock: int) -> tuple[int, int]:
    """(tile, index) of a lock as a BD names it; memtiles number west, own, east locks in turn.

    The tile may lie outside the partition, or be -1 for an id that no tile has.
    """
    tile = channel // TILE_CHANNELS
    if is_shim(channel):
        return tile, lock
    if lock >= 3 * LOCK_SLOTS:
        return -1, 0
    return tile + (lock // LOCK_SLOTS - 1) * ROWS_MODELLED, lock % LOCK_SLOTS


@njit
def acquire(m: Machine, channel: int, words: NDArray, now: float) -> bool:
    """Try to take the lock that a BD asks for; a BD without lock always succeeds."""
    if is_shim(channel):
        wanted, lock, value = (
            get(words, S_ACQUIRE),
            get(words, S_ACQUIRE_ID),
            get(words, S_ACQUIRE_VALUE),
        )
    else:
        wanted, lock, value = (
            get(words, M_ACQUIRE),
            get(words, M_ACQUIRE_ID),
            get(words, M_ACQUIRE_VALUE),
        )
    if not wanted:
        return True
    tile, index = lock_place(channel, lock)
    if tile < 0 or tile >= m.locks.shape[0]:
        return False
    held = m.locks[tile, index]
    granted = held >= -value if value < 0 else held == value
    if value >= 0 and not granted:
        m.progress[0].equal_waits = 1
    if granted:
        change_lock(m, tile, index, -abs(value), now)
    return granted


@njit
def release(m: Machine, costs: Costs, channel: int, words: NDArray, now: float) -> None:
    """Give back the lock that a finished BD names, and wake who waits for it."""
    if is_shim(channel):
        lock, value = get(words, S_RELEASE_ID), get(words, S_RELEASE_VALUE)
    else:
        lock, value = get(words, M_RELEASE_ID), get(words, M_RELEASE_VALUE)
    if value:
        tile, index = lock_place(channel, lock)
        if 0 <= tile < m.locks.shape[0]:
            change_lock(m, tile, index, value, now)
            wake(m, costs, tile, now)


@njit
def change_lock(m: Machine, tile: int, index: int, change: int, now: float) -> None:
    """Add to a lock; a value outside its six bits is reported and held at the limit."""
    value = m.locks[tile, index] + change
    if value < 0 or value > LOCK_MAX:
        report(m, d.LOCK_RANGE, -1, tile, index, now)
        value = min(max(value, 0), LOCK_MAX)
    m.locks[tile, index] = value


@njit
def wake(m: Machine, costs: Costs, tile: int, now: float) -> None:
    """Let channels that see the locks of `tile` try again until none gets what it waits for.

    They try in order of their numbers; one that is granted may let another go on.
    """
    first = max(tile - ROWS_MODELLED, 0) * TILE_CHANNELS
    last = min(tile + ROWS_MODELLED + 1, m.locks.shape[0]) * TILE_CHANNELS
    granted = True
    while granted:
        granted = False
        for channel in range(first, last):
            ch = m.channels[channel]
            if ch.phase == WAIT_LOCK:
                words = m.bds[channel // TILE_CHANNELS, ch.bd]
                if acquire(m, channel, words, now):
                    granted = True
                    ch.phase = READY
                    ch.ready_at = max(ch.ready_at, now + costs.lock_handoff)
                    offer(m, ch.link, now)


@njit
def offer(m: Machine, link: int, now: float) -> None:
    """Schedule the start of the next segment when both ends of a route are ready."""
    if link < 0:
        return
    route = m.links[link]
    source, sink = m.channels[route.source], m.channels[route.sink]
    if source.phase == READY and sink.phase == READY:
        route.moving = 0
        route.event_at = max(now, source.ready_at, sink.ready_at)


@njit
def start_segment(m: Machine, costs: Costs, link: int, now: float) -> None:
    """Begin to move words: the route's rate, or DDR's where its shared limits are slower."""
    route = m.links[link]
    source, sink = m.channels[route.source], m.channels[route.sink]
    words = min(source.words_left, sink.words_left)
    end = now + words * costs.word
    nbytes = words * WORD_BYTES
    if is_shim(route.source):
        end = max(end, serve(m, 0, nbytes / costs.read_limit, now))
        end = max(end, serve(m, 2, nbytes / costs.combined_limit, now))
    if is_shim(route.sink):
        end = max(end, serve(m, 1, nbytes / costs.write_limit, now))
        end = max(end, serve(m, 2, nbytes / costs.combined_limit, now))
    source.phase = MOVING
    sink.phase = MOVING
    route.moving = words
    route.event_at = end


@njit
def serve(m: Machine, server: int, duration: float, now: float) -> float:
    """Queue a request at one of DDR's limits, first come first served; returns its end."""
    served = m.progress[0].served_until
    served[server] = max(served[server], now) + duration
    return served[server]


@njit
def link_event(m: Machine, costs: Costs, link: int, now: float) -> None:
    """What a route had scheduled: a completion, the start of a segment, or its end."""
    route = m.links[link]
    route.event_at = NEVER
    words = route.moving
    if m.channels[route.sink].phase == FINISHING:
        finish_task(m, costs, route.sink, now)
        return
    if words == 0:
        start_segment(m, costs, link, now)
        return
    route.moving = 0
    copy_words(m, route.source, route.sink, words, now)
    for channel in (route.source, route.sink):
        ch = m.channels[channel]
        ch.words_left -= words
        ch.moved += words
        ch.phase = READY if ch.words_left else IDLE
    for channel in (route.source, route.sink):
        if m.channels[channel].words_left == 0:
            finish_bd(m, costs, channel, now)
    if route.event_at == NEVER:
        offer(m, link, now)


@njit
def finish_bd(m: Machine, costs: Costs, channel: int, now: float) -> None:
    """A BD is done: release its lock, go on with the chain, the next round, or the task's end."""
    ch = m.channels[channel]
    words = m.bds[channel // TILE_CHANNELS, ch.bd]
    ch.phase = IDLE
    release(m, costs, channel, words, now)
    shim = is_shim(channel)
    chained = get(words, S_USE_NEXT) if shim else get(words, M_USE_NEXT)
    ready = now + (costs.next_bd if shim else 0.0)
    if chained:
        load_bd(m, costs, channel, get(words, S_NEXT) if shim else get(words, M_NEXT), ready, now)
    elif ch.rounds_left > 0:
        ch.rounds_left -= 1
        load_bd(m, costs, channel, start_bd(channel, ch.task), ready, now)
    elif shim and not is_mm2s(channel) and ch.tasks == 1:
        end = ch.task_started + costs.shim_s2mm_first_floor
        if end > now:
            ch.phase = FINISHING
            m.links[ch.link].event_at = end
        else:
            finish_task(m, costs, channel, now)
    else:
        finish_task(m, costs, channel, now)


@njit
def finish_task(m: Machine, costs: Costs, channel: int, now: float) -> None:
    """A task is done: log it, issue its token, and take up the next one in the queue."""
    ch = m.channels[channel]
    word, row = ch.task, ch.task_row
    if row >= 0:
        m.log[row].finished = now
        m.log[row].words = ch.moved - m.log[row].words
    ch.task = -1
    ch.phase = IDLE
    if cut(word, QUEUE_TOKEN):
        tile = channel // TILE_CHANNELS
        if (m.token_ids[tile] >> ch.controller_id) & 1:
            ch.tokens += 1
        else:
            report(m, d.TOKEN_UNROUTED, channel, 0, ch.controller_id, now)
    if ch.queue_length > 0:
        following, pushed = ch.queue[0], ch.queued_at[0]
        ch.queue_length -= 1
        for place in range(ch.queue_length):
            ch.queue[place] = ch.queue[place + 1]
            ch.queued_at[place] = ch.queued_at[place + 1]
        start_task(m, costs, channel, following, pushed, now)
