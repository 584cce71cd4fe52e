# SPDX-License-Identifier: Apache-2.0
"""Ways through the stream switches of a made-up design, and the registers that make them.

A port is (tile, bundle, number); a shim's DMA channel is a "dma" port like any other tile's, and
leads through the shim's mux or demux. Which ports a switch can join: mlir-aie
lib/Dialect/AIE/IR/AIETargetModel.cpp, isLegalTileConnection.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial

from aie2.registers import (
    SHIM_DEMUX,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX,
    SHIM_MUX_ADDRESS,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Layout,
)
from aie2.switch_registers import Ports
from aie2.tiles import ROWS, TileKind, address, kind

Tile = tuple[int, int]
"""(column, row)."""
Port = tuple[Tile, str, int]
"""(tile, bundle, number) of a stream-switch port."""
Write = tuple[int, int, int]
"""(address, value, mask) of a register write."""

ALL = 0xFFFFFFFF
ANY_ID = 0x1F
"""Mask of a packet rule that compares every bit of the id."""
ARBITERS, MSELS, SLOTS = 8, 4, 4
OPPOSITE = {
    "north": ("south", 0, 1),
    "south": ("north", 0, -1),
    "east": ("west", 1, 0),
    "west": ("east", -1, 0),
}
"""Bundle on the other side of a tile's border, and where that tile lies."""
SHIM_SENDS, SHIM_TAKES = (3, 7), (2, 3)
"""South slave and master ports of the shim's switch, by DMA channel."""
JOINED = 1
"""Value of a mux or demux field that joins a port to the DMA."""


class RouteError(ValueError):
    """The switches have no way, no slot or no arbiter left for a route."""


def dma(tile: Tile, channel: int) -> Port:
    """Where a DMA channel meets the stream; whether it sends or takes is the route's to say."""
    return tile, "dma", channel


def control(tile: Tile) -> Port:
    """A tile's control port."""
    return tile, "ctrl", 0


def controller(column: int) -> Port:
    """Where a column's tokens leave the array."""
    return (column, 0), "south", 0


def index(ports: Ports, bundle: str, number: int) -> int:
    """Index of a port in its switch; ValueError: it has no such port."""
    for name, first, count in ports:
        if name == bundle and 0 <= number < count:
            return first + number
    raise ValueError(f"no port {bundle} {number}")


def can_join(row: int, slave: tuple[str, int], master: tuple[str, int]) -> bool:
    """Whether a switch of this row can lead from a slave to a master port."""
    (source, n), (target, m) = slave, master
    if kind(row) is TileKind.MEMTILE:
        if source in ("north", "south"):
            return target in ("dma", "ctrl") or n == m
        return target in ("north", "south") or (source, target) == ("dma", "ctrl")
    if source == "ctrl":
        return target not in ("ctrl", "dma")
    return source != target or n == m or (kind(row) is TileKind.SHIM and source == "south")


class Router:
    """The stream switches of a partition, one route after the other."""

    def __init__(self, columns: int) -> None:
        self.columns = columns
        self.circuits: dict[Port, Port] = {}
        """Slave port by the master port that it feeds."""
        self.owners: dict[Port, Port] = {}
        """By slave port: where the circuit that comes in there begins."""
        self.rules: dict[tuple[Port, int], set[Port]] = defaultdict(set)
        """Master ports by slave port and packet id."""
        self.drops: dict[Port, bool] = {}
        """By packet master port: whether it takes the header off."""
        self.lanes: dict[Port, int] = {}
        """By packet master port: the lane of the routes that use it."""
        self.joined: list[Write] = []
        """Shim muxes and demuxes."""

    def circuit(self, source: Port, *sinks: Port) -> None:
        """Lead a source's words to one or more sinks."""
        start = self._entry(source)
        self.owners[start] = start
        for sink in sinks:
            mine = [port for port, owner in self.owners.items() if owner == start]
            for slave, master in self._way(mine, self._exit(sink), self._circuit_can_use):
                self.circuits[master] = slave
                self.owners[slave] = start

    def packets(
        self,
        ids: int | Iterable[int],
        source: Port,
        *sinks: Port,
        keep: bool = False,
        lane: int = 0,
    ) -> None:
        """Lead a source's packets of some ids to one or more sinks; `keep`: with their header.

        Routes of different lanes share no master port, hence no arbiter.
        """
        start = self._entry(source)
        wanted = [ids] if isinstance(ids, int) else list(ids)
        if not self._slots_for(start, wanted):
            raise RouteError(f"{start} has no slot for another packet id")
        reached = [start]
        for sink in sinks:
            end = self._exit(sink)
            usable = partial(self._packets_can_use, wanted, lane)
            for slave, master in self._way(reached, end, usable):
                self.lanes[master] = lane
                for packet_id in wanted:
                    self.rules[slave, packet_id].add(master)
                self.drops.setdefault(master, False)
                across = self._across(master)
                if master != end and across is not None:
                    reached.append(across)
            self.drops[end] = not keep

    def writes(self) -> Iterator[Write]:
        """Register writes that make all of these routes."""
        yield from self.joined
        for master, slave in self.circuits.items():
            place = index(SWITCHES[kind(slave[0][1])].slaves, *slave[1:])
            yield master_write(master, enable=1, config=place)
            yield slave_write(slave, enable=1)
        rules: dict[Tile, dict[tuple[Port, int], frozenset[Port]]] = defaultdict(dict)
        for (slave, packet_id), masters in self.rules.items():
            rules[slave[0]][slave, packet_id] = frozenset(masters)
        for each in rules.values():
            yield from self._packet_writes(each)

    def _packet_writes(self, rules: dict[tuple[Port, int], frozenset[Port]]) -> Iterator[Write]:
        chosen = share_out(list(dict.fromkeys(rules.values())))
        msels: dict[Port, int] = defaultdict(int)
        arbiters: dict[Port, int] = {}
        for masters, (arbiter, msel) in chosen.items():
            for master in masters:
                msels[master] |= 1 << msel
                arbiters[master] = arbiter
        for master, mask in msels.items():
            config = arbiters[master] | mask << 3
            drops = int(self.drops[master])
            yield master_write(master, enable=1, packet_enable=1, drop_header=drops, config=config)
        used: dict[Port, int] = defaultdict(int)
        for (slave, packet_id), masters in rules.items():
            arbiter, msel = chosen[masters]
            yield slave_write(slave, enable=1, packet_enable=1)
            yield slot_write(slave, used[slave], packet_id, ANY_ID, arbiter, msel)
            used[slave] += 1

    def _entry(self, source: Port) -> Port:
        """Slave port at which a source's words enter its switch."""
        return self._south(source, SHIM_SENDS, SHIM_MUX, SHIM_MUX_ADDRESS)

    def _exit(self, sink: Port) -> Port:
        """Master port behind which a sink is."""
        return self._south(sink, SHIM_TAKES, SHIM_DEMUX, SHIM_DEMUX_ADDRESS)

    def _south(self, port: Port, south: tuple[int, ...], layout: Layout, offset: int) -> Port:
        tile, bundle, number = port
        if bundle != "dma" or kind(tile[1]) is not TileKind.SHIM:
            return port
        field = layout.field(f"south{south[number]}")
        self.joined.append((address(*tile, offset), field.place(JOINED), field.mask << field.shift))
        return tile, "south", south[number]

    def _circuit_can_use(self, master: Port, across: Port | None) -> bool:
        entered = across in self.owners or any(slave == across for slave, _ in self.rules)
        return master not in self.circuits and master not in self.drops and not entered

    def _packets_can_use(
        self, ids: list[int], lane: int, master: Port, across: Port | None
    ) -> bool:
        free = master not in self.circuits and across not in self.owners
        free &= self.lanes.get(master, lane) == lane
        return free and self._slots_for(across, ids)

    def _slots_for(self, slave: Port | None, ids: list[int]) -> bool:
        ruled = {packet_id for port, packet_id in self.rules if port == slave}
        return len(ruled | set(ids)) <= SLOTS

    def _across(self, master: Port) -> Port | None:
        """Slave port of the neighbour that a master port leads to."""
        (column, row), bundle, number = master
        if bundle not in OPPOSITE:
            return None
        entry, right, up = OPPOSITE[bundle]
        tile = column + right, row + up
        if not (0 <= tile[0] < self.columns and tile[1] in ROWS):
            return None
        ports = {name: count for name, _, count in SWITCHES[kind(tile[1])].slaves}
        return (tile, entry, number) if number < ports.get(entry, 0) else None

    def _way(
        self, starts: list[Port], sink: Port, usable: Callable[[Port, Port | None], bool]
    ) -> list[tuple[Port, Port]]:
        """Shortest way to a sink, as (slave, master) of every switch on it."""
        came: dict[Port, tuple[Port, Port] | None] = dict.fromkeys(starts)
        waiting = deque(starts)
        while waiting:
            here = waiting.popleft()
            tile, *_ = here
            if tile == sink[0] and can_join(tile[1], here[1:], sink[1:]):
                return list(_walked(came, (here, sink)))[::-1]
            for master in _masters(tile):
                across = self._across(master)
                fits = can_join(tile[1], here[1:], master[1:])
                if across and across not in came and fits and usable(master, across):
                    came[across] = here, master
                    waiting.append(across)
        raise RouteError(f"no way to {sink}")


@cache
def _masters(tile: Tile) -> list[Port]:
    every = SWITCHES[kind(tile[1])].masters
    return [(tile, bundle, number) for bundle, _, count in every for number in range(count)]


def _walked(
    came: dict[Port, tuple[Port, Port] | None], last: tuple[Port, Port] | None
) -> Iterator[tuple[Port, Port]]:
    while last is not None:
        yield last
        last = came[last[0]]


def share_out(sets: list[frozenset[Port]]) -> dict[frozenset[Port], tuple[int, int]]:
    """(arbiter, msel) for every set of masters; sets that overlap share an arbiter."""
    groups: list[list[frozenset[Port]]] = []
    for masters in sets:
        touched = [group for group in groups if any(masters & other for other in group)]
        groups = [group for group in groups if group not in touched]
        groups.append([masters, *(other for group in touched for other in group)])
    if len(groups) > ARBITERS or any(len(group) > MSELS for group in groups):
        raise RouteError("a switch has too few arbiters or msels for these packets")
    return {
        masters: (arbiter, msel)
        for arbiter, group in enumerate(groups)
        for msel, masters in enumerate(group)
    }


def master_write(port: Port, **fields: int) -> Write:
    """Configuration of a master port."""
    switch = SWITCHES[kind(port[0][1])]
    place = switch.master_base + switch.port_stride * index(switch.masters, *port[1:])
    return address(*port[0], place), int(SWITCH_MASTER.encode(**fields)[0]), ALL


def slave_write(port: Port, **fields: int) -> Write:
    """Configuration of a slave port."""
    switch = SWITCHES[kind(port[0][1])]
    place = switch.slave_base + switch.port_stride * index(switch.slaves, *port[1:])
    return address(*port[0], place), int(SWITCH_SLAVE.encode(**fields)[0]), ALL


def slot_write(port: Port, slot: int, packet_id: int, mask: int, arbiter: int, msel: int) -> Write:
    """A packet rule of a slave port."""
    switch = SWITCHES[kind(port[0][1])]
    place = switch.slot_base + switch.slot_port_stride * index(switch.slaves, *port[1:]) + 4 * slot
    word = SWITCH_SLOT.encode(id=packet_id, mask=mask, enable=1, msel=msel, arbiter=arbiter)
    return address(*port[0], place), int(word[0]), ALL
