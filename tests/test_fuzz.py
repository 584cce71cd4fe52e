# SPDX-License-Identifier: Apache-2.0
"""A sample of `make fuzz`, and that the fuzzer itself sees what it is there for."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from aie2 import cdo, pdi, xclbin
from firmware_sim import Stalled
from tests.fuzz import __main__ as command
from tests.fuzz import oracle, workers
from tests.fuzz.cases import KINDS, case, goldens
from tests.fuzz.containers import cdo_of
from tests.fuzz.oracle import Finding, Outcome, judge

ROOT = Path(__file__).parents[1]


def test_a_sample_gives_only_typed_errors_and_clean_results():
    said = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--seed", "7", "--count", "400"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout + said.stderr
    assert "seed 7: 400 cases" in said.stdout
    assert said.stdout.endswith("findings: 0\n")
    for what in ("simulated: clean", "simulated: mistakes", "simulated: stalled", "read: TxnError"):
        assert what in said.stdout


def test_a_case_is_decided_by_seed_and_number():
    for number in range(60):
        one, again, other = case(3, number), case(3, number), case(4, number)
        assert (one.kind, one.xclbin, one.insts) == (again.kind, again.xclbin, again.insts)
        assert (one.options, one.cores) == (again.options, again.cores)
        for buffer, same in zip(one.buffers, again.buffers, strict=True):
            np.testing.assert_array_equal(buffer, same)
        assert (one.xclbin, one.insts, one.options) != (other.xclbin, other.insts, other.options)


def test_every_kind_is_made():
    assert {case(1, number).kind for number in range(100)} == {name for name, _ in KINDS}


@pytest.mark.parametrize("transformed", [False, True])
def test_what_is_wrapped_reads_as_it_was(transformed: bool):
    container = goldens()[0].container
    configuration = cdo_of(container.commands)
    image = container.image_of(configuration)
    if transformed:
        image = container.transformed_image_of(configuration, whole=True)
    (entry,) = xclbin.read(container.with_image(image)).partition.pdis
    wrapped = cdo.register_writes(cdo.read(pdi.read(entry.image).cdo))
    plain = cdo.register_writes(cdo.read(pdi.read(container.image).cdo))
    for made, right in zip(wrapped, plain, strict=True):
        np.testing.assert_array_equal(made, right)


def simulated(seed: int = 1) -> int:
    """Number of a case that is simulated and has a host buffer."""
    for number in range(100):
        made = case(seed, number)
        if made.buffers and made.buffers[0].size and judge(made).stage == "simulated":
            return number
    raise AssertionError("no case of 100 is simulated")


def test_an_untyped_error_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    number = simulated()

    def fails(*_: Any, **__: Any):
        raise KeyError("gone")

    monkeypatch.setattr(oracle, "simulate", fails)
    with pytest.raises(Finding, match=r"^KeyError at test_fuzz.py:\d+: 'gone'$"):
        judge(case(1, number))


def test_a_warning_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    number = simulated()
    monkeypatch.setattr(oracle, "simulate", lambda *_, **__: np.float64(1) / np.zeros(1))
    with pytest.raises(Finding, match=r"^RuntimeWarning at test_fuzz.py"):
        judge(case(1, number))


def test_a_byte_beside_a_buffer_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    number = simulated()
    simulate = oracle.simulate

    def overruns(xclbin: Any, insts: Any, buffers: Any, **options: Any):
        buffers[0].base[oracle.GUARD_BYTES + buffers[0].size] = 0
        return simulate(xclbin, insts, buffers, **options)

    monkeypatch.setattr(oracle, "simulate", overruns)
    with pytest.raises(Finding, match=r"^bytes beside a host buffer were written$"):
        judge(case(1, number))


def test_another_end_the_second_time_is_a_finding(monkeypatch: pytest.MonkeyPatch):
    simulate = oracle.simulate
    runs: list[int] = []

    def differs(*given: Any, **options: Any):
        runs.append(1)
        try:
            result = simulate(*given, **options)
        except Stalled as stalled:
            result = stalled.result
        object.__setattr__(result, "cycles", len(runs))
        return result

    made = case(1, simulated())
    made.number = 0
    monkeypatch.setattr(oracle, "simulate", differs)
    with pytest.raises(Finding, match=r"from the same input$"):
        judge(made)


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_crashes_hangs_and_growth_are_findings(monkeypatch: pytest.MonkeyPatch):
    def one(seed: int, number: int) -> tuple[str, Any, float, float]:
        assert seed == 5
        if number == 12:
            os.kill(os.getpid(), signal.SIGKILL)
        if number == 15:
            time.sleep(60)
        if number == 17:
            return "stream", "KeyError: gone", 0.0, 100.0
        if number == 18:
            return "stream", "the process grew to 9999 MiB", 0.0, 9999.0
        return "stream", Outcome("read", "TxnError"), 0.0, 100.0

    monkeypatch.setattr(workers, "_one", one)
    monkeypatch.setattr(workers, "compile_all", lambda *_: None)
    monkeypatch.setattr(workers, "CASE_SECONDS", 1.5)
    summary = workers.run(5, 15, first=10, jobs=2)
    assert summary.cases == 15
    assert {found.number: found.text for found in summary.findings} == {
        12: "the process died with code -9",
        15: "still running after 1.5 s",
        17: "KeyError: gone",
        18: "the process grew to 9999 MiB",
    }
    assert summary.outcomes["stream", "read", "TxnError"] == 11
    assert "findings: 4" in command.report(summary, 5)


def test_one_case_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    number = simulated()
    assert command._only(1, number, tmp_path / "kept") == 0
    made = case(1, number)
    assert f"case {number} of seed 1: {made.kind}" in capsys.readouterr().out
    assert (tmp_path / "kept/design.xclbin").read_bytes() == made.xclbin
    assert (tmp_path / "kept/insts.bin").read_bytes() == made.insts
    options = json.loads((tmp_path / "kept/options.json").read_text())["options"]
    assert options == made.options
