# SPDX-License-Identifier: Apache-2.0
"""Micro-benchmarks of bandwidth: by lanes, by direction, by row size and stride.

A rate is what a longer transfer takes longer than a shorter one, so it holds no launch and no
latency. Lanes add up until a limit is met, which `host.calibrate.limits` looks for.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from aie2.fields import WORD_BYTES
from host.calibrate.designs import Design, Moves, design
from host.calibrate.payload import Payload, rows, straight
from host.calibrate.setting import (
    LARGE_OBJECT,
    MM2S,
    S2MM,
    Point,
    Setting,
    first_bd,
    lane_head,
    point,
)
from host.calibrate.streams import Bd

MOST_BUFFER = 1 << 25
"""Bytes of a host buffer, at most."""
LONG = 4.0
"""Spans that the longest transfer of a lane alone takes."""
SHORTER = 4
"""How many times the shorter transfer goes into the longer one."""
ROW_BYTES = (256, 1024, 4096)
STRIDES = (1, 2, 4)
"""Rows from the start of one to the start of the next: 1 is dense."""


@dataclass(frozen=True)
class Transfer:
    """Two points whose difference in time moves a difference in bytes."""

    moves: Moves
    columns: int
    channels: int
    shorter: Point
    longer: Point
    nbytes: int
    """Bytes that the longer one reads and writes more, over all lanes."""
    row_bytes: int = 0
    """0: one piece a lane."""
    stride: int = 1

    @property
    def lanes(self) -> int:
        """How many move at once."""
        return self.columns * self.channels


def transfers(at: Setting, quick: bool) -> Iterator[Transfer]:
    """By lanes in each direction, then by row size and stride over all lanes."""
    most, channels = at.npu.columns, at.npu.shim_channels
    widths = (1, most) if quick else range(1, most + 1)
    shapes = [(columns, 1) for columns in widths] + [(1, channels), (most, channels)]
    for moves in ("copy", "read", "write"):
        one = design(at.npu.name, most, channels, LARGE_OBJECT, moves)
        for columns, used in shapes:
            yield _transfer(at, one, columns, used)
    whole = design(at.npu.name, most, channels, LARGE_OBJECT)
    for row_bytes in ROW_BYTES[1:] if quick else ROW_BYTES:
        for stride in STRIDES[::2] if quick else STRIDES:
            yield _transfer(at, whole, most, channels, row_bytes, stride)


def _transfer(
    at: Setting, one: Design, columns: int, channels: int, row_bytes: int = 0, stride: int = 1
) -> Transfer:
    lanes = columns * channels
    step = 2 * one.object_words * SHORTER
    most = min(LONG * at.span_us * at.npu.clock_mhz, MOST_BUFFER / WORD_BYTES / lanes / stride)
    longer = max(1, int(most / step)) * step
    both = (longer // SHORTER, longer)
    shorter, whole = (_point(at, one, columns, channels, each, row_bytes, stride) for each in both)
    ways = 2 if one.moves == "copy" else 1
    nbytes = (longer - longer // SHORTER) * ways * lanes * WORD_BYTES
    return Transfer(one.moves, columns, channels, shorter, whole, nbytes, row_bytes, stride)


def _point(
    at: Setting,
    one: Design,
    columns: int,
    channels: int,
    words: int,
    row_bytes: int,
    stride: int,
) -> Point:
    """Every lane moves so many words, at once."""
    lanes = tuple((column, k) for k in range(channels) for column in range(columns))
    head, body = lane_head(at, lanes, words), at.tape()
    if row_bytes:
        for place, (column, channel) in enumerate(lanes):
            run = row_bytes // WORD_BYTES
            start = place * words * stride * WORD_BYTES
            bd = Bd(first_bd(channel) + 1, words, start, run_words=run, stride_words=stride * run)
            head.bd(column, MM2S, bd)
    receives, sends = one.moves != "read", one.moves != "write"
    for column, channel in lanes:
        if receives:
            body.push(column, S2MM, channel, first_bd(channel), token=True)
        if sends:
            body.push(column, MM2S, channel, first_bd(channel) + 1, token=not receives)
    for column, channel in lanes:
        body.wait(column, S2MM if receives else MM2S, channel)
    shape = f", rows of {row_bytes} every {stride}" if row_bytes else ""
    bench = f"{one.moves} {columns} x {channels}{shape}"
    moved = len(lanes) * words * WORD_BYTES
    payload = Payload(moved * sends, moved * receives)
    if receives and sends:
        payload = rows(moved, row_bytes, stride) if row_bytes else straight(moved)
    return point(bench, one, head, body, 1, size=words, payload=payload)
