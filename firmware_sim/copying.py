# SPDX-License-Identifier: Apache-2.0
"""Real bytes from where one BD stands to where another stands, in compiled code.

Addresses are looked up in host buffers (shim) or in memtile memory, and checked there.
"""

from __future__ import annotations

from numba import njit

from firmware_sim import diagnostics as d
from firmware_sim.bd_registers import WORD_BYTES, is_shim
from firmware_sim.diagnostics import report
from firmware_sim.raw_memory import copy_bytes
from firmware_sim.state import ROWS_MODELLED, TILE_CHANNELS, Machine


@njit
def copy_words(m: Machine, source: int, sink: int, words: int, now: float) -> None:
    """Move real bytes: `words` words from where one BD stands to where the other stands."""
    left = words
    while left > 0:
        from_, from_run = place(m, source, left, now)
        to, to_run = place(m, sink, left, now)
        run = min(left, from_run, to_run)
        if from_ != 0 and to != 0:
            copy_bytes(to, from_, run * WORD_BYTES)
        m.channels[source].position += run
        m.channels[sink].position += run
        left -= run


@njit
def place(m: Machine, channel: int, limit: int, now: float) -> tuple[int, int]:
    """(pointer, words) of the contiguous run at a channel's position; pointer 0: nowhere."""
    ch = m.channels[channel]
    wraps, steps = ch.wraps, ch.steps
    rest = ch.position
    offset = 0
    run = limit
    for dimension in range(4):
        wrap = wraps[dimension] if dimension < 3 else 0
        if wrap == 0:
            offset += rest * steps[dimension]
            if dimension == 0 and steps[0] != 1:
                run = 1
            break
        index = rest % wrap
        offset += index * steps[dimension]
        if dimension == 0:
            run = wrap - index if steps[0] == 1 else 1
        rest //= wrap
    address = ch.base + offset * WORD_BYTES
    if is_shim(channel):
        return ddr_place(m, channel, address, min(run, limit), now)
    return memtile_place(m, channel, address, min(run, limit), now)


@njit
def ddr_place(m: Machine, channel: int, address: int, run: int, now: float) -> tuple[int, int]:
    """Pointer into the host buffer at a device address, and how far the run stays inside it."""
    for number in range(m.buffers.size):
        buffer = m.buffers[number]
        inside = address - buffer.base
        if inside >= 0 and inside + WORD_BYTES <= buffer.length:
            return buffer.pointer + inside, min(run, (buffer.length - inside) // WORD_BYTES)
    report(m, d.BAD_ADDRESS, channel, 0, address, now)
    return 0, run


@njit
def memtile_place(m: Machine, channel: int, address: int, run: int, now: float) -> tuple[int, int]:
    """Pointer into memtile memory; addresses count west, own, east memory in that order."""
    size = m.memory.shape[1]
    column = channel // TILE_CHANNELS // ROWS_MODELLED + address // size - 1
    if address >= 3 * size or column < 0 or column >= m.memory.shape[0]:
        report(m, d.BAD_ADDRESS, channel, 0, address, now)
        return 0, run
    inside = address % size
    room = (size - inside) // WORD_BYTES
    return m.memory[column].ctypes.data + inside, min(run, room)
