# SPDX-License-Identifier: Apache-2.0
"""Firmware images: each turns the stream it is handed into the ops that it executes, with costs.

`stock` runs every op; `native` does too, at the cost of an image that enqueues itself; `phase1`
filters by a fixed pattern; `phase2` scans the activation vector and makes the BDs, `phase2-overlap`
does so while the first of them move.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from firmware_sim.errors import FirmwareError
from firmware_sim.firmware.phase1 import Phase1
from firmware_sim.firmware.phase2 import Phase2
from firmware_sim.firmware.script import Firmware
from firmware_sim.firmware.stock import Native, Stock

IMAGES: dict[str, Callable[[], Firmware]] = {
    "stock": Stock,
    "native": Native,
    "phase2": Phase2,
    "phase2-overlap": partial(Phase2, overlap=True),
}
"""Images that need no further knowledge; `Phase1` carries its pattern and is made by the caller."""


def image(firmware: str | Firmware) -> Firmware:
    """The firmware image of a name, or the image itself."""
    if not isinstance(firmware, str):
        return firmware
    if firmware == "phase1":
        raise FirmwareError(
            "a phase1 image has its pattern built in: pass "
            "firmware=Phase1(wanted=..., row_bytes=...)"
        )
    if firmware not in IMAGES:
        raise FirmwareError(f"firmware {firmware!r} is not one of {', '.join(IMAGES)}, phase1")
    return IMAGES[firmware]()


__all__ = ["IMAGES", "Firmware", "Native", "Phase1", "Phase2", "Stock", "image"]
