# SPDX-License-Identifier: Apache-2.0
"""The published Phoenix micro-benchmarks, simulated: one table with the error of every point.

The streams are what the measuring kernels ran: a passive loop through one memtile buffer, all
transfers in, a wait, all transfers out. Nothing here feeds back into the calibration.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.devices import NPU1, Device
from aie2.fields import WORD_BYTES
from aie2.registers import (
    CHANNEL_CTRL,
    MEMTILE_BD,
    MEMTILE_DMA,
    SHIM_BD,
    SHIM_DMA,
    SHIM_QUEUE,
    Direction,
)
from aie2.tiles import TileKind, address, kind, split
from bdgen.stencils import CONTROLLER_ID_BITS, SHIM_CONTROLLER_ID
from firmware_sim import Configuration, Result, read_configuration, simulate
from firmware_sim.calibration import load
from iron_designs.shipped import select

NAMES = {Direction.MM2S: "mm2s", Direction.S2MM: "s2mm"}
"""Directions as `published.toml` calls them."""
OP_REPEATS = 64
"""Ops of one kind in the stream that times them."""


@dataclass(frozen=True, slots=True)
class Point:
    """One published figure beside the model's."""

    what: str
    measured: float
    simulated: float

    @property
    def error(self) -> float:
        """Relative error of the model."""
        return self.simulated / self.measured - 1


def published() -> dict[str, dict]:
    """The published measurements, as `firmware_sim/calibration/published.toml` holds them."""
    path = files("firmware_sim") / "calibration" / "published.toml"
    return tomllib.loads(path.read_text(encoding="utf-8"))


def loopback(words: int) -> Configuration:
    """The one-column passthrough with memtile objects of `words` words; only lengths differ."""
    shipped = read_configuration(select("npu1", 1, 1024).read())
    length = MEMTILE_BD.field("buffer_length")
    changed = {
        place: value & ~(length.mask << length.lsb) | words
        for place, value in zip(shipped.addresses.tolist(), shipped.values.tolist(), strict=True)
        if kind(split(place).row) is TileKind.MEMTILE and _is_bd_word0(split(place).offset)
    }
    return shipped.with_values(changed)


def _is_bd_word0(offset: int) -> bool:
    inside = offset - MEMTILE_DMA.bd_base
    return 0 <= inside < MEMTILE_DMA.bd_stride * MEMTILE_DMA.bd_count and (
        inside % MEMTILE_DMA.bd_stride == 0
    )


def shim_task(
    npu: Device,
    column: int,
    direction: Direction,
    channel: int,
    *,
    bd: int,
    words: int,
    at: int,
    token: bool,
) -> list[txn.Op]:
    """Ops of one shim transfer of `words` words from byte `at` of host buffer 0, or to it of 1."""

    def register(offset: int) -> int:
        return address(column, 0, offset)

    length = {"buffer_length": words, "burst_length": npu.burst_code, "axcache": 2, "valid_bd": 1}
    place = register(SHIM_DMA.bd_address(bd))
    payload = tuple(int(word) for word in SHIM_BD.encode(**length))
    ops: list[txn.Op] = [
        txn.BlockWrite(place, payload),
        txn.DdrPatch(place + WORD_BYTES, int(direction == Direction.S2MM), at),
    ]
    if token:
        value = CHANNEL_CTRL.encode(controller_id=SHIM_CONTROLLER_ID)
        mask = CHANNEL_CTRL.encode(controller_id=CONTROLLER_ID_BITS)
        control = register(SHIM_DMA.ctrl(direction, channel))
        ops.append(txn.MaskWrite(control, int(value[0]), int(mask[0])))
    push = SHIM_QUEUE.encode(start_bd_id=bd, enable_token_issue=int(token))
    queue = register(SHIM_DMA.queue_address(direction, channel))
    return [*ops, txn.Write(queue, int(push[0]))]


def _transfers(direction: Direction, count: int, words: int, tokens: str) -> list[txn.Op]:
    """Back-to-back tasks of one BD each; tokens: "all" of them issue one, or the "last"."""
    ops: list[txn.Op] = []
    first = 0 if direction == Direction.MM2S else count
    for number in range(count):
        ops += shim_task(
            NPU1,
            0,
            direction,
            0,
            bd=(first + number) % SHIM_DMA.bd_count,
            words=words,
            at=number * words * WORD_BYTES,
            token=tokens == "all" or number == count - 1,
        )
    waits = count if tokens == "all" else 1
    ops += [txn.Tct(0, 0, direction, 0)] * waits
    return ops


def _stream(ops: list[txn.Op]) -> bytes:
    header = txn.Header(0, 1, NPU1.generation, NPU1.rows, 1, NPU1.memtile_rows)
    return txn.encode(txn.Program(header, tuple(ops)))


def _clock() -> float:
    return load("npu1").reference_clock_mhz


def _run(ops: list[txn.Op], buffer_words: int, profile: str) -> Result:
    buffers = [np.arange(buffer_words, dtype=np.uint32), np.zeros(buffer_words, np.uint32)]
    result = simulate(
        loopback(buffer_words), _stream(ops), buffers, profile=profile, clock_mhz=_clock()
    )
    if not np.array_equal(buffers[0], buffers[1]):
        raise AssertionError("the loop did not bring its data back")
    return result


def _tasks(result: Result, direction: Direction) -> NDArray[np.void]:
    return result.tasks[result.tasks["direction"] == direction]


def single_transfers(profile: str = "central") -> list[Point]:
    """Duration of one transfer each way, by size."""
    known = published()["single_transfers"]
    points: list[Point] = []
    for place, words in enumerate(known["words"]):
        result = _k_tasks(1, words, profile)
        for direction, name in NAMES.items():
            task = _tasks(result, direction)[0]
            simulated = float(task["finished"] - task["started"])
            points.append(Point(f"{name.upper()} {words} words", known[name][place], simulated))
    return points


def back_to_back(profile: str = "central") -> list[Point]:
    """Start-to-start intervals and durations of the K-sweep's eight tasks, and their spans."""
    known = published()["back_to_back"]
    result = _k_tasks(known["tasks"], known["words"], profile)
    points: list[Point] = []
    for direction, name in NAMES.items():
        ran = _tasks(result, direction)
        found = {"interval": np.diff(ran["started"]), "duration": ran["finished"] - ran["started"]}
        for what, simulated in found.items():
            points += [
                Point(f"{name.upper()} {what} {place}", figure, float(simulated[place]))
                for place, figure in enumerate(known[f"{name}_{what}s"])
            ]
        span = sum(known[f"{name}_intervals"]) + known[f"{name}_durations"][-1]
        points.append(Point(f"{name.upper()} span of {known['tasks']}", span, _span(ran)))
    return points


def single_run_spans(profile: str = "central") -> list[Point]:
    """Spans of 4, 8 and 16 tasks that the first, single runs add up to."""
    known = published()["single_run_spans"]
    points: list[Point] = []
    for place, count in enumerate(known["tasks"]):
        result = _k_tasks(count, known["words"], profile)
        for direction, name in NAMES.items():
            first, further = known[f"{name}_durations"]
            figure = first + (count - 1) * (known[f"{name}_gaps"][place] + further)
            what = f"{name.upper()} span of {count}, single run"
            points.append(Point(what, figure, _span(_tasks(result, direction))))
    return points


def _k_tasks(count: int, words: int, profile: str) -> Result:
    """The K-sweep's stream: `count` tasks in, a wait, `count` tasks out, each waited for."""
    ops = _transfers(Direction.MM2S, count, words, "last")
    ops += _transfers(Direction.S2MM, count, words, "all")
    return _run(ops, count * words, profile)


def _span(tasks: NDArray[np.void]) -> float:
    return float(tasks["finished"][-1] - tasks["started"][0])


def op_costs(profile: str = "central") -> list[Point]:
    """Cycles per op of the kinds that were measured alone."""
    known = published()["op_costs"]
    spare = SHIM_DMA.bd_address(SHIM_DMA.bd_count - 1)
    kinds: dict[str, txn.Op] = {
        "write": txn.Write(spare, 0),
        "block_write_8": txn.BlockWrite(spare, (0,) * SHIM_BD.words),
        "mask_write": txn.MaskWrite(spare, 0, 0xFFFFFFFF),
    }
    points: list[Point] = []
    for name, op in kinds.items():
        result = simulate(
            loopback(64), _stream([op] * OP_REPEATS), [], profile=profile, clock_mhz=_clock()
        )
        points.append(Point(name.replace("_", " "), known[name], result.cycles / OP_REPEATS))
    return points


SWEEPS = {
    "op_costs": op_costs,
    "back_to_back": back_to_back,
    "single_run_spans": single_run_spans,
    "single_transfers": single_transfers,
}
"""What compares each table of `published.toml` with the model."""


def markdown(profile: str = "central") -> str:
    """The sweeps in one profile as a Markdown table, with sources and published spreads below."""
    lines = [
        f"| what (cycles at {_clock():,.0f} MHz) | measured | simulated | error |",
        "|-|-|-|-|",
    ]
    for sweep in SWEEPS.values():
        lines += [
            f"| {point.what} | {point.measured:g} | {point.simulated:.1f} | {point.error:+.1%} |"
            for point in sweep(profile)
        ]
    known = published()
    notes = [
        f"- {name}: {known[name]['source']}. Spread: {known[name]['spread']}." for name in SWEEPS
    ]
    return "\n".join(lines) + "\n\n" + "\n".join(notes) + "\n"
