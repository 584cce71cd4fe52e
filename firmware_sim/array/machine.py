# SPDX-License-Identifier: Apache-2.0
"""A simulated array: the state record, the memory behind its pointers, and room for its logs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device
from aie2.registers import DMA
from aie2.tiles import TileKind, kind
from firmware_sim.array.state import (
    BUFFER,
    CHANNELS,
    CONTROL_IN,
    CONTROL_OUT,
    EVENT,
    INSIDE,
    NEVER,
    NONE,
    OP,
    QUEUE_DEPTH,
    ROUTE,
    ROWS,
    STATE,
    TASK_ROW,
    State,
    tile_index,
)
from firmware_sim.calibration import Costs
from firmware_sim.errors import ConfigurationError

ARRAY_STATE = (
    *("channels", "bds", "descriptors", "locks", "lock_waiters", "switch", "mux", "pad_values"),
    *("token_ids", "control", "arbiters", "route_of", "due"),
)
"""Fields of the record that a reset of the array clears."""
LOG_ROWS = 8192
"""Rows that a log of tasks or events begins with; it doubles when it is nearly full."""
LOG_LIMIT = 1 << 22
"""Rows that are kept at most, some 160 MB of events."""


@dataclass
class Machine:
    """A partition of an array, after reset: no BDs, no routes, no stream."""

    device: Device
    columns: int
    record: NDArray[Any] = field(repr=False)
    """(1) a `STATE` record."""
    memory: NDArray[np.uint8] = field(repr=False)
    """Memory of all tiles, one after the other."""
    pdi_id: int = 0
    """PDI that the array is configured with."""
    kept: dict[str, NDArray[Any]] = field(default_factory=dict[str, "NDArray[Any]"], repr=False)
    """Arrays that the record points to, by the name of the pointer."""

    @property
    def state(self) -> State:
        """The state record itself; writing to its fields changes the machine."""
        return self.record[0]

    @property
    def channels(self) -> NDArray[Any]:
        """Records of every endpoint."""
        return self.record["channels"][0]

    def memory_of(self, column: int, row: int) -> NDArray[np.uint8]:
        """Memory of a tile, as bytes; empty for a shim.

        Raises:
            ConfigurationError: no such tile in this partition.
        """
        if not (0 <= column < self.columns and 0 <= row < ROWS):
            raise ConfigurationError(
                f"tile ({column},{row}) is not in this {self.columns}-column partition"
            )
        start, size = _span(self.device, column, row)
        return self.memory[start : start + size]

    def bd(self, tile: int, number: int) -> dict[str, int]:
        """Fields of a BD, as its registers hold them."""
        layout = DMA[kind(tile % ROWS)].bd
        return layout.decode(self.record["bds"][0][tile, number][: layout.words])

    def keep(self, name: str, array: NDArray[Any]) -> None:
        """Point the record's `name` at an array, and its `name_size` at the array's length."""
        self.kept[name] = array
        self.state[name] = array.ctypes.data
        self.state[f"{name}_size"] = array.size

    def log(self) -> NDArray[Any]:
        """Rows of the task log in use."""
        return self.kept["log"][: int(self.state["tasks"])]

    def events(self) -> NDArray[Any]:
        """Events that were kept for a trace."""
        return self.kept["events"][: int(self.state["events_used"])]

    def reset_array(self) -> None:
        """Bring everything but the controller, logs, diagnostics and memory back to reset."""
        fresh = blank(self.device, self.columns, Costs(*self.record["costs"][0].item()))
        for name in ARRAY_STATE:
            self.record[name][0] = fresh.record[name][0]

    def make_room(self) -> None:
        """Double the logs, up to `LOG_LIMIT` rows each; what comes then is not kept."""
        if max(self.kept["log"].size, self.kept["events"].size) >= LOG_LIMIT:
            self.state["log_full"] = 1
            return
        self._grow("log", np.zeros(LOG_ROWS, TASK_ROW))
        if self.kept["events"].size:
            self._grow("events", np.zeros(0, EVENT))

    def _grow(self, name: str, least: NDArray[Any]) -> None:
        old = self.kept[name]
        grown = np.zeros(max(2 * old.size, least.size), old.dtype)
        grown[: old.size] = old
        if name == "log":
            grown["finished"][old.size :] = np.nan
        self.keep(name, grown)


def _tile_bytes(device: Device, row: int) -> int:
    sizes = {
        TileKind.SHIM: 0,
        TileKind.MEMTILE: device.memtile_bytes,
        TileKind.CORE: device.core_bytes,
    }
    return sizes[kind(row)]


def _span(device: Device, column: int, row: int) -> tuple[int, int]:
    column_bytes = sum(_tile_bytes(device, each) for each in range(ROWS))
    before = sum(_tile_bytes(device, each) for each in range(row))
    return column * column_bytes + before, _tile_bytes(device, row)


def blank(device: Device, columns: int, costs: Costs) -> Machine:
    """A partition of `columns` columns after reset.

    Raises:
        ConfigurationError: a device whose task queues have another depth than is compiled in, or
            more columns than it has.
    """
    if device.queue_depth != QUEUE_DEPTH:
        raise ConfigurationError(f"{device.name}: task queues must be {QUEUE_DEPTH} deep")
    if not 1 <= columns <= device.columns:
        raise ConfigurationError(
            f"the design is {columns} columns wide and {device.name} has {device.columns}; compile "
            "it for fewer columns"
        )
    start, size = _span(device, columns - 1, ROWS - 1)
    machine = Machine(device, columns, np.zeros(1, STATE), np.zeros(start + size, np.uint8))
    _reset(machine, costs)
    return machine


def _reset(machine: Machine, costs: Costs) -> None:
    state, channels = machine.state, machine.channels
    for name in (
        "next_route",
        "slot",
        "task",
        "task_row",
        "task_op",
        "wait_lock",
        "route",
        "arbiter",
        "holder",
        "feeder",
    ):
        channels[name] = NONE
    channels["packet"][:CHANNELS] = INSIDE
    channels["capacity"] = 1
    channels["framed"][CONTROL_IN:CONTROL_OUT] = 1
    for name in ("due", "actor", "arbiters", "route_of"):
        machine.record[name][0] = NEVER if name == "due" else NONE
    machine.record["costs"][0] = tuple(costs)
    state["columns"] = machine.columns
    state["chained_control"] = machine.device.chained_control
    state["pad_values_kept"] = machine.device.pad_values
    base = machine.memory.ctypes.data
    for column in range(machine.columns):
        for row in range(ROWS):
            start, size = _span(machine.device, column, row)
            state["memory_at"][tile_index(column, row)] = base + start
            state["memory_bytes"][tile_index(column, row)] = size
    machine.keep("routes", np.zeros(0, ROUTE))
    machine.keep("buffers", np.zeros(0, BUFFER))
    machine.keep("ops", np.zeros(0, OP))
    machine.keep("words", np.zeros(0, np.uint32))
    machine.keep("events", np.zeros(0, EVENT))
    log = np.zeros(LOG_ROWS, TASK_ROW)
    log["finished"] = np.nan
    machine.keep("log", log)
