# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom: the sentence that a run which cannot progress ends with."""

from __future__ import annotations

from aie2.registers import MEMTILE_BD, SHIM_BD, Direction
from firmware_sim.dma import lock_place
from firmware_sim.engine import POLL, WAIT, wait_fields
from firmware_sim.state import (
    CHANNEL_SLOTS,
    HALTED,
    IDLE,
    READY,
    ROWS_MODELLED,
    TILE_CHANNELS,
    WAIT_LOCK,
    Machine,
    channel_id,
    channel_name,
    tile_index,
)


def explain(machine: Machine) -> str:
    """The chain from the controller's op to what never happens, one clause per waiter."""
    op = int(machine.progress["op"][0])
    step = int(machine.progress["step"][0])
    offset = int(machine.ops["offset"][op])
    if step == POLL:
        address = int(machine.words[offset + 2])
        return f"op {op} polls register 0x{address:x}, which nothing will change any more"
    if step != WAIT:
        return f"op {op} was being executed"
    clauses = [f"op {op} waits for a token"]
    awaited = _awaited(machine, op)
    if not awaited:
        column, row, direction, number, _, _ = wait_fields(machine.words, offset)
        way = Direction(direction).name
        return (
            f"op {op} waits for a token of tile ({column},{row}) {way} {number}, of which this "
            "partition has none"
        )
    for channel in awaited:
        clauses[0] = f"op {op} waits for a token of {channel_name(channel)}"
        clauses += _chain(machine, channel)
    return "; ".join(clauses)


def _awaited(machine: Machine, op: int) -> list[int]:
    at = int(machine.ops["offset"][op])
    column, row, direction, number, columns, rows = wait_fields(machine.words, at)
    missing: list[int] = []
    for tile_column in range(column, column + columns):
        for tile_row in range(row, row + rows):
            inside = tile_row < ROWS_MODELLED and tile_column < machine.memory.shape[0]
            if inside and number < CHANNEL_SLOTS:
                channel = channel_id(tile_column, tile_row, direction, number)
                if machine.channels["tokens"][channel] == 0:
                    missing.append(channel)
    return missing[:1]


def _chain(machine: Machine, start: int) -> list[str]:
    clauses: list[str] = []
    channel: int | None = start
    seen: set[int] = set()
    while channel is not None and channel not in seen:
        seen.add(channel)
        clause, channel = _one(machine, channel)
        clauses.append(clause)
    return clauses


def _one(machine: Machine, channel: int) -> tuple[str, int | None]:
    """What one channel waits for, and the channel that could end it."""
    ch = machine.channels[channel]
    phase, name = int(ch["phase"]), channel_name(channel)
    if phase == HALTED:
        return f"{name} has halted at BD {ch['bd']}", None
    if phase == IDLE or ch["task"] < 0:
        return f"{name} is idle: no task was pushed to it that is not done", None
    left = f"{name} (BD {ch['bd']}, {ch['words_left']} words left)"
    if phase == WAIT_LOCK:
        return _lock(machine, channel, left)
    peer = int(ch["peer"])
    if phase == READY and peer >= 0:
        verb = "data from" if channel % TILE_CHANNELS < CHANNEL_SLOTS else "room at"
        return f"{left} waits for {verb} {channel_name(peer)}", peer
    return f"{left} has no route", None


def _lock(machine: Machine, channel: int, left: str) -> tuple[str, int | None]:
    tile = channel // TILE_CHANNELS
    shim = tile % ROWS_MODELLED == 0
    fields = (SHIM_BD if shim else MEMTILE_BD).decode(
        machine.bds[tile, machine.channels["bd"][channel]]
    )
    value = fields["lock_acq_value"]
    lock_tile, lock = lock_place(channel, fields["lock_acq_id"])
    wanted = f">= {-value}" if value < 0 else f"= {value}"
    held = int(machine.locks[lock_tile, lock]) if 0 <= lock_tile < len(machine.locks) else 0
    clause = f"{left} waits for lock {lock} {wanted}, which is {held}"
    return clause, _releaser(machine, lock_tile, lock, channel)


def _releaser(machine: Machine, lock_tile: int, lock: int, waiting: int) -> int | None:
    """A channel that has a BD which gives this lock back when it is done."""
    ch = machine.channels
    for channel in range(ch.size):
        tile = channel // TILE_CHANNELS
        if channel == waiting or ch["task"][channel] < 0 or tile % ROWS_MODELLED == 0:
            continue
        fields = MEMTILE_BD.decode(machine.bds[tile, ch["bd"][channel]])
        if fields["lock_rel_value"] and lock_place(channel, fields["lock_rel_id"]) == (
            lock_tile,
            lock,
        ):
            return channel
    return None


def unfinished(machine: Machine) -> list[str]:
    """Shim tasks that a finished stream leaves behind, which the host would never learn of."""
    ch = machine.channels
    return [
        channel_name(channel)
        for column in range(machine.memory.shape[0])
        for channel in range(
            tile_index(column, 0) * TILE_CHANNELS,
            tile_index(column, 0) * TILE_CHANNELS + TILE_CHANNELS,
        )
        if ch["task"][channel] >= 0
    ]
