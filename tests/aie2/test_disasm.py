# SPDX-License-Identifier: Apache-2.0
"""Disassembly: equal to the golden one of every compiled stream, and a line for every op."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aie2_golden import CASES, GOLDEN, case_id

from aie2 import disasm, txn
from aie2.registers import Direction
from aie2.txn import Header, Program

HEADER = Header(0, 1, 3, 6, 4, 1)


def line(op: txn.Op) -> str:
    return disasm.lines(Program(HEADER, (op,)))[1]


def entry(op: txn.Op) -> dict:
    (made,) = disasm.to_json(Program(HEADER, (op,)))["ops"]
    return json.loads(json.dumps(made))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_json_is_that_of_the_golden_file(case: Path):
    program = txn.decode((case / "insts.bin").read_bytes())
    assert disasm.to_json(program) == json.loads((case / "insts.json").read_text())


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_there_is_a_line_for_every_op(case: Path):
    program = txn.decode((case / "insts.bin").read_bytes())
    first, *rest = disasm.lines(program)
    assert f"{len(program.ops)} ops" in first
    at = [op["at"] for op in json.loads((case / "insts.json").read_text())["ops"]]
    assert [int(text.split()[0]) for text in rest] == at


def test_lines_of_a_chain():
    case = GOLDEN / "gather_chain_repeat_c1_npu1"
    made = disasm.lines(txn.decode((case / "insts.bin").read_bytes()))
    assert made[0] == ("TXN 0.1 for npu1: 1 columns, 6 rows, 1 of memtiles; 12 ops, 492 bytes")
    assert made[3] == (
        "     112  BLOCKWRITE    (0,0) 0x1d020 BD 1: buffer_length 2048, base_address_low 16384, "
        "d0_wrap 512, burst_length 2, d1_wrap 4, d1_stepsize 511, axcache 2, iteration_wrap 3, "
        "iteration_stepsize 12287, next_bd 2, use_next_bd 1, valid_bd 1"
    )
    assert made[9:] == [
        "     400  MASKWRITE     (0,0) 0x1d200 S2MM 0 ctrl = 0x00000f00 under 0x00001f00",
        "     428  WRITE         (0,0) 0x1d204 S2MM 0 queue: push start_bd_id 0, token",
        "     452  WRITE         (0,0) 0x1d214 MM2S 0 queue: push start_bd_id 1, repeat_count 3",
        "     476  TCT           token of (0,0) S2MM 0",
    ]


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (txn.Write(0x02300000, 7), "(1,3) 0x00000 = 0x00000007"),
        (txn.Write(0x00F1D204, 7), "(0,15) 0x1d204 = 0x00000007"),
        (txn.BlockWrite(0x1D000, (1, 2)), "(0,0) 0x1d000 BD 0 = 0x00000001 0x00000002"),
        (txn.BlockWrite(0x001A0020, (0,) * 8), "(0,1) 0xa0020 BD 1: all zero"),
        (
            txn.MaskPoll(0x1D228, 0, 0x400000),
            "until (0,0) 0x1d228 MM2S 0 status is 0x00000000 under 0x00400000",
        ),
        (txn.DdrPatch(0x1D004, 3, 8192), "(0,0) 0x1d004 = host buffer 3 + 8192"),
        (
            txn.DdrPatch(4, 0, 0, (1, 0, 0, 2)),
            "(0,0) 0x00004 = host buffer 0 + 0, reserved 0x00000001 0x00000000 0x00000000 "
            "0x00000002",
        ),
        (txn.Tct(3, 4, Direction.MM2S, 5, 1, 2), "token of 1 x 2 tiles from (3,4) MM2S 5"),
        (txn.Preempt(2), "level 2"),
        (txn.MergeSync(16, 4, 16), "tokens 16, columns 4, size_bytes 16"),
        (txn.Custom134((7, 8)), "unknown, of 16 bytes: 0x00000007 0x00000008"),
        (txn.Custom134(()), "unknown, of 8 bytes: no payload"),
        (txn.LoadPdi(1, 880, 4096), "pdi_id 1, size 880, address 4096"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_line_of_each_op(op: txn.Op, said: str):
    assert line(op) == f"      16  {op.opcode.name:13s} {said}"


def test_json_of_ops_that_no_golden_file_has():
    poll = entry(txn.MaskPoll(0x1D228, 0, 0x400000))
    assert (poll["op"], poll["value"], poll["mask"]) == ("maskpoll", "0x00000000", "0x00400000")
    assert entry(txn.Noop()) == {"at": 16, "op": "noop"}
    assert entry(txn.Preempt(2)) == {"at": 16, "op": "preempt", "level": 2}
    assert entry(txn.DdrPatch(4, 0, 0, (1, 0, 0, 2)))["reserved"][0] == "0x00000001"
    assert entry(txn.ReadRegs((1, 2)))["addresses"] == [1, 2]
    push = entry(txn.Write(0x001A0604, 0x00030018))["queue_push"]
    assert push == {"direction": "s2mm", "channel": 0, "bd_id": 24, "repeat_count": 3, "token": 0}


def test_only_whole_shim_bds_are_given_as_fields():
    assert "shim_bd" in entry(txn.BlockWrite(0x1D000, (0,) * 8))
    for op in (
        txn.BlockWrite(0x1D000, (0,) * 7),
        txn.BlockWrite(0x1D004, (0,) * 8),
        txn.BlockWrite(0x001A0000, (0,) * 8),
        txn.BlockWrite(0x00200000, (0,) * 8),
    ):
        assert "shim_bd" not in entry(op)


def test_an_unknown_generation_is_named_by_its_number():
    assert disasm.lines(Program(Header(0, 1, 9, 6, 1, 1), ()))[0].startswith(
        "TXN 0.1 for device generation 9: "
    )
