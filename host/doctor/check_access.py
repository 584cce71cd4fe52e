# SPDX-License-Identifier: Apache-2.0
"""Whether this user may use the NPU: device node, locked memory, and who else uses it."""

from __future__ import annotations

import re

from host.doctor.check_driver import SVA_ERRORS
from host.doctor.check_system import NO_NPU
from host.doctor.facts import facts
from host.doctor.findings import Answer, ok, skipped, wrong
from host.doctor.machine import Node
from host.doctor.survey import Survey

STATUS = "/proc/self/status"
IPC_LOCK = 14
"""Bit of CAP_IPC_LOCK (linux/capability.h)."""
NOT_BOUND = "the driver did not take the NPU"


def node(survey: Survey) -> Answer:
    """The device node and whether this user may open it."""
    npu = survey.npu
    if npu is None or npu.known is None:
        return skipped(NO_NPU)
    if not npu.bound:
        return skipped(NOT_BOUND)
    found = survey.machine.node(survey.node)
    if found is None:
        problem = "container" if survey.container else "node-missing"
        return wrong(problem, f"no {survey.node}")
    told = f"{survey.node}, {found.owner}:{found.group} {found.mode:04o}"
    result = survey.opened
    if result == "":
        return ok(f"{told}; opens")
    if result is None:
        return skipped(f"{told}; cannot be tried here")
    if result == "TIMEOUT":
        return skipped(f"{told}; see the state of the NPU")
    if result == "EPERM" and survey.container:
        return wrong("container-forbidden", f"{told}; {result}")
    if result == "EACCES":
        return _denied(survey, found, told)
    if result in SVA_ERRORS:
        return skipped(f"{told}; see IOMMU ({result})")
    return wrong("node-failed", f"{told}; {result}", error=result)


def memlock(survey: Survey) -> Answer:
    """How much memory this process may lock."""
    if not survey.usable:
        return skipped(NO_NPU)
    limit = survey.here.memlock
    if limit is None:
        return skipped("the limit is not known")
    if limit < 0:
        return ok("no limit")
    needed = facts().memory
    found = _size(limit)
    if _unbound(survey):
        return ok(f"{found}, which does not bind this process")
    if limit <= needed.heap_bytes:
        problem = "memlock-container" if survey.container else "memlock"
        return wrong(problem, found, heap=_size(needed.heap_bytes))
    return wrong("memlock-tight", found) if limit < needed.enough_bytes else ok(found)


def users(survey: Survey) -> Answer:
    """Who else has the NPU open."""
    if survey.npu is None or survey.npu.known is None:
        return skipped(NO_NPU)
    if not survey.npu.bound or survey.machine.node(survey.node) is None:
        return skipped("nobody can have it open")
    found = survey.machine.holders(survey.node)
    unseen = f"; {found.hidden} processes of others could not be looked at" if found.hidden else ""
    if found.processes:
        names = ", ".join(f"{name} ({pid})" for pid, name in found.processes)
        return wrong("shared", names + unseen)
    told = _contexts(survey) if found.hidden else ""
    if "HW Contexts:" in told:
        count = told.count("Partition Index")
        return wrong("shared", f"{count} partitions in use (xrt-smi examine -r aie-partitions)")
    if "No hardware contexts" in told:
        return ok("nobody: no hardware context")
    return ok(f"nobody else{unseen}")


def _contexts(survey: Survey) -> str:
    """What xrt-smi says of everybody's hardware contexts; empty where it says nothing."""
    if survey.smi is None or survey.smi.status != 0 or survey.smi.timed_out:
        return ""
    ran = survey.machine.run(("xrt-smi", "examine", "-r", "aie-partitions"))
    return ran.output if ran else ""


def _denied(survey: Survey, found: Node, told: str) -> Answer:
    """Why permission was denied: the mode, or the groups of this session."""
    if not found.mode & 0o060 or found.group in ("root", "0"):
        return wrong("node-root-only", told)
    group = found.group
    if group in survey.here.groups:
        return wrong("node-failed", f"{told}; permission denied to its group", error="EACCES")
    problem = "group-not-active" if _enrolled(survey, group) else "not-in-group"
    return wrong(problem, f"{told}; groups here: {', '.join(survey.here.groups)}", group=group)


def _enrolled(survey: Survey, group: str) -> bool:
    """Whether /etc/group has this user in `group`."""
    for line in (survey.machine.read("/etc/group") or "").splitlines():
        fields = line.split(":")
        if len(fields) == 4 and fields[0] == group:
            return bool(survey.here.user) and survey.here.user in fields[3].split(",")
    return False


def _unbound(survey: Survey) -> bool:
    """Whether this process has CAP_IPC_LOCK, as root has outside of containers."""
    told = re.search(r"^CapEff:\s*([0-9a-f]+)", survey.machine.read(STATUS) or "", re.M)
    return bool(told and int(told[1], 16) >> IPC_LOCK & 1)


def _size(count: int) -> str:
    """Bytes as people write them."""
    for unit, name in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if count >= unit:
            return f"{count / unit:.3g} {name}"
    return f"{count} bytes"
