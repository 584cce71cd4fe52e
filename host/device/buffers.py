# SPDX-License-Identifier: Apache-2.0
"""A buffer that both sides see: a numpy array, and the buffer object (BO) behind it.

Host and device have copies of their own. What a program writes into the array cannot be seen, so an
automatic buffer is brought to the device before every run and back after it, unless it is frozen:
then its array is read-only and it is brought over once. Explicit buffers are left to the program.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from host.device.errors import BadArguments

Sync = Literal["auto", "explicit"]

HOST_BANK = 0
"""Memory bank of data, which needs no context (mlir-aie utils/hostruntime does the same)."""
LEAST_BYTES = 4
"""Smallest BO that is made: an NPU moves 32-bit words."""


class HeldArray(np.ndarray):
    """An array in a BO's memory that keeps the BO: pyxrt's own view of it would not."""

    _bo: Any

    def __array_finalize__(self, made_from: Any) -> None:
        """Views keep the BO too."""
        self._bo = getattr(made_from, "_bo", None)


class Buffer:
    """A buffer of one device; `Device.buffer` makes them."""

    def __init__(
        self, pyxrt: Any, device: Any, shape: tuple[int, ...], dtype: DTypeLike, sync: Sync
    ) -> None:
        kind = np.dtype(dtype)
        if kind.hasobject:
            raise BadArguments(f"dtype {kind} holds Python objects: give one of numbers")
        self.nbytes = int(np.prod(shape, dtype=np.int64)) * kind.itemsize
        """Bytes of the array."""
        self.sync: Sync = sync
        self.frozen = False
        """Whether the array is read-only, and the device has it."""
        self._direction = pyxrt.xclBOSyncDirection
        size = max(self.nbytes, LEAST_BYTES)
        self._bo: Any = pyxrt.bo(device, size, pyxrt.bo.host_only, HOST_BANK)
        memory = np.frombuffer(self._bo.map(), np.uint8)[: self.nbytes].view(HeldArray)
        memory._bo = self._bo
        self._array: NDArray[Any] = memory.view(kind).reshape(shape)

    @property
    def array(self) -> NDArray[Any]:
        """The host's copy; a view of it stays good after the buffer itself is gone."""
        return self._array

    @property
    def bo(self) -> Any:
        """The BO; BadArguments after `close`."""
        if self._bo is None:
            raise BadArguments("the buffer is closed: make another one")
        return self._bo

    def to_device(self) -> None:
        """Bring the host's copy to the device."""
        self.bo.sync(self._direction.XCL_BO_SYNC_BO_TO_DEVICE)

    def from_device(self) -> None:
        """Bring the device's copy to the host."""
        self.bo.sync(self._direction.XCL_BO_SYNC_BO_FROM_DEVICE)

    def freeze(self) -> Buffer:
        """Take the array as it is for good: read-only, and brought to the device once, now."""
        self._array.flags.writeable = False
        self.to_device()
        self.frozen = True
        return self

    def before_run(self) -> None:
        """Bring over what may have been written since the last run."""
        if self.sync == "auto" and not self.frozen:
            self.to_device()

    def after_run(self) -> None:
        """Bring back what the run may have written."""
        if self.sync == "auto" and not self.frozen:
            self.from_device()

    def close(self) -> None:
        """Let go of the BO; arrays that are still held keep its memory."""
        self._bo = None
