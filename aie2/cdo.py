# SPDX-License-Identifier: Apache-2.0
"""Configurations (CDO): the register writes that set an array up, from inside a PDI.

`aie2.pdi` takes one out of a device image or wraps it into one; `firmware_sim` replays
`register_writes`; `iron_designs.compiler` makes one with `file` and `merge`. What a file is, is in
`aie2.cdo_format`, reading in `aie2.cdo_read`, writing in `aie2.cdo_write`.
"""

from __future__ import annotations

from aie2.cdo_format import (
    HEADER_WORDS,
    LONG_PAYLOAD,
    MAGIC,
    VERSION,
    Cdo,
    Command,
    CommandId,
    header,
)
from aie2.cdo_read import Writes, read, register_writes
from aie2.cdo_write import Op, file, merge, write

__all__ = [
    "HEADER_WORDS",
    "LONG_PAYLOAD",
    "MAGIC",
    "VERSION",
    "Cdo",
    "Command",
    "CommandId",
    "Op",
    "Writes",
    "file",
    "header",
    "merge",
    "read",
    "register_writes",
    "write",
]
