# SPDX-License-Identifier: Apache-2.0
"""What a fifo becomes: buffers, locks, BDs, DMA channels and flows, before they have addresses.

`objects` makes them, `memory`, `routes` and `configuration` take them.
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2.registers import Direction
from iron_designs.dataflow import Dims, Tile


@dataclass(frozen=True, slots=True, eq=False)
class Buffer:
    """Memory of one object."""

    name: str
    tile: Tile
    words: int


@dataclass(frozen=True, slots=True, eq=False)
class Lock:
    """A lock with its value at the start."""

    name: str
    tile: Tile
    id: int
    init: int


@dataclass(frozen=True, slots=True)
class Bd:
    """One BD of a channel's loop: `words` of `buffer` from `offset` between two locks."""

    buffer: Buffer
    offset: int
    words: int
    dims: Dims
    acquire: Lock
    acquire_count: int
    release: Lock
    release_count: int


@dataclass(frozen=True, slots=True)
class Channel:
    """A DMA channel that runs its BDs round and round."""

    tile: Tile
    direction: Direction
    index: int
    bds: tuple[Bd, ...]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A DMA channel as a flow sees it."""

    tile: Tile
    channel: int


@dataclass(frozen=True, slots=True)
class Flow:
    """A stream from a sending channel to a receiving one."""

    source: Endpoint
    destination: Endpoint


@dataclass(frozen=True)
class Objects:
    """A design as DMA programs and flows."""

    buffers: tuple[Buffer, ...]
    locks: tuple[Lock, ...]
    """In the order in which they are set at the start."""
    channels: tuple[Channel, ...]
    """Tile by tile in the order in which tiles came to have a DMA program."""
    flows: tuple[Flow, ...]
    shim_channels: dict[str, tuple[Tile, Direction, int]]
    """Shim DMA channel of each fifo that begins or ends there."""
