# SPDX-License-Identifier: Apache-2.0
"""What is wrong with BDs as their registers stand, many at once, without running them.

The plain-numpy twin of `firmware_sim.array.bd_registers` and `dma.fault_for`, for `check`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aie2.fields import WORD_BYTES, Field
from aie2.registers import DMA, LOCKS
from aie2.tiles import MEMTILE_EAST_LOCK, MEMTILE_OWN_LOCK, TileKind
from firmware_sim import diagnostics as d
from firmware_sim.array.bd_registers import ADDRESS_LOW_SHIFT, NEIGHBOUR_CHANNELS
from firmware_sim.array.state import (
    BD_SLOTS,
    CHANNEL_SLOTS,
    KINDS,
    LOCK_SLOTS,
    MEMTILE,
    NONE,
    PACKET_IDS,
    ROWS,
    SHIM,
    TILE_CHANNELS,
)
from firmware_sim.check.registers import MEMORY_BYTES, Ints, tile_kind_of

FAR = {TileKind.SHIM: 0, TileKind.MEMTILE: MEMTILE_OWN_LOCK, TileKind.CORE: 0}
"""Number that a tile's own lock 0 has in its BDs."""
VISIBLE_LOCKS = MEMTILE_EAST_LOCK + LOCKS[TileKind.MEMTILE].count
"""Lock ids from here on mean no lock of any tile."""


@dataclass(frozen=True)
class Descriptors:
    """BDs, one row for each time that one was written."""

    tile: Ints
    number: Ints
    words: NDArray[np.uint32]
    """(n, 8) register words."""
    length: list[int]
    """Words that the BD moves."""
    next: list[int]
    """Following BD, NONE: the chain ends."""
    packet: list[int]
    """Packet id of the header that it sends, NONE: it sends none."""
    address: list[int]
    """Byte address in host memory (shims) or as the tile's DMA sees memory."""
    fault: list[int]
    """Code of `firmware_sim.diagnostics` for what makes it unusable, 0: it can run."""
    abroad: list[int]
    """The same, if it is run by a memtile channel that does not reach the neighbours."""
    lock: list[int]
    """Lock that it takes, as tile * LOCK_SLOTS + index; NONE: none."""
    lock_value: list[int]
    """Value that it waits for, negative: at least."""
    given: list[int]
    """Lock that it gives back."""


def describe(
    tile: Sequence[int] | Ints,
    number: Sequence[int] | Ints,
    words: NDArray[np.uint32],
    columns: int,
) -> Descriptors:
    """Take BDs apart; rows of `words` are registers of BD `number` of `tile`."""
    tiles, numbers = np.asarray(tile, np.int64), np.asarray(number, np.int64)
    kinds = np.minimum(tiles % ROWS, len(KINDS) - 1)
    found = {
        name: np.zeros(tiles.size, np.int64)
        for name in (*("length", "next", "packet", "address", "fault", "abroad"),)
    } | {name: np.full(tiles.size, NONE) for name in ("lock", "lock_value", "given")}
    for code in range(len(KINDS)):
        rows = np.flatnonzero(kinds == code)
        if rows.size:
            part = _of_kind(code, tiles[rows], words[rows].astype(np.int64), columns)
            for name, values in part.items():
                found[name][rows] = values
    return Descriptors(
        tiles, numbers, words, **{name: array.tolist() for name, array in found.items()}
    )


def _take(field: Field, words: Ints) -> Ints:
    value = words[:, field.word] >> field.lsb & field.mask
    return np.where(value > field.max, value - (1 << field.width), value)


def fields_of(code: int, words: Ints) -> dict[str, Ints]:
    """Every field of BDs of one tile kind; fields that only others have are left out."""
    return {entry.name: _take(entry, words) for entry in DMA[KINDS[code]].bd.fields}


def _of_kind(code: int, tile: Ints, words: Ints, columns: int) -> dict[str, Ints]:
    fields = fields_of(code, words)
    lock = _lock(code, tile, fields["lock_acq_id"], fields["lock_acq_enable"])
    given = _lock(code, tile, fields["lock_rel_id"], fields["lock_rel_value"])
    if code == SHIM:
        low = fields["base_address_low"] << ADDRESS_LOW_SHIFT
        address = fields["base_address_high"] << 32 | low
    else:
        address = fields["base_address"] * WORD_BYTES
    fault = _fault(fields, lock, given, columns)
    if code != SHIM:
        lost = _outside(code, tile, fields, address, columns)
        fault = np.where((fault == 0) & lost, d.BAD_ADDRESS, fault)
    return {
        "length": fields["buffer_length"],
        "next": np.where(fields["use_next_bd"] != 0, fields["next_bd"], NONE),
        "packet": np.where(fields["enable_packet"] != 0, fields["packet_id"] % PACKET_IDS, NONE),
        "address": address,
        "fault": fault,
        "abroad": _abroad(code, tile, fields, lock, given, address),
        "lock": lock,
        "lock_value": fields["lock_acq_value"],
        "given": given,
    }


_NO_TILE = -2


def _lock(code: int, tile: Ints, lock: Ints, used: Ints) -> Ints:
    """Locks as tile * LOCK_SLOTS + index; NONE: not used, below: of no tile."""
    if code == MEMTILE:
        neighbour = tile + (lock // LOCK_SLOTS - 1) * ROWS
        known = (lock < VISIBLE_LOCKS) & (neighbour >= 0)
        place = np.where(known, neighbour * LOCK_SLOTS + lock % LOCK_SLOTS, _NO_TILE)
    else:
        place = tile * LOCK_SLOTS + lock
    return np.where(used != 0, place, NONE)


def _fault(fields: dict[str, Ints], lock: Ints, given: Ints, columns: int) -> Ints:
    locks = columns * ROWS * LOCK_SLOTS
    bad_lock = (np.minimum(lock, given) == _NO_TILE) | (np.maximum(lock, given) >= locks)
    wrap = fields["iteration_wrap"]
    bad_iteration = (fields["iteration_current"] > wrap) & (wrap > 0)
    compressed = fields.get("enable_compression", np.zeros_like(wrap)) != 0
    fault = np.where(bad_lock | bad_iteration, d.BD_FIELD, 0)
    fault = np.where(compressed, d.BD_FEATURE, fault)
    fault = np.where(fields["buffer_length"] == 0, d.BD_EMPTY, fault)
    return np.where(fields["valid_bd"] == 0, d.BD_INVALID, fault)


def _last_word(fields: dict[str, Ints]) -> Ints:
    """Word offset of the furthest word from the base, without iteration; 0 where there is padding.

    A length that is no whole number of turns ends before that: only what is certain counts.
    """
    left, far = fields["buffer_length"].copy(), np.zeros_like(fields["buffer_length"])
    padded = np.zeros(left.size, bool)
    for name in ("d0_zero", "d1_zero", "d2_zero"):
        for side in ("_before", "_after"):
            if name + side in fields:
                padded |= fields[name + side] != 0
    for dimension in range(4):
        wrap = fields.get(f"d{dimension}_wrap", np.zeros_like(left))
        step = fields.get(f"d{dimension}_stepsize")
        if step is None:
            break
        own = np.where(wrap == 0, left, np.minimum(wrap, left))
        far += (np.maximum(own, 1) - 1) * (step + 1)
        left = np.where(wrap == 0, 1, left // np.maximum(wrap, 1))
    return np.where(padded, 0, far)


def _outside(
    code: int, tile: Ints, fields: dict[str, Ints], address: Ints, columns: int
) -> NDArray[np.bool_]:
    """Whether a BD certainly reaches beyond the memories that its tile's DMA has."""
    size = MEMORY_BYTES[KINDS[code]]
    first, end = np.zeros_like(address), np.full_like(address, size)
    if code == MEMTILE:
        first = np.where(tile >= ROWS, 0, size)
        end = np.where(tile + ROWS < columns * ROWS, 3 * size, 2 * size)
    last = address + WORD_BYTES * _last_word(fields)
    return (address < first) | (last + WORD_BYTES > end)


def _abroad(
    code: int, tile: Ints, fields: dict[str, Ints], lock: Ints, given: Ints, address: Ints
) -> Ints:
    if code != MEMTILE:
        return np.zeros_like(tile)
    size = MEMORY_BYTES[TileKind.MEMTILE]
    last = address + WORD_BYTES * _last_word(fields)
    away = (address < size) | (last >= 2 * size)
    fault = np.where(away, d.BAD_ADDRESS, 0)
    for used in (lock, given):
        foreign = (used >= 0) & (used // LOCK_SLOTS != tile)
        fault = np.where(foreign, d.BD_FIELD, fault)
    return fault


def fault_for(bds: Descriptors, row: int, channel: int) -> int:
    """Code of why a channel cannot run the BD in this row; 0: it can."""
    if bds.fault[row] or tile_kind_of(channel // TILE_CHANNELS) is not TileKind.MEMTILE:
        return bds.fault[row]
    if (int(bds.number[row]) >= BD_SLOTS // 2) != (channel & 1):
        return d.BD_PARITY
    return 0 if channel % CHANNEL_SLOTS < NEIGHBOUR_CHANNELS else bds.abroad[row]
