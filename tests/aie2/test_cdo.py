# SPDX-License-Identifier: Apache-2.0
"""Configurations: the same writes from a PDI as from the files it was made of, and no others."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from aie2_golden import CASES, SMALL, case_id, damaged
from hypothesis import given
from hypothesis import strategies as st

from aie2 import cdo, pdi, tiles
from aie2.cdo import CommandId
from aie2.errors import CdoError
from aie2.registers import LOCKS, MEMTILE_BD, MEMTILE_DMA
from aie2.tiles import TileKind

RAW = (SMALL / "cdo_init.bin").read_bytes()
MERGED = pdi.read((SMALL / "main.pdi").read_bytes()).cdo
WORD = st.integers(0, 0xFFFFFFFF)


def made(*body: int) -> bytes:
    """A CDO of these words."""
    head = [4, cdo.MAGIC, cdo.VERSION, len(body)]
    return np.array([*head, ~sum(head) & 0xFFFFFFFF, *body], "<u4").tobytes()


def command(id_: int, *payload: int) -> list[int]:
    length = len(payload)
    if length < cdo.LONG_PAYLOAD:
        return [id_ | length << 16, *payload]
    return [id_ | cdo.LONG_PAYLOAD << 16, length, *payload]


def writes(data: bytes) -> list[tuple[int, int, int]]:
    lists = (array.tolist() for array in cdo.register_writes(cdo.read(data)))
    return list(zip(*lists, strict=True))


def refused(data: bytes, sentence: str) -> CdoError:
    with pytest.raises(CdoError, match=f"^{re.escape(sentence)}$") as caught:
        writes(data)
    return caught.value


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_the_pdi_writes_what_the_files_it_was_made_of_write(case: Path):
    parts = [(case / f"cdo_{name}.bin").read_bytes() for name in ("elfs", "init", "enable")]
    image = pdi.read((case / "main.pdi").read_bytes())
    merged = writes(image.cdo)
    assert merged == [write for part in parts for write in writes(part)]
    assert len(merged) > 50


def test_memtile_bds_are_set_up_as_the_memtile_sees_its_memory_and_locks():
    registers = {address: value for address, value, _ in writes(MERGED)}
    bds = []
    for bd in range(MEMTILE_DMA.bd_count):
        first = tiles.address(0, 1, MEMTILE_DMA.bd_address(bd))
        words = [registers.get(first + 4 * n, 0) for n in range(MEMTILE_BD.words)]
        bds += [MEMTILE_BD.decode(words)] if any(words) else []
    assert len(bds) == 4
    own = range(tiles.MEMTILE_OWN_LOCK, tiles.MEMTILE_OWN_LOCK + LOCKS[TileKind.MEMTILE].count)
    for bd in bds:
        assert (bd["valid_bd"], bd["buffer_length"]) == (1, 4096 // 4)
        assert tiles.OWN_MEMORY_OFFSET <= bd["base_address"] * 4 < tiles.EAST_MEMORY_OFFSET
        assert (bd["lock_acq_enable"], bd["lock_acq_value"], bd["lock_rel_value"]) == (1, -1, 1)
        assert bd["lock_acq_id"] in own
        assert bd["lock_rel_id"] in own


def test_each_command():
    body = [
        *command(CommandId.WRITE, 0x10, 1),
        *command(CommandId.MASK_WRITE, 0x20, 0xF0, 2),
        *command(CommandId.NOP, 7, 7, 7),
        *command(CommandId.DMA_WRITE, 0, 0x30, 3, 4),
        *command(CommandId.WRITE64, 0, 0x40, 5),
        *command(CommandId.MASK_WRITE64, 0, 0x50, 0x0F, 6),
        *command(CommandId.DMA_WRITE, 0, 0x60),
    ]
    full = 0xFFFFFFFF
    assert writes(made(*body)) == [
        (0x10, 1, full),
        (0x20, 2, 0xF0),
        (0x30, 3, full),
        (0x34, 4, full),
        (0x40, 5, full),
        (0x50, 6, 0x0F),
    ]


@given(st.lists(WORD, min_size=240, max_size=300))
def test_payloads_too_long_for_their_byte(values: list[int]):
    found = writes(made(*command(CommandId.DMA_WRITE, 0, 0x1000, *values)))
    assert found == [(0x1000 + 4 * n, value, 0xFFFFFFFF) for n, value in enumerate(values)]


def test_a_configuration_may_write_nothing():
    for data in (made(), made(*command(CommandId.NOP))):
        assert writes(data) == []
        assert {array.dtype for array in cdo.register_writes(cdo.read(data))} == {np.dtype("u4")}


@pytest.mark.parametrize(
    ("data", "offset", "sentence"),
    [
        (
            RAW[:16],
            0,
            "CDO: 16 bytes are not a 20-byte header and whole 32-bit words; the file is truncated",
        ),
        (
            RAW[:-1],
            0,
            "CDO: 607 bytes are not a 20-byte header and whole 32-bit words; the file is truncated",
        ),
        (
            RAW[:-4],
            12,
            "CDO: the header states 147 words after it and there are 146; the file is truncated or "
            "has something after it",
        ),
        (
            RAW + bytes(4),
            12,
            "CDO: the header states 147 words after it and there are 148; the file is truncated or "
            "has something after it",
        ),
        (
            bytes(20),
            4,
            "CDO: magic word is 0x00000000, not 0x004f4443; this is no CDO",
        ),
        (
            RAW[:8] + b"\0\3" + RAW[10:],
            8,
            "CDO: version 0x300 cannot be read; 0x200 can",
        ),
        (
            RAW[:16] + b"\0\0\0\0" + RAW[20:],
            16,
            "CDO: header checksum is 0x00000000 and should be "
            f"0x{int.from_bytes(RAW[16:20], 'little'):08x}; the file is corrupt",
        ),
        (
            made(0x01000111),
            20,
            "CDO: 0x01000111 at byte 20 is not a command",
        ),
        (
            made(CommandId.NOP, CommandId.WRITE | 2 << 16, 1),
            24,
            "CDO: command 0x103 at byte 24 has 2 payload words and 1 are left; the file is corrupt",
        ),
        (
            made(CommandId.NOP | 255 << 16),
            20,
            "CDO: command 0x111 at byte 20 has 255 payload words and 0 are left; the file is "
            "corrupt",
        ),
        (
            made(*command(CommandId.NOP), *command(0x104, 5)),
            24,
            "CDO: command 0x104 at byte 24 is not a register write; the NPU firmware accepts "
            "MASK_WRITE 0x102, WRITE 0x103, DMA_WRITE 0x105, MASK_WRITE64 0x107, WRITE64 0x108, "
            "NOP 0x111",
        ),
        (
            made(*command(CommandId.WRITE, 1, 2, 3)),
            20,
            "CDO: WRITE at byte 20 has 3 payload words and needs 2",
        ),
        (
            made(*command(CommandId.DMA_WRITE, 0)),
            20,
            "CDO: DMA_WRITE at byte 20 has 1 payload words and needs 2 or more",
        ),
        (
            made(*command(CommandId.WRITE64, 1, 2, 3)),
            20,
            "CDO: WRITE64 at byte 20 writes beyond 32-bit addresses",
        ),
        (
            made(*command(CommandId.DMA_WRITE, 0, 0xFFFFFFFC, 1, 2)),
            20,
            "CDO: DMA_WRITE at byte 20 writes beyond 32-bit addresses",
        ),
    ],
)
def test_what_is_refused(data: bytes, offset: int, sentence: str):
    assert refused(data, sentence).offset == offset


def test_the_last_address_can_be_written():
    assert writes(made(*command(CommandId.DMA_WRITE, 0, 0xFFFFFFFC, 1)))[0][0] == 0xFFFFFFFC


@given(damaged(RAW) | damaged(MERGED) | st.lists(WORD, max_size=20).map(lambda body: made(*body)))
def test_damage_is_read_or_refused(data: bytes):
    try:
        found = writes(data)
    except CdoError as error:
        assert str(error).startswith("CDO: ")
    else:
        assert len(found) <= len(data) // 4


def test_no_length_but_the_whole_is_read():
    for length in range(len(MERGED)):
        with pytest.raises(CdoError):
            cdo.read(MERGED[:length])
