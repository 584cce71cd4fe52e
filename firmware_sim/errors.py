# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a configuration, a stream and an answer: one error family."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from firmware_sim.result import Result


class SimulationError(ValueError):
    """The simulator refuses: its message is one sentence that says what to do."""


class CalibrationError(SimulationError):
    """A calibration file is missing, malformed, or lacks a constant."""


class ConfigurationError(SimulationError):
    """The configuration's register writes describe something that this simulator cannot run."""


class HostBufferError(SimulationError):
    """A host buffer is missing, of the wrong kind, or shared with another."""


class FirmwareError(SimulationError):
    """A firmware image cannot make sense of the stream that it was given."""


class Stalled(SimulationError):  # noqa: N818 - a state of the array, raised
    """The simulation cannot progress: `str()` is the chain of who waits for whom.

    `result` holds what had happened until then (cycles, counts, diagnostics); output buffers
    hold what had been written, as they would on a device that hangs.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result
