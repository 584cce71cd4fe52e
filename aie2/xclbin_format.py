# SPDX-License-Identifier: Apache-2.0
"""What a container (xclbin) is: where each header's fields lie, and what one holds once read.

`aie2.xclbin` is the door to it; `aie2.xclbin_read`, `aie2.xclbin_write` and `aie2.xclbin_build`
share these tables. Facts: XRT src/runtime_src/core/include/xrt/detail/xclbin.h.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from functools import cached_property
from uuid import UUID

from aie2.blob import Record

MAGIC = b"xclbin2\0"
UUID_BYTES = 16
NO_UUID = UUID(int=0)
HEADER = Record(
    "header",
    456,
    {
        "magic": (0, 8),
        "signature": (8, 288),
        "unique_id": (296, 8),
        "length": (304, 8),
        "time_stamp": (312, 8),
        "feature_rom_time_stamp": (320, 8),
        "patch": (328, 2),
        "major": (330, 1),
        "minor": (331, 1),
        "mode": (332, 2),
        "action_mask": (334, 2),
        "interface_uuid": (336, UUID_BYTES),
        "platform": (352, 64),
        "uuid": (416, UUID_BYTES),
        "debug": (432, 16),
        "sections": (448, 4),
    },
)
SECTION = Record(
    "section header", 40, {"kind": (0, 4), "name": (4, 16), "offset": (24, 8), "size": (32, 8)}
)
PARTITION = Record(
    "AIE_PARTITION header",
    184,
    {
        "name": (4, 4),
        "operations_per_cycle": (8, 4),
        "inference_fingerprint": (16, 8),
        "pre_post_fingerprint": (24, 8),
        "column_width": (32, 2),
        "start_count": (40, 4),
        "start_offset": (44, 4),
        "pdi_count": (120, 4),
        "pdi_offset": (124, 4),
        "kernel_commit_id": (128, 4),
    },
)
PDI = Record(
    "PDI entry",
    96,
    {
        "uuid": (0, UUID_BYTES),
        "size": (16, 4),
        "offset": (20, 4),
        "group_count": (24, 4),
        "group_offset": (28, 4),
    },
)
GROUP = Record(
    "CDO group",
    96,
    {
        "name": (0, 4),
        "type": (4, 1),
        "pdi_id": (8, 8),
        "kernel_count": (16, 4),
        "kernel_offset": (20, 4),
        "pre_count": (24, 4),
        "pre_offset": (28, 4),
    },
)
START_COLUMN_BYTES, KERNEL_ID_BYTES = 2, 8
MEMORY = Record(
    "memory",
    40,
    {"type": (0, 1), "used": (1, 1), "size_kb": (8, 8), "base": (16, 8), "tag": (24, 16)},
)
CONNECTION = Record("connection", 12, {"argument": (0, 4), "kernel": (4, 4), "memory": (8, 4)})
LAYOUT = Record(
    "IP layout entry", 80, {"type": (0, 4), "properties": (4, 4), "base": (8, 8), "name": (16, 64)}
)
ALIGNED_BYTES = 8
"""Sections, and the parts of AIE_PARTITION, begin at multiples of this."""


class SectionKind(IntEnum):
    """Sections of an NPU's xclbin that are named here."""

    EMBEDDED_METADATA = 2
    MEM_TOPOLOGY = 6
    CONNECTIVITY = 7
    IP_LAYOUT = 8
    GROUP_TOPOLOGY = 26
    GROUP_CONNECTIVITY = 27
    AIE_PARTITION = 32


@dataclass(frozen=True, slots=True)
class Section:
    """A section as it lies in the file."""

    kind: int
    name: str
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class PdiEntry:
    """A device image and the kernels that run on it."""

    uuid: UUID
    image: bytes
    """The PDI, for `aie2.pdi.read`."""
    kernel_ids: tuple[int, ...]
    pdi_ids: tuple[int, ...]
    """One for each CDO group."""


@dataclass(frozen=True, slots=True)
class Partition:
    """What the xclbin asks of the array, and the images for it."""

    name: str
    column_width: int
    start_columns: tuple[int, ...]
    """Physical columns at which the partition may begin."""
    operations_per_cycle: int
    pdis: tuple[PdiEntry, ...]


@dataclass(frozen=True, slots=True)
class Argument:
    """A kernel argument; a buffer if it is in memory, else a scalar."""

    name: str
    in_memory: bool


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel as the host calls it; `kernel_id` is None for one that is not on the NPU."""

    name: str
    kernel_id: int | None
    arguments: tuple[Argument, ...]


INSTRUCTIONS = "instr"
"""Name of the argument that takes the instruction stream."""


@dataclass(frozen=True, slots=True)
class Header:
    """Header fields that nothing on the way to an NPU reads, with what mlir-aie's files have."""

    signature: bytes = b"\xff" * HEADER.fields["signature"][1]
    """Length of the signature (-1: none), reserved bytes and key block."""
    unique_id: int | None = None
    """None if it is the time stamp, as it is in files that xclbinutil wrote."""
    feature_rom_time_stamp: int = 0
    patch: int = 0
    mode: int = 0
    action_mask: int = 0
    interface_uuid: UUID = NO_UUID
    debug: bytes = bytes(HEADER.fields["debug"][1])


@dataclass(frozen=True)
class Container:
    """What makes a file: its header, its sections, what comes after them."""

    uuid: UUID
    version: tuple[int, int]
    platform: str
    sections: tuple[Section, ...]
    time_stamp: int = 0
    """Seconds since 1970."""
    header: Header = field(default_factory=Header)
    mirror: bytes = b""
    """What follows the last section: xclbinutil repeats there, as JSON, what the file says."""


@dataclass(frozen=True, kw_only=True)
class Xclbin(Container):
    """A container for an NPU, and what its sections say."""

    partition: Partition
    kernels: tuple[Kernel, ...]

    @cached_property
    def host_buffers(self) -> int:
        """Host buffers that can be passed: those that the NPU kernel with most of them declares."""
        buffers = [
            sum(
                argument.in_memory and argument.name != INSTRUCTIONS
                for argument in kernel.arguments
            )
            for kernel in self.kernels
            if kernel.kernel_id is not None
        ]
        return max(buffers, default=0)
