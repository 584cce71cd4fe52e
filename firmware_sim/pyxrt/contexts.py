# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.hw_context`: a design on the array, one of as many as the driver allows."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

import weakref
from dataclasses import dataclass, field

from aie2.errors import FormatError
from firmware_sim.errors import SimulationError
from firmware_sim.pyxrt.arguments import Parameters
from firmware_sim.pyxrt.containers import Content, content_of, read_content, uuid, xclbin
from firmware_sim.pyxrt.devices import device, npu_of, register, registered
from firmware_sim.pyxrt.enums import PybindEnum, member
from firmware_sim.pyxrt.failures import only_here
from firmware_sim.pyxrt.full_elf import elf, no_elf
from firmware_sim.pyxrt.npu import Npu
from firmware_sim.pyxrt.overloads import Bound, method, wrap


@dataclass(eq=False)
class Context:
    """What a hw_context holds; the driver's part goes when the last reference does."""

    opened: device
    content: Content
    mode: int
    npu: Npu = field(init=False)
    slot: int = field(init=False)
    """Number of the context, as group ids have it."""

    def __post_init__(self) -> None:
        self.npu = npu_of(self.opened)
        try:
            configuration = self.content.configuration
        except (FormatError, SimulationError) as error:
            raise only_here(f"the design cannot be simulated: {error}") from error
        self.slot = self.npu.create_context(configuration)
        weakref.finalize(self, self.npu.slots.discard, self.slot).atexit = False


class hw_context(Bound):
    """A design that is loaded on the array."""

    __slots__ = ("_impl",)
    _impl: Context | None

    class access_mode(PybindEnum):
        """Whether others may share the context; NPUs make no difference."""

        exclusive = member(0)
        shared = member(1)

    exclusive = access_mode.exclusive
    shared = access_mode.shared

    @method
    def __init__(self, /) -> None:
        self._impl = None

    @__init__.add
    def _(self, device: device, uuid: uuid) -> None:
        self._impl = Context(device, registered(device, uuid), SHARED)

    @__init__.add
    def _(self, device: device, uuid: uuid, mode: hw_context.access_mode) -> None:
        self._impl = Context(device, registered(device, uuid), int(mode))

    @__init__.add
    def _(self, device: device, uuid: uuid, cfg_param: Parameters) -> None:
        self._impl = Context(device, registered(device, uuid), SHARED)

    @__init__.add
    def _(self, device: device, xclbin: xclbin) -> None:
        self._impl = _with_content(device, content_of(xclbin))

    @__init__.add
    def _(self, device: device, xclbin: xclbin, mode: hw_context.access_mode) -> None:
        self._impl = _with_content(device, content_of(xclbin), int(mode))

    @__init__.add
    def _(self, device: device, xclbin: xclbin, cfg_param: Parameters) -> None:
        self._impl = _with_content(device, content_of(xclbin))

    @__init__.add
    def _(self, device: device, xclbin_path: str) -> None:
        self._impl = _with_content(device, read_content(xclbin_path))

    @__init__.add
    def _(self, device: device, xclbin_path: str, mode: hw_context.access_mode) -> None:
        self._impl = _with_content(device, read_content(xclbin_path), int(mode))

    @__init__.add
    def _(self, device: device, xclbin_path: str, cfg_param: Parameters) -> None:
        self._impl = _with_content(device, read_content(xclbin_path))

    @__init__.add
    def _(self, device: device, cfg_param: Parameters, mode: hw_context.access_mode) -> None:
        raise no_elf("a context that is to be given an ELF later")

    @__init__.add
    def _(self, device: device, elf: elf) -> None:
        raise no_elf("a context of an ELF")

    @__init__.add
    def _(
        self, device: device, elf: elf, cfg_param: Parameters, mode: hw_context.access_mode
    ) -> None:
        raise no_elf("a context of an ELF")

    @method
    def add_config(self, elf: elf) -> None:
        """Not in the stand-in: for contexts of ELFs only."""
        raise no_elf("add_config")

    @method
    def get_device(self, /) -> device:
        """The device that it is on."""
        return context_of(self).opened

    @method
    def get_xclbin_uuid(self, /) -> uuid:
        """UUID of its container."""
        return wrap(uuid, context_of(self).content.container.uuid)

    @method
    def get_xclbin(self, /) -> xclbin:
        """Its container."""
        return wrap(xclbin, context_of(self).content)

    @method
    def get_mode(self, /) -> hw_context.access_mode:
        """How it was opened."""
        return hw_context.access_mode(context_of(self).mode)


SHARED = int(hw_context.shared)


def context_of(context: hw_context) -> Context:
    """What a hw_context holds; RuntimeError for one that is empty."""
    if context._impl is None:
        raise only_here("this hw_context is empty, give it a device and an xclbin")
    return context._impl


def _with_content(opened: device, content: Content, mode: int = 1) -> Context:
    """A context of a container that is registered along the way."""
    register(opened, content)
    return Context(opened, content, mode)
