# SPDX-License-Identifier: Apache-2.0
"""Packets in compiled code: the header chooses a route, and the route's arbiters must be free.

A packet takes the arbiters on its way one after the other and keeps them until its TLAST has
passed; while it waits for one it keeps those before, as a packet stretched over switches does.
"""

from __future__ import annotations

from firmware_sim import diagnostics as d
from firmware_sim.array import events as e
from firmware_sim.array.addressing import read_word
from firmware_sim.array.events import happened
from firmware_sim.array.pointers import routes
from firmware_sim.array.rings import append, take
from firmware_sim.array.state import (
    BETWEEN,
    CHANNELS,
    NONE,
    OPENING,
    PACKET_IDS,
    TILE_CHANNELS,
    State,
)
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report


@compiled
def makes_header(m: State, source: int) -> bool:
    """Whether a source's header comes from its BD; if not, it is the first word of its data."""
    ch = m.channels[source]
    return source < CHANNELS and m.descriptors[source // TILE_CHANNELS, ch.bd].packet == 1


@compiled
def last_of(m: State, source: int) -> bool:
    """Whether what a source sends now ends with TLAST."""
    if source >= CHANNELS:
        return True
    return m.descriptors[source // TILE_CHANNELS, m.channels[source].bd].last == 1


@compiled
def open_packet(m: State, source: int, now: float) -> bool:
    """Choose the route of a source's next packet and take its arbiters; False: one is not free."""
    ch = m.channels[source]
    if ch.route == NONE:
        if makes_header(m, source):
            ch.header = m.descriptors[source // TILE_CHANNELS, ch.bd].header
        else:
            ch.header = read_word(m, source, ch.position, now)
        ch.route = m.route_of[source, ch.header % PACKET_IDS]
        if ch.route == NONE:
            report(m, d.PACKET_UNROUTED, source, 0, ch.header % PACKET_IDS, now)
            return False
    route = routes(m)[ch.route]
    for number in range(route.arbiters):
        arbiter = route.arbiter[number]
        if m.arbiters[arbiter] == NONE:
            m.arbiters[arbiter] = source
        elif m.arbiters[arbiter] != source:
            if ch.arbiter != arbiter:
                happened(m, e.PACKET_BLOCKED, source, arbiter, m.arbiters[arbiter], now)
            ch.arbiter = arbiter
            return False
    if route.unrouted:
        report(m, d.PACKET_UNROUTED, source, 0, ch.header % PACKET_IDS, now)
    ch.arbiter = NONE
    ch.packet = OPENING
    m.last_served = ch.slot
    for number in range(route.sinks):
        m.channels[route.sink[number]].holder = source
    happened(m, e.PACKET_OPENED, source, ch.header, 0, now)
    return True


@compiled
def push_header(m: State, source: int) -> bool:
    """Send the header word to every sink that gets it; False: one has no room for it yet."""
    ch = m.channels[source]
    route = routes(m)[ch.route]
    if route.dead_ends and route.dead_room == 0:
        return False
    for number in range(route.sinks):
        sink = m.channels[route.sink[number]]
        if not route.drop[number] and sink.held >= sink.capacity:
            return False
    route.dead_room -= min(1, route.dead_room)
    made = makes_header(m, source)
    alone = not made and ch.words_left == 1
    if alone and route.dead_ends and source < CHANNELS:
        ch.pending += 1  # a dead end never takes the last word
    for number in range(route.sinks):
        if not route.drop[number]:
            owner = source if alone and source < CHANNELS else NONE
            append(m, route.sink[number], ch.header, alone and last_of(m, source), owner)
            if owner != NONE:
                ch.pending += 1
    if not made:
        ch.words_left -= 1
        ch.moved += 1
        if source < CHANNELS:
            ch.position += 1
        else:
            take(m, source)
    return True


@compiled
def close_packet(m: State, source: int, now: float) -> None:
    """A packet's TLAST has passed: give its arbiters back."""
    ch = m.channels[source]
    route = routes(m)[ch.route]
    for number in range(route.arbiters):
        m.arbiters[route.arbiter[number]] = NONE
    for number in range(route.sinks):
        m.channels[route.sink[number]].holder = NONE
    ch.packet = BETWEEN
    ch.route = NONE
    happened(m, e.PACKET_CLOSED, source, 0, 0, now)
