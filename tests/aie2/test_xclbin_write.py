# SPDX-License-Identifier: Apache-2.0
"""Containers written: what was read comes back as it was, and what cannot be written."""

from __future__ import annotations

import re
import struct
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from aie2_golden import CASES, SMALL, case_id
from hypothesis import given
from hypothesis import strategies as st

from aie2 import xclbin
from aie2.errors import XclbinError
from aie2.xclbin import Header, Section, Xclbin

READ = xclbin.read(SMALL / "aie.xclbin")
NUMBER = {size: st.integers(0, (1 << 8 * size) - 1) for size in (1, 2, 8)}
UUIDS = st.binary(min_size=16, max_size=16).map(lambda data: UUID(bytes=data))
HEADERS = st.builds(
    Header,
    signature=st.binary(min_size=288, max_size=288),
    feature_rom_time_stamp=NUMBER[8],
    patch=NUMBER[2],
    mode=NUMBER[2],
    action_mask=NUMBER[2],
    interface_uuid=UUIDS,
    debug=st.binary(min_size=16, max_size=16),
)
SECTIONS = st.builds(
    Section,
    kind=st.integers(40, 60),
    name=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=16),
    offset=st.just(0),
    data=st.binary(max_size=30),
)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_what_was_read_is_written_as_it_was(case: Path):
    data = (case / "aie.xclbin").read_bytes()
    assert xclbin.write(xclbin.read(data)) == data


@given(
    HEADERS, NUMBER[8], UUIDS, st.tuples(NUMBER[1], NUMBER[1]), st.lists(SECTIONS, max_size=4),
    st.binary(max_size=20),
)  # fmt: skip
def test_any_container_reads_back(
    header: Header,
    time_stamp: int,
    uuid: UUID,
    version: tuple[int, int],
    sections: list[Section],
    mirror: bytes,
):
    container = replace(
        READ,
        header=header,
        time_stamp=time_stamp,
        uuid=uuid,
        version=version,
        platform="a platform",
        sections=xclbin.place((*sections, *READ.sections)),
        mirror=mirror,
    )
    assert xclbin.read(xclbin.write(container)) == container


def test_a_unique_id_that_is_not_the_time_stamp_is_kept():
    container = replace(READ, header=Header(unique_id=READ.time_stamp + 1))
    data = xclbin.write(container)
    assert xclbin.read(data) == container
    assert struct.unpack_from("<QQQ", data, 296) == (
        READ.time_stamp + 1,
        len(data),
        READ.time_stamp,
    )


def test_sections_are_placed_as_xclbinutil_places_them():
    moved = [replace(each, offset=0) for each in READ.sections]
    assert xclbin.place(moved) == READ.sections


@pytest.mark.parametrize(
    ("container", "sentence"),
    [
        (
            replace(READ, kernels=()),
            "xclbin: it would not read back as it is; `partition` and `kernels` are what the "
            "sections hold, and the mirror follows the last of these: change the sections, or make "
            "another xclbin with `aie2.xclbin.build`",
        ),
        (
            replace(READ, sections=(READ.sections[0], *READ.sections)),
            "xclbin: section 6 at byte 736 overlaps what ends at byte 776; give its sections to "
            "`aie2.xclbin.place`",
        ),
        (
            replace(READ, time_stamp=-1),
            "header: unique_id is -1 and its 8 bytes hold 0 to 18446744073709551615",
        ),
        (
            replace(READ, platform="p" * 65),
            "header: platform has 65 bytes and 64 fit",
        ),
        (
            replace(READ, sections=(replace(READ.sections[0], name="x" * 17), *READ.sections[1:])),
            "section header: name has 17 bytes and 16 fit",
        ),
        (
            replace(READ, sections=()),
            "xclbin: it has 0 AIE_PARTITION sections; an xclbin for an NPU has 1",
        ),
    ],
)
def test_what_cannot_be_written(container: Xclbin, sentence: str):
    with pytest.raises(XclbinError, match=f"^{re.escape(sentence)}$"):
        xclbin.write(container)
