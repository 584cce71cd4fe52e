# SPDX-License-Identifier: Apache-2.0
"""What register addresses mean, many at once, and the registers that a configuration leaves.

The plain-numpy twin of `firmware_sim.array.mmio`, whose tables it reads: `explain` and `check` look
at a design without running it and must not wait for the engine to be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.cdo import Writes
from aie2.core_registers import CORE_CONTROL_ADDRESS, PROGRAM_MEMORY, PROGRAM_MEMORY_BYTES
from aie2.devices import NPU1
from aie2.dma_registers import MEMTILE_PAD_VALUES
from aie2.fields import WORD_BYTES
from aie2.quiet_registers import QUIET
from aie2.registers import (
    DMA,
    LOCKS,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX_ADDRESS,
    SWITCHES,
    Direction,
)
from aie2.tiles import COLUMN_SHIFT, OFFSET_MASK, ROW_MASK, ROW_SHIFT, TileKind, kind
from firmware_sim.array.configure import Configuration
from firmware_sim.array.mmio import (
    BD,
    CORE_ENABLE,
    CTRL,
    ENABLE,
    LOCK,
    LOCK_BITS,
    LOCK_REQUEST,
    MEMORY,
    MUX,
    NOTHING,
    PAD_VALUE,
    QUEUE,
    REQUEST_BYTES,
    RESET,
    SILENT,
    STATUS,
    SWITCH,
)
from firmware_sim.array.state import (
    BD_WORDS,
    CHANNEL_SLOTS,
    KINDS,
    ROWS,
    SWITCH_WORDS,
    TILE_CHANNELS,
    TILES,
)
from firmware_sim.errors import ConfigurationError

OUTSIDE, MISALIGNED = SILENT + 1, SILENT + 2
"""What an address is that has no tile in the partition, or is no multiple of four bytes."""
ALL_BITS = 0xFFFFFFFF
MEMORY_BYTES = {
    TileKind.SHIM: 0,
    TileKind.MEMTILE: NPU1.memtile_bytes,
    TileKind.CORE: NPU1.core_bytes,
}
"""Data memory by tile kind, the same on every device."""

Ints = NDArray[np.int64]


class Places(NamedTuple):
    """What addresses are, as arrays of one length."""

    tile: Ints
    what: Ints
    """A code of `firmware_sim.array.mmio`, `OUTSIDE` or `MISALIGNED`."""
    number: Ints
    """BD, channel in its tile, lock, switch word, shim demux (1) or mux (0), by `what`."""
    word: Ints
    """Word within a BD."""


class _Region(NamedTuple):
    first: int
    end: int
    what: int
    number: int
    stride: int


def _dma_regions(tile_kind: TileKind) -> list[_Region]:
    dma = DMA[tile_kind]
    bd_end = dma.bd_base + dma.bd_count * dma.bd_stride
    regions = [_Region(dma.bd_base, bd_end, BD, 0, dma.bd_stride)]
    for direction in Direction:
        for channel in range(dma.channels(direction)):
            number = direction * CHANNEL_SLOTS + channel
            places = (
                (dma.ctrl(direction, channel), CTRL),
                (dma.queue_address(direction, channel), QUEUE),
                (dma.status(direction, channel), STATUS),
            )
            regions += [_Region(at, at + WORD_BYTES, what, number, 1) for at, what in places]
    return regions


def _regions(tile_kind: TileKind) -> list[_Region]:
    """Named ranges of a tile, in order of their offsets."""
    locks, switch = LOCKS[tile_kind], SWITCHES[tile_kind].master_base
    request_end = locks.request + locks.count * REQUEST_BYTES
    regions = [
        *_dma_regions(tile_kind),
        _Region(locks.base, locks.base + locks.count * locks.stride, LOCK, 0, locks.stride),
        _Region(locks.request, request_end, LOCK_REQUEST, 0, REQUEST_BYTES),
        _Region(switch, switch + SWITCH_WORDS * WORD_BYTES, SWITCH, 0, WORD_BYTES),
        *(_Region(first, end, SILENT, 0, end) for first, end in QUIET[tile_kind]),
    ]
    if MEMORY_BYTES[tile_kind]:
        regions.append(_Region(0, MEMORY_BYTES[tile_kind], MEMORY, 0, 1))
    if tile_kind is TileKind.SHIM:
        regions.append(_Region(SHIM_MUX_ADDRESS, SHIM_MUX_ADDRESS + WORD_BYTES, MUX, 0, 1))
        regions.append(_Region(SHIM_DEMUX_ADDRESS, SHIM_DEMUX_ADDRESS + WORD_BYTES, MUX, 1, 1))
    if tile_kind is TileKind.MEMTILE:
        end = MEMTILE_PAD_VALUES + CHANNEL_SLOTS * WORD_BYTES
        regions.append(_Region(MEMTILE_PAD_VALUES, end, PAD_VALUE, 0, WORD_BYTES))
    if tile_kind is TileKind.CORE:
        end = CORE_CONTROL_ADDRESS + WORD_BYTES
        regions.append(_Region(CORE_CONTROL_ADDRESS, end, CORE_ENABLE, 0, 1))
    return sorted(regions)


@lru_cache
def _table() -> tuple[Ints, Ints]:
    """First key (kind << 20 | offset) of every stretch, and (what, number, stride, first key)."""
    rows: list[tuple[int, int, int, int]] = []
    for number, tile_kind in enumerate(KINDS):
        base = at = number << ROW_SHIFT
        for region in _regions(tile_kind):
            if base + region.first > at:
                rows.append((at, NOTHING, 0, 1))
            rows.append((base + region.first, region.what, region.number, region.stride))
            at = base + region.end
        rows.append((at, NOTHING, 0, 1))
    table = np.array(rows, np.int64)
    return table[:, 0], table[:, [1, 2, 3, 0]]


def classify(addresses: NDArray[Any], columns: int) -> Places:
    """What partition addresses are, in a partition of `columns` columns."""
    at = np.asarray(addresses, np.int64)
    column, row = at >> COLUMN_SHIFT, at >> ROW_SHIFT & ROW_MASK
    outside = (column >= columns) | (row >= ROWS)
    tile = np.where(outside, 0, column * ROWS + row)
    key = np.minimum(row, len(KINDS) - 1) << ROW_SHIFT | at & OFFSET_MASK
    firsts, rows = _table()
    what, number, stride, first = rows[np.searchsorted(firsts, key, "right") - 1].T
    inside = key - first
    word = np.where(what == BD, inside % stride // WORD_BYTES, 0)
    many = (what != CTRL) & (what != QUEUE) & (what != STATUS) & (what != MUX)
    number = np.where(many, inside // stride, number)
    what = np.where(at % WORD_BYTES != 0, MISALIGNED, what)
    return Places(tile, np.where(outside, OUTSIDE, what), number, word)


@dataclass
class Registers:
    """The registers that matter, as a configuration leaves them; locks and BDs not written are 0.

    Keys are (tile, number); a channel is numbered as in `firmware_sim.array.state`.
    """

    columns: int
    bds: dict[tuple[int, int], NDArray[np.uint32]] = field(
        default_factory=dict[tuple[int, int], "NDArray[np.uint32]"]
    )
    pushes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """(channel, queue word) in order; those of a channel that was reset later are left out."""
    control: dict[int, int] = field(default_factory=dict[int, int])
    locks: dict[tuple[int, int], int] = field(default_factory=dict[tuple[int, int], int])
    switch: NDArray[np.uint32] = field(
        default_factory=lambda: np.zeros((TILES, SWITCH_WORDS), np.uint32), repr=False
    )
    mux: NDArray[np.uint32] = field(
        default_factory=lambda: np.zeros((TILES, 2), np.uint32), repr=False
    )
    enabled_cores: set[int] = field(default_factory=set[int])
    program_bytes: dict[int, int] = field(default_factory=dict[int, int])
    """Program memory written, by tile."""
    data_bytes: dict[int, int] = field(default_factory=dict[int, int])
    """Data memory written, by tile."""
    unknown: tuple[int, ...] = ()
    """Addresses of registers that are not known here."""
    outside: tuple[int, ...] = ()
    """Addresses outside the partition, or not aligned."""

    @property
    def cores(self) -> set[int]:
        """Tiles whose cores have code or are enabled."""
        return self.enabled_cores | set(self.program_bytes)

    def write_switch(self, tile: int, word: int, value: int, mask: int) -> None:
        """A masked write of a stream-switch register."""
        self.switch[tile, word] = merged(int(self.switch[tile, word]), value, mask)

    def write_mux(self, tile: int, which: int, value: int, mask: int) -> None:
        """A masked write of a shim's mux (0) or demux (1)."""
        self.mux[tile, which] = merged(int(self.mux[tile, which]), value, mask)

    def write_control(self, channel: int, value: int, mask: int) -> bool:
        """A masked write of a channel's control; True if it resets the channel."""
        word = merged(self.control.get(channel, 0), value, mask)
        self.control[channel] = word
        shim = channel // TILE_CHANNELS % ROWS == 0
        return not shim and bool(word >> RESET.shift & RESET.mask)


def merged(old: int, value: int, mask: int) -> int:
    """A register's word after a masked write."""
    return old & ~mask | value & mask


def read_registers(columns: int, writes: Writes) -> Registers:
    """Replay a configuration's register writes."""
    addresses, values, masks = writes
    places = classify(addresses, columns)
    found = Registers(columns)
    tile, what, number, word = places
    handled = ~np.isin(what, (NOTHING, OUTSIDE, MISALIGNED, SILENT, MEMORY, STATUS, LOCK_REQUEST))
    columns_of = [array[handled].tolist() for array in (tile, what, number, word, values, masks)]
    for entry in zip(*columns_of, strict=True):
        _write(found, *entry)
    found.unknown = tuple(np.unique(addresses[what == NOTHING]).tolist())
    bad = (what == OUTSIDE) | (what == MISALIGNED)
    found.outside = tuple(np.unique(addresses[bad]).tolist())
    found.data_bytes = _bytes_by_tile(tile[what == MEMORY], addresses[what == MEMORY])
    offset = addresses.astype(np.int64) & OFFSET_MASK
    program = (what == SILENT) & (offset >= PROGRAM_MEMORY)
    program &= (offset < PROGRAM_MEMORY + PROGRAM_MEMORY_BYTES) & (tile % ROWS > 1)
    found.program_bytes = _bytes_by_tile(tile[program], addresses[program])
    return found


MOST_COLUMNS = TILES // ROWS
"""Columns of the widest device."""


def registers_of(configuration: Configuration) -> Registers:
    """The registers that a configuration leaves.

    Raises:
        ConfigurationError: wider than any device.
    """
    if not 1 <= configuration.columns <= MOST_COLUMNS:
        raise ConfigurationError(
            f"the design is {configuration.columns} columns wide; devices have 1 to {MOST_COLUMNS}"
        )
    writes = configuration.addresses, configuration.values, configuration.masks
    return read_registers(configuration.columns, writes)


def loadable(configuration: Configuration) -> dict[int, Callable[[], Registers]]:
    """The registers that each further configuration leaves, when asked for; by PDI id."""
    columns = configuration.columns
    return {
        pdi: partial(read_registers, columns, writes)
        for pdi, writes in configuration.others.items()
    }


def _write(
    found: Registers, tile: int, what: int, number: int, word: int, value: int, mask: int
) -> None:
    if what == BD:
        words = found.bds.setdefault((tile, number), np.zeros(BD_WORDS, np.uint32))
        words[word] = merged(int(words[word]), value, mask)
    elif what == QUEUE:
        found.pushes.append((tile * TILE_CHANNELS + number, value & mask))
    elif what == CTRL:
        channel = tile * TILE_CHANNELS + number
        if found.write_control(channel, value, mask):
            found.pushes = [push for push in found.pushes if push[0] != channel]
    elif what == LOCK:
        old = found.locks.get((tile, number), 0)
        found.locks[tile, number] = merged(old, value, mask) & LOCK_BITS.mask
    elif what == SWITCH:
        found.write_switch(tile, number, value, mask)
    elif what == MUX:
        found.write_mux(tile, number, value, mask)
    elif what == CORE_ENABLE and value & mask & ENABLE.mask << ENABLE.shift:
        found.enabled_cores.add(tile)


def _bytes_by_tile(tiles: Ints, addresses: NDArray[np.uint32]) -> dict[int, int]:
    pairs = np.unique(np.stack([tiles, addresses.astype(np.int64)], 1), axis=0)
    return {tile: WORD_BYTES * len(list(group)) for tile, group in groupby(pairs[:, 0].tolist())}


def tile_kind_of(tile: int) -> TileKind:
    """Kind of a tile by its number."""
    return kind(tile % ROWS)
