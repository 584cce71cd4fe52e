# SPDX-License-Identifier: Apache-2.0
"""Stream switches as their registers have them: what leads where, by circuit and by packet.

`Fabric.ends` follows a stream from where it enters to everywhere it comes out. Facts: port tables
and register fields in `aie2.registers`.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.registers import (
    SHIM_DEMUX,
    SHIM_MUX,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Direction,
    SwitchMap,
)
from aie2.tiles import TileKind, kind
from firmware_sim.array.bits import bits
from firmware_sim.array.state import (
    ARBITERS,
    CONTROL_IN,
    CONTROL_OUT,
    PACKET_IDS,
    ROWS,
    channel_id,
    tile_index,
    tile_name,
)
from firmware_sim.errors import ConfigurationError

SHIM_FEEDS = {0: ("south3", 3), 1: ("south7", 7)}
"""Shim MM2S channel -> its field of the mux, and the south slave port that it feeds."""
SHIM_DRAINS = {2: ("south2", 0), 3: ("south3", 1)}
"""South master port of the shim -> its field of the demux, and the S2MM channel behind it."""
FROM_DMA = 1
"""Value of a mux or demux field that joins the port to the DMA."""
CONTROLLER_PORT = 0
"""South master port of a shim behind which the controller listens for tokens."""
OPPOSITE = {
    "north": ("south", 0, 1),
    "south": ("north", 0, -1),
    "east": ("west", 1, 0),
    "west": ("east", -1, 0),
    "fifo": ("fifo", 0, 0),
}
"""Bundle that a master port leads to, and where that tile lies."""
MOST_ENDS = 256
"""Places that a stream can come out in; more than a partition has ports that could take it."""
SLAVE_MASK = 0x1F
"""Bits of a circuit master's configuration that name the slave port."""
MASTER_ENABLE, MASTER_CONFIG = bits(SWITCH_MASTER, "enable"), bits(SWITCH_MASTER, "config")
MASTER_BY_PACKET = bits(SWITCH_MASTER, "packet_enable")
MASTER_DROPS = bits(SWITCH_MASTER, "drop_header")
SLAVE_ENABLE, SLAVE_BY_PACKET = bits(SWITCH_SLAVE, "enable"), bits(SWITCH_SLAVE, "packet_enable")
SLOT_ENABLE = bits(SWITCH_SLOT, "enable")
SLOT_FIELDS = tuple(bits(SWITCH_SLOT, name) for name in ("id", "mask", "msel", "arbiter"))
CONTROLLER = -2
"""Endpoint of a stream that ends at the controller."""
NOTHING = -3
"""Endpoint of a stream that ends where nothing takes its words."""
UNRULED = -4
"""Endpoint of a packet at a switch that has no rule for its id."""


class Port(NamedTuple):
    """A stream-switch port of a tile, as (bundle, number within it)."""

    column: int
    row: int
    bundle: str
    number: int

    def __str__(self) -> str:
        return f"{tile_name(self.column, self.row)} {self.bundle} {self.number}"


class Slot(NamedTuple):
    """A packet rule of a slave port."""

    id: int
    mask: int
    msel: int
    arbiter: int

    def takes(self, packet_id: int) -> bool:
        """Whether packets with this id obey the rule."""
        return packet_id & self.mask == self.id & self.mask


class Master(NamedTuple):
    """An enabled output: by circuit it has a slave port, by packet an arbiter and its msels."""

    port: Port
    by_packet: bool
    slave: int
    arbiter: int
    msels: int
    drops_header: bool


class End(NamedTuple):
    """Where a stream comes out."""

    endpoint: int
    """A sink's number, `CONTROLLER` or `NOTHING`."""
    why: str
    """What a stream that ends in nothing is missing."""
    drops_header: bool
    arbiters: tuple[int, ...]
    ports: tuple[Port, ...]
    """Slave and master port of every switch on the way."""

    @property
    def switches(self) -> int:
        """Stream switches on the way, the last one counted even if nothing leaves it."""
        return (len(self.ports) + 1) // 2


class Fabric:
    """The stream switches of a partition."""

    def __init__(self, switch: NDArray[np.uint32], mux: NDArray[np.uint32], columns: int) -> None:
        self.columns = columns
        self._switch = switch
        self._mux = mux
        self._masters: dict[tuple[int, int], list[Master]] = {}

    def _map(self, row: int) -> SwitchMap:
        return SWITCHES[kind(row)]

    def _word(self, column: int, row: int, offset: int) -> int:
        place = (offset - self._map(row).master_base) // 4
        return int(self._switch[tile_index(column, row), place])

    def masters(self, column: int, row: int) -> list[Master]:
        """Enabled outputs of a tile's switch."""
        if (column, row) not in self._masters:
            self._masters[column, row] = list(self._read_masters(column, row))
        return self._masters[column, row]

    def _read_masters(self, column: int, row: int) -> Iterator[Master]:
        switch = self._map(row)
        for bundle, first, count in switch.masters:
            for number in range(count):
                offset = switch.master_base + switch.port_stride * (first + number)
                word = self._word(column, row, offset)
                if MASTER_ENABLE.of(word):
                    config = MASTER_CONFIG.of(word)
                    yield Master(
                        Port(column, row, bundle, number),
                        MASTER_BY_PACKET.of(word) != 0,
                        config & SLAVE_MASK,
                        config & (ARBITERS - 1),
                        config >> 3,
                        MASTER_DROPS.of(word) != 0,
                    )

    def slave_mode(self, column: int, row: int, index: int) -> tuple[bool, bool]:
        """(enabled, by packet) of a slave port, by its index in the switch."""
        switch = self._map(row)
        word = self._word(column, row, switch.slave_base + switch.port_stride * index)
        return SLAVE_ENABLE.of(word) != 0, SLAVE_BY_PACKET.of(word) != 0

    def slots(self, column: int, row: int, index: int) -> list[Slot]:
        """Packet rules of a slave port, in the order in which they are tried."""
        switch = self._map(row)
        found: list[Slot] = []
        for slot in range(switch.slots):
            offset = switch.slot_base + switch.slot_port_stride * index + 4 * slot
            word = self._word(column, row, offset)
            if SLOT_ENABLE.of(word):
                found.append(Slot(*(field.of(word) for field in SLOT_FIELDS)))
        return found

    def slave_index(self, port: Port) -> int | None:
        """Index of a slave port in its switch; None: the switch has no such port."""
        for name, first, count in self._map(port.row).slaves:
            if name == port.bundle and port.number < count:
                return first + port.number
        return None

    def sources(self) -> Iterator[tuple[int, Port]]:
        """Every endpoint that can send, with the slave port at which its words enter."""
        for column in range(self.columns):
            for row in range(ROWS):
                for channel, port in self._senders(column, row):
                    yield channel_id(column, row, Direction.MM2S, channel), port
                yield CONTROL_OUT + tile_index(column, row), Port(column, row, "ctrl", 0)

    def _senders(self, column: int, row: int) -> Iterator[tuple[int, Port]]:
        if kind(row) is TileKind.SHIM:
            mux = SHIM_MUX.decode([int(self._mux[tile_index(column, row), 0])])
            for channel, (field, port) in SHIM_FEEDS.items():
                if mux[field] == FROM_DMA:
                    yield channel, Port(column, row, "south", port)
            return
        for bundle, _, count in self._map(row).slaves:
            if bundle == "dma":
                for channel in range(count):
                    yield channel, Port(column, row, bundle, channel)

    def unmodelled_sources(self) -> Iterator[Port]:
        """Slave ports at which words enter that nothing here sends: of cores and trace units."""
        for column in range(self.columns):
            for row in range(ROWS):
                for bundle, _, count in self._map(row).slaves:
                    if bundle in ("core", "trace"):
                        for number in range(count):
                            yield Port(column, row, bundle, number)

    def packet_ids(self, start: Port) -> tuple[int, ...] | None:
        """Packet ids that a stream from `start` can carry to somewhere; None: it is by circuit."""
        ids: set[int] = set()
        by_packet = False
        seen: set[Port] = set()
        waiting = [start]
        while waiting:
            port = waiting.pop()
            index = self.slave_index(port)
            if port in seen or index is None:
                continue
            seen.add(port)
            enabled, packet = self.slave_mode(port.column, port.row, index)
            if not enabled:
                continue
            by_packet |= packet
            if packet:
                slots = self.slots(port.column, port.row, index)
                ids |= {n for n in range(PACKET_IDS) if any(slot.takes(n) for slot in slots)}
            for master in self.masters(port.column, port.row):
                if master.by_packet if packet else master.slave == index and not master.by_packet:
                    following = self._neighbour(master.port)
                    if following is not None:
                        waiting.append(following)
        return tuple(sorted(ids)) if by_packet else None

    def ends(self, start: Port, packet_id: int) -> list[End]:
        """Everywhere that a stream comes out which enters at the slave port `start`."""
        found = list(islice(self._follow(start, packet_id, False, (), ()), MOST_ENDS + 1))
        if len(found) > MOST_ENDS:
            raise ConfigurationError(
                f"the stream from {start} comes out in more than {MOST_ENDS} places: its switches "
                "send it round and round"
            )
        return found

    def _follow(
        self,
        port: Port,
        packet_id: int,
        dropped: bool,
        arbiters: tuple[int, ...],
        ports: tuple[Port, ...],
    ) -> Iterator[End]:
        index = self.slave_index(port)
        if port in ports[::2]:
            yield End(NOTHING, f"goes round in a circle at {port}", dropped, arbiters, ports)
            return
        ports = (*ports, port)
        enabled, by_packet = (False, False)
        if index is not None:
            enabled, by_packet = self.slave_mode(port.column, port.row, index)
        if index is None or not enabled:
            yield End(NOTHING, f"{port} takes nothing in", dropped, arbiters, ports)
            return
        masters = [
            master
            for master in self.masters(port.column, port.row)
            if not master.by_packet and not by_packet and master.slave == index
        ]
        if by_packet:
            slot = next(
                (s for s in self.slots(port.column, port.row, index) if s.takes(packet_id)), None
            )
            if slot is None or dropped:
                why = f"{port} has no rule for packet id {packet_id}"
                yield End(UNRULED, why, dropped, arbiters, ports)
                return
            masters = [
                master
                for master in self.masters(port.column, port.row)
                if master.by_packet
                and master.arbiter == slot.arbiter
                and master.msels >> slot.msel & 1
            ]
            arbiters = (
                *arbiters,
                tile_index(port.column, port.row) * ARBITERS + slot.arbiter,
            )
        if not masters:
            yield End(NOTHING, f"{port} leads to no output", dropped, arbiters, ports)
        for master in masters:
            yield from self._leave(master, packet_id, dropped, arbiters, ports)

    def _leave(
        self,
        master: Master,
        packet_id: int,
        dropped: bool,
        arbiters: tuple[int, ...],
        ports: tuple[Port, ...],
    ) -> Iterator[End]:
        dropped = dropped or (master.by_packet and master.drops_header)
        ports = (*ports, master.port)
        sink = self._sink(master.port)
        if sink is not None:
            yield End(sink, "", dropped, arbiters, ports)
            return
        following = self._neighbour(master.port)
        if following is None:
            why = f"{master.port} leads to nothing that takes words"
            yield End(NOTHING, why, dropped, arbiters, ports)
            return
        yield from self._follow(following, packet_id, dropped, arbiters, ports)

    def _neighbour(self, master: Port) -> Port | None:
        if master.bundle not in OPPOSITE:
            return None
        bundle, right, up = OPPOSITE[master.bundle]
        port = Port(master.column + right, master.row + up, bundle, master.number)
        inside = 0 <= port.column < self.columns and 0 <= port.row < ROWS
        return port if inside else None

    def _sink(self, master: Port) -> int | None:
        if master.bundle == "dma":
            return channel_id(master.column, master.row, Direction.S2MM, master.number)
        if master.bundle == "ctrl":
            return CONTROL_IN + tile_index(master.column, master.row)
        if kind(master.row) is TileKind.SHIM and master.bundle == "south":
            if master.number == CONTROLLER_PORT:
                return CONTROLLER
            if master.number in SHIM_DRAINS:
                field, channel = SHIM_DRAINS[master.number]
                word = int(self._mux[tile_index(master.column, master.row), 1])
                if SHIM_DEMUX.decode([word])[field] == FROM_DMA:
                    return channel_id(master.column, master.row, Direction.S2MM, channel)
        return None
