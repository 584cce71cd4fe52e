# SPDX-License-Identifier: Apache-2.0
"""The array's whole state as one record, so that compiled code passes one pointer around.

Tiles are numbered column by column (`tile = column * ROWS + row`); DMA channels tile by tile, first
the S2MM, then the MM2S channels (`channel_id`). Behind them come the tiles' control ports, so that
whatever sends or takes stream words has one number, its *endpoint*. Times are array cycles.
`firmware_sim.array.machine` makes the record and keeps alive what its pointers point to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from aie2.devices import DEVICES, NPU1
from aie2.registers import DMA, LOCKS, SWITCH_SLOT, SWITCHES
from aie2.tiles import ROWS as TILE_ROWS
from aie2.tiles import TileKind, kind
from firmware_sim.calibration import Costs

ROWS = len(TILE_ROWS)
"""Rows of tiles: shim, memtile, cores."""
TILES = ROWS * max(device.columns for device in DEVICES.values())
"""Tiles that there is room for; a partition uses the first of them."""
KINDS = tuple(TileKind)
"""Tile kinds by the number that compiled code uses."""
SHIM, MEMTILE, CORE = range(len(KINDS))

CHANNEL_SLOTS = max(max(dma.s2mm_channels, dma.mm2s_channels) for dma in DMA.values())
"""Channels numbered per tile and direction: as many as the tile kind with most of them has."""
TILE_CHANNELS = 2 * CHANNEL_SLOTS
CHANNELS = TILES * TILE_CHANNELS
CONTROL_IN = CHANNELS
"""Endpoint of tile 0's control port as a sink: control packets."""
CONTROL_OUT = CONTROL_IN + TILES
"""Endpoint of tile 0's control port as a source: answers to reads."""
ENDPOINTS = CONTROL_OUT + TILES
CORE_ACTOR = ENDPOINTS
"""Actor number of tile 0's core model: what has events, but takes no stream words."""
ACTORS = CORE_ACTOR + TILES

LOCK_SLOTS = max(locks.count for locks in LOCKS.values())
BD_SLOTS = max(dma.bd_count for dma in DMA.values())
BD_WORDS = max(dma.bd.words for dma in DMA.values())
PACKET_IDS = SWITCH_SLOT.field("id").max + 1
ARBITERS = SWITCH_SLOT.field("arbiter").max + 1

IDLE, WAIT_LOCK, WAIT_HEADER, READY, MOVING, FLUSHING, FINISHING, HALTED = range(8)
"""What an endpoint does: nothing, waits for a lock, waits for the header that names its BD (out of
order), has a BD and waits for its peers or for data to start, moves words, waits until its last
words have been taken, waits out its completion, or has met a BD that it cannot run."""

BETWEEN, OPENING, INSIDE = range(3)
"""A source on packets: before a header, header chosen and on its way, inside the packet."""

NEVER = np.inf
NONE = -1

NOTES_KEPT = 256
"""Diagnostics of a run that are kept; further ones are only counted."""
NOTE_KINDS = 64
"""Room for the kinds of diagnostics (`firmware_sim.diagnostics.KINDS`)."""
QUEUE_DEPTH = NPU1.queue_depth
"""Tasks that a channel's queue holds, beside the one that runs."""
RING = 128
"""Words that a sink's stream FIFO has room for, whatever its route."""
ROUTE_SINKS = 32
"""Sinks that a broadcast can have."""
ROUTE_ARBITERS = 32
"""Arbiters that a packet can pass."""

SWITCH_WORDS = (
    max(
        switch.slot_base - switch.master_base + switch.slot_port_stride * (first + count)
        for switch in SWITCHES.values()
        for _, first, count in switch.slaves
    )
    // 4
)
"""Words from a stream switch's first master register to past its last packet slot."""

_INT, _FLOAT, _WORD = np.int64, np.float64, np.uint32


def _integers(*names: str) -> list[tuple[str, type]]:
    return [(name, _INT) for name in names]


CHANNEL = np.dtype(
    [
        ("phase", _INT),  # one of IDLE .. HALTED
        ("slot", _INT),  # place in `due`, NONE: takes no part
        ("control", _INT),  # control register
        ("queue", _INT, (QUEUE_DEPTH,)),  # queue words as pushed
        ("queued_at", _FLOAT, (QUEUE_DEPTH,)),  # cycle of each push
        ("queued_by", _INT, (QUEUE_DEPTH,)),  # op of the stream that made it, NONE: no op
        ("queue_length", _INT),
        ("overflowed", _INT),  # sticky status bit: a push was dropped
        ("invalid", _INT),  # status bit: a BD that cannot run was loaded
        ("tokens", _INT),  # arrived at the controller and not consumed
        ("task", _INT),  # queue word of the running task, NONE: none
        ("task_op", _INT),  # op of the stream that pushed it
        ("task_row", _INT),  # its row in the log, NONE: not logged
        ("task_started", _FLOAT),  # cycle at which its queue word landed
        ("tasks", _INT),  # tasks started in this run
        ("rounds_left", _INT),  # further times that the chain comes round
        ("bd", _INT),  # BD being executed
        ("bds", _INT),  # BDs executed in this run
        ("words_left", _INT),  # of the BD
        ("position", _INT),  # words of the BD already moved
        ("moved", _INT),  # words moved in this run
        ("ready_at", _FLOAT),  # cycle from which the BD's data can move
        ("base", _INT),  # byte address of the BD's first word, iteration included
        ("wait_lock", _INT),  # lock that is waited for: tile * LOCK_SLOTS + index, NONE
        # a source
        ("route", _INT),  # row in `routes`, NONE: none (a packet: not yet)
        ("stale", _INT),  # 1: routes changed while it moved words; what it has then:
        ("next_route", _INT),
        ("next_packets", _INT),
        ("packets", _INT),  # 1: its stream is switched by packet
        ("packet", _INT),  # BETWEEN, OPENING or INSIDE
        ("header", _INT),  # header word of the packet
        ("pushing", _INT),  # words of the segment in flight
        ("broken", _INT),  # 1: the BD reached an address that its tile does not have
        ("pending", _INT),  # sinks before which the BD's last word still lies
        ("arbiter", _INT),  # arbiter that is waited for, NONE
        # a sink
        ("fed", _INT),  # 1: some route ends here
        ("holder", _INT),  # source whose words come here now, NONE: none
        ("feeder", _INT),  # source of the segment in flight, NONE: the FIFO
        ("taking", _INT),  # words of the segment in flight
        ("capacity", _INT),  # words that the stream holds before this sink
        ("held", _INT),  # words that it holds now
        ("head", _INT),  # where they begin in the ring
        ("framed", _INT),  # 1: TLAST matters to this sink
        ("ended", _INT),  # 1: the last word that it took had TLAST
    ]
)
"""A DMA channel or control port, and what it executes."""

DESCRIPTOR = np.dtype(
    [
        *_integers("known"),  # 1: decoded since its registers were written
        *_integers("fault"),  # diagnostic code of what makes it unusable, 0: none
        *_integers("words"),  # stream words, padding included
        *_integers("base"),  # byte address without iteration
        ("wraps", _INT, (3,)),  # elements per dimension, 0: does not wrap
        ("steps", _INT, (4,)),  # words from one element of a dimension to the next
        ("before", _INT, (3,)),  # padding before, in elements of the dimension
        ("after", _INT, (3,)),
        *_integers("padded"),
        *_integers("iteration_wrap", "iteration_step"),  # times - 1; words
        *_integers("next"),  # following BD, NONE: the chain ends
        *_integers("acquire", "acquire_value"),  # lock, NONE: none; < 0: at least
        *_integers("release", "release_value"),
        *_integers("packet", "header"),  # 1: sends this header first
        *_integers("last"),  # 1: TLAST at its end
    ]
)
"""A BD as its registers have it, taken apart once."""

ROUTE = np.dtype(
    [
        *_integers("source", "sinks", "arbiters"),
        ("sink", _INT, (ROUTE_SINKS,)),
        ("drop", _INT, (ROUTE_SINKS,)),  # 1: the header is dropped on the way
        ("arbiter", _INT, (ROUTE_ARBITERS,)),  # tile * ARBITERS + arbiter, in order of the way
        *_integers("dead_ends"),  # ends that nothing ever empties
        *_integers("dead_room"),  # words that the way to them still takes
        *_integers("unrouted"),  # 1: a switch on the way has no rule for the packets' id
    ]
)
"""Where a source's words go: by circuit, or the packets of one id."""

CONTROL = np.dtype(
    _integers(
        "keeps_header",  # 1: stream headers reach the port
        "expects",  # what its next word is (`firmware_sim.array.control_packets`)
        "address",
        "beats",  # data words left
        "operation",
        "answer_id",  # packet id of the answer
    )
)
"""A tile's control port."""

BUFFER = np.dtype(_integers("pointer", "base", "length", "read", "written"))
"""A host buffer: where it lies in this process and in the device's address space, its bytes, and
whether the device has read and written it."""

OP = np.dtype(
    [
        ("opcode", _INT),
        ("offset", _INT),  # word at which it starts in the stream
        ("before", _FLOAT),  # cycles that pass before it is taken up
        ("cost", _FLOAT),  # cycles; a push: on a busy channel; a poll: per read
        ("idle_cost", _FLOAT),  # cycles of a push whose channel has run dry
        ("work_left", _FLOAT),  # cycles of the image's own work that may be left to do before it
    ]
)
"""An op of the script that the controller executes."""

TASK_ROW = np.dtype(
    [
        ("channel", _INT),
        ("started", _FLOAT),  # cycle at which its queue word landed
        ("finished", _FLOAT),  # NaN: not yet
        ("words", _INT),
    ]
)
"""A task that was taken up."""

EVENT = np.dtype([("at", _FLOAT), ("kind", _INT), ("actor", _INT), ("a", _INT), ("b", _INT)])
"""Something that happened, for a trace: see `firmware_sim.array.events`."""

NOTE = np.dtype(
    [
        ("at", _FLOAT),
        ("kind", _INT),  # code of `firmware_sim.diagnostics`
        ("op", _INT),
        ("channel", _INT),  # NONE: none
        ("tile", _INT),
        ("value", _INT),
        ("times", _INT),  # how often the same was met
    ]
)
"""Something that silicon would do wrong."""

COSTS = np.dtype([(name, _FLOAT) for name in Costs._fields])
"""`firmware_sim.calibration.Costs`, for compiled code."""

_PROGRESS = [
    ("at", _FLOAT),  # cycle of the controller's next step, NEVER: it waits
    ("last_op_at", _FLOAT),  # cycle at which the last op was over
    ("op", _INT),  # op being executed
    ("step", _INT),  # step within it (`firmware_sim.array.controller`)
    ("waits_since", _FLOAT),  # cycle from which it has waited for tokens
    ("work_left", _FLOAT),  # cycles of the image's own work that are left to do
    ("work_slice", _FLOAT),  # cycles of it between two looks at what is waited for, 0: none then
    ("bds_written", _INT),  # shim BDs written
    ("pushes", _INT),  # task-queue writes
    ("tokens", _INT),  # tokens consumed
    ("patches", _INT),  # DDR patches applied
    ("polls", _INT),  # MASKPOLL reads
    ("dropped", _INT),  # pushes into a full queue
    ("equal_waits", _INT),  # 1 once a BD has waited for a lock to have one value
    ("idle_events", _INT),  # events since the controller last did anything
    ("events_run", _INT),  # events in the array
    ("strict", _INT),  # 1: stop at the first mistake
    ("stop", _INT),  # why the loop returns to Python (`firmware_sim.array.engine`)
    ("stop_at", _FLOAT),  # cycle of it
    ("stop_tile", _INT),  # tile whose core model is due, PDI that is to be loaded
    ("log_full", _INT),  # 1: a log has as many rows as are kept at most
    ("live", _INT),  # 0 while the configuration is loaded
    ("patching", _INT),  # 1 during a DDR patch
    ("python_op", _INT),  # 1: the op is Python's to carry out
    ("reroute", _INT),  # 1: routes are to be found again
    ("cores", _INT),  # core models
    ("pad_values_kept", _INT),  # 1: memtiles have pad value registers
    ("chained_control", _INT),  # 1: control packets need no TLAST between them
    ("random", np.uint64),  # state of the jitter, 0: none
]

STATE = np.dtype(
    [
        *_PROGRESS,
        ("costs", COSTS),
        ("columns", _INT),
        ("channels", CHANNEL, (ENDPOINTS,)),
        ("bds", _WORD, (TILES, BD_SLOTS, BD_WORDS)),  # raw registers
        ("descriptors", DESCRIPTOR, (TILES, BD_SLOTS)),
        ("locks", _INT, (TILES, LOCK_SLOTS)),
        ("lock_waiters", _INT, (TILES,)),  # endpoints and cores that wait for a lock of the tile
        ("switch", _WORD, (TILES, SWITCH_WORDS)),
        ("mux", _WORD, (TILES, 2)),  # shim mux and demux
        ("pad_values", _WORD, (TILES, CHANNEL_SLOTS)),  # what a memtile channel pads with
        ("token_ids", _INT, (TILES,)),  # bit n: a token with packet id n reaches the controller
        ("control", CONTROL, (TILES,)),
        ("arbiters", _INT, (TILES * ARBITERS,)),  # source that holds it, NONE: free
        ("route_of", _INT, (ENDPOINTS, PACKET_IDS)),  # row in `routes`, NONE
        ("rings", _WORD, (ENDPOINTS, RING)),  # words in the stream before a sink
        ("ring_last", np.uint8, (ENDPOINTS, RING)),  # 1: TLAST
        ("ring_owner", np.int16, (ENDPOINTS, RING)),  # source whose BD ends there + 1, 0: none
        ("flushed", _INT),  # 1: some source's last word has just been taken
        ("due", _FLOAT, (ACTORS,)),  # cycle of the next event per slot, NEVER: none
        ("actor", _INT, (ACTORS,)),  # whose slot it is
        ("slots", _INT),
        ("last_served", _INT),  # slot of the source that got an arbiter last
        ("core_slot", _INT, (TILES,)),
        ("core_phase", _INT, (TILES,)),  # IDLE, WAIT_LOCK, READY
        ("core_lock", _INT, (TILES,)),
        ("core_value", _INT, (TILES,)),
        ("memory_at", _INT, (TILES,)),  # pointer to the tile's memory
        ("memory_bytes", _INT, (TILES,)),
        ("served_until", _FLOAT, (3 + 2 * TILES // ROWS,)),  # DDR: reads, writes, both; columns
        ("notes", NOTE, (NOTES_KEPT,)),
        ("note_counts", _INT, (NOTE_KINDS,)),
        ("notes_used", _INT),
        *_integers("words", "words_size"),  # pointer to the TXN stream
        *_integers("ops", "ops_size"),
        *_integers("log", "log_size", "tasks"),
        *_integers("routes", "routes_size"),
        *_integers("buffers", "buffers_size"),
        *_integers("events", "events_size", "events_used"),
    ]
)
"""Everything that a run changes."""

State = Any
"""A `STATE` record; in compiled code its fields are attributes, which no type checker knows."""


def tile_index(column: int, row: int) -> int:
    """Number of the tile at (column, row)."""
    return column * ROWS + row


def channel_id(column: int, row: int, direction: int, channel: int) -> int:
    """Number of a DMA channel; `direction` as in the registers (0 S2MM, 1 MM2S)."""
    return tile_index(column, row) * TILE_CHANNELS + direction * CHANNEL_SLOTS + channel


def channel_of(number: int) -> tuple[int, int, int, int]:
    """(column, row, direction, channel) of a channel number."""
    tile, rest = divmod(int(number), TILE_CHANNELS)
    column, row = divmod(tile, ROWS)
    direction, channel = divmod(rest, CHANNEL_SLOTS)
    return column, row, direction, channel


def endpoint_tile(number: int) -> int:
    """Tile of an endpoint or of a core model."""
    if number < CHANNELS:
        return int(number) // TILE_CHANNELS
    return (int(number) - CHANNELS) % TILES


def channel_name(number: int) -> str:
    """An endpoint as an engineer says it: `shim(2,0) MM2S 1`."""
    tile = tile_name(*divmod(endpoint_tile(number), ROWS))
    if number >= CORE_ACTOR:
        return f"core model of {tile}"
    if number >= CHANNELS:
        return f"{tile} control port"
    _, _, direction, channel = channel_of(number)
    return f"{tile} {('S2MM', 'MM2S')[direction]} {channel}"


def tile_name(column: int, row: int) -> str:
    """A tile as an engineer says it: `memtile(2,1)`."""
    return f"{kind(row).value}({column},{row})"


def tile_kind_channels(row: int) -> int:
    """DMA channels per direction of the tile kind in `row`."""
    return DMA[kind(row)].s2mm_channels
