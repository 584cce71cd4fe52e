# SPDX-License-Identifier: Apache-2.0
"""Device images: what compiled ones hold, and one sentence for each way to be wrong."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from aie2_golden import CASES, SMALL, WIDE, case_id, damaged
from hypothesis import given

from aie2 import cdo, pdi
from aie2.errors import CdoError, PdiError

IMAGE = (SMALL / "main.pdi").read_bytes()
TABLE, IMAGE_HEADER, PARTITION, BODY = 4, 36, 52, 84
"""First words of the parts of a PDI."""


def changed(part: int, size_words: int, **words: int) -> bytes:
    """The image with words of one header changed, and that header's checksum made good."""
    image = np.frombuffer(IMAGE, "<u4").copy()
    for name, value in words.items():
        image[part + int(name.removeprefix("w"))] = value
    header = image[part : part + size_words]
    header[-1] = ~int(header[:-1].sum(dtype=np.uint64)) & 0xFFFFFFFF
    return image.tobytes()


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_compiled_images(case: Path):
    data = (case / "main.pdi").read_bytes()
    image = pdi.read(data)
    assert (image.image_name, image.image_id) == ("aie_image", 0x1C000000)
    assert (image.version, image.id_code, image.extended_id_code) == (0x40000, 0x14CA8093, 1)
    assert image.cdo == data[4 * BODY : 4 * BODY + len(image.cdo)]
    assert not any(data[4 * BODY + len(image.cdo) :])
    assert cdo.read(image.cdo).commands


def test_bytes_of_other_kinds_read_alike():
    assert pdi.read(bytearray(IMAGE)) == pdi.read(memoryview(IMAGE)) == pdi.read(IMAGE)


@pytest.mark.parametrize(
    ("data", "offset", "sentence"),
    [
        (
            b"",
            0,
            "PDI: start needs 16 bytes and 0 are left; the file is truncated or corrupt (byte 0)",
        ),
        (
            bytes(880),
            0,
            "PDI: it does not begin as a PDI for an NPU does (byte 0)",
        ),
        (
            IMAGE[:100],
            16,
            "PDI: image header table needs 128 bytes and 84 are left; the file is truncated or "
            "corrupt (byte 16)",
        ),
        (
            IMAGE[:-1],
            336,
            "PDI: partition data needs 544 bytes and 543 are left; the file is truncated or "
            "corrupt (byte 336)",
        ),
        (
            IMAGE + bytes(32),
            868,
            "PDI: 44 bytes after the configuration are not padding; the file is corrupt (byte 868)",
        ),
        (
            IMAGE[:-1] + b"\1",
            868,
            "PDI: 12 bytes after the configuration are not padding; the file is corrupt (byte 868)",
        ),
        (
            changed(TABLE, 32, w0=0x10000),
            16,
            "PDI: version 0x10000 cannot be read; 0x40000 can (byte 16)",
        ),
        (
            changed(TABLE, 32, w1=2),
            20,
            "PDI: it has 2 images; the NPU firmware takes exactly 1 (byte 20)",
        ),
        (
            changed(TABLE, 32, w3=0),
            28,
            "PDI: it has 0 partitions; the NPU firmware takes exactly 1 (byte 28)",
        ),
        (
            changed(TABLE, 32, w10=0),
            56,
            "PDI: the image header table does not identify itself as a PDI's (byte 56)",
        ),
        (
            changed(TABLE, 32, w2=0x3FFFFFFF),
            0xFFFFFFFC,
            "PDI: image header needs 64 bytes and 0 are left; the file is truncated or corrupt "
            "(byte 4294967292)",
        ),
        (
            changed(PARTITION, 32, w1=200),
            336,
            "PDI: the partition uses 800 of its 544 bytes; the file is corrupt (byte 336)",
        ),
        (
            changed(IMAGE_HEADER, 16, w4=0xFFFFFFFF),
            160,
            "PDI: image name is not text; the file is corrupt (byte 160)",
        ),
    ],
)
def test_what_is_refused(data: bytes, offset: int, sentence: str):
    with pytest.raises(PdiError, match=f"^{re.escape(sentence)}$") as caught:
        pdi.read(data)
    assert caught.value.offset == offset


@pytest.mark.parametrize(
    ("part", "size_words", "name"),
    [
        (TABLE, 32, "image header table"),
        (IMAGE_HEADER, 16, "image header"),
        (PARTITION, 32, "partition header"),
    ],
)
def test_every_bit_of_a_header_is_under_its_checksum(part: int, size_words: int, name: str):
    for bit in range(32 * size_words):
        image = bytearray(IMAGE)
        image[4 * part + bit // 8] ^= 1 << bit % 8
        with pytest.raises(PdiError, match=rf"^PDI: checksum of the {name} is 0x\w+ and should be"):
            pdi.read(bytes(image))


@given(damaged(IMAGE) | damaged((WIDE / "main.pdi").read_bytes()))
def test_damage_is_read_or_refused(data: bytes):
    try:
        cdo.register_writes(cdo.read(pdi.read(data).cdo))
    except (PdiError, CdoError) as error:
        assert str(error).startswith(("PDI: ", "CDO: "))


def test_no_length_but_the_whole_is_read():
    for length in range(len(IMAGE)):
        with pytest.raises(PdiError):
            pdi.read(IMAGE[:length])
