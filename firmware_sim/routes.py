# SPDX-License-Identifier: Apache-2.0
"""Follow circuit routes through the stream switches, from the registers alone.

Says which MM2S channel feeds which S2MM channel, and with which packet ids a tile's tokens reach
the controller. Facts: port tables and register fields in `aie2.registers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aie2.registers import (
    MEMTILE_SWITCH,
    SHIM_DEMUX,
    SHIM_MUX,
    SHIM_SWITCH,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    Direction,
    Layout,
    SwitchMap,
)
from firmware_sim.errors import ConfigurationError
from firmware_sim.state import ROWS_MODELLED, Machine, channel_id, channel_name, tile_index

SHIM_FEEDS = {0: ("south3", 3), 1: ("south7", 7)}
"""Shim MM2S channel -> its field of the mux, and the south slave port that it feeds."""
SHIM_DRAINS = {2: ("south2", 0), 3: ("south3", 1)}
"""South master port of the shim -> its field of the demux, and the S2MM channel behind it."""
FROM_DMA = 1
"""Value of a mux or demux field that joins the port to the DMA."""
OPPOSITE = {
    "north": ("south", 0, 1),
    "south": ("north", 0, -1),
    "east": ("west", 1, 0),
    "west": ("east", -1, 0),
}
"""Bundle that a master port leads to in the neighbour, and where that neighbour lies."""
CONTROL = "ctrl"
TOKEN_IDS = SWITCH_SLOT.field("id").max + 1
"""Packet ids that a token can carry."""
ALL_TOKEN_IDS = (1 << TOKEN_IDS) - 1
SLAVE_MASK = 0x1F
"""Bits of a circuit master's configuration that name the slave port."""


class Port(NamedTuple):
    """A stream-switch port of a tile, as (bundle, number within it)."""

    column: int
    row: int
    bundle: str
    number: int


class Switches:
    """Stream-switch registers of a loaded machine, read port by port."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.columns = machine.memory.shape[0]

    def _map(self, row: int) -> SwitchMap:
        return SHIM_SWITCH if row == 0 else MEMTILE_SWITCH

    def _register(self, column: int, row: int, offset: int, layout: Layout) -> dict[str, int]:
        base = self._map(row).master_base
        word = self.machine.switch[tile_index(column, row), (offset - base) // 4]
        return layout.decode([int(word)])

    def _index(
        self, ports: tuple[tuple[str, int, int], ...], bundle: str, number: int
    ) -> int | None:
        for name, first, count in ports:
            if name == bundle and number < count:
                return first + number
        return None

    def _port(self, ports: tuple[tuple[str, int, int], ...], index: int) -> tuple[str, int]:
        for name, first, count in ports:
            if first <= index < first + count:
                return name, index - first
        raise ConfigurationError(f"stream-switch port {index} does not exist in this tile")

    def slave_enabled(self, port: Port) -> bool:
        """Whether a slave port takes part in circuit routing."""
        index = self._index(self._map(port.row).slaves, port.bundle, port.number)
        if index is None:
            return False
        offset = self._map(port.row).slave_base + 4 * index
        fields = self._register(port.column, port.row, offset, SWITCH_SLAVE)
        return bool(fields["enable"]) and not fields["packet_enable"]

    def masters_of(self, port: Port) -> Iterator[Port]:
        """Master ports of the same tile that a slave port drives by circuit."""
        switch = self._map(port.row)
        slave = self._index(switch.slaves, port.bundle, port.number)
        for bundle, first, count in switch.masters:
            for number in range(count):
                offset = switch.master_base + 4 * (first + number)
                fields = self._register(port.column, port.row, offset, SWITCH_MASTER)
                if (
                    fields["enable"]
                    and not fields["packet_enable"]
                    and fields["config"] & SLAVE_MASK == slave
                ):
                    yield Port(port.column, port.row, bundle, number)

    def token_ids(self, column: int) -> int:
        """Bit mask of packet ids with which a shim tile's control port reaches its south port 0."""
        slave = self._index(SHIM_SWITCH.slaves, CONTROL, 0)
        master = self._index(SHIM_SWITCH.masters, "south", 0)
        if slave is None or master is None:
            return 0
        out = self._register(column, 0, SHIM_SWITCH.master_base + 4 * master, SWITCH_MASTER)
        into = self._register(column, 0, SHIM_SWITCH.slave_base + 4 * slave, SWITCH_SLAVE)
        if not (out["enable"] and into["enable"]) or out["packet_enable"] != into["packet_enable"]:
            return 0
        if not out["packet_enable"]:
            return ALL_TOKEN_IDS if out["config"] & SLAVE_MASK == slave else 0
        arbiter, msels = out["config"] & 0x7, out["config"] >> 3 & 0xF
        reached = 0
        for slot in range(SHIM_SWITCH.slots):
            offset = SHIM_SWITCH.slot_base + SHIM_SWITCH.slot_port_stride * slave + 4 * slot
            rule = self._register(column, 0, offset, SWITCH_SLOT)
            if rule["enable"] and rule["arbiter"] == arbiter and msels >> rule["msel"] & 1:
                for packet in range(TOKEN_IDS):
                    if packet & rule["mask"] == rule["id"] & rule["mask"]:
                        reached |= 1 << packet
        return reached


def connect(machine: Machine) -> list[tuple[int, int]]:
    """(sending channel, receiving channel) of every circuit route, in order of the sender.

    Raises:
        ConfigurationError: a route that fans out, goes round in a circle or ends nowhere.
    """
    switches = Switches(machine)
    pairs: list[tuple[int, int]] = []
    for column in range(switches.columns):
        for row in range(ROWS_MODELLED):
            for channel, start in _senders(machine, column, row):
                if switches.slave_enabled(start):
                    sender = channel_id(column, row, Direction.MM2S, channel)
                    pairs.append((sender, _follow(switches, machine, start, sender)))
    receivers = [receiver for _, receiver in pairs]
    for receiver in receivers:
        if receivers.count(receiver) > 1:
            raise ConfigurationError(f"two routes end at {channel_name(receiver)}; only one can")
    return pairs


def _senders(machine: Machine, column: int, row: int) -> Iterator[tuple[int, Port]]:
    if row == 0:
        mux = SHIM_MUX.decode([int(machine.mux[tile_index(column, 0), 0])])
        for channel, (field, port) in SHIM_FEEDS.items():
            if mux[field] == FROM_DMA:
                yield channel, Port(column, 0, "south", port)
        return
    for bundle, _, count in MEMTILE_SWITCH.slaves:
        if bundle == "dma":
            for channel in range(count):
                yield channel, Port(column, row, "dma", channel)


def _follow(switches: Switches, machine: Machine, start: Port, sender: int) -> int:
    port, seen = start, set()
    while port not in seen:
        seen.add(port)
        masters = list(switches.masters_of(port))
        if len(masters) > 1:
            raise ConfigurationError(
                f"the route of {channel_name(sender)} fans out to {len(masters)} ports; broadcasts "
                "are not modelled yet"
            )
        if not masters:
            raise ConfigurationError(
                f"the route of {channel_name(sender)} ends at an unconnected port of tile "
                f"({port.column},{port.row})"
            )
        end = _receiver(machine, masters[0])
        if end is not None:
            return end
        port = _neighbour(switches, masters[0], sender)
    raise ConfigurationError(f"the route of {channel_name(sender)} goes round in a circle")


def _receiver(machine: Machine, master: Port) -> int | None:
    if master.bundle == "dma":
        return channel_id(master.column, master.row, Direction.S2MM, master.number)
    if master.row == 0 and master.bundle == "south" and master.number in SHIM_DRAINS:
        field, channel = SHIM_DRAINS[master.number]
        demux = SHIM_DEMUX.decode([int(machine.mux[tile_index(master.column, 0), 1])])
        if demux[field] == FROM_DMA:
            return channel_id(master.column, 0, Direction.S2MM, channel)
    return None


def _neighbour(switches: Switches, master: Port, sender: int) -> Port:
    if master.bundle in OPPOSITE:
        bundle, right, up = OPPOSITE[master.bundle]
        port = Port(master.column + right, master.row + up, bundle, master.number)
        inside = 0 <= port.column < switches.columns and 0 <= port.row < ROWS_MODELLED
        if inside and switches.slave_enabled(port):
            return port
    raise ConfigurationError(
        f"the route of {channel_name(sender)} leaves tile ({master.column},{master.row}) at "
        f"{master.bundle} {master.number} and ends nowhere that is modelled"
    )
