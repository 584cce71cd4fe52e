# SPDX-License-Identifier: Apache-2.0
"""What benchmarks are made of: points, and the setting that sizes their sweeps.

A point is one stream and what its time is made of. Points of a sweep run the same body more and
more often: launch and head are the same at each, and the slope is the body alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device
from aie2.fields import WORD_BYTES
from firmware_sim.calibration import costs
from host.calibrate.designs import Design, design
from host.calibrate.payload import NOTHING, Payload
from host.calibrate.streams import Bd, Direction, Tape, repeat

MM2S, S2MM = Direction.MM2S, Direction.S2MM
SMALL_OBJECT, LARGE_OBJECT = 1024, 4096
"""Bytes of a fifo object: latencies want small ones, rates large ones, and both tell apart what
an object costs and what its words do."""
COVER = 64
"""Plain writes that hide a short transfer: 6,400 published cycles, where one takes 2,500."""
MOST_BYTES = 1 << 18
"""Longest stream; a dense matrix row by row needs more."""
OFTEN = 16
"""How many times as often as others points are run that show what comes once a dispatch."""
ANYWHERE = 0x5BD0_1234_5678
"""Device address that BDs hold until the source buffer's is known."""
COLD_REST = "cold_rest"
"""What all tasks of a channel but its first take longer for being cold: no constant of its own,
but it and the first one's give `shim_mm2s_cold_decay`."""


@dataclass(frozen=True)
class Point:
    """One stream, and what its time is made of."""

    bench: str
    size: int
    """How much of what the benchmark is about: bodies, or objects."""
    design: Design
    words: NDArray[np.uint32] = field(repr=False)
    terms: dict[str, float]
    payload: Payload = NOTHING
    absolute: bool = False
    """Whether its BDs hold `ANYWHERE`, for which `at_address` puts the source's address."""
    often: int = 1
    """How many times as often as others it is run: more for short ones that show small things."""

    def at_address(self, address: int) -> NDArray[np.uint32]:
        """The stream for a source buffer that the NPU sees at `address`."""
        low, high = np.array([ANYWHERE & 0xFFFFFFFF, ANYWHERE >> 32], np.uint32)
        words = self.words.copy()
        places = np.flatnonzero((words[:-1] == low) & (words[1:] == high))
        words[places], words[places + 1] = address & 0xFFFFFFFF, address >> 32
        return words


@dataclass(frozen=True)
class Setting:
    """What points are made for: an NPU, and about how long the longest stream of a sweep takes."""

    npu: Device
    span_us: float = 2000.0
    absolute: bool = False
    """Whether to measure BDs that hold device addresses, which is not proven on silicon."""

    @property
    def single(self) -> Design:
        """One lane, small objects."""
        return design(self.npu.name, 1, 1, SMALL_OBJECT)

    @property
    def rate(self) -> Design:
        """One lane, large objects."""
        return design(self.npu.name, 1, 1, LARGE_OBJECT)

    @property
    def array(self) -> Design:
        """All columns, two channels each, small objects."""
        return design(self.npu.name, self.npu.columns, self.npu.shim_channels, SMALL_OBJECT)

    def tape(self) -> Tape:
        """An empty one."""
        return Tape(self.npu)

    def most_times(self, body: Tape) -> float:
        """How often a body fits the span, by the shipped constants, and a stream."""
        known = costs(self.npu.name)._asdict() | {COLD_REST: 0.0}
        cycles = sum(known[name] * count for name, count in body.terms.items())
        nbytes = sum(len(op.to_words()) for op in body.ops) * WORD_BYTES
        return min(self.span_us * self.npu.clock_mhz / cycles, MOST_BYTES / nbytes)

    def sweep(
        self,
        bench: str,
        design: Design,
        head: Tape,
        body: Tape,
        *,
        shares: tuple[float, ...] = (0.2, 0.6, 1.0),
        payload: Payload = NOTHING,
        absolute: bool = False,
    ) -> Iterator[Point]:
        """Points of a body at these shares of how often it fits the span."""
        most = self.most_times(body)
        for count in sorted({max(1, round(share * most)) for share in shares}):
            yield point(bench, design, head, body, count, payload=payload, absolute=absolute)


def point(
    bench: str,
    design: Design,
    head: Tape,
    body: Tape,
    times: int,
    *,
    size: int | None = None,
    once: dict[str, float] | None = None,
    payload: Payload = NOTHING,
    absolute: bool = False,
    often: int = 1,
) -> Point:
    """The stream of a head and `times` bodies; `once` are terms that do not grow with them."""
    words, terms = repeat(head, body, times, design.shipped.columns)
    size = times if size is None else size
    return Point(bench, size, design, words, terms | (once or {}), payload, absolute, often)


def lane_head(
    at: Setting, lanes: tuple[tuple[int, int], ...], words: int, apart: int | None = None
) -> Tape:
    """Two linear BDs a lane, number `first_bd` to receive and the next to send, and token ids.

    Lane after lane lies `apart` words behind the one before; by default its own length.
    """
    head = at.tape()
    for place, (column, channel) in enumerate(lanes):
        offset = 4 * place * (words if apart is None else apart)
        for number, direction in enumerate((S2MM, MM2S)):
            head.bd(column, direction, Bd(first_bd(channel) + number, words, at=offset))
            head.control(column, direction, channel)
    return head


def first_bd(channel: int) -> int:
    """The BD with which a lane of a column receives; it sends with the next."""
    return 2 * channel
