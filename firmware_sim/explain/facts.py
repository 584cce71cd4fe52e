# SPDX-License-Identifier: Apache-2.0
"""What a design is and what a stream does, as data: `explain` makes it, `host` prints it.

Lengths and steps are in 32-bit words as the registers have them, addresses and sizes in bytes.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LockUse:
    """A lock that a BD takes or gives."""

    tile: str
    lock: int
    value: int
    """How much; what is given can be negative."""
    exactly: bool = False
    """Taken only at this very value, not from it on."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension of an access pattern."""

    size: int
    step_words: int
    pad_before: int = 0
    pad_after: int = 0


@dataclass(frozen=True, slots=True)
class Iteration:
    """What a BD adds to its address each time that it is loaded."""

    times: int
    step_words: int
    current: int


@dataclass(frozen=True, slots=True)
class Packet:
    """Header that a BD sends first."""

    id: int
    type: int
    out_of_order_bd: int


@dataclass(frozen=True, slots=True)
class Bd:
    """A BD in a task's chain."""

    bd: int
    valid: bool
    words: int
    memory: str
    """Tile whose memory it is, "host" for a shim, "nowhere" if there is none at the address."""
    address: int
    """Byte within that memory."""
    dimensions: tuple[Dimension, ...]
    """Innermost first; one of step 1 is a plain run."""
    iteration: Iteration | None
    acquires: LockUse | None
    releases: LockUse | None
    packet: Packet | None
    next: int | None
    suppresses_tlast: bool
    compressed: bool

    @property
    def linear(self) -> bool:
        """Whether it moves one run of words, without padding."""
        first = self.dimensions[0] if self.dimensions else Dimension(0, 1)
        padded = any(each.pad_before or each.pad_after for each in self.dimensions)
        return len(self.dimensions) <= 1 and first.step_words == 1 and not padded


@dataclass(frozen=True, slots=True)
class Task:
    """A task that the configuration starts."""

    chain: tuple[int, ...]
    loops_to: int | None
    """BD with which an endless chain goes on."""
    times: int
    """How often the chain comes round; an endless one never ends its first round."""
    token: bool
    bds: tuple[Bd, ...]


@dataclass(frozen=True, slots=True)
class Channel:
    """A DMA channel that the design uses."""

    name: str
    direction: str
    number: int
    tasks: tuple[Task, ...]
    controller_id: int
    modes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Lock:
    """A lock that is set or used."""

    lock: int
    initial: int
    taken_by: tuple[str, ...]
    given_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Buffer:
    """Bytes of a tile's memory that BDs name."""

    address: int
    nbytes: int
    written_by: tuple[str, ...]
    read_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Tile:
    """A tile that has more than switches."""

    name: str
    column: int
    row: int
    kind: str
    core_runs: bool
    program_bytes: int
    data_bytes: int
    """Data memory that the configuration fills."""
    channels: tuple[Channel, ...]
    locks: tuple[Lock, ...]
    buffers: tuple[Buffer, ...]
    other_bds: tuple[Bd, ...]
    """Written but in no task that the configuration starts."""


@dataclass(frozen=True, slots=True)
class End:
    """Where a route comes out."""

    sink: str
    """A channel, a control port, "controller", or "" where nothing takes the words."""
    why: str
    """What a dead end is missing."""
    hops: tuple[str, ...]
    """Switch by switch: tile, port in, port out."""
    drops_header: bool
    arbiters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a source's words go."""

    source: str
    packet_id: int | None
    """None: by circuit."""
    ends: tuple[End, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """What a design says of itself."""

    columns: int
    start_columns: tuple[int, ...]
    devices: tuple[str, ...]
    """Those that have so many columns; the registers do not tell which is meant."""
    kernels: tuple[str, ...]
    host_buffers: int | None
    register_writes: int
    further_configurations: int
    cores: tuple[str, ...]
    """Tiles whose cores have code."""


@dataclass(frozen=True, slots=True)
class Move:
    """What one BD of a stream's task moves."""

    bd: Bd
    argument: int | None
    """Host buffer, None: no DDR patch gave it one."""
    offset: int
    """Byte in that buffer."""


@dataclass(frozen=True, slots=True)
class Push:
    """A task that the stream starts."""

    op: int
    channel: str
    chain: tuple[int, ...]
    endless: bool
    times: int
    token: bool
    nbytes: int
    """Bytes that it moves in all, 0 if it is endless."""
    moves: tuple[Move, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An op that waits."""

    op: int
    text: str
    ends: tuple[int, ...]
    """Ops of the pushes whose end it proves."""
    covers: tuple[int, ...]
    """Ops of further pushes that may have ended by then, since data flows between them."""


@dataclass(frozen=True, slots=True)
class Argument:
    """A host buffer as the stream uses it."""

    argument: int
    direction: str
    first_byte: int
    end_byte: int
    bds: int
    nbytes: int
    """Bytes moved, every repeat counted."""


@dataclass(frozen=True, slots=True)
class Stream:
    """What a stream does."""

    version: str
    device: str
    columns: int
    nbytes: int
    ops: dict[str, int]
    touched_columns: tuple[int, ...]
    pushes: tuple[Push, ...]
    waits: tuple[Waiting, ...]
    lengths_words: dict[int, int]
    """BDs written, by their length."""
    arguments: tuple[Argument, ...]
    other_writes: dict[str, int]
    """Register words written that are no BD and no push, by what they are."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A design and, where one was given, a stream."""

    header: Header
    tiles: tuple[Tile, ...]
    routes: tuple[Route, ...]
    token_routes: tuple[Route, ...]
    shapes: tuple[str, ...]
    """What is recognised for certain, in words."""
    notes: tuple[str, ...]
    stream: Stream | None = None
