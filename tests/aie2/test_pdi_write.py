# SPDX-License-Identifier: Apache-2.0
"""Device images written: the bytes of bootgen's, and one sentence for each that cannot be."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from aie2_golden import CASES, SMALL, case_id
from hypothesis import given
from hypothesis import strategies as st

from aie2 import pdi
from aie2.errors import PdiError
from aie2.pdi import Pdi

READ = pdi.read((SMALL / "main.pdi").read_bytes())
WORD = st.integers(0, 0xFFFFFFFF)
IMAGES = st.builds(
    Pdi,
    version=st.just(pdi.VERSION),
    id_code=WORD,
    extended_id_code=WORD,
    image_id=WORD,
    image_name=st.text(st.characters(codec="ascii", exclude_characters="\0"), max_size=16),
    cdo=st.lists(st.binary(min_size=4, max_size=4), max_size=40).map(b"".join),
    revision=WORD,
    pcr=WORD,
)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_what_was_read_is_written_as_it_was(case: Path):
    data = (case / "main.pdi").read_bytes()
    assert pdi.write(pdi.read(data)) == data


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_configuration_is_wrapped_as_mlir_aie_does(case: Path):
    data = (case / "main.pdi").read_bytes()
    assert pdi.wrap(pdi.read(data).cdo) == data


@given(IMAGES)
def test_any_image_reads_back(image: Pdi):
    data = pdi.write(image)
    assert pdi.read(data) == image
    assert (len(data) - pdi.DATA_BYTE) % pdi.PADDING_BYTES == 0


@pytest.mark.parametrize("words", [0, 1, 3, 4, 5])
def test_configurations_are_padded_to_16_bytes(words: int):
    data = pdi.wrap(b"\xff" * 4 * words)
    assert data[pdi.DATA_BYTE :] == b"\xff" * 4 * words + bytes(4 * (-words % 4))


@pytest.mark.parametrize(
    ("image", "sentence"),
    [
        (
            replace(READ, transformed=True),
            "PDI: a transformed image cannot be written; `aie2.pdi.wrap` makes a plain one of its "
            "configuration, if none of that is missing",
        ),
        (
            replace(READ, missing_bytes=16),
            "PDI: a transformed image cannot be written; `aie2.pdi.wrap` makes a plain one of its "
            "configuration, if none of that is missing",
        ),
        (
            replace(READ, version=0x30000),
            "PDI: version 0x30000 cannot be written; 0x40000 can",
        ),
        (
            replace(READ, cdo=bytes(22)),
            "PDI: a configuration of 22 bytes is not whole 32-bit words",
        ),
        (
            replace(READ, image_name="a\0b"),
            "PDI: image name 'a\\x00b' has a zero in it",
        ),
        (
            replace(READ, image_name="seventeen_letters"),
            "image header: name has 17 bytes and 16 fit",
        ),
        (
            replace(READ, id_code=1 << 32),
            "image header table: id_code is 4294967296 and its 4 bytes hold 0 to 4294967295",
        ),
        (
            replace(READ, image_id=-1),
            "image header: image_id is -1 and its 4 bytes hold 0 to 4294967295",
        ),
    ],
)
def test_what_cannot_be_written(image: Pdi, sentence: str):
    with pytest.raises(PdiError, match=f"^{re.escape(sentence)}$"):
        pdi.write(image)
