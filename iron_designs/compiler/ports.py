# SPDX-License-Identifier: Apache-2.0
"""Ports of the stream switches as a router sees them: how many, and which may be joined.

Facts: mlir-aie's AIETargetModel.cpp (AIE2). A shim's DMA, NoC and PL ports sit behind its mux, but
count as ports of its switch while paths are found; `configuration` puts the mux back in.
"""

from __future__ import annotations

from typing import NamedTuple

from aie2.tiles import TileKind

CORE, DMA, FIFO, SOUTH, WEST, NORTH, EAST, PLIO, NOC, TRACE, CONTROL = range(11)
"""Bundles of ports in mlir-aie's order (WireBundle), which orders ports of equal cost."""
BUNDLES = 11
BUNDLE_NAMES = (
    *("Core", "DMA", "FIFO", "South", "West", "North"),
    *("East", "PLIO", "NOC", "Trace", "TileControl"),
)


class Port(NamedTuple):
    """A port of a switch: bundle and channel."""

    bundle: int
    channel: int

    def __str__(self) -> str:
        return f"{BUNDLE_NAMES[self.bundle]} {self.channel}"


_SLAVES = {
    TileKind.SHIM: {
        **{DMA: 2, FIFO: 1, SOUTH: 8, WEST: 4, NORTH: 4, EAST: 4},
        **{PLIO: 8, NOC: 4, TRACE: 1, CONTROL: 1},
    },
    TileKind.MEMTILE: {DMA: 6, SOUTH: 6, NORTH: 4, TRACE: 1, CONTROL: 1},
    TileKind.CORE: {
        **{CORE: 1, DMA: 2, FIFO: 1, SOUTH: 6, WEST: 4, NORTH: 4, EAST: 4},
        **{TRACE: 2, CONTROL: 1},
    },
}
_MASTERS = {
    TileKind.SHIM: {
        **{DMA: 2, FIFO: 1, SOUTH: 6, WEST: 4, NORTH: 6, EAST: 4},
        **{PLIO: 6, NOC: 4, CONTROL: 1},
    },
    TileKind.MEMTILE: {DMA: 6, SOUTH: 4, NORTH: 6, CONTROL: 1},
    TileKind.CORE: {
        **{CORE: 1, DMA: 2, FIFO: 1, SOUTH: 4, WEST: 4, NORTH: 6, EAST: 4},
        **{CONTROL: 1},
    },
}

_AROUND = (SOUTH, WEST, NORTH, EAST)
_BEHIND_MUX = (DMA, NOC, PLIO)


def slaves(tile: TileKind, *, west: bool, east: bool, top: bool) -> list[Port]:
    """Incoming ports of a switch; `west`, `east` and `top` say at which edges it lies."""
    return _ports(_SLAVES[tile], west=west, east=east, top=top)


def masters(tile: TileKind, *, west: bool, east: bool, top: bool) -> list[Port]:
    """Outgoing ports of a switch; as `slaves`."""
    return _ports(_MASTERS[tile], west=west, east=east, top=top)


def _ports(counts: dict[int, int], *, west: bool, east: bool, top: bool) -> list[Port]:
    missing = {bundle for bundle, edge in ((WEST, west), (EAST, east), (NORTH, top)) if edge}
    return [
        Port(bundle, channel)
        for bundle, count in sorted(counts.items())
        if bundle not in missing
        for channel in range(count)
    ]


def is_connectable(tile: TileKind, slave: Port, master: Port) -> bool:
    """Whether a switch can join the two ports."""
    rule = {TileKind.SHIM: _in_shim, TileKind.MEMTILE: _in_memtile, TileKind.CORE: _in_core}
    return rule[tile](slave, master)


def _in_memtile(slave: Port, master: Port) -> bool:
    same = slave.channel == master.channel
    match slave.bundle:
        case 1:  # DMA
            return same if master.bundle == DMA else True
        case 10:  # CONTROL
            return master.channel == 5 if master.bundle == DMA else master.bundle in (SOUTH, NORTH)
        case 9:  # TRACE
            return master.channel == 5 if master.bundle == DMA else master.bundle == SOUTH
        case _:
            return True if master.bundle in (DMA, CONTROL) else same


def _in_shim(slave: Port, master: Port) -> bool:
    if slave.bundle in _BEHIND_MUX or master.bundle in _BEHIND_MUX:
        return True
    if slave.bundle == CONTROL:
        return master.bundle != CONTROL
    if slave.bundle == TRACE:
        if master.bundle in (WEST, EAST):
            return master.channel == 0
        return master.bundle in (FIFO, SOUTH)
    if slave.bundle == master.bundle and slave.bundle in (WEST, NORTH, EAST):
        return slave.channel == master.channel
    return True


def _in_core(slave: Port, master: Port) -> bool:
    if slave.bundle == CORE:
        return master.bundle != CORE
    if slave.bundle == CONTROL:
        return master.bundle not in (CONTROL, DMA)
    if slave.bundle == TRACE:
        return master.channel == 0 if master.bundle == DMA else master.bundle in (FIFO, SOUTH)
    return slave.channel == master.channel if slave.bundle == master.bundle else True
