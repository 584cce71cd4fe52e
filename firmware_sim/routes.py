# SPDX-License-Identifier: Apache-2.0
"""Routes from the stream-switch registers into the machine: who sends to whom, and token paths."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from aie2.switch_registers import INGRESS_FIFO_WORDS, SWITCH_FIFO_WORDS
from firmware_sim.errors import ConfigurationError
from firmware_sim.fabric import CONTROLLER, NOTHING, End, Fabric, Port
from firmware_sim.machine import Machine
from firmware_sim.state import (
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
        return tuple(end for end in self.ends if end.endpoint == NOTHING)


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
    """Find all routes and write them into the machine; segments in flight end as they began.

    Raises:
        ConfigurationError: a broadcast or a packet's way beyond what there is room for.
    """
    routes = find(fabric_of(machine))
    old = machine.kept["routes"]
    table = np.concatenate([old, np.zeros(len(routes), ROUTE)])
    machine.record["route_of"][0] = NONE
    channels = machine.channels
    idle = channels["phase"] != MOVING
    channels["stale"] = ~idle
    channels["route"][idle & (channels["packets"] == 0)] = NONE
    channels["holder"][idle] = NONE
    channels["packets"] = 0
    channels["fed"] = 0
    fresh_sinks: dict[int, int] = {}
    for number, route in enumerate(routes, old.size):
        _fill(table[number], route)
        _point(machine, route, number)
        for end in route.sinks:
            held = INGRESS_FIFO_WORDS + len(end.ports) // 2 * SWITCH_FIFO_WORDS
            fresh_sinks[end.endpoint] = min(fresh_sinks.get(end.endpoint, RING), held)
            channels["fed"][end.endpoint] = 1
            if route.packet_id is None:
                channels["holder"][end.endpoint] = route.source
            if end.endpoint >= CONTROL_IN:
                machine.record["control"][0]["keeps_header"][end.endpoint - CONTROL_IN] = int(
                    route.packet_id is not None and not end.drops_header
                )
    machine.keep("routes", table)
    for endpoint, capacity in fresh_sinks.items():
        channels["capacity"][endpoint] = capacity
    _expect_headers(machine)
    _token_ids(machine, routes)
    _slots(machine, routes)
    return routes


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
    row["arbiter"][: len(arbiters)] = arbiters
    row["sink"][: len(route.sinks)] = [end.endpoint for end in route.sinks]
    row["drop"][: len(route.sinks)] = [end.drops_header for end in route.sinks]


def _point(machine: Machine, route: Route, number: int) -> None:
    of = machine.record["route_of"][0]
    source = machine.channels[route.source]
    waits = source["phase"] != MOVING
    if route.packet_id is not None:
        source["packets"] = 1
        of[route.source, route.packet_id] = number
        if waits and source["position"] == 0:
            source["packet"], source["route"] = BETWEEN, NONE
        return
    of[route.source] = number
    if waits:
        source["route"] = number
        if source["packet"] == BETWEEN:
            source["packet"] = INSIDE


def _expect_headers(machine: Machine) -> None:
    control = machine.record["control"][0]
    waiting = control["beats"] == 0
    control["expects"][waiting] = 1 - control["keeps_header"][waiting]


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
