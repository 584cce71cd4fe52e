# SPDX-License-Identifier: Apache-2.0
"""Published bandwidths beside the model's: the same data movement on the shipped passthroughs.

A stand-in moves what the measured kernel moved and computes nothing. Both sides are rates without
start-up: from a measured time its published launch floor is taken off, which the simulator does not
have, and the simulated rate is the slope between the measured run's bytes and twice as many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, model_validator

from aie2 import txn
from aie2.devices import device as device_named
from aie2.dma_registers import MEMTILE_BD, MEMTILE_DMA, MEMTILE_QUEUE, SHIM_DMA, Direction
from aie2.fields import WORD_BYTES
from aie2.tiles import address
from firmware_sim import PROFILES, Configuration, read_configuration, simulate
from host.sweeps import published, shim_task
from iron_designs.shipped import Shipped, select

MEMTILE_ROW = 1
OBJECT_BYTES = 4096
"""Object of the shipped designs that stand in: 1,024 words, the tile of the published add."""

Moves = Literal["copy", "read", "add"]
MOVES: dict[Moves, str] = {
    "copy": "passthrough, each lane writes what it reads",
    "read": "passthrough whose memtiles overwrite what comes in, nothing is written",
    "add": "of a column's two lanes one writes what it reads, the other only reads",
}
"""What stands in for the measured kernel."""


class Fact(BaseModel):
    """One measurement, as `published.toml` states it; the lists run in parallel, one per row."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    device: str
    chip: str
    clock_mhz: float
    moves: Moves
    what: list[str]
    columns: list[int]
    channels: list[int]
    bytes: list[int]
    us: list[float] | None = None
    floor_us: tuple[float, float] = (0.0, 0.0)
    gb_s: list[float] | None = None
    computes: list[bool] | None = None
    grade: Literal["M", "U"]
    source: str
    spread: str
    note: str

    @model_validator(mode="after")
    def _parallel(self) -> Self:
        lists = (self.columns, self.channels, self.bytes, self.us, self.gb_s, self.computes)
        if {len(each) for each in lists if each is not None} != {len(self.what)}:
            raise ValueError("its lists have other lengths than `what`")
        if (self.us is None) == (self.gb_s is None):
            raise ValueError("give `us` or `gb_s`")
        return self

    def measured(self, row: int, launch_us: float) -> float:
        """GB/s of a row without `launch_us` of its time; a rate is published without any."""
        if self.us is not None:
            return self.bytes[row] / (self.us[row] - launch_us) / 1e3
        return self.gb_s[row] if self.gb_s is not None else 0.0


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """One published rate beside the model's; GB/s of 10^9 bytes, read and written together."""

    fact: str
    """Name of its table in `published.toml`."""
    what: str
    device: str
    clock_mhz: float
    published: float
    """With the launch, where it was part of the time."""
    measured: float
    """Without it."""
    simulated: dict[str, float]
    """Rate by profile."""
    computes: bool
    """The measured kernel computes, the stand-in does not."""


@dataclass(frozen=True, slots=True)
class Stand:
    """What stands in for a measured kernel: how many lanes, and what each does."""

    device: str
    columns: int
    channels: int
    moves: Moves
    lane_bytes: int
    """Bytes that every lane reads; a lane that copies writes as many."""

    @property
    def shipped(self) -> Shipped:
        """The compiled passthrough that it runs on."""
        return select(self.device, self.columns, OBJECT_BYTES, self.channels, OBJECT_BYTES)

    def copies(self, channel: int) -> bool:
        """Whether a lane writes back what it reads."""
        return self.moves == "copy" or (self.moves == "add" and channel == 0)

    @property
    def moved(self) -> int:
        """Bytes read and written by all lanes."""
        lanes = [1 + self.copies(channel) for channel in range(self.channels)]
        return self.columns * sum(lanes) * self.lane_bytes


def facts() -> dict[str, Fact]:
    """Every published bandwidth, by the name of its table."""
    return {name: Fact.model_validate(entry) for name, entry in published()["bandwidth"].items()}


def compare(name: str, fact: Fact) -> list[Bandwidth]:
    """The rows of one measurement, in all profiles."""
    return [
        Bandwidth(
            name,
            what,
            fact.device,
            fact.clock_mhz,
            fact.measured(row, 0.0),
            fact.measured(row, sum(fact.floor_us) / 2),
            {profile: rate(stand(fact, row), profile, fact.clock_mhz) for profile in PROFILES},
            fact.computes is not None and fact.computes[row],
        )
        for row, what in enumerate(fact.what)
    ]


def stand(fact: Fact, row: int) -> Stand:
    """What stands in for a row: its lanes share the bytes, in whole objects."""
    columns, channels = fact.columns[row], fact.channels[row]
    one = Stand(fact.device, columns, channels, fact.moves, 1)
    objects = fact.bytes[row] // (one.moved * OBJECT_BYTES)
    return Stand(fact.device, columns, channels, fact.moves, objects * OBJECT_BYTES)


def rate(whole: Stand, profile: str, clock_mhz: float) -> float:
    """Simulated rate in GB/s: what twice the bytes take longer, so without any start-up."""
    twice = replace(whole, lane_bytes=2 * whole.lane_bytes)
    cycles = run(twice, profile, clock_mhz) - run(whole, profile, clock_mhz)
    return whole.moved * clock_mhz / cycles / 1e3


@lru_cache
def run(whole: Stand, profile: str, clock_mhz: float) -> int:
    """Cycles from the first op to the last token."""
    lanes = whole.columns * whole.channels
    source = np.zeros(lanes * whole.lane_bytes, np.uint8)
    target = np.zeros(source.size if whole.moves != "read" else 0, np.uint8)
    result = simulate(
        configuration(whole), stream(whole), [source, target], profile=profile, clock_mhz=clock_mhz
    )
    if result.counts.bytes_read + result.counts.bytes_written != whole.moved:
        raise AssertionError(f"{whole} moved {result.counts}")
    return result.cycles


@lru_cache
def configuration(whole: Stand) -> Configuration:
    """The shipped passthrough; a lane that only reads has no locks before its memtile buffers.

    Such a lane's words overwrite each other in the memtile, and its way back never starts.
    """
    passthrough = read_configuration(whole.shipped.read())
    changed: dict[int, int] = {}
    for channel in range(whole.channels):
        if not whole.copies(channel):
            for column in range(whole.columns):
                changed |= _without_locks(passthrough, column, channel)
    return passthrough.with_values(changed)


def _without_locks(design: Configuration, column: int, channel: int) -> dict[int, int]:
    """Register values of a memtile's receive chain that neither acquires nor releases."""
    values = dict(zip(design.addresses.tolist(), design.values.tolist(), strict=True))

    def at(offset: int) -> int:
        return address(column, MEMTILE_ROW, offset)

    queue = values[at(MEMTILE_DMA.queue_address(Direction.S2MM, channel))]
    bd = MEMTILE_QUEUE.decode([queue])["start_bd_id"]
    changed: dict[int, int] = {}
    while True:
        places = [
            at(MEMTILE_DMA.bd_address(bd) + WORD_BYTES * word) for word in range(MEMTILE_BD.words)
        ]
        if places[0] in changed:
            return changed
        fields = MEMTILE_BD.decode([values[place] for place in places])
        bd = fields["next_bd"]
        free = MEMTILE_BD.encode(**fields | {"lock_acq_enable": 0, "lock_rel_value": 0})
        changed |= dict(zip(places, free.tolist(), strict=True))


def stream(whole: Stand) -> bytes:
    """One task a lane and direction, all started before the first wait."""
    npu = device_named(whole.device)
    tasks: list[txn.Op] = []
    waits: list[txn.Op] = []
    for column in range(whole.columns):
        for channel in range(whole.channels):
            offset = (column * whole.channels + channel) * whole.lane_bytes
            ends = (Direction.S2MM,) if whole.copies(channel) else ()
            for direction in (*ends, Direction.MM2S):
                waited = direction == (Direction.S2MM if ends else Direction.MM2S)
                bd = SHIM_DMA.channels(direction) * direction + channel
                words = whole.lane_bytes // WORD_BYTES
                tasks += shim_task(
                    npu, column, direction, channel, bd=bd, words=words, at=offset, token=waited
                )
                if waited:
                    waits.append(txn.Tct(column, 0, direction, channel))
    header = txn.Header(0, 1, npu.generation, npu.rows, whole.shipped.columns, npu.memtile_rows)
    return txn.encode(txn.Program(header, (*tasks, *waits)))
