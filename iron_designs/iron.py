# SPDX-License-Identifier: Apache-2.0
"""IRON's classes as one small vocabulary over both generations of its API.

A design makes fifos, workers and kernels with IRON's own classes, which both generations call in
the same way (where a tile is given, by position), and uses this vocabulary for what they do not:

* `Array.lane`: the ends of fifos at a column's shim, which the host fills and drains;
* `Array.group`, `Group.fill`, `Group.drain`: the runtime sequence;
* `Array.resolve`: the program, as MLIR.

Generations, as read from mlir-aie's sources: until July 2026 (7fa34218bb0c, 2026-03-24, compiled
the goldens) `Runtime` is a recorder with `sequence`, `fill`, `drain`, `start`, `task_group`; since
#3387 of 28 July 2026 (3ca0193cea9e, 2026-08-14) it takes a function that runs once, fifo handles
have `fill` and `drain`, `TaskGroup` is a class and `Program` takes the workers. The sibling for
designs below `aie.iron` is `iron_designs.placed`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Literal

from aie2.devices import Device
from aie2.fields import WORD_BYTES
from iron_designs import mlir_aie
from iron_designs.placed import words

SHARED = {
    "aie.helpers.taplib": ("TensorAccessPattern",),
    "aie.iron": ("Kernel", "ObjectFifo", "Program", "Runtime", "Worker"),
    "aie.iron.device": ("Tile",),
}
"""What both generations have, by the module it is in; the partition's class comes on top."""

REWRITTEN = {**SHARED, "aie.iron": (*SHARED["aie.iron"], "TaskGroup")}
"""What the generation since July 2026 has: `TaskGroup` tells it from the former."""


Body = Callable[..., None]
"""A runtime sequence: gets one host buffer for each size it is resolved with."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The way from DDR into one column, and back if there is one: fifo handles at its shim."""

    shim: Any
    """Tile of the column's shim."""
    down: Any
    """Producer handle of the fifo that leaves it."""
    up: Any = None
    """Consumer handle of the fifo that returns to it."""


class Array(ABC):
    """One program in the making, for a partition of so many columns.

    `iron` holds IRON's own classes: ObjectFifo, Tile, Worker, Kernel.
    """

    def __init__(self, iron: SimpleNamespace, device: Device, columns: int) -> None:
        self.iron = iron
        self._partition = _partition(device, columns)
        self._lanes: list[Lane] = []

    def lane(self, column: int, down: Any, up: Any = None) -> Lane:
        """Tie the shim of a column to the start of fifo `down` and to the end of fifo `up`."""
        shim = self.iron.Tile(column, 0)
        ends = self._start(down, shim), None if up is None else self._end(up, shim)
        self._lanes.append(Lane(shim, *ends))
        return self._lanes[-1]

    def pass_through(self, column: int, object_bytes: int) -> Lane:
        """A lane whose objects come back: down to the column's memtile, forwarded up again."""
        down = self.iron.ObjectFifo(words(object_bytes), name=f"down{column}")
        memtile = self.iron.Tile(column, 1)
        return self.lane(column, down, down.cons().forward(memtile, name=f"up{column}"))

    @contextmanager
    def group(self) -> Iterator[Group]:
        """Transfers that end together: those that wait are awaited, then all BDs are free."""
        tasks = self._open()
        yield Group(self, tasks)
        self._finish(tasks)

    @abstractmethod
    def resolve(self, body: Body, buffer_bytes: Sequence[int], workers: Sequence[Any] = ()) -> str:
        """Text of the MLIR module; `body` moves the data, `workers` run on the cores."""

    @abstractmethod
    def transfer(
        self,
        verb: Literal["fill", "drain"],
        lane: Lane,
        buffer: Any,
        span: tuple[int, int],
        tasks: Any,
        wait: bool,
    ) -> None:
        """One BD over the bytes `span` (first, how many) of a host buffer."""

    @abstractmethod
    def _start(self, fifo: Any, shim: Any) -> Any: ...

    @abstractmethod
    def _end(self, fifo: Any, shim: Any) -> Any: ...

    @abstractmethod
    def _open(self) -> Any: ...

    @abstractmethod
    def _finish(self, tasks: Any) -> None: ...

    def _pattern(self, buffer: Any, span: tuple[int, int]) -> Any:
        """Neighbouring bytes of a buffer as one linear BD takes them."""
        first, length = (size // WORD_BYTES for size in span)
        return self.iron.TensorAccessPattern(
            tuple(buffer.shape), first, [1, 1, 1, length], [0, 0, 0, 1]
        )


@dataclass(frozen=True, slots=True)
class Group:
    """Transfers of an open group."""

    array: Array
    tasks: Any
    """IRON's task group."""

    def fill(
        self, lane: Lane, source: Any, at_bytes: int, size_bytes: int, *, wait: bool = False
    ) -> None:
        """Read bytes of a host buffer into the lane."""
        self.array.transfer("fill", lane, source, (at_bytes, size_bytes), self.tasks, wait)

    def drain(self, lane: Lane, destination: Any, at_bytes: int, size_bytes: int) -> None:
        """Write what comes back on the lane into a host buffer, and wait for it."""
        self.array.transfer("drain", lane, destination, (at_bytes, size_bytes), self.tasks, True)


def array(device: Device, columns: int) -> Array:
    """An empty program in whichever generation of IRON is installed.

    Raises:
        ToolchainMissing: mlir-aie cannot be imported.
    """
    if mlir_aie.has("aie.iron", "TaskGroup"):
        return _Rewritten(mlir_aie.load(REWRITTEN), device, columns)
    return _Recording(mlir_aie.load(SHARED), device, columns)


class _Recording(Array):
    """Until July 2026: `Runtime` records tasks, and the program emits them when it resolves."""

    def __init__(self, iron: SimpleNamespace, device: Device, columns: int) -> None:
        super().__init__(iron, device, columns)
        self._runtime = iron.Runtime()

    def resolve(self, body: Body, buffer_bytes: Sequence[int], workers: Sequence[Any] = ()) -> str:
        with self._runtime.sequence(*map(words, buffer_bytes)) as buffers:
            if workers:
                self._runtime.start(*workers)
            body(*(buffers if len(buffer_bytes) > 1 else (buffers,)))
        return str(self.iron.Program(self._partition, self._runtime).resolve_program())

    def transfer(
        self,
        verb: Literal["fill", "drain"],
        lane: Lane,
        buffer: Any,
        span: tuple[int, int],
        tasks: Any,
        wait: bool,
    ) -> None:
        end = lane.down if verb == "fill" else lane.up
        record = getattr(self._runtime, verb)
        # By position: the last argument is `placement` in March 2026 and `tile` from June on.
        record(end, buffer, self._pattern(buffer, span), tasks, wait, lane.shim)

    def _start(self, fifo: Any, shim: Any) -> Any:
        return fifo.prod()

    def _end(self, fifo: Any, shim: Any) -> Any:
        return fifo.cons()

    def _open(self) -> Any:
        return self._runtime.task_group()

    def _finish(self, tasks: Any) -> None:
        self._runtime.finish_task_group(tasks)


class _Rewritten(Array):
    """Since July 2026: the sequence is a function, run once where the tasks are to be."""

    def resolve(self, body: Body, buffer_bytes: Sequence[int], workers: Sequence[Any] = ()) -> str:
        ends = [end for lane in self._lanes for end in (lane.down, lane.up) if end is not None]

        def sequence(*arguments: Any) -> None:
            body(*arguments[: len(buffer_bytes)])

        runtime = self.iron.Runtime(sequence, [*map(words, buffer_bytes), *ends])
        program = self.iron.Program(self._partition, runtime, workers=list(workers))
        return str(program.resolve_program())

    def transfer(
        self,
        verb: Literal["fill", "drain"],
        lane: Lane,
        buffer: Any,
        span: tuple[int, int],
        tasks: Any,
        wait: bool,
    ) -> None:
        end = lane.down if verb == "fill" else lane.up
        getattr(end, verb)(buffer, tap=self._pattern(buffer, span), wait=wait, group=tasks)

    def _start(self, fifo: Any, shim: Any) -> Any:
        return fifo.prod(tile=shim)

    def _end(self, fifo: Any, shim: Any) -> Any:
        return fifo.cons(tile=shim)

    def _open(self) -> Any:
        return self.iron.TaskGroup()

    def _finish(self, tasks: Any) -> None:
        tasks.finish()


def _partition(device: Device, columns: int) -> Any:
    """An instance of IRON's class for so many columns, e.g. NPU2Col4; NPU2 at full width."""
    full = device.name.upper()
    title = full if columns == device.columns else f"{full}Col{columns}"
    return getattr(mlir_aie.load({"aie.iron.device": (title,)}), title)()
