# SPDX-License-Identifier: Apache-2.0
"""Every problem that the facts name is met by some machine, one change away from a recorded one."""

import re
import string
import subprocess

import pytest
from doctor_changes import (
    NODE,
    PHOENIX,
    PYXRT,
    RELEASE,
    SMI,
    Change,
    answers,
    environment,
    folder,
    imports,
    logs,
    no_import,
    opens,
    put,
    smi,
    unbound,
    unloaded,
)

from host.doctor.facts import facts

MET: dict[str, tuple[str, str, tuple[Change, ...]]] = {
    "other-system": ("system", "macos", ()),
    "wsl": ("system", "wsl", ()),
    "hypervisor": (
        "system",
        "healthy-phoenix",
        (put("/proc/cpuinfo", "flags\t\t: fpu hypervisor svm\n"),),
    ),
    "container": ("node", "container-without-dev", ()),
    "container-forbidden": (
        "node",
        "healthy-phoenix",
        (put("/.dockerenv", ""), opens("EPERM")),
    ),
    "kernel-old": ("kernel", "kernel-too-old", ()),
    "kernel-out-of-tree": (
        "kernel",
        "kernel-too-old",
        (lambda told: setattr(told, "release", "6.11.0-29-generic"),),
    ),
    "npu-hidden": ("npu", "bios-off", ()),
    "npu-unknown": ("npu", "healthy-phoenix", (put(f"{PHOENIX}/device", "0x17f1\n"),)),
    "driver-missing": ("driver", "driver-missing", ()),
    "driver-not-loaded": ("driver", "healthy-phoenix", (unloaded,)),
    "key-rejected": ("secure-boot", "secure-boot-key", ()),
    "driver-refused": (
        "binding",
        "healthy-phoenix",
        (unbound, logs("amdxdna 0000:c5:00.1: [drm] *ERROR* amdxdna_probe: failed, ret -12")),
    ),
    "firmware-missing": (
        "binding",
        "healthy-phoenix",
        (unbound, logs("amdxdna: [drm] *ERROR* aie2_init: failed to request_firmware x, ret -2")),
    ),
    "firmware-mismatch": ("binding", "firmware-mismatch", ()),
    "firmware-old": (
        "firmware",
        "healthy-phoenix",
        (
            logs(
                "amdxdna: mailbox protocol major 0x5",
                "amdxdna: mailbox protocol minor 0x7",
            ),
        ),
    ),
    "node-missing": ("node", "healthy-phoenix", (lambda told: told.nodes.clear(),)),
    "node-root-only": ("node", "node-root-only", ()),
    "not-in-group": ("node", "not-in-group", ()),
    "group-not-active": (
        "node",
        "healthy-phoenix",
        (opens("EACCES"), lambda told: told.groups.remove("render")),
    ),
    "node-failed": ("node", "healthy-phoenix", (opens("EBUSY"),)),
    "memlock": ("memlock", "memlock-8mib", ()),
    "memlock-container": ("memlock", "container-without-dev", ()),
    "memlock-tight": (
        "memlock",
        "healthy-phoenix",
        (lambda told: setattr(told, "memlock", (64 << 20) + 1),),
    ),
    "iommu-off": ("iommu", "iommu-off", ()),
    "iommu-config": (
        "iommu",
        "healthy-phoenix",
        (put(f"/boot/config-{RELEASE}", "CONFIG_AMD_IOMMU=y\n# CONFIG_IOMMU_SVA is not set\n"),),
    ),
    "sva-failed": ("iommu", "healthy-phoenix", (opens("EOPNOTSUPP"),)),
    "wedged": ("health", "wedged", ()),
    "timeouts": (
        "health",
        "healthy-phoenix",
        (logs("amdxdna 0000:c5:00.1: [drm] *ERROR* aie2_tdr_detect: TDR timeout detected"),),
    ),
    "shared": (
        "users",
        "healthy-phoenix",
        (lambda told: told.nodes[NODE].holders.update({"4711": "flm"}),),
    ),
    "xrt-missing": ("xrt", "driver-missing", ()),
    "xrt-plugin-missing": (
        "xrt",
        "healthy-strix",
        (folder("/opt/xilinx/xrt/lib", "libxrt_core.so.2"),),
    ),
    "xrt-newer": ("xrt", "xrt-newer-than-driver", ()),
    "xrt-environment": (
        "environment",
        "healthy-strix",
        (lambda told: told.environment.pop("LD_LIBRARY_PATH"),),
    ),
    "xrt-two": (
        "environment",
        "healthy-phoenix",
        (environment(XILINX_XRT="/opt/xilinx/xrt"), put("/opt/xilinx/xrt/version.json", "{}")),
    ),
    "smi-missing": (
        "xrt-smi",
        "healthy-phoenix",
        (lambda told: told.commands.pop(SMI), lambda told: told.commands.pop(f"{SMI} -r platform")),
    ),
    "smi-no-device": (
        "xrt-smi",
        "healthy-phoenix",
        (smi("Device(s) Present\n  0 devices found\n"),),
    ),
    "smi-failed": ("xrt-smi", "healthy-phoenix", (smi("[xrt-smi] ERROR: oh\n", 1),)),
    "smi-stuck": ("xrt-smi", "healthy-phoenix", (smi("", -9, timed_out=True),)),
    "pyxrt-missing": (
        "pyxrt",
        "healthy-phoenix",
        (no_import("pyxrt"), folder("/usr/lib/python3/dist-packages")),
    ),
    "pyxrt-python": ("pyxrt", "pyxrt-other-python", ()),
    "pyxrt-path": (
        "pyxrt",
        "healthy-phoenix",
        (
            no_import("pyxrt"),
            folder("/usr/lib/python3/dist-packages"),
            folder("/opt/xilinx/xrt/python", PYXRT),
        ),
    ),
    "pyxrt-broken": (
        "pyxrt",
        "healthy-phoenix",
        (imports("pyxrt", error="ImportError: libxrt_coreutil.so.2: cannot open shared object"),),
    ),
    "pyxrt-stuck": ("pyxrt", "healthy-phoenix", (imports("pyxrt", timed_out=True),)),
    "ray-tracer": ("pyxrt", "ray-tracer", ()),
    "iron-missing": ("mlir-aie", "healthy-phoenix", ()),
    "iron-broken": (
        "mlir-aie",
        "healthy-strix",
        (imports("aie.iron", error="ImportError: libMLIRAIE.so"),),
    ),
    "iron-partial": (
        "mlir-aie",
        "healthy-strix",
        (lambda told: told.programs.pop("xclbinutil"),),
    ),
}
"""For each problem the check that meets it, a recorded machine, and what is changed in that."""


def test_every_problem_is_met():
    assert set(MET) == set(facts().problem)


@pytest.mark.parametrize("problem", MET)
def test_a_problem_is_met(problem):
    check, base, changes = MET[problem]
    answer = answers(base, *changes)[check]
    assert answer.problem == problem, answer
    assert answer.cause
    assert answer.sources


@pytest.mark.parametrize("problem", MET)
def test_texts_are_filled_in(problem):
    check, base, changes = MET[problem]
    answer = answers(base, *changes)[check]
    known = facts().problem[problem]
    names = {
        name
        for text in (known.cause, *known.remedy)
        for _, name, _, _ in string.Formatter().parse(text)
        if name
    }
    for text in (answer.cause, *answer.remedy):
        assert not names & set(re.findall(r"\{(\w+)\}", text)), text


def test_nobody_is_told_to_fetch_pyxrt_or_xrt_from_pypi():
    for known in facts().problem.values():
        for line in known.remedy:
            assert not re.search(r"pip install.*\b(py)?xrt\b", line), line


def test_remedies_are_lines_that_a_shell_takes_or_say_that_they_are_for_the_bios():
    for name, known in facts().problem.items():
        for line in known.remedy:
            if line.startswith(
                ("BIOS setup:", "shut down", "end them", "run sparsebd", "{install}")
            ):
                continue
            assert subprocess.run(["sh", "-n", "-c", line], capture_output=True).returncode == 0, (
                name,
                line,
            )
