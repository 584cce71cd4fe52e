# SPDX-License-Identifier: Apache-2.0
"""What an endpoint's event does, in compiled code: a segment, a drain or a task comes to an end."""

from __future__ import annotations

from firmware_sim.array import events as e
from firmware_sim.array.bd_registers import is_mm2s
from firmware_sim.array.control_packets import next_answer, take_control_words
from firmware_sim.array.dma import finish_bd, finish_task, take_header
from firmware_sim.array.events import happened
from firmware_sim.array.packets import close_packet, last_of, makes_header
from firmware_sim.array.pointers import routes
from firmware_sim.array.state import (
    BETWEEN,
    CHANNELS,
    CONTROL_IN,
    CONTROL_OUT,
    FINISHING,
    FLUSHING,
    IDLE,
    INSIDE,
    MOVING,
    NEVER,
    NONE,
    READY,
    WAIT_HEADER,
    State,
)
from firmware_sim.array.streams import (
    HEADER,
    end_drain,
    end_segment,
    kick_sink,
    kick_source,
    wake_blocked,
)
from firmware_sim.compiled import compiled


@compiled
def endpoint_event(m: State, endpoint: int, now: float) -> None:
    """What an endpoint had scheduled for now."""
    ch = m.channels[endpoint]
    m.due[ch.slot] = NEVER
    act(m, endpoint, now)
    if m.flushed:
        finish_flushed(m, now)


@compiled
def act(m: State, endpoint: int, now: float) -> None:
    """What the endpoint had scheduled, without what follows for other endpoints."""
    ch = m.channels[endpoint]
    if ch.phase == FINISHING:
        finish_task(m, endpoint, now)
    elif endpoint >= CONTROL_OUT or (endpoint < CHANNELS and is_mm2s(endpoint)):
        source_event(m, endpoint, now)
    elif ch.phase == MOVING:
        end_drain(m, endpoint, now)
        sink_goes_on(m, endpoint, now)
    elif ch.phase == READY:
        kick_sink(m, endpoint, now)


@compiled
def source_event(m: State, source: int, now: float) -> None:
    """A header or a segment has arrived, or a segment can start."""
    ch = m.channels[source]
    row = ch.route
    if ch.phase != MOVING:
        kick_source(m, source, now)
        return
    if ch.pushing == HEADER:
        ch.pushing = 0
        ch.phase = READY
        ch.packet = INSIDE
        if not makes_header(m, source):
            happened(m, e.MOVE_ENDED, source, 1, source, now)
        if ch.words_left == 0 and ch.packets and last_of(m, source):
            close_packet(m, source, now)
            wake_blocked(m, now)
    else:
        end_segment(m, source, now)
    if ch.words_left == 0:
        ch.phase = IDLE
    if ch.stale and (ch.packet == BETWEEN or not ch.packets):
        ch.stale = 0
        ch.route = ch.next_route
        ch.packets = ch.next_packets
        ch.packet = BETWEEN if ch.packets else INSIDE
    route = routes(m)[row]
    for number in range(route.sinks):
        sink = m.channels[route.sink[number]]
        if sink.phase == READY and bd_done(m, route.sink[number]):
            sink.phase = IDLE
    if ch.words_left == 0:
        if source >= CHANNELS:
            next_answer(m, source, now)
        elif ch.pending > 0:
            ch.phase = FLUSHING
        else:
            finish_bd(m, source, now)
    for number in range(route.sinks):
        sink_goes_on(m, route.sink[number], now)
    kick_source(m, source, now)


@compiled
def bd_done(m: State, sink: int) -> bool:
    """Whether a sink's BD is full, or ended by TLAST where that counts."""
    ch = m.channels[sink]
    return ch.words_left == 0 or (ch.framed and ch.ended and ch.position > 0)


@compiled
def sink_goes_on(m: State, sink: int, now: float) -> None:
    """After words have come: finish the BD, take what waits, or let the source go on."""
    if sink >= CHANNELS:
        take_control_words(m, sink - CONTROL_IN, now)
        holder = m.channels[sink].holder
        if holder != NONE:
            kick_source(m, holder, now)
        return
    ch = m.channels[sink]
    if ch.task != NONE and ch.phase in (IDLE, READY) and bd_done(m, sink):
        finish_bd(m, sink, now)
    if ch.phase == WAIT_HEADER:
        take_header(m, sink, now)
    kick_sink(m, sink, now)


@compiled
def finish_flushed(m: State, now: float) -> None:
    """Finish the BDs of sources whose last words have been taken."""
    m.flushed = 0
    for slot in range(m.slots):
        endpoint = m.actor[slot]
        if endpoint < CHANNELS:
            ch = m.channels[endpoint]
            if ch.phase == FLUSHING and ch.pending == 0:
                finish_bd(m, endpoint, now)
