# SPDX-License-Identifier: Apache-2.0
"""Wait for a run in short steps, so that Ctrl-C and a deadline are heard.

pyxrt holds Python's lock while it waits and has no way to end a run: a long wait would stop every
other thread. After the deadline the run may still be going on (`host.device.parked`).

Nothing here keeps a run in a variable: an error that is raised keeps the variables of the functions
that it came through, and with the run it would keep the context.
"""

from __future__ import annotations

import re
import time
from typing import Any, Protocol

from host.device.errors import (
    BadArguments,
    NpuError,
    RunAborted,
    RunFailed,
    RunTimeout,
    health_of,
)

STEP_MS = 20
"""Longest time for which Python is held up."""
DEFAULT_S = 4.0
"""Deadline of a run: twice what the driver gives it (xdna-driver, tdr_timeout_ms)."""
GIVEN_UP_S = 4.0
"""Longest wait for the end of a run that was given up: the driver ends it before that."""

PREFIX = "ERT_CMD_STATE_"
DONE = "COMPLETED"
IN_PROGRESS = ("QUEUED", "SUBMITTED", "RUNNING")
_ENDS: dict[str, type[NpuError]] = {
    "TIMEOUT": RunTimeout,
    "ABORT": RunAborted,
    "NORESPONSE": RunAborted,
    "ERROR": RunFailed,
    "SKERROR": RunFailed,
    "SKCRASHED": RunFailed,
}
_STATE = re.compile(rf"\((?:{PREFIX})?([A-Z]+)\)")
"""A state in what XRT says of a run or runlist that ended badly."""


class HoldsRun(Protocol):
    """What has a run that was started."""

    run: Any


def deadline(timeout: Any) -> float:
    """Seconds until a run is given up.

    Raises:
        BadArguments: not a number of seconds above 0.
    """
    try:
        seconds = float(timeout)
    except (TypeError, ValueError):
        seconds = 0.0
    if not seconds > 0:
        raise BadArguments(f"timeout is {timeout!r}: give seconds, more than 0")
    return seconds


def wait(holder: HoldsRun, deadline_s: float) -> None:
    """Wait until a run has ended well.

    Raises:
        RunTimeout, RunFailed, RunAborted: it ended otherwise, or not in time.
    """
    end = time.monotonic() + deadline_s
    while True:
        holder.run.wait(STEP_MS)
        state = state_of(holder.run)
        if state == DONE:
            return
        if state in _ENDS:
            raise failure("run", state, _said(holder))
        if time.monotonic() > end:
            raise RunTimeout(
                f"the run did not end within {deadline_s:g} s and is {state}", state=state
            )


def state_of(run: Any) -> str:
    """State of a run in XRT's word; RUNNING where pyxrt has no name for it."""
    name = getattr(run.state(), "name", "")
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else "RUNNING"


def ends(holder: HoldsRun, limit_s: float) -> bool:
    """Whether a run has ended, in whatever way, after `limit_s` at most."""
    end = time.monotonic() + limit_s
    while state_of(holder.run) in IN_PROGRESS:
        if time.monotonic() >= end:
            return False
        holder.run.wait(STEP_MS)
    return True


def state_in(text: str) -> str:
    """The bad state that XRT's text tells; ABORT if it tells none."""
    return next((state for state in _STATE.findall(text) if state in _ENDS), "ABORT")


def failure(what: str, state: str, text: str) -> NpuError:
    """The error for a run or runlist that ended badly, with what the driver says of it."""
    health = health_of(text)
    words = "".join(f", {name} 0x{value:x}" for name, value in health.items())
    return _ENDS[state](f"the {what} ended as {state}{words}", state=state, health=health)


def _said(holder: HoldsRun) -> str:
    """What XRT says of a run that ended badly."""
    try:
        holder.run.wait2()
    except RuntimeError as error:
        return str(error)
    return ""
