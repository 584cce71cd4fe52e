# SPDX-License-Identifier: Apache-2.0
"""DMA channels in compiled code: task queues, chains of BDs, repeats, tokens."""

from __future__ import annotations

from aie2.control_packets import PACKET_HEADER
from aie2.registers import CHANNEL_CTRL
from firmware_sim import diagnostics as d
from firmware_sim.array import events as e
from firmware_sim.array.bd_registers import (
    BD_COUNTS,
    OUT_OF_ORDER_SHIFT,
    descriptor,
    has_token,
    is_mm2s,
    is_shim,
    iterate,
    repeats,
    sees_neighbours,
    start_bd,
    tile_kind,
)
from firmware_sim.array.bits import bits, cut
from firmware_sim.array.events import happened
from firmware_sim.array.jitter import jittered
from firmware_sim.array.locks import acquire, change, wake
from firmware_sim.array.packets import close_packet
from firmware_sim.array.pointers import routes, task_log
from firmware_sim.array.rings import take
from firmware_sim.array.state import (
    BD_SLOTS,
    BETWEEN,
    FINISHING,
    HALTED,
    IDLE,
    INSIDE,
    LOCK_SLOTS,
    MEMTILE,
    MOVING,
    NEVER,
    NONE,
    OPENING,
    PACKET_IDS,
    READY,
    TILE_CHANNELS,
    WAIT_HEADER,
    WAIT_LOCK,
    State,
)
from firmware_sim.array.streams import kick_sink, kick_source
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

CONTROLLER_ID = bits(CHANNEL_CTRL, "controller_id")
FINISH_ON_TLAST = bits(CHANNEL_CTRL, "fot_mode")
OUT_OF_ORDER = bits(CHANNEL_CTRL, "enable_out_of_order")
OUT_OF_ORDER_MASK = PACKET_HEADER.field("out_of_order_id").mask


@compiled
def push_task(m: State, channel: int, word: int, now: float) -> None:
    """A queue write lands: start the task, queue it, or drop it when the queue is full."""
    ch = m.channels[channel]
    op = m.op if m.live else NONE
    if ch.task < 0 and ch.phase != HALTED:
        happened(m, e.PUSHED, channel, start_bd(channel, word), 0, now)
        start_task(m, channel, word, op, now, now)
        return
    length = ch.queue_length
    if length == ch.queue.size:
        ch.overflowed = 1
        m.dropped += 1
        happened(m, e.DROPPED, channel, start_bd(channel, word), length, now)
        report(m, d.QUEUE_OVERFLOW, channel, 0, start_bd(channel, word), now)
        return
    ch.queue[length] = word
    ch.queued_at[length] = now
    ch.queued_by[length] = op
    ch.queue_length = length + 1
    happened(m, e.PUSHED, channel, start_bd(channel, word), length + 1, now)


@compiled
def start_task(m: State, channel: int, word: int, op: int, pushed: float, now: float) -> None:
    """Take a task up: its latency runs from the push, its data after the task before it."""
    ch = m.channels[channel]
    ch.task = word
    ch.task_op = op
    ch.task_started = pushed
    ch.rounds_left = repeats(word)
    log_task(m, channel, pushed)
    happened(m, e.TASK_STARTED, channel, start_bd(channel, word), op, now)
    ready = now
    if is_shim(channel):
        latency = m.costs.shim_s2mm_task
        if is_mm2s(channel):
            extra = m.costs.shim_mm2s_cold * m.costs.shim_mm2s_cold_decay**ch.tasks
            latency = m.costs.shim_mm2s_task + extra
        ready = pushed + jittered(m, latency)
        if pushed < now:
            ready = max(ready, now + m.costs.next_bd)
    ch.tasks += 1
    next_bd(m, channel, start_bd(channel, word), ready, now)


@compiled
def next_bd(m: State, channel: int, bd: int, ready: float, now: float) -> None:
    """Load a BD; on an out-of-order channel wait for the packet header that names it."""
    ch = m.channels[channel]
    if not out_of_order(m, channel):
        load_bd(m, channel, bd, ready, now)
        return
    ch.phase = WAIT_HEADER
    ch.ready_at = ready
    take_header(m, channel, now)


@compiled
def out_of_order(m: State, channel: int) -> bool:
    """Whether packet headers choose a channel's BDs; its queue and chains then do not."""
    return cut(m.channels[channel].control, OUT_OF_ORDER) != 0 and not is_mm2s(channel)


@compiled
def take_header(m: State, channel: int, now: float) -> None:
    """Out of order: the first word that waits is a packet header; load the BD that it names."""
    ch = m.channels[channel]
    if ch.phase == WAIT_HEADER and ch.held > 0:
        bd = take(m, channel) >> OUT_OF_ORDER_SHIFT & OUT_OF_ORDER_MASK
        load_bd(m, channel, bd, max(ch.ready_at, now), now)


@compiled
def log_task(m: State, channel: int, pushed: float) -> None:
    """Open a row of the log of shim tasks; the loop makes room before it runs out."""
    ch = m.channels[channel]
    ch.task_row = NONE
    if is_shim(channel) and m.tasks < m.log_size:
        entry = task_log(m)[m.tasks]
        entry.channel = channel
        entry.started = pushed
        entry.words = ch.moved
        ch.task_row = m.tasks
        m.tasks += 1


@compiled
def load_bd(m: State, channel: int, bd: int, ready: float, now: float) -> None:
    """Read a BD's registers; acquire its lock or wait for it; then offer it to the stream."""
    ch = m.channels[channel]
    tile = channel // TILE_CHANNELS
    fault = fault_for(m, channel, tile, bd)
    if fault:
        ch.bd = min(bd, BD_SLOTS - 1)
        ch.phase = HALTED
        ch.invalid = 1
        report(m, fault, channel, 0, bd, now)
        return
    entry = m.descriptors[tile, bd]
    ch.bd = bd
    ch.bds += 1
    ch.position = 0
    ch.ready_at = ready
    ch.words_left = entry.words
    ch.base = entry.base + iterate(m, tile, bd, entry)
    ch.ended = 0
    ch.broken = 0
    if not is_mm2s(channel):
        ch.framed = cut(ch.control, FINISH_ON_TLAST) != 0
    elif not ch.packets:
        ch.packet = OPENING if entry.packet else INSIDE
        ch.header = entry.header
    happened(m, e.BD_LOADED, channel, bd, entry.words, now)
    if entry.acquire == NONE or acquire(m, channel, entry.acquire, entry.acquire_value, now):
        offer(m, channel, now)
        if m.equal_waits and entry.acquire != NONE:
            wake(m, entry.acquire // LOCK_SLOTS, now)
    else:
        ch.phase = WAIT_LOCK
        ch.wait_lock = entry.acquire
        m.lock_waiters[entry.acquire // LOCK_SLOTS] += 1
        happened(m, e.LOCK_AWAITED, channel, entry.acquire, entry.acquire_value, now)


@compiled
def fault_for(m: State, channel: int, tile: int, bd: int) -> int:
    """Diagnostic code of why a channel cannot run a BD; 0: it can."""
    if bd >= BD_COUNTS[tile_kind(tile)]:
        return d.BD_MISSING
    entry = descriptor(m, tile, bd)
    if entry.fault or tile_kind(tile) != MEMTILE:
        return entry.fault
    if (bd >= BD_SLOTS // 2) != (channel & 1):
        return d.BD_PARITY
    if not sees_neighbours(channel):
        for lock in (entry.acquire, entry.release):
            if lock != NONE and lock // LOCK_SLOTS != tile:
                return d.BD_FIELD
    return 0


@compiled
def offer(m: State, channel: int, now: float) -> None:
    """A BD has its lock: let its words move."""
    m.channels[channel].phase = READY
    if is_mm2s(channel):
        kick_source(m, channel, now)
    else:
        kick_sink(m, channel, now)


@compiled
def finish_bd(m: State, channel: int, now: float) -> None:
    """A BD is done: release its lock, go on with the chain, the next round, or the task's end."""
    ch = m.channels[channel]
    tile = channel // TILE_CHANNELS
    entry = descriptor(m, tile, ch.bd)
    if ch.broken:
        ch.phase = HALTED
        return
    ch.phase = IDLE
    happened(m, e.BD_ENDED, channel, ch.bd, 0, now)
    if entry.release != NONE:
        change(m, entry.release, entry.release_value, now)
        wake(m, entry.release // LOCK_SLOTS, now)
    shim = is_shim(channel)
    ready = now + (m.costs.next_bd if shim else 0.0)
    if entry.next != NONE and not out_of_order(m, channel):
        load_bd(m, channel, entry.next, ready, now)
    elif ch.rounds_left > 0:
        ch.rounds_left -= 1
        next_bd(m, channel, start_bd(channel, ch.task), ready, now)
    elif shim and not is_mm2s(channel) and ch.tasks == 1:
        end = ch.task_started + m.costs.shim_s2mm_first_floor
        if end > now:
            ch.phase = FINISHING
            m.due[ch.slot] = end
        else:
            finish_task(m, channel, now)
    else:
        finish_task(m, channel, now)


@compiled
def finish_task(m: State, channel: int, now: float) -> None:
    """A task is done: log it, issue its token, and take up the next one in the queue."""
    ch = m.channels[channel]
    if ch.task_row != NONE:
        row = task_log(m)[ch.task_row]
        row.finished = now
        row.words = ch.moved - row.words
    happened(m, e.TASK_ENDED, channel, has_token(ch.task), 0, now)
    if has_token(ch.task):
        issue_token(m, channel, now)
    ch.task = NONE
    ch.phase = IDLE
    next_task(m, channel, now)


@compiled
def next_task(m: State, channel: int, now: float) -> None:
    """Take up the first task in the queue, if there is one."""
    ch = m.channels[channel]
    if ch.queue_length > 0:
        following, pushed, op = ch.queue[0], ch.queued_at[0], ch.queued_by[0]
        ch.queue_length -= 1
        for place in range(ch.queue_length):
            ch.queue[place] = ch.queue[place + 1]
            ch.queued_at[place] = ch.queued_at[place + 1]
            ch.queued_by[place] = ch.queued_by[place + 1]
        start_task(m, channel, following, op, pushed, now)


@compiled
def issue_token(m: State, channel: int, now: float) -> None:
    """Send a task's token: it arrives if its packet id has a route to the controller."""
    ch = m.channels[channel]
    packet_id = cut(ch.control, CONTROLLER_ID) % PACKET_IDS
    if (m.token_ids[channel // TILE_CHANNELS] >> packet_id) & 1:
        ch.tokens += 1
        happened(m, e.TOKEN_ARRIVED, channel, ch.tokens, 0, now)
    else:
        happened(m, e.TOKEN_LOST, channel, packet_id, 0, now)
        report(m, d.TOKEN_UNROUTED, channel, 0, packet_id, now)


@compiled
def reset_channel(m: State, channel: int, now: float) -> None:
    """A channel's reset bit: its task and queue are gone, locks and BDs stay as they are."""
    ch = m.channels[channel]
    if ch.task >= 0 and m.live:
        report(m, d.CHANNEL_RESET, channel, 0, 0, now)
    if ch.phase == WAIT_LOCK:
        m.lock_waiters[ch.wait_lock // LOCK_SLOTS] -= 1
        ch.wait_lock = NONE
    if ch.phase == MOVING:
        cancel(m, channel if ch.pushing != 0 else ch.feeder, channel)
    if is_mm2s(channel) and ch.packets:
        if ch.packet == BETWEEN:
            ch.route = NONE
        else:
            close_packet(m, channel, now)
    ch.phase = IDLE
    ch.task = NONE
    ch.queue_length = 0
    ch.overflowed = 0
    ch.invalid = 0
    ch.broken = 0
    ch.arbiter = NONE


@compiled
def cancel(m: State, source: int, channel: int) -> None:
    """Take back the segment in flight of `source` (NONE: a drain), since `channel` is reset."""
    if source == NONE:
        m.due[m.channels[channel].slot] = NEVER
        return
    ch = m.channels[source]
    m.due[ch.slot] = NEVER
    ch.pushing = 0
    ch.phase = READY
    route = routes(m)[ch.route]
    for number in range(route.sinks):
        sink = m.channels[route.sink[number]]
        if sink.phase == MOVING and sink.feeder == source:
            sink.phase = READY
