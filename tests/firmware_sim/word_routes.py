# SPDX-License-Identifier: Apache-2.0
"""Where stream words go, for the word-by-word model: the switches' registers followed by hand.

Written from the register tables (AM020 chapter 2, aie-rt), not from the simulator.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from aie2.registers import (
    DMA,
    SHIM_DEMUX,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX,
    SHIM_MUX_ADDRESS,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Direction,
)
from aie2.switch_registers import INGRESS_FIFO_WORDS, SWITCH_FIFO_WORDS, Ports
from aie2.tiles import ROWS, TileKind, address, kind

Tile = tuple[int, int]
Place = tuple[Tile, str, int]
"""An endpoint: tile, "S2MM", "MM2S", "in" or "out" (of the control port), and channel."""
Arbiters = tuple[tuple[Tile, int], ...]
Peek = Callable[[int], int]
"""Value of a register by its address."""

CONTROLLER = ((-1, -1), "controller", 0)
LOST = "lost at"
"""Begins the way of a place that is no sink: words pile up there."""
MOST_WORDS = 128
"""Words that a stream is taken to hold at most before one sink."""
ACROSS = {"north": ("south", 0, 1), "south": ("north", 0, -1), "east": ("west", 1, 0)}
ACROSS |= {"west": ("east", -1, 0), "fifo": ("fifo", 0, 0)}


class End(NamedTuple):
    """Where a word comes out."""

    sink: Place
    """A place that is in no tile: the words pile up there."""
    drops: bool
    """Whether a packet's header is taken off on the way."""
    arbiters: Arbiters
    switches: int
    unruled: bool = False
    """The packet came to a switch that has no rule for its id."""


class Routes:
    """All switches of a partition as they stand."""

    def __init__(self, peek: Peek, columns: int) -> None:
        self._peek = peek
        self._columns = columns
        self._masters: dict[Tile, list[tuple[str, int, dict[str, int]]]] = {}
        self.capacity: dict[Place, int] = {}
        """Words that the stream holds before each sink that some route ends at."""
        self.keeps_header: set[Place] = set()
        self.by_packet: dict[Place, bool] = {}
        """Sources that have a way into the stream, and whether packets choose it."""
        self._ends: dict[tuple[Place, int], tuple[End, ...]] = {}
        for source in self._sources():
            self._survey(source)

    def ends(self, source: Place, packet_id: int) -> tuple[End, ...]:
        """Everywhere that a source's words come out; the id matters if it sends packets."""
        return self._ends.get((source, packet_id if self.by_packet.get(source) else 0), ())

    def _survey(self, source: Place) -> None:
        start = self._entry(source)
        if start is None or not self._slave(*start)["enable"]:
            return
        packets = self._meets_packets(start, set())
        self.by_packet[source] = packets
        for packet_id in range(32) if packets else (0,):
            ends = tuple(self._follow(start, packet_id, False, (), 0))
            self._ends[source, packet_id] = ends
            for end in ends:
                ingress = 0 if end.sink[1].startswith(LOST) else INGRESS_FIFO_WORDS
                held = ingress + SWITCH_FIFO_WORDS * end.switches
                self.capacity[end.sink] = min(held, self.capacity.get(end.sink, MOST_WORDS))
                if packets and not end.drops:
                    self.keeps_header.add(end.sink)

    def _sources(self) -> list[Place]:
        tiles = [(column, row) for column in range(self._columns) for row in ROWS]
        found: list[Place] = [(tile, "out", 0) for tile in tiles]
        for tile in tiles:
            count = DMA[kind(tile[1])].channels(Direction.MM2S)
            found += [(tile, "MM2S", channel) for channel in range(count)]
        return found

    def _entry(self, source: Place) -> Place | None:
        """Slave port at which a source's words enter its switch."""
        tile, way, channel = source
        if way == "out":
            return tile, "ctrl", 0
        if kind(tile[1]) is not TileKind.SHIM:
            return tile, "dma", channel
        south = (3, 7)[channel]
        mux = SHIM_MUX.field(f"south{south}").take(self._peek(address(*tile, SHIM_MUX_ADDRESS)))
        return (tile, "south", south) if mux == 1 else None

    def _number(self, ports: Ports, bundle: str, number: int) -> int:
        """Index of a port in its switch; -1: it has no such port."""
        places = (first + number for name, first, n in ports if name == bundle and number < n)
        return next(places, -1)

    def _slave(self, tile: Tile, bundle: str, number: int) -> dict[str, int]:
        switch = SWITCHES[kind(tile[1])]
        place = self._number(switch.slaves, bundle, number)
        if place < 0:
            return {"enable": 0, "packet_enable": 0}
        return SWITCH_SLAVE.decode([self._peek(address(*tile, switch.slave_base + 4 * place))])

    def _rule(self, tile: Tile, bundle: str, number: int, packet_id: int) -> dict[str, int] | None:
        switch = SWITCHES[kind(tile[1])]
        first = switch.slot_base + 0x10 * self._number(switch.slaves, bundle, number)
        for slot in range(switch.slots):
            rule = SWITCH_SLOT.decode([self._peek(address(*tile, first + 4 * slot))])
            if rule["enable"] and not (rule["id"] ^ packet_id) & rule["mask"]:
                return rule
        return None

    def masters(self, tile: Tile) -> list[tuple[str, int, dict[str, int]]]:
        """Enabled outputs of a tile's switch: bundle, number, fields."""
        if tile not in self._masters:
            switch = SWITCHES[kind(tile[1])]
            base = address(*tile, switch.master_base)
            self._masters[tile] = [
                (bundle, number, SWITCH_MASTER.decode([word]))
                for bundle, first, count in switch.masters
                for number in range(count)
                for word in [self._peek(base + 4 * (first + number))]
                if word >> 31
            ]
        return self._masters[tile]

    def _meets_packets(self, port: Place, seen: set[Place]) -> bool:
        """Whether some switch on any way from here on looks at packet headers."""
        if port in seen:
            return False
        seen.add(port)
        slave = self._slave(*port)
        if not slave["enable"] or slave["packet_enable"]:
            return bool(slave["enable"])
        nexts = [self._across(port[0], *exit_[:2]) for exit_ in self._circuit_exits(port)]
        return any(self._meets_packets(each, seen) for each in nexts if each is not None)

    def _circuit_exits(self, port: Place) -> list[tuple[str, int, bool]]:
        number = self._number(SWITCHES[kind(port[0][1])].slaves, *port[1:])
        return [
            (bundle, each, False)
            for bundle, each, fields in self.masters(port[0])
            if not fields["packet_enable"] and fields["config"] & 0x1F == number
        ]

    def _follow(
        self, port: Place, packet_id: int, dropped: bool, arbiters: Arbiters, switches: int
    ) -> list[End]:
        """Ends of what comes in at a slave port, with what it has met on its way."""
        tile, bundle, number = port
        slave, switches = self._slave(*port), switches + 1
        here = (tile, f"{LOST} {bundle}", number)
        if not slave["enable"]:
            return [End(here, dropped, arbiters, switches)]
        exits = self._circuit_exits(port)
        if slave["packet_enable"]:
            rule = None if dropped else self._rule(*port, packet_id)
            if rule is None:
                return [End(here, dropped, arbiters, switches, True)]
            arbiters = (*arbiters, (tile, rule["arbiter"]))
            exits = [
                (name, each, bool(fields["drop_header"]))
                for name, each, fields in self.masters(tile)
                if fields["packet_enable"]
                and fields["config"] & 7 == rule["arbiter"]
                and fields["config"] >> 3 >> rule["msel"] & 1
            ]
        found = [] if exits else [End(here, dropped, arbiters, switches)]
        for name, each, drops in exits:
            sink = self._sink(tile, name, each)
            across = self._across(tile, name, each)
            if sink is not None or across is None:
                place = sink or (tile, f"{LOST} {name}", each)
                found.append(End(place, dropped or drops, arbiters, switches))
            else:
                found += self._follow(across, packet_id, dropped or drops, arbiters, switches)
        return found

    def _across(self, tile: Tile, bundle: str, number: int) -> Place | None:
        if bundle not in ACROSS:
            return None
        entry, right, up = ACROSS[bundle]
        column, row = tile[0] + right, tile[1] + up
        inside = 0 <= column < self._columns and row in ROWS
        return ((column, row), entry, number) if inside else None

    def _sink(self, tile: Tile, bundle: str, number: int) -> Place | None:
        if bundle in ("dma", "ctrl"):
            return (tile, "S2MM", number) if bundle == "dma" else (tile, "in", 0)
        if kind(tile[1]) is not TileKind.SHIM or bundle != "south":
            return None
        if number == 0:
            return CONTROLLER
        if number not in (2, 3):
            return None
        field = SHIM_DEMUX.field(f"south{number}")
        word = self._peek(address(*tile, SHIM_DEMUX_ADDRESS))
        return (tile, "S2MM", number - 2) if field.take(word) == 1 else None
