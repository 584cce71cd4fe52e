# SPDX-License-Identifier: Apache-2.0
"""Messages on stderr in the form of XRT's console: `[tag] LEVEL: text`."""

from __future__ import annotations

import sys

from firmware_sim.pyxrt.enums import xrt_msg_level

TAG = "XRT"
"""Tag of XRT's own messages."""
SIMULATOR_TAG = "firmware_sim"
"""Tag of what only the simulator can know."""


def log_message(level: xrt_msg_level, tag: str, text: str) -> None:
    """Write one message."""
    name = str(level).rpartition(".")[2].upper()
    print(f"[{tag}] {name}: {text}", file=sys.stderr)


def warn(text: str, tag: str = TAG) -> None:
    """Write a warning."""
    log_message(xrt_msg_level.warning, tag, text)
