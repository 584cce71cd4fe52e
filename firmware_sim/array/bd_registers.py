# SPDX-License-Identifier: Apache-2.0
"""What a BD's registers say, in compiled code: validity, length, addressing, padding, locks.

One reader for all tile kinds: the fields are the tables of `aie2.registers`, as an array that says
per kind where a field lies. A BD is taken apart once after its registers were written.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aie2.control_packets import PACKET_HEADER
from aie2.fields import WORD_BYTES as WORD_BYTES
from aie2.registers import DMA, LOCKS, SHIM_BD, SHIM_QUEUE, Layout
from aie2.tiles import TileKind
from firmware_sim import diagnostics as d
from firmware_sim.array.bits import bits, cut, wide
from firmware_sim.array.packet_header import with_parity
from firmware_sim.array.state import (
    BD_SLOTS,
    CHANNEL_SLOTS,
    KINDS,
    LOCK_SLOTS,
    MEMTILE,
    NONE,
    ROWS,
    SHIM,
    TILE_CHANNELS,
    State,
)
from firmware_sim.compiled import compiled

FIELDS = (
    "valid_bd",
    "buffer_length",
    "base_address",
    "base_address_low",
    "base_address_high",
    "d0_wrap",
    "d1_wrap",
    "d2_wrap",
    "d0_stepsize",
    "d1_stepsize",
    "d2_stepsize",
    "d3_stepsize",
    "d0_zero_before",
    "d1_zero_before",
    "d2_zero_before",
    "d0_zero_after",
    "d1_zero_after",
    "d2_zero_after",
    "iteration_current",
    "iteration_wrap",
    "iteration_stepsize",
    "use_next_bd",
    "next_bd",
    "lock_acq_enable",
    "lock_acq_id",
    "lock_acq_value",
    "lock_rel_id",
    "lock_rel_value",
    "enable_packet",
    "packet_id",
    "packet_type",
    "out_of_order_id",
    "enable_compression",
    "tlast_suppress",
)
"""Fields that the simulator reads; a kind of tile that lacks one reads it as 0."""
(
    VALID,
    LENGTH,
    BASE,
    BASE_LOW,
    BASE_HIGH,
    WRAP,
    _,
    _,
    STEP,
    _,
    _,
    _,
    BEFORE,
    _,
    _,
    AFTER,
    _,
    _,
    ITERATION,
    ITERATION_WRAP,
    ITERATION_STEP,
    USE_NEXT,
    NEXT,
    ACQUIRE,
    ACQUIRE_ID,
    ACQUIRE_VALUE,
    RELEASE_ID,
    RELEASE_VALUE,
    PACKET,
    PACKET_ID,
    PACKET_TYPE,
    OUT_OF_ORDER_ID,
    COMPRESSION,
    TLAST_SUPPRESS,
) = range(len(FIELDS))

ABSENT = NONE


def _places(layout: Layout) -> list[tuple[int, int, int, int]]:
    known = {entry.name for entry in layout.fields}
    return [
        tuple(bits(layout, name)) if name in known else (ABSENT, 0, 0, 0)  # pyright: ignore[reportReturnType]
        for name in FIELDS
    ]


PLACES = np.array([_places(DMA[kind].bd) for kind in KINDS], np.int64)
"""(kinds, fields, 4): word, shift, mask and sign weight of every field."""

BD_COUNTS = np.array([DMA[kind].bd_count for kind in KINDS], np.int64)
LOCK_COUNTS = np.array([LOCKS[kind].count for kind in KINDS], np.int64)
QUEUE_BD_MASKS = np.array([bits(DMA[kind].queue, "start_bd_id").mask for kind in KINDS], np.int64)
QUEUE_REPEAT = bits(SHIM_QUEUE, "repeat_count")
QUEUE_TOKEN = bits(SHIM_QUEUE, "enable_token_issue")
ADDRESS_LOW_SHIFT = SHIM_BD.field("base_address_low").shift
PACKET_TYPE_SHIFT = PACKET_HEADER.field("packet_type").shift
OUT_OF_ORDER_SHIFT = PACKET_HEADER.field("out_of_order_id").shift
SOURCE_ROW_SHIFT = PACKET_HEADER.field("source_row").shift
SOURCE_COLUMN_SHIFT = PACKET_HEADER.field("source_column").shift
NEIGHBOUR_CHANNELS = 4
"""Channels per direction of a memtile that reach its neighbours (AM020 chapter 5, table 12)."""
MEMTILE_NEIGHBOURS = 3
"""Memories and lock sets that a memtile's DMA sees: west, own, east."""
if list(KINDS) != [TileKind.SHIM, TileKind.MEMTILE, TileKind.CORE]:  # pragma: no cover
    raise RuntimeError("tile kinds must be numbered by row")


@compiled
def tile_kind(tile: int) -> int:
    """SHIM, MEMTILE or CORE."""
    return min(tile % ROWS, 2)


@compiled
def is_shim(channel: int) -> bool:
    """Whether an endpoint is a shim's DMA channel."""
    return (channel // TILE_CHANNELS) % ROWS == SHIM


@compiled
def is_mm2s(channel: int) -> bool:
    """Whether a channel number belongs to the direction memory to stream."""
    return channel % TILE_CHANNELS >= CHANNEL_SLOTS


@compiled
def sees_neighbours(channel: int) -> bool:
    """Whether a memtile channel reaches its neighbours' memory and locks: the first four do."""
    return channel % CHANNEL_SLOTS < NEIGHBOUR_CHANNELS


@compiled
def start_bd(channel: int, word: int) -> int:
    """BD that a queue word starts with; the field is wider on memtiles."""
    return wide(word) & QUEUE_BD_MASKS[tile_kind(channel // TILE_CHANNELS)]


@compiled
def repeats(word: int) -> int:
    """Further times that a queue word lets its chain come round."""
    return cut(word, QUEUE_REPEAT)


@compiled
def has_token(word: int) -> bool:
    """Whether a queue word asks for a token at its end."""
    return cut(word, QUEUE_TOKEN) != 0


@compiled
def read(words: NDArray, kind: int, field: int) -> int:
    """Value of a field in a BD's registers; signed where the field is, 0 where it is absent."""
    place = PLACES[kind, field]
    if place[0] == ABSENT:
        return 0
    value = (wide(words[place[0]]) >> place[1]) & place[2]
    if value & place[3]:
        value -= place[3] << 1
    return value


@compiled
def lock_place(tile: int, lock: int) -> int:
    """Lock as `tile * LOCK_SLOTS + index`; memtiles number west, own and east locks in turn.

    NONE for an id that no tile has, or whose tile lies outside every partition.
    """
    if tile_kind(tile) != MEMTILE:
        return tile * LOCK_SLOTS + lock
    if lock >= MEMTILE_NEIGHBOURS * LOCK_SLOTS:
        return NONE
    neighbour = tile + (lock // LOCK_SLOTS - 1) * ROWS
    return NONE if neighbour < 0 else neighbour * LOCK_SLOTS + lock % LOCK_SLOTS


@compiled
def descriptor(m: State, tile: int, bd: int) -> State:
    """The BD's `DESCRIPTOR`, decoded now if its registers were written since."""
    entry = m.descriptors[tile, bd]
    if not entry.known:
        decode(m, tile, bd)
    return entry


@compiled
def decode(m: State, tile: int, bd: int) -> None:
    """Take a BD's registers apart."""
    entry, words, kind = m.descriptors[tile, bd], m.bds[tile, bd], tile_kind(tile)
    entry.known = 1
    decode_addressing(entry, words, kind)
    entry.next = read(words, kind, NEXT) if read(words, kind, USE_NEXT) else NONE
    entry.acquire = NONE
    if read(words, kind, ACQUIRE):
        entry.acquire = lock_place(tile, read(words, kind, ACQUIRE_ID))
    entry.acquire_value = read(words, kind, ACQUIRE_VALUE)
    entry.release_value = read(words, kind, RELEASE_VALUE)
    entry.release = NONE
    if entry.release_value:
        entry.release = lock_place(tile, read(words, kind, RELEASE_ID))
    entry.packet = read(words, kind, PACKET)
    kind_of_packet = read(words, kind, PACKET_TYPE) << PACKET_TYPE_SHIFT
    entry.header = with_parity(
        kind_of_packet
        | read(words, kind, PACKET_ID)
        | read(words, kind, OUT_OF_ORDER_ID) << OUT_OF_ORDER_SHIFT
        | tile % ROWS << SOURCE_ROW_SHIFT
        | tile // ROWS << SOURCE_COLUMN_SHIFT
    )
    entry.last = 1 if entry.packet else 1 - read(words, kind, TLAST_SUPPRESS)
    entry.fault = fault_of(m, tile, entry, words, kind)


@compiled
def decode_addressing(entry: State, words: NDArray, kind: int) -> None:
    """Length, base address, wraps, steps, padding and iteration."""
    entry.words = read(words, kind, LENGTH)
    if kind == SHIM:
        low = read(words, kind, BASE_LOW) << ADDRESS_LOW_SHIFT
        entry.base = read(words, kind, BASE_HIGH) << 32 | low
    else:
        entry.base = read(words, kind, BASE) * WORD_BYTES
    entry.padded = 0
    for dimension in range(3):
        entry.wraps[dimension] = read(words, kind, WRAP + dimension)
        entry.before[dimension] = read(words, kind, BEFORE + dimension)
        entry.after[dimension] = read(words, kind, AFTER + dimension)
        if entry.before[dimension] or entry.after[dimension]:
            entry.padded = 1
    for dimension in range(4):
        entry.steps[dimension] = read(words, kind, STEP + dimension) + 1
    entry.iteration_wrap = read(words, kind, ITERATION_WRAP)
    entry.iteration_step = read(words, kind, ITERATION_STEP) + 1
    if not entry.padded:
        join_dimensions(entry)


@compiled
def join_dimensions(entry: State) -> None:
    """Fold dimensions that are contiguous into the first, so that long runs are copied at once."""
    wraps, steps = entry.wraps, entry.steps
    while steps[0] == 1 and wraps[0] > 0 and steps[1] == wraps[0]:
        wraps[0] = wraps[0] * wraps[1]
        wraps[1], wraps[2] = wraps[2], 0
        steps[1], steps[2] = steps[2], steps[3]
        if wraps[0] == 0:
            break


@compiled
def fault_of(m: State, tile: int, entry: State, words: NDArray, kind: int) -> int:
    """Diagnostic code of what makes a BD unusable; 0: it can run."""
    if not read(words, kind, VALID):
        return d.BD_INVALID
    if entry.words == 0:
        return d.BD_EMPTY
    if read(words, kind, COMPRESSION):
        return d.BD_FEATURE
    locks = m.columns * ROWS * LOCK_SLOTS
    wants = read(words, kind, ACQUIRE) != 0
    if (wants and entry.acquire == NONE) or (entry.release_value and entry.release == NONE):
        return d.BD_FIELD
    if entry.acquire >= locks or entry.release >= locks:
        return d.BD_FIELD
    if read(words, kind, ITERATION) > entry.iteration_wrap > 0:
        return d.BD_FIELD
    return 0


@compiled
def iterate(m: State, tile: int, bd: int, entry: State) -> int:
    """Bytes that the BD's iteration adds this time; counts the load in its register.

    The count outlives a task: only a write of the register sets it back.
    """
    place = PLACES[tile_kind(tile), ITERATION]
    words = m.bds[tile, bd]
    current = (wide(words[place[0]]) >> place[1]) & place[2]
    if entry.iteration_wrap:
        following = 0 if current >= entry.iteration_wrap else current + 1
        words[place[0]] = (wide(words[place[0]]) & ~(place[2] << place[1])) | following << place[1]
    return current * entry.iteration_step * WORD_BYTES


@compiled
def chain_holds(m: State, tile: int, start: int, wanted: int) -> bool:
    """Whether a chain of BDs that begins at `start` comes by BD `wanted`."""
    bd, count = start, BD_COUNTS[tile_kind(tile)]
    for _ in range(BD_SLOTS):
        if bd == wanted:
            return True
        if bd < 0 or bd >= count:
            return False
        words, kind = m.bds[tile, bd], tile_kind(tile)
        bd = read(words, kind, NEXT) if read(words, kind, USE_NEXT) else NONE
    return False
