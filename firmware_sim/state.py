# SPDX-License-Identifier: Apache-2.0
"""The array's whole state as arrays of records, so that compiled code can run on it.

Tiles are numbered column by column (`tile = column * ROWS_MODELLED + row`); channels are numbered
tile by tile, first the S2MM, then the MM2S channels (`channel_id`). Times are array cycles.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.devices import NPU1, Device
from aie2.registers import MEMTILE_DMA, MEMTILE_LOCKS, MEMTILE_SWITCH, SHIM_DMA, SHIM_SWITCH
from aie2.tiles import TileKind
from firmware_sim.errors import ConfigurationError

ROWS_MODELLED = 2
"""Rows whose DMAs are executed: the shim (0) and the memtile (1); a gather needs no cores."""

CHANNEL_SLOTS = MEMTILE_DMA.s2mm_channels
"""Channels numbered per tile and direction: as many as the tile kind with most of them has."""

TILE_CHANNELS = 2 * CHANNEL_SLOTS
LOCK_SLOTS = MEMTILE_LOCKS.count
BD_SLOTS = MEMTILE_DMA.bd_count
BD_WORDS = MEMTILE_DMA.bd.words

IDLE, WAIT_LOCK, READY, MOVING, FINISHING, HALTED = range(6)
"""What a channel does: nothing, waits for a lock, has a BD and waits for its peer or for data to
start, moves words, waits out its completion, or has met a BD that it cannot run."""

NEVER = np.inf

NOTES_KEPT = 256
"""Diagnostics of a run that are kept; further ones are only counted."""

NOTE_KINDS = 32
"""Room for the kinds of diagnostics (`firmware_sim.diagnostics.KINDS`)."""

QUEUE_DEPTH = NPU1.queue_depth
"""Tasks that a channel's queue holds, beside the one that runs."""

SWITCH_WORDS = (
    max(
        switch.slot_base - switch.master_base + switch.slot_port_stride * (first + count)
        for switch in (SHIM_SWITCH, MEMTILE_SWITCH)
        for _, first, count in switch.slaves
    )
    // 4
)
"""Words from a stream switch's first master register to past its last packet slot."""


CHANNEL = np.dtype(
    [
        ("phase", np.int64),  # one of IDLE .. HALTED
        ("peer", np.int64),  # channel at the other end of the route, -1: none
        ("link", np.int64),  # row of that route in `Machine.links`, -1: none
        ("controller_id", np.int64),  # packet id that this channel's tokens carry
        ("queue", np.int64, (QUEUE_DEPTH,)),  # queue words as pushed
        ("queued_at", np.float64, (QUEUE_DEPTH,)),  # cycle of each push
        ("queue_length", np.int64),
        ("overflowed", np.int64),  # sticky status bit: a push was dropped
        ("tokens", np.int64),  # arrived at the controller and not consumed
        ("task", np.int64),  # queue word of the running task, -1: none
        ("task_row", np.int64),  # its row in `Machine.log`, -1: not logged
        ("task_started", np.float64),  # cycle at which its queue word landed
        ("tasks", np.int64),  # tasks started in this run
        ("rounds_left", np.int64),  # further times that the chain comes round
        ("bd", np.int64),  # BD being executed
        ("bds", np.int64),  # BDs executed in this run
        ("words_left", np.int64),  # of the BD
        ("position", np.int64),  # words of the BD already moved
        ("moved", np.int64),  # words moved in this run
        ("ready_at", np.float64),  # cycle from which the BD's data can move
        ("base", np.int64),  # byte address of the BD's first word, iteration included
        ("wraps", np.int64, (3,)),  # elements per dimension, 0: does not wrap
        ("steps", np.int64, (4,)),  # words from one element of a dimension to the next
    ]
)
"""A DMA channel, and the task and BD that it executes."""

LINK = np.dtype(
    [
        ("source", np.int64),  # sending channel
        ("sink", np.int64),  # receiving channel
        ("event_at", np.float64),  # cycle of the next event, NEVER: none
        ("moving", np.int64),  # words of the segment in flight, 0: the event is not its end
    ]
)
"""A circuit route between two DMA channels."""

BUFFER = np.dtype(
    [
        ("pointer", np.int64),  # where it lies in this process
        ("base", np.int64),  # where it lies in the device's address space
        ("length", np.int64),  # bytes
    ]
)
"""A host buffer."""

OP = np.dtype(
    [
        ("opcode", np.int64),
        ("offset", np.int64),  # word at which it starts in the stream
        ("before", np.float64),  # cycles that pass before it is taken up
        ("cost", np.float64),  # cycles; a push: on a busy channel; a poll: per read
        ("idle_cost", np.float64),  # cycles of a push whose channel has run dry
    ]
)
"""An op of the script that the controller executes."""

TASK_ROW = np.dtype(
    [
        ("channel", np.int64),
        ("started", np.float64),  # cycle at which its queue word landed
        ("finished", np.float64),  # NaN: not yet
        ("words", np.int64),
    ]
)
"""A task that was taken up."""

NOTE = np.dtype(
    [
        ("at", np.float64),
        ("kind", np.int64),  # code of `firmware_sim.diagnostics`
        ("op", np.int64),
        ("channel", np.int64),  # -1: none
        ("tile", np.int64),
        ("value", np.int64),
        ("times", np.int64),  # how often the same was met
    ]
)
"""Something that silicon would do wrong."""

PROGRESS = np.dtype(
    [
        ("at", np.float64),  # cycle of the controller's next step, NEVER: it waits
        ("last_op_at", np.float64),  # cycle at which the last op was over
        ("op", np.int64),  # op being executed
        ("step", np.int64),  # step within it (`firmware_sim.engine`)
        ("bds", np.int64),  # shim BDs written
        ("pushes", np.int64),  # task-queue writes
        ("tokens", np.int64),  # tokens consumed
        ("patches", np.int64),  # DDR patches applied
        ("polls", np.int64),  # MASKPOLL reads
        ("dropped", np.int64),  # pushes into a full queue
        ("tasks", np.int64),  # rows of the task log in use
        ("notes", np.int64),  # rows of `Machine.notes` in use
        ("equal_waits", np.int64),  # 1 once a BD has waited for a lock to have one value
        ("idle_events", np.int64),  # events since the controller last did anything
        ("served_until", np.float64, (3,)),  # DDR: reads, writes, both together
    ]
)
"""Where the controller stands, what it has done, and until when DDR's limits are taken."""


Records = Any
"""A structured array; in compiled code its records have attributes, which no type checker knows."""


class Machine(NamedTuple):
    """Everything that a run changes; `Records` are arrays of the record types above."""

    channels: Records
    links: Records
    bds: NDArray[np.uint32]
    """(tiles, BDs, words) raw BD registers."""
    locks: NDArray[np.int64]
    """(tiles, locks) lock values."""
    memory: NDArray[np.uint8]
    """(columns, bytes) memtile memory."""
    switch: NDArray[np.uint32]
    """(tiles, words) stream-switch registers from the switch's base on."""
    mux: NDArray[np.uint32]
    """(tiles, 2) shim mux and demux."""
    token_ids: NDArray[np.int64]
    """(tiles) bit n set: a token with packet id n reaches the controller."""
    buffers: Records
    words: NDArray[np.uint32]
    """The TXN stream that the ops lie in."""
    ops: Records
    log: Records
    notes: Records
    note_counts: NDArray[np.int64]
    """(kinds) how often each diagnostic was met, kept or not."""
    progress: Records
    """(1) a `PROGRESS` record."""


def tile_index(column: int, row: int) -> int:
    """Number of the tile at (column, row)."""
    return column * ROWS_MODELLED + row


def channel_id(column: int, row: int, direction: int, channel: int) -> int:
    """Number of a DMA channel; `direction` as in the registers (0 S2MM, 1 MM2S)."""
    return tile_index(column, row) * TILE_CHANNELS + direction * CHANNEL_SLOTS + channel


def channel_of(number: int) -> tuple[int, int, int, int]:
    """(column, row, direction, channel) of a channel number."""
    tile, rest = divmod(int(number), TILE_CHANNELS)
    column, row = divmod(tile, ROWS_MODELLED)
    direction, channel = divmod(rest, CHANNEL_SLOTS)
    return column, row, direction, channel


def channel_name(number: int) -> str:
    """A channel as an engineer says it: `shim(2,0) MM2S 1`."""
    column, row, direction, channel = channel_of(number)
    return f"{tile_name(column, row)} {('S2MM', 'MM2S')[direction]} {channel}"


def tile_name(column: int, row: int) -> str:
    """A tile as an engineer says it: `memtile(2,1)`."""
    kind = TileKind.SHIM if row == 0 else TileKind.MEMTILE
    return f"{kind.name.lower()}({column},{row})"


def tile_kind_channels(row: int) -> int:
    """DMA channels per direction of the tile kind in `row`."""
    return (SHIM_DMA if row == 0 else MEMTILE_DMA).s2mm_channels


def empty(device: Device, columns: int) -> Machine:
    """State of a partition of `columns` columns after reset: no BDs, no routes, no stream.

    Raises:
        ConfigurationError: a device whose task queues have another depth than is compiled in.
    """
    if device.queue_depth != QUEUE_DEPTH:
        raise ConfigurationError(f"{device.name}: task queues must be {QUEUE_DEPTH} deep")
    tiles = columns * ROWS_MODELLED
    channels = np.zeros(tiles * TILE_CHANNELS, CHANNEL)
    for name in ("peer", "link", "task"):
        channels[name] = -1
    return Machine(
        channels=channels,
        links=np.zeros(0, LINK),
        bds=np.zeros((tiles, BD_SLOTS, BD_WORDS), np.uint32),
        locks=np.zeros((tiles, LOCK_SLOTS), np.int64),
        memory=np.zeros((columns, device.memtile_bytes), np.uint8),
        switch=np.zeros((tiles, SWITCH_WORDS), np.uint32),
        mux=np.zeros((tiles, 2), np.uint32),
        token_ids=np.zeros(tiles, np.int64),
        buffers=np.zeros(0, BUFFER),
        words=np.zeros(0, np.uint32),
        ops=np.zeros(0, OP),
        log=np.zeros(0, TASK_ROW),
        notes=np.zeros(NOTES_KEPT, NOTE),
        note_counts=np.zeros(NOTE_KINDS, np.int64),
        progress=np.zeros(1, PROGRESS),
    )
