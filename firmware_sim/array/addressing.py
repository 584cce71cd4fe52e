# SPDX-License-Identifier: Apache-2.0
"""Where the words of a BD lie, in compiled code: n-d steps, padding, and which memory it is.

Addresses are looked up in host buffers (shim), in a memtile's own or its neighbours' memory, or in
a core tile's memory, and checked there.
"""

from __future__ import annotations

from firmware_sim import diagnostics as d
from firmware_sim.array.bd_registers import (
    MEMTILE_NEIGHBOURS,
    WORD_BYTES,
    is_mm2s,
    sees_neighbours,
    tile_kind,
)
from firmware_sim.array.pointers import host_buffers, words_at
from firmware_sim.array.state import (
    CHANNELS,
    MEMTILE,
    RING,
    ROWS,
    SHIM,
    TILE_CHANNELS,
    State,
)
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

NOWHERE = 0
"""Pointer of words that lie in no memory: read as 0, lost when written."""
PADDING = -1
"""Pointer of words that the DMA makes itself, which only sending channels do."""
DDR_ALIAS = 0x80000000
"""Where the NPU also sees DDR: device addresses may come with or without it."""


@compiled
def place(m: State, channel: int, at: int, limit: int, now: float) -> tuple[int, int]:
    """(pointer, words) of the contiguous run at position `at` of the channel's BD."""
    ch = m.channels[channel]
    tile = channel // TILE_CHANNELS
    entry = m.descriptors[tile, ch.bd]
    if entry.padded and is_mm2s(channel):
        offset, run = padded_offset(entry, at, limit)
        if run == 0:
            return PADDING, 1
    else:
        offset, run = plain_offset(entry, at, limit)
    address = ch.base + offset * WORD_BYTES
    kind = tile_kind(tile)
    if kind == SHIM:
        return ddr_place(m, channel, address, run, now)
    if kind == MEMTILE:
        return memtile_place(m, channel, address, run, now)
    return core_place(m, channel, address, run, now)


@compiled
def plain_offset(entry: State, at: int, limit: int) -> tuple[int, int]:
    """(word offset from the base, length of the run) without padding."""
    wraps, steps = entry.wraps, entry.steps
    rest, offset, run = at, 0, limit
    if steps[0] != 1:
        run = 1
    for dimension in range(4):
        wrap = wraps[dimension] if dimension < 3 else 0
        if wrap == 0:
            return offset + rest * steps[dimension], run
        index = rest % wrap
        offset += index * steps[dimension]
        if dimension == 0 and steps[0] == 1:
            run = min(limit, wrap - index)
        rest //= wrap
    return offset, run


@compiled
def padded_offset(entry: State, at: int, limit: int) -> tuple[int, int]:
    """(word offset from the base, length of the run) with padding; length 0: a padding word.

    A dimension has `before`, then its own, then `after` elements; one of d1 is a whole padded d0.
    """
    rest, offset, run = at, 0, 1
    for dimension in range(3):
        own = entry.wraps[dimension]
        before = entry.before[dimension]
        if own == 0:
            index, rest = rest - before, 0
            own = index + limit
        else:
            size = before + own + entry.after[dimension]
            index, rest = rest % size - before, rest // size
        if index < 0 or index >= own:
            return 0, 0
        offset += index * entry.steps[dimension]
        if dimension == 0 and entry.steps[0] == 1:
            run = min(limit, own - index)
    return offset + rest * entry.steps[3], run


@compiled
def ddr_place(m: State, channel: int, address: int, run: int, now: float) -> tuple[int, int]:
    """Pointer into the host buffer at a device address, and how far the run stays inside it."""
    buffers = host_buffers(m)
    for number in range(m.buffers_size):
        buffer = buffers[number]
        inside = address - buffer.base
        if inside < 0 or inside + WORD_BYTES > buffer.length:
            inside -= DDR_ALIAS
        if inside >= 0 and inside + WORD_BYTES <= buffer.length:
            if is_mm2s(channel):
                buffer.read = 1
            else:
                buffer.written = 1
            return buffer.pointer + inside, min(run, (buffer.length - inside) // WORD_BYTES)
    report(m, d.BAD_ADDRESS, channel, 0, address, now)
    return NOWHERE, run


@compiled
def memtile_place(m: State, channel: int, address: int, run: int, now: float) -> tuple[int, int]:
    """Pointer into memtile memory; addresses count west, own, east memory in that order."""
    tile = channel // TILE_CHANNELS
    size = m.memory_bytes[tile]
    neighbour = tile + (address // size - 1) * ROWS
    inside = address % size
    run = min(run, (size - inside) // WORD_BYTES)
    reached = address < MEMTILE_NEIGHBOURS * size and 0 <= neighbour < m.columns * ROWS
    if not reached or (neighbour != tile and not sees_neighbours(channel)):
        report(m, d.BAD_ADDRESS, channel, 0, address, now)
        m.channels[channel].broken = 1
        return NOWHERE, run
    return m.memory_at[neighbour] + inside, run


@compiled
def core_place(m: State, channel: int, address: int, run: int, now: float) -> tuple[int, int]:
    """Pointer into a core tile's own memory."""
    tile = channel // TILE_CHANNELS
    if address + WORD_BYTES > m.memory_bytes[tile]:
        report(m, d.BAD_ADDRESS, channel, 0, address, now)
        m.channels[channel].broken = 1
        return NOWHERE, run
    return m.memory_at[tile] + address, min(run, (m.memory_bytes[tile] - address) // WORD_BYTES)


@compiled
def read_word(m: State, source: int, at: int, now: float) -> int:
    """Word at position `at` of what a source sends."""
    if source >= CHANNELS:
        ring = m.rings[source]
        return ring[(m.channels[source].head + at) % RING]
    where, _ = place(m, source, at, 1, now)
    if where == PADDING:
        return pad_word(m, source)
    if where == NOWHERE:
        return 0
    return words_at(where, 1)[0]


@compiled
def write_word(m: State, sink: int, at: int, word: int, now: float) -> None:
    """Store a word at position `at` of the sink's BD."""
    where, _ = place(m, sink, at, 1, now)
    if where > 0:
        words_at(where, 1)[0] = word


@compiled
def pad_word(m: State, source: int) -> int:
    """What a memtile channel pads with."""
    tile, channel = source // TILE_CHANNELS, source % TILE_CHANNELS
    return m.pad_values[tile, channel % m.pad_values.shape[1]]
