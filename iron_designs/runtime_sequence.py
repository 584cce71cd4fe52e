# SPDX-License-Identifier: Apache-2.0
"""What the host asks of a design's shim DMAs: tasks of BDs on its fifos, and when to wait.

`iron_designs.compiler.sequence` makes it an instruction stream, `iron_designs.compiler.mlir` prints
it. The words are those of mlir-aie's runtime sequences (dma_configure_task_for, dma_start_task,
dma_await_task, dma_free_task); sizes and offsets are in 32-bit words.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

from iron_designs.dataflow import Dim
from iron_designs.errors import DesignError

DIMS = 4
"""Dimensions of a shim BD, outermost first: iteration, D2, D1, D0."""


@dataclass(frozen=True, slots=True)
class ShimBd:
    """One BD: `words` of host buffer `arg` from `offset`, in the order of `dims`."""

    arg: int
    offset: int
    words: int
    dims: tuple[Dim, Dim, Dim, Dim]

    @property
    def is_linear(self) -> bool:
        """Whether the words of one run lie one after the other (mlir-aie's isLinearTransfer)."""
        _, d2, d1, d0 = self.dims
        return (d2.size, d2.stride, d1.size, d1.stride, d0.stride) == (1, 0, 1, 0, 1)


def linear(arg: int, offset: int, words: int) -> ShimBd:
    """Consecutive words."""
    once = Dim(1, 0)
    return ShimBd(arg, offset, words, (once, once, once, Dim(words, 1)))


def strided(arg: int, offset: int, *dims: tuple[int, int]) -> ShimBd:
    """n-d access: (size, stride) outermost first, at most four; the first of four is iteration."""
    if not 1 <= len(dims) <= DIMS:
        raise DesignError(f"a shim BD has 1 to {DIMS} dimensions, not {len(dims)}")
    padded = [Dim(1, 0)] * (DIMS - len(dims)) + [Dim(*dim) for dim in dims]
    iteration, d2, d1, d0 = padded
    words = prod(dim.size for dim in (d2, d1, d0))
    return ShimBd(arg, offset, words, (iteration, d2, d1, d0))


@dataclass(frozen=True, slots=True, eq=False)
class Task:
    """A chain of BDs on the shim end of a fifo, run once and `repeat` times more."""

    fifo: str
    bds: tuple[ShimBd, ...]
    token: bool = False
    """Whether its end can be awaited."""
    repeat: int = 0


def single(fifo: str, bd: ShimBd, *, token: bool = False) -> Task:
    """A task of one BD; its iterations are repeats of the task."""
    return Task(fifo, (bd,), token, bd.dims[0].size - 1)


@dataclass(frozen=True, slots=True)
class Configure:
    """Write the BDs of a task."""

    task: Task


@dataclass(frozen=True, slots=True)
class Start:
    """Push a task on its channel's queue."""

    task: Task


@dataclass(frozen=True, slots=True)
class Await:
    """Wait for a task's token; its BDs are free then."""

    task: Task


@dataclass(frozen=True, slots=True)
class Free:
    """Take a task's BDs as free."""

    task: Task


Step = Configure | Start | Await | Free


@dataclass(slots=True)
class RuntimeSequence:
    """Steps over host buffers of `arguments` words each, built up by its methods."""

    arguments: tuple[int, ...]
    steps: list[Step] = field(default_factory=list[Step])
    name: str = "run"

    def configure(self, *tasks: Task) -> None:
        """Write the BDs of tasks."""
        self.steps += [Configure(task) for task in tasks]

    def start(self, *tasks: Task) -> None:
        """Push tasks."""
        self.steps += [Start(task) for task in tasks]

    def wait(self, *tasks: Task) -> None:
        """Await the tokens of tasks."""
        self.steps += [Await(task) for task in tasks]

    def free(self, *tasks: Task) -> None:
        """Give back the BDs of tasks."""
        self.steps += [Free(task) for task in tasks]
