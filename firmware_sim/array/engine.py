# SPDX-License-Identifier: Apache-2.0
"""The event loop in compiled code: the controller's ops and the array's events, in time order.

At equal cycles array events come before the controller, and lower slots before higher ones, so that
every run is repeatable. The loop comes back to Python where only Python can go on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit
from numpy.typing import NDArray

from firmware_sim.array.actors import endpoint_event
from firmware_sim.array.bd_registers import is_mm2s
from firmware_sim.array.bits import wide
from firmware_sim.array.controller import WAIT, awake, step, tokens_here
from firmware_sim.array.locks import wake
from firmware_sim.array.mmio import write32
from firmware_sim.array.state import (
    CHANNELS,
    CORE_ACTOR,
    NEVER,
    READY,
    ROWS,
    State,
)
from firmware_sim.array.streams import kick_sink, kick_source
from firmware_sim.compiled import SOURCES, compiled

DONE, STALLED, TIMED_OUT, STRICT, CORE, PYTHON_OP, REROUTE, ROOM = range(8)
"""Why the loop came back: it is over (the first four), a core model is due, an op that Python
carries out, routes were changed, or a log is nearly full."""

IDLE_EVENTS = 20_000_000
"""Events that the controller may wait through before a run counts as endless."""
SLACK = 4096
"""Rows of a log that one step may need."""


@compiled
def event_loop(m: State, limit: float) -> int:
    """Run until the stream and the array come to rest, or Python has to do something."""
    while True:
        if m.stop:
            return STRICT
        if m.python_op:
            m.python_op = 0
            return PYTHON_OP
        if m.reroute:
            m.reroute = 0
            return REROUTE
        full = m.tasks + SLACK > m.log_size
        full = full or (m.events_size > 0 and m.events_used + SLACK > m.events_size)
        if full and not m.log_full:
            return ROOM
        slot, at = next_due(m)
        if at == NEVER and m.at == NEVER:
            return DONE if m.op == m.ops_size else STALLED
        if min(at, m.at) > limit or m.idle_events > IDLE_EVENTS:
            return TIMED_OUT
        if at <= m.at:
            m.idle_events += 1
            m.events_run += 1
            actor = m.actor[slot]
            m.stop_at = at
            if actor >= CORE_ACTOR:
                m.due[slot] = NEVER
                m.stop_tile = actor - CORE_ACTOR
                return CORE
            endpoint_event(m, actor, at)
            if m.at == NEVER and m.step == WAIT and m.op < m.ops_size and tokens_here(m, False, at):
                m.at = awake(m, at)
        else:
            m.idle_events = 0
            step(m, at == NEVER)


@compiled
def next_due(m: State) -> tuple[int, float]:
    """The slot with the earliest event, lowest first among equals."""
    best, when = -1, NEVER
    for slot in range(m.slots):
        if m.due[slot] < when:
            best, when = slot, m.due[slot]
    return best, when


@compiled
def start_all(m: State, now: float) -> None:
    """After the routes are known: let everything that waits try."""
    for tile in range(m.columns * ROWS):
        wake(m, tile, now)
    for slot in range(m.slots):
        endpoint = m.actor[slot]
        if endpoint < CHANNELS and m.channels[endpoint].phase == READY:
            if is_mm2s(endpoint):
                kick_source(m, endpoint, now)
            else:
                kick_sink(m, endpoint, now)


@compiled
def write_all(m: State, addresses: NDArray, values: NDArray, masks: NDArray, now: float) -> None:
    """Load a configuration: register writes in order, before anything runs."""
    m.live = 0
    for write in range(addresses.size):
        write32(m, wide(addresses[write]), wide(values[write]), wide(masks[write]), now)
    m.live = 1


def _run(stamp: int) -> Callable[[Any, float], int]:
    @njit(cache=True)
    def entry(state: Any, limit: float) -> int:
        return event_loop(state[0], limit) if stamp else TIMED_OUT

    return entry


def _replay(stamp: int) -> Callable[[Any, NDArray, NDArray, NDArray, float], None]:
    @njit(cache=True)
    def entry(state: Any, addresses: NDArray, values: NDArray, masks: NDArray, now: float) -> None:
        if stamp:
            write_all(state[0], addresses, values, masks, now)

    return entry


def _start(stamp: int) -> Callable[[Any, float], None]:
    @njit(cache=True)
    def entry(state: Any, now: float) -> None:
        if stamp:
            start_all(state[0], now)

    return entry


run = _run(SOURCES)
"""`event_loop`, compiled once for these sources and kept on disk."""
replay = _replay(SOURCES)
"""`write_all`, likewise."""
start = _start(SOURCES)
"""`start_all`, likewise."""
