# SPDX-License-Identifier: Apache-2.0
"""Recorded machines: each is told what is wrong with it, all of it and nothing else."""

from pathlib import Path

import pytest

from host.doctor.examination import EXIT, Report, Verdict, examine
from host.doctor.findings import Status
from host.doctor.recording import Recorded, load

MACHINES = Path(__file__).parents[1] / "data" / "machines"

EXPECTED = {
    "healthy-phoenix": (0, {}),
    "healthy-strix": (0, {}),
    "server-no-npu": (3, {}),
    "virtual-machine": (3, {}),
    "windows": (3, {"system": "other-system"}),
    "macos": (3, {"system": "other-system"}),
    "wsl": (3, {"system": "wsl"}),
    "bios-off": (1, {"npu": "npu-hidden"}),
    "kernel-too-old": (
        1,
        {"kernel": "kernel-old", "xrt": "xrt-missing", "pyxrt": "pyxrt-missing"},
    ),
    "secure-boot-key": (1, {"secure-boot": "key-rejected"}),
    "driver-missing": (
        1,
        {"driver": "driver-missing", "xrt": "xrt-missing", "pyxrt": "pyxrt-missing"},
    ),
    "node-root-only": (1, {"node": "node-root-only"}),
    "not-in-group": (1, {"node": "not-in-group"}),
    "memlock-8mib": (1, {"memlock": "memlock"}),
    "firmware-mismatch": (1, {"binding": "firmware-mismatch"}),
    "firmware-mismatch-logged": (1, {"binding": "firmware-mismatch"}),
    "iommu-off": (1, {"iommu": "iommu-off"}),
    "pyxrt-other-python": (1, {"pyxrt": "pyxrt-python"}),
    "ray-tracer": (1, {"pyxrt": "ray-tracer"}),
    "xrt-newer-than-driver": (1, {"xrt": "xrt-newer"}),
    "wedged": (1, {"health": "wedged"}),
    "container-without-dev": (1, {"node": "container", "memlock": "memlock-container"}),
}
"""Exit status, and the problems and warnings by check."""


def recorded(name: str) -> Recorded:
    return load(MACHINES / f"{name}.toml")


def report(name: str) -> Report:
    return examine(recorded(name))


def found(name: str, check: str) -> str:
    return next(item.answer.found for item in report(name).findings if item.check == check)


def test_every_recorded_machine_is_expected_to_be_something():
    assert {path.stem for path in MACHINES.iterdir()} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_a_machine_is_told_what_is_wrong_and_nothing_else(name):
    status, problems = EXPECTED[name]
    told = report(name)
    wrong = {
        item.check: item.answer.problem
        for item in told.findings
        if item.answer.status in (Status.PROBLEM, Status.WARNING)
    }
    assert (told.status, wrong) == (status, problems)


@pytest.mark.parametrize("name", EXPECTED)
def test_whatever_is_wrong_has_a_cause_and_a_source_and_whatever_is_skipped_a_reason(name):
    for item in report(name).findings:
        assert item.answer.found, item
        if item.answer.status in (Status.PROBLEM, Status.WARNING):
            assert item.answer.cause, item
            assert item.answer.sources, item
        if item.answer.status is Status.PROBLEM:
            assert item.answer.remedy, item


@pytest.mark.parametrize("name", EXPECTED)
def test_a_verdict_agrees_with_the_findings(name):
    told = report(name)
    problems = any(item.answer.status is Status.PROBLEM for item in told.findings)
    assert told.status == EXIT[told.verdict]
    assert (told.verdict is Verdict.PROBLEMS) == problems


@pytest.mark.parametrize(
    ("name", "npu", "target"),
    [
        ("healthy-phoenix", "npu1", "npu1"),
        ("healthy-strix", "npu4", "npu2"),
        ("firmware-mismatch", "npu5", "npu2"),
        ("memlock-8mib", "npu6", "npu2"),
        ("server-no-npu", "", ""),
        ("bios-off", "", ""),
    ],
)
def test_the_npu_is_named_with_the_device_to_give(name, npu, target):
    told = report(name)
    assert (told.npu, told.target) == (npu, target)


@pytest.mark.parametrize(
    ("name", "check", "words"),
    [
        ("healthy-phoenix", "firmware", "1.5.5.391, protocol 5; the driver needs 5.7"),
        ("healthy-phoenix", "driver", "amdxdna 2.21.0_20251207 (out of tree)"),
        ("healthy-strix", "driver", "amdxdna (in-tree, Linux 7.0.0-15-generic)"),
        ("healthy-strix", "secure-boot", "on; it keeps no NPU driver out"),
        ("healthy-strix", "power", "performance"),
        ("healthy-phoenix", "power", "sudo xrt-smi configure --pmode performance"),
        ("healthy-phoenix", "users", "214 processes of others could not be looked at"),
        ("healthy-strix", "users", "nobody: no hardware context"),
        ("firmware-mismatch", "binding", "firmware 1.1.2.65 on disk speaks protocol 7"),
        ("firmware-mismatch-logged", "binding", "firmware speaks protocol 7.3, the driver 6"),
        ("iommu-off", "iommu", "amd_iommu=off"),
        ("memlock-8mib", "memlock", "8 MiB"),
        ("not-in-group", "node", "root:render 0660; groups here: alice, adm, sudo"),
        ("pyxrt-other-python", "pyxrt", "is built for Python 3.12, this is 3.11.13"),
        ("ray-tracer", "pyxrt", "xrt-1.6.1.dist-info is installed, and no pyxrt"),
        ("wedged", "xrt-smi", "not asked"),
        ("server-no-npu", "npu", "AMD EPYC 9354 32-Core Processor"),
        ("xrt-newer-than-driver", "xrt", "GET_ARRAY IOCTL failed (err=-95)"),
    ],
)
def test_what_was_found_is_said(name, check, words):
    assert words in found(name, check)


def test_strict_turns_a_warning_into_exit_status_1_and_leaves_no_npu_at_3():
    tight = recorded("healthy-phoenix")
    tight.recording.memlock = 1 << 29
    assert examine(tight).status == 0
    assert examine(tight, strict=True).status == 1
    assert examine(recorded("wsl"), strict=True).status == 3


def test_an_unreadable_kernel_log_is_said_where_it_would_have_told_more():
    quiet = recorded("healthy-phoenix")
    quiet.recording.commands.clear()
    told = {item.check: item.answer for item in examine(quiet).findings}
    assert "the kernel log may not be read" in told["health"].found
    assert told["health"].status is Status.OK
