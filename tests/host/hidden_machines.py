# SPDX-License-Identifier: Apache-2.0
"""Machines whose constants nobody tells the calibration: the shipped ones, each off by a draw."""

import numpy as np

from aie2.devices import device
from firmware_sim.calibration import Calibration, Constant, costs_from, domain_of, load, provenance
from host.calibrate.setting import COLD_REST

SPREAD = 0.3
"""How far a hidden constant may be from the shipped one."""
WORD_SPREAD = 0.03
"""A word a cycle is known better than that."""


def hidden_calibration(name, seed, profile="central"):
    """Constants that `seed` moved away from the shipped ones; seed 0 moves none."""
    npu, rng = device(name), np.random.default_rng(seed)
    known = costs_from(load(name), profile, npu.clock_mhz)._asdict()
    constants = {}
    for key, (constant, _) in provenance(name).items():
        most = 0.0 if seed == 0 else WORD_SPREAD if key == "word" else SPREAD
        value = known[key] * rng.uniform(1 - most, 1 + most)
        constants[key] = Constant(
            value=value * npu.clock_mhz / 1000 if constant.unit == "GB/s" else value,
            unit=constant.unit,
            domain=domain_of(name, key, profile),
            grade="M",
            source="hidden",
        )
    return Calibration(device=name, reference_clock_mhz=npu.clock_mhz, constants=constants)


def true_terms(calibration):
    """What a stream's terms cost on a hidden machine, in cycles."""
    clock = calibration.reference_clock_mhz
    known = costs_from(calibration, "central", clock)._asdict()
    decay = known["shim_mm2s_cold_decay"]
    return known | {COLD_REST: known["shim_mm2s_cold"] * decay / (1 - decay)}


def true_value(calibration, name):
    """A hidden constant in the unit of the file."""
    return calibration.constants[name].at("central")
