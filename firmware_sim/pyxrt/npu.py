# SPDX-License-Identifier: Apache-2.0
"""A simulated NPU as its driver sees it: contexts, the heap for instructions, faults to come.

Limits: xdna-driver drivers/accel/amdxdna (contexts per device, heap base, size and alignment).
"""

from __future__ import annotations

import errno
import os
from bisect import insort
from dataclasses import dataclass, field
from functools import cache

from aie2.devices import Device
from aie2.devices import device as device_named
from firmware_sim.array.configure import Configuration
from firmware_sim.errors import ConfigurationError
from firmware_sim.inputs import start_column_of
from firmware_sim.pyxrt.containers import Content
from firmware_sim.pyxrt.failures import ioctl_error, shim_error
from firmware_sim.pyxrt.settings import Settings, SettingsError, from_environment

MEBIBYTE = 1 << 20
HEAP_BASE = 0x4000000
HEAP_ALIGNMENT = 32 * 1024
MAX_SLOT = 255
"""A context's number has eight bits in a group id."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What the driver of a device allows."""

    title: str
    """Name that `get_info` gives."""
    contexts: int
    heap_bytes: int


LIMITS = {
    "npu1": Limits("NPU Phoenix", 6, 64 * MEBIBYTE),
    "npu2": Limits("NPU Strix", 16, 512 * MEBIBYTE),
}
"""By device name."""


@dataclass
class Heap:
    """Device memory for instruction buffers: first fit."""

    size_bytes: int
    taken: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    """(first byte, first byte behind), in order."""

    def allocate(self, size_bytes: int) -> int:
        """Device address of `size_bytes` bytes.

        Raises:
            RuntimeError: the heap is full, as the shim says it.
        """
        first = 0
        for start, end in self.taken:
            if start - first >= size_bytes:
                break
            first = -(-end // HEAP_ALIGNMENT) * HEAP_ALIGNMENT
        if first + size_bytes > self.size_bytes:
            raise shim_error(
                f"Heap at max size {self.size_bytes}, can't expand further", errno.ENOSPC
            )
        insort(self.taken, (first, first + size_bytes))
        return HEAP_BASE + first

    def free(self, address: int) -> None:
        """Give back what `allocate` gave."""
        self.taken[:] = [part for part in self.taken if part[0] != address - HEAP_BASE]


@dataclass
class Npu:
    """One NPU; `pyxrt.device` objects with the same index share it."""

    settings: Settings
    slots: set[int] = field(default_factory=set[int])
    """Numbers of the contexts that are open."""
    registered: dict[str, Content] = field(default_factory=dict[str, Content])
    """Containers by UUID."""
    loaded: str | None = None
    """UUID of the container that the deprecated `load_xclbin` loaded last."""
    runs: int = 0
    """Runs that were started since the settings were made."""
    hung: int = 0
    """Runs that hang and have not been waited for; those that are queued behind them abort."""
    said: set[str] = field(default_factory=set[str])
    """What has been said on stderr."""

    def __post_init__(self) -> None:
        self.heap = Heap(self.limits.heap_bytes)
        self._last_slot = 0

    @property
    def device(self) -> Device:
        """The simulated device's facts."""
        return device_named(self.settings.device)

    @property
    def limits(self) -> Limits:
        """What its driver allows."""
        return LIMITS[self.settings.device]

    def reconfigure(self, settings: Settings) -> None:
        """Other settings from the next run on; SettingsError for another kind of device."""
        if settings.device != self.settings.device:
            raise SettingsError(
                f"this device is a simulated {self.settings.device} and cannot become "
                f"{settings.device}: open another one"
            )
        self.settings, self.runs = settings, 0

    def next_fault(self) -> str:
        """What is to happen to the run that starts now; counts it."""
        faults, number = self.settings.faults, self.runs
        self.runs += 1
        return faults[number] if number < len(faults) else ""

    def create_context(self, configuration: Configuration) -> int:
        """Number of a new context.

        Raises:
            RuntimeError: too wide a design, a start column that does not fit, or too many contexts.
        """
        if configuration.columns > self.device.columns:
            raise ioctl_error("CREATE_HWCTX", errno.ENOSPC)
        try:
            start_column_of(configuration, self.device, self.settings.start_column)
        except ConfigurationError:
            raise ioctl_error("CREATE_HWCTX", errno.EINVAL) from None
        if len(self.slots) >= self.limits.contexts:
            raise ioctl_error("CREATE_HWCTX", errno.ENOENT)
        slot = self._last_slot % MAX_SLOT + 1
        while slot in self.slots:
            slot = slot % MAX_SLOT + 1
        self._last_slot = slot
        self.slots.add(slot)
        return slot


@cache
def default_npu() -> Npu:
    """The NPU of `pyxrt.device(0)`, as the environment describes it when it is first opened."""
    return Npu(from_environment(os.environ))
