# SPDX-License-Identifier: Apache-2.0
"""The driver, whether it took the NPU, firmware, IOMMU, and whether the NPU still answers."""

from __future__ import annotations

from host.doctor import firmware as images
from host.doctor.check_system import NO_NPU
from host.doctor.facts import facts, version
from host.doctor.findings import Answer, ok, skipped, wrong
from host.doctor.survey import PciNpu, Survey

SVA_ERRORS = ("EINVAL", "ENODEV", "EOPNOTSUPP", "ENOSPC")
"""What opening the NPU ends with when a process cannot be bound to it (amdxdna_drm_open)."""
NO_LOG = "the kernel log may not be read (sudo dmesg | grep -i amdxdna)"


def driver(survey: Survey) -> Answer:
    """Whether the amdxdna module is loaded."""
    if survey.npu is None or not survey.usable:
        return skipped(NO_NPU)
    if survey.built_in:
        return ok(f"amdxdna, built into Linux {survey.here.release}")
    if module := survey.module:
        origin = f"in-tree, Linux {survey.here.release}" if module.in_tree else "out of tree"
        return ok(" ".join(filter(None, (module.name, module.version, f"({origin})"))))
    if survey.kernel and survey.kernel < version(facts().kernel.builds):
        return skipped("not loaded; see kernel")
    if not survey.installed:
        return wrong("driver-missing", f"no amdxdna for Linux {survey.here.release}")
    kinds = " and ".join(survey.installed)
    if survey.secure_boot and survey.installed == ("out-of-tree",):
        return skipped("not loaded; see Secure Boot")
    return wrong("driver-not-loaded", f"amdxdna is installed ({kinds}) and not loaded")


def binding(survey: Survey) -> Answer:
    """Whether the driver took the NPU, and if not, why."""
    npu = survey.npu
    if npu is None or npu.known is None:
        return skipped(NO_NPU)
    if npu.bound:
        return ok(f"{npu.driver} drives {npu.address}")
    if npu.driver:
        return wrong("driver-refused", f"{npu.address} is with {npu.driver}, not with amdxdna")
    if survey.module is None:
        return skipped("the driver is not loaded")
    return _refusal(survey, npu)


def firmware(survey: Survey) -> Answer:
    """Firmware and its protocol, of an NPU that works; what keeps one from working is `binding`."""
    npu = survey.npu
    if npu is None or npu.known is None:
        return skipped(NO_NPU)
    image = images.on_disk(survey, npu)
    if not npu.bound:
        release = f"on disk: {image.version or image.path}" if image else "none on disk"
        return skipped(f"the driver did not take the NPU ({release})")
    told = (survey.machine.read(f"{npu.folder}/fw_version") or "").strip()
    least, commands = (
        ".".join(map(str, pair)) for pair in (npu.known.protocol, npu.known.commands)
    )
    protocol = images.logged_protocol(survey)
    if protocol:
        found = f"{told or 'version not known'}, protocol {protocol[0]}.{protocol[1]}"
        old = protocol < npu.known.commands
        return wrong("firmware-old", found, commands=commands) if old else ok(found)
    if not told:
        return skipped("this driver does not tell the version")
    major = images.protocol_of(npu.known, told)
    known = f"protocol {major}" if major else "protocol not told"
    return ok(f"{told}, {known}; the driver needs {least} and took it")


def iommu(survey: Survey) -> Answer:
    """Whether the NPU can be given a process's own addresses."""
    if survey.npu is None or survey.npu.known is None:
        return skipped(NO_NPU)
    options = (survey.machine.read("/proc/cmdline") or "").split()
    off = [option for option in options if option in ("amd_iommu=off", "iommu=off")]
    if off:
        return wrong("iommu-off", f"off: the kernel was started with {off[0]}")
    units = survey.machine.names("/sys/class/iommu")
    if not units and survey.machine.names("/sys/kernel/iommu_groups") == ():
        return wrong("iommu-off", "off: no IOMMU in /sys/class/iommu")
    lacking = _lacking(survey)
    if lacking:
        return wrong("iommu-config", f"kernel without {' and '.join(lacking)}")
    if survey.npu.bound and survey.opened in SVA_ERRORS:
        return wrong("sva-failed", f"opening {survey.node} ended with {survey.opened}")
    if units is None:
        return skipped("/sys/class/iommu cannot be seen")
    bound = "; a process was bound" if survey.npu.bound and survey.opened == "" else ""
    return ok(f"on ({', '.join(units)}){bound}")


def health(survey: Survey) -> Answer:
    """Whether the NPU still answers, by its node, its power state and the kernel log."""
    npu = survey.npu
    if npu is None or npu.known is None:
        return skipped(NO_NPU)
    if not npu.bound:
        return skipped("the driver did not take the NPU")
    if survey.opened == "TIMEOUT":
        return wrong("wedged", f"opening {survey.node} does not come back", address=npu.address)
    power = (survey.machine.read(f"{npu.folder}/power/runtime_status") or "").strip()
    if power == "error":
        return wrong("wedged", "it could not be woken (power state error)", address=npu.address)
    recent = _since_start(survey)
    stuck = _matching(recent, facts().log.wedged)
    if stuck:
        return wrong("wedged", stuck[-1], address=npu.address)
    stopped = _matching(recent, facts().log.timeouts)
    if stopped:
        return wrong("timeouts", f"{len(stopped)} in the kernel log, the last: {stopped[-1]}")
    state = f"no error{f', {power}' if power else ''}"
    return ok(f"{state}; {NO_LOG}" if survey.log is None else state)


def _refusal(survey: Survey, npu: PciNpu) -> Answer:
    """Why a loaded driver did not take the NPU: by the log, else by the firmware on disk."""
    assert npu.known is not None
    spoken = " or ".join(map(str, images.spoken(survey, npu.known)))
    if refused := images.logged_mismatch(survey):
        found = f"firmware speaks protocol {refused[0]}.{refused[1]}, the driver {spoken}"
        return wrong("firmware-mismatch", found)
    image = images.on_disk(survey, npu)
    if images.logged_missing(survey) or image is None:
        return wrong("firmware-missing", f"no firmware for {npu.device:04x}_{npu.revision:02x}")
    stuck = _matching(survey.log or (), facts().log.wedged)
    if stuck:
        return wrong("wedged", stuck[-1], address=npu.address)
    major = images.protocol_of(npu.known, image.version)
    if major and major not in images.spoken(survey, npu.known):
        found = f"firmware {image.version} on disk speaks protocol {major}, the driver {spoken}"
        return wrong("firmware-mismatch", found)
    if survey.log is None:
        return wrong("driver-refused", f"amdxdna did not take {npu.address}; {NO_LOG}")
    errors = _matching(survey.log, ("*ERROR*", "failed with error")) or ["nothing in the log"]
    return wrong("driver-refused", f"amdxdna did not take {npu.address}: {errors[-1]}")


def _since_start(survey: Survey) -> tuple[str, ...]:
    """The log since the driver last took the NPU."""
    lines = survey.log or ()
    starts = [place for place, line in enumerate(lines) if facts().log.started in line]
    return lines[starts[-1] :] if starts else lines


def _matching(lines: tuple[str, ...], marks: tuple[str, ...]) -> list[str]:
    return [line.strip() for line in lines if any(mark.lower() in line.lower() for mark in marks)]


def _lacking(survey: Survey) -> list[str]:
    """What the kernel's configuration, where it can be read, lacks for SVA."""
    told = survey.machine.read(f"/boot/config-{survey.here.release}")
    if told is None:
        return []
    lines = set(told.splitlines())
    return [name for name in ("CONFIG_AMD_IOMMU", "CONFIG_IOMMU_SVA") if f"{name}=y" not in lines]
