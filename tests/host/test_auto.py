# SPDX-License-Identifier: Apache-2.0
"""`--phase auto` and the options of `host`: what is taken, said and judged."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from command import refused, sparsebd
from hypothesis import given
from hypothesis import strategies as st

from aie2.devices import device
from firmware_sim import PROFILES
from host.cases import ADDRESSINGS, AUTO, PHASES, Setup, data_ok, execute, make, prepare
from host.check import closed
from host.workload import Workload, masked, random_weights

SPARSE = ("run", "--rows", 400, "--row-bytes", 4096, "--no-sweep")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def cases(*arguments) -> tuple[list[dict], str]:
    done = sparsebd(*SPARSE, *arguments, "--json", "run.json", "--plot", "run.png")
    assert done.status == 0, done
    return json.loads(Path("run.json").read_text())["cases"], done.out


def judged(setup: Setup, work: Workload, phase: str, max_gap: int | None = None) -> bool:
    made = make(setup, work, phase)
    output = np.empty(work.weights.size + 65536, np.uint8)
    result = execute(setup, work, made.program, setup.profile, output)
    return data_ok(work, made.program, result, output, made.max_gap if max_gap is None else max_gap)


def test_auto_is_asked_for_by_name_only():
    assert AUTO not in PHASES
    found, out = cases("--sparsity", 0.95, "--phase", "auto,dense")
    assert [case["phase"] for case in found] == ["auto", "dense"]
    assert f"auto took: {found[0]['way']}." in out
    assert re.fullmatch(r"host, patch, (1 column|2 columns|4 columns)", found[0]["way"])
    assert found[1]["way"] is None


@pytest.mark.parametrize(("sparsity", "way", "rows"), [(0.0, "dense", 400), (0.99, "host, ", None)])
def test_auto_takes_what_is_faster(sparsity, way, rows):
    [auto, dense, host], out = cases("--sparsity", sparsity, "--phase", "auto,dense,host")
    assert auto["way"].startswith(way)
    assert f"auto took: {way}" in out
    assert auto["data_ok"]
    assert auto["rows_moved"] == (rows or auto["rows_wanted"])
    assert auto["us"] <= 1.05 * min(dense["us"], host["us"])


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("sparsity", [0.5, 0.9])
def test_auto_brings_the_right_data_in_every_profile(profile, sparsity):
    setup = prepare(device("npu2"), None, 1024, profile=profile)
    work = masked(random_weights(500, 1024, 0), "made up", "random", sparsity, 0)
    assert judged(setup, work, AUTO)


@pytest.mark.parametrize("addressing", ADDRESSINGS)
def test_run_takes_how_host_packs_and_addresses(addressing):
    [fast], _ = cases("--phase", "host", "--addressing", addressing)
    [runs], _ = cases("--phase", "host", "--addressing", addressing, "--effort", "runs")
    assert fast["data_ok"]
    assert runs["data_ok"]
    assert fast["bds"] < runs["bds"]


@pytest.mark.parametrize("arguments", [("--effort", "most"), ("--addressing", "magic")])
def test_an_effort_or_addressing_that_is_none_is_refused(arguments):
    option, name = arguments
    assert re.match(f"{option} '{name}' is not one of ", refused(sparsebd(*SPARSE, *arguments)))


def test_rows_of_gaps_count_as_right_only_where_gaps_were_asked_for():
    setup = prepare(device("npu1"), None, 512, max_gap=2)
    work = masked(random_weights(90, 512, 0), "made up", "alternating", 2 / 3, 0)
    assert judged(setup, work, "host")
    assert not judged(setup, work, "host", max_gap=1)


@given(st.lists(st.booleans(), max_size=40), st.integers(0, 5))
def test_gaps_are_closed_as_the_plain_way_does(wanted, max_gap):
    mask = np.array(wanted, bool)
    expected = mask.copy()
    for row in range(len(mask)):
        before = [other for other in range(row) if mask[other]]
        behind = [other for other in range(row, len(mask)) if mask[other]]
        if before and behind and behind[0] - before[-1] - 1 <= max_gap:
            expected[row] = True
    np.testing.assert_array_equal(closed(mask, max_gap), expected)
