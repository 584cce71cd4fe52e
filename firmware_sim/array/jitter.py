# SPDX-License-Identifier: Apache-2.0
"""Seeded scatter of DDR latencies, in compiled code; off unless a seed is given."""

from __future__ import annotations

import numpy as np

from firmware_sim.array.state import State
from firmware_sim.compiled import compiled

DRAWS = 12
"""Uniform numbers whose sum, less its mean, is close to normal with deviation 1."""
SCALE = 2.0**-53


@compiled
def jittered(m: State, cycles: float) -> float:
    """`cycles` scattered by the calibration's relative deviation; never below zero."""
    if m.random == 0:
        return cycles
    total = 0.0
    for _ in range(DRAWS):
        word = m.random
        word ^= word << np.uint64(13)
        word ^= word >> np.uint64(7)
        word ^= word << np.uint64(17)
        m.random = word
        total += (word >> np.uint64(11)) * SCALE
    return max(0.0, cycles * (1.0 + m.costs.latency_deviation * (total - DRAWS / 2)))
