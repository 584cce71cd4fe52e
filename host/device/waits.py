# SPDX-License-Identifier: Apache-2.0
"""Wait for a run in short steps, so that Ctrl-C and a deadline are heard.

pyxrt holds Python's lock while it waits and has no way to end a run: a long wait would stop every
other thread. After the deadline the run may still be going on; its context is given up.
"""

from __future__ import annotations

import time
from typing import Any

from host.device.errors import NpuError, RunAborted, RunFailed, RunTimeout, health_of

STEP_MS = 20
"""Longest time for which Python is held up."""
DEFAULT_S = 4.0
"""Deadline of a run: twice what the driver gives it (xdna-driver, tdr_timeout_ms)."""

PREFIX = "ERT_CMD_STATE_"
DONE = "COMPLETED"
_ENDS: dict[str, type[NpuError]] = {
    "TIMEOUT": RunTimeout,
    "ABORT": RunAborted,
    "NORESPONSE": RunAborted,
    "ERROR": RunFailed,
    "SKERROR": RunFailed,
    "SKCRASHED": RunFailed,
}


def wait(run: Any, deadline_s: float) -> str:
    """State in which a run ended, without its prefix: always COMPLETED.

    Raises:
        RunTimeout, RunFailed, RunAborted: it ended otherwise, or not in time.
    """
    end = time.monotonic() + deadline_s
    while True:
        run.wait(STEP_MS)
        state = state_of(run)
        if state == DONE:
            return state
        if state in _ENDS:
            raise _failure(run, state)
        if time.monotonic() > end:
            raise RunTimeout(
                f"the run did not end within {deadline_s:g} s and is {state}", state=state
            )


def state_of(run: Any) -> str:
    """State of a run in XRT's word; RUNNING where pyxrt has no name for it."""
    name = getattr(run.state(), "name", "")
    return name.removeprefix(PREFIX) if name.startswith(PREFIX) else "RUNNING"


def _failure(run: Any, state: str) -> NpuError:
    """The error for a run that ended badly, with what the driver says of it."""
    try:
        run.wait2()
        text = ""
    except RuntimeError as error:
        text = str(error)
    health = health_of(text)
    words = "".join(f", {name} 0x{value:x}" for name, value in health.items())
    return _ENDS[state](f"the run ended as {state}{words}", state=state, health=health)
