# SPDX-License-Identifier: Apache-2.0
"""XRT: its libraries, its environment, and what xrt-smi sees."""

from __future__ import annotations

import json
import re

from host.doctor.check_driver import SVA_ERRORS
from host.doctor.check_system import NO_NPU
from host.doctor.facts import Version, facts, version
from host.doctor.findings import Answer, ok, skipped, wrong
from host.doctor.survey import Survey

TOO_NEW = re.compile(
    r"Operation not supported|err=-95|(GET_INFO|GET_ARRAY) IOCTL failed \(err=-22\)", re.IGNORECASE
)
"""What XRT says when the driver lacks what it asks for."""
ADDRESS = re.compile(
    r"\[[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\]\s*\|\s*([^|\n]+?)\s*(\||$)", re.M
)
OLD_ADDRESS = re.compile(r"\[[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\]\s*:\s*(\S.*?)\s*$", re.M)
"""Rows of xrt-smi's table of devices, as newer and older releases print it."""


def xrt(survey: Survey) -> Answer:
    """Whether XRT is installed, with its part for NPUs, and fits the driver."""
    if not survey.usable:
        return skipped(NO_NPU)
    found = _version(survey)
    if not found:
        plugged = "no XRT in /opt/xilinx/xrt, none packaged"
        return wrong("xrt-missing", plugged)
    if _plugged(survey) is False:
        return wrong("xrt-plugin-missing", f"XRT {found}", plugin=facts().xrt.plugin)
    if survey.smi and TOO_NEW.search(survey.smi.output):
        said = next(line for line in survey.smi.output.splitlines() if TOO_NEW.search(line))
        return wrong("xrt-newer", f"XRT {found}; xrt-smi: {said.strip()}")
    module = survey.module
    if module and re.match(r"2\.\d+\.\d+_", module.version) and _newer(found, module.version):
        return wrong("xrt-newer", f"XRT {found}, driver {module.version}")
    return ok(f"{found} ({survey.xrt_root or 'packaged'})")


def environment(survey: Survey) -> Answer:
    """Whether programs find the XRT that is meant."""
    if not survey.usable:
        return skipped(NO_NPU)
    told = survey.here.environment
    named = told.get("XILINX_XRT", "").rstrip("/")
    packaged = "libxrt2" in survey.packages
    root = survey.xrt_root
    if named and survey.machine.read(f"{named}/version.json") is None:
        missing = f"XILINX_XRT names {named}, where no XRT is"
        return wrong("xrt-environment", missing, root=root or "/opt/xilinx/xrt")
    if packaged and named:
        return wrong("xrt-two", f"XILINX_XRT={named}, and libxrt2 {survey.packages['libxrt2']}")
    if packaged:
        return ok("packaged XRT needs none")
    if not root:
        return skipped("no XRT")
    paths = told.get("LD_LIBRARY_PATH", "").split(":")
    if not named or f"{root}/lib" not in (path.rstrip("/") for path in paths):
        unset = "XILINX_XRT" if not named else "LD_LIBRARY_PATH"
        return wrong("xrt-environment", f"{unset} is not set for {root}", root=root)
    return ok(f"XILINX_XRT={named}")


def smi(survey: Survey) -> Answer:
    """What XRT's own tool sees."""
    if not survey.usable:
        return skipped(NO_NPU)
    if survey.machine.which("xrt-smi") is None:
        if survey.xrt_root and survey.machine.names(f"{survey.xrt_root}/bin", "xrt-smi"):
            return skipped(f"in {survey.xrt_root}/bin, not in PATH; see XRT's environment")
        absent = "no xrt-smi in PATH"
        return wrong("smi-missing", absent) if _version(survey) else skipped("no XRT")
    ran = survey.smi
    if ran is None:
        return skipped("not asked: it would wait for the NPU, or cannot be run here")
    if ran.timed_out:
        return wrong("smi-stuck", "no answer in time")
    if TOO_NEW.search(ran.output):
        return skipped("asks for what the driver lacks; see XRT")
    device = ADDRESS.search(ran.output) or OLD_ADDRESS.search(ran.output)
    if device and ran.status == 0:
        return ok(f"sees {device[1]}")
    absent = re.search(r"\b0 devices found|No such device", ran.output)
    said = "0 devices found" if absent else _complaint(ran.output)
    if why := _known_cause(survey, ran.output):
        return skipped(f"{said}; see {why}")
    return wrong("smi-no-device" if absent else "smi-failed", f"status {ran.status}: {said}")


def power(survey: Survey) -> Answer:
    """The power mode: it decides the clocks, and so all measured times."""
    if not survey.usable:
        return skipped(NO_NPU)
    if survey.smi is None or survey.smi.status != 0 or survey.smi.timed_out:
        return skipped("xrt-smi tells it, and did not answer")
    ran = survey.machine.run(("xrt-smi", "examine", "-r", "platform"))
    found = re.search(r"Power Mode\s*:\s*(\S+)", ran.output) if ran else None
    if found is None:
        return skipped("this xrt-smi does not tell")
    mode = found[1].lower()
    if mode in ("performance", "turbo"):
        return ok(mode)
    return ok(f"{mode}; for steady times: sudo xrt-smi configure --pmode performance")


def _version(survey: Survey) -> str:
    """Of XRT; empty if none is installed."""
    if survey.here.environment.get("XILINX_XRT") or "libxrt2" not in survey.packages:
        told = survey.machine.read(f"{survey.xrt_root}/version.json") if survey.xrt_root else None
        if told is not None:
            return _build_version(told)
    if "libxrt2" in survey.packages:
        return survey.packages["libxrt2"]
    said = re.search(r"^\s*Version\s*:\s*(\d\S*)", survey.smi.output if survey.smi else "", re.M)
    return said[1] if said else ""


def _known_cause(survey: Survey, output: str) -> str:
    """Title of the check that already says why XRT cannot see the NPU; empty if none does."""
    if survey.npu is None:
        return "NPU"
    if not survey.npu.bound:
        return "driver takes NPU" if survey.module else "driver"
    if survey.opened:
        return "IOMMU" if survey.opened in SVA_ERRORS else "device node"
    limit = survey.here.memlock
    small = limit is not None and 0 <= limit <= facts().memory.heap_bytes
    return "locked memory" if small and "err=-11" in output else ""


def _complaint(output: str) -> str:
    """The line in which xrt-smi says what is wrong, else its last."""
    lines = output.splitlines() or ["nothing said"]
    return next((line for line in lines if "ERROR" in line.upper()), lines[-1]).strip()


def _build_version(told: str) -> str:
    try:
        data = json.loads(told)
    except ValueError:
        return "of unknown version"
    return str(data.get("BUILD_VERSION", "")) if isinstance(data, dict) else "of unknown version"


def _plugged(survey: Survey) -> bool | None:
    """Whether XRT's part for NPUs is there; None if no folder of libraries could be read."""
    own = (f"{survey.xrt_root}/lib",) if survey.xrt_root else ()
    plugin = facts().xrt.plugin
    found = [
        survey.machine.names(folder, plugin) for folder in (*own, *facts().xrt.library_folders)
    ]
    if "libxrt-npu2" in survey.packages or any(found):
        return True
    return None if all(names is None for names in found) else False


def _newer(xrt_version: str, driver_version: str) -> bool:
    """Whether XRT is of a later release than an out-of-tree driver that carries XRT's number."""
    return _release(xrt_version) > _release(driver_version)


def _release(text: str) -> Version:
    return version(text)[:2]
