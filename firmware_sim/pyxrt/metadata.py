# SPDX-License-Identifier: Apache-2.0
"""Sections of an xclbin that only XRT reads: memory banks, compute units, connections."""

from __future__ import annotations

from dataclasses import dataclass

from aie2.blob import Blob, Record
from aie2.errors import XclbinError
from aie2.xclbin import CONNECTION, LAYOUT, MEMORY, SectionKind, Xclbin

COUNT_BYTES = 4
FIRST_ENTRY = {
    SectionKind.MEM_TOPOLOGY: 8,
    SectionKind.IP_LAYOUT: 8,
    SectionKind.CONNECTIVITY: COUNT_BYTES,
}
"""Byte of a section's first entry: entries with 8-byte fields begin at a multiple of 8."""
NO_BANK = 0xFFFF
"""What an argument that is no memory is connected to, as a group id has it."""


@dataclass(frozen=True, slots=True)
class Bank:
    """A memory bank."""

    index: int
    tag: str
    base: int
    size_kb: int
    used: bool


def banks(container: Xclbin) -> tuple[Bank, ...]:
    """Memory banks; none where the container has no such section."""
    found: list[Bank] = []
    for index, part in enumerate(_entries(container, SectionKind.MEM_TOPOLOGY, MEMORY)):
        fields, tag = part.record(MEMORY), _text(part, MEMORY, "tag")
        found.append(Bank(index, tag, fields["base"], fields["size_kb"], bool(fields["used"])))
    return tuple(found)


def units(container: Xclbin) -> tuple[str, ...]:
    """Names of the compute units, as `kernel:instance`."""
    parts = _entries(container, SectionKind.IP_LAYOUT, LAYOUT)
    return tuple(_text(part, LAYOUT, "name") for part in parts)


def connections(container: Xclbin, kernel: str) -> dict[int, frozenset[int]]:
    """Banks that each argument of a kernel is connected to, by argument index."""
    names = [name.partition(":")[0] for name in units(container)]
    found: dict[int, frozenset[int]] = {}
    for part in _entries(container, SectionKind.CONNECTIVITY, CONNECTION):
        fields = part.record(CONNECTION)
        unit, argument = fields["kernel"], fields["argument"]
        if unit < len(names) and names[unit] == kernel:
            found[argument] = found.get(argument, frozenset()) | {fields["memory"]}
    return found


def _text(part: Blob, record: Record, name: str) -> str:
    at, size_bytes = record.fields[name]
    return part.text(at, name, size_bytes)


def _entries(container: Xclbin, kind: SectionKind, record: Record) -> list[Blob]:
    """Entries of a section, which begins with their number.

    Raises:
        XclbinError: the section is shorter than its entries.
    """
    section = next((each for each in container.sections if each.kind == kind), None)
    if section is None:
        return []
    blob = Blob(section.data, f"xclbin {kind.name}", XclbinError, section.offset)
    count, size_bytes = blob.number(0, COUNT_BYTES, "count"), record.size_bytes
    table = blob.part(FIRST_ENTRY[kind], count * size_bytes, f"table of {count} entries")
    return [table.part(number * size_bytes, size_bytes, record.name) for number in range(count)]
