# SPDX-License-Identifier: Apache-2.0
"""What a BD's registers say, in compiled code: validity, length, addressing, iteration, locks.

The fields are the tables of `aie2.registers`; `firmware_sim.dma` calls this when it loads a BD.
"""

from __future__ import annotations

from numba import njit
from numpy.typing import NDArray

from aie2.fields import WORD_BYTES as WORD_BYTES
from aie2.registers import (
    MEMTILE_BD,
    MEMTILE_DMA,
    MEMTILE_QUEUE,
    SHIM_BD,
    SHIM_DMA,
    SHIM_QUEUE,
)
from firmware_sim import diagnostics as d
from firmware_sim.bits import Bits, bits, cut, get, wide
from firmware_sim.state import CHANNEL_SLOTS, ROWS_MODELLED, TILE_CHANNELS, Machine

SHIM_BDS, MEMTILE_BDS = SHIM_DMA.bd_count, MEMTILE_DMA.bd_count
ADDRESS_LOW_SHIFT = SHIM_BD.field("base_address_low").shift

S_QUEUE_BD = bits(SHIM_QUEUE, "start_bd_id")
M_QUEUE_BD = bits(MEMTILE_QUEUE, "start_bd_id")
QUEUE_REPEAT = bits(SHIM_QUEUE, "repeat_count")
QUEUE_TOKEN = bits(SHIM_QUEUE, "enable_token_issue")

S_LENGTH = bits(SHIM_BD, "buffer_length")
S_LOW = bits(SHIM_BD, "base_address_low")
S_HIGH = bits(SHIM_BD, "base_address_high")
S_PACKET = bits(SHIM_BD, "enable_packet")
S_WRAP0, S_WRAP1 = bits(SHIM_BD, "d0_wrap"), bits(SHIM_BD, "d1_wrap")
S_STEP0, S_STEP1 = bits(SHIM_BD, "d0_stepsize"), bits(SHIM_BD, "d1_stepsize")
S_STEP2 = bits(SHIM_BD, "d2_stepsize")
S_NEXT, S_USE_NEXT = bits(SHIM_BD, "next_bd"), bits(SHIM_BD, "use_next_bd")
S_VALID = bits(SHIM_BD, "valid_bd")
S_ITERATION = bits(SHIM_BD, "iteration_current")
S_ITERATION_WRAP = bits(SHIM_BD, "iteration_wrap")
S_ITERATION_STEP = bits(SHIM_BD, "iteration_stepsize")
S_ACQUIRE = bits(SHIM_BD, "lock_acq_enable")
S_ACQUIRE_ID, S_ACQUIRE_VALUE = bits(SHIM_BD, "lock_acq_id"), bits(SHIM_BD, "lock_acq_value")
S_RELEASE_ID, S_RELEASE_VALUE = bits(SHIM_BD, "lock_rel_id"), bits(SHIM_BD, "lock_rel_value")

M_LENGTH = bits(MEMTILE_BD, "buffer_length")
M_BASE = bits(MEMTILE_BD, "base_address")
M_PACKET = bits(MEMTILE_BD, "enable_packet")
M_COMPRESSION = bits(MEMTILE_BD, "enable_compression")
M_WRAP0, M_WRAP1 = bits(MEMTILE_BD, "d0_wrap"), bits(MEMTILE_BD, "d1_wrap")
M_WRAP2 = bits(MEMTILE_BD, "d2_wrap")
M_STEP0, M_STEP1 = bits(MEMTILE_BD, "d0_stepsize"), bits(MEMTILE_BD, "d1_stepsize")
M_STEP2, M_STEP3 = bits(MEMTILE_BD, "d2_stepsize"), bits(MEMTILE_BD, "d3_stepsize")
M_PADS = tuple(
    bits(MEMTILE_BD, f"d{dimension}_zero_{side}")
    for dimension in range(3)
    for side in ("before", "after")
)
M_NEXT, M_USE_NEXT = bits(MEMTILE_BD, "next_bd"), bits(MEMTILE_BD, "use_next_bd")
M_VALID = bits(MEMTILE_BD, "valid_bd")
M_ITERATION = bits(MEMTILE_BD, "iteration_current")
M_ITERATION_WRAP = bits(MEMTILE_BD, "iteration_wrap")
M_ITERATION_STEP = bits(MEMTILE_BD, "iteration_stepsize")
M_ACQUIRE = bits(MEMTILE_BD, "lock_acq_enable")
M_ACQUIRE_ID, M_ACQUIRE_VALUE = bits(MEMTILE_BD, "lock_acq_id"), bits(MEMTILE_BD, "lock_acq_value")
M_RELEASE_ID, M_RELEASE_VALUE = bits(MEMTILE_BD, "lock_rel_id"), bits(MEMTILE_BD, "lock_rel_value")


@njit
def is_shim(channel: int) -> bool:
    """Whether a channel number belongs to a shim tile."""
    return (channel // TILE_CHANNELS) % ROWS_MODELLED == 0


@njit
def start_bd(channel: int, word: int) -> int:
    """BD that a queue word starts with; the field is wider on memtiles."""
    return cut(word, S_QUEUE_BD) if is_shim(channel) else cut(word, M_QUEUE_BD)


@njit
def has_bd(channel: int, bd: int) -> bool:
    """Whether the channel's tile has that BD at all: a memtile's fields can name more."""
    return bd < (SHIM_BDS if is_shim(channel) else MEMTILE_BDS)


@njit
def is_mm2s(channel: int) -> bool:
    """Whether a channel number belongs to the direction memory to stream."""
    return channel % TILE_CHANNELS >= CHANNEL_SLOTS


@njit
def decode_shim(m: Machine, channel: int, words: NDArray) -> int:
    """Addressing of a shim BD into the channel's state; returns a diagnostic code or 0."""
    ch = m.channels[channel]
    if not get(words, S_VALID):
        return d.BD_INVALID
    if get(words, S_PACKET):
        return d.BD_FEATURE
    ch.words_left = get(words, S_LENGTH)
    ch.base = (get(words, S_HIGH) << 32) | (get(words, S_LOW) << ADDRESS_LOW_SHIFT)
    ch.wraps[0] = get(words, S_WRAP0)
    ch.wraps[1] = get(words, S_WRAP1)
    ch.wraps[2] = 0
    ch.steps[0] = get(words, S_STEP0) + 1
    ch.steps[1] = get(words, S_STEP1) + 1
    ch.steps[2] = get(words, S_STEP2) + 1
    current = get(words, S_ITERATION)
    ch.base += current * (get(words, S_ITERATION_STEP) + 1) * WORD_BYTES
    step_iteration(words, S_ITERATION, current, get(words, S_ITERATION_WRAP))
    join_dimensions(m, channel)
    return 0


@njit
def decode_memtile(m: Machine, channel: int, words: NDArray) -> int:
    """Addressing of a memtile BD into the channel's state; returns a diagnostic code or 0."""
    ch = m.channels[channel]
    if not get(words, M_VALID):
        return d.BD_INVALID
    if get(words, M_PACKET) or get(words, M_COMPRESSION):
        return d.BD_FEATURE
    for pad in M_PADS:
        if get(words, pad):
            return d.BD_FEATURE
    ch.words_left = get(words, M_LENGTH)
    ch.base = get(words, M_BASE) * WORD_BYTES
    ch.wraps[0] = get(words, M_WRAP0)
    ch.wraps[1] = get(words, M_WRAP1)
    ch.wraps[2] = get(words, M_WRAP2)
    ch.steps[0] = get(words, M_STEP0) + 1
    ch.steps[1] = get(words, M_STEP1) + 1
    ch.steps[2] = get(words, M_STEP2) + 1
    ch.steps[3] = get(words, M_STEP3) + 1
    current = get(words, M_ITERATION)
    ch.base += current * (get(words, M_ITERATION_STEP) + 1) * WORD_BYTES
    step_iteration(words, M_ITERATION, current, get(words, M_ITERATION_WRAP))
    join_dimensions(m, channel)
    return 0


@njit
def step_iteration(words: NDArray, field: Bits, current: int, wrap: int) -> None:
    """Count the load of a BD in its register: the state that outlives a task."""
    if wrap:
        following = 0 if current >= wrap else current + 1
        kept = wide(words[field.word]) & ~(field.mask << field.shift)
        words[field.word] = kept | (following << field.shift)


@njit
def join_dimensions(m: Machine, channel: int) -> None:
    """Fold dimensions that are contiguous into the first, so that long runs are copied at once."""
    wraps, steps = m.channels[channel].wraps, m.channels[channel].steps
    while steps[0] == 1 and wraps[0] > 0 and steps[1] == wraps[0]:
        wraps[0] = wraps[0] * wraps[1]
        wraps[1], wraps[2] = wraps[2], 0
        steps[1], steps[2] = steps[2], steps[3]
        if wraps[0] == 0:
            break
