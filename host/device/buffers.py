# SPDX-License-Identifier: Apache-2.0
"""A buffer that both sides see: a numpy array, and the buffer object (BO) behind it.

Host and device have copies of their own. What a program writes into the array cannot be seen, so an
automatic buffer is brought to the device before every run and back after it, unless it is frozen:
then its array is read-only and it is brought over once. Inputs go one way only, outputs the other;
explicit buffers are left to the program.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Literal, SupportsIndex, get_args

import numpy as np
from numpy.typing import DTypeLike, NDArray

from host.device.errors import BadArguments, DeviceLost, OutOfMemory, caused

Sync = Literal["auto", "in", "out", "explicit"]
Shape = SupportsIndex | Sequence[SupportsIndex]

HOST_BANK = 0
"""Memory bank of data, which needs no context (mlir-aie utils/hostruntime does the same)."""
LEAST_BYTES = 4
"""Smallest BO that is made: an NPU moves 32-bit words."""


class _Memory:
    """A BO's host memory as numpy takes it: every view keeps this, and this keeps the BO.

    pyxrt's own view of it would not keep the BO.
    """

    def __init__(self, bo: Any) -> None:
        self._bo = bo
        self._map = bo.map()
        self.__array_interface__ = np.frombuffer(self._map, np.uint8).__array_interface__


class Buffer:
    """A buffer of one device; `Device.buffer` makes them."""

    def __init__(self, pyxrt: Any, device: Any, shape: Shape, dtype: DTypeLike, sync: Sync) -> None:
        sizes, kind = _sizes(shape), _numbers(dtype)
        if sync not in get_args(Sync):
            raise BadArguments(f"sync is {sync!r}: give auto, in, out or explicit")
        self.nbytes = math.prod(sizes) * kind.itemsize
        """Bytes of the array."""
        self.sync: Sync = sync
        self.frozen = False
        """Whether the array is read-only, and the device has it."""
        self.device: Any = device
        """pyxrt's device, which it can be used on."""
        self._direction = pyxrt.xclBOSyncDirection
        self._bo: Any = _bo(pyxrt, device, max(self.nbytes, LEAST_BYTES))
        memory = np.asarray(_Memory(self._bo))[: self.nbytes]
        self._array: NDArray[Any] | None = memory.view(kind).reshape(sizes)

    @property
    def array(self) -> NDArray[Any]:
        """The host's copy; a view of it stays good after the buffer itself is gone."""
        if self._array is None:
            raise BadArguments("the buffer is closed: make another one")
        return self._array

    @property
    def bo(self) -> Any:
        """The BO; BadArguments after `close`."""
        if self._bo is None:
            raise BadArguments("the buffer is closed: make another one")
        return self._bo

    def to_device(self) -> None:
        """Bring the host's copy to the device; DeviceLost if that fails."""
        self._bring(self._direction.XCL_BO_SYNC_BO_TO_DEVICE)

    def from_device(self) -> None:
        """Bring the device's copy to the host; DeviceLost if that fails."""
        self._bring(self._direction.XCL_BO_SYNC_BO_FROM_DEVICE)

    def freeze(self) -> Buffer:
        """Take the array as it is for good: read-only, and brought to the device once, now.

        Views that were taken before can still be written to, and nobody would bring that over.
        """
        self.array.flags.writeable = False
        self.to_device()
        self.frozen = True
        return self

    def before_run(self) -> None:
        """Bring over what may have been written since the last run."""
        if self.sync in ("auto", "in") and not self.frozen:
            self.to_device()

    def after_run(self) -> None:
        """Bring back what the run may have written."""
        if self.sync in ("auto", "out") and not self.frozen:
            self.from_device()

    def close(self) -> None:
        """Let go of the memory; arrays that are still held keep it."""
        self._bo = self._array = None

    def _bring(self, direction: Any) -> None:
        try:
            self.bo.sync(direction)
        except RuntimeError as error:
            raise caused(error, "a buffer cannot be brought over", DeviceLost) from None


def _bo(pyxrt: Any, device: Any, size: int) -> Any:
    try:
        return pyxrt.bo(device, size, pyxrt.bo.host_only, HOST_BANK)
    except (RuntimeError, MemoryError) as error:
        raise caused(error, f"a buffer of {size} bytes cannot be had", OutOfMemory) from None


def _sizes(shape: Any) -> tuple[int, ...]:
    """Sizes of an array; BadArguments if they are none."""
    several = isinstance(shape, Sequence) and not isinstance(shape, str | bytes)
    try:
        given: tuple[Any, ...] = tuple(shape) if several else (shape,)
        if any(isinstance(size, bool) for size in given):
            raise TypeError
        sizes = tuple(operator.index(size) for size in given)
    except TypeError:
        sizes = (-1,)
    if min(sizes, default=0) < 0:
        raise BadArguments(f"shape {shape!r} is none: give sizes of 0 or more")
    return sizes


def _numbers(dtype: DTypeLike) -> np.dtype[Any]:
    try:
        kind = np.dtype(dtype)
    except TypeError as error:
        raise BadArguments(f"dtype {dtype!r} is not known ({error}): give one of numpy's") from None
    if kind.hasobject:
        raise BadArguments(f"dtype {kind} holds Python objects: give one of numbers")
    return kind
