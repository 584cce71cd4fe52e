# SPDX-License-Identifier: Apache-2.0
"""Containers: what compiled ones hold, and one sentence for each way to be wrong."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path

import pytest
from aie2_golden import CASES, SMALL, case_id, damaged
from hypothesis import given

from aie2 import xclbin
from aie2.errors import XclbinError
from aie2.xclbin import Argument, Kernel, SectionKind

FILE = SMALL / "aie.xclbin"
DATA = FILE.read_bytes()
READ = xclbin.read(DATA)
PARTITION, METADATA = (
    next(section for section in READ.sections if section.kind == kind)
    for kind in (SectionKind.AIE_PARTITION, SectionKind.EMBEDDED_METADATA)
)
SECTION_HEADERS = 456
PDI_ENTRY = struct.unpack_from("<I", PARTITION.data, 124)[0]
CDO_GROUP = struct.unpack_from("<I", PARTITION.data, PDI_ENTRY + 28)[0]
"""Bytes of the partition at which its one PDI entry and CDO group lie."""
OVERLAPPING = (
    sum(len(section.data) for section in READ.sections)
    - len(READ.sections[1].data)
    + 7322
    - PARTITION.offset
)
"""Bytes of all sections once section 1 has the rest of the file."""
START_COLUMNS = {
    "npu1_1col": (1, 2, 3, 4),
    "npu1": (0,),
    "npu2_1col": (1, 2, 3, 4),
    "npu2_4col": (1,),
    "npu2": (0,),
}
"""As mlir-aie writes them."""


def patched(at: int, new: bytes) -> bytes:
    return DATA[:at] + new + DATA[at + len(new) :]


def number(at: int, value: int, size_bytes: int = 4) -> bytes:
    """The file with a number changed."""
    return patched(at, value.to_bytes(size_bytes, "little"))


def kind_of(section: int, kind: int) -> bytes:
    """The file with the kind of a section changed."""
    return number(SECTION_HEADERS + 40 * section, kind)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_compiled_containers(case: Path):
    about = json.loads((case / "case.json").read_text())
    container = xclbin.read(case / "aie.xclbin")
    partition = container.partition
    assert partition.column_width == about["columns"]
    assert partition.start_columns == START_COLUMNS[about["device"]]
    assert (partition.name, partition.operations_per_cycle) == ("", 2048)
    (image,) = partition.pdis
    assert image.image == (case / "main.pdi").read_bytes()
    assert (image.kernel_ids, image.pdi_ids) == ((0x901,), (1,))
    assert container.version == (2, 18)
    assert container.host_buffers == 5
    assert [kernel.kernel_id for kernel in container.kernels] == [0x901]


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_header_fields_are_those_that_its_mirror_states(case: Path):
    """xclbinutil repeats the header as JSON after the last section."""
    data = (case / "aie.xclbin").read_bytes()
    found = re.search(b"XCLBIN_MIRROR_DATA_START(.*)XCLBIN_MIRROR_DATA_END", data)
    assert found
    mirror = found[1].decode()
    container = xclbin.read(data)
    assert re.findall(r'"XclBinUUID":"(\w+)"', mirror) == [container.uuid.hex]
    said = re.findall(r'"Kind":"(\d+)","Name":"(\w*)","Offset":"(\w+)","Size":"(\w+)"', mirror)
    assert [(int(kind), name, int(at, 16), int(size, 16)) for kind, name, at, size in said] == [
        (section.kind, section.name, section.offset, len(section.data))
        for section in container.sections
    ]
    assert len(container.sections) == 7


def test_the_kernel_and_its_arguments():
    buffers = tuple(Argument(f"bo{n}", True) for n in range(5))
    scalars = Argument("opcode", False), Argument("instr", True), Argument("ninstr", False)
    assert READ.kernels == (Kernel("MLIR_AIE", 0x901, (*scalars, *buffers)),)


def test_kernel_ids_are_eight_bytes_each():
    """With a count of 2, the pre-CDO id that xclbinutil writes after them is taken for one."""
    name_at = PARTITION.data.index(b"DPU\0")
    count_at = PARTITION.data.index(struct.pack("<IIQI", name_at, 1, 1, 1)) + 16
    entry = xclbin.read(number(PARTITION.offset + count_at, 2)).partition.pdis[0]
    assert entry.kernel_ids == (0x901, 0xC1)


def test_a_path_and_its_bytes_read_alike():
    for source in (FILE, str(FILE), bytearray(DATA), memoryview(DATA)):
        assert xclbin.read(source) == READ


def test_a_file_that_is_not_there():
    with pytest.raises(FileNotFoundError):
        xclbin.read(SMALL / "none.xclbin")


def test_metadata_may_be_absent():
    container = xclbin.read(kind_of(2, 99))
    assert (container.kernels, container.host_buffers) == ((), 0)


@pytest.mark.parametrize(
    ("data", "offset", "sentence"),
    [
        (
            b"",
            0,
            "xclbin: start needs 8 bytes and 0 are left; the file is truncated or corrupt (byte 0)",
        ),
        (
            b"\x7fELF" + DATA[4:],
            0,
            "xclbin: it does not begin with 'xclbin2'; this is no xclbin (byte 0)",
        ),
        (
            DATA[:100],
            0,
            "xclbin: header needs 456 bytes and 100 are left; the file is truncated or corrupt "
            "(byte 0)",
        ),
        (
            DATA[:-1],
            304,
            "xclbin: the header states 7322 bytes and the file has 7321; it is truncated or has "
            "something after it (byte 304)",
        ),
        (
            number(448, 10_000),
            456,
            "xclbin: table of 10000 sections needs 400000 bytes and 6866 are left; the file is "
            "truncated or corrupt (byte 456)",
        ),
        (
            number(SECTION_HEADERS + 40 + 24, 7000, 8),
            7000,
            f"xclbin: section 1 needs {len(PARTITION.data)} bytes and 322 are left; the file is "
            "truncated or corrupt (byte 7000)",
        ),
        (
            number(SECTION_HEADERS + 40 + 32, 7322 - PARTITION.offset, 8),
            0,
            f"xclbin: its sections have {OVERLAPPING} bytes in all, of 7322 that there are; the "
            "file is corrupt (byte 0)",
        ),
        (
            kind_of(1, 99),
            None,
            "xclbin: it has 0 AIE_PARTITION sections; an xclbin for an NPU has 1",
        ),
        (
            kind_of(0, SectionKind.AIE_PARTITION),
            None,
            "xclbin: it has 2 AIE_PARTITION sections; an xclbin for an NPU has 1",
        ),
        (
            number(PARTITION.offset + 124, 0xFFFF),
            PARTITION.offset + 0xFFFF,
            "xclbin AIE_PARTITION: table of device images needs 96 bytes and 0 are left; the file "
            f"is truncated or corrupt (byte {PARTITION.offset + 0xFFFF})",
        ),
        (
            number(PARTITION.offset + 40, 1000),
            PARTITION.offset + struct.unpack_from("<I", PARTITION.data, 44)[0],
            "xclbin AIE_PARTITION: start columns needs 2000 bytes and "
            f"{len(PARTITION.data) - struct.unpack_from('<I', PARTITION.data, 44)[0]} are left; "
            "the file is truncated or corrupt "
            f"(byte {PARTITION.offset + struct.unpack_from('<I', PARTITION.data, 44)[0]})",
        ),
        (
            number(PARTITION.offset + PDI_ENTRY + 16, len(PARTITION.data) + 1),
            PARTITION.offset,
            f"xclbin AIE_PARTITION: its device images have {len(PARTITION.data) + 1} bytes in all, "
            f"of {len(PARTITION.data)} that there are; the file is corrupt (byte "
            f"{PARTITION.offset})",
        ),
        (
            number(PARTITION.offset + PDI_ENTRY + 24, 100),
            PARTITION.offset,
            "xclbin AIE_PARTITION: its CDO groups have 9600 bytes in all, of "
            f"{len(PARTITION.data)} that there are; the file is corrupt (byte {PARTITION.offset})",
        ),
        (
            number(PARTITION.offset + CDO_GROUP + 16, 0xFFFFFFFF),
            PARTITION.offset,
            f"xclbin AIE_PARTITION: its kernel ids have {8 * 0xFFFFFFFF} bytes in all, of "
            f"{len(PARTITION.data)} that there are; the file is corrupt (byte {PARTITION.offset})",
        ),
        (
            number(PARTITION.offset + 4, 0xFFFF),
            PARTITION.offset + 0xFFFF,
            "xclbin AIE_PARTITION: partition name has no end; the file is truncated or corrupt "
            f"(byte {PARTITION.offset + 0xFFFF})",
        ),
        (
            patched(METADATA.offset, b"<<"),
            METADATA.offset,
            "xclbin EMBEDDED_METADATA: it cannot be read as XML: not well-formed (invalid token): "
            f"line 1, column 1; the file is corrupt (byte {METADATA.offset})",
        ),
        (
            patched(DATA.index(b"0x901"), b"zebra"),
            METADATA.offset,
            "xclbin EMBEDDED_METADATA: it cannot be read as XML: invalid literal for int() with "
            f"base 0: 'zebra'; the file is corrupt (byte {METADATA.offset})",
        ),
    ],
)
def test_what_is_refused(data: bytes, offset: int | None, sentence: str):
    with pytest.raises(XclbinError, match=f"^{re.escape(sentence)}$") as caught:
        xclbin.read(data)
    assert caught.value.offset == offset


@given(damaged(DATA))
def test_damage_is_read_or_refused(data: bytes):
    try:
        container = xclbin.read(data)
    except XclbinError as error:
        assert str(error).startswith("xclbin")
    else:
        assert len(data) == len(DATA)
        assert container.host_buffers >= 0


def test_no_length_but_the_whole_is_read():
    for length in range(0, len(DATA), 7):
        with pytest.raises(XclbinError):
            xclbin.read(DATA[:length])
