# SPDX-License-Identifier: Apache-2.0
"""The designs that `sparsebd compile` knows by name, as data: what the IRON designs describe.

A lane is a fifo down from a shim into the memtile above it and a linked one back up (or on to a
core). `iron_designs.passthrough`, `gather_rows`, `gather_chain`, `dense_rowwise` and
`gather_to_core` are the same designs for mlir-aie.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from aie2.devices import Device
from aie2.registers import SHIM_DMA
from iron_designs.dataflow import Dataflow, Fifo, Link, Tile
from iron_designs.errors import DesignError
from iron_designs.limits import DEPTH, check_lanes, words_of
from iron_designs.runtime_sequence import RuntimeSequence, Task, linear, single

QUEUE_SAFE = 4
"""Tasks that a queue is sure to take between two waits: its depth."""
RECEIVE_BDS = 1
"""BDs of a batch that receive: one takes all rows, since they land together."""
CORE_ROW = 2
"""Row of the core that takes a lane's rows."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a design.

    Raises:
        DesignError: on construction, if a size makes no sense for the device.
    """

    device: Device
    columns: int = 1
    channels: int = 1
    """Lanes of each column."""
    object_bytes: int = 4096
    """One fifo object; a lane moves whole objects between two waits."""
    depth: int = DEPTH
    """Objects that a fifo holds in the memtile."""

    def __post_init__(self) -> None:
        words_of(self.object_bytes, "object bytes")
        check_lanes(self.device, self.columns, self.channels)
        if self.depth < 1:
            raise DesignError(f"depth is {self.depth}: give 1 or more objects")


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows that a gather moves, and from how large a matrix."""

    row_bytes: int
    matrix_rows: int
    wanted: tuple[int, ...]
    batch: int | None = None
    """Most rows of a lane between two waits; None: as many as are safe."""


@dataclass(frozen=True, slots=True)
class Lane:
    """Names of a lane's fifos."""

    down: str
    up: str


@dataclass(frozen=True, slots=True)
class Design:
    """A dataflow with the sequence that runs on it."""

    name: str
    dataflow: Dataflow
    sequence: RuntimeSequence


def passthrough(shape: Shape, lane_bytes: int = 65536) -> Design:
    """Copy a buffer, `lane_bytes` over each lane, with one linear BD in each direction."""
    words = words_of(lane_bytes, "lane bytes")
    if lane_bytes % shape.object_bytes:
        raise DesignError(
            f"a lane's share of {lane_bytes} bytes is no whole number of objects of "
            f"{shape.object_bytes}: the last would never leave the memtile"
        )
    dataflow, lanes = _there_and_back(shape)
    whole = len(lanes) * words
    sequence = RuntimeSequence((whole, whole))
    running: list[tuple[Task, Task]] = []
    for number, lane in enumerate(lanes):
        write = single(lane.up, linear(1, number * words, words), token=True)
        read = single(lane.down, linear(0, number * words, words))
        sequence.configure(write, read)
        sequence.start(write, read)
        running.append((write, read))
    for write, read in running:
        sequence.wait(write)
        sequence.free(read)
    return Design("passthrough", dataflow, sequence)


def gather_rows(shape: Shape, rows: Rows) -> Design:
    """Gather wanted rows, each with a BD and a task of its own (Phase 0)."""
    return _gather("gather_rows", shape, rows, QUEUE_SAFE, chained=False)


def gather_chain(shape: Shape, rows: Rows) -> Design:
    """Gather wanted rows, a batch of them with one chained task."""
    most = SHIM_DMA.bd_count // shape.channels - RECEIVE_BDS
    return _gather("gather_chain", shape, rows, most, chained=True)


def dense_rowwise(shape: Shape, rows: Rows) -> Design:
    """Move every row with a BD and a task of its own: the stream that Phase 1 filters."""
    everything = Rows(rows.row_bytes, rows.matrix_rows, tuple(range(rows.matrix_rows)), rows.batch)
    return _gather("dense_rowwise", shape, everything, QUEUE_SAFE, chained=False)


def gather_to_core(shape: Shape, rows: Rows) -> Design:
    """Gather wanted rows into the memtiles, from where the core above each takes them.

    Nothing is compiled for the cores: their DMAs receive, and whoever runs there acquires and
    releases the objects. The end of a batch is the token of its last send.
    """
    if shape.channels != 1:
        raise DesignError(
            f"channels is {shape.channels}: gather_to_core has one lane to each column's core"
        )
    fifos: list[Fifo] = []
    links: list[Link] = []
    words = words_of(shape.object_bytes, "object bytes")
    for column in range(shape.columns):
        shim, memtile, core = (Tile(column, row) for row in (0, 1, CORE_ROW))
        down, up = f"down_{column}_0", f"core_{column}_0"
        fifos.append(Fifo(down, shim, (memtile,), words, shape.depth))
        fifos.append(Fifo(up, memtile, (core,), words, shape.depth))
        links.append(Link((down,), (up,)))
    dataflow = Dataflow(shape.device, shape.columns, tuple(fifos), tuple(links))
    lanes = [Lane(f"down_{column}_0", "") for column in range(shape.columns)]
    share, _ = _shares(shape, rows, lanes)
    sequence = RuntimeSequence((rows.matrix_rows * words_of(rows.row_bytes, "row bytes"),))
    batch = _batch(rows, SHIM_DMA.bd_count)
    for first in range(0, len(share[0]), batch):
        running: list[Task] = []
        for lane, mine in zip(lanes, share, strict=True):
            if mine[first : first + batch]:
                running.append(_chain(lane.down, mine[first : first + batch], rows, token=True))
        sequence.configure(*running)
        sequence.start(*running)
        sequence.wait(*running)
    return Design("gather_to_core", dataflow, sequence)


def _there_and_back(shape: Shape) -> tuple[Dataflow, list[Lane]]:
    """Lanes column by column."""
    words = words_of(shape.object_bytes, "object bytes")
    fifos: list[Fifo] = []
    links: list[Link] = []
    lanes: list[Lane] = []
    for column in range(shape.columns):
        shim, memtile = Tile(column, 0), Tile(column, 1)
        for channel in range(shape.channels):
            lane = Lane(f"down_{column}_{channel}", f"up_{column}_{channel}")
            fifos.append(Fifo(lane.down, shim, (memtile,), words, shape.depth))
            fifos.append(Fifo(lane.up, memtile, (shim,), words, shape.depth))
            links.append(Link((lane.down,), (lane.up,)))
            lanes.append(lane)
    return Dataflow(shape.device, shape.columns, tuple(fifos), tuple(links)), lanes


def _gather(name: str, shape: Shape, rows: Rows, safe: int, *, chained: bool) -> Design:
    """The k-th wanted row on lane k mod lanes; each lane fills its own part of the output."""
    dataflow, lanes = _there_and_back(shape)
    share, part = _shares(shape, rows, lanes)
    row = words_of(rows.row_bytes, "row bytes")
    sequence = RuntimeSequence((rows.matrix_rows * row, max(len(lanes) * part * row, 1)))
    batch = _batch(rows, safe)
    for first in range(0, part, batch):
        running: list[tuple[Task, list[Task]]] = []
        for number, (lane, all_mine) in enumerate(zip(lanes, share, strict=True)):
            mine = all_mine[first : first + batch]
            if not mine:
                continue
            place = linear(1, (number * part + first) * row, len(mine) * row)
            write = single(lane.up, place, token=True)
            if chained:
                reads = [_chain(lane.down, mine, rows)]
            else:
                reads = [single(lane.down, linear(0, r * row, row)) for r in mine]
            sequence.configure(write, *reads)
            sequence.start(write, *reads)
            running.append((write, reads))
        for write, reads in running:
            sequence.wait(write)
            sequence.free(*reads)
    return Design(name, dataflow, sequence)


def _shares(shape: Shape, rows: Rows, lanes: Sequence[Lane]) -> tuple[list[tuple[int, ...]], int]:
    """Rows of each lane, and the most that one has; refuses what the array cannot move."""
    words_of(rows.row_bytes, "row bytes")
    if rows.row_bytes % shape.object_bytes:
        raise DesignError(
            f"a row of {rows.row_bytes} bytes is no whole number of objects of "
            f"{shape.object_bytes}: choose an object that divides the row"
        )
    for wanted in rows.wanted:
        if not 0 <= wanted < rows.matrix_rows:
            raise DesignError(f"row {wanted} is wanted of a matrix of {rows.matrix_rows} rows")
    share = [rows.wanted[number :: len(lanes)] for number in range(len(lanes))]
    return share, len(share[0])


def _batch(rows: Rows, safe: int) -> int:
    batch = safe if rows.batch is None else rows.batch
    if batch < 1:
        raise DesignError(f"batches of {batch} rows cannot be: give 1 or more")
    return batch


def _chain(fifo: str, mine: Sequence[int], rows: Rows, *, token: bool = False) -> Task:
    row = words_of(rows.row_bytes, "row bytes")
    return Task(fifo, tuple(linear(0, r * row, row) for r in mine), token)


GATHERS: dict[str, Callable[[Shape, Rows], Design]] = {
    "gather_rows": gather_rows,
    "gather_chain": gather_chain,
    "dense_rowwise": dense_rowwise,
    "gather_to_core": gather_to_core,
}
"""Designs that move rows, by name; `passthrough` is the other one."""

NAMES = ("passthrough", *GATHERS)
"""All designs by name."""
