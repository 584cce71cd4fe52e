# SPDX-License-Identifier: Apache-2.0
"""Stands in for mlir-aie: records the calls a design makes and prints them as mlir-aie would.

That the printing is right is checked against text that mlir-aie itself printed (`data/*.mlir`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import ModuleType, SimpleNamespace
from typing import Any, get_args

import pytest


@dataclass
class Fifo:
    name: str
    producer: tuple[int, int]
    consumer: tuple[int, int]
    depth: int
    words: int


@dataclass
class Task:
    number: int
    fifo: Fifo
    buffer: str
    offset: int
    length: int
    token: bool


@dataclass
class FakeMlirAie:
    """Everything that was called, by kind, and the order of the task calls."""

    device_name: str = ""
    fifos: list[Fifo] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    buffers_words: tuple[int, ...] = ()
    tasks: list[Task] = field(default_factory=list)
    order: list[tuple[str, int]] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Put the fake where `import aie...` finds it, for one test."""
        homes = {
            "aie": {},
            "aie.dialects": {},
            "aie.dialects.aie": {
                "AIEDevice": _AnyName(),
                "device": self.device,
                "tile": self.tile,
                "object_fifo": self.object_fifo,
                "object_fifo_link": self.object_fifo_link,
            },
            "aie.dialects.aiex": {
                "runtime_sequence": self.runtime_sequence,
                "shim_dma_single_bd_task": self.shim_dma_single_bd_task,
                "dma_start_task": self.on_tasks("start"),
                "dma_await_task": self.on_tasks("await"),
                "dma_free_task": self.on_tasks("free"),
            },
            "aie.extras": {},
            "aie.extras.context": {"mlir_mod_ctx": self.mlir_mod_ctx},
        }
        for name, members in homes.items():
            module = ModuleType(name)
            module.__dict__.update(members)
            monkeypatch.setitem(sys.modules, name, module)

    @contextmanager
    def mlir_mod_ctx(self) -> Iterator[SimpleNamespace]:
        yield SimpleNamespace(module=_Module(self.lines))

    def device(self, name: str) -> Callable[[Callable[[], None]], None]:
        def decorate(body: Callable[[], None]) -> None:
            self.device_name = name
            self.lines.append(f"  aie.device({name}) {{")
            body()
            self.lines.append("  }")

        return decorate

    def tile(self, column: int, row: int) -> tuple[int, int]:
        self.lines.append(f"    {_tile(column, row)} = aie.tile({column}, {row})")
        return column, row

    def object_fifo(
        self, name: str, producer: tuple[int, int], consumer: tuple[int, int], depth: int, kind: Any
    ) -> Fifo:
        fifo = Fifo(name, producer, consumer, depth, _words(kind))
        self.fifos.append(fifo)
        self.lines.append(
            f"    aie.objectfifo @{name}({_tile(*producer)}, {{{_tile(*consumer)}}}, {depth} : i32)"
            f" : !aie.objectfifo<memref<{fifo.words}xi32>> "
        )
        return fifo

    def object_fifo_link(self, first: Fifo, second: Fifo) -> None:
        self.links.append((first.name, second.name))
        self.lines.append(f"    aie.objectfifo.link [@{first.name}] -> [@{second.name}]([] [])")

    def runtime_sequence(self, *kinds: Any) -> Callable[[Callable[..., None]], None]:
        def decorate(body: Callable[..., None]) -> None:
            self.buffers_words = tuple(map(_words, kinds))
            names = [f"%arg{n}" for n in range(len(kinds))]
            typed = zip(names, self.buffers_words, strict=True)
            arguments = ", ".join(f"{name}: memref<{words}xi32>" for name, words in typed)
            self.lines.append(f"    aie.runtime_sequence @{body.__name__}({arguments}) {{")
            body(*names)
            self.lines.append("    }")

        return decorate

    def shim_dma_single_bd_task(
        self,
        fifo: Fifo,
        buffer: str,
        *,
        offset: int,
        sizes: list[int],
        strides: list[int],
        issue_token: bool,
    ) -> Task:
        task = Task(len(self.tasks), fifo, buffer, offset, sizes[-1], issue_token)
        assert (sizes, strides) == ([1, 1, 1, task.length], [0, 0, 0, 1])
        self.tasks.append(task)
        total = self.buffers_words[int(buffer.removeprefix("%arg"))]
        dimensions = ", ".join(
            f"<size = {size}, stride = {stride}>"
            for size, stride in zip(sizes, strides, strict=True)
        )
        self.lines += [
            f"      %{task.number} = aiex.dma_configure_task_for @{fifo.name} {{",
            f"        aie.dma_bd({buffer} : memref<{total}xi32>, {offset}, {task.length}, "
            f"[{dimensions}]) {{burst_length = 0 : i32}}",
            "        aie.end",
            "      } {issue_token = true}" if issue_token else "      }",
        ]
        return task

    def on_tasks(self, verb: str) -> Callable[..., None]:
        def call(*tasks: Task) -> None:
            for task in tasks:
                self.order.append((verb, task.number))
                self.lines.append(f"      aiex.dma_{verb}_task(%{task.number})")

        return call


class _AnyName:
    """An enumeration with every member: the name itself."""

    def __getattr__(self, name: str) -> str:
        return name


@dataclass
class _Module:
    lines: list[str]

    def __str__(self) -> str:
        return "\n".join(["module {", *self.lines, "}", ""])


def _words(kind: Any) -> int:
    (words,), _ = get_args(kind)
    return words


def _tile(column: int, row: int) -> str:
    return f"%{('shim_noc', 'mem')[row]}_tile_{column}_{row}"
