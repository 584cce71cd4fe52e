# SPDX-License-Identifier: Apache-2.0
"""Host buffers as a device has them: a host copy and a device copy, and nothing moves by itself."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_sim.errors import HostBufferError


class HostBuffer:
    """A buffer whose two copies only `sync_to_device` and `sync_from_device` bring together.

    `simulate` takes it wherever it takes an array, works on the device copy alone, and names a
    buffer that the device read while the host copy had changes that were never synced.
    """

    def __init__(self, array: NDArray) -> None:
        self.host = np.ascontiguousarray(array).copy()
        """The host copy."""
        self._device = self.host.reshape(-1).view(np.uint8).copy()
        self._sent = self._device.copy()

    def sync_to_device(self) -> None:
        """Copy what the host has to the device."""
        self._device[:] = self._host_bytes()
        self._sent[:] = self._device

    def sync_from_device(self) -> None:
        """Copy what the device has to the host."""
        self._host_bytes()[:] = self._device
        self._sent[:] = self._device

    @property
    def device_bytes(self) -> NDArray[np.uint8]:
        """The device copy."""
        return self._device

    @property
    def changed(self) -> bool:
        """Whether the host copy differs from what was synced last."""
        return not np.array_equal(self._host_bytes(), self._sent)

    def _host_bytes(self) -> NDArray[np.uint8]:
        return self.host.reshape(-1).view(np.uint8)


Buffer = NDArray | HostBuffer


def flat(buffers: Sequence[Buffer]) -> list[NDArray[np.uint8]]:
    """The bytes that the device works on, per buffer.

    Raises:
        HostBufferError: not an array, not contiguous, read-only, or memory shared by two of them.
    """
    arrays: list[NDArray[np.uint8]] = []
    for number, buffer in enumerate(buffers):
        raw = buffer.device_bytes if isinstance(buffer, HostBuffer) else _bytes(number, buffer)
        for other, seen in enumerate(arrays):
            if np.may_share_memory(raw, seen):
                raise HostBufferError(
                    f"buffers {other} and {number} share memory; copy one of them"
                )
        arrays.append(raw)
    return arrays


def _bytes(number: int, buffer: NDArray) -> NDArray[np.uint8]:
    if not isinstance(buffer, np.ndarray) or not buffer.flags.c_contiguous:
        raise HostBufferError(f"buffer {number} is not a C-contiguous numpy array")
    if buffer.dtype.hasobject:
        raise HostBufferError(f"buffer {number} holds Python objects; give it a number type")
    if not buffer.flags.writeable:
        raise HostBufferError(f"buffer {number} is read-only; the device may write to it")
    return buffer.reshape(-1).view(np.uint8)
