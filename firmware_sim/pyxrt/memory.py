# SPDX-License-Identifier: Apache-2.0
"""Memory of buffer objects: a host copy and a device copy, which only syncs bring together.

On an NPU both are the same bytes behind caches that are not coherent; what is forgotten to be
synced is stale by chance there, and always here.
"""

from __future__ import annotations

import ctypes
import mmap
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from firmware_sim.host_buffers import HostBuffer

Bytes = NDArray[np.uint8]
FREED = 0xDD
"""What a view of a buffer reads whose buffer object is gone; on a device it may be anything."""

_compare = ctypes.CDLL(None).memcmp
_compare.argtypes = (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


def _pages(size_bytes: int) -> Bytes:
    """Zeros on pages of their own, which take memory when they are touched."""
    return np.frombuffer(mmap.mmap(-1, size_bytes), np.uint8)


@dataclass(eq=False)
class Memory:
    """What one buffer object was allocated with; sub-buffers are spans of it."""

    size_bytes: int
    address: int | None = None
    """Device address; None: that of the host copy, as for memory that both address alike."""
    host: Bytes = field(init=False, repr=False)
    device: Bytes = field(init=False, repr=False)
    clean: bool = field(init=False, default=True)
    """Whether the host copy is certainly what was synced last, but for views of it."""
    in_flight: int = field(init=False, default=0)
    """Runs that use it and have not been waited for."""

    def __post_init__(self) -> None:
        self.host, self.device = _pages(self.size_bytes), _pages(self.size_bytes)
        self.views: list[weakref.ref[Bytes]] = []

    def view(self, first: int, size_bytes: int) -> memoryview:
        """A writable view of the host copy."""
        held = self.host[first : first + size_bytes]  # lives as long as anything made of the view
        self.views[:] = [each for each in self.views if each() is not None]
        self.views.append(weakref.ref(held))
        self.clean = False
        return held.data

    def to_device(self, first: int, size_bytes: int) -> None:
        """Sync a range towards the device."""
        part = slice(first, first + size_bytes)
        self.device[part] = self.host[part]
        self._synced(size_bytes)

    def from_device(self, first: int, size_bytes: int) -> None:
        """Sync a range towards the host."""
        part = slice(first, first + size_bytes)
        self.host[part] = self.device[part]
        self._synced(size_bytes)

    def _synced(self, size_bytes: int) -> None:
        if size_bytes == self.size_bytes and not any(each() is not None for each in self.views):
            self.clean = True

    def differs(self, first: int, size_bytes: int) -> bool:
        """Whether the copies differ in a range."""
        host, device = self.host.ctypes.data + first, self.device.ctypes.data + first
        return not self.clean and _compare(host, device, size_bytes) != 0

    def release(self) -> None:
        """The buffer object is gone: views that are left read `FREED`."""
        if any(each() is not None for each in self.views):
            self.host[:] = FREED


def when_gone(owner: object, action: Callable[..., object], *arguments: object) -> None:
    """Call `action` when `owner` has been collected, unless Python ends before."""
    weakref.finalize(owner, action, *arguments).atexit = False


class Argument(HostBuffer):
    """A span of device memory as `simulate` takes it, without further copies."""

    def __init__(self, device: Bytes, changed: bool) -> None:
        self._device = device
        self._changed = changed

    @property
    def changed(self) -> bool:
        """Whether the host copy had changes that were not synced when the run was started."""
        return self._changed
