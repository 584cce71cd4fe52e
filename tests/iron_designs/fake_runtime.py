# SPDX-License-Identifier: Apache-2.0
"""IRON's Runtime and Program as a recorded commit of mlir-aie has them: both generations.

Until July 2026 the Runtime records and the Program emits; since then a function is run where the
operations are to be, and a task that was awaited is freed as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, get_args

import fake_iron
from fake_iron import IRON, Data, Endpoint, Handle, Kernel, Transfer, Worker
from recorded_api import Api, recorded

if TYPE_CHECKING:
    from fake_mlir_aie import FakeMlirAie


def modules(fake: FakeMlirAie) -> dict[str, dict[str, Any]]:
    """What `import aie.iron` and its neighbours find."""
    api = fake.api

    def maker(name: str, kind: Any) -> Callable[..., Any]:
        return lambda *args, **kwargs: kind(fake, api.bind(f"{name}.__init__", args, kwargs))

    own = {n: maker(f"{IRON}.{n}", CLASSES[n]) for n in CLASSES if api.has(f"{IRON}.{n}.__init__")}
    devices = {_class_name(name): lambda name=name: name for name in api.devices}
    tap = "aie.helpers.taplib.TensorAccessPattern"
    return {
        IRON: own,
        f"{IRON}.device": {"Tile": maker(f"{IRON}.device.Tile", fake_iron.Tile), **devices},
        "aie.helpers.taplib": {tap.rpartition(".")[2]: maker(tap, fake_iron.pattern)},
    }


def _class_name(device: str) -> str:
    """IRON's class of a device: NPU2Col4 for npu2_4col."""
    family, _, columns = device.partition("_")
    return family.upper() + (f"Col{columns.removesuffix('col')}" if columns else "")


@dataclass(eq=False)
class Tasks:
    """A task group: RuntimeTaskGroup, and TaskGroup since July 2026."""

    fake: FakeMlirAie
    frees_awaited: bool
    transfers: list[Transfer] = field(default_factory=list[Transfer])

    @property
    def api(self) -> Api:
        return self.fake.api

    def add(self, transfer: Transfer) -> None:
        self.transfers.append(transfer)

    @recorded(f"{IRON}.TaskGroup.finish")
    def finish(self, given: dict[str, Any]) -> None:
        assert self.fake.active is not None
        self.fake.active.open.remove(self)
        self.emit()

    def emit(self) -> None:
        """Waits first; a task that was awaited is free unless the release frees it as well."""
        for transfer in self.transfers:
            if transfer.wait:
                self.fake.dma_await_task(transfer.task)
        for transfer in self.transfers:
            if self.frees_awaited or not transfer.wait:
                self.fake.dma_free_task(transfer.task)


def TaskGroup(fake: FakeMlirAie, given: dict[str, Any]) -> Tasks:  # noqa: N802
    if fake.active is None:
        raise RuntimeError("TaskGroup() belongs in the function given to Runtime")
    fake.active.open.append(Tasks(fake, frees_awaited=True))
    return fake.active.open[-1]


class Runtime:
    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        self.fake, self.api = fake, fake.api
        self.function: Callable[..., None] | None = given.get("seq_fn")
        self.arguments: list[Any] = [
            arg if isinstance(arg, Handle) else Data(get_args(arg)[0][0])
            for arg in given.get("fn_args") or ()
        ]
        self.kinds = [arg for arg in given.get("fn_args") or () if not isinstance(arg, Handle)]
        self.data: Sequence[Data] = [arg for arg in self.arguments if isinstance(arg, Data)]
        self.handles: list[Handle] = [arg for arg in self.arguments if isinstance(arg, Handle)]
        for handle in self.handles:
            assert handle.shim is not None, "the design says which shim"
            handle.tie(Endpoint(handle.shim))
        self.open: list[Tasks] = []
        self.workers: list[Worker] = []
        self.steps: list[Callable[[], None]] = []

    @recorded(f"{IRON}.Runtime.sequence")
    def sequence(self, given: dict[str, Any]) -> Any:
        self.kinds = given["input_types"]
        self.data = [Data(get_args(kind)[0][0]) for kind in self.kinds]
        return self._recording()

    @contextmanager
    def _recording(self) -> Iterator[Any]:
        yield self.data[0] if len(self.data) == 1 else tuple(self.data)
        if self.open:
            raise ValueError("Failed to close task groups")

    @recorded(f"{IRON}.Runtime.start")
    def start(self, given: dict[str, Any]) -> None:
        self.workers += given["args"]

    @recorded(f"{IRON}.Runtime.task_group")
    def task_group(self, given: dict[str, Any]) -> Tasks:
        self.open.append(Tasks(self.fake, frees_awaited=False))
        return self.open[-1]

    @recorded(f"{IRON}.Runtime.finish_task_group")
    def finish_task_group(self, given: dict[str, Any]) -> None:
        self.open.remove(given["task_group"])
        self.steps.append(given["task_group"].emit)

    @recorded(f"{IRON}.Runtime.fill")
    def fill(self, given: dict[str, Any]) -> None:
        self._record(given["in_fifo"], given["source"], given)

    @recorded(f"{IRON}.Runtime.drain")
    def drain(self, given: dict[str, Any]) -> None:
        self._record(given["out_fifo"], given["dest"], given)

    def _record(self, handle: Handle, data: Data, given: dict[str, Any]) -> None:
        if not any(data is known for known in self.data):
            raise ValueError(f"{data} is not of sequence()")
        handle.tie(Endpoint(given["tile" if "tile" in given else "placement"]))
        self.handles.append(handle)
        transfer = Transfer(handle, data, given["tap"], given["wait"])
        self.steps.append(transfer.emit)
        given["task_group"].add(transfer)

    def run(self, *values: str) -> None:
        """Within the runtime_sequence operation."""
        for data, value in zip(self.data, values, strict=True):
            data.value = value
        for step in self.steps:
            step()
        if self.function is not None:
            self.fake.active = self
            self.function(*self.arguments)
            self.fake.active = None
            assert not self.open, "Failed to close task groups"


class Program:
    def __init__(self, fake: FakeMlirAie, given: dict[str, Any]) -> None:
        self.fake, self.api = fake, fake.api
        self.device, self.runtime = given["device"], given["rt"]
        self.workers = [*(given.get("workers") or ()), *self.runtime.workers]

    @recorded(f"{IRON}.Program.resolve_program")
    def resolve_program(self, given: dict[str, Any]) -> Any:
        assert given.get("placer") is None, "everything is placed"
        with self.fake.mlir_mod_ctx() as context:
            self.fake.device(self.device)(self._body)
            return context.module

    def _body(self) -> None:
        handles = [*self.runtime.handles, *(h for w in self.workers for h in w.handles)]
        fifos = sorted({handle.fifo for handle in handles}, key=lambda fifo: fifo.name)
        for worker in self.workers:
            self.fake.tile_at(worker.tile.place)
        for fifo in fifos:
            for handle in fifo.handles:
                self.fake.tile_at(handle.place)
        for fifo in fifos:
            fifo.resolve()
        for worker in self.workers:
            for arg in worker.args:
                if isinstance(arg, Kernel):
                    arg.resolve()
        for worker in self.workers:
            worker.resolve()
        self.fake.runtime_sequence(*self.runtime.kinds, sym_name="sequence")(self.runtime.run)


CLASSES: dict[str, Any] = {
    "Kernel": Kernel,
    "ObjectFifo": fake_iron.ObjectFifo,
    "Program": Program,
    "Runtime": Runtime,
    "TaskGroup": TaskGroup,
    "Worker": Worker,
}
"""What `aie.iron` exports, as far as a record has it."""
