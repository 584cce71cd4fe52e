# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.graph` and `pyxrt.aie.bo`: for Versal devices; there by name, refused in words."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

from firmware_sim.pyxrt import buffers
from firmware_sim.pyxrt.arguments import (
    Int8Array,
    ReadableBuffer,
    Size,
    UnsignedInt,
)
from firmware_sim.pyxrt.contexts import hw_context
from firmware_sim.pyxrt.devices import device
from firmware_sim.pyxrt.enums import PybindEnum, member, xclBOSyncDirection
from firmware_sim.pyxrt.failures import only_here
from firmware_sim.pyxrt.kernels import Milliseconds
from firmware_sim.pyxrt.overloads import Bound, method


def _versal(what: str) -> RuntimeError:
    return only_here(f"{what} is for Versal devices; an NPU has none")


class graph(Bound):
    """A graph on a Versal device."""

    class access_mode(PybindEnum):
        """How a graph is opened."""

        exclusive = member(0)
        primary = member(1)
        shared = member(2)

    exclusive = access_mode.exclusive
    primary = access_mode.primary
    shared = access_mode.shared

    @method
    def __init__(self, ctx: hw_context, name: str) -> None:
        raise _versal("graph")

    @__init__.add
    def _(self, ctx: hw_context, name: str, mode: graph.access_mode) -> None:
        raise _versal("graph")

    @method
    def reset(self, /) -> None:
        """Reset its tiles."""
        raise _versal("graph")

    @method
    def get_timestamp(self, /) -> int:
        """Cycles that it has run."""
        raise _versal("graph")

    @method
    def gmio_bank_id(self, gmio_name: str) -> int:
        """Memory bank of a port."""
        raise _versal("graph")

    @method
    def run(self, iterations: UnsignedInt = 0) -> None:
        """Start it."""
        raise _versal("graph")

    @method
    def wait(self, timeout_ms: Milliseconds) -> None:
        """Wait for it."""
        raise _versal("graph")

    @wait.add
    def _(self, cycles: Size = 0) -> None:
        raise _versal("graph")

    @method
    def suspend(self, /) -> None:
        """Hold it."""
        raise _versal("graph")

    @method
    def resume(self, /) -> None:
        """Let it go on."""
        raise _versal("graph")

    @method
    def end(self, cycles: Size = 0) -> None:
        """End it."""
        raise _versal("graph")

    @method
    def update(self, port_name: str, data: ReadableBuffer) -> None:
        """Write a parameter."""
        raise _versal("graph")

    @method
    def read(self, port_name: str, size: Size) -> Int8Array:
        """Read a parameter."""
        raise _versal("graph")


class bo(buffers.bo, submodule="aie"):
    """A buffer for GMIO."""

    @method
    def __init__(
        self, device: device, size: Size, flags: buffers.bo.flags, group: UnsignedInt
    ) -> None:
        raise _versal("aie.bo")

    @__init__.add
    def _(self, ctx: hw_context, size: Size, flags: buffers.bo.flags, group: UnsignedInt) -> None:
        raise _versal("aie.bo")

    @__init__.add
    def _(self, ctx: hw_context, size: Size, group: UnsignedInt) -> None:
        raise _versal("aie.bo")

    @method
    def sync(self, port: str, direction: xclBOSyncDirection, size: Size, offset: Size) -> None:
        """Copy through a port."""
        raise _versal("aie.bo")

    @sync.add
    def _(self, port: str, direction: xclBOSyncDirection) -> None:
        raise _versal("aie.bo")
