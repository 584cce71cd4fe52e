# SPDX-License-Identifier: Apache-2.0
"""The machine that sparsebd runs on. It looks and tries, always in time, and changes nothing.

Whatever could hang runs in a process of its own: opening the NPU (a wedged one keeps its caller in
the kernel), importing pyxrt or mlir-aie, xrt-smi. All of them together get `SECONDS`.
"""

from __future__ import annotations

import getpass
import importlib.util
import os
import platform
import shutil
import sys
import time
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

from host.doctor import processes
from host.doctor.files import Files, group_name
from host.doctor.machine import VARIABLES, Holders, Imported, Interpreter, Ran, System

SECONDS = 20.0
"""Time that all other processes may take together."""
OPEN_SECONDS = 3.0
"""Opening an NPU that sleeps takes 0.1 s (mlir-aie #2944)."""
COMMAND_SECONDS = 8.0
"""A command, or an import."""

OPEN = "import errno, os, sys\ntry:\n    os.close(os.open(sys.argv[1], os.O_RDWR | os.O_CLOEXEC))\n"
OPEN += "except OSError as error:\n    print(errno.errorcode.get(error.errno, str(error.errno)))\n"
"""Program that opens and closes a node and prints what went wrong."""

IMPORT = "import importlib, sys\ntry:\n    module = importlib.import_module(sys.argv[1])\n"
IMPORT += "except Exception as error:\n    sys.exit(f'{type(error).__name__}: {error}')\n"
IMPORT += "print('\\nfile', getattr(module, '__file__', None) or list(module.__path__)[0])\n"
"""Program that imports a module and prints where it came from."""


class ThisMachine(Files):
    """The running system."""

    def __init__(self, seconds: float = SECONDS) -> None:
        super().__init__(Path("/"))
        self._end = time.monotonic() + seconds

    @property
    def facts(self) -> System:
        """Kernel, user, limits, Python and environment of this process."""
        return System(
            system=platform.system(),
            release=platform.release(),
            user=_user(),
            uid=getattr(os, "getuid", lambda: None)(),
            groups=_groups(),
            memlock=_memlock(),
            python=Interpreter(
                platform.python_version(), tuple(EXTENSION_SUFFIXES), tuple(filter(None, sys.path))
            ),
            environment={name: os.environ[name] for name in VARIABLES if name in os.environ},
        )

    def opens(self, path: str) -> str | None:
        """Open and close the node in another process."""
        ran = self._run((sys.executable, "-I", "-S", "-c", OPEN, path), OPEN_SECONDS)
        if ran is None:
            return None
        return "TIMEOUT" if ran.timed_out else ran.output.strip()

    def holders(self, path: str) -> Holders:
        """Who holds a node open, as far as this user may see."""
        return processes.holders(path, 1.0)

    def which(self, program: str) -> str | None:
        """Where `PATH` has a program."""
        return shutil.which(program)

    def run(self, command: tuple[str, ...], keep: str = "") -> Ran | None:
        """Run a command found in `PATH`."""
        program = shutil.which(command[0])
        if program is None:
            return None
        ran = self._run((program, *command[1:]), COMMAND_SECONDS)
        return ran and Ran(ran.status, processes.kept(ran.output, keep), ran.timed_out)

    def imports(self, module: str) -> Imported | None:
        """Import `module` in another process, if its top package is found at all."""
        try:
            if importlib.util.find_spec(module.partition(".")[0]) is None:
                return None
        except (ImportError, ValueError):
            return None
        ran = self._run((sys.executable, "-c", IMPORT, module), COMMAND_SECONDS)
        if ran is None or ran.timed_out:
            return Imported(timed_out=True)
        lines = ran.output.strip().splitlines() or [f"Python ended with status {ran.status}"]
        if ran.status == 0 and lines[-1].startswith("file "):
            return Imported(file=lines[-1].removeprefix("file "))
        return Imported(error=lines[-1])

    def _run(self, command: tuple[str, ...], seconds: float) -> Ran | None:
        left = self._end - time.monotonic()
        if left <= 0:
            return Ran(-1, "", timed_out=True)
        environment = {**os.environ, "LC_ALL": "C.UTF-8", "PYTHONDONTWRITEBYTECODE": "1"}
        return processes.run(command, min(seconds, left), environment)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return ""


def _groups() -> tuple[str, ...]:
    if not hasattr(os, "getgroups"):
        return ()
    return tuple(sorted({group_name(gid) for gid in (*os.getgroups(), os.getegid())}))


def _memlock() -> int | None:
    try:
        import resource
    except ImportError:
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    return -1 if soft == resource.RLIM_INFINITY else soft
