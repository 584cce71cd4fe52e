# SPDX-License-Identifier: Apache-2.0
"""The array, its DMAs and its controller firmware: executes the bytes that hardware would get.

Start at `simulate`; `calibration` holds every timing constant, `firmware` the images.
"""

from firmware_sim.array.configure import Configuration, read_configuration
from firmware_sim.calibration import PROFILES
from firmware_sim.errors import SimulationError, Stalled
from firmware_sim.firmware import Native, Phase1, Phase2, Stock
from firmware_sim.host_buffers import HostBuffer
from firmware_sim.result import Result
from firmware_sim.simulate import simulate

__all__ = [
    "PROFILES",
    "Configuration",
    "HostBuffer",
    "Native",
    "Phase1",
    "Phase2",
    "Result",
    "SimulationError",
    "Stalled",
    "Stock",
    "read_configuration",
    "simulate",
]
