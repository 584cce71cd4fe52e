# SPDX-License-Identifier: Apache-2.0
"""Configurations written: the bytes of mlir-aie's CDO driver and of bootgen, and every refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from aie2_golden import CASES, SMALL, case_id
from hypothesis import given
from hypothesis import strategies as st

from aie2 import cdo, pdi
from aie2.cdo import Cdo, Command, CommandId, Op
from aie2.errors import CdoError

PARTS = ("elfs", "init", "enable")
WORD = st.integers(0, 0xFFFFFFFF)
ADDRESS = st.integers(0, 0x3FFF0000).map(lambda word: 4 * word)
BLOCK_WORDS = st.one_of(st.integers(0, 12), st.integers(250, 260))
COMMANDS = st.builds(
    Command, st.integers(0, 0xFFFF), st.lists(WORD, max_size=300).map(tuple), st.just(0)
)


@st.composite
def ops(draw: st.DrawFn) -> Op:
    kind = draw(st.sampled_from(("write", "mask_write", "block")))
    count = {"write": 1, "mask_write": 2}.get(kind) or draw(BLOCK_WORDS)
    return kind, draw(ADDRESS), draw(st.lists(WORD, min_size=count, max_size=count))


def parts(case: Path) -> list[bytes]:
    return [(case / f"cdo_{part}.bin").read_bytes() for part in PARTS]


def ops_of(data: bytes) -> list[Op]:
    """The operations that the driver was asked for, out of what it wrote."""
    kinds = {
        CommandId.WRITE64: "write",
        CommandId.MASK_WRITE64: "mask_write",
        CommandId.DMA_WRITE: "block",
    }
    return [
        (kinds[CommandId(one.id)], one.payload[0] << 32 | one.payload[1], one.payload[2:])
        for one in cdo.read(data).commands
        if one.id != CommandId.NOP
    ]


def words(data: bytes) -> list[int]:
    """What follows the header."""
    return np.frombuffer(data, "<u4").tolist()[cdo.HEADER_WORDS :]


def written(data: bytes) -> list[tuple[int, int, int]]:
    lists = (array.tolist() for array in cdo.register_writes(cdo.read(data)))
    return list(zip(*lists, strict=True))


def data_words(data: bytes) -> list[tuple[int, int, int]]:
    """For each DMA_WRITE: word at which its data begins, destination, payload words."""
    return [
        (
            one.offset // 4 + 3 + (len(one.payload) >= cdo.LONG_PAYLOAD),
            one.payload[1],
            len(one.payload),
        )
        for one in cdo.read(data).commands
        if one.id == CommandId.DMA_WRITE
    ]


def file_of(*commands: Command) -> bytes:
    return cdo.write(Cdo(cdo.VERSION, commands))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_what_was_read_is_written_as_it_was(case: Path):
    for data in (*parts(case), pdi.read((case / "main.pdi").read_bytes()).cdo):
        assert cdo.write(cdo.read(data)) == data


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_files_are_those_of_the_driver(case: Path):
    for data in parts(case):
        assert cdo.file(ops_of(data)) == data
    assert len(ops_of(parts(case)[1])) > 20


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_merged_files_are_the_configuration_of_the_image(case: Path):
    assert cdo.merge(parts(case)) == pdi.read((case / "main.pdi").read_bytes()).cdo


@given(st.lists(COMMANDS, max_size=8))
def test_any_commands_read_back(commands: list[Command]):
    made = Cdo(cdo.VERSION, tuple(commands))
    assert cdo.read(cdo.write(made)) == made


@given(st.lists(ops(), max_size=6))
def test_a_file_writes_what_was_asked_for(asked: list[Op]):
    expected: list[tuple[int, int, int]] = []
    for kind, address, values in asked:
        if kind == "mask_write":
            expected.append((address, values[1], values[0]))
        else:
            expected += [(address + 4 * n, one, 0xFFFFFFFF) for n, one in enumerate(values)]
    assert written(cdo.file(asked)) == expected


@given(st.lists(st.lists(ops(), max_size=5), max_size=3))
def test_merging_changes_no_write(files: list[list[Op]]):
    made = [cdo.file(asked) for asked in files]
    assert written(cdo.merge(made)) == [one for data in made for one in written(data)]


@given(st.lists(ops(), max_size=6))
def test_the_driver_aligns_data_from_the_start_of_its_file(asked: list[Op]):
    for at, _, payload_words in data_words(cdo.file(asked)):
        assert at % 4 == (1 if payload_words == cdo.LONG_PAYLOAD else 0)


@given(st.lists(ops(), max_size=6))
def test_bootgen_aligns_data_with_its_destination(asked: list[Op]):
    for at, address, _ in data_words(cdo.merge([cdo.file(asked)])):
        assert at % 4 == address // 4 % 4


def test_bootgen_counts_anew_in_each_file():
    """The first file leaves 6 words, so that the second's data is 6 words further on in all."""
    second = cdo.file([("block", 0x1000, (1, 2))])
    merged = cdo.merge([cdo.file(()), cdo.file(()), second])
    assert [at for at, _, _ in data_words(second)] == [12]
    assert [at for at, _, _ in data_words(merged)] == [12 + 2]


def test_words_of_a_small_file():
    made = cdo.file([("write", 0x14020, (7,)), ("mask_write", 0x1F000, (0xC00, 0x400))])
    assert words(made) == [0x111, 0x30108, 0, 0x14020, 7, 0x40107, 0, 0x1F000, 0xC00, 0x400]
    assert words(cdo.merge([made])) == [0x111, 0x20103, 0x14020, 7, 0x30102, 0x1F000, 0xC00, 0x400]


def test_a_block_of_one_word_becomes_a_write():
    made = cdo.file([("block", 0x1A0000, (9,))])
    assert words(made) == [0x111, 0x20111, 0, 0, 0x30105, 0, 0x1A0000, 9]
    assert words(cdo.merge([made])) == [0x111, 0x20111, 0, 0, 0x20103, 0x1A0000, 9]


def test_addresses_beyond_32_bits_stay_long():
    asked: list[Op] = [
        ("write", 1 << 32, (7,)),
        ("mask_write", 2 << 32, (1, 1)),
        ("block", 3 << 32, (9,)),
    ]
    commands = cdo.read(cdo.merge([cdo.file(asked)])).commands
    assert [(one.id, one.payload) for one in commands if one.id != CommandId.NOP] == [
        (CommandId.WRITE64, (1, 0, 7)),
        (CommandId.MASK_WRITE64, (2, 0, 1, 1)),
        (CommandId.WRITE64, (3, 0, 9)),
    ]


def test_a_file_without_ops_is_the_one_that_the_driver_writes_for_no_cores():
    assert cdo.file(()) == (SMALL / "cdo_elfs.bin").read_bytes()


def test_merging_nothing_gives_an_empty_configuration():
    assert cdo.read(cdo.merge([])) == Cdo(cdo.VERSION, ())


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (
            Cdo(0x150, ()),
            "CDO: version 0x150 cannot be written; 0x200 can",
        ),
        (
            Cdo(cdo.VERSION, (Command(0x10000, ()),)),
            "CDO: command id 0x10000 is not a 16-bit number",
        ),
        (
            Cdo(cdo.VERSION, (Command(-1, ()),)),
            "CDO: command id -0x1 is not a 16-bit number",
        ),
        (
            Cdo(cdo.VERSION, (Command(0x103, (0, 1 << 32)),)),
            "CDO: 0x100000000 is not a 32-bit word",
        ),
    ],
)
def test_what_cannot_be_written(made: Cdo, sentence: str):
    with pytest.raises(CdoError, match=f"^{re.escape(sentence)}$"):
        cdo.write(made)


GIVE = "give 'write' with 1, 'mask_write' with 2, or 'block'"


@pytest.mark.parametrize(
    ("op", "sentence"),
    [
        (("poll", 0x10, (1,)), f"CDO: op 'poll' at 0x10 has 1 words; {GIVE}"),
        (("write", 0x10, ()), f"CDO: op 'write' at 0x10 has 0 words; {GIVE}"),
        (("write", 0x10, (1, 2)), f"CDO: op 'write' at 0x10 has 2 words; {GIVE}"),
        (("mask_write", 0x10, (1,)), f"CDO: op 'mask_write' at 0x10 has 1 words; {GIVE}"),
        (("write", 0x10, (-1,)), "CDO: -0x1 is not a 32-bit word"),
        (("block", 0x10, (0, 1 << 32)), "CDO: 0x100000000 is not a 32-bit word"),
        (("write", 1 << 64, (1,)), "CDO: 0x100000000 is not a 32-bit word"),
        (("write", -4, (1,)), "CDO: -0x1 is not a 32-bit word"),
    ],
)
def test_ops_that_are_none(op: tuple[str, int, Sequence[int]], sentence: str):
    with pytest.raises(CdoError, match=f"^{re.escape(sentence)}$"):
        cdo.file([op])


@pytest.mark.parametrize(
    ("data", "offset", "sentence"),
    [
        (
            b"",
            0,
            "CDO: 0 bytes are not a 20-byte header and whole 32-bit words; the file is truncated",
        ),
        (
            file_of(Command(CommandId.NOP, ()), Command(0x106, (0, 0, 0, 0, 0))),
            24,
            "CDO: command 0x106 at byte 24 is not a register write; the NPU firmware accepts "
            "MASK_WRITE 0x102, WRITE 0x103, DMA_WRITE 0x105, MASK_WRITE64 0x107, WRITE64 0x108, "
            "NOP 0x111",
        ),
        (
            file_of(Command(CommandId.DMA_WRITE, (0,))),
            20,
            "CDO: DMA_WRITE at byte 20 has 1 payload words and needs 2 or more",
        ),
        (
            file_of(Command(CommandId.WRITE64, (0, 1))),
            20,
            "CDO: WRITE64 at byte 20 has 2 payload words and needs 3",
        ),
    ],
)
def test_files_that_cannot_be_merged(data: bytes, offset: int, sentence: str):
    with pytest.raises(CdoError, match=f"^{re.escape(sentence)}$") as caught:
        cdo.merge([data])
    assert caught.value.offset == offset
