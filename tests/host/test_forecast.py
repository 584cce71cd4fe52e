# SPDX-License-Identifier: Apache-2.0
"""The planner's forecast beside the simulator, which runs the words."""

import numpy as np
import pytest

from bdgen.bitmap import pack
from bdgen.planner import Options, Planner
from bdgen.target import Matrix
from firmware_sim import PROFILES, simulate
from host.cases import prepare
from host.plan_costs import plan_costs

CASES = [
    ("npu1", 4, 1, 8192, 0.1, "fast", "patch"),
    ("npu1", 4, 1, 2048, 0.3, "fast", "patch"),
    ("npu1", 1, 1, 4096, 0.1, "runs", "patch"),
    ("npu1", 4, 1, 2048, 0.1, "fast", "iteration"),
    ("npu2", 4, 1, 4096, 0.2, "fast", "patch"),
    ("npu2", 8, 1, 8192, 0.1, "fast", "patch"),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("case", CASES)
def test_forecasts_are_within_5_percent_of_the_simulation(case, profile):
    device, columns, channels, row_bytes, density, effort, addressing = case
    setup = prepare_for(device, columns, channels, row_bytes, profile)
    matrix = Matrix(1200, row_bytes)
    options = Options(effort, addressing, costs=plan_costs(device, profile))
    planner = Planner(setup.target, matrix, options)
    wanted = np.random.default_rng(1).random(matrix.rows) < density
    plan = planner.plan_bitmap_into(planner.buffer(), pack(wanted))
    buffers = [np.zeros(matrix.nbytes, np.uint8), np.zeros(matrix.nbytes + 65536, np.uint8)]
    result = simulate(
        setup.configuration, plan.words.copy(), buffers, device=setup.device, profile=profile
    )
    assert result.ok
    assert planner.forecast(plan).total == pytest.approx(result.cycles, rel=0.05)


def prepare_for(device, columns, channels, row_bytes, profile):
    from aie2.devices import device as named

    return prepare(named(device), columns, row_bytes, profile=profile, channels=channels)
