# SPDX-License-Identifier: Apache-2.0
"""What NPU the stand-in simulates, and what goes wrong on it: given by a caller or the environment.

`simulation.open` takes a `Settings`; plain `pyxrt.device(0)` takes `from_environment`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aie2.devices import DEVICES
from firmware_sim.calibration import CalibrationSource, costs_for, read
from firmware_sim.errors import SimulationError
from firmware_sim.firmware import Firmware, image
from firmware_sim.inputs import L2

FAULTS = ("", "TIMEOUT", "ERROR", "ABORT")
"""What can be made to happen to a run: nothing, or one of these ends."""

DEVICE_VARIABLE = "SPARSEBD_SIM_DEVICE"
PROFILE_VARIABLE = "SPARSEBD_SIM_PROFILE"
FIRMWARE_VARIABLE = "SPARSEBD_SIM_FIRMWARE"
FAULTS_VARIABLE = "SPARSEBD_SIM_FAULTS"


class SettingsError(SimulationError):
    """The NPU that was asked for cannot be simulated."""


@dataclass(frozen=True)
class Settings:
    """An NPU to simulate.

    Raises:
        SettingsError: an unknown device or fault.
        firmware_sim.errors.SimulationError: an unknown profile, clock, firmware image or
            calibration.
    """

    device: str = "npu1"
    """Name of the device (`aie2.devices.DEVICES`)."""
    profile: str = "central"
    """Which split of the unmeasured timing (`firmware_sim.calibration.PROFILES`)."""
    firmware: str | Firmware = "stock"
    """Firmware image or its name."""
    clock_mhz: float | None = None
    """Array clock; None: the device's."""
    l2: L2 | None = None
    """{(column, row, offset): array} memtile memory as the layer before left it."""
    jitter_seed: int | None = None
    """Scatter DDR latencies repeatably; None: do not."""
    calibration: CalibrationSource | None = None
    """Constants of one machine, or the file that states them; None: those that are shipped."""
    start_column: int | None = None
    """Physical column at which partitions begin; None: the first that fits."""
    faults: tuple[str, ...] = ()
    """One of `FAULTS` per run, in order; runs beyond the last have none."""
    check_syncs: bool = True
    """Whether to find buffers that the host changed and did not sync; costs a compare per run."""
    messages: bool = True
    """Whether what was found goes to stderr too, in the manner of XRT's own messages."""

    def __post_init__(self) -> None:
        if self.device not in DEVICES:
            raise SettingsError(
                f"device {self.device!r} cannot be simulated: give {' or '.join(DEVICES)}"
            )
        for fault in self.faults:
            if fault not in FAULTS:
                known = ", ".join(name for name in FAULTS if name)
                raise SettingsError(f"fault {fault!r} is none of {known}; leave it empty for none")
        if self.calibration is not None:
            object.__setattr__(self, "calibration", read(self.calibration))  # once, not per run
        costs_for(DEVICES[self.device], self.profile, self.clock_mhz, self.calibration)
        image(self.firmware)


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Settings of a device that is opened by index.

    Raises:
        SettingsError: a variable has a value that is not known.
    """
    faults = environment.get(FAULTS_VARIABLE, "")
    return Settings(
        device=environment.get(DEVICE_VARIABLE, Settings.device),
        profile=environment.get(PROFILE_VARIABLE, Settings.profile),
        firmware=environment.get(FIRMWARE_VARIABLE, "stock"),
        faults=tuple(name.strip().upper() for name in faults.split(",")) if faults else (),
    )
