# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.bo`: buffer objects and sub-buffers, for data (host_only) and instructions (cacheable)."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

import errno
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from firmware_sim.pyxrt.arguments import Int8Array, ReadableBuffer, Size, UnsignedInt
from firmware_sim.pyxrt.contexts import context_of, hw_context
from firmware_sim.pyxrt.devices import device, npu_of
from firmware_sim.pyxrt.enums import PybindEnum, member, xclBOSyncDirection
from firmware_sim.pyxrt.failures import ioctl_error, only_here, shim_error, xrt_error
from firmware_sim.pyxrt.memory import Memory, when_gone
from firmware_sim.pyxrt.messages import SIMULATOR_TAG, warn
from firmware_sim.pyxrt.npu import Npu
from firmware_sim.pyxrt.overloads import Bound, method

BANK_MASK = 0xFFFF
"""Bits of a group id that say the memory bank; the context's number is above them."""
TO_DEVICE = int(xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE)
FROM_DEVICE = int(xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE)


@dataclass(eq=False)
class Span:
    """What a bo holds: a range of a memory."""

    memory: Memory
    npu: Npu
    size_bytes: int
    group: int
    first: int = 0
    """First byte as the host sees it."""
    device_first: int = 0
    """First byte as the device does: of a sub-buffer's sub-buffer it is another, as in XRT."""
    parent: Span | None = None

    @property
    def address(self) -> int:
        """Device address."""
        root = self.memory.address
        return (self.memory.host.ctypes.data if root is None else root) + self.device_first

    @property
    def device_bytes(self) -> NDArray[np.uint8]:
        """What the device sees."""
        return self.memory.device[self.device_first : self.device_first + self.size_bytes]

    @property
    def host_bytes(self) -> NDArray[np.uint8]:
        """What the host sees."""
        return self.memory.host[self.first : self.first + self.size_bytes]

    @property
    def differs(self) -> bool:
        """Whether the host has changes where the device would read."""
        return self.memory.differs(self.device_first, len(self.device_bytes))


class bo(Bound):
    """A buffer object."""

    __slots__ = ("_impl",)
    _impl: Span

    class flags(PybindEnum):
        """Kinds of buffers; an NPU has only cacheable and host_only ones."""

        normal = member(0)
        cacheable = member(0x01000000)
        device_only = member(0x10000000)
        host_only = member(0x20000000)
        p2p = member(0x40000000)
        svm = member(0x08000000)

    normal = flags.normal
    cacheable = flags.cacheable
    device_only = flags.device_only
    host_only = flags.host_only
    p2p = flags.p2p
    svm = flags.svm

    @method
    def __init__(self, device: device, size: Size, flags: bo.flags, group: UnsignedInt) -> None:
        allocate_for(self, npu_of(device), size, flags, group)

    @__init__.add
    def _(self, hwctx: hw_context, size: Size, flags: bo.flags, group: UnsignedInt) -> None:
        allocate_for(self, context_of(hwctx).npu, size, flags, group)

    @__init__.add
    def _(self, hwctx: hw_context, size: Size, group: UnsignedInt) -> None:
        allocate_for(self, context_of(hwctx).npu, size, bo.flags.normal, group)

    @__init__.add
    def _(self, arg0: bo, arg1: Size, arg2: Size, /) -> None:
        self._impl = _part(arg0._impl, arg1, arg2)

    @method
    def write(self, arg0: ReadableBuffer, arg1: Size, /) -> None:
        """Copy a buffer's bytes into the host copy from byte `arg1` on."""
        size_bytes, seek = arg0.nbytes, arg1
        if seek + size_bytes > self._impl.size_bytes:
            raise xrt_error("attempting to write past buffer size")
        if not arg0.c_contiguous:
            raise only_here(
                "write of an array that is not C-contiguous: pyxrt would copy other bytes than its "
                "elements; give np.ascontiguousarray of it"
            )
        self._impl.memory.clean = False
        self._impl.host_bytes[seek : seek + size_bytes] = np.frombuffer(arg0, np.uint8)

    @method
    def read(self, arg0: Size, arg1: Size, /) -> Int8Array:
        """Copy `arg0` bytes of the host copy from byte `arg1` on."""
        size_bytes, skip = arg0, arg1
        if skip + size_bytes > self._impl.size_bytes:
            raise xrt_error("attempting to read past buffer size")
        return self._impl.host_bytes[skip : skip + size_bytes].view(np.int8).copy()

    @method
    def sync(self, arg0: xclBOSyncDirection, arg1: Size, arg2: Size, /) -> None:
        """Copy `arg1` bytes from byte `arg2` on between host and device."""
        _sync(self._impl, int(arg0), arg1, arg2)

    @sync.add
    def _(self, arg0: xclBOSyncDirection, /) -> None:
        _sync(self._impl, int(arg0), self._impl.size_bytes, 0)

    @method
    def map(self, /) -> memoryview:
        """A view of the host copy, which does not keep the buffer object alive."""
        return self._impl.memory.view(self._impl.first, self._impl.size_bytes)

    @method
    def size(self, /) -> int:
        """Bytes that it has."""
        return self._impl.size_bytes

    @method
    def address(self, /) -> int:
        """Device address of its first byte."""
        return self._impl.address


def allocate_for(made: bo, npu: Npu, size_bytes: int, flags: bo.flags, group: int) -> None:
    """Memory for a new bo, given back when it is gone."""
    made._impl = allocate(npu, size_bytes, int(flags), group)
    memory = made._impl.memory
    when_gone(made._impl, memory.release)
    if memory.address is not None:
        when_gone(made._impl, npu.heap.free, memory.address)


def allocate(npu: Npu, size_bytes: int, flags: int, group: int) -> Span:
    """A span of new memory.

    Raises:
        RuntimeError: a kind that an NPU has not, or no room; in XRT's words.
    """
    if flags == int(bo.normal):
        raise shim_error("unsupported buffer type: none flag", errno.ENOTSUP)
    if flags not in (int(bo.cacheable), int(bo.host_only)):
        raise shim_error("Bad BO type.", errno.EINVAL)
    if not size_bytes:
        raise ioctl_error("CREATE_BO", errno.EINVAL)
    try:
        memory = Memory(size_bytes)
    except (OSError, OverflowError, ValueError):
        raise ioctl_error("CREATE_BO", errno.ENOMEM) from None
    if flags == int(bo.cacheable):
        memory.address = npu.heap.allocate(size_bytes)
    return Span(memory, npu, size_bytes, group)


def _part(parent: Span, size_bytes: int, offset: int) -> Span:
    """A sub-buffer: for the device it begins at `offset` of the root, whatever the parent is."""
    if offset + size_bytes > parent.size_bytes:
        raise xrt_error("sub buffer size and offset")
    return Span(
        parent.memory, parent.npu, size_bytes, parent.group, parent.first + offset, offset, parent
    )


def _sync(span: Span, direction: int, size_bytes: int, offset: int) -> None:
    if direction not in (TO_DEVICE, FROM_DEVICE):
        raise only_here("NPUs have no GMIO; sync towards or from the device")
    parent = span.parent
    if parent is not None:
        inner = offset + span.first - parent.first
        if inner + size_bytes > parent.size_bytes:
            raise xrt_error("Invalid offset and size when syncing sub buffer")
        return _sync(parent, direction, size_bytes, inner)
    if offset + size_bytes > span.size_bytes:
        text = f"Invalid BO offset and size for sync'ing: {offset}, {size_bytes}"
        raise shim_error(text, errno.EINVAL)
    if span.memory.in_flight and span.npu.settings.messages:
        warn(
            "sync of a buffer that a run uses which has not been waited for; what is copied on a "
            "device is not certain: wait for the run first",
            SIMULATOR_TAG,
        )
    if direction == TO_DEVICE:
        return span.memory.to_device(offset, size_bytes)
    return span.memory.from_device(offset, size_bytes)
