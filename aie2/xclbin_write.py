# SPDX-License-Identifier: Apache-2.0
"""Write containers (xclbin): what was read from one is written as it was.

`aie2.xclbin` is the door to it; `aie2.xclbin_build` makes one from facts and writes it with this.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from aie2.errors import XclbinError
from aie2.xclbin_format import ALIGNED_BYTES, HEADER, MAGIC, SECTION, Container, Section, Xclbin
from aie2.xclbin_read import read


def write(container: Xclbin) -> bytes:
    """The file of a container: sections at their offsets, zeros between them, then the mirror.

    The mirror is written as it is, also where it repeats what has been changed since it was read.

    Raises:
        XclbinError: fields that do not fit, sections that overlap or are not what `partition` and
            `kernels` say.
    """
    data = assemble(container)
    if read(data) != container:
        raise XclbinError(
            "xclbin: it would not read back as it is; `partition` and `kernels` are what the "
            "sections hold, and the mirror follows the last of these: change the sections, or make "
            "another xclbin with `aie2.xclbin.build`"
        )
    return data


def assemble(container: Container) -> bytes:
    """The same of a container of which no one knows what its sections say."""
    tables_end = HEADER.size_bytes + SECTION.size_bytes * len(container.sections)
    data = bytearray(tables_end)
    for section in sorted(container.sections, key=lambda section: section.offset):
        if section.offset < len(data):
            raise XclbinError(
                f"xclbin: section {section.kind} at byte {section.offset} overlaps what ends at "
                f"byte {len(data)}; give its sections to `aie2.xclbin.place`",
                section.offset,
            )
        data += bytes(section.offset - len(data)) + section.data
    data += container.mirror
    data[: HEADER.size_bytes] = _header(container, len(data))
    data[HEADER.size_bytes : tables_end] = b"".join(map(_section, container.sections))
    return bytes(data)


def place(sections: Iterable[Section]) -> tuple[Section, ...]:
    """Sections with the offsets that xclbinutil gives them: one after the other, in order."""
    sections = tuple(sections)
    at = HEADER.size_bytes + SECTION.size_bytes * len(sections)
    placed: list[Section] = []
    for section in sections:
        at += -at % ALIGNED_BYTES
        placed.append(replace(section, offset=at))
        at += len(section.data)
    return tuple(placed)


def _header(container: Container, length: int) -> bytes:
    rest = container.header
    values: dict[str, int | bytes] = {
        "magic": MAGIC,
        "signature": rest.signature,
        "unique_id": container.time_stamp if rest.unique_id is None else rest.unique_id,
        "length": length,
        "time_stamp": container.time_stamp,
        "feature_rom_time_stamp": rest.feature_rom_time_stamp,
        "patch": rest.patch,
        "major": container.version[0],
        "minor": container.version[1],
        "mode": rest.mode,
        "action_mask": rest.action_mask,
        "interface_uuid": rest.interface_uuid.bytes,
        "platform": container.platform.encode(),
        "uuid": container.uuid.bytes,
        "debug": rest.debug,
        "sections": len(container.sections),
    }
    return HEADER.pack(values, XclbinError)


def _section(section: Section) -> bytes:
    values: dict[str, int | bytes] = {
        "kind": section.kind,
        "name": section.name.encode(),
        "offset": section.offset,
        "size": len(section.data),
    }
    return SECTION.pack(values, XclbinError)
