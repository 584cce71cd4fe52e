# SPDX-License-Identifier: Apache-2.0
"""How far a stream reaches into its buffers, beside what the simulator finds on real streams."""

import json
from pathlib import Path

import numpy as np
import pytest

from firmware_sim import SimulationError, simulate
from host.device import checks

GOLDEN = Path(__file__).parents[1] / "data/golden"
CASES = (
    "passthrough_c1_ch1_o1k_npu1",
    "gather_chain_c4_npu2",
    "gather_repeat_c1_npu1",
    "gather_stride_iter_c1_npu1",
    "gather_iter_pairs_c1_npu2",
    "two_buffers_c1_npu1",
)


def runs(case, sizes):
    """Whether the simulator runs a golden stream on buffers of these sizes, touching no more."""
    folder = GOLDEN / case
    device = json.loads((folder / "case.json").read_text())["device"].split("_")[0]
    buffers = [np.zeros(size, np.uint8) for size in sizes]
    try:
        return simulate(folder / "aie.xclbin", folder / "insts.bin", buffers, device=device).ok
    except SimulationError:
        return False


@pytest.mark.parametrize("case", CASES)
def test_a_stream_runs_on_buffers_of_its_reach_and_not_on_a_word_less(case):
    reach = checks.reaches(np.frombuffer((GOLDEN / case / "insts.bin").read_bytes(), np.uint32))
    assert all(reach)
    assert runs(case, reach)
    for arg in range(len(reach)):
        assert not runs(case, [size - 4 * (arg == place) for place, size in enumerate(reach)])
