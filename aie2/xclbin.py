# SPDX-License-Identifier: Apache-2.0
"""Containers (xclbin): the file that XRT loads, with the device images (PDI) in it.

`firmware_sim` loads a design from one, as the driver does: AIE_PARTITION, PDI, CDO;
`iron_designs.compiler` makes one with `build`. What a container is, is in `aie2.xclbin_format`,
reading in `aie2.xclbin_read`, writing in `aie2.xclbin_write` and `aie2.xclbin_build`.
"""

from __future__ import annotations

from aie2.xclbin_build import build, default_time_stamp, default_uuid, start_columns
from aie2.xclbin_format import (
    CONNECTION,
    HEADER,
    INSTRUCTIONS,
    LAYOUT,
    MEMORY,
    PARTITION,
    SECTION,
    Argument,
    Header,
    Kernel,
    Partition,
    PdiEntry,
    Section,
    SectionKind,
    Xclbin,
)
from aie2.xclbin_metadata import LEAST_HOST_BUFFERS, MOST_HOST_BUFFERS
from aie2.xclbin_read import read
from aie2.xclbin_write import place, write

__all__ = [
    "CONNECTION",
    "HEADER",
    "INSTRUCTIONS",
    "LAYOUT",
    "LEAST_HOST_BUFFERS",
    "MEMORY",
    "MOST_HOST_BUFFERS",
    "PARTITION",
    "SECTION",
    "Argument",
    "Header",
    "Kernel",
    "Partition",
    "PdiEntry",
    "Section",
    "SectionKind",
    "Xclbin",
    "build",
    "default_time_stamp",
    "default_uuid",
    "place",
    "read",
    "start_columns",
    "write",
]
