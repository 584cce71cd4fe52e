# SPDX-License-Identifier: Apache-2.0
"""Containers made from facts: the bytes of xclbinutil's, what XRT finds in them, every refusal."""

from __future__ import annotations

import json
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from aie2_golden import CASES, SMALL, case_id

from aie2 import cdo, pdi, xclbin
from aie2.devices import DEVICES
from aie2.errors import PdiError, XclbinError
from aie2.xclbin import SectionKind, Xclbin

SHIPPED = sorted((Path(__file__).parents[2] / "iron_designs/xclbins").glob("*.xclbin"))
IMAGE = (SMALL / "main.pdi").read_bytes()
OTHER_IMAGE = pdi.wrap(cdo.file(()))
ONE_COLUMN: dict[str, Any] = {"column_width": 1, "start_columns": (1, 2, 3, 4)}


def made(**facts: Any) -> Xclbin:
    return xclbin.read(xclbin.build(IMAGE, **ONE_COLUMN, **facts))


def section(container: Xclbin, kind: SectionKind) -> bytes:
    return next(each.data for each in container.sections if each.kind == kind)


def rebuilt(data: bytes) -> bytes:
    """A container made of its image and of what every build draws anew."""
    container = xclbin.read(data)
    (image,) = container.partition.pdis
    return xclbin.build(
        image.image,
        column_width=container.partition.column_width,
        start_columns=container.partition.start_columns,
        host_buffers=5,
        uuid=container.uuid,
        pdi_uuid=image.uuid,
        time_stamp=container.time_stamp,
    )


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_facts_make_the_container_that_xclbinutil_made(case: Path):
    data = (case / "aie.xclbin").read_bytes()
    assert rebuilt(data) == data


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_containers_are_read_written_and_rebuilt_alike(path: Path):
    data = path.read_bytes()
    assert xclbin.write(xclbin.read(data)) == rebuilt(data) == data


def test_there_are_shipped_containers():
    assert len(SHIPPED) == 27


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_start_columns_are_those_of_compiled_containers(case: Path):
    about = json.loads((case / "case.json").read_text())
    device = DEVICES[about["device"].partition("_")[0]]
    found = xclbin.read(case / "aie.xclbin").partition.start_columns
    assert xclbin.start_columns(device, about["columns"]) == found


@pytest.mark.parametrize(
    ("device", "width", "columns"),
    [
        ("npu1", 2, (1, 2, 3)),
        ("npu2", 2, (1, 2, 3)),
        ("npu1", 3, (1, 2)),
        ("npu2", 3, (1, 2)),
        ("npu1", 4, (0,)),
        ("npu2", 4, (1,)),
        ("npu2", 5, (0, 1, 2, 3)),
        ("npu2", 6, (0, 1, 2)),
        ("npu2", 7, (0, 1)),
        ("npu2", 8, (0,)),
    ],
)
def test_start_columns_of_other_widths(device: str, width: int, columns: tuple[int, ...]):
    assert xclbin.start_columns(DEVICES[device], width) == columns


@pytest.mark.parametrize(
    ("device", "width", "most"), [("npu1", 0, 4), ("npu1", 5, 4), ("npu2", 9, 8), ("npu2", -1, 8)]
)
def test_widths_that_a_device_has_not(device: str, width: int, most: int):
    sentence = f"xclbin: {device} has no partitions of {width} columns; it has 1 to {most}"
    with pytest.raises(XclbinError, match=f"^{re.escape(sentence)}$"):
        xclbin.start_columns(DEVICES[device], width)


@pytest.mark.parametrize("host_buffers", range(5, 17))
def test_every_buffer_is_declared_connected_and_repeated(host_buffers: int):
    container = made(host_buffers=host_buffers)
    assert container.host_buffers == host_buffers
    text = section(container, SectionKind.EMBEDDED_METADATA).decode()
    offsets = {
        int(number): int(offset, 16)
        for number, offset in re.findall(r'"bo(\d+)".* offset="(\w+)"', text)
    }
    assert offsets == {n: 0x14 + 8 * n for n in range(host_buffers)}
    wanted = [(1, 0, 1), *((3 + n, 0, 0) for n in range(host_buffers))]
    for kind, times in ((SectionKind.CONNECTIVITY, 1), (SectionKind.GROUP_CONNECTIVITY, 2)):
        data = section(container, kind)
        assert data[:4] == struct.pack("<I", len(wanted) * times)
        assert list(struct.iter_unpack("<III", data[4:])) == wanted * times


def repeated(container: Xclbin) -> list[tuple[str, Any]]:
    """The mirror's members, of which several have one name."""
    found = re.fullmatch(b"XCLBIN_MIRROR_DATA_START(.*)XCLBIN_MIRROR_DATA_END", container.mirror)
    assert found
    members: list[list[tuple[str, Any]]] = []
    json.loads(found[1], object_pairs_hook=lambda pairs: members.append(pairs) or dict(pairs))
    return members[-1]


@pytest.mark.parametrize("host_buffers", [5, 11, 16])
def test_the_mirror_repeats_what_the_sections_say(host_buffers: int):
    container = made(host_buffers=host_buffers, name="mine", time_stamp=77, kernel_id=0x9AB)
    members = repeated(container)
    header = dict(members)["header"]
    assert (header["TimeStamp"], header["XclBinUUID"]) == ("77", container.uuid.hex)
    assert bytes.fromhex(header["UniqueID"]) == struct.pack("<Q", 77)
    stated = [member for name, member in members if name == "section_header"]
    assert [
        (int(one["Kind"]), one["Name"], int(one["Offset"], 16), int(one["Size"], 16))
        for one in stated
    ] == [(one.kind, one.name, one.offset, len(one.data)) for one in container.sections]
    for one in stated:
        payload = one.get("payload", {})
        for name in set(payload) & {"connectivity", "group_connectivity"}:
            rows = payload[name]["m_connection"]
            data = section(container, SectionKind[name.upper()])
            assert int(payload[name]["m_count"]) == len(rows)
            assert [tuple(int(value) for value in row.values()) for row in rows] == list(
                struct.iter_unpack("<III", data[4:])
            )


def test_names_and_ids_are_where_xrt_and_the_driver_look_for_them():
    container = made(name="npu", kernel_name="COPY", instance_name="ONE", kernel_id=0xABC)
    names = [each.name for each in container.sections]
    assert names == ["npu_mem_topolog", "npu_aie_partiti", "", "", "", "", ""]
    (kernel,) = container.kernels
    assert (kernel.name, kernel.kernel_id) == ("COPY", 0xABC)
    assert container.partition.pdis[0].kernel_ids == (0xABC,)
    layout = section(container, SectionKind.IP_LAYOUT)
    assert struct.unpack_from("<II", layout, 8) == (7, 0xABC << 16 | 1)
    assert layout[24:].rstrip(b"\0") == b"COPY:ONE"


def test_the_same_facts_give_the_same_file_and_others_another_uuid():
    first, again = (xclbin.build(IMAGE, **ONE_COLUMN) for _ in range(2))
    assert first == again
    others = [
        xclbin.read(xclbin.build(OTHER_IMAGE, **ONE_COLUMN)),
        xclbin.read(xclbin.build(IMAGE, column_width=2, start_columns=(1,))),
        made(host_buffers=6),
        made(kernel_id=0x902),
    ]
    uuids = {xclbin.read(first).uuid, *(other.uuid for other in others)}
    assert len(uuids) == 5
    assert others[0].partition.pdis[0].uuid != xclbin.read(first).partition.pdis[0].uuid
    assert made(time_stamp=5).uuid == xclbin.read(first).uuid


def test_where_parts_are_cut_makes_a_difference_to_their_uuid():
    assert xclbin.default_uuid(b"ab", b"c") != xclbin.default_uuid(b"a", b"bc")


def test_the_time_stamp_is_that_of_reproducible_builds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert made().time_stamp == 0
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1774310400")
    assert made().time_stamp == 1774310400
    assert made(time_stamp=3).time_stamp == 3


@pytest.mark.parametrize("text", ["", "-1", "today", "1.5"])
def test_a_time_stamp_that_is_no_number(text: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    sentence = f"xclbin: SOURCE_DATE_EPOCH is {text!r}; give seconds since 1970"
    with pytest.raises(XclbinError, match=f"^{re.escape(sentence)}$"):
        made()


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"host_buffers": 4}, "xclbin: 4 host buffers cannot be declared; 5 to 16 can"),
        ({"host_buffers": 17}, "xclbin: 17 host buffers cannot be declared; 5 to 16 can"),
        ({"kernel_id": 0x1000}, "xclbin: kernel id 0x1000 does not fit; 0 to 0xfff do"),
        ({"kernel_id": -1}, "xclbin: kernel id -0x1 does not fit; 0 to 0xfff do"),
        ({"name": ""}, "xclbin: name '' is not letters, digits and _"),
        ({"kernel_name": 'A"B'}, "xclbin: name 'A\"B' is not letters, digits and _"),
        ({"instance_name": "ä"}, "xclbin: name 'ä' is not letters, digits and _"),
        (
            {"kernel_name": "K" * 60, "instance_name": "I" * 4},
            "IP layout entry: name has 65 bytes and 64 fit",
        ),
        (
            {"column_width": 0},
            "xclbin: 0 columns that begin at one of 4 places are no partition",
        ),
        (
            {"start_columns": ()},
            "xclbin: 1 columns that begin at one of 0 places are no partition",
        ),
        (
            {"start_columns": (0, 1 << 16)},
            "xclbin: [0, 65536] do not fit 2 bytes each",
        ),
        (
            {"column_width": 1 << 16},
            "AIE_PARTITION header: column_width is 65536 and its 2 bytes hold 0 to 65535",
        ),
        (
            {"time_stamp": 1 << 64},
            "xclbin: time stamp 18446744073709551616 does not fit 8 bytes",
        ),
    ],
)
def test_facts_that_make_no_container(facts: dict[str, Any], sentence: str):
    with pytest.raises(XclbinError, match=f"^{re.escape(sentence)}$"):
        xclbin.build(IMAGE, **(ONE_COLUMN | facts))


def test_an_image_that_cannot_be_read_makes_no_container():
    with pytest.raises(PdiError, match="^PDI: it does not begin as a PDI for an NPU does"):
        xclbin.build(bytes(880), **ONE_COLUMN)
