# SPDX-License-Identifier: Apache-2.0
"""Read containers (xclbin): the file that XRT loads, with the device images (PDI) in it.

`firmware_sim` loads a design from one, as the driver does: AIE_PARTITION, PDI, CDO. Facts: XRT
src/runtime_src/core/include/xrt/detail/xclbin.h and tools/xclbinutil/SectionAIEPartition.cxx.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

from aie2.blob import Blob, Record
from aie2.errors import XclbinError

MAGIC = b"xclbin2\0"
UUID_BYTES = 16
HEADER = Record(
    "header",
    456,
    {
        "unique_id": (296, 8),
        "length": (304, 8),
        "time_stamp": (312, 8),
        "major": (330, 1),
        "minor": (331, 1),
        "sections": (448, 4),
    },
)
PLATFORM_BYTE, PLATFORM_BYTES, UUID_BYTE = 352, 64, 416
SECTION = Record("section header", 40, {"kind": (0, 4), "offset": (24, 8), "size": (32, 8)})
SECTION_NAME_BYTE, SECTION_NAME_BYTES = 4, 16
PARTITION = Record(
    "AIE_PARTITION header",
    184,
    {
        "name": (4, 4),
        "operations_per_cycle": (8, 4),
        "column_width": (32, 2),
        "start_count": (40, 4),
        "start_offset": (44, 4),
        "pdi_count": (120, 4),
        "pdi_offset": (124, 4),
    },
)
PDI = Record(
    "PDI entry",
    96,
    {"size": (16, 4), "offset": (20, 4), "group_count": (24, 4), "group_offset": (28, 4)},
)
GROUP = Record(
    "CDO group", 96, {"pdi_id": (8, 8), "kernel_count": (16, 4), "kernel_offset": (20, 4)}
)
START_COLUMN_BYTES, KERNEL_ID_BYTES = 2, 8


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


@dataclass(frozen=True)
class Xclbin:
    """A container for an NPU."""

    uuid: UUID
    version: tuple[int, int]
    platform: str
    sections: tuple[Section, ...]
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


def read(source: bytes | bytearray | memoryview | str | os.PathLike[str]) -> Xclbin:
    """An xclbin from its bytes or from a file.

    Raises:
        XclbinError: truncated, corrupt, or not for an NPU.
        OSError: the file cannot be read.
    """
    data = Path(source).read_bytes() if isinstance(source, str | os.PathLike) else bytes(source)
    blob = Blob(data, "xclbin", XclbinError)
    if blob.take(0, len(MAGIC), "start") != MAGIC:
        raise blob.fail("it does not begin with 'xclbin2'; this is no xclbin", 0)
    header = blob.record(HEADER)
    if header["length"] != len(data):
        sentence = (
            f"the header states {header['length']} bytes and the file has {len(data)}; it is "
            "truncated or has something after it"
        )
        raise blob.fail(sentence, HEADER.fields["length"][0])
    sections = _sections(blob, header["sections"])
    return Xclbin(
        uuid=UUID(bytes=blob.take(UUID_BYTE, UUID_BYTES, "uuid")),
        version=(header["major"], header["minor"]),
        platform=blob.text(PLATFORM_BYTE, "platform name", PLATFORM_BYTES),
        sections=sections,
        partition=_partition(_blob_of(sections, SectionKind.AIE_PARTITION)),
        kernels=_kernels(sections),
    )


def _sections(blob: Blob, count: int) -> tuple[Section, ...]:
    table = blob.part(HEADER.size_bytes, count * SECTION.size_bytes, f"table of {count} sections")
    headers = table.records(SECTION, count)
    _check_apart(blob, "sections", (fields["size"] for fields in headers))
    sections: list[Section] = []
    for number, fields in enumerate(headers):
        at = number * SECTION.size_bytes
        name = table.text(at + SECTION_NAME_BYTE, "section name", SECTION_NAME_BYTES)
        data = blob.take(fields["offset"], fields["size"], f"section {number}")
        sections.append(Section(fields["kind"], name, fields["offset"], data))
    return tuple(sections)


def _check_apart(blob: Blob, what: str, sizes_bytes: Iterable[int]) -> None:
    """Refuse parts that overlap: a small file could otherwise ask for any amount of memory."""
    total_bytes = sum(sizes_bytes)
    if total_bytes > len(blob.data):
        sentence = f"its {what} have {total_bytes} bytes in all, of {len(blob.data)} that there are"
        raise blob.fail(f"{sentence}; the file is corrupt", 0)


def _blob_of(sections: tuple[Section, ...], kind: SectionKind) -> Blob:
    """The one section of a kind."""
    found = [section for section in sections if section.kind == kind]
    if len(found) != 1:
        raise XclbinError(
            f"xclbin: it has {len(found)} {kind.name} sections; an xclbin for an NPU has 1"
        )
    return Blob(found[0].data, f"xclbin {kind.name}", XclbinError, found[0].offset)


def _partition(blob: Blob) -> Partition:
    fields = blob.record(PARTITION)
    pdis = blob.part(
        fields["pdi_offset"], fields["pdi_count"] * PDI.size_bytes, "table of device images"
    )
    entries = pdis.records(PDI, fields["pdi_count"])
    _check_apart(blob, "device images", (entry["size"] for entry in entries))
    _check_apart(blob, "CDO groups", (_groups_bytes(entry) for entry in entries))
    groups = [_groups(blob, entry) for entry in entries]
    kernels = (group["kernel_count"] for each in groups for group in each)
    _check_apart(blob, "kernel ids", (KERNEL_ID_BYTES * count for count in kernels))
    return Partition(
        name=blob.text(fields["name"], "partition name"),
        column_width=fields["column_width"],
        start_columns=blob.numbers(
            fields["start_offset"], START_COLUMN_BYTES, fields["start_count"], "start columns"
        ),
        operations_per_cycle=fields["operations_per_cycle"],
        pdis=tuple(_pdi(blob, pdis, number, each) for number, each in enumerate(groups)),
    )


def _groups_bytes(entry: dict[str, int]) -> int:
    return entry["group_count"] * GROUP.size_bytes


def _groups(blob: Blob, entry: dict[str, int]) -> list[dict[str, int]]:
    """CDO groups of a PDI entry."""
    table = blob.part(entry["group_offset"], _groups_bytes(entry), "table of CDO groups")
    return table.records(GROUP, entry["group_count"])


def _pdi(blob: Blob, table: Blob, number: int, groups: list[dict[str, int]]) -> PdiEntry:
    at = number * PDI.size_bytes
    fields = table.record(PDI, at)
    kernel_ids: list[int] = []
    for group in groups:
        kernel_ids += blob.numbers(
            group["kernel_offset"], KERNEL_ID_BYTES, group["kernel_count"], "kernel ids"
        )
    return PdiEntry(
        uuid=UUID(bytes=table.take(at, UUID_BYTES, "uuid")),
        image=blob.take(fields["offset"], fields["size"], f"device image {number}"),
        kernel_ids=tuple(kernel_ids),
        pdi_ids=tuple(group["pdi_id"] for group in groups),
    )


def _kernels(sections: tuple[Section, ...]) -> tuple[Kernel, ...]:
    """Kernels that the metadata declares; none where there is no metadata."""
    if not any(section.kind == SectionKind.EMBEDDED_METADATA for section in sections):
        return ()
    blob = _blob_of(sections, SectionKind.EMBEDDED_METADATA)
    try:
        root = ElementTree.fromstring(blob.data.rstrip(b"\0"))
        return tuple(_kernel(element) for element in root.iter("kernel"))
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise blob.fail(f"it cannot be read as XML: {error}; the file is corrupt", 0) from None


def _kernel(element: ElementTree.Element) -> Kernel:
    """A kernel element; ValueError if its id is no number."""
    extended = element.find("extended-data")
    kernel_id = None if extended is None else extended.get("dpu_kernel_id")
    return Kernel(
        name=element.get("name", ""),
        kernel_id=None if kernel_id is None else int(kernel_id, 0),
        arguments=tuple(
            Argument(argument.get("name", ""), argument.get("addressQualifier") == "1")
            for argument in element.iter("arg")
        ),
    )
