# SPDX-License-Identifier: Apache-2.0
"""Other processes: started with a time limit and left behind when they do not end, or looked at."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from typing import IO

from host.doctor.machine import Holders, Ran

LIMIT_BYTES = 4 << 20
"""More output than this is not read."""


def run(command: tuple[str, ...], seconds: float, environment: Mapping[str, str]) -> Ran | None:
    """Start `command` without input and wait at most `seconds`; None if it cannot be started.

    Output goes to a file, so that neither a full pipe nor a child of the command's can hold us. A
    process that sleeps in the kernel outlives its kill: it is left alone.
    """
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=dict(environment),
                cwd="/",
                start_new_session=True,
            )
        except OSError:
            return None
        timed_out = not _ended(process, seconds)
        if timed_out:
            _kill(process)
            _ended(process, 0.2)
        text = _text(output)
    status = -1 if process.returncode is None else process.returncode
    process.returncode = status  # left behind: no warning when the object goes
    return Ran(status, text, timed_out)


def kept(text: str, keep: str) -> str:
    """The lines of `text` that match `keep` in any case; all of them if it is empty."""
    if not keep:
        return text
    pattern = re.compile(keep, re.IGNORECASE)
    return "".join(line for line in text.splitlines(keepends=True) if pattern.search(line))


def holders(path: str, seconds: float) -> Holders:
    """Processes with `path` open, ourselves aside; stops looking after `seconds`."""
    found: list[tuple[int, str]] = []
    hidden = 0
    end = time.monotonic() + seconds
    for pid in _pids():
        if time.monotonic() > end:
            break
        try:
            if path in _open_files(pid):
                found.append((pid, _name(pid)))
        except PermissionError:
            hidden += 1
        except OSError:
            continue  # it ended meanwhile
    return Holders(tuple(found), hidden)


def _ended(process: subprocess.Popen[bytes], seconds: float) -> bool:
    try:
        process.wait(max(seconds, 0.0))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started; on Windows the process alone."""
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()


def _text(output: IO[bytes]) -> str:
    output.seek(0)
    return output.read(LIMIT_BYTES).decode(errors="replace")


def _pids() -> list[int]:
    try:
        numbers = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []
    return sorted(set(numbers) - {os.getpid()})


def _open_files(pid: int) -> Iterable[str]:
    folder = f"/proc/{pid}/fd"
    for number in os.listdir(folder):
        with contextlib.suppress(FileNotFoundError):
            yield os.readlink(f"{folder}/{number}")


def _name(pid: int) -> str:
    with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as file:
        return file.read().strip()
