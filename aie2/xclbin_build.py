# SPDX-License-Identifier: Apache-2.0
"""Make containers (xclbin) from facts: a device image, its columns, the buffers that it is given.

`iron_designs.compiler` ends here. What comes out is, byte for byte, what mlir-aie's aiecc has
xclbinutil 2.18 make of the same image. Facts: mlir-aie tools/aiecc/aiecc.cpp and SidecarFiles.h;
XRT tools/xclbinutil/SectionAIEPartition.cxx (order of the parts of AIE_PARTITION).
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from uuid import NAMESPACE_OID, UUID, uuid5

from aie2 import pdi as pdi_file
from aie2.devices import NPU1, Device
from aie2.errors import XclbinError
from aie2.xclbin_format import (
    ALIGNED_BYTES,
    GROUP,
    PARTITION,
    PDI,
    SECTION,
    Container,
    Header,
    Section,
    SectionKind,
)
from aie2.xclbin_metadata import (
    arguments,
    connections,
    connectivity,
    ip_layout,
    memory_topology,
    xml,
)
from aie2.xclbin_mirror import mirror
from aie2.xclbin_write import assemble, place

VERSION, PATCH = (2, 18), 0
"""xclbinutil whose files are made here."""
KERNEL, INSTANCE, KERNEL_ID = "MLIR_AIE", "MLIRAIE", 0x901
"""Names and id that aiecc gives a kernel unless it is told others."""
DEVICE_NAME = "main"
"""Symbol of a device operation that was given none; section names begin with it."""
PARTITION_FACTS = {
    "operations_per_cycle": 2048,
    "inference_fingerprint": 23423,
    "pre_post_fingerprint": 12345,
}
GROUP_NAME, GROUP_FACTS, PRE_CDO_ID = "DPU", {"type": 1, "pdi_id": 1}, 0xC1
"""The one CDO group: primary, PDI 1."""
FIRST_COLUMN, BEYOND_COLUMNS = 1, NPU1.first_physical_column + NPU1.columns
"""Physical columns that aiecc of March 2026 lets narrow partitions of any device be in."""
EPOCH_VARIABLE = "SOURCE_DATE_EPOCH"
"""Environment variable in which reproducible builds state their time, in seconds."""


def start_columns(device: Device, width: int) -> tuple[int, ...]:
    """Physical columns at which aiecc lets a partition of `width` columns begin.

    The whole device begins at 0; else Phoenix's columns 1 to 4 are taken whatever the device is
    (mlir-aie 7fa34218 tools/aiecc/aiecc.cpp, which made the golden files). That has nothing to say
    of 5 to 7 columns: there it is every place at which they fit (mlir-aie e90b1b0a, of July 2026,
    SidecarFiles.h, where this is the rule for all widths).

    Raises:
        XclbinError: more columns than the device has, or none.
    """
    if not 1 <= width <= device.columns:
        raise XclbinError(
            f"xclbin: {device.name} has no partitions of {width} columns; it has 1 to "
            f"{device.columns}"
        )
    if width == device.columns:
        return (0,)
    narrow = range(FIRST_COLUMN, BEYOND_COLUMNS - width + 1)
    return tuple(narrow or range(device.columns - width + 1))


def default_time_stamp() -> int:
    """Seconds of SOURCE_DATE_EPOCH, or 0: the same input gives the same file.

    Raises:
        XclbinError: the variable is no number.
    """
    text = os.environ.get(EPOCH_VARIABLE, "0")
    if not re.fullmatch("[0-9]+", text):
        raise XclbinError(f"xclbin: {EPOCH_VARIABLE} is {text!r}; give seconds since 1970")
    return int(text)


def default_uuid(*parts: bytes) -> UUID:
    """A UUID of version 5 that follows from these bytes; other bytes give another."""
    digest = sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return uuid5(NAMESPACE_OID, digest.hexdigest())


def build(
    pdi: bytes,
    *,
    column_width: int,
    start_columns: Sequence[int],
    host_buffers: int = 5,
    name: str = DEVICE_NAME,
    uuid: UUID | None = None,
    pdi_uuid: UUID | None = None,
    time_stamp: int | None = None,
    kernel_name: str = KERNEL,
    instance_name: str = INSTANCE,
    kernel_id: int = KERNEL_ID,
) -> bytes:
    """The xclbin of a device image.

    Args:
        pdi: The image, as `aie2.pdi.wrap` makes it.
        column_width: Columns of the partition.
        start_columns: Physical columns at which it may begin, from `start_columns`.
        host_buffers: Buffers that the kernel takes: 5 to 16.
        name: Symbol of the device operation in the MLIR, with which the names of two sections
            begin; "main" where the MLIR gives none.
        uuid: Of the container; by default it follows from all that is in the sections.
        pdi_uuid: Of the image; by default it follows from its bytes.
        time_stamp: Seconds since 1970; by default `default_time_stamp`.
        kernel_name: What the host opens.
        instance_name: Its one instance.
        kernel_id: By which the driver finds the image.

    Raises:
        XclbinError: facts that do not fit, or names that are not letters, digits and _.
        PdiError: the image cannot be read.
    """
    pdi_file.read(pdi)
    for given in (name, kernel_name, instance_name):
        _check_name(given)
    image_uuid = default_uuid(pdi) if pdi_uuid is None else pdi_uuid
    taken = arguments(host_buffers)
    connected = connections(taken)
    topology, layout = memory_topology(), ip_layout(kernel_name, instance_name, kernel_id)
    contents = {
        SectionKind.MEM_TOPOLOGY: topology,
        SectionKind.AIE_PARTITION: _partition(
            pdi, image_uuid, column_width, start_columns, kernel_id
        ),
        SectionKind.EMBEDDED_METADATA: xml(kernel_name, instance_name, kernel_id, taken),
        SectionKind.IP_LAYOUT: layout,
        SectionKind.CONNECTIVITY: connectivity(connected),
        SectionKind.GROUP_CONNECTIVITY: connectivity((*connected, *connected)),
        SectionKind.GROUP_TOPOLOGY: topology,
    }
    container = Container(
        uuid=default_uuid(*contents.values()) if uuid is None else uuid,
        version=VERSION,
        platform="",
        sections=place(_sections(contents, name)),
        time_stamp=_checked_time_stamp(time_stamp),
        header=Header(patch=PATCH),
    )
    text = mirror(container, f"{kernel_name}:{instance_name}", kernel_id, connected)
    return assemble(replace(container, mirror=text))


def _checked_time_stamp(time_stamp: int | None) -> int:
    """A time stamp that fits its field."""
    stamp = default_time_stamp() if time_stamp is None else time_stamp
    if not 0 <= stamp < 1 << 64:
        raise XclbinError(f"xclbin: time stamp {stamp} does not fit 8 bytes")
    return stamp


def _check_name(name: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_]+", name):
        raise XclbinError(f"xclbin: name {name!r} is not letters, digits and _")


def _sections(contents: Mapping[SectionKind, bytes], name: str) -> list[Section]:
    """Sections in order; two have names, cut so that a zero byte follows."""
    names = {
        SectionKind.MEM_TOPOLOGY: f"{name}_mem_topology",
        SectionKind.AIE_PARTITION: f"{name}_aie_partition",
    }
    most = SECTION.fields["name"][1] - 1
    return [Section(kind, names.get(kind, "")[:most], 0, data) for kind, data in contents.items()]


def _partition(
    pdi: bytes, uuid: UUID, column_width: int, start_columns: Sequence[int], kernel_id: int
) -> bytes:
    """AIE_PARTITION: its header, and behind that all that the header and its tables point to."""
    if not start_columns or column_width < 1:
        raise XclbinError(
            f"xclbin: {column_width} columns that begin at one of {len(start_columns)} places are "
            "no partition"
        )
    data = bytearray(PARTITION.size_bytes)
    places = {"name": _put(data, b"\0"), "kernel_commit_id": _put(data, b"\0")}
    places["start_offset"] = _put(data, _numbers("H", start_columns))
    image = {"uuid": uuid.bytes, "size": len(pdi), "offset": _put(data, pdi)}
    group = {
        "name": _put(data, GROUP_NAME.encode() + b"\0"),
        "kernel_count": 1,
        "kernel_offset": _put(data, _numbers("Q", [kernel_id])),
        "pre_count": 1,
        "pre_offset": _put(data, _numbers("Q", [PRE_CDO_ID])),
    }
    groups = {
        "group_count": 1,
        "group_offset": _put(data, GROUP.pack(GROUP_FACTS | group, XclbinError)),
    }
    places["pdi_offset"] = _put(data, PDI.pack(image | groups, XclbinError))
    counts = {
        "column_width": column_width,
        "start_count": len(start_columns),
        "pdi_count": 1,
    }
    data[: PARTITION.size_bytes] = PARTITION.pack(PARTITION_FACTS | counts | places, XclbinError)
    return bytes(data)


def _put(data: bytearray, part: bytes) -> int:
    """Append a part, filled up with zeros; returns the byte at which it begins."""
    at = len(data)
    data += part + bytes(-len(part) % ALIGNED_BYTES)
    return at


def _numbers(code: str, numbers: Sequence[int]) -> bytes:
    """Numbers of one size: "H" 2 bytes each, "Q" 8."""
    try:
        return struct.pack(f"<{len(numbers)}{code}", *numbers)
    except struct.error:
        raise XclbinError(
            f"xclbin: {list(numbers)} do not fit {struct.calcsize(code)} bytes each"
        ) from None
