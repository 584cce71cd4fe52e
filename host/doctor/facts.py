# SPDX-License-Identifier: Apache-2.0
"""`facts.toml` as typed records: versions, PCI ids, limits, and what mends what."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files

from pydantic import BaseModel, ConfigDict

Version = tuple[int, ...]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Kernel(_Strict):
    """Versions of Linux that matter, as text such as `6.14`."""

    in_tree: str
    builds: str
    packages: str
    protocol_7: str


class Memory(_Strict):
    """What the NPU's runtime locks, in bytes."""

    heap_bytes: int
    enough_bytes: int


class Xrt(_Strict):
    """Where XRT and its parts lie."""

    packages: tuple[str, ...]
    roots: tuple[str, ...]
    pyxrt_folders: tuple[str, ...]
    library_folders: tuple[str, ...]
    plugin: str


class Firmware(_Strict):
    """Where the driver looks for firmware, and under which names."""

    folders: tuple[str, ...]
    names: tuple[str, ...]
    oldest_names: tuple[str, ...]


class Log(_Strict):
    """What lines of the kernel log mean; `keep` is a regular expression."""

    keep: str
    wedged: tuple[str, ...]
    timeouts: tuple[str, ...]
    started: str


class Npu(_Strict):
    """One NPU with an AIE2 array, and the firmware protocols that its driver asks for."""

    name: str
    title: str
    device: int
    revision: int
    target: str
    protocol: tuple[int, int]
    commands: tuple[int, int]
    processors: tuple[str, ...]


class OtherNpu(_Strict):
    """NPUs that sparsebd makes nothing for."""

    devices: tuple[int, ...]
    title: str


class Release(_Strict):
    """A firmware release whose protocol (major number) is known."""

    npu: str
    version: str
    protocol: int
    source: str


class Problem(_Strict):
    """Something that can be wrong; texts may hold `{names}` that a check fills in."""

    cause: str
    sources: tuple[str, ...]
    remedy: tuple[str, ...] = ()
    warning: bool = False
    skipped: bool = False


class Facts(_Strict):
    """All of `facts.toml`."""

    kernel: Kernel
    memory: Memory
    xrt: Xrt
    firmware: Firmware
    log: Log
    npu: tuple[Npu, ...]
    other_npu: tuple[OtherNpu, ...]
    release: tuple[Release, ...]
    problem: dict[str, Problem]


@cache
def facts() -> Facts:
    """The facts that come with the package."""
    text = files("host.doctor").joinpath("facts.toml").read_text(encoding="utf-8")
    return Facts.model_validate(tomllib.loads(text))


def version(text: str) -> Version:
    """The numbers that `text` begins with: `6.17.0-14-generic` gives (6, 17, 0); () if none."""
    numbers: list[int] = []
    for part in text.strip().split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        numbers.append(int(digits))
        if digits != part:
            break
    return tuple(numbers)
