# SPDX-License-Identifier: Apache-2.0
"""IRON's fifos, workers and kernels as a recorded commit of mlir-aie has them.

One set of classes for all records: a method is there only if the record has it. What the methods do
is written after python/iron of 7fa34218bb0c (2026-03), 57d7494e99c2 (2026-07, the last before the
Runtime was rewritten) and 3ca0193cea9e (2026-08). `fake_runtime` has the rest, `fake_mlir_aie` is
below both.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, get_args

from recorded_api import Api, recorded

if TYPE_CHECKING:
    from fake_mlir_aie import FakeMlirAie

IRON = "aie.iron"


class pattern(SimpleNamespace):  # noqa: N801
    """A TensorAccessPattern."""

    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        (total,) = given["tensor_dims"]
        assert 0 <= given["offset"] < total
        assert len(given["sizes"]) == len(given["strides"])
        super().__init__(**given)


class Tile:
    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        self.place = (given["col"], given["row"])


@dataclass
class Data:
    """A host buffer of the sequence."""

    words: int
    value: str = ""

    @property
    def shape(self) -> tuple[int]:
        return (self.words,)


class ObjectFifo:
    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        self.fake, self.api = fake, fake.api
        self.name, self.kind, self.depth = given["name"], given["obj_type"], given["depth"]
        self.producer: Handle | None = None
        self.consumers: list[Handle] = []
        self.op: Any = None

    @recorded(f"{IRON}.ObjectFifo.prod")
    def prod(self, given: dict[str, Any]) -> Handle:
        if self.producer is None:
            self.producer = Handle(self, given["depth"] or self.depth, given.get("tile"), True)
        return self.producer

    @recorded(f"{IRON}.ObjectFifo.cons")
    def cons(self, given: dict[str, Any]) -> Handle:
        depth = given["depth"] or self.depth
        self.consumers.append(Handle(self, depth, given.get("tile"), False))
        return self.consumers[-1]

    @property
    def handles(self) -> list[Handle]:
        assert self.producer is not None and self.consumers, f"{self.name} lacks an end"
        return [self.producer, *self.consumers]

    def resolve(self) -> None:
        if self.op is not None:
            return
        producer, consumer = self.handles
        tiles = [self.fake.tile_at(handle.place) for handle in (producer, consumer)]
        same = producer.depth == consumer.depth
        depths = producer.depth if same else [producer.depth, consumer.depth]
        self.op = self.fake.object_fifo(self.name, *tiles, depths, self.kind)
        for handle in self.handles:
            if isinstance(handle.endpoint, Link):
                handle.endpoint.resolve()


@dataclass(eq=False)
class Handle:
    """An ObjectFifoHandle."""

    fifo: ObjectFifo
    depth: int
    shim: Tile | None
    is_producer: bool
    endpoint: Any = None

    @property
    def api(self) -> Api:
        return self.fifo.api

    @property
    def place(self) -> tuple[int, int]:
        assert self.endpoint is not None, f"{self.fifo.name} has an end that nobody uses"
        return self.endpoint.tile.place

    def tie(self, endpoint: Any) -> None:
        """Once and for all; a shim's endpoints are equal if their tiles are."""
        old = self.endpoint
        if old is not None and old is not endpoint and old.tile.place != endpoint.tile.place:
            raise ValueError(f"the endpoint of {self.fifo.name} is already set")
        self.endpoint = endpoint

    @recorded(f"{IRON}.ObjectFifoHandle.forward")
    def forward(self, given: dict[str, Any]) -> ObjectFifo:
        assert not self.is_producer
        made = ObjectFifo(
            self.fifo.fake,
            {
                "name": given["name"] or f"{self.fifo.name}_fwd",
                "obj_type": given["obj_type"] or self.fifo.kind,
                "depth": given["depth"] or self.depth,
            },
        )
        Link(self, made.prod(), given["tile" if "tile" in given else "placement"])
        return made

    @recorded(f"{IRON}.ObjectFifoHandle.acquire")
    def acquire(self, given: dict[str, Any]) -> str:
        assert 1 <= given["num_elem"] <= self.depth
        return self._core_op("acquire", given["num_elem"])

    @recorded(f"{IRON}.ObjectFifoHandle.release")
    def release(self, given: dict[str, Any]) -> None:
        assert 1 <= given["num_elem"] <= self.depth
        self._core_op("release", given["num_elem"])

    def _core_op(self, verb: str, count: int) -> str:
        port = "Produce" if self.is_producer else "Consume"
        line = f"        aie.objectfifo.{verb} @{self.fifo.name}({port}, {count})"
        self.fifo.fake.lines.append(line)
        return f"%{self.fifo.name}"

    @recorded(f"{IRON}.ObjectFifoHandle.fill")
    def fill(self, given: dict[str, Any]) -> None:
        if not self.is_producer:
            raise ValueError("fill() is only valid on a producer")
        self._now(given["source"], given)

    @recorded(f"{IRON}.ObjectFifoHandle.drain")
    def drain(self, given: dict[str, Any]) -> None:
        if self.is_producer:
            raise ValueError("drain() is only valid on a consumer")
        self._now(given["dest"], given)

    def _now(self, data: Data, given: dict[str, Any]) -> None:
        """Emit the transfer where the sequence is being written."""
        runtime = self.fifo.fake.active
        if runtime is None or data not in runtime.data:
            raise ValueError("fill() and drain() belong in the function given to Runtime")
        assert self in runtime.handles, "a handle that the Runtime was not given"
        transfer = Transfer(self, data, given["tap"], given["wait"])
        transfer.emit()
        given["group"].add(transfer)


class Link:
    def __init__(self, source: Handle, destination: Handle, tile: Tile) -> None:
        self.source, self.destination, self.tile = source, destination, tile
        self.done = False
        source.tie(self)
        destination.tie(self)

    def resolve(self) -> None:
        if self.done:
            return
        self.done = True
        first, second = self.source.fifo, self.destination.fifo
        first.resolve()
        second.resolve()
        first.fake.object_fifo_link(first.op, second.op, [], [0])


@dataclass
class Endpoint:
    """Where the host fills or drains."""

    tile: Tile


@dataclass(eq=False)
class Transfer:
    handle: Handle
    data: Data
    tap: Any
    wait: bool
    task: Any = None

    def emit(self) -> None:
        fake, name = self.handle.fifo.fake, self.handle.fifo.name
        assert self.tap is not None
        self.task = fake.shim_dma_single_bd_task(
            name, self.data.value, tap=self.tap, issue_token=self.wait
        )
        fake.dma_start_task(self.task)


class Kernel:
    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        self.fake, self.api = fake, fake.api
        self.name, self.file, self.kinds = (
            given[key] for key in ("name", "object_file_name", "arg_types")
        )
        self.declared = False

    def __call__(self, *args: Any) -> None:
        self.api.called.add(f"{IRON}.Kernel.__call__")
        assert self.declared
        if len(args) != len(self.kinds):
            raise ValueError(f"{self.name} takes {len(self.kinds)} arguments")
        self.fake.lines.append(f"        func.call @{self.name}({', '.join(args)})")

    def resolve(self) -> None:
        if not self.declared:
            sizes = ", ".join(f"memref<{get_args(kind)[0][0]}xi32>" for kind in self.kinds)
            link = f'{{link_with = "{self.file}"}}'
            self.fake.lines.append(f"    func.func private @{self.name}({sizes}) attributes {link}")
        self.declared = True


class Worker:
    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        self.fake = fake
        self.function, self.args = given["core_fn"], list(given["fn_args"] or ())
        self.tile: Tile = given["tile" if "tile" in given else "placement"]
        if any(isinstance(arg, ObjectFifo) for arg in self.args):
            raise ValueError("Cannot give an ObjectFifo directly to a worker")
        for handle in self.handles:
            handle.tie(self)

    @property
    def handles(self) -> list[Handle]:
        return [arg for arg in self.args if isinstance(arg, Handle)]

    def resolve(self) -> None:
        self.fake.lines.append(f"    aie.core({self.fake.tile_at(self.tile.place).name}) {{")
        self.fake.cores.append(self.tile.place)
        self.function(*self.args)
        self.fake.lines.append("    }")
