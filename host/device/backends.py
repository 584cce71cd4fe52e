# SPDX-License-Identifier: Apache-2.0
"""The module that plays pyxrt, and the device that it opens: the real one, or the simulator's.

Everything above drives pyxrt's names and does not know which it has.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from aie2.devices import DEVICES, Device
from host.device.errors import DeviceNotFound, PyxrtMissing
from host.device.parked import Parked
from host.errors import UsageError

BACKENDS = ("sim", "xrt", "auto")
BACKEND_VARIABLE = "SPARSEBD_BACKEND"
"""Environment variable that says the backend where a program does not."""

TRANSIENT = ("No such device", "DRM_IOCTL_AMDXDNA_GET_INFO IOCTL failed (err=-22)")
"""What an NPU that wakes up may say at first (mlir-aie utils/run_on_npu.py)."""
TRIES, FIRST_PAUSE_S = 5, 0.1
"""Attempts at opening a device, and the pause after the first, doubled each time."""

_FAMILIES = {
    "npu1": ("npu1", "phoenix", "hawk"),
    "npu2": ("npu4", "npu5", "npu6", "strix", "krackan", "npu2"),
}
"""Parts of the names that drivers give NPUs (xdna-driver npu*_regs.c, `vbnv`)."""


@dataclass(frozen=True)
class Backend:
    """A module with pyxrt's names, and a device of it."""

    name: str
    """"sim" or "xrt"."""
    pyxrt: Any
    device: Any
    facts: Device
    """What the device is."""
    title: str
    """Name that it gives itself."""
    reason: str
    """Why this one."""
    parked: Parked = field(default_factory=Parked, compare=False)
    """Runs that were given up and have not ended."""


def choose(
    wanted: str | None, device: str | None, index: int, simulated: Callable[[str], Any]
) -> Backend:
    """The backend that was asked for, or that `SPARSEBD_BACKEND` says, else the simulator.

    Args:
        wanted: One of `BACKENDS`; None: as the environment says.
        device: "npu1" or "npu2": what to simulate (npu1 if None), or what an NPU must be.
        index: Which NPU.
        simulated: Opens a simulated device of that name, with pyxrt's interface.

    Raises:
        UsageError: no such backend or device.
        PyxrtMissing, DeviceNotFound: the NPU was asked for and cannot be had.
    """
    name = wanted or os.environ.get(BACKEND_VARIABLE) or "sim"
    if name not in BACKENDS:
        raise UsageError(f"backend {name!r} is not one of {', '.join(BACKENDS)}")
    if device is not None and device not in DEVICES:
        raise UsageError(f"unknown device {device!r}: give {' or '.join(DEVICES)}")
    if name == "sim":
        return _simulator(device, simulated, "the simulator was asked for")
    try:
        return _npu(device, index)
    except (PyxrtMissing, DeviceNotFound) as error:
        if name == "xrt":
            raise
        return _simulator(device, simulated, f"no NPU: {error}")


def _simulator(device: str | None, simulated: Callable[[str], Any], reason: str) -> Backend:
    name = device or "npu1"
    return Backend(
        name="sim",
        pyxrt=import_module("firmware_sim.pyxrt"),
        device=simulated(name),
        facts=DEVICES[name],
        title=DEVICES[name].title,
        reason=reason,
    )


def _npu(device: str | None, index: int) -> Backend:
    try:
        pyxrt = import_module("pyxrt")
    except ImportError as error:
        raise PyxrtMissing(f"pyxrt cannot be imported ({error})") from None
    opened = _open(pyxrt, index)
    title = str(opened.get_info(pyxrt.xrt_info_device.name))
    facts = _family(title, device)
    if device not in (None, facts.name):
        raise DeviceNotFound(f"{device} was asked for and this machine has {title} ({facts.name})")
    return Backend("xrt", pyxrt, opened, facts, title, f"NPU {index} was opened")


def _open(pyxrt: Any, index: int) -> Any:
    """An NPU, tried again where it may only be waking up."""
    pause_s = FIRST_PAUSE_S
    for left in reversed(range(TRIES)):
        try:
            return pyxrt.device(index)
        except RuntimeError as error:
            if not left or not any(text in str(error) for text in TRANSIENT):
                raise DeviceNotFound(f"NPU {index} cannot be opened ({error})") from None
        time.sleep(pause_s)
        pause_s *= 2
    raise DeviceNotFound(f"NPU {index} cannot be opened")


def _family(title: str, device: str | None) -> Device:
    """The device that a name means; `device` decides where it is not known."""
    for name, parts in _FAMILIES.items():
        if any(part in title.lower() for part in parts):
            return DEVICES[name]
    if device is None:
        raise DeviceNotFound(f"the NPU calls itself {title!r}, which is not known; give its device")
    return DEVICES[device]
