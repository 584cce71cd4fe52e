# SPDX-License-Identifier: Apache-2.0
"""Words on their way from a source to its sinks, in compiled code.

Before every sink lies a FIFO: the words that the stream switches on its way can hold. A source and
those of its sinks that are ready move as many words as the source has and every sink can take or
its FIFO can hold: one segment, one event. A sink whose source is silent drains its FIFO: also one
segment. Words are copied at a segment's end, so that a buffer read too early shows it.

A sending BD is done only when every sink has taken its last word, as measured on Phoenix (xdna-emu
2026-07-15: a held consumer lets no BD finish); until then it is `FLUSHING`.
"""

from __future__ import annotations

from firmware_sim import diagnostics as d
from firmware_sim.array import events as e
from firmware_sim.array.addressing import NOWHERE, PADDING, pad_word, place, read_word, write_word
from firmware_sim.array.bd_registers import WORD_BYTES, is_shim
from firmware_sim.array.events import happened
from firmware_sim.array.packets import close_packet, last_of, makes_header, open_packet, push_header
from firmware_sim.array.pointers import copy_bytes, routes, words_at
from firmware_sim.array.rings import append, frame_length, take
from firmware_sim.array.state import (
    BETWEEN,
    CHANNELS,
    ENDPOINTS,
    INSIDE,
    MOVING,
    NEVER,
    NONE,
    READY,
    ROWS,
    TILE_CHANNELS,
    WAIT_HEADER,
    State,
)
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

HEADER = -1
"""`pushing` of a source whose packet header is on its way."""
READS, WRITES, BOTH, COLUMNS = range(4)
"""Places in `served_until`: DDR's three limits, then reads and writes of every column."""


@compiled
def schedule(m: State, actor: int, at: float) -> None:
    """Set the cycle of an endpoint's next event."""
    m.due[m.channels[actor].slot] = at


@compiled
def kick_source(m: State, source: int, now: float) -> None:
    """Let a source that is ready begin a segment, or say when it can; if neither, it waits."""
    ch = m.channels[source]
    if m.reroute or ch.phase != READY or (ch.route == NONE and not ch.packets):
        return  # nothing begins while routes are to be found
    if ch.packet != INSIDE:
        begin_packet(m, source, now)
        return
    words, ready = extent(m, source)
    if words == 0:
        m.due[ch.slot] = NEVER
        if routes(m)[ch.route].dead_ends and routes(m)[ch.route].dead_room == 0:
            report(m, d.ROUTE_DEAD_END, source, 0, 0, now)
    elif ready > now:
        m.due[ch.slot] = ready
    else:
        begin_segment(m, source, words, now)


@compiled
def kick_sink(m: State, sink: int, now: float) -> None:
    """Let a sink that is ready take words: of its source, or what its FIFO holds."""
    ch = m.channels[sink]
    if ch.holder != NONE:
        kick_source(m, ch.holder, now)
    if ch.phase == READY and ch.held > 0:
        ready = ch.ready_at
        if ready > now:
            m.due[ch.slot] = ready
        else:
            begin_drain(m, sink, now)


@compiled
def begin_packet(m: State, source: int, now: float) -> None:
    """Send a header: choose its route, get the arbiters on it, and a place for the word."""
    ch = m.channels[source]
    if ch.ready_at > now:
        m.due[ch.slot] = ch.ready_at
        return
    m.due[ch.slot] = NEVER
    if ch.packet == BETWEEN and not open_packet(m, source, now):
        return
    if push_header(m, source):
        ch.phase = MOVING
        ch.pushing = HEADER
        if not makes_header(m, source):
            happened(m, e.MOVE_STARTED, source, 1, source, now)
        m.due[ch.slot] = now + m.costs.word


@compiled
def extent(m: State, source: int) -> tuple[int, float]:
    """(words of the next segment, cycle at which it can start); 0 words: a sink must move first."""
    ch = m.channels[source]
    route = routes(m)[ch.route]
    most, aligned, ready = ch.words_left, ch.words_left, ch.ready_at
    for number in range(route.sinks):
        sink = m.channels[route.sink[number]]
        room = max(sink.capacity - sink.held, 0)
        if sink.phase == READY and not (sink.framed and sink.held):
            aligned = min(aligned, max(sink.words_left - sink.held, 0))
            room += sink.words_left
            ready = max(ready, sink.ready_at)
        elif sink.phase == WAIT_HEADER and room > 0:
            aligned = min(aligned, 1)  # the header that names its BD
        else:
            aligned = 0
        most = min(most, room)
    if route.dead_ends:
        most = min(most, route.dead_room)
    elif most < ch.words_left and route.sinks == 1 and route.sink[0] < CHANNELS:
        return aligned, ready
    return most, ready


@compiled
def begin_segment(m: State, source: int, words: int, now: float) -> None:
    """Begin to move words: at a word a cycle, or as DDR's shared limits let them."""
    ch = m.channels[source]
    route = routes(m)[ch.route]
    longest, end = words, now
    if is_shim(source) and source < CHANNELS:
        end = serve_shim(m, source, READS, words, now)
    for number in range(route.sinks):
        endpoint = route.sink[number]
        sink = m.channels[endpoint]
        if sink.phase == READY and not (sink.framed and sink.held):
            sink.phase = MOVING
            sink.feeder = source
            sink.taking = min(sink.words_left, sink.held + words)
            m.due[sink.slot] = NEVER
            longest = max(longest, sink.taking)
            happened(m, e.MOVE_STARTED, endpoint, sink.taking, source, now)
            if is_shim(endpoint) and endpoint < CHANNELS:
                end = max(end, serve_shim(m, endpoint, WRITES, sink.taking, now))
    ch.phase = MOVING
    ch.pushing = words
    happened(m, e.MOVE_STARTED, source, words, source, now)
    m.due[ch.slot] = max(end, now + longest * m.costs.word)


@compiled
def end_segment(m: State, source: int, now: float) -> None:
    """The words of a segment arrive; the caller looks at who is done, then at who goes on."""
    ch = m.channels[source]
    words, position = ch.pushing, ch.position
    route = routes(m)[ch.route]
    ends = words == ch.words_left
    tlast = ends and last_of(m, source)
    for number in range(route.sinks):
        endpoint = route.sink[number]
        sink = m.channels[endpoint]
        taken = 0
        if sink.phase == MOVING and sink.feeder == source:
            from_fifo = min(sink.taking, sink.held)
            drain(m, endpoint, from_fifo, now)
            taken = sink.taking - from_fifo
            copy(m, source, position, endpoint, taken, now)
            sink.position += taken
            sink.words_left -= sink.taking
            sink.moved += sink.taking
            sink.phase = READY
            happened(m, e.MOVE_ENDED, endpoint, sink.taking, source, now)
            if tlast and taken == words:
                sink.ended = 1
        for word in range(taken, words):
            value = read_word(m, source, position + word, now)
            final = word == words - 1
            owner = source if final and ends and source < CHANNELS else NONE
            append(m, endpoint, value, tlast and final, owner)
        if taken < words and ends and source < CHANNELS:
            ch.pending += 1
    ch.pushing = 0
    ch.phase = READY
    route.dead_room -= min(words, route.dead_room)
    if ends and route.dead_ends and source < CHANNELS:
        ch.pending += 1  # a dead end never takes the last word
    advance(m, source, words)
    happened(m, e.MOVE_ENDED, source, words, source, now)
    if tlast and ch.packets:
        close_packet(m, source, now)
        wake_blocked(m, now)


@compiled
def wake_blocked(m: State, now: float) -> None:
    """Let sources that wait for an arbiter try again, in turn after the one that was served last.

    Each switch serves its ports in turn; here all sources of the array are in one circle.
    """
    count = m.slots
    for turn in range(count):
        endpoint = m.actor[(m.last_served + 1 + turn) % count]
        if endpoint < ENDPOINTS and m.channels[endpoint].arbiter != NONE:
            kick_source(m, endpoint, now)


@compiled
def advance(m: State, source: int, words: int) -> None:
    """Count words that a source has sent; those of a control port leave its ring."""
    ch = m.channels[source]
    ch.words_left -= words
    ch.moved += words
    if source < CHANNELS:
        ch.position += words
    else:
        for _ in range(words):
            take(m, source)


@compiled
def begin_drain(m: State, sink: int, now: float) -> None:
    """Begin to take what the FIFO holds, up to the BD's length."""
    ch = m.channels[sink]
    words = min(ch.words_left, ch.held)
    if ch.framed:
        words = min(words, frame_length(m, sink))
    ch.phase = MOVING
    ch.feeder = NONE
    ch.taking = words
    end = now + words * m.costs.word
    if is_shim(sink) and sink < CHANNELS:
        end = max(end, serve_shim(m, sink, WRITES, words, now))
    happened(m, e.MOVE_STARTED, sink, words, NONE, now)
    m.due[ch.slot] = end


@compiled
def end_drain(m: State, sink: int, now: float) -> None:
    """What was drained is stored; the caller looks at whether the BD is done."""
    ch = m.channels[sink]
    words = ch.taking
    drain(m, sink, words, now)
    ch.words_left -= words
    ch.moved += words
    ch.phase = READY
    happened(m, e.MOVE_ENDED, sink, words, NONE, now)


@compiled
def drain(m: State, sink: int, words: int, now: float) -> None:
    """Move words from a sink's FIFO to where its BD stands."""
    ch = m.channels[sink]
    for _ in range(words):
        write_word(m, sink, ch.position, take(m, sink), now)
        ch.position += 1


@compiled
def copy(m: State, source: int, at: int, sink: int, words: int, now: float) -> None:
    """Copy real bytes from position `at` of a source's BD to where the sink's BD stands."""
    to_at = m.channels[sink].position
    left = words
    while left > 0:
        to, to_run = place(m, sink, to_at, left, now)
        if source >= CHANNELS:
            from_, from_run = NOWHERE, 1
        else:
            from_, from_run = place(m, source, at, left, now)
        run = min(left, from_run, to_run)
        if to > 0:
            if from_ > 0:
                copy_bytes(to, from_, run * WORD_BYTES)
            elif from_ == PADDING:
                words_at(to, 1)[0] = pad_word(m, source)
            elif source >= CHANNELS:
                words_at(to, 1)[0] = read_word(m, source, at, now)
        at += run
        to_at += run
        left -= run


@compiled
def serve_shim(m: State, channel: int, direction: int, words: int, now: float) -> float:
    """Queue a shim channel's words at DDR's limits and its column's; returns their end."""
    nbytes = words * WORD_BYTES
    column = channel // TILE_CHANNELS // ROWS
    limit = m.costs.write_limit if direction == WRITES else m.costs.read_limit
    end = serve(m, direction, nbytes / limit, now)
    end = max(end, serve(m, BOTH, nbytes / m.costs.combined_limit, now))
    own = COLUMNS + 2 * column + direction
    return max(end, serve(m, own, nbytes / m.costs.column_limit, now))


@compiled
def serve(m: State, server: int, duration: float, now: float) -> float:
    """Queue a request at one limit, first come first served; returns its end."""
    end = max(m.served_until[server], now) + duration
    m.served_until[server] = end
    return end
