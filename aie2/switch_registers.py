# SPDX-License-Identifier: Apache-2.0
"""Stream switches, the shim's mux and demux, and locks: what joins and paces the DMA engines.

A design's configuration (CDO) writes these; `firmware_sim` follows routes through them. Facts:
aie-rt driver/src/global/xaiemlgbl_params.h (register names as `source`), xaiemlgbl_reginit.c.
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2.fields import Field, Layout
from aie2.tiles import TileKind

SWITCH_MASTER = Layout(
    "stream-switch master",
    1,
    (
        Field("enable", 0, 31, 31),
        Field("packet_enable", 0, 30, 30),
        Field("drop_header", 0, 7, 7),
        Field("config", 0, 6, 0),
    ),
    "STREAM_SWITCH_MASTER_CONFIG",
)
"""A switch output. `config`: by circuit the slave port [4:0]; by packet the arbiter [2:0] and the
msels it takes [6:3], one bit each."""

SWITCH_SLAVE = Layout(
    "stream-switch slave",
    1,
    (Field("enable", 0, 31, 31), Field("packet_enable", 0, 30, 30)),
    "STREAM_SWITCH_SLAVE_CONFIG",
)
"""A switch input."""

SWITCH_SLOT = Layout(
    "stream-switch packet slot",
    1,
    (
        Field("id", 0, 28, 24),
        Field("mask", 0, 20, 16),
        Field("enable", 0, 8, 8),
        Field("msel", 0, 5, 4),
        Field("arbiter", 0, 2, 0),
    ),
    "STREAM_SWITCH_SLAVE_SLOT",
)
"""A packet-switched slave's rule: packets whose id agrees under `mask` go to arbiter and msel."""

Ports = tuple[tuple[str, int, int], ...]
"""Port groups of a switch in order of index, as (bundle, first index, number of ports)."""


def _ports(**counts: int) -> Ports:
    """Number port groups from 0 in the order given."""
    ports: list[tuple[str, int, int]] = []
    first = 0
    for bundle, count in counts.items():
        ports.append((bundle, first, count))
        first += count
    return tuple(ports)


@dataclass(frozen=True, slots=True)
class SwitchMap:
    """Where a tile kind's stream switch lies (byte offsets in the tile), and its ports.

    Master n is at `master_base` + 4 n, slave n at `slave_base` + 4 n, and that slave's packet slot
    s at `slot_base` + 0x10 n + 4 s.
    """

    kind: TileKind
    master_base: int
    slave_base: int
    slot_base: int
    masters: Ports
    slaves: Ports
    port_stride: int = 4
    slot_port_stride: int = 0x10
    slots: int = 4
    """Packet slots of each slave."""


SHIM_SWITCH = SwitchMap(
    TileKind.SHIM,
    0x3F000,
    0x3F100,
    0x3F200,
    masters=_ports(ctrl=1, fifo=1, south=6, west=4, north=6, east=4),
    slaves=_ports(ctrl=1, fifo=1, south=8, west=4, north=4, east=4, trace=1),
)
"""The shim's switch; its south ports lead to the DMA, the NoC and the controller."""

MEMTILE_SWITCH = SwitchMap(
    TileKind.MEMTILE,
    0xB0000,
    0xB0100,
    0xB0200,
    masters=_ports(dma=6, ctrl=1, south=4, north=6),
    slaves=_ports(dma=6, ctrl=1, south=6, north=4, trace=1),
)
"""The memtile's switch; it has no east and west ports."""

CORE_SWITCH = SwitchMap(
    TileKind.CORE,
    0x3F000,
    0x3F100,
    0x3F200,
    masters=_ports(core=1, dma=2, ctrl=1, fifo=1, south=4, west=4, north=6, east=4),
    slaves=_ports(core=1, dma=2, ctrl=1, fifo=1, south=6, west=4, north=4, east=4, trace=2),
)
"""The core tile's switch."""

SWITCHES: dict[TileKind, SwitchMap] = {
    switch.kind: switch for switch in (SHIM_SWITCH, MEMTILE_SWITCH, CORE_SWITCH)
}
"""Stream switches by tile kind."""

SHIM_MUX_ADDRESS = 0x1F000
"""Offset of the register that selects what feeds the shim switch's south slaves."""
SHIM_DEMUX_ADDRESS = 0x1F004
"""Offset of the register that selects what the shim switch's south masters feed."""

SHIM_MUX = Layout(
    "shim mux",
    1,
    (
        Field("south7", 0, 15, 14),
        Field("south6", 0, 13, 12),
        Field("south3", 0, 11, 10),
        Field("south2", 0, 9, 8),
    ),
    "NOC_MODULE_MUX_CONFIG",
)
"""Value 1 joins the port to the DMA: MM2S 0 to south 3, MM2S 1 to south 7."""

SHIM_DEMUX = Layout(
    "shim demux",
    1,
    (
        Field("south5", 0, 11, 10),
        Field("south4", 0, 9, 8),
        Field("south3", 0, 7, 6),
        Field("south2", 0, 5, 4),
    ),
    "NOC_MODULE_DEMUX_CONFIG",
)
"""Value 1 joins the port to the DMA: south 2 to S2MM 0, south 3 to S2MM 1."""

LOCK_VALUE = Layout("lock", 1, (Field("value", 0, 5, 0),), "LOCK0_VALUE")
"""A lock's counter."""


LOCK_REQUEST = Layout(
    "lock request",
    1,
    (
        Field("lock", 0, 15, 10),
        Field("acquire", 0, 9, 9),
        Field("value", 0, 8, 2, signed=True),
    ),
    "LOCK_REQUEST",
)
"""Offset in a tile's request window: what a read does; bit 0 of the answer says whether it did."""


@dataclass(frozen=True, slots=True)
class LockMap:
    """Where a tile kind's lock values lie: byte offset of lock 0 in the tile, stride, count.

    A read in the window at `request` acquires or releases: `LOCK_REQUEST` says which lock, by what.
    """

    base: int
    stride: int
    count: int
    request: int


SHIM_LOCKS = LockMap(0x14000, 0x10, 16, 0x40000)
"""The shim's locks."""
MEMTILE_LOCKS = LockMap(0xC0000, 0x10, 64, 0xD0000)
"""The memtile's own locks; its BDs count them from `aie2.tiles.MEMTILE_OWN_LOCK`."""
CORE_LOCKS = LockMap(0x1F000, 0x10, 16, 0x40000)
"""The core tile's locks."""

LOCKS: dict[TileKind, LockMap] = {
    TileKind.SHIM: SHIM_LOCKS,
    TileKind.MEMTILE: MEMTILE_LOCKS,
    TileKind.CORE: CORE_LOCKS,
}
"""Locks by tile kind."""

SWITCH_FIFO_WORDS = 8
"""Words that a stream switch holds between a slave and a master port (AM020, chapter 2)."""
INGRESS_FIFO_WORDS = 16
"""Words that a DMA's receiving side holds before memory (xdna-emu 2026-07, measured on Phoenix)."""
