# SPDX-License-Identifier: Apache-2.0
"""What several checks need to know of a machine, asked once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from host.doctor.facts import Npu, Version, facts, version
from host.doctor.machine import Machine, Ran

DEVICES = "/sys/bus/pci/devices"
AMD = 0x1022
"""PCI vendor."""
SECURE_BOOT = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
"""EFI variable: four bytes of attributes, then 1 or 0."""
CONTAINER_MARKS = ("/.dockerenv", "/run/.containerenv")


@dataclass(frozen=True)
class PciNpu:
    """An NPU on the PCI bus."""

    address: str
    """Such as `0000:c5:00.1`."""
    device: int
    revision: int
    known: Npu | None
    """None: not one that sparsebd knows."""
    driver: str
    """Name of the driver that took it; empty: none."""

    @property
    def folder(self) -> str:
        """Its folder in sysfs."""
        return f"{DEVICES}/{self.address}"

    @property
    def bound(self) -> bool:
        """Whether its own driver took it."""
        return self.driver.startswith("amdxdna")


@dataclass(frozen=True)
class Module:
    """The loaded driver."""

    name: str
    version: str
    """What the module says, such as `2.21.0_20251207`; empty for in-tree ones."""
    in_tree: bool


class Survey:
    """A machine and what was learnt of it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine
        self.here = machine.facts

    @cached_property
    def wsl(self) -> bool:
        """Whether this is Linux on Windows."""
        told = (self.machine.read("/proc/version") or "") + self.here.release
        return "microsoft" in told.lower()

    @property
    def reachable(self) -> bool:
        """Whether a program here could reach an NPU at all."""
        return self.here.system == "Linux" and not self.wsl

    @cached_property
    def container(self) -> bool:
        """Whether this is a container."""
        return any(self._there(mark) for mark in CONTAINER_MARKS)

    @cached_property
    def processor(self) -> str:
        """Name of the processor; empty if not known."""
        found = re.search(r"^model name\s*:\s*(.+)$", self._cpuinfo, re.MULTILINE)
        return found[1].strip() if found else ""

    @cached_property
    def virtual(self) -> bool:
        """Whether this is a virtual machine."""
        found = re.search(r"^flags\s*:.*\bhypervisor\b", self._cpuinfo, re.MULTILINE)
        return bool(found) and not self.wsl

    @cached_property
    def kernel(self) -> Version:
        """Of the running kernel."""
        return version(self.here.release)

    @cached_property
    def npu(self) -> PciNpu | None:
        """The first NPU on the PCI bus, one that sparsebd knows before any other."""
        if not self.reachable:
            return None
        found = [npu for name in self.machine.names(DEVICES) or () if (npu := self._npu(name))]
        return min(found, key=lambda npu: npu.known is None, default=None)

    @cached_property
    def expected(self) -> Npu | None:
        """The NPU that this processor is sold with, by its name."""
        for npu in facts().npu:
            if any(re.search(name, self.processor, re.IGNORECASE) for name in npu.processors):
                return npu
        return None

    @property
    def usable(self) -> bool:
        """Whether an NPU is there, or could be, that sparsebd makes streams for."""
        if not self.reachable:
            return False
        if self.npu is None:
            return self.expected is not None and not self.virtual
        return self.npu.known is not None

    @cached_property
    def module(self) -> Module | None:
        """The loaded driver."""
        for line in (self.machine.read("/proc/modules") or "").splitlines():
            words = line.split()
            if words and words[0] in ("amdxdna", "amdxdna_legacy"):
                return self._module(words[0], out_of_tree="O" in words[-1].strip("()"))
        if self.machine.read("/sys/module/amdxdna/refcnt") is not None:
            return self._module("amdxdna", out_of_tree=False)
        return None

    @cached_property
    def built_in(self) -> bool:
        """Whether the driver is part of the kernel's own file: no module, yet the NPU is taken."""
        return self.module is None and self.npu is not None and self.npu.bound

    @cached_property
    def installed(self) -> tuple[str, ...]:
        """Kinds of amdxdna modules for this kernel: `in-tree`, `out-of-tree`."""
        root = f"/lib/modules/{self.here.release}"
        kinds = {
            "out-of-tree": ("updates/dkms", "updates", "extra"),
            "in-tree": ("kernel/drivers/accel/amdxdna",),
        }
        return tuple(
            kind
            for kind, folders in kinds.items()
            if any(self.machine.names(f"{root}/{folder}", "amdxdna.ko") for folder in folders)
        )

    @cached_property
    def secure_boot(self) -> bool | None:
        """Whether Secure Boot is on; None if that cannot be read."""
        told = self.machine.read(SECURE_BOOT)
        if told:
            return told.endswith("\x01")
        ran = self.machine.run(("mokutil", "--sb-state"))
        if ran is None or "SecureBoot" not in ran.output:
            return None
        return "enabled" in ran.output

    @cached_property
    def log(self) -> tuple[str, ...] | None:
        """Lines of the kernel log on the NPU since the driver last began; None if not readable."""
        for command in (("dmesg",), ("journalctl", "-k", "-b", "-q", "--no-pager")):
            ran = self.machine.run(command, keep=facts().log.keep)
            if ran and ran.status == 0 and not ran.timed_out:
                return tuple(ran.output.splitlines())
        return None

    @cached_property
    def node(self) -> str:
        """Path of the NPU's device node, as the driver named it."""
        names = self.machine.names(f"{self.npu.folder}/accel", "accel") if self.npu else None
        return f"/dev/accel/{names[0] if names else 'accel0'}"

    @cached_property
    def opened(self) -> str | None:
        """How opening the node went: see `Machine.opens`."""
        return self.machine.opens(self.node)

    @cached_property
    def smi(self) -> Ran | None:
        """What `xrt-smi examine` says; not asked of an NPU that does not even open in time."""
        if self.npu and self.npu.bound and self.opened == "TIMEOUT":
            return None
        return self.machine.run(("xrt-smi", "examine"))

    @cached_property
    def packages(self) -> dict[str, str]:
        """XRT's installed packages and their versions, where dpkg knows them."""
        form = "${db:Status-Abbrev} ${binary:Package} ${Version}\\n"
        ran = self.machine.run(("dpkg-query", "-W", "-f", form, *facts().xrt.packages))
        lines = [line.split() for line in (ran.output if ran else "").splitlines()]
        return {
            words[1].partition(":")[0]: words[2]
            for words in lines
            if len(words) == 3 and words[0].startswith("ii")
        }

    @cached_property
    def xrt_root(self) -> str:
        """Folder of an XRT that was built by hand; empty if there is none."""
        told = self.here.environment.get("XILINX_XRT", "").rstrip("/")
        for root in (told, *facts().xrt.roots):
            if root and self.machine.read(f"{root}/version.json") is not None:
                return root
        return ""

    @cached_property
    def _cpuinfo(self) -> str:
        return self.machine.read("/proc/cpuinfo") or ""

    def _there(self, path: str) -> bool:
        folder, _, name = path.rpartition("/")
        return name in (self.machine.names(folder or "/", name) or ())

    def _npu(self, address: str) -> PciNpu | None:
        if self._number(address, "vendor") != AMD:
            return None
        device, revision = self._number(address, "device"), self._number(address, "revision")
        others = {other for npu in facts().other_npu for other in npu.devices}
        if device not in others | {npu.device for npu in facts().npu}:
            return None
        known = next(
            (npu for npu in facts().npu if (npu.device, npu.revision) == (device, revision)), None
        )
        driver = self.machine.target(f"{DEVICES}/{address}/driver") or ""
        return PciNpu(address, device, revision, known, driver.rpartition("/")[2])

    def _number(self, address: str, name: str) -> int:
        """A hexadecimal file of a PCI device; -1 if there is none."""
        try:
            return int(self.machine.read(f"{DEVICES}/{address}/{name}") or "-1", 16)
        except ValueError:
            return -1

    def _module(self, name: str, *, out_of_tree: bool) -> Module:
        told = (self.machine.read(f"/sys/module/{name}/version") or "").split(",")[0].strip()
        taint = self.machine.read(f"/sys/module/{name}/taint") or ""
        return Module(name, told, not (out_of_tree or "O" in taint))
