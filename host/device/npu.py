# SPDX-License-Identifier: Apache-2.0
"""`open_device`: an NPU, or the simulator in its place, with the same calls, errors and records."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any
from weakref import WeakSet

from numpy.typing import DTypeLike

from aie2.devices import Device as DeviceFacts
from firmware_sim.pyxrt import simulation
from firmware_sim.pyxrt.simulation import Settings
from host.device.backends import Backend, choose
from host.device.buffers import Buffer, Shape, Sync
from host.device.design import KERNEL, Design
from host.device.errors import BadArguments
from iron_designs.compiler.build import Compiled


def open_device(
    backend: str | None = None,
    *,
    device: str | None = None,
    index: int = 0,
    settings: Settings | None = None,
) -> Device:
    """Open a device; use it in a `with` block.

    Args:
        backend: "sim", "xrt" (an NPU through pyxrt), or "auto" (an NPU if there is one); None: as
            the environment variable SPARSEBD_BACKEND says, else "sim".
        device: "npu1" or "npu2": what to simulate, or what the NPU must be.
        index: Which NPU.
        settings: What the simulator simulates: profile, firmware, clock, calibration, faults.

    Raises:
        UsageError: no such backend or device, or settings of another device.
        PyxrtMissing, DeviceNotFound: "xrt" was asked for and cannot be had.
    """
    if settings is not None and device not in (None, settings.device):
        raise BadArguments(
            f"the settings simulate {settings.device} and {device} was asked for: give one of them"
        )
    wanted = device or (settings.device if settings is not None else None)

    def simulated(name: str) -> Any:
        return simulation.open(settings or Settings(device=name, messages=False))

    return Device(choose(backend, wanted, index, simulated))


class Device:
    """An open device; `open_device` makes it."""

    def __init__(self, backend: Backend) -> None:
        self._backend: Backend | None = backend
        self._designs: WeakSet[Design] = WeakSet()

    @property
    def backend(self) -> str:
        """Which one: "sim" or "xrt"."""
        return self._open.name

    @property
    def backend_reason(self) -> str:
        """Why it is this one."""
        return self._open.reason

    @property
    def facts(self) -> DeviceFacts:
        """What the device is: npu1 or npu2, its columns, queues and clocks."""
        return self._open.facts

    @property
    def title(self) -> str:
        """Name that the device gives itself."""
        return self._open.title

    def load(self, xclbin: bytes | str | Path | Compiled, kernel: str = KERNEL) -> Design:
        """Load a design from its file, its bytes, or as the built-in compiler made it.

        Raises:
            XclbinError, OSError: it cannot be read.
            BadArguments: it has no such kernel, or the driver refuses it.
            PartitionMisfit: the driver gives no context for it.
            OutOfMemory, DeviceLost: the driver says so.
        """
        design = Design(self._open, xclbin, kernel)
        self._designs.add(design)
        return design

    def buffer(self, shape: Shape, dtype: DTypeLike = "uint32", sync: Sync = "auto") -> Buffer:
        """A buffer whose `array` is a numpy array in memory that both sides see.

        Args:
            shape: Of the array.
            dtype: Of its elements.
            sync: "auto": brought to the device before runs and back after them; "in" and "out":
                one way only; "explicit": left to the program.

        Raises:
            BadArguments: no shape, or a dtype that is not known or holds objects.
            OutOfMemory: the driver has no memory for it.
        """
        return Buffer(self._open.pyxrt, self._open.device, shape, dtype, sync)

    def simulate(self, **changes: Any) -> None:
        """Change what the simulator simulates for the runs to come: profile, firmware, l2, ...

        Raises:
            BadArguments: this is an NPU.
        """
        if self.backend != "sim":
            raise BadArguments("an NPU has no settings: open the backend sim")
        opened = self._open.device
        simulation.reconfigure(opened, replace(simulation.settings(opened), **changes))

    def close(self) -> None:
        """Let go of all designs and of the device; once more does nothing.

        Waits for runs that were given up and have not ended. Buffers live on as long as somebody
        holds them or an array of theirs.
        """
        backend, self._backend = self._backend, None
        for design in list(self._designs):
            design.close()
        if backend is not None:
            backend.parked.close()

    @property
    def _open(self) -> Backend:
        if self._backend is None:
            raise BadArguments("the device is closed: open it again")
        return self._backend

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
