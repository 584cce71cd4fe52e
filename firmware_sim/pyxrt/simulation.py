# SPDX-License-Identifier: Apache-2.0
"""What the stand-in has and pyxrt has not: choosing the NPU, and asking what the simulator saw.

It is kept out of the module's own namespace, so that a program which runs on the stand-in runs on
pyxrt too. `host` opens simulated devices through it.
"""

from __future__ import annotations

from firmware_sim.pyxrt.devices import device, npu_of, on
from firmware_sim.pyxrt.kernels import outcome_of, run
from firmware_sim.pyxrt.npu import Npu
from firmware_sim.pyxrt.settings import Settings, SettingsError
from firmware_sim.result import Result

__all__ = ["Settings", "SettingsError", "open", "reason", "reconfigure", "result", "settings"]


def open(settings: Settings | None = None) -> device:
    """A stand-in `device` on an NPU of its own, shared with no other."""
    return on(Npu(settings or Settings()))


def reconfigure(opened: device, settings: Settings) -> None:
    """Other settings for the runs to come; its faults are counted from the next run on.

    Raises:
        SettingsError: another kind of device; open a new one instead.
    """
    npu_of(opened).reconfigure(settings)


def settings(opened: device) -> Settings:
    """What a device simulates now."""
    return npu_of(opened).settings


def result(started: run) -> Result | None:
    """What simulating the run's last start gave; None if it was never simulated.

    A run that an injected fault ended, or whose stream could not be read, has none.
    """
    return outcome_of(started).result


def reason(started: run) -> str:
    """Why the run's last start did not end as COMPLETED, in words; empty if it did."""
    return outcome_of(started).reason
