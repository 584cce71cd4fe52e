# SPDX-License-Identifier: Apache-2.0
"""A run as a trace for Perfetto or chrome://tracing: JSON in the trace event format.

A process each for the controller, DDR and every tile that did something; in a tile's process a
thread per channel (tasks, in them BDs, in them what the BD did or waited for) and counters of
locks, queues and tokens. Format: "Trace Event Format" (Google, 2016); `docs/sim.md` says how to
read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import inf, nextafter
from typing import Any

import numpy as np

from firmware_sim.array.state import (
    CHANNELS,
    CONTROL_OUT,
    CORE_ACTOR,
    ROWS,
    channel_name,
    endpoint_tile,
    tile_name,
)
from firmware_sim.result import Result
from firmware_sim.trace.activity import timeline
from firmware_sim.trace.spans import CONTROLLER, Mark, Span, Timeline, bandwidth

CONTROLLER_PROCESS, DDR_PROCESS, FIRST_TILE = 1, 2, 10
"""Process ids; a tile's is `FIRST_TILE` and its number."""
CONTROLLER_THREAD, FIRST_ENDPOINT = 1, 100
"""Thread ids; an endpoint's is `FIRST_ENDPOINT` and its number."""
BANDWIDTH_STEPS = 500
"""Bins of the bandwidth counters over the whole run."""
NS_PER_US = 1000

Event = dict[str, Any]


def trace_json(result: Result, found: Timeline | None = None) -> bytes:
    """The trace of a run with `trace=True`, as a file's bytes; `found`: its timeline, if made."""
    events = b",\n".join(
        json.dumps(event, separators=(",", ":")).encode()
        for event in trace_events(result, timeline(result) if found is None else found)
    )
    about = {
        "device": result.device,
        "profile": result.profile,
        "firmware": result.firmware,
        "clock_mhz": result.clock_mhz,
        "cycles": result.cycles,
        "us": result.microseconds,
    }
    return (
        b'{"traceEvents":[\n' + events + b'\n],"otherData":' + json.dumps(about).encode() + b"}\n"
    )


def trace_events(result: Result, found: Timeline) -> Iterator[Event]:
    """All events: names of processes and threads, slices, marks, counters, arrows."""
    clock = _Clock(result.clock_mhz)
    yield from _names(found)
    for span in found.spans:
        yield _slice(span, clock)
    for mark in found.marks:
        yield _instant(mark, clock)
    for sample in found.samples:
        yield _counter(sample.name, FIRST_TILE + sample.tile, clock.at(sample.at), sample.value)
    yield from _bandwidth(result, found, clock)
    for number, arrow in enumerate(found.arrows):
        flow = {"name": "push", "cat": "push", "id": number}
        yield flow | {"ph": "s", "ts": clock.at(arrow.op_at), **_place(CONTROLLER)}
        yield flow | {"ph": "f", "bp": "e", "ts": clock.at(arrow.at), **_place(arrow.track)}


class _Clock:
    """Cycles to microseconds, in whole nanoseconds: the finest that Perfetto keeps."""

    def __init__(self, mhz: float) -> None:
        self.mhz = mhz

    def ns(self, cycles: float) -> int:
        return round(cycles / self.mhz * NS_PER_US)

    def at(self, cycles: float) -> float:
        return _us(self.ns(cycles))


def _us(ns: int) -> float:
    """Microseconds that are the same nanoseconds again, whether a reader rounds or cuts off."""
    us = ns / NS_PER_US
    return us if int(us * NS_PER_US) == ns else nextafter(us, inf)


def _place(track: int) -> Event:
    if track == CONTROLLER:
        return {"pid": CONTROLLER_PROCESS, "tid": CONTROLLER_THREAD}
    return {"pid": FIRST_TILE + endpoint_tile(track), "tid": FIRST_ENDPOINT + track}


def _slice(span: Span, clock: _Clock) -> Event:
    start = clock.ns(span.start)
    args = {"cycle": round(span.start, 2), "cycles": round(span.end - span.start, 2)}
    return {
        "name": span.name,
        "cat": span.state or ("task", "BD")[span.level],
        "ph": "X",
        "ts": _us(start),
        "dur": _us(clock.ns(span.end) - start),
        **_place(span.track),
        "args": args | span.args,
    }


def _instant(mark: Mark, clock: _Clock) -> Event:
    args = {"cycle": round(mark.at, 2)} | mark.args
    place = _place(mark.track)
    return {"name": mark.name, "ph": "i", "s": "t", "ts": clock.at(mark.at), **place, "args": args}


def _counter(name: str, pid: int, ts: float, value: float, unit: str = "value") -> Event:
    return {"name": name, "ph": "C", "ts": ts, "pid": pid, "args": {unit: value}}


def _bandwidth(result: Result, found: Timeline, clock: _Clock) -> Iterator[Event]:
    if found.end <= 0:
        return
    edges = np.linspace(0.0, found.end, BANDWIDTH_STEPS + 1)
    for name, rates in zip(
        ("reads", "writes"), bandwidth(found, result.clock_mhz, edges), strict=True
    ):
        for edge, rate in zip(edges.tolist(), [*rates.tolist(), 0.0], strict=True):
            yield _counter(
                f"DDR {name} (GB/s)", DDR_PROCESS, clock.at(edge), round(rate, 3), "GB/s"
            )


def _names(found: Timeline) -> Iterator[Event]:
    """Metadata: what processes and threads are called, and in which order they stand."""
    yield from _process(CONTROLLER_PROCESS, "controller")
    yield _named("thread_name", CONTROLLER_PROCESS, CONTROLLER_THREAD, "ops")
    yield from _process(DDR_PROCESS, "DDR")
    tracks = {span.track for span in found.spans} | {mark.track for mark in found.marks}
    tiles = {sample.tile for sample in found.samples}
    endpoints = sorted(tracks - {CONTROLLER})
    for tile in sorted(tiles | {endpoint_tile(endpoint) for endpoint in endpoints}):
        column, row = divmod(tile, ROWS)
        yield from _process(FIRST_TILE + tile, tile_name(column, row))
    for endpoint in endpoints:
        place = _place(endpoint)
        yield _named("thread_name", place["pid"], place["tid"], _short(endpoint))
        yield _meta("thread_sort_index", place["pid"], place["tid"], {"sort_index": endpoint})


def _process(pid: int, name: str) -> Iterator[Event]:
    yield _named("process_name", pid, 0, name)
    yield _meta("process_sort_index", pid, 0, {"sort_index": pid})


def _named(kind: str, pid: int, tid: int, name: str) -> Event:
    return _meta(kind, pid, tid, {"name": name})


def _meta(kind: str, pid: int, tid: int, args: Event) -> Event:
    return {"name": kind, "ph": "M", "ts": 0, "pid": pid, "tid": tid, "args": args}


def _short(endpoint: int) -> str:
    """A thread's name: its process already says which tile it is in."""
    if endpoint >= CORE_ACTOR:
        return "core model"
    if endpoint >= CHANNELS:
        return "control port, out" if endpoint >= CONTROL_OUT else "control port, in"
    return channel_name(endpoint).split(" ", 1)[1]
