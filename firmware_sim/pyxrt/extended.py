# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.ext`: buffers with access modes, and kernels of ELF modules, which are not simulated."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

from typing import Annotated, Any

from firmware_sim.pyxrt import buffers, kernels
from firmware_sim.pyxrt.arguments import Int, Pointer, Size, unknown
from firmware_sim.pyxrt.contexts import context_of, hw_context
from firmware_sim.pyxrt.devices import device, npu_of
from firmware_sim.pyxrt.enums import PybindEnum, member
from firmware_sim.pyxrt.failures import only_here
from firmware_sim.pyxrt.full_elf import module, no_elf
from firmware_sim.pyxrt.overloads import method

ProcessId = Annotated[Any, unknown("xrt::pid_type")]
"""A process id in XRT's own type, which Python has no values of."""


class access_mode(PybindEnum, submodule="ext"):
    """Who may use a buffer how; `none` and `local` are one value."""

    none = member(0)
    read = member(1)
    write = member(2)
    read_write = member(3)
    local = member(0)
    shared = member(4)
    process = member(8)
    hybrid = member(16)

    def __or__(self, other: access_mode) -> access_mode:
        return access_mode(self._number | other._number)

    def __and__(self, other: access_mode) -> access_mode:
        return access_mode(self._number & other._number)

    def __ior__(self, other: access_mode) -> access_mode:
        """As in pyxrt it changes the value itself: `access_mode.read |= ...` is for ever."""
        self._number |= other._number
        return access_mode(self._number)

    def __iand__(self, other: access_mode) -> access_mode:
        """As in pyxrt it changes the value itself."""
        self._number &= other._number
        return access_mode(self._number)


class bo(buffers.bo, submodule="ext"):
    """A buffer that both address alike, as a host_only one."""

    @method
    def __init__(self, device: device, userptr: Pointer, size: Size, access: access_mode) -> None:
        raise _no_pointer()

    @__init__.add
    def _(self, device: device, userptr: Pointer, size: Size) -> None:
        raise _no_pointer()

    @__init__.add
    def _(self, device: device, size: Size, access: access_mode) -> None:
        buffers.allocate_for(self, npu_of(device), size, buffers.bo.host_only, 0)

    @__init__.add
    def _(self, device: device, size: Size) -> None:
        buffers.allocate_for(self, npu_of(device), size, buffers.bo.host_only, 0)

    @__init__.add
    def _(self, device: device, pid: ProcessId, export_handle: Int) -> None: ...

    @__init__.add
    def _(self, hwctx: hw_context, size: Size, access: access_mode) -> None:
        buffers.allocate_for(self, context_of(hwctx).npu, size, buffers.bo.host_only, 0)

    @__init__.add
    def _(self, hwctx: hw_context, size: Size) -> None:
        buffers.allocate_for(self, context_of(hwctx).npu, size, buffers.bo.host_only, 0)

    @__init__.add
    def _(self, hwctx: hw_context, pid: ProcessId, export_handle: Int) -> None: ...


class kernel(kernels.kernel, submodule="ext"):
    """A kernel of an ELF."""

    @method
    def __init__(self, hwctx: hw_context, module: module, name: str) -> None:
        raise no_elf("ext.kernel")

    @__init__.add
    def _(self, hwctx: hw_context, name: str) -> None:
        raise no_elf("ext.kernel")


def _no_pointer() -> RuntimeError:
    return only_here("a buffer on memory that is there already is not simulated; give a size only")
