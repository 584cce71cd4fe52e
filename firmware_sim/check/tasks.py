# SPDX-License-Identifier: Apache-2.0
"""Tasks, channels and token waits as `check` and `explain` keep book of them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from aie2 import txn_ops
from aie2.registers import DMA
from firmware_sim.array.mmio import STATUS_RUNNING, STATUS_SIZE
from firmware_sim.array.state import QUEUE_DEPTH, ROWS, channel_id
from firmware_sim.check.registers import tile_kind_of

NEVER = 1 << 62


class Task(NamedTuple):
    """A push: the chain of BDs that a channel is to run."""

    op: int
    channel: int
    place: int
    """Its place among the channel's tasks."""
    bd: int
    chain: tuple[tuple[int, int], ...]
    """BDs in order, each with its row in the stream's descriptors; NONE: it was never written."""
    endless: bool
    """Whether the chain leads back into itself."""
    repeats: int
    """Further times that the chain comes round."""
    token: bool


class Channel:
    """What is known of a DMA channel at one point of the stream."""

    __slots__ = ("covered", "issued", "limit", "sent_by", "tasks", "tokens")

    def __init__(self) -> None:
        self.tasks = 0
        self.covered = 0
        """Tasks that have ended, or that some wait may have covered."""
        self.limit = NEVER
        """First task that never ends."""
        self.issued = 0
        self.tokens: deque[int] = deque()
        """Tasks whose tokens nobody has taken yet."""
        self.sent_by: list[int] = []
        """Op of every push."""

    def cover(self, tasks: int) -> None:
        """So many tasks can have ended."""
        self.covered = max(self.covered, min(tasks, self.limit))


@dataclass(frozen=True, slots=True)
class Rectangle:
    """What a token wait names."""

    column: int
    row: int
    direction: int
    number: int
    columns: int
    rows: int

    def channels(self, columns: int) -> tuple[int, ...]:
        """Channels that it waits for; none if one of them does not exist."""
        if self.column + self.columns > columns or self.row + self.rows > ROWS:
            return ()
        tiles = [
            (column, row)
            for column in range(self.column, self.column + self.columns)
            for row in range(self.row, self.row + self.rows)
        ]
        for _, row in tiles:
            dma = DMA[tile_kind_of(row)]
            if self.number >= (dma.mm2s_channels if self.direction else dma.s2mm_channels):
                return ()
        return tuple(channel_id(*tile, self.direction, self.number) for tile in tiles)


def rectangle(first: int, second: int) -> Rectangle:
    """What the two words of a token wait's body say."""

    def take(name: str) -> int:
        entry = txn_ops.TCT.field(name)
        return (first, second)[entry.word] >> entry.lsb & entry.mask

    names = ("column", "row", "direction", "channel", "columns", "rows")
    return Rectangle(*map(take, names))


def left_in_queue(value: int, mask: int) -> int | None:
    """Most tasks that a queue holds when its status is as polled; None: the channel may rest."""
    running = STATUS_RUNNING.mask << STATUS_RUNNING.shift
    size = STATUS_SIZE.mask << STATUS_SIZE.shift
    if mask & running or not mask & size:
        return None
    lengths = range(STATUS_SIZE.mask + 1)
    agree = [n for n in lengths if (n << STATUS_SIZE.shift ^ value) & mask & size == 0]
    return min(max(agree), QUEUE_DEPTH)
