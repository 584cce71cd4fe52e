# SPDX-License-Identifier: Apache-2.0
"""Checks at their limits, and the facts that they go by."""

import re
import subprocess

import pytest
from doctor_changes import SMI, answers, logs, put

from aie2.devices import DEVICES
from host.doctor.examination import CHECKS
from host.doctor.facts import facts, version
from host.doctor.recording import RecordedCommand, Recording


def test_a_module_that_the_log_says_was_wedged_before_it_was_loaded_again_is_well():
    trouble = "amdxdna: [drm] *ERROR* aie2_send_mgmt_msg_wait: opcode 0x2 failed, status 0x2000003"
    started = "[drm] Initialized amdxdna_accel_driver 0.16.0 for 0000:c5:00.1 on minor 0"
    assert answers("healthy-phoenix", logs(started, trouble))["health"].problem == "wedged"
    assert answers("healthy-phoenix", logs(trouble, started))["health"].problem == ""


@pytest.mark.parametrize(
    ("release", "image", "problem"),
    [
        ("6.19.3-arch1-1", "npu.sbin.1.1.2.65.zst", "firmware-mismatch"),
        ("6.19.3-arch1-1", "npu.sbin.1.0.0.166.zst", "driver-refused"),
        ("6.19.3-arch1-1", "npu.sbin.9.9.9.9.zst", "driver-refused"),
        ("7.0.1-arch1-1", "npu.sbin.1.1.2.65.zst", "driver-refused"),
    ],
)
def test_a_mismatch_is_told_from_the_file_only_where_both_protocols_are_known(
    release, image, problem
):
    def change(told: Recording) -> None:
        told.release = release
        told.links["/lib/firmware/amdnpu/17f0_11/npu.sbin.zst"] = image

    assert answers("firmware-mismatch", change)["binding"].problem == problem


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        (-1, ""),
        (1 << 30, ""),
        ((1 << 30) - 1, "memlock-tight"),
        (64 << 20, "memlock"),
        (0, "memlock"),
    ],
)
def test_locked_memory_at_its_limits(limit, problem):
    def change(told: Recording) -> None:
        told.memlock = limit

    assert answers("healthy-phoenix", change)["memlock"].problem == problem


def test_contexts_of_processes_that_cannot_be_seen_are_told_by_xrt_smi():
    def change(told: Recording) -> None:
        output = "AIE Partitions\n  Partition Index   : 0\n    Columns: [0, 1]\n    HW Contexts:\n"
        told.commands[f"{SMI} -r aie-partitions"] = RecordedCommand(output=output)

    answer = answers("healthy-strix", change)["users"]
    assert answer.problem == "shared"
    assert answer.found.startswith("1 partitions in use")


def test_root_outside_of_a_container_is_not_bound_by_the_limit():
    def change(told: Recording) -> None:
        told.memlock, told.uid = 8 << 20, 0
        told.files["/proc/self/status"] = "CapEff:\t000001ffffffffff\n"

    assert answers("healthy-phoenix", change)["memlock"].problem == ""


def test_facts_agree_with_the_devices_that_streams_are_made_for():
    assert {npu.target for npu in facts().npu} == set(DEVICES)
    assert len({(npu.device, npu.revision) for npu in facts().npu}) == len(facts().npu)
    assert {release.npu for release in facts().release} <= {npu.name for npu in facts().npu}
    for npu in facts().npu:
        assert npu.protocol < npu.commands
        assert all(re.compile(pattern) for pattern in npu.processors)


@pytest.mark.parametrize(
    ("processor", "title"),
    [
        ("AMD Ryzen 7 7840HS w/ Radeon 780M Graphics", "Phoenix or Hawk Point"),
        ("AMD Ryzen 9 PRO 7940HS w/ Radeon 780M Graphics", "Phoenix or Hawk Point"),
        ("AMD Ryzen 7 8845HS w/ Radeon 780M Graphics", "Phoenix or Hawk Point"),
        ("AMD Ryzen 7 8700G w/ Radeon 780M Graphics", "Phoenix or Hawk Point"),
        ("AMD Ryzen 7 260 w/ Radeon 780M Graphics", "Phoenix or Hawk Point"),
        ("AMD Ryzen AI 9 HX 370 w/ Radeon 890M", "Strix Point"),
        ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", "Strix Halo"),
        ("AMD Ryzen AI 7 350 w/ Radeon 860M", "Krackan Point"),
    ],
)
def test_processors_that_are_sold_with_an_npu_are_known(processor, title):
    change = put("/proc/cpuinfo", f"model name\t: {processor}\n")
    answer = answers("bios-off", change)["npu"]
    assert answer.problem == "npu-hidden"
    assert answer.cause.startswith(title)


@pytest.mark.parametrize(
    "processor",
    [
        "AMD Ryzen 5 7545U w/ Radeon 740M Graphics",
        "AMD Ryzen 5 8500G w/ Radeon 740M Graphics",
        "AMD Ryzen 7 7800X3D 8-Core Processor",
        "AMD Ryzen 9 9950X 16-Core Processor",
        "Intel(R) Core(TM) Ultra 7 155H",
    ],
)
def test_processors_without_amds_npu_are_not_said_to_have_one(processor):
    change = put("/proc/cpuinfo", f"model name\t: {processor}\n")
    assert answers("bios-off", change)["npu"].problem == ""


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("6.17.0-14-generic", (6, 17, 0)),
        ("7.0", (7, 0)),
        ("6.12.57+deb13-amd64", (6, 12, 57)),
        ("", ()),
        ("x", ()),
    ],
)
def test_versions_are_the_numbers_in_front(text, numbers):
    assert version(text) == numbers


def test_checks_have_names_for_programs_and_titles_for_people():
    assert all(re.fullmatch(r"[a-z][a-z-]*", name) for name in CHECKS)
    titles = [title for title, _ in CHECKS.values()]
    assert len(set(titles)) == len(titles)


def test_the_iommu_is_put_back_on_without_touching_another_option(tmp_path):
    grub = tmp_path / "grub"
    before = 'GRUB_CMDLINE_LINUX_DEFAULT="quiet splash{}"\nGRUB_CMDLINE_LINUX="intel_iommu=off"\n'
    line = next(line for line in facts().problem["iommu-off"].remedy if "sed" in line)
    edit = line.partition("&&")[0].replace("sudo ", "").replace("/etc/default/grub", str(grub))
    for option in (" amd_iommu=off", " iommu=off", ""):
        grub.write_text(before.format(option))
        subprocess.run(["sh", "-c", edit], check=True)
        assert grub.read_text() == before.format("")
