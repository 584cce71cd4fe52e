# SPDX-License-Identifier: Apache-2.0
"""Every design that aiecc compiled moves the data that its case states."""

from dataclasses import replace

import numpy as np
import pytest
from streams import GOLDEN, golden, golden_buffers, golden_expected, golden_names

from firmware_sim import PROFILES, Stalled, read_configuration, simulate

NAMES = golden_names()
WARNED = {name for name in NAMES if "queue" in golden(name).get("note", "")}


def run(name, insts="insts.bin", profile="central"):
    case = golden(name)
    found = golden_buffers(case)
    expected = golden_expected(case, found)
    result = simulate(GOLDEN / name / "aie.xclbin", GOLDEN / name / insts, found, profile=profile)
    return result, found, expected


def test_all_golden_cases_are_here():
    assert len(NAMES) == 57
    assert len(WARNED) == 9


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", [name for name in NAMES if name not in WARNED])
def test_data_is_what_the_case_states(name, profile):
    result, found, expected = run(name, profile=profile)
    assert result.device in name
    assert result.counts.dropped_pushes == 0
    for buffer, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(buffer, right)


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", sorted(WARNED))
def test_deep_queues_give_the_data_or_an_overflow(name, profile):
    try:
        result, found, expected = run(name, profile=profile)
    except Stalled as stalled:
        kinds = {diagnostic.kind for diagnostic in stalled.result.diagnostics}
        assert kinds == {"queue-overflow", "hang"}
        assert stalled.result.counts.dropped_pushes > 0
        assert "queue-overflow" in str(stalled)
        return
    assert result.counts.dropped_pushes == 0
    for buffer, right in zip(found, expected, strict=True):
        np.testing.assert_array_equal(buffer, right)


@pytest.mark.parametrize("name", ["args8_c1_npu1", "args8_c1_npu2"])
def test_folded_and_unfolded_arguments_read_alike(name):
    plain, found, expected = run(name)
    folded, again, _ = run(name, "insts_folded.bin")
    for buffer, other, right in zip(found, again, expected, strict=True):
        np.testing.assert_array_equal(buffer, right)
        np.testing.assert_array_equal(other, right)
    for result in (plain, folded):
        assert [note.kind for note in result.diagnostics] == ["too-many-buffers"]
        assert result.ok


def test_an_unfolded_argument_is_one_warning_where_enough_buffers_are_declared():
    case = golden("args8_c1_npu1")
    held = golden_buffers(case)
    configuration = replace(
        read_configuration(GOLDEN / "args8_c1_npu1" / "aie.xclbin"), host_buffers=8
    )
    result = simulate(configuration, GOLDEN / "args8_c1_npu1" / "insts.bin", held)
    assert [note.kind for note in result.diagnostics] == ["patch-not-folded"]
    assert result.ok


def test_runs_are_repeatable():
    first, *_ = run("gather_chain_c4_npu1")
    second, *_ = run("gather_chain_c4_npu1")
    assert first.cycles == second.cycles
    np.testing.assert_array_equal(first.tasks, second.tasks)
