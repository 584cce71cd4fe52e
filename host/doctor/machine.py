# SPDX-License-Identifier: Apache-2.0
"""What the checks may ask a machine: the only door between them and the system.

`host.doctor.this_machine` answers for the machine that it runs on, `host.doctor.recording` from a
file. Nothing here may hang, need root, change anything, or raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True)
class Interpreter:
    """The Python that sparsebd runs in."""

    version: str
    """Such as `3.12.3`."""
    suffixes: tuple[str, ...]
    """Endings of extension modules that it loads, such as `.cpython-312-x86_64-linux-gnu.so`."""
    path: tuple[str, ...]
    """Folders in which it looks for modules."""


@dataclass(frozen=True)
class System:
    """What is known of a machine without reading a file."""

    system: str
    """`Linux`, `Windows` or `Darwin`."""
    release: str
    """Of the kernel, as `uname -r` says."""
    user: str = ""
    uid: int | None = None
    groups: tuple[str, ...] = ()
    """Groups of this process, by name."""
    memlock: int | None = None
    """Bytes that may be locked; -1: no limit; None: not known."""
    python: Interpreter | None = None
    """None: another system's files are looked at."""
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    """Variables out of `VARIABLES`."""


VARIABLES = ("XILINX_XRT", "LD_LIBRARY_PATH", "PYTHONPATH", "VIRTUAL_ENV", "PEANO_INSTALL_DIR")
"""Environment variables that the checks read."""


@dataclass(frozen=True)
class Node:
    """A device node."""

    mode: int
    """Permission bits, such as 0o660."""
    owner: str
    group: str


@dataclass(frozen=True)
class Ran:
    """A command that was started."""

    status: int
    output: str
    """What it printed, errors included."""
    timed_out: bool = False


@dataclass(frozen=True)
class Imported:
    """A module that a new Python process tried to import."""

    file: str = ""
    """Where it came from; empty: the import failed."""
    error: str = ""
    timed_out: bool = False


@dataclass(frozen=True)
class Holders:
    """Processes that hold a file open."""

    processes: tuple[tuple[int, str], ...] = ()
    """Process id and name of each."""
    hidden: int = 0
    """Processes of other users that could not be looked at."""


class Machine(Protocol):
    """Answers about a system; paths are absolute and written with `/`."""

    @property
    def facts(self) -> System:
        """What is known without reading a file."""
        ...

    def read(self, path: str) -> str | None:
        """Text of a file; None if it is not there or may not be read."""
        ...

    def names(self, folder: str, prefix: str = "") -> tuple[str, ...] | None:
        """Sorted names in a folder that begin so; None if it is not there or may not be read."""
        ...

    def target(self, path: str) -> str | None:
        """What a symbolic link says; None if there is none."""
        ...

    def node(self, path: str) -> Node | None:
        """A device node; None if there is none."""
        ...

    def opens(self, path: str) -> str | None:
        """Empty if another process could open and close the node, else the name of the error.

        `TIMEOUT` if it did not come back; None if it cannot be tried on this machine.
        """
        ...

    def holders(self, path: str) -> Holders:
        """Who else holds a node open."""
        ...

    def which(self, program: str) -> str | None:
        """Where a program is found; None if it is not."""
        ...

    def run(self, command: tuple[str, ...], keep: str = "") -> Ran | None:
        """Run a command that only looks; of its lines those that match `keep` in any case.

        None if it is not found or cannot be run on this machine.
        """
        ...

    def imports(self, module: str) -> Imported | None:
        """Import in a process of its own; None if Python finds no such module."""
        ...
