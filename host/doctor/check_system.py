# SPDX-License-Identifier: Apache-2.0
"""Where we are: operating system, kernel, the NPU on the PCI bus, Secure Boot."""

from __future__ import annotations

from host.doctor.facts import facts, version
from host.doctor.findings import Answer, ok, skipped, wrong
from host.doctor.survey import Survey

NO_NPU = "no NPU here"
"""Why most checks are skipped on a machine without one."""


def system(survey: Survey) -> Answer:
    """Whether programs here can reach an NPU at all."""
    names = {"Darwin": "macOS"}
    name = names.get(survey.here.system, survey.here.system)
    if name != "Linux":
        return wrong("other-system", name)
    if survey.wsl:
        return wrong("wsl", "Linux on Windows (WSL)")
    if survey.virtual and survey.npu:
        return wrong("hypervisor", "a virtual machine that an NPU was handed to")
    where = ["Linux"]
    if survey.virtual:
        where.append("in a virtual machine")
    if survey.container:
        where.append("in a container")
    return ok(" ".join(where))


def kernel(survey: Survey) -> Answer:
    """Whether the kernel has the driver, or can have it."""
    found = f"Linux {survey.here.release}" if survey.here.release else "not known"
    if not survey.usable:
        return skipped(f"{found}; {NO_NPU}")
    if not survey.kernel or (survey.npu and survey.npu.bound):
        return ok(found)
    known = facts().kernel
    words = {"in_tree": known.in_tree, "builds": known.builds, "packages": known.packages}
    if survey.kernel < version(known.builds):
        return wrong("kernel-old", found, **words)
    if survey.kernel < version(known.in_tree):
        return wrong("kernel-out-of-tree", found, **words)
    return ok(found)


def npu(survey: Survey) -> Answer:
    """Which NPU is on the PCI bus."""
    chip = survey.processor or "processor not known"
    if not survey.reachable:
        return skipped("not to be seen from here")
    if survey.npu is None:
        if survey.expected is None:
            return skipped(f"{NO_NPU} ({chip})")
        if survey.virtual:
            return skipped(f"{chip}: no NPU in virtual machines")
        return wrong("npu-hidden", f"{chip}: no NPU", title=survey.expected.title)
    found = survey.npu
    ids = f"1022:{found.device:04x} rev {found.revision:02x} at {found.address}"
    if found.known is None:
        titles = [other.title for other in facts().other_npu if found.device in other.devices]
        return wrong("npu-unknown", f"{titles[0] if titles else 'an unknown NPU'} ({ids})")
    name = (survey.machine.read(f"{found.folder}/vbnv") or "").strip()
    said = f', "{name}"' if name else ""
    return ok(
        f"{found.known.name}, {found.known.title}{said} ({ids}): --device {found.known.target}"
    )


def secure_boot(survey: Survey) -> Answer:
    """Whether Secure Boot keeps a module out that was built here."""
    if not survey.usable:
        return skipped(NO_NPU)
    if survey.secure_boot is None:
        return skipped("whether it is on cannot be read here")
    if not survey.secure_boot:
        return ok("off")
    if survey.module or survey.built_in or survey.installed != ("out-of-tree",):
        return ok("on; it keeps no NPU driver out")
    return wrong("key-rejected", "on, and the only NPU driver here was built on this machine")
