# SPDX-License-Identifier: Apache-2.0
"""Spans of time in which something went on: what traces and timeline plots are made of.

`trace.activity` makes them of a run's events, `trace` writes them for Perfetto, `host.timeline`
draws them. A channel has spans on three levels, each inside one of the level
before: tasks, their BDs, and what a BD was doing or waiting for. The controller has ops, and in
them waits for tokens. Times are array cycles.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2.registers import Direction
from firmware_sim.array.bd_registers import WORD_BYTES
from firmware_sim.array.state import CHANNELS, NONE, channel_of

CONTROLLER = NONE
"""Track of the controller; all other tracks are endpoints or core models by number."""
TASK, BD, STATE = range(3)
"""Levels of a channel's spans; the controller's ops and waits are on the first two."""
MOVING, LATENCY, LOCK, STREAM, EXECUTING, TOKENS = (
    *("moving", "latency", "lock wait", "stream wait"),
    *("executing", "token wait"),
)
"""What time was spent on: four states of channels, two of the controller."""


@dataclass(frozen=True, slots=True)
class Span:
    """A time in which one thing went on."""

    track: int
    level: int
    name: str
    state: str
    """One of `STATES`; empty for tasks and BDs."""
    start: float
    end: float
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that took no time."""

    track: int
    name: str
    at: float
    args: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value from some cycle on."""

    tile: int
    name: str
    at: float
    value: int


@dataclass(frozen=True, slots=True)
class Arrow:
    """From the op that pushed a task to the task's start."""

    op_at: float
    track: int
    at: float


@dataclass
class Timeline:
    """All that happened in a run."""

    end: float
    spans: list[Span] = field(default_factory=list[Span])
    marks: list[Mark] = field(default_factory=list[Mark])
    samples: list[Sample] = field(default_factory=list[Sample])
    arrows: list[Arrow] = field(default_factory=list[Arrow])


def spread(spans: list[Span], amounts: list[float], edges: NDArray[np.float64]) -> NDArray[Any]:
    """How much of what spans moved falls between each two edges, if each went on evenly.

    `edges`: (n + 1) cycles; returns (n).
    """
    starts = np.array([span.start for span in spans], float)
    lengths = np.array([span.end for span in spans], float) - starts
    lasting = lengths > 0
    rates = np.array(amounts, float)[lasting] / lengths[lasting]
    points = np.concatenate([starts[lasting], (starts + lengths)[lasting]])
    if not points.size:
        return np.zeros(edges.size - 1)
    order = np.argsort(points, kind="stable")
    rate = np.cumsum(np.concatenate([rates, -rates])[order])
    total = np.concatenate([[0.0], np.cumsum(rate[:-1] * np.diff(points[order]))])
    return np.diff(np.interp(edges, points[order], total))


def bandwidth(
    found: Timeline, clock_mhz: float, edges: NDArray[np.float64]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """DDR reads and writes in GB/s between each two edges (cycles), from what shims moved."""
    seconds = np.diff(edges) / (clock_mhz * 1e6)
    moves: dict[int, list[Span]] = {Direction.MM2S: [], Direction.S2MM: []}
    for span in found.spans:
        if span.state == MOVING and 0 <= span.track < CHANNELS:
            _, row, direction, _ = channel_of(span.track)
            if row == 0:
                moves[direction].append(span)

    def rate(direction: int) -> NDArray[Any]:
        chosen = moves[direction]
        nbytes = [span.args["words"] * WORD_BYTES for span in chosen]
        return spread(chosen, nbytes, edges) / seconds / 1e9

    return rate(Direction.MM2S), rate(Direction.S2MM)
