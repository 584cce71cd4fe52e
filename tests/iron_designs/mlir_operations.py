# SPDX-License-Identifier: Apache-2.0
"""What a printed module says, however the release spells it: fifos by place, transfers by batch.

mlir-aie of 2026-03 writes `aie.tile(0, 1)` and `aie.dma_bd(%b : memref<8xi32>, 0, 8, ...)`; since
summer it is `aie.logical_tile<MemTile>(0, 1)` and `... offset = 0 len = 8 ...`
(test/python/placer_tests.py, test/dialect/AIE/bad_dma_op.mlir at 3ca0193cea9e).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

Place = tuple[int, int]
Way = tuple[Place, Place]
"""Where a fifo begins and ends, by column and row."""

_DEVICE = re.compile(r"aie\.device\((\w+)\)")
_TILE = re.compile(r"(%\w+) = aie\.(?:tile|logical_tile(?:<\w+>)?)\((\d+), (\d+)\)")
_FIFO = re.compile(
    r"aie\.objectfifo @(\w+)\((%\w+), \{(%\w+)\}, (\d+ : i32|\[[^]]*\])\)"
    r".*memref<(\d+)xi32>"
)
_LINK = re.compile(r"aie\.objectfifo\.link \[@(\w+)\] -> \[@(\w+)\]")
_ARGUMENTS = re.compile(r"%arg\d+: memref<(\d+)xi32>")
_TASK = re.compile(r"(%\w+) = aiex\.dma_configure_task_for @(\w+)")
_BD = re.compile(
    r"aie\.dma_bd\(%arg(\d+) : memref<\d+xi32>(?:, (\d+), (\d+)| offset = (\d+) len = (\d+))"
)
_STEP = re.compile(r"aiex\.dma_(start|await|free)_task\((%\w+)\)")


@dataclass
class Batch:
    """What moves between two rounds of waits: (host buffer, offset, words) for each fifo's BDs."""

    moves: dict[Way, list[tuple[int, int, int]]] = field(
        default_factory=dict[Way, list[tuple[int, int, int]]]
    )
    awaited: list[Way] = field(default_factory=list[Way])
    pushes: dict[Way, int] = field(default_factory=dict[Way, int])


@dataclass
class Task:
    way: Way
    spans: list[tuple[int, int, int]]
    steps: list[str]
    """What was done with it, in order."""
    token: bool = False


@dataclass
class Printed:
    """A module."""

    device: str
    fifos: dict[Way, tuple[tuple[int, ...], int]]
    """(Depths, words of an object) by place."""
    links: set[tuple[Way, Way]]
    arguments: list[int]
    """Words of the host buffers."""
    batches: list[Batch]
    tasks: list[Task]


def read(text: str) -> Printed:
    """What a module says."""
    tiles = {name: (int(c), int(r)) for name, c, r in _TILE.findall(text)}
    found = {name: (tiles[a], tiles[b]) for name, a, b, _, _ in _FIFO.findall(text)}
    fifos: dict[Way, tuple[tuple[int, ...], int]] = {}
    for name, _, _, depths, words in _FIFO.findall(text):
        numbers = re.findall(r"(\d+) :", depths)
        fifos[found[name]] = (tuple(sorted(set(map(int, numbers)))), int(words))
    (device,) = _DEVICE.findall(text)
    links = {(found[a], found[b]) for a, b in _LINK.findall(text)}
    tasks = _tasks(text, found)
    arguments = [int(words) for words in _ARGUMENTS.findall(text)]
    return Printed(device, fifos, links, arguments, _batches(text, tasks), [*tasks.values()])


def _tasks(text: str, fifos: dict[str, Way]) -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    last = None
    for line in text.splitlines():
        if match := _TASK.search(line):
            last = tasks[match[1]] = Task(fifos[match[2]], [], [])
        elif match := _BD.search(line):
            assert last is not None
            arg, *numbers = (int(number) for number in match.groups() if number is not None)
            last.spans.append((arg, numbers[0], numbers[1]))
        elif "issue_token = true" in line:
            assert last is not None
            last.token = True
        elif match := _STEP.search(line):
            tasks[match[2]].steps.append(match[1])
    return tasks


def _batches(text: str, tasks: dict[str, Task]) -> list[Batch]:
    """A batch ends with the last of its waits."""
    batches = [Batch()]
    for verb, name in _STEP.findall(text):
        task = tasks[name]
        if verb == "start":
            if batches[-1].awaited:
                batches.append(Batch())
            batch = batches[-1]
            batch.moves.setdefault(task.way, []).extend(task.spans)
            batch.pushes[task.way] = batch.pushes.get(task.way, 0) + 1
        elif verb == "await":
            batches[-1].awaited.append(task.way)
    return batches
