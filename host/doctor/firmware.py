# SPDX-License-Identifier: Apache-2.0
"""The NPU's firmware: which file the driver gets, and which protocols the two can speak."""

from __future__ import annotations

import re
from dataclasses import dataclass

from host.doctor.facts import Npu, facts, version
from host.doctor.survey import PciNpu, Survey

MISMATCH = re.compile(r"Incompatible firmware protocol major (\d+) minor (\d+)", re.IGNORECASE)
MISSING = re.compile(r"failed to request_firmware|Direct firmware load for amdnpu", re.IGNORECASE)
MAILBOX = re.compile(r"mailbox protocol (major|minor) 0x([0-9a-f]+)", re.IGNORECASE)


@dataclass(frozen=True)
class FirmwareFile:
    """Firmware on disk."""

    path: str
    version: str
    """From the name of the file that `path` links to; empty if it says none."""


def on_disk(survey: Survey, npu: PciNpu) -> FirmwareFile | None:
    """The file that the driver would load; None if there is none."""
    own = f"{npu.device:04x}_{npu.revision:02x}"
    for name in _names(survey):
        for root in facts().firmware.folders:
            folder = f"{root}/{own}"
            for suffix in ("", ".zst", ".xz"):
                if name + suffix in (survey.machine.names(folder, name) or ()):
                    path = f"{folder}/{name}{suffix}"
                    target = survey.machine.target(path) or ""
                    found = re.search(r"sbin\.(\d+(?:\.\d+){3})", target)
                    return FirmwareFile(path, found[1] if found else "")
    return None


def protocol_of(npu: Npu, release: str) -> int | None:
    """Major protocol number of a firmware release; None if not known."""
    for known in facts().release:
        if (known.npu, known.version) == (npu.name, release):
            return known.protocol
    return None


def spoken(survey: Survey, npu: Npu) -> tuple[int, ...]:
    """Major protocol numbers that the loaded driver takes."""
    own = npu.protocol[0]
    return (own,) if _old_driver(survey) or own < 6 else (own, 7)


def logged_mismatch(survey: Survey) -> tuple[int, int] | None:
    """The protocol that the driver refused, as the kernel log has it."""
    for line in reversed(survey.log or ()):
        if found := MISMATCH.search(line):
            return int(found[1]), int(found[2])
    return None


def logged_missing(survey: Survey) -> bool:
    """Whether the driver said that it found no firmware."""
    return any(MISSING.search(line) for line in survey.log or ())


def logged_protocol(survey: Survey) -> tuple[int, int] | None:
    """The protocol in use; the driver says it only where its debug messages are on."""
    told = {part: int(number, 16) for part, number in MAILBOX.findall("\n".join(survey.log or ()))}
    return (told["major"], told["minor"]) if len(told) == 2 else None


def _names(survey: Survey) -> tuple[str, ...]:
    return facts().firmware.oldest_names if _old_driver(survey) else facts().firmware.names


def _old_driver(survey: Survey) -> bool:
    """Whether the driver is an in-tree one of before protocol 7."""
    in_tree = survey.module.in_tree if survey.module else survey.installed != ("out-of-tree",)
    return in_tree and survey.kernel < version(facts().kernel.protocol_7)
