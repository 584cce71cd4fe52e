# SPDX-License-Identifier: Apache-2.0
"""Routes from the stream-switch registers into the machine: who sends to whom, and token paths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.switch_registers import INGRESS_FIFO_WORDS, SWITCH_FIFO_WORDS
from firmware_sim.array.fabric import CONTROLLER, NOTHING, UNRULED, End, Fabric, Port
from firmware_sim.array.machine import Machine
from firmware_sim.array.state import (
    BETWEEN,
    CONTROL_IN,
    CONTROL_OUT,
    CORE_ACTOR,
    INSIDE,
    MOVING,
    NEVER,
    NONE,
    PACKET_IDS,
    RING,
    ROUTE,
    ROUTE_ARBITERS,
    ROUTE_SINKS,
    TILES,
    channel_name,
)
from firmware_sim.errors import ConfigurationError


class Route(NamedTuple):
    """Where a source's words go: by circuit (`packet_id` None), or the packets of one id."""

    source: int
    start: Port
    packet_id: int | None
    ends: tuple[End, ...]

    @property
    def sinks(self) -> tuple[End, ...]:
        """Ends that take words: DMA channels and control ports."""
        return tuple(end for end in self.ends if end.endpoint >= 0)

    @property
    def dead_ends(self) -> tuple[End, ...]:
        """Ends that take nothing."""
        return tuple(end for end in self.ends if end.endpoint in (NOTHING, UNRULED))


def find(fabric: Fabric) -> list[Route]:
    """Every route, in order of the source and the packet id; sources that go nowhere have none."""
    routes: list[Route] = []
    for source, start in fabric.sources():
        index = fabric.slave_index(start)
        if index is None or not fabric.slave_mode(start.column, start.row, index)[0]:
            continue
        ids = fabric.packet_ids(start)
        for packet_id in (None,) if ids is None else ids:
            ends = tuple(fabric.ends(start, packet_id or 0))
            routes.append(Route(source, start, packet_id, ends))
    return routes


def fabric_of(machine: Machine) -> Fabric:
    """The stream switches of a machine as they stand."""
    return Fabric(machine.record["switch"][0], machine.record["mux"][0], machine.columns)


def connect(machine: Machine) -> list[Route]:
    """Find all routes and write them into the machine; words in flight go on as they began.

    Raises:
        ConfigurationError: a broadcast or a packet's way beyond what there is room for.
    """
    routes = find(fabric_of(machine))
    channels = machine.channels
    inside = (channels["packets"] != 0) & (channels["packet"] != BETWEEN)
    busy = (channels["phase"] == MOVING) | inside
    kept = _keep_rows(machine, busy)
    table = np.concatenate([kept, np.zeros(len(routes), ROUTE)])
    of = machine.record["route_of"][0]
    of[:] = channels["next_route"] = NONE
    channels["next_packets"] = channels["fed"] = 0
    for number, route in enumerate(routes, kept.size):
        _fill(table[number], route)
        of[route.source, slice(None) if route.packet_id is None else route.packet_id] = number
        channels["next_packets"][route.source] = int(route.packet_id is not None)
        channels["next_route"][route.source] = number if route.packet_id is None else NONE
    machine.keep("routes", table)
    _hand_over(channels, busy)
    _sinks(machine, routes, inside)
    _feed_from_outside(machine)
    _token_ids(machine, routes)
    _slots(machine, routes)
    return routes


def _keep_rows(machine: Machine, busy: NDArray[np.bool_]) -> NDArray[np.void]:
    """Rows of the old table that sources still use, which are told their new numbers."""
    old, rows = machine.kept["routes"], machine.channels["route"]
    using = busy & (rows != NONE)
    used, places = np.unique(rows[using], return_inverse=True)
    rows[using] = places
    return old[used]


def _hand_over(channels: NDArray[np.void], busy: NDArray[np.bool_]) -> None:
    """Sources that are not busy take their new routes at once; the others when they are done."""
    idle = ~busy
    channels["stale"] = busy
    for now, following in (("route", "next_route"), ("packets", "next_packets")):
        channels[now][idle] = channels[following][idle]
    channels["packet"][idle & (channels["packets"] != 0)] = BETWEEN
    channels["packet"][idle & (channels["packets"] == 0) & (channels["packet"] == BETWEEN)] = INSIDE


def _sinks(machine: Machine, routes: list[Route], inside: NDArray[np.bool_]) -> None:
    """What lies before each sink: who may send to it, and how many words the way holds."""
    channels, control = machine.channels, machine.record["control"][0]
    held = channels["holder"] != NONE
    channels["holder"][~held | ~inside[channels["holder"]]] = NONE
    capacities: dict[int, int] = {}
    for route in routes:
        for end in route.sinks:
            words = INGRESS_FIFO_WORDS + end.switches * SWITCH_FIFO_WORDS
            capacities[end.endpoint] = min(capacities.get(end.endpoint, RING), words)
            channels["fed"][end.endpoint] = 1
            if route.packet_id is None:
                channels["holder"][end.endpoint] = route.source
            if end.endpoint >= CONTROL_IN:
                keeps = route.packet_id is not None and not end.drops_header
                control["keeps_header"][end.endpoint - CONTROL_IN] = int(keeps)
    for endpoint, words in capacities.items():
        channels["capacity"][endpoint] = words
    between = control["beats"] == 0
    control["expects"][between] = 1 - control["keeps_header"][between]


def _fill(row: np.void, route: Route) -> None:
    if len(route.sinks) > ROUTE_SINKS:
        raise ConfigurationError(
            f"the stream of {channel_name(route.source)} goes to {len(route.sinks)} places; "
            f"{ROUTE_SINKS} can be simulated"
        )
    arbiters = list(dict.fromkeys(a for end in route.ends for a in end.arbiters))
    if len(arbiters) > ROUTE_ARBITERS:
        raise ConfigurationError(
            f"packets of {channel_name(route.source)} pass {len(arbiters)} arbiters; "
            f"{ROUTE_ARBITERS} can be simulated"
        )
    row["source"], row["sinks"], row["arbiters"] = route.source, len(route.sinks), len(arbiters)
    row["dead_ends"] = len(route.dead_ends)
    row["dead_room"] = SWITCH_FIFO_WORDS * min((e.switches for e in route.dead_ends), default=0)
    row["unrouted"] = any(end.endpoint == UNRULED for end in route.dead_ends)
    row["arbiter"][: len(arbiters)] = arbiters
    row["sink"][: len(route.sinks)] = [end.endpoint for end in route.sinks]
    row["drop"][: len(route.sinks)] = [end.drops_header for end in route.sinks]


def _feed_from_outside(machine: Machine) -> None:
    """Sinks of streams from cores and trace units have a route, though nothing here sends on it."""
    fabric = fabric_of(machine)
    for start in fabric.unmodelled_sources():
        index = fabric.slave_index(start)
        if index is not None and fabric.slave_mode(start.column, start.row, index)[0]:
            for packet_id in fabric.packet_ids(start) or (0,):
                for end in fabric.ends(start, packet_id):
                    if end.endpoint >= 0:
                        machine.channels["fed"][end.endpoint] = 1


def _token_ids(machine: Machine, routes: list[Route]) -> None:
    ids = np.zeros(TILES, np.int64)
    for route in routes:
        if route.source >= CONTROL_OUT and any(end.endpoint == CONTROLLER for end in route.ends):
            tile = route.source - CONTROL_OUT
            if route.packet_id is None:
                ids[tile] = (1 << PACKET_IDS) - 1
            else:
                ids[tile] |= 1 << route.packet_id
    machine.record["token_ids"][0] = ids


def _slots(machine: Machine, routes: list[Route]) -> None:
    """Give every endpoint on a route, and every core model, a place for its next event."""
    old_due = {
        int(actor): float(due)
        for actor, due in zip(
            machine.record["actor"][0][: int(machine.state["slots"])],
            machine.record["due"][0],
            strict=False,
        )
    }
    endpoints = {route.source for route in routes}
    endpoints |= {end.endpoint for route in routes for end in route.sinks}
    actors = sorted(endpoints | {actor for actor in old_due if actor < CORE_ACTOR})
    actors += [actor for actor in old_due if actor >= CORE_ACTOR]
    machine.record["due"][0] = NEVER
    for slot, actor in enumerate(actors):
        machine.record["actor"][0][slot] = actor
        machine.record["due"][0][slot] = old_due.get(actor, NEVER)
        if actor < CORE_ACTOR:
            machine.channels["slot"][actor] = slot
        else:
            machine.record["core_slot"][0][actor - CORE_ACTOR] = slot
    machine.state["slots"] = len(actors)


def peers(routes: list[Route]) -> dict[int, list[int]]:
    """Sources by the sink that they can reach."""
    found: dict[int, list[int]] = {}
    for route in routes:
        for end in route.sinks:
            sources = found.setdefault(end.endpoint, [])
            if route.source not in sources:
                sources.append(route.source)
    return found
