# SPDX-License-Identifier: Apache-2.0
"""Python functions that stand in for cores: they take locks, work on memory, and let cycles pass.

Core code is not executed. A core model is a generator function: it yields what it waits for.

    def add_one(core):
        while True:
            yield core.acquire(1, -1)                  # an object has come
            core.memory[0x400:0x800].view(np.int32)[:] += 1
            yield core.wait(300)                       # cycles that the kernel takes
            core.release(0, 1)
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from aie2.registers import LOCKS
from aie2.tiles import ROWS as TILE_ROWS
from aie2.tiles import TileKind, kind
from firmware_sim.array import events as e
from firmware_sim.array.events import happened
from firmware_sim.array.locks import acquire, change, wake
from firmware_sim.array.machine import Machine
from firmware_sim.array.state import (
    CORE_ACTOR,
    IDLE,
    LOCK_SLOTS,
    READY,
    WAIT_LOCK,
    State,
    tile_index,
    tile_name,
)
from firmware_sim.compiled import SOURCES, compiled
from firmware_sim.errors import ConfigurationError

AT_ONCE = 1_000_000
"""Steps that a core model may take without any time passing before it counts as endless."""


class Acquire(NamedTuple):
    """Wait until a lock can be taken; `value` < 0: at least that many, else exactly that many."""

    lock: int
    """tile * LOCK_SLOTS + index."""
    value: int


class Pass(NamedTuple):
    """Let array cycles pass."""

    cycles: float


Step = Acquire | Pass
CoreModel = Callable[["CoreTile"], Generator[Step, None, None]]
"""A generator function of one argument, the core's tile."""
CoreModels = Mapping[tuple[int, int], CoreModel]
"""Core models by (column, row)."""


class CoreTile:
    """What a core model sees of the array: memory and locks of its tile and of its neighbours."""

    def __init__(self, machine: Machine, column: int, row: int) -> None:
        self.column, self.row = column, row
        self.memory: NDArray[np.uint8] = machine.memory_of(column, row)
        """The tile's own data memory, as bytes; writing to it writes to the tile."""
        self._machine = machine

    @property
    def cycle(self) -> float:
        """The cycle at which the model is running."""
        return float(self._machine.state["stop_at"])

    def memory_of(self, column: int, row: int) -> NDArray[np.uint8]:
        """Memory of this tile or a neighbour (north, south, east or west)."""
        self._near(column, row)
        return self._machine.memory_of(column, row)

    def acquire(self, lock: int, value: int = -1, tile: tuple[int, int] | None = None) -> Acquire:
        """To be yielded: wait for a lock of this tile, or of a neighbour."""
        return Acquire(self._lock(lock, tile), value)

    def release(self, lock: int, value: int = 1, tile: tuple[int, int] | None = None) -> None:
        """Give a lock back at once."""
        _release(self._machine.record, self._lock(lock, tile), value, self.cycle)

    def wait(self, cycles: float) -> Pass:
        """To be yielded: let cycles pass."""
        if not 0 <= cycles < float("inf"):
            raise ConfigurationError(f"a core model cannot wait {cycles} cycles: give 0 or more")
        return Pass(cycles)

    def _near(self, column: int, row: int) -> None:
        if abs(column - self.column) + abs(row - self.row) > 1:
            here = tile_name(self.column, self.row)
            raise ConfigurationError(
                f"the core model of {here} reaches for tile ({column},{row}), which is no neighbour"
            )

    def _lock(self, lock: int, tile: tuple[int, int] | None) -> int:
        column, row = tile or (self.column, self.row)
        self._near(column, row)
        self._machine.memory_of(column, row)
        count = LOCKS[kind(row)].count
        if not 0 <= lock < count:
            raise ConfigurationError(
                f"{tile_name(column, row)} has no lock {lock}: it has 0 to {count - 1}"
            )
        return tile_index(column, row) * LOCK_SLOTS + lock


class Cores:
    """The core models of one run."""

    def __init__(self, machine: Machine, models: CoreModels) -> None:
        self._machine = machine
        self._models = models
        self._running: dict[int, Generator[Step, None, None]] = {}
        for (column, row), model in models.items():
            if row not in TILE_ROWS or kind(row) is not TileKind.CORE:
                raise ConfigurationError(f"tile ({column},{row}) is no core: rows 2 to 5 are")
            machine.memory_of(column, row)  # refuses a tile that is not there
            self._give_slot(tile_index(column, row))
            self._begin(column, row, model)
        machine.state["cores"] = len(self._running)

    def restart(self) -> None:
        """Begin anew, as cores do when a PDI has been loaded."""
        for (column, row), model in self._models.items():
            self._begin(column, row, model)

    def _begin(self, column: int, row: int, model: CoreModel) -> None:
        steps = model(CoreTile(self._machine, column, row))
        if not isinstance(steps, Generator):
            raise ConfigurationError(
                f"the core model of {tile_name(column, row)} is no generator function: it must "
                "yield core.acquire(...) or core.wait(...)"
            )
        tile, record = tile_index(column, row), self._machine.record
        self._running[tile] = steps
        record["core_phase"][0][tile] = READY
        slot = record["core_slot"][0][tile]
        record["due"][0][slot] = float(self._machine.state["last_op_at"])

    def _give_slot(self, tile: int) -> None:
        record, slot = self._machine.record, int(self._machine.state["slots"])
        record["actor"][0][slot] = CORE_ACTOR + tile
        record["core_slot"][0][tile] = slot
        self._machine.state["slots"] = slot + 1

    def resume(self) -> None:
        """Let the core model that is due go on until it waits.

        Raises:
            ConfigurationError: it yields something else, or never waits.
        """
        record, state = self._machine.record, self._machine.state
        tile = int(state["stop_tile"])
        for _ in range(AT_ONCE):
            try:
                step: Any = next(self._running[tile])
            except StopIteration:
                record["core_phase"][0][tile] = IDLE
                return
            if isinstance(step, Pass):
                record["due"][0][record["core_slot"][0][tile]] = float(state["stop_at"]) + step[0]
                return
            if not isinstance(step, Acquire):
                raise ConfigurationError(
                    f"the core model of {tile_name(*divmod(tile, len(TILE_ROWS)))} yielded "
                    f"{step!r}: yield core.acquire(...) or core.wait(...)"
                )
            if not _acquire(record, tile, step.lock, step.value, float(state["stop_at"])):
                return
        raise ConfigurationError(
            f"the core model of {tile_name(*divmod(tile, len(TILE_ROWS)))} took {AT_ONCE} steps "
            "without any time passing: let it yield core.wait(...)"
        )


@compiled
def core_acquires(m: State, tile: int, lock: int, value: int, now: float) -> bool:
    """Try to take a lock for a core model, or note that it waits."""
    m.core_phase[tile] = READY
    if acquire(m, CORE_ACTOR + tile, lock, value, now):
        wake(m, lock // LOCK_SLOTS, now)
        return True
    m.core_phase[tile] = WAIT_LOCK
    m.core_lock[tile] = lock
    m.core_value[tile] = value
    m.lock_waiters[lock // LOCK_SLOTS] += 1
    happened(m, e.LOCK_AWAITED, CORE_ACTOR + tile, lock, value, now)
    return False


@compiled
def core_releases(m: State, lock: int, value: int, now: float) -> None:
    """Give back a lock for a core model."""
    change(m, lock, value, now)
    wake(m, lock // LOCK_SLOTS, now)


def _entries(stamp: int) -> tuple[Callable[..., bool], Callable[..., None]]:
    @njit(cache=True)
    def acquires(state: Any, tile: int, lock: int, value: int, now: float) -> bool:
        return core_acquires(state[0], tile, lock, value, now) if stamp else False

    @njit(cache=True)
    def releases(state: Any, lock: int, value: int, now: float) -> None:
        if stamp:
            core_releases(state[0], lock, value, now)

    return acquires, releases


_acquire, _release = _entries(SOURCES)
