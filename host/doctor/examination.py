# SPDX-License-Identifier: Apache-2.0
"""All checks, in the order in which their causes build on each other, and what they come to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from host.doctor import check_access, check_driver, check_python, check_runtime, check_system
from host.doctor.findings import Answer, Finding, Status
from host.doctor.machine import Machine
from host.doctor.survey import Survey

CHECKS: dict[str, tuple[str, Callable[[Survey], Answer]]] = {
    "system": ("system", check_system.system),
    "kernel": ("kernel", check_system.kernel),
    "npu": ("NPU", check_system.npu),
    "secure-boot": ("Secure Boot", check_system.secure_boot),
    "driver": ("driver", check_driver.driver),
    "binding": ("driver takes NPU", check_driver.binding),
    "firmware": ("firmware", check_driver.firmware),
    "iommu": ("IOMMU", check_driver.iommu),
    "node": ("device node", check_access.node),
    "memlock": ("locked memory", check_access.memlock),
    "health": ("state of the NPU", check_driver.health),
    "users": ("other users", check_access.users),
    "xrt": ("XRT", check_runtime.xrt),
    "environment": ("XRT's environment", check_runtime.environment),
    "xrt-smi": ("xrt-smi", check_runtime.smi),
    "power": ("power mode", check_runtime.power),
    "pyxrt": ("pyxrt", check_python.pyxrt),
    "mlir-aie": ("mlir-aie", check_python.mlir_aie),
}
"""Title and function of every check by its name in the JSON."""


class Verdict(StrEnum):
    """What a person wants to know first."""

    NPU = "npu"
    """Programs can run on the NPU."""
    PROBLEMS = "problems"
    """An NPU is here, and something keeps programs from it."""
    SIMULATOR = "simulator"
    """No NPU can be reached from here: the simulator is what there is."""


EXIT = {Verdict.NPU: 0, Verdict.PROBLEMS: 1, Verdict.SIMULATOR: 3}
"""Exit statuses; 2 is a bad command line, as everywhere."""


@dataclass(frozen=True)
class Report:
    """All findings, and what they come to."""

    findings: tuple[Finding, ...]
    verdict: Verdict
    npu: str = ""
    """Name of the NPU, such as `npu4`; empty if none is there that sparsebd knows."""
    target: str = ""
    """The device to give as `--device`."""

    @property
    def status(self) -> int:
        """Exit status."""
        return EXIT[self.verdict]


def examine(machine: Machine, *, strict: bool = False) -> Report:
    """Run every check on `machine`; `strict` counts warnings as problems."""
    survey = Survey(machine)
    findings = tuple(Finding(name, title, check(survey)) for name, (title, check) in CHECKS.items())
    known = survey.npu.known if survey.npu else None
    return Report(
        findings,
        _verdict(survey, findings, strict),
        known.name if known else "",
        known.target if known else "",
    )


def unmended(report: Report) -> Iterator[Finding]:
    """Findings that ask for something to be done, problems before warnings."""
    for status in (Status.PROBLEM, Status.WARNING):
        yield from (found for found in report.findings if found.answer.status is status)


def _verdict(survey: Survey, findings: tuple[Finding, ...], strict: bool) -> Verdict:
    if not survey.usable:
        return Verdict.SIMULATOR
    bad = {Status.PROBLEM, Status.WARNING} if strict else {Status.PROBLEM}
    wrong = any(found.answer.status in bad for found in findings)
    return Verdict.PROBLEMS if wrong else Verdict.NPU
