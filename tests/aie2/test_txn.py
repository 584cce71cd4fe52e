# SPDX-License-Identifier: Apache-2.0
"""Streams: published words, compiled ones byte for byte, and every op there and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from aie2_golden import CASES, STREAMS, case_id
from hypothesis import given
from hypothesis import strategies as st

from aie2 import txn
from aie2.devices import NPU1, NPU2, Device
from aie2.registers import SHIM_BD, SHIM_DMA, SHIM_QUEUE, Direction
from aie2.txn import Header, Program

SIDE = st.integers(1, 255)
U8, U16 = st.integers(0, 0xFF), st.integers(0, 0xFFFF)
U32, U64 = st.integers(0, 0xFFFFFFFF), st.integers(0, (1 << 64) - 1)
MASK_SIZES = st.sampled_from([28, 32])
RESERVED = st.tuples(U32, U32, U32, U32)

OPS = {
    txn.Write: st.builds(txn.Write, U32, U32),
    txn.BlockWrite: st.builds(txn.BlockWrite, U32, st.lists(U32, max_size=20).map(tuple), U16),
    txn.MaskWrite: st.builds(txn.MaskWrite, U32, U32, U32, MASK_SIZES),
    txn.MaskPoll: st.builds(txn.MaskPoll, U32, U32, U32, MASK_SIZES),
    txn.MaskPollBusy: st.builds(txn.MaskPollBusy, U32, U32, U32, MASK_SIZES),
    txn.Noop: st.builds(txn.Noop),
    txn.Preempt: st.builds(txn.Preempt, U8),
    txn.LoadPdi: st.builds(txn.LoadPdi, U16, U32, U64),
    txn.LoadPmStart: st.builds(txn.LoadPmStart, st.integers(0, 0xFFFFFF), U32),
    txn.CreateScratchpad: st.builds(txn.CreateScratchpad, U8, U32, U64),
    txn.UpdateReg: st.builds(txn.UpdateReg, U8, U8, U32, U32),
    txn.Tct: st.builds(txn.Tct, U8, U8, st.sampled_from(Direction), U8, SIDE, SIDE),
    txn.DdrPatch: st.builds(txn.DdrPatch, U32, U64, U64, RESERVED),
    txn.ReadRegs: st.builds(txn.ReadRegs, st.lists(U64, max_size=4).map(tuple)),
    txn.RecordTimer: st.builds(txn.RecordTimer, U32),
    txn.MergeSync: st.builds(txn.MergeSync, U8, U8, st.sampled_from([12, 16])),
    txn.Custom134: st.builds(txn.Custom134, st.lists(U32, max_size=4).map(tuple)),
}
"""Every op that can be read, with values up to what its words hold."""

PROGRAMS = st.builds(
    Program,
    st.builds(Header, st.just(0), st.just(1), U8, U8, U8, U8, U16),
    st.lists(st.one_of(*OPS.values()), max_size=12).map(tuple),
)


def words(program: Program) -> list[int]:
    return np.frombuffer(txn.encode(program), "<u4").tolist()


def header_of(device: Device, columns: int) -> Header:
    return Header(0, 1, device.generation, device.rows, columns, device.memtile_rows)


def body(*ops: txn.Op) -> list[int]:
    return words(Program(header_of(NPU1, 4), ops))[txn.HEADER_WORDS :]


def test_all_cases_are_here():
    assert len(CASES) == 57
    assert len(STREAMS) == 59


@pytest.mark.parametrize("path", STREAMS, ids=case_id)
def test_compiled_streams_come_back_byte_for_byte(path: Path):
    data = path.read_bytes()
    program = txn.decode(data)
    assert program.ops
    assert txn.encode(program) == data


@pytest.mark.parametrize("path", STREAMS, ids=case_id)
def test_index_finds_the_ops_that_decode_finds(path: Path):
    stream = np.frombuffer(path.read_bytes(), np.uint32)
    opcodes, offsets = txn.index(stream)
    ops = txn.decode(stream).ops
    assert opcodes.tolist() == [op.opcode for op in ops]
    sizes = [len(op.to_words()) for op in ops]
    assert offsets.tolist() == [txn.HEADER_WORDS + sum(sizes[:n]) for n in range(len(sizes))]


def test_worked_example():
    """BD 0 of column 0, 2048 words from host buffer 0 + 8192, MM2S 0 with a token, and the wait.

    The words are what TxnEncoding.h writes.
    """
    bd, queue = SHIM_DMA.bd_address(0), SHIM_DMA.queue_address(Direction.MM2S, 0)
    payload = SHIM_BD.encode(buffer_length=2048, burst_length=2, axcache=2, valid_bd=1)
    push = SHIM_QUEUE.encode(enable_token_issue=1)
    program = Program(
        header_of(NPU1, 4),
        (
            txn.BlockWrite(bd, tuple(payload)),
            txn.DdrPatch(bd + 4, 0, 8192),
            txn.Write(queue, push[0]),
            txn.Tct(0, 0, Direction.MM2S, 0),
        ),
    )
    said = """
        06030100 00000104 00000004 00000098
        00000001 00000000 0001d000 00000030
        00000800 00000000 00000000 00000000 80000000 02000000 00000000 02000000
        00000081 00000030 00000000 00000000 00000000 00000000
        0001d004 00000000 00000000 00000000 00002000 00000000
        00000000 00000000 0001d214 00000000 80000000 00000018
        00000080 00000010 00000001 00010100
    """
    assert words(program) == [int(word, 16) for word in said.split()]


def test_token_wait_has_the_words_that_mlir_aie_writes():
    wait = txn.Tct(column=3, row=4, direction=Direction.MM2S, channel=5, columns=1, rows=2)
    assert body(wait) == [128, 16, 0x00030401, 0x05010200]
    assert txn.tct(body(wait)) == wait


@pytest.mark.parametrize(
    ("device", "columns", "first", "second"),
    [
        (NPU1, 4, 0x06030100, 0x00000104),
        (NPU1, 5, 0x06030100, 0x00000105),
        (NPU2, 8, 0x06040100, 0x00000108),
        (NPU2, 1, 0x06040100, 0x00000101),
    ],
)
def test_header_words(device: Device, columns: int, first: int, second: int):
    header = header_of(device, columns)
    assert words(Program(header, ())) == [first, second, 0, 16]
    assert txn.read_header(txn.encode(Program(header, ()))) == header


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (txn.Write(0x1D214, 7), [0, 0, 0x1D214, 0, 7, 24]),
        (txn.MaskWrite(0x1D200, 0xF00, 0x1F00), [3, 0, 0x1D200, 0, 0xF00, 0x1F00, 28]),
        (txn.MaskWrite(4, 5, 6, size_bytes=32), [3, 0, 4, 0, 5, 6, 32, 0]),
        (txn.MaskPoll(0x1D228, 0, 0x400000), [4, 0, 0x1D228, 0, 0, 0x400000, 32, 0]),
        (txn.MaskPoll(4, 5, 6, size_bytes=28), [4, 0, 4, 0, 5, 6, 28]),
        (txn.BlockWrite(0x2000, (1, 2)), [1, 0, 0x2000, 24, 1, 2]),
        (txn.BlockWrite(0x2000, (), tile_word=0x103), [1, 0x103, 0x2000, 16]),
        (txn.Noop(), [5]),
        (txn.Preempt(2), [6 | 2 << 8]),
        (txn.LoadPdi(3, 880, 0x1_2345_6789), [8 | 3 << 16, 880, 0x23456789, 1]),
        (txn.CreateScratchpad(1, 128, 1 << 32), [10 | 1 << 8, 128, 0, 1]),
        (txn.UpdateReg(2, 1, 99, 0x1D004), [12 | 2 << 8 | 1 << 16, 99, 0x1D004]),
        (txn.LoadPmStart(5, 6), [9 | 5 << 8, 6]),
        (txn.RecordTimer(9), [131, 12, 9]),
        (txn.MergeSync(4, 8), [132, 12, 4 | 8 << 8]),
        (txn.MergeSync(16, 4, size_bytes=16), [132, 16, 16 | 4 << 8, 0]),
        (txn.Custom134((7,)), [134, 12, 7]),
        (txn.Custom134(()), [134, 8]),
        (txn.ReadRegs((1 << 32, 2)), [130, 32, 2, 0, 0, 1, 2, 0]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_words_of_each_op(op: txn.Op, said: list[int]):
    assert body(op) == said


def test_every_op_of_the_table_is_tried():
    assert {spec.op for spec in txn.SPECS} == set(OPS)
    assert all(spec.doc and spec.opcode.name for spec in txn.SPECS)


@given(PROGRAMS)
def test_decode_undoes_encode(program: Program):
    data = txn.encode(program)
    assert txn.decode(data) == program
    assert txn.index(data)[0].tolist() == [op.opcode for op in program.ops]


@given(PROGRAMS)
def test_bytes_words_and_views_read_alike(program: Program):
    data = txn.encode(program)
    stream = np.frombuffer(data, np.uint32)
    twice = np.repeat(stream, 2)[::2]
    for given_as in (bytearray(data), memoryview(data), stream, np.frombuffer(data, "u1"), twice):
        assert txn.decode(given_as) == program


@given(st.sampled_from([txn.MaskWrite, txn.MaskPoll, txn.MaskPollBusy]), MASK_SIZES, MASK_SIZES)
def test_readers_step_by_the_size_word(kind, first: int, second: int):
    ops = (kind(4, 5, 6, first), kind(7, 8, 9, second), txn.Noop())
    data = txn.encode(Program(header_of(NPU2, 8), ops))
    assert len(data) == 16 + first + second + 4
    assert txn.decode(data).ops == ops


def test_padding_that_amd_leaves_uninitialised_is_ignored():
    """As in aiebu's ml_txn: anything above an opcode's byte and in the words that mean nothing."""
    ops = (txn.Write(0x1D214, 7), txn.MaskPoll(4, 5, 6), txn.DdrPatch(4, 1, 2), txn.Noop())
    stream = np.frombuffer(txn.encode(Program(header_of(NPU2, 8), ops)), np.uint32).copy()
    _, offsets = txn.index(stream)
    stream[offsets] |= 0x203A2200
    stream[offsets[:2] + 1] = 0x6E6F6974
    stream[offsets[1] + 7] = 0x7265706F
    stream[offsets[2] + 2 : offsets[2] + 6] = [1, 2, 3, 4]
    assert txn.decode(stream).ops == (*ops[:2], txn.DdrPatch(4, 1, 2, (1, 2, 3, 4)), ops[3])


def test_ops_of_two_sizes_and_of_any_come_back_byte_for_byte():
    """As they stand in the middle of AMD's streams."""
    ops = [[132, 16, 16 | 4 << 8, 0], [134, 12, 0], [132, 12, 8 | 4 << 8], [134, 20, 1, 2, 3], [5]]
    stream = [word for op in ops for word in op]
    head = [0x06040100, 0x00000104, len(ops), 16 + 4 * len(stream)]
    data = np.array([*head, *stream], "<u4").tobytes()
    assert txn.encode(txn.decode(data)) == data
    assert txn.index(data)[1].tolist() == [4, 8, 11, 14, 19]


def test_positions_that_emitters_fill_in():
    patch = body(txn.DdrPatch(0x1D004, 3, 8192))
    assert patch[txn.DDR_PATCH_ARG_WORD] == 3
    assert patch[txn.DDR_PATCH_ARG_PLUS_WORD] == 8192
    assert len(patch) == txn.DDR_PATCH_WORDS
    assert len(body(txn.Write(0, 0))) == txn.WRITE_WORDS
    assert len(body(txn.MaskWrite(0, 0, 0))) == txn.MASK_WRITE_WORDS
    assert len(body(txn.MaskPoll(0, 0, 0))) == txn.MASK_POLL_WORDS
    assert len(body(txn.BlockWrite(0, ()))) == txn.BLOCK_WRITE_HEADER_WORDS
    assert len(body(txn.Tct(0, 0, Direction.S2MM, 0))) == txn.TCT_WORDS
    stream = words(Program(header_of(NPU1, 1), (txn.Noop(),)))
    assert (stream[txn.HEADER_OPS_WORD], stream[txn.HEADER_BYTES_WORD]) == (1, 20)
