# SPDX-License-Identifier: Apache-2.0
"""The text with which xclbinutil ends an xclbin: header and sections once more, as JSON.

XRT does not read it; `aie2.xclbin_build` writes it so that its files are those of mlir-aie. Facts:
the files that xclbinutil 2.18 wrote; values are strings, and every section is a `section_header`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from aie2.xclbin_format import HEADER, Container, Section, SectionKind
from aie2.xclbin_metadata import MEMORIES, Connection

START, END = b"XCLBIN_MIRROR_DATA_START", b"XCLBIN_MIRROR_DATA_END"
SCHEMA = (("major", "1"), ("minor", "0"), ("patch", "0"))
SIGNATURE_BYTES, RESERVED_BYTES = 4, 28
"""Of the header's signature field, before the key block."""

Pairs = Sequence[tuple[str, str]]


def mirror(
    container: Container, kernel: str, kernel_id: int, connections: Sequence[Connection]
) -> bytes:
    """The text for a container that `aie2.xclbin_build` has made.

    Args:
        container: Header and sections.
        kernel: Kernel and instance, with a colon between them.
        kernel_id: Id of the kernel.
        connections: What CONNECTIVITY holds.
    """
    payloads = {
        SectionKind.MEM_TOPOLOGY: lambda: _memories("mem_topology"),
        SectionKind.GROUP_TOPOLOGY: lambda: _memories("group_topology"),
        SectionKind.IP_LAYOUT: lambda: _ip_layout(kernel, kernel_id),
        SectionKind.CONNECTIVITY: lambda: _connections("connectivity", connections),
        SectionKind.GROUP_CONNECTIVITY: lambda: _connections(
            "group_connectivity", (*connections, *connections)
        ),
    }
    members = [
        f'"schema_version":{_object(SCHEMA)}',
        f'"header":{_object(_header(container))}',
        *(f'"section_header":{_section(section, payloads)}' for section in container.sections),
    ]
    return START + f"{{{','.join(members)}}}".encode() + END


def _object(pairs: Pairs) -> str:
    return json.dumps(dict(pairs), separators=(",", ":"))


def _header(container: Container) -> Pairs:
    rest = container.header
    major, minor = container.version
    stamp = container.time_stamp
    key_block = rest.signature[SIGNATURE_BYTES + RESERVED_BYTES :]
    return (
        ("Magic", "xclbin2"),
        ("SignatureLength", rest.signature[:SIGNATURE_BYTES].hex()),
        ("KeyBlock", key_block.hex()),
        ("UniqueID", stamp.to_bytes(HEADER.fields["unique_id"][1], "little").hex()),
        ("TimeStamp", str(stamp)),
        ("FeatureRomTimeStamp", str(rest.feature_rom_time_stamp)),
        ("Version", f"{major}.{minor}.{rest.patch}"),
        ("Mode", str(rest.mode)),
        ("InterfaceUUID", rest.interface_uuid.hex),
        ("PlatformVBNV", container.platform),
        ("XclBinUUID", container.uuid.hex),
        ("DebugBin", ""),
    )


def _section(section: Section, payloads: dict[SectionKind, Callable[[], str]]) -> str:
    about = _object(
        (
            ("Kind", str(int(section.kind))),
            ("Name", section.name),
            ("Offset", hex(section.offset)),
            ("Size", hex(len(section.data))),
        )
    )
    payload = payloads.get(SectionKind(section.kind))
    return about if payload is None else f'{about[:-1]},"payload":{payload()}}}'


def _table(name: str, entries_name: str, entries: Sequence[str]) -> str:
    return f'{{"{name}":{{"m_count":"{len(entries)}","{entries_name}":[{",".join(entries)}]}}}}'


def _memories(name: str) -> str:
    entries = [
        _object(
            (
                ("m_type", "MEM_DRAM"),
                ("m_used", "1"),
                ("m_sizeKB", hex(memory.size_kb)),
                ("m_tag", memory.tag),
                ("m_base_address", hex(memory.base)),
            )
        )
        for memory in MEMORIES
    ]
    return _table(name, "m_mem_data", entries)


def _ip_layout(kernel: str, kernel_id: int) -> str:
    entry = _object(
        (
            ("m_type", "IP_PS_KERNEL"),
            ("m_subtype", "DPU"),
            ("m_functional", "DPU"),
            ("m_kernel_id", hex(kernel_id)),
            ("m_base_address", "not_used"),
            ("m_name", kernel),
        )
    )
    return _table("ip_layout", "m_ip_data", [entry])


def _connections(name: str, connections: Sequence[Connection]) -> str:
    entries = [
        f'{{"arg_index":"{each.argument}","m_ip_layout_index":"0",'
        f'"mem_data_index":"{each.memory}"}}'
        for each in connections
    ]
    return _table(name, "m_connection", entries)
