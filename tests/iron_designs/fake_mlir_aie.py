# SPDX-License-Identifier: Apache-2.0
"""Stands in for mlir-aie: takes the calls that a recorded commit takes, and prints the operations.

That the printing is right is checked against text that mlir-aie of 2026-03 itself printed. Later
releases write some operations differently; of those, tests compare the operations. Here are the
placed API and the printing; `fake_iron` and `fake_runtime` have IRON's classes on top of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import fake_runtime
import pytest
import recorded_api
from recorded_api import FORMER, Api, recorded

PLACED = "aie.dialects.aie"
TASKS = "aie.dialects.aiex"


@dataclass(frozen=True)
class Tile:
    column: int
    row: int

    @property
    def name(self) -> str:
        kind = {0: "shim_noc", 1: "mem"}.get(self.row)
        return f"%{kind}_tile_{self.column}_{self.row}" if kind else f"%tile_{self}"

    def __str__(self) -> str:
        return f"{self.column}_{self.row}"


@dataclass(frozen=True)
class Fifo:
    name: str
    producer: Tile
    consumer: Tile
    depth: int | Sequence[int]
    words: int


@dataclass(eq=False)
class Task:
    number: int
    fifo: str
    token: bool
    spans: list[tuple[str, int, int]] = field(default_factory=list[tuple[str, int, int]])
    """(host buffer, offset, words) of each BD."""
    blocks: list[str] = field(default_factory=list[str])


@dataclass(frozen=True)
class Block:
    """What `bd[n]` of a task gives."""

    task: Task
    index: int

    def __enter__(self) -> None:
        if self.index:
            self.task.blocks.append(f"      ^bb{self.index}:  // pred: ^bb{self.index - 1}")

    def __exit__(self, *_: object) -> None: ...


class FakeMlirAie:
    """Everything that was called, by kind, and the order of the task calls."""

    def __init__(self, record: str = FORMER) -> None:
        self.api: Api = recorded_api.load(record)
        self.device_name = ""
        self.fifos: list[Fifo] = []
        self.links: list[tuple[str, str]] = []
        self.buffers_words: tuple[int, ...] = ()
        self.tasks: list[Task] = []
        self.order: list[tuple[str, int]] = []
        self.lines: list[str] = []
        self.cores: list[tuple[int, int]] = []
        self.active: fake_runtime.Runtime | None = None
        """The Runtime whose sequence is being written, since July 2026."""
        self._open: Task | None = None
        self._tiles: dict[tuple[int, int], Tile] = {}

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the fake where `import aie...` finds it, for one test."""
        homes: dict[str, dict[str, Any]] = {"aie": {"__path__": []}}
        placed = [n for n in self.api.signatures if n.startswith(("aie.dialects", "aie.extras"))]
        for name in placed:
            module, _, title = name.rpartition(".")
            homes.setdefault(module, {})[title] = getattr(self, title)
        homes[PLACED]["AIEDevice"] = SimpleNamespace(**{d: d for d in self.api.devices})
        homes |= fake_runtime.modules(self)
        for parent in ("aie.dialects", "aie.extras", "aie.helpers"):
            homes.setdefault(parent, {})
        for name, members in homes.items():
            module = ModuleType(name)
            module.__dict__.update(members)
            monkeypatch.setitem(sys.modules, name, module)

    @contextmanager
    def module(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(module=Module(self.lines))

    @recorded("aie.extras.context.mlir_mod_ctx")
    def mlir_mod_ctx(self, given: dict[str, Any]) -> Any:
        return self.module()

    @recorded(f"{PLACED}.device")
    def device(self, given: dict[str, Any]) -> Callable[[Callable[[], None]], None]:
        def decorate(body: Callable[[], None]) -> None:
            self.device_name = given["device"]
            self.lines.append(f"  aie.device({self.device_name}) {{")
            body()
            self.lines.append("  }")

        return decorate

    @recorded(f"{PLACED}.tile")
    def tile(self, given: dict[str, Any]) -> Tile:
        tile = Tile(given["col"], given["row"])
        self.lines.append(f"    {tile.name} = aie.tile({tile.column}, {tile.row})")
        return tile

    def tile_at(self, place: tuple[int, int]) -> Tile:
        """IRON's tiles: one operation for each place."""
        if place not in self._tiles:
            self._tiles[place] = self.tile(*place)
        return self._tiles[place]

    @recorded(f"{PLACED}.object_fifo")
    def object_fifo(self, given: dict[str, Any]) -> Fifo:
        tiles = given["producerTile"], given["consumerTiles"]
        fifo = Fifo(given["name"], *tiles, given["depth"], words_of(given["datatype"]))
        self.fifos.append(fifo)
        depth = fifo.depth
        each = ", ".join(f"{d} : i32" for d in ([depth] if isinstance(depth, int) else depth))
        depths = each if isinstance(depth, int) else f"[{each}]"
        self.lines.append(
            f"    aie.objectfifo @{fifo.name}({fifo.producer.name}, {{{fifo.consumer.name}}}, "
            f"{depths}) : !aie.objectfifo<memref<{fifo.words}xi32>> "
        )
        return fifo

    @recorded(f"{PLACED}.object_fifo_link")
    def object_fifo_link(self, given: dict[str, Any]) -> None:
        first, second = given["fifoIns"], given["fifoOuts"]
        self.links.append((first.name, second.name))
        offsets = f"({given['srcOffsets']} {given['dstOffsets']})"
        self.lines.append(f"    aie.objectfifo.link [@{first.name}] -> [@{second.name}]{offsets}")

    @recorded(f"{TASKS}.runtime_sequence")
    def runtime_sequence(self, given: dict[str, Any]) -> Callable[[Callable[..., None]], None]:
        def decorate(body: Callable[..., None]) -> None:
            self.buffers_words = tuple(map(words_of, given["inputs"]))
            names = [f"%arg{n}" for n in range(len(self.buffers_words))]
            typed = zip(names, self.buffers_words, strict=True)
            arguments = ", ".join(f"{name}: memref<{words}xi32>" for name, words in typed)
            title = given["sym_name"] or body.__name__
            # "sequence" is what the operation is called if nothing is said, and not printed.
            title = "" if title == "sequence" else f" @{title}"
            self.lines.append(f"    aie.runtime_sequence{title}({arguments}) {{")
            body(*names)
            self.lines.append("    }")

        return decorate

    @recorded(f"{TASKS}.dma_configure_task_for")
    def dma_configure_task_for(self, given: dict[str, Any]) -> Task:
        assert set(given["kwargs"]) <= {"issue_token", "repeat_count"}
        assert not given["args"]
        fifo = given["alloc"]
        name = fifo if isinstance(fifo, str) else fifo.name
        task = Task(len(self.tasks), name, bool(given["kwargs"].get("issue_token")))
        self.tasks.append(task)
        return task

    @recorded(f"{PLACED}.bds")
    def bds(self, given: dict[str, Any]) -> Any:
        return self._blocks(given["parent"])

    @contextmanager
    def _blocks(self, task: Task) -> Iterator[list[Block]]:
        self._open = task
        self.lines.append(f"      %{task.number} = aiex.dma_configure_task_for @{task.fifo} {{")
        yield [Block(task, index) for index in range(16)]
        self.lines += task.blocks
        self.lines.append("      } {issue_token = true}" if task.token else "      }")
        self._open = None

    @recorded(f"{TASKS}.shim_dma_bd")
    def shim_dma_bd(self, given: dict[str, Any]) -> None:
        assert self._open is not None
        self._bd(self._open, given)

    @recorded(f"{PLACED}.next_bd")
    def next_bd(self, given: dict[str, Any]) -> None:
        given["dest"].task.blocks.append(f"        aie.next_bd ^bb{given['dest'].index}")

    @recorded(f"{PLACED}.EndOp")
    def EndOp(self, given: dict[str, Any]) -> None:  # noqa: N802
        assert self._open is not None
        self._open.blocks.append("        aie.end")

    @recorded(f"{TASKS}.shim_dma_single_bd_task")
    def shim_dma_single_bd_task(self, given: dict[str, Any]) -> Task:
        task = self.dma_configure_task_for(
            given["alloc"], repeat_count=0, issue_token=given["issue_token"]
        )
        with self.bds(task):
            self._bd(task, given)
            self.EndOp()
        return task

    def _bd(self, task: Task, given: dict[str, Any]) -> None:
        """A BD, linear as all in the designs are."""
        tap = given["tap"]
        assert tap is None or given["offset"] is given["sizes"] is given["strides"] is None
        access = given if tap is None else vars(tap)
        offset, sizes, strides = access["offset"], access["sizes"], access["strides"]
        length = sizes[-1]
        assert (sizes, strides) == ([1, 1, 1, length], [0, 0, 0, 1])
        buffer = given["mem"]
        total = self.buffers_words[int(buffer.removeprefix("%arg"))]
        assert 0 <= offset < offset + length <= total
        task.spans.append((buffer, offset, length))
        dimensions = ", ".join(
            f"<size = {size}, stride = {stride}>"
            for size, stride in zip(sizes, strides, strict=True)
        )
        task.blocks.append(
            f"        aie.dma_bd({buffer} : memref<{total}xi32>, {offset}, {length}, "
            f"[{dimensions}]) {{burst_length = 0 : i32}}"
        )

    @recorded(f"{TASKS}.dma_start_task")
    def dma_start_task(self, given: dict[str, Any]) -> None:
        self._each("start", given)

    @recorded(f"{TASKS}.dma_await_task")
    def dma_await_task(self, given: dict[str, Any]) -> None:
        assert all(task.token for task in given["args"])
        self._each("await", given)

    @recorded(f"{TASKS}.dma_free_task")
    def dma_free_task(self, given: dict[str, Any]) -> None:
        self._each("free", given)

    def _each(self, verb: str, given: dict[str, Any]) -> None:
        assert given["args"]
        for task in given["args"]:
            self.order.append((verb, task.number))
            self.lines.append(f"      aiex.dma_{verb}_task(%{task.number})")


@dataclass(frozen=True)
class Module:
    lines: list[str]

    def __str__(self) -> str:
        return "\n".join(["module {", *self.lines, "}", ""])


def words_of(kind: Any) -> int:
    """Elements of an array type, which must be int32."""
    (words,), element = get_args(kind)
    assert "int32" in str(element)
    return words
