# SPDX-License-Identifier: Apache-2.0
"""Runs that were given up while the device was still at them: kept until they have ended.

XRT ends the whole process when a run is let go of that is in progress (XRT
src/runtime_src/core/common/api/xrt_kernel.cpp, `~run_impl`), and pyxrt cannot end a run. After
Ctrl-C or a deadline it is put here with its context and buffers; the driver ends it within about
2 s, and only then is anything new started.
"""

from __future__ import annotations

import ctypes
import weakref
from typing import Protocol

from host.device import waits
from host.device.errors import DeviceLost


class Parkable(waits.HoldsRun, Protocol):
    """What holds a run and all that the run uses."""

    def release(self) -> None:
        """Let go of the run and of what it uses."""
        ...


class Parked:
    """Runs of one device that have not ended; when it goes, or Python ends, they are waited for."""

    def __init__(self) -> None:
        self._held: list[Parkable] = []
        self._end = weakref.finalize(self, _end, self._held)

    def add(self, holder: Parkable) -> None:
        """Keep what holds a run in progress."""
        self._held.append(holder)

    def settle(self) -> None:
        """Wait until all have ended, and let go of them.

        Raises:
            DeviceLost: one has not ended after `waits.GIVEN_UP_S`.
        """
        if not _settle(self._held):
            raise DeviceLost(
                f"a run that was given up has not ended after another {waits.GIVEN_UP_S:g} s"
            )

    def close(self) -> None:
        """Wait for all; what does not end even then is kept for as long as the process lives."""
        _end(self._held)


def _settle(held: list[Parkable]) -> bool:
    while held:
        if not waits.ends(held[0], waits.GIVEN_UP_S):
            return False
        held.pop(0).release()
    return True


def _end(held: list[Parkable]) -> None:
    try:
        _settle(held)
    finally:
        for holder in held:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(holder))  # never let go of
        held.clear()
