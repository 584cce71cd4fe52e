# SPDX-License-Identifier: Apache-2.0
"""Functions of the module itself: how many NPUs there are, and messages."""

from __future__ import annotations

from firmware_sim.pyxrt import messages
from firmware_sim.pyxrt.enums import xrt_msg_level
from firmware_sim.pyxrt.overloads import Function


@Function
def enumerate_devices() -> int:
    """How many NPUs there are."""
    return 1


@Function
def log_message(arg0: xrt_msg_level, arg1: str, arg2: str, /) -> None:
    """Write a message in XRT's form: level, tag, text."""
    messages.log_message(arg0, arg1, arg2)
