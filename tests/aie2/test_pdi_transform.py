# SPDX-License-Identifier: Apache-2.0
"""Images as AMD transforms them, made here from compiled ones, and each way for one to be wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from aie2_golden import CASES, SMALL, case_id, damaged
from hypothesis import given

from aie2 import cdo, pdi
from aie2.cdo import CommandId
from aie2.errors import CdoError, PdiError

PARTITION, BODY = 52, 84
"""First words of an image's partition header and configuration."""
IMAGE = (SMALL / "main.pdi").read_bytes()
HEADER = cdo.header([4, cdo.MAGIC, cdo.VERSION, 999])
"""It states the length that the configuration had before it was transformed."""
WRITE, MASK_WRITE, DMA_WRITE, MASK_WRITE64, WRITE64 = 3, 2, 5, 7, 8


def words(*values: int) -> bytes:
    return np.array(values, "<u4").tobytes()


def image(commands: bytes, data: bytes, *, padding: int = 0, header: bytes = HEADER) -> bytes:
    """A transformed image of a command zone and what the file has of the data zone."""
    start = np.frombuffer(IMAGE[: 4 * BODY], "<u4").copy()
    partition = start[PARTITION:BODY]
    partition[28:31] = [1, len(commands), 0x8966 | (len(commands) & 0xFFFF) << 16]
    return start.tobytes() + header + commands + data + bytes(padding)


def transformed(data: bytes) -> tuple[bytes, bytes]:
    """Command zone and data zone of a configuration, as AMD's tool makes them."""
    commands = [each for each in cdo.read(data).commands if each.id != CommandId.NOP]
    zone: list[int] = []
    payload: list[int] = []
    for number, group in groupby(commands, key=lambda each: each.id):
        entries = [list(each.payload) for each in group]
        zone += [number & 0xFF, len(entries)]
        for entry in entries:
            if number == CommandId.DMA_WRITE:
                high, low, *block = entry
                zone += [high, low, 4 * len(payload), len(block) | 1 << 16]
                payload += block
            else:
                zone += entry
    return words(*zone), words(*payload)


def writes(data: bytes) -> list[tuple[int, int, int]]:
    arrays = cdo.register_writes(cdo.read(pdi.read(data).cdo))
    return list(zip(*(array.tolist() for array in arrays), strict=True))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_a_transformed_image_says_what_it_said_before(case: Path):
    plain = (case / "main.pdi").read_bytes()
    assert not pdi.read(plain).transformed
    made = image(*transformed(pdi.read(plain).cdo))
    read = pdi.read(made)
    assert (read.transformed, read.missing_bytes) == (True, 0)
    assert read.image_id == pdi.read(plain).image_id
    assert writes(made) == writes(plain)
    assert writes(made + bytes(12)) == writes(plain)


def test_the_configuration_is_that_before_but_for_nops():
    before = pdi.read(IMAGE).cdo
    commands = [each for each in cdo.read(before).commands if each.id != CommandId.NOP]
    after = cdo.read(pdi.read(image(*transformed(before))).cdo).commands
    assert [(each.id, each.payload) for each in after] == [(e.id, e.payload) for e in commands]


def test_every_kind_of_group():
    zone = words(
        *(WRITE, 2, 0x10, 1, 0x14, 2),
        *(MASK_WRITE, 1, 0x20, 0xF0, 0x30),
        *(DMA_WRITE, 2, 0, 0x40, 0, 2, 0, 0x60, 8, 1 | 1 << 16),
        *(MASK_WRITE64, 1, 0, 0x70, 0xFF, 7),
        *(WRITE64, 1, 0, 0x80, 8),
        *(WRITE, 0),
    )
    every = 0xFFFFFFFF
    assert writes(image(zone, words(11, 12, 13))) == [
        (0x10, 1, every),
        (0x14, 2, every),
        (0x20, 0x30, 0xF0),
        (0x40, 11, every),
        (0x44, 12, every),
        (0x60, 13, every),
        (0x70, 7, 0xFF),
        (0x80, 8, every),
    ]


def test_no_commands_write_nothing():
    assert writes(image(b"", b"")) == []


@pytest.mark.parametrize("missing", range(6))
def test_the_end_that_the_tool_leaves_out_is_not_written(missing: int):
    zone = words(DMA_WRITE, 1, 0, 0x1D0A0, 0, 6, WRITE, 1, 0x10, 1)
    made = image(zone, words(1, 2, 3, 4, 5, 6)[: 4 * (6 - missing)])
    assert pdi.read(made).missing_bytes == 4 * missing
    there = [(0x1D0A0 + 4 * place, place + 1, 0xFFFFFFFF) for place in range(6 - missing)]
    assert writes(made) == [*there, (0x10, 1, 0xFFFFFFFF)]


def test_the_mark_is_made_of_type_and_length():
    """The formula of load_pdi.c, at a length beyond 16 bits."""
    zone = words(*(word for _ in range(8193) for word in (WRITE, 0)))
    assert len(zone) == 0x10008
    made = np.frombuffer(image(zone, b""), "<u4").copy()
    made[PARTITION + 30] |= 1
    assert pdi.read(made.tobytes()).transformed


def test_the_checksum_is_of_before_the_transformation():
    made = image(*transformed(pdi.read(IMAGE).cdo))
    for word in range(32):
        changed = np.frombuffer(made, "<u4").copy()
        changed[PARTITION + word] ^= 0x100
        with pytest.raises(PdiError, match="^PDI: checksum of the partition header is 0x"):
            pdi.read(changed.tobytes())


def refused(entries: Iterable[int], data: bytes = b"") -> bytes:
    return image(words(*entries), data)


@pytest.mark.parametrize(
    ("data", "offset", "sentence"),
    [
        (
            image(b"", b"", header=words(4, cdo.MAGIC, cdo.VERSION, 0, 0)),
            336,
            "checksum of the configuration header is wrong; the file is corrupt",
        ),
        (
            image(b"", b"")[:-1],
            336,
            "configuration header needs 20 bytes and 19 are left; the file is truncated or corrupt",
        ),
        (image(b"\0\0", b""), 356, "2 bytes of commands are not whole words"),
        (
            image(words(WRITE, 1, 0x10, 1), b"")[:-4],
            356,
            "command zone needs 16 bytes and 12 are left; the file is truncated or corrupt",
        ),
        (refused([WRITE]), 356, "the command zone ends within a group; the file is corrupt"),
        (
            refused([WRITE, 0, 0x11, 0]),
            364,
            "0x11 is not a group of register writes; the file is corrupt",
        ),
        (
            refused([0x103, 0]),
            356,
            "0x103 is not a group of register writes; the file is corrupt",
        ),
        (
            refused([WRITE, 0xFFFFFFFF, 0x10, 1]),
            356,
            "4294967295 entries of WRITE do not fit the 2 words that are left; the file is corrupt",
        ),
        (
            refused([DMA_WRITE, 2, 0, 0, 0, 1, 0, 0, 0, 1], words(1, 2)),
            396,
            "data at byte 0 of the data zone, of which 4 are used until here; the file is corrupt",
        ),
        (
            refused([DMA_WRITE, 1, 0, 0, 0, 7], words(1)),
            384,
            "the data zone has 4 bytes and 28 are used; the file is truncated",
        ),
        (
            refused([WRITE, 0], words(1)),
            364,
            "4 bytes after the configuration are not padding; the file is corrupt",
        ),
    ],
)
def test_what_is_refused(data: bytes, offset: int, sentence: str):
    whole = f"PDI: {sentence} (byte {offset})"
    with pytest.raises(PdiError, match=f"^{re.escape(whole)}$") as caught:
        pdi.read(data)
    assert caught.value.offset == offset


@given(damaged(image(*transformed(pdi.read(IMAGE).cdo))))
def test_damage_is_read_or_refused(data: bytes):
    try:
        cdo.register_writes(cdo.read(pdi.read(data).cdo))
    except (PdiError, CdoError) as error:
        assert str(error).startswith(("PDI: ", "CDO: "))
