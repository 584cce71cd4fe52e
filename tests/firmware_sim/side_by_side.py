# SPDX-License-Identifier: Apache-2.0
"""One design through the simulator and through the word-by-word model, and what differs."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from dataclasses import dataclass
from unittest.mock import patch

import numpy as np
from fabrics import Design
from numpy.typing import NDArray
from routing import Tile
from word_model import Outcome, WordModel

from aie2.tiles import ROWS
from firmware_sim import Result, Stalled, simulate
from firmware_sim.array import events
from firmware_sim.array.machine import Machine
from firmware_sim.array.state import (
    CHANNEL_SLOTS,
    CHANNELS,
    TILE_CHANNELS,
    channel_name,
    tile_index,
    tile_name,
)
from firmware_sim.diagnostics import Diagnostic
from firmware_sim.waits import IDLE_REASON, graph

ENDS = frozenset({"hang", "deadlock", "token-never-issued", "watchdog"})
"""How a run ended that did not end by itself: compared as who waits for what."""
OF_TIME = frozenset({"ends-early"})
"""What a model without time cannot know."""
REASONS = {
    "has halted": "halted",
    "waits for lock": "lock",
    "waits for data": "data",
    "waits for a packet header": "header",
    "waits for room": "room",
    "is stopped, since": "room",
    "all words sent": "flush",
    "which a packet of": "arbiter",
    "has no route": "route",
    IDLE_REASON: "",
    "has nothing to send": "",
}
"""What a wait's sentence says -> what the model calls it; empty: it has nothing to do."""


@dataclass
class Ran:
    """A run of the simulator: its result, and the array as it was left."""

    result: Result
    stalled: bool
    machine: Machine
    buffers: list[NDArray[np.uint32]]

    def words(self, tile: Tile) -> NDArray[np.uint32]:
        """Memory of a tile."""
        return self.machine.memory_of(*tile).view(np.uint32)

    def lock(self, tile: Tile, number: int) -> int:
        """Value of a lock."""
        return int(self.machine.record["locks"][0][tile_index(*tile), number])

    @property
    def kinds(self) -> set[str]:
        """Names of what went wrong."""
        return {note.kind for note in self.result.diagnostics}


def run(design: Design, buffers: list[NDArray[np.uint32]]) -> Ran:
    """Simulate a design, to the end or until it stalls."""
    module = sys.modules["firmware_sim.simulate"]
    machines: list[Machine] = []

    def keep(*args, **more) -> Machine:
        machines.append(load(*args, **more))
        return machines[0]

    load = module.load
    with patch.object(module, "load", keep):
        try:
            result = simulate(design.configuration(), design.stream(), buffers, trace=True)
        except Stalled as stalled:
            return Ran(stalled.result, True, machines[0], buffers)
    return Ran(result, False, machines[0], buffers)


def outcome(ran: Ran) -> Outcome:
    """What a run of the simulator has left, in the model's terms."""
    machine = ran.machine
    tiles = [(column, row) for column in range(machine.columns) for row in ROWS]
    memory: dict[Tile, dict[int, int]] = {}
    for tile in tiles:
        words = ran.words(tile)
        if words.any():
            memory[tile] = {4 * int(place): int(words[place]) for place in np.flatnonzero(words)}
    held = machine.record["locks"][0]
    locks = {
        (tile, int(n)): int(held[tile_index(*tile), n])
        for tile in tiles
        for n in np.flatnonzero(held[tile_index(*tile)])
    }
    loaded: dict[str, list[int]] = defaultdict(list)
    tokens: dict[str, int] = Counter()
    for event in ran.result.events:
        if event["kind"] == events.BD_LOADED:
            loaded[channel_name(int(event["actor"]))].append(int(event["a"]))
        elif event["kind"] == events.TOKEN_ARRIVED:
            tokens[channel_name(int(event["actor"]))] += 1
    return Outcome(
        memory=memory,
        locks=locks,
        loaded=dict(loaded),
        taken=moved(machine),
        tokens=dict(tokens),
        notes={
            place_of(note) for note in ran.result.diagnostics if note.kind not in ENDS | OF_TIME
        },
        waits=dict(waiting(machine)),
        stuck_at=ran.result.counts.ops if ran.stalled else None,
    )


def place_of(note: Diagnostic) -> tuple[str, str]:
    """Name and place of a mistake."""
    return note.kind, note.channel or (tile_name(*note.tile) if note.tile else "")


def waiting(machine: Machine) -> list[tuple[str, str]]:
    """Every endpoint that cannot go on, and the kind of its reason."""
    found: list[tuple[str, str]] = []
    for wait in graph(machine):
        names = (name for text, name in REASONS.items() if text in wait.reason)
        reason = next(names, wait.reason)
        if reason and not wait.waiter.startswith("op "):
            found.append((wait.waiter, reason))
    return found


def moved(machine: Machine) -> dict[str, int]:
    """Words that every S2MM channel has taken."""
    counts = machine.channels["moved"][:CHANNELS]
    return {
        channel_name(int(n)): int(counts[n])
        for n in np.flatnonzero(counts)
        if n % TILE_CHANNELS < CHANNEL_SLOTS
    }


def assert_same(design: Design, buffers: list[NDArray[np.uint32]], order: int | None = None) -> Ran:
    """Fail where simulator and model differ; returns the simulator's run."""
    mine = [buffer.copy() for buffer in buffers]
    expected = WordModel(design.configuration(), mine, design.device, order).run(design.stream())
    ran = run(design, [buffer.copy() for buffer in buffers])
    found = outcome(ran)
    for what, got, wanted in (
        ("op at which the stream stands", found.stuck_at, expected.stuck_at),
        ("waits", found.waits, expected.waits),
        ("mistakes", found.notes, expected.notes),
        ("BDs loaded", found.loaded, expected.loaded),
        ("tokens that arrived", found.tokens, expected.tokens),
        ("locks", found.locks, expected.locks),
        ("words taken", found.taken, expected.taken),
        ("tile memory", found.memory, expected.memory),
    ):
        assert got == wanted, f"{what}: simulator {got}, model {wanted}"
    for number, (got, wanted) in enumerate(zip(ran.buffers, mine, strict=True)):
        np.testing.assert_array_equal(got, wanted, f"host buffer {number}")
    return ran
