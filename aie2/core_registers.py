# SPDX-License-Identifier: Apache-2.0
"""The core's own registers that say whether a design has code: control and program memory.

Facts: aie-rt driver/src/global/xaiemlgbl_params.h (register names as `source`).
"""

from __future__ import annotations

from aie2.fields import Field, Layout

CORE_CONTROL_ADDRESS = 0x32000
"""Offset of the core control register."""
CORE_CONTROL = Layout(
    "core control",
    1,
    (Field("reset", 0, 1, 1), Field("enable", 0, 0, 0)),
    "CORE_MODULE_CORE_CONTROL",
)
"""A core runs once it is enabled and out of reset."""
PROGRAM_MEMORY = 0x20000
"""Offset of the program memory."""
PROGRAM_MEMORY_BYTES = 0x4000
