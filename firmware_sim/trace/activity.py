# SPDX-License-Identifier: Apache-2.0
"""From a run's events to what every channel and the controller did when: `trace.spans`."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.registers import Direction
from firmware_sim.array import events as e
from firmware_sim.array.state import (
    CONTROL_IN,
    NONE,
    channel_name,
    channel_of,
    endpoint_tile,
)
from firmware_sim.calibration import costs as costs_of
from firmware_sim.result import Result
from firmware_sim.trace.channel_spans import ChannelSpans
from firmware_sim.trace.spans import (
    BD,
    CONTROLLER,
    EXECUTING,
    TASK,
    TOKENS,
    Arrow,
    Mark,
    Sample,
    Span,
    Timeline,
)

OPCODES = {int(opcode): opcode.name for opcode in txn.Opcode}
WAITS = frozenset({txn.Opcode.TCT.name, txn.Opcode.MERGE_SYNC.name})
"""Ops that wait for tokens."""
FIFO = "the stream's FIFO"
HANG_SHOWN = 1.05
"""A run that hangs is shown for a twentieth longer, so that what it waits for can be seen."""


def timeline(result: Result) -> Timeline:
    """Make spans of the events of a run with `trace=True`, in order of their starts."""
    happened = in_order(result.events)
    end = max(float(result.cycles), float(happened["at"].max(initial=0.0)))
    found = Timeline(end * HANG_SHOWN if result.waits else end)
    builder = _Builder(result, found)
    for at, kind, actor, a, b in happened.tolist():
        builder.take(at, kind, actor, a, b)
    builder.close()
    found.spans.sort(key=lambda span: (span.start, span.level))
    return found


def in_order(log: NDArray[Any]) -> NDArray[Any]:
    """Events by time.

    The end of a wait is logged when it begins to cost time, and what a LOADPDI op configures is
    logged at cycle 0: that belongs to where it stands.
    """
    ordered = log.copy()
    latest = np.maximum.accumulate(log["at"]) if log.size else log["at"]
    ordered["at"] = np.where(log["at"] == 0.0, latest, log["at"])
    return ordered[np.argsort(ordered["at"], kind="stable")]


class _Builder:
    """Hands every event to the track that it belongs to."""

    def __init__(self, result: Result, found: Timeline) -> None:
        self.found = found
        shipped = costs_of(result.device, result.profile, result.clock_mhz)
        self.costs = shipped if result.costs is None else result.costs
        self.channels: dict[int, ChannelSpans] = {}
        self.reasons = {wait.waiter: wait.reason for wait in result.waits}
        self.op: tuple[int, str, float] | None = None
        self.op_args: dict[str, Any] = {}
        self.op_at: dict[int, float] = {}
        self.tokens: list[str] = []
        self.taken_at = 0.0
        self.sinks: list[int] = []
        for note in result.diagnostics:
            args = {"op": note.op, "where": note.channel, "message": note.message}
            found.marks.append(Mark(CONTROLLER, note.kind, float(note.cycle), args))

    def take(self, now: float, kind: int, actor: int, a: int, b: int) -> None:
        """One event."""
        if kind in (e.OP_STARTED, e.OP_ENDED):
            self._op(now, kind, a, b)
        elif kind == e.LOCK_CHANGED:
            self.found.samples.append(Sample(actor, f"lock {a}", now, b))
        elif kind in (e.TOKEN_ARRIVED, e.TOKEN_TAKEN, e.TOKEN_LOST):
            self._token(now, kind, actor, a)
        elif kind == e.REGISTER_WRITTEN:
            args = {"address": f"0x{a:x}", "value": f"0x{b & 0xFFFFFFFF:x}"}
            self.found.marks.append(Mark(CONTROL_IN + actor, "register written", now, args))
        else:
            self._channel(now, kind, actor, a, b)

    def close(self) -> None:
        """What goes on when the run is over ends there."""
        end = self.found.end
        if self.op is not None:
            number, name, start = self.op
            late = {"unfinished": True, "reason": self.reasons.get(f"op {number}", "")}
            self._end_op(end, end if name in WAITS else start, late)
        for number, channel in self.channels.items():
            channel.close(end, self.reasons.get(channel_name(number), ""))

    def _op(self, now: float, kind: int, number: int, opcode: int) -> None:
        if kind == e.OP_STARTED:
            self.op = number, OPCODES.get(opcode, f"opcode {opcode}"), now
            self.op_args = {"op": number}
            self.op_at[number] = now
            self.tokens = []
        elif self.op is not None:
            self._end_op(now, self.taken_at if self.tokens else self.op[2], {})

    def _end_op(self, now: float, waited_until: float, late: dict[str, Any]) -> None:
        """The op ends; from its start on it waited for tokens until `waited_until`."""
        assert self.op is not None
        _, name, start = self.op
        args = self.op_args | late
        if self.tokens:
            args["tokens of"] = ", ".join(self.tokens)
        put = self.found.spans.append
        put(Span(CONTROLLER, TASK, name, EXECUTING, start, now, args))
        if waited_until > start:
            put(Span(CONTROLLER, BD, "waiting for tokens", TOKENS, start, waited_until, dict(late)))
        self.op = None

    def _token(self, now: float, kind: int, channel: int, value: int) -> None:
        if kind == e.TOKEN_LOST:
            self.found.marks.append(Mark(channel, "token lost", now, {"packet id": value}))
            return
        self._sample(channel, "tokens waiting", now, value)
        if kind == e.TOKEN_TAKEN:
            self.tokens.append(channel_name(channel))
            self.taken_at = now

    def _channel(self, now: float, kind: int, actor: int, a: int, b: int) -> None:
        channel = self.channels.get(actor)
        if channel is None:
            channel = ChannelSpans(actor, self.costs, self.found.spans.append)
            self.channels[actor] = channel
        before = channel.depth
        if kind == e.PUSHED:
            self.op_args["push"] = f"BD {a} to {channel_name(actor)}"
            channel.pushed(now, b)
        elif kind == e.DROPPED:
            args = {"BD": a, "tasks in the queue": b}
            self.found.marks.append(Mark(actor, "push dropped", now, args))
            self.op_args["dropped push"] = f"BD {a} to {channel_name(actor)}"
        else:
            channel.take(now, kind, a, b, self._peers(kind, actor, b))
        if kind == e.TASK_STARTED and b in self.op_at:
            self.found.arrows.append(Arrow(self.op_at[b], actor, now))
        if channel.depth != before:
            self._sample(actor, "queue", now, channel.depth)

    def _sample(self, channel: int, what: str, now: float, value: int) -> None:
        _, _, direction, number = channel_of(channel)
        name = f"{Direction(direction).name} {number} {what}"
        self.found.samples.append(Sample(endpoint_tile(channel), name, now, value))

    def _peers(self, kind: int, actor: int, source: int) -> str:
        """With whom an endpoint begins to move words: its sinks' events stand before a source's."""
        if kind != e.MOVE_STARTED:
            return ""
        if source != actor:
            self.sinks.append(actor)
            return FIFO if source == NONE else channel_name(source)
        sinks, self.sinks = self.sinks, []
        return ", ".join(channel_name(sink) for sink in sinks) or FIFO
