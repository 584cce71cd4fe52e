# SPDX-License-Identifier: Apache-2.0
"""What lies in the array, for the word-by-word model: registers, memory, locks, host buffers."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from word_bds import MEMORY_BYTES, Lock, Tile, memory_at
from word_routes import Place

from aie2.devices import Device
from aie2.dma_registers import MEMTILE_PAD_VALUES
from aie2.registers import CHANNEL_CTRL, DMA, LOCK_VALUE, LOCKS, Direction
from aie2.tiles import TileKind, address, kind, split
from firmware_sim.array.state import tile_name

ALL = 0xFFFFFFFF
LOCK_MAX = LOCK_VALUE.field("value").max
WINDOW = 40
"""Bits of the model's own host addresses: buffer n begins at (n + 1) << WINDOW."""

HostBuffers = list[NDArray[np.uint32]]


def place_name(place: Place) -> str:
    """An endpoint as the simulator calls it."""
    tile, way, number = place
    name = tile_name(*tile)
    return f"{name} control port" if way in ("in", "out") else f"{name} {way} {number}"


class Array:
    """State that anything in the array may read and change."""

    def __init__(self, columns: int, device: Device, buffers: HostBuffers) -> None:
        self.columns, self.device, self.buffers = columns, device, buffers
        self.registers: dict[int, int] = defaultdict(int)
        self.memory: dict[Tile, dict[int, int]] = defaultdict(lambda: defaultdict(int))
        """Words by byte offset."""
        self.locks: dict[Lock, int] = defaultdict(int)
        self.notes: set[tuple[str, str]] = set()
        """Mistakes by name and place."""
        self.changes = 0
        """Counts whatever happens: where it stands still, the array is at rest."""

    def note(self, mistake: str, place: Place | Tile) -> None:
        """Note a mistake of an endpoint or a tile."""
        name = place_name(place) if len(place) == 3 else tile_name(*place)
        self.notes.add((mistake, name))

    def write(self, at: int, value: int, mask: int = ALL) -> None:
        """Write memory, a lock, or a register that only keeps its value."""
        column, row, offset = split(at)
        lock = self._lock_at(at)
        if offset < MEMORY_BYTES[kind(row)]:
            memory = self.memory[column, row]
            memory[offset] = memory[offset] & ~mask | value & mask
        elif lock is not None:
            self.locks[lock] = value & LOCK_MAX
        else:
            self.registers[at] = self.registers[at] & ~mask | value & mask
        self.changes += 1

    def read(self, at: int) -> int:
        """Value of memory, a lock or a register."""
        column, row, offset = split(at)
        if offset < MEMORY_BYTES[kind(row)]:
            return self.memory[column, row][offset]
        lock = self._lock_at(at)
        return self.registers[at] if lock is None else self.locks[lock]

    def _lock_at(self, at: int) -> Lock | None:
        column, row, offset = split(at)
        locks = LOCKS[kind(row)]
        number, rest = divmod(offset - locks.base, locks.stride)
        return ((column, row), number) if 0 <= number < locks.count and rest == 0 else None

    def acquire(self, lock: Lock, wanted: int) -> bool:
        """Try to take a lock; `wanted` < 0: at least that many, else exactly that many."""
        have = self.locks[lock]
        if have < -wanted if wanted < 0 else have != wanted:
            return False
        self.locks[lock] = have - abs(wanted)
        self.changes += 1
        return True

    def release(self, lock: Lock, by: int) -> None:
        """Change a lock; it stays within its six bits."""
        value = self.locks[lock] + by
        if not 0 <= value <= LOCK_MAX:
            self.note("lock-overflow" if value > 0 else "lock-underflow", lock[0])
        self.locks[lock] = min(max(value, 0), LOCK_MAX)
        self.changes += 1

    def control(self, place: Place, name: str) -> int:
        """A field of a channel's control register."""
        tile, way, number = place
        at = address(*tile, DMA[kind(tile[1])].ctrl(Direction[way], number))
        return CHANNEL_CTRL.field(name).take(self.registers[at])

    def padding(self, place: Place) -> int:
        """What a memtile channel pads with."""
        return self.registers[address(*place[0], MEMTILE_PAD_VALUES + 4 * place[2])]

    def behind(self, place: Place, at: int) -> tuple[Any, int] | None:
        """(memory, key) of a DMA address; None, with a note, where there is nothing."""
        tile, _, number = place
        if kind(tile[1]) is TileKind.SHIM:
            arg, inside = (at >> WINDOW) - 1, (at & (1 << WINDOW) - 1) // 4
            if 0 <= arg < len(self.buffers) and inside < self.buffers[arg].size:
                return self.buffers[arg], inside
        else:
            found = memory_at(tile, number, at, self.columns)
            if found is not None:
                return self.memory[found[0]], found[1]
        self.note("bad-address", place)
        return None
