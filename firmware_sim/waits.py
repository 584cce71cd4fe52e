# SPDX-License-Identifier: Apache-2.0
"""Who waits for whom: the graph that a run which cannot progress leaves, and its sentence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from aie2 import txn_ops
from aie2.registers import DMA, Direction
from aie2.tiles import TileKind, kind
from aie2.txn_rare_ops import MERGE_SYNC
from firmware_sim.array.controller import POLL, TCT_BODY, WAIT
from firmware_sim.array.machine import Machine
from firmware_sim.array.routes import fabric_of, find, peers
from firmware_sim.array.state import (
    ARBITERS,
    CHANNEL_SLOTS,
    CHANNELS,
    CONTROL_IN,
    CONTROL_OUT,
    CORE_ACTOR,
    FLUSHING,
    HALTED,
    IDLE,
    LOCK_SLOTS,
    NONE,
    PACKET_IDS,
    READY,
    ROWS,
    TILE_CHANNELS,
    WAIT_HEADER,
    WAIT_LOCK,
    channel_id,
    channel_name,
    tile_index,
    tile_name,
)

IDLE_REASON = "is idle: no task was pushed to it that is not done"


@dataclass(frozen=True, slots=True)
class Wait:
    """One edge of the wait-for graph."""

    waiter: str
    """An op of the stream, a DMA channel, a control port or a core model."""
    reason: str
    """What it waits for, as the end of a sentence that begins with the waiter."""
    on: tuple[str, ...]
    """Those who could end the wait; none: nobody can."""


def graph(machine: Machine) -> tuple[Wait, ...]:
    """Everything that waits: the controller's op, then what it leads to, then all others."""
    waits = _Waits(machine)
    found: dict[str, Wait] = {}
    first = waits.of_controller()
    waiting: list[int] = []
    if first is not None:
        found[first[0].waiter] = first[0]
        waiting = list(first[1])
    others = [int(n) for n in np.flatnonzero(waits.busy())]
    waiting += [CORE_ACTOR + int(n) for n in np.flatnonzero(machine.record["core_phase"][0])]
    for actor in _each(waiting, others):
        name = channel_name(actor)
        if name not in found:
            wait, on = waits.of_actor(actor)
            found[name] = wait
            waiting.extend(on)
    return tuple(found.values())


def _each(waiting: list[int], others: list[int]) -> Any:
    """Actors in the order in which waits lead to them, then those that nothing leads to."""
    for more in (waiting, others):
        while more:
            yield more.pop(0)
            while waiting:
                yield waiting.pop(0)


def explain(machine: Machine) -> str:
    """The chain from the controller's op to what never happens, one clause per waiter."""
    waits = {wait.waiter: wait for wait in graph(machine)}
    op = f"op {int(machine.state['op'])}"
    if op not in waits:
        return f"{op} was being executed"
    clauses: list[str] = []
    seen: list[str] = []
    name: str | None = op
    while name is not None and name not in seen:
        seen.append(name)
        wait = waits[name]
        clauses.append(f"{name} {wait.reason}")
        name = next((each for each in wait.on if each in waits), None)
    if name is not None:
        ring = seen[seen.index(name) :]
        clauses.append(f"which is a deadlock of {' and '.join(ring)}")
    return "; ".join(clauses)


def cycles(waits: tuple[Wait, ...]) -> list[tuple[str, ...]]:
    """Deadlocks: rings of actors each of which waits for the next alone."""
    following = {wait.waiter: wait.on[0] for wait in waits if len(wait.on) == 1}
    rings: list[tuple[str, ...]] = []
    done: set[str] = set()
    for start in following:
        path: list[str] = []
        name: str | None = start
        while name is not None and name not in path and name not in done:
            path.append(name)
            name = following.get(name)
        if name in path:
            rings.append(tuple(path[path.index(name) :]))
        done.update(path)
    return rings


class _Waits:
    """Reads one machine's state."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.channels = machine.channels
        routes = find(fabric_of(machine))
        self.feeders = peers(routes)
        self.dead_ends = {
            (route.source, route.packet_id): route.dead_ends for route in routes if route.dead_ends
        }

    def busy(self) -> Any:
        """Endpoints that have something to do."""
        return (self.channels["phase"] != IDLE) | (self.channels["task"] >= 0)

    def of_controller(self) -> tuple[Wait, list[int]] | None:
        """What the stream's op waits for."""
        state = self.machine.state
        op, step = int(state["op"]), int(state["step"])
        if op >= int(state["ops_size"]):
            return None
        opcode = int(self.machine.kept["ops"]["opcode"][op])
        offset = int(self.machine.kept["ops"]["offset"][op])
        words = self.machine.kept["words"]
        if opcode == txn_ops.Opcode.MERGE_SYNC:
            counts = MERGE_SYNC.decode(words[offset + 2 : offset + 3])
            here = int(self.channels["tokens"].sum())
            reason = f"waits for {counts['tokens']} tokens of {counts['columns']} columns"
            return Wait(f"op {op}", f"{reason}, of which {here} are here", ()), []
        if step not in (WAIT, POLL):
            return None
        if step == POLL:
            reason = f"polls register 0x{int(words[offset + 2]):x}, which nothing will change"
            return Wait(f"op {op}", f"{reason} any more", ()), []
        body = words[offset + TCT_BODY : offset + txn_ops.TCT_WORDS]
        fields = txn_ops.TCT.decode(body)
        missing = self._without_token(fields)
        if missing is None:
            way = fields["direction"]
            reason = (
                f"waits for a token of tile ({fields['column']},{fields['row']}) "
                f"{Direction(way).name if way < 2 else f'direction {way}'} {fields['channel']}, of "
                "which this partition has none"
            )
            return Wait(f"op {op}", reason, ()), []
        names = tuple(channel_name(channel) for channel in missing)
        return Wait(f"op {op}", f"waits for a token of {' and '.join(names)}", names), missing

    def _without_token(self, fields: dict[str, int]) -> list[int] | None:
        missing: list[int] = []
        column, row = fields["column"], fields["row"]
        for tile_column in range(column, column + fields["columns"]):
            for tile_row in range(row, row + fields["rows"]):
                inside = tile_row < ROWS and tile_column < self.machine.columns
                if not inside or fields["channel"] >= CHANNEL_SLOTS or fields["direction"] > 1:
                    return None
                channel = channel_id(tile_column, tile_row, fields["direction"], fields["channel"])
                if self.channels["tokens"][channel] == 0:
                    missing.append(channel)
        return missing

    def of_actor(self, actor: int) -> tuple[Wait, list[int]]:
        """What one actor waits for, and the actors that could end it."""
        if actor >= CORE_ACTOR:
            core = self.machine.record
            tile = actor - CORE_ACTOR
            if core["core_phase"][0][tile] != WAIT_LOCK:
                return Wait(channel_name(actor), "waits for nothing", ()), []
            lock, value = int(core["core_lock"][0][tile]), int(core["core_value"][0][tile])
            text, on = self._lock(lock, value, actor)
            return self._wait(actor, text, on)
        ch = self.channels[actor]
        phase = int(ch["phase"])
        if actor >= CONTROL_OUT and ch["held"] == 0:
            asking = self.feeders.get(actor - CONTROL_OUT + CONTROL_IN, [])
            return self._wait(actor, "has nothing to send: no control packet has asked", asking)
        if actor >= CHANNELS:
            return self._stream(actor, "")
        if phase == HALTED:
            return self._wait(actor, f"has halted at BD {ch['bd']}", [])
        if phase == IDLE or ch["task"] < 0:
            return self._wait(actor, IDLE_REASON, [])
        left = f"(BD {ch['bd']}, {ch['words_left']} words left) "
        if phase == WAIT_HEADER:
            feeders = self.feeders.get(actor, [])
            names = " or ".join(channel_name(each) for each in feeders) or "nobody"
            return self._wait(actor, f"waits for a packet header from {names}", feeders)
        if phase == FLUSHING:
            return self._flushing(actor)
        if phase == WAIT_LOCK:
            value = self.machine.bd(actor // TILE_CHANNELS, int(ch["bd"]))["lock_acq_value"]
            text, on = self._lock(int(ch["wait_lock"]), value, actor)
            return self._wait(actor, left + text, on)
        return self._stream(actor, left)

    def _wait(self, actor: int, reason: str, on: list[int]) -> tuple[Wait, list[int]]:
        return Wait(channel_name(actor), reason, tuple(channel_name(each) for each in on)), on

    def _stream(self, actor: int, left: str) -> tuple[Wait, list[int]]:
        sends = actor % TILE_CHANNELS >= CHANNEL_SLOTS if actor < CHANNELS else True
        if not sends:
            feeders = self.feeders.get(actor, [])
            if not feeders:
                return self._wait(actor, f"{left}has no route", [])
            names = " or ".join(channel_name(each) for each in feeders)
            return self._wait(actor, f"{left}waits for data from {names}", feeders)
        return self._source(actor, left)

    def _source(self, actor: int, left: str) -> tuple[Wait, list[int]]:
        ch = self.channels[actor]
        if ch["arbiter"] != NONE:
            arbiter = int(ch["arbiter"])
            holder = int(self.machine.record["arbiters"][0][arbiter])
            tile, number = divmod(arbiter, ARBITERS)
            where = f"arbiter {number} of {tile_name(*divmod(tile, ROWS))}"
            text = f"{left}waits for {where}, which a packet of {channel_name(holder)} holds"
            return self._wait(actor, text, [holder])
        packet_id = int(ch["header"]) % PACKET_IDS if ch["packets"] else None
        if ch["route"] == NONE:
            missing = "has no route" if packet_id is None else f"has no route for id {packet_id}"
            return self._wait(actor, left + missing, [])
        dead = self.dead_ends.get((actor, packet_id), ())
        if dead:
            return self._wait(actor, f"{left}is stopped, since {dead[0].why}", [])
        route = self.machine.kept["routes"][int(ch["route"])]
        blocked = [int(sink) for sink in route["sink"][: int(route["sinks"])] if self._full(sink)]
        names = " and ".join(channel_name(each) for each in blocked)
        return self._wait(actor, f"{left}waits for room at {names}", blocked)

    def _flushing(self, actor: int) -> tuple[Wait, list[int]]:
        owners = self.machine.record["ring_owner"][0]
        before = [
            sink
            for sink, sources in self.feeders.items()
            if actor in sources and self._holds_end_of(owners[sink], sink, actor)
        ]
        names = " and ".join(channel_name(each) for each in before) or "a dead end"
        text = f"(BD {self.channels[actor]['bd']}, all words sent) waits for {names} to take them"
        return self._wait(actor, text, before)

    def _holds_end_of(self, owners: Any, sink: int, source: int) -> bool:
        ch = self.channels[sink]
        places = (int(ch["head"]) + np.arange(int(ch["held"]))) % owners.size
        return bool((owners[places] == source + 1).any())

    def _full(self, sink: int) -> bool:
        ch = self.channels[sink]
        return ch["phase"] != READY or int(ch["held"]) >= int(ch["capacity"])

    def _lock(self, lock: int, value: int, waiting: int) -> tuple[str, list[int]]:
        tile, index = divmod(lock, LOCK_SLOTS)
        wanted = f">= {-value}" if value < 0 else f"= {value}"
        held = int(self.machine.record["locks"][0][tile, index])
        name = tile_name(*divmod(tile, ROWS))
        text = f"waits for lock {index} of {name} {wanted}, which is {held}"
        releasers = self._releasers(lock, waiting)
        if kind(tile % ROWS) is TileKind.CORE and not releasers:
            if self.machine.record["core_phase"][0][tile] != IDLE and waiting < CORE_ACTOR:
                return text, [CORE_ACTOR + tile]
            text += "; only the core could change it, and no core model will"
        return text, releasers

    def _releasers(self, lock: int, waiting: int) -> list[int]:
        """Channels that have a BD still to execute which gives this lock back."""
        found: list[int] = []
        tile = lock // LOCK_SLOTS
        for neighbour in (tile - ROWS, tile, tile + ROWS):
            if not 0 <= neighbour < self.machine.columns * ROWS:
                continue
            for channel in range(neighbour * TILE_CHANNELS, (neighbour + 1) * TILE_CHANNELS):
                ch = self.channels[channel]
                if channel == waiting or ch["task"] < 0:
                    continue
                starts = [int(ch["bd"])]
                queued = [ch["task"], *ch["queue"][: ch["queue_length"]]]
                starts += [int(word) & 0x3F for word in queued]
                if any(self._chain_releases(neighbour, start, lock) for start in starts):
                    found.append(channel)
        return found

    def _chain_releases(self, tile: int, start: int, lock: int) -> bool:
        bd, seen = start, set[int]()
        while bd not in seen and bd < DMA[kind(tile % ROWS)].bd_count:
            seen.add(bd)
            fields = self.machine.bd(tile, bd)
            if fields["lock_rel_value"] > 0 and _lock_named(tile, fields["lock_rel_id"]) == lock:
                return True
            if not fields["use_next_bd"]:
                return False
            bd = fields["next_bd"]
        return False


def _lock_named(tile: int, lock: int) -> int:
    """Lock that a BD of a tile names, as `tile * LOCK_SLOTS + index`."""
    if kind(tile % ROWS) is not TileKind.MEMTILE:
        return tile * LOCK_SLOTS + lock
    side, index = divmod(lock, LOCK_SLOTS)
    return (tile + (side - 1) * ROWS) * LOCK_SLOTS + index


def unfinished(machine: Machine) -> list[str]:
    """Shim tasks that a finished stream leaves behind, which the host would never learn of."""
    return [
        channel_name(channel)
        for column in range(machine.columns)
        for channel in range(
            tile_index(column, 0) * TILE_CHANNELS, (tile_index(column, 0) + 1) * TILE_CHANNELS
        )
        if machine.channels["task"][channel] >= 0
    ]
