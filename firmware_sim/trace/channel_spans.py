# SPDX-License-Identifier: Apache-2.0
"""One channel's tasks, BDs and what each BD was doing or waiting for, from its events."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from typing import Any

from aie2.registers import Direction
from firmware_sim.array import events as e
from firmware_sim.array.state import (
    ARBITERS,
    CHANNELS,
    CONTROL_OUT,
    CORE_ACTOR,
    LOCK_SLOTS,
    ROWS,
    channel_name,
    channel_of,
    tile_name,
)
from firmware_sim.calibration import Costs
from firmware_sim.trace.spans import BD, EXECUTING, LATENCY, LOCK, MOVING, STATE, STREAM, TASK, Span


@dataclass(slots=True)
class _Open:
    """A span whose end is not known yet."""

    name: str
    state: str
    start: float
    args: dict[str, Any] = field(default_factory=dict[str, Any])


class ChannelSpans:
    """Follows one DMA channel, control port or core model; `emit` gets every span at its end.

    Tasks of the configuration start before a trace does: they begin at cycle 0. When a BD's data
    could move is not among the events; it is computed from the same constants as in the engine
    (without jitter), and parts latency from waiting for the stream.
    """

    def __init__(self, number: int, costs: Costs, emit: Callable[[Span], None]) -> None:
        self.number = number
        self.depth = 0
        """Tasks in the queue."""
        self._costs, self._emit = costs, emit
        self._dma = number < CHANNELS
        self._source = CONTROL_OUT <= number < CORE_ACTOR
        self._shim = False
        if self._dma:
            _, row, direction, _ = channel_of(number)
            self._source, self._shim = direction == Direction.MM2S, row == 0
        self._pushed = deque[float]()
        self._tasks = 0
        self._task: _Open | None = None
        self._bd: _Open | None = None
        self._doing: _Open | None = None
        self._since = self._ready = 0.0

    def pushed(self, now: float, depth: int) -> None:
        """A task came into the queue, where `depth` tasks are then; 0: it starts at once."""
        waiting = max(depth, 1)
        known = [*self._pushed, now][-waiting:]
        self._pushed = deque([0.0] * (waiting - len(known)) + known)
        self.depth = depth

    def take(self, now: float, kind: int, a: int, b: int, peers: str = "") -> None:
        """One event of this channel; `peers`: with whom it begins to move words."""
        if kind == e.TASK_STARTED:
            self._start_task(now, a, b)
            return
        if self._dma and self._task is None:
            self._task = _Open("task of the configuration", "", self._since)
            if kind != e.BD_LOADED and kind != e.TASK_ENDED:
                self._bd = _Open("BD", "", self._since)
        if kind == e.BD_LOADED:
            self._load(now, a, b)
        elif kind == e.MOVE_STARTED:
            self._gap(now, {"with": peers})
            self._doing = _Open("moving", MOVING, now, {"words": a, "with": peers})
        elif kind == e.MOVE_ENDED:
            self._end_doing(now)
        elif kind in (e.LOCK_AWAITED, e.PACKET_BLOCKED):
            self._await(now, kind, a, b)
        elif kind in (e.LOCK_TAKEN, e.PACKET_OPENED):
            self._go_on(now, kind, a)
        elif kind == e.BD_ENDED:
            self._end_bd(now, {"BD": a})
        elif kind == e.TASK_ENDED:
            self._gap(now, {})
            self._end_task(now, {"token": bool(a)})

    def close(self, end: float, reason: str) -> None:
        """The run is over; `reason`: what it waited for then, if it could not go on."""
        late = {"unfinished": True} | ({"reason": reason} if reason else {})
        if self._doing is not None:
            self._doing.args |= late
            self._end_doing(end)
        self._gap(end, late)
        self._end_bd(end, late)
        self._end_task(end, late)

    def _start_task(self, now: float, bd: int, op: int) -> None:
        self._end_doing(now)
        self._end_bd(now, {"reset": True})
        self._end_task(now, {"reset": True})
        pushed = self._pushed.popleft() if self._pushed else now
        self.depth = len(self._pushed)
        self._task = _Open(f"task BD {bd}", "", now, {"BD": bd, "op": op})
        self._since = self._ready = now
        if self._shim:
            latency = self._costs.shim_s2mm_task
            if self._source:
                cold = self._costs.shim_mm2s_cold * self._costs.shim_mm2s_cold_decay**self._tasks
                latency = self._costs.shim_mm2s_task + cold
            next_bd = now + self._costs.next_bd if pushed < now else now
            self._ready = max(pushed + latency, next_bd)
        self._tasks += 1

    def _load(self, now: float, bd: int, words: int) -> None:
        self._gap(now, {})
        task = self._task
        assert task is not None
        if self._shim and now > task.start:
            self._ready = max(self._ready, now + self._costs.next_bd)
        self._bd = _Open(f"BD {bd}", "", now, {"BD": bd, "words": words})

    def _await(self, now: float, kind: int, what: int, more: int) -> None:
        self._end_doing(now)
        if self.number >= CORE_ACTOR and now > self._since:
            self._put(TASK, _Open("running", EXECUTING, self._since), now)
        self._gap(now, {})
        if kind == e.LOCK_AWAITED:
            wanted = f">= {-more}" if more < 0 else f"= {more}"
            name = f"waiting for {_lock(what)}"
            self._doing = _Open(name, LOCK, now, {"wanted": wanted})
        else:
            args = {"arbiter": _arbiter(what), "held by": channel_name(more)}
            self._doing = _Open("waiting for an arbiter", STREAM, now, args)

    def _go_on(self, now: float, kind: int, what: int) -> None:
        """A lock or a packet's arbiters were got; a lock that came late takes time to hand over."""
        if kind == e.PACKET_OPENED:
            self._end_doing(now)
            self._gap(now, {})
            self._ready = max(self._ready, now + self._costs.word)
            return
        if self._doing is None and now > self._since and self._bd is not None:
            self._doing = _Open(f"waiting for {_lock(what)}", LOCK, self._since)
        if self._doing is not None:
            self._ready = max(self._ready, now + self._costs.lock_handoff)
        self._end_doing(now)

    def _end_doing(self, now: float) -> None:
        """End what has a name: a move, or a wait for a lock or an arbiter."""
        doing, self._doing = self._doing, None
        if doing is None:
            return
        if now > doing.start:
            self._put(STATE if self._dma else TASK, doing, now)
        if doing.state == MOVING and self._bd is not None:
            moved = self._bd.args.get("moved", 0) + doing.args["words"]
            self._bd.args["moved"] = moved
        self._since = now

    def _gap(self, now: float, args: dict[str, Any]) -> None:
        """Say what the time was since the last thing that had a name."""
        start, self._since = self._since, now
        if self._doing is not None or now <= start or not self._dma:
            return
        if self._bd is None:
            if self._task is not None:
                self._outside_bd(start, now, args)
            return
        given = self._bd.args
        if self._source and given.get("moved", 0) >= given.get("words", inf):
            self._put(STATE, _Open("waiting for last words to be taken", STREAM, start, args), now)
            return
        ready = min(max(self._ready, start), now)
        if ready > start:
            self._put(STATE, _Open("latency", LATENCY, start), ready)
        if now > ready:
            name = "waiting for room" if self._source else "waiting for data"
            self._put(STATE, _Open(name, STREAM, ready, args), now)

    def _outside_bd(self, start: float, now: float, args: dict[str, Any]) -> None:
        """Inside a task, and in none of its BDs: it completes, awaits a header, or has halted."""
        task = self._task
        assert task is not None
        if task.args.get("BDs", 0):
            self._put(BD, _Open("completion", LATENCY, start, args), now)
        elif "unfinished" in args and "header" not in args.get("reason", ""):
            self._put(BD, _Open("halted", STREAM, start, args), now)
        else:
            self._put(BD, _Open("waiting for a packet header", STREAM, start, args), now)

    def _end_bd(self, now: float, args: dict[str, Any]) -> None:
        self._gap(now, {})
        bd, self._bd = self._bd, None
        if bd is None:
            return
        bd.args |= args
        if "BD" in args:
            bd.name = f"BD {args['BD']}"
        self._put(BD, bd, now)
        if self._task is not None:
            self._task.args["BDs"] = self._task.args.get("BDs", 0) + 1

    def _end_task(self, now: float, args: dict[str, Any]) -> None:
        self._end_bd(now, {})
        task, self._task = self._task, None
        if task is not None:
            task.args |= args
            self._put(TASK, task, now)
        self._since = now

    def _put(self, level: int, what: _Open, end: float) -> None:
        span = Span(self.number, level, what.name, what.state, what.start, end, what.args)
        self._emit(span)


def _lock(number: int) -> str:
    tile, index = divmod(number, LOCK_SLOTS)
    return f"lock {index} of {tile_name(*divmod(tile, ROWS))}"


def _arbiter(number: int) -> str:
    tile, index = divmod(number, ARBITERS)
    return f"{index} of {tile_name(*divmod(tile, ROWS))}"
