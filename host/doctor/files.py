# SPDX-License-Identifier: Apache-2.0
"""Reading a system's files without ever waiting: the part of a `Machine` that needs no process.

Also a whole `Machine` when nothing but files can be had: a mounted disk, a copied tree.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from host.doctor.machine import Holders, Imported, Node, Ran, System

LIMIT_BYTES = 4 << 20
"""More than this is not read of any file."""
FLAGS = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOCTTY", 0)
"""How files are opened; Windows lacks two of them."""


class Files:
    """Files under a root, read without blocking; links that lead out of it are not followed."""

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.realpath(root))

    def read(self, path: str) -> str | None:
        """Text of a file; None for anything but a readable regular file."""
        place = self._place(path)
        try:
            if place is None:
                return None
            handle = os.open(place, FLAGS)
        except OSError:
            return None
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                return None
            return _contents(handle).decode(errors="replace")
        except OSError:
            return None
        finally:
            os.close(handle)

    def names(self, folder: str, prefix: str = "") -> tuple[str, ...] | None:
        """Sorted names in a folder that begin with `prefix`."""
        place = self._place(folder)
        try:
            found = [] if place is None else os.listdir(place)
        except OSError:
            return None
        return None if place is None else tuple(sorted(filter(_beginning(prefix), found)))

    def target(self, path: str) -> str | None:
        """What a symbolic link says."""
        parent, _, name = path.rstrip("/").rpartition("/")
        place = self._place(parent or "/")
        try:
            return None if place is None else os.readlink(place / name)
        except OSError:
            return None

    def node(self, path: str) -> Node | None:
        """A device node; of a tree that was copied, whatever file took its place."""
        place = self._place(path)
        try:
            if place is None:
                return None
            status = place.stat()
        except OSError:
            return None
        return Node(stat.S_IMODE(status.st_mode), _user(status.st_uid), group_name(status.st_gid))

    def _place(self, path: str) -> Path | None:
        try:
            place = Path(os.path.realpath(self.root / path.lstrip("/")))
        except (OSError, ValueError):
            return None
        return place if place.is_relative_to(self.root) else None


class Tree(Files):
    """Another system's files: nothing of it runs, so nothing can be asked or tried."""

    @property
    def facts(self) -> System:
        """The kernel's release, where the tree has it."""
        release = (self.read("/proc/sys/kernel/osrelease") or "").strip()
        return System("Linux", release)

    def opens(self, path: str) -> str | None:
        """Not to be tried."""
        return None

    def holders(self, path: str) -> Holders:
        """Nobody."""
        return Holders()

    def which(self, program: str) -> str | None:
        """Where the tree has a program, in the usual folders."""
        for folder in ("/usr/local/bin", "/usr/bin", "/bin"):
            if program in (self.names(folder) or ()):
                return f"{folder}/{program}"
        return None

    def run(self, command: tuple[str, ...], keep: str = "") -> Ran | None:
        """Not to be run."""
        return None

    def imports(self, module: str) -> Imported | None:
        """Not to be imported."""
        return None


def group_name(gid: int) -> str:
    """Name of a group, or its number where it has none."""
    try:
        import grp

        return grp.getgrgid(gid).gr_name
    except (ImportError, KeyError, OSError):
        return str(gid)


def _user(uid: int) -> str:
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError, OSError):
        return str(uid)


def _beginning(prefix: str) -> Callable[[str], bool]:
    return lambda name: name.startswith(prefix)


def _contents(handle: int) -> bytes:
    """Up to `LIMIT_BYTES`; files of /proc and /sys say a size of 0, so reading finds the end."""
    pieces: list[bytes] = []
    left = LIMIT_BYTES
    while left and (piece := os.read(handle, min(left, 1 << 16))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)
