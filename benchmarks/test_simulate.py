# SPDX-License-Identifier: Apache-2.0
"""Simulating the 7B down projection with its data, beside a memcpy of the bytes that move.

The limit is twice a memcpy: every byte goes from DDR into a memtile and out again. A call is all of
`simulate`: loading the xclbin, the firmware image, the run and the result; `engine_ms` is the run.
Aims: dense at most 8 times the memcpy, `host` at 90 % sparsity at most 10 ms.
"""

import numpy as np
import pytest

from aie2.devices import device
from firmware_sim import simulate
from host.cases import image_for, plan, prepare
from host.workload import masked, random_weights

ROWS, ROW_BYTES = 11008, 8192
WEIGHTS = random_weights(ROWS, ROW_BYTES, 0)


@pytest.mark.parametrize("name", ["npu1", "npu2"])
@pytest.mark.parametrize(
    ("phase", "sparsity"),
    [("dense", 0.0), ("phase0", 0.9), ("phase1", 0.9), ("phase2", 0.9), ("host", 0.9)],
)
def test_simulate(against_memcpy, say, benchmark, name, phase, sparsity):
    setup = prepare(device(name), None, ROW_BYTES)
    work = masked(WEIGHTS, "7B", "random", sparsity, 0)
    made = plan(setup, work, phase)
    output = np.zeros(max(made.output_bytes, WEIGHTS.size) + 65536, np.uint8)
    wanted = WEIGHTS[work.wanted] if phase != "dense" else WEIGHTS

    engine_s = []

    def whole():
        result = simulate(
            setup.configuration,
            made.words,
            [work.weights, output],
            firmware=image_for(made, work),
            l2={(0, 1, 0x40000): work.activations},
        )
        engine_s.append(result.wall_s)
        return result

    against_memcpy(whole, wanted)
    result, call_us = whole(), benchmark.extra_info["call_us"]
    say(
        wall_ms=call_us / 1e3,
        engine_ms=min(engine_s) * 1e3,
        simulated_ms=result.microseconds / 1e3,
        cycles_per_second=result.cycles / call_us * 1e6,
        ns_per_bd=call_us * 1e3 / result.counts.bds,
    )
