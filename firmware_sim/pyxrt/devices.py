# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.device`: opens a simulated NPU."""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

import warnings

from firmware_sim.pyxrt.arguments import UnsignedInt
from firmware_sim.pyxrt.containers import Content, content_of, read_content, uuid, xclbin
from firmware_sim.pyxrt.enums import xrt_info_device
from firmware_sim.pyxrt.failures import only_here, xrt_error
from firmware_sim.pyxrt.npu import Npu, default_npu
from firmware_sim.pyxrt.overloads import Bound, method, wrap

BDF = "0000:c5:00.1"
"""Where the simulated NPU says that it is on the PCI bus."""
UNKNOWN = "NA"
"""What `get_info` gives for what is not known."""
ABSENT = "0"
"""What it gives for a feature that an NPU has not."""
LOAD_DEPRECATED = (
    "pyxrt.device.load_xclbin() is deprecated; use pyxrt.hw_context(device, xclbin) or "
    "pyxrt.hw_context(device, xclbin_path) instead"
)


class device(Bound):
    """An NPU; objects with the same index are the same NPU."""

    __slots__ = ("_impl",)
    _impl: Npu | None

    @method
    def __init__(self, /) -> None:
        self._impl = None

    @__init__.add
    def _(self, index: UnsignedInt) -> None:
        if index:
            raise RuntimeError(f" No such device with index '{index}'")
        self._impl = default_npu()

    @__init__.add
    def _(self, bdf: str) -> None:
        if bdf.isdecimal():
            device.__init__(self, int(bdf))
        elif bdf in (BDF, BDF.partition(":")[2]):
            self._impl = default_npu()
        elif not bdf:
            raise ValueError("stoul")
        else:
            raise xrt_error(f"No such device '{bdf}'")

    @method
    def register_xclbin(self, xclbin: xclbin) -> uuid:
        """Make a container known to the device, and give its UUID."""
        return register(self, content_of(xclbin))

    @method
    def load_xclbin(self, xclbin_path: str) -> uuid:
        """Deprecated: register a container and make it the device's current one."""
        return _load(self, read_content(xclbin_path))

    @load_xclbin.add
    def _(self, xclbin: xclbin) -> uuid:
        return _load(self, content_of(xclbin))

    @method
    def get_xclbin_uuid(self, /) -> uuid:
        """UUID of the container that `load_xclbin` loaded; all zeros if there is none."""
        loaded = npu_of(self).loaded
        return uuid(loaded or "")

    @method
    def get_info(self, key: xrt_info_device, /) -> str:
        """A property of the device, always as text."""
        return _info(npu_of(self), int(key))


def on(npu: Npu) -> device:
    """A device object for an NPU."""
    return wrap(device, npu)


def npu_of(opened: device) -> Npu:
    """The NPU behind a device object; RuntimeError for one that is empty."""
    if opened._impl is None:
        raise only_here("this device is empty, open device(0); pyxrt would crash here")
    return opened._impl


def register(opened: device, content: Content) -> uuid:
    """Make a container known to a device."""
    identity = wrap(uuid, content.container.uuid)
    npu_of(opened).registered[str(content.container.uuid)] = content
    return identity


def registered(opened: device, identity: uuid) -> Content:
    """The container that was registered with a UUID; RuntimeError if there is none."""
    content = npu_of(opened).registered.get(str(identity._impl))
    if content is None:
        raise xrt_error(f"No xclbin with uuid '{identity._impl}'")
    return content


def _load(opened: device, content: Content) -> uuid:
    warnings.warn(LOAD_DEPRECATED, DeprecationWarning, stacklevel=4)
    identity = register(opened, content)
    npu_of(opened).loaded = str(content.container.uuid)
    return identity


def _info(npu: Npu, key: int) -> str:
    clock = npu.settings.clock_mhz or npu.device.clock_mhz
    values = {
        "bdf": BDF,
        "name": npu.limits.title,
        "max_clock_frequency_mhz": str(round(clock)),
        "interface_uuid": str(uuid("")._impl),
        "kdma": ABSENT,
        "m2m": ABSENT,
        "nodma": ABSENT,
        "offline": ABSENT,
    }
    names = {number: name for name, number in xrt_info_device._entries.items()}
    return values.get(names.get(key, ""), UNKNOWN)
