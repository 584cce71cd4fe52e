# SPDX-License-Identifier: Apache-2.0
"""Read containers (xclbin): the file that XRT loads, with the device images (PDI) in it.

`aie2.xclbin` is the door to it; `aie2.xclbin_write` writes what is read here. Facts: XRT
tools/xclbinutil/SectionAIEPartition.cxx, and `aie2.xclbin_format`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from uuid import UUID
from xml.etree import ElementTree

from aie2.blob import Blob
from aie2.errors import XclbinError
from aie2.xclbin_format import (
    GROUP,
    HEADER,
    KERNEL_ID_BYTES,
    MAGIC,
    PARTITION,
    PDI,
    SECTION,
    START_COLUMN_BYTES,
    Argument,
    Header,
    Kernel,
    Partition,
    PdiEntry,
    Section,
    SectionKind,
    Xclbin,
)


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
    platform_byte, platform_bytes = HEADER.fields["platform"]
    return Xclbin(
        uuid=UUID(bytes=blob.take(*HEADER.fields["uuid"], "uuid")),
        version=(header["major"], header["minor"]),
        platform=blob.text(platform_byte, "platform name", platform_bytes),
        sections=sections,
        partition=_partition(_blob_of(sections, SectionKind.AIE_PARTITION)),
        kernels=_kernels(sections),
        time_stamp=header["time_stamp"],
        header=_rest(blob, header),
        mirror=data[_end(sections) :],
    )


def _rest(blob: Blob, header: dict[str, int]) -> Header:
    """Fields of the header that nothing reads."""
    unique_id = header["unique_id"]
    return Header(
        signature=blob.take(*HEADER.fields["signature"], "signature"),
        unique_id=None if unique_id == header["time_stamp"] else unique_id,
        feature_rom_time_stamp=header["feature_rom_time_stamp"],
        patch=header["patch"],
        mode=header["mode"],
        action_mask=header["action_mask"],
        interface_uuid=UUID(bytes=blob.take(*HEADER.fields["interface_uuid"], "interface uuid")),
        debug=blob.take(*HEADER.fields["debug"], "debug field"),
    )


def _end(sections: tuple[Section, ...]) -> int:
    """The byte after the last section."""
    return max(section.offset + len(section.data) for section in sections)


def _sections(blob: Blob, count: int) -> tuple[Section, ...]:
    table = blob.part(HEADER.size_bytes, count * SECTION.size_bytes, f"table of {count} sections")
    headers = table.records(SECTION, count)
    _check_apart(blob, "sections", (fields["size"] for fields in headers))
    name_byte, name_bytes = SECTION.fields["name"]
    sections: list[Section] = []
    for number, fields in enumerate(headers):
        at = number * SECTION.size_bytes
        name = table.text(at + name_byte, "section name", name_bytes)
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
    uuid_byte, uuid_bytes = PDI.fields["uuid"]
    kernel_ids: list[int] = []
    for group in groups:
        kernel_ids += blob.numbers(
            group["kernel_offset"], KERNEL_ID_BYTES, group["kernel_count"], "kernel ids"
        )
    return PdiEntry(
        uuid=UUID(bytes=table.take(at + uuid_byte, uuid_bytes, "uuid")),
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
