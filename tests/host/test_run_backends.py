# SPDX-License-Identifier: Apache-2.0
"""`sparsebd run` on a Device: the simulator's figures, and an NPU's as far as a stand-in goes."""

import json
import sys

import pytest
from command import refused, sparsebd

import firmware_sim.pyxrt
from host import run as runner
from host.device import open_device

OPTIONS = runner.Options(
    device="npu2", rows=600, row_bytes=2048, mask="random", sparsity=0.8, phase="all", sweep=False
)


@pytest.fixture
def npu(monkeypatch, tmp_path):
    """The stand-in where pyxrt would be, and a folder to write in."""
    monkeypatch.setitem(sys.modules, "pyxrt", firmware_sim.pyxrt)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(opened=None):
    report = runner.run(runner.job(OPTIONS, opened)).model_dump()
    for case in report["cases"]:
        case.pop("wall_s")
    return report


def test_a_run_through_the_device_gives_what_direct_simulation_gives():
    with open_device("sim", device="npu2") as opened:
        assert figures(opened) == figures()


def test_an_npu_is_timed_in_the_modes_that_stock_firmware_runs(npu):
    done = sparsebd("run", "--backend", "xrt", "--no-sweep")
    assert done.status == 0, done.err
    assert "measured" in done.out
    report = json.loads((npu / "out/run.json").read_text())
    assert report["backend"] == "xrt"
    assert [case["phase"] for case in report["cases"]] == list(runner.NPU_PHASES)
    for case in report["cases"]:
        assert case["data_ok"]
        assert case["us_low"] <= case["us"] <= case["us_high"]
        assert case["cycles"] is case["dropped_pushes"] is None


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--phase", "phase1"), "needs firmware that no NPU has"),
        (("--phase", "host,phase2"), "needs firmware that no NPU has"),
        (("--addressing", "absolute"), "for the simulator"),
        (("--device", "npu2"), "npu2 was asked for"),
    ],
)
def test_what_an_npu_cannot_do_is_one_sentence(npu, arguments, why):
    assert why in refused(sparsebd("run", "--backend", "xrt", *arguments))
    assert not any(npu.iterdir())


def test_without_an_npu_auto_simulates_and_xrt_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pyxrt", None)
    monkeypatch.chdir(tmp_path)
    assert "pyxrt cannot be imported" in refused(sparsebd("run", "--backend", "xrt"))
    done = sparsebd("run", "--backend", "auto", "--no-sweep", "--phase", "host")
    assert done.status == 0
    assert "simulated npu1" in done.out


def test_an_unknown_backend_is_refused():
    assert "not one of sim, xrt, auto" in refused(sparsebd("run", "--backend", "gpu"))
