# SPDX-License-Identifier: Apache-2.0
"""Streams that are not to be read or written: one sentence each, with the byte and the op."""

from __future__ import annotations

import re

import numpy as np
import pytest
from aie2_golden import SMALL, damaged
from hypothesis import given
from hypothesis import strategies as st

from aie2 import txn
from aie2.registers import Direction
from aie2.txn import Header, Opcode, Program, TxnError

HEADER = Header(0, 1, 3, 6, 4, 1)
WRITE = [0, 0, 0x1D214, 0, 7, 24]
STREAM = (SMALL / "insts.bin").read_bytes()


def stream(*body: int, ops: int = 1, version: int = 0x0100) -> bytes:
    head = [0x06030000 | version, 0x104, ops, 16 + 4 * len(body)]
    return np.array([*head, *body], "<u4").tobytes()


def refusal(data: bytes) -> TxnError:
    """The error of both readers, which must be the same."""
    errors = []
    for read in (txn.decode, txn.index):
        with pytest.raises(TxnError) as caught:
            read(data)
        errors.append(caught.value)
    assert str(errors[0]) == str(errors[1])
    assert (errors[0].offset, errors[0].op) == (errors[1].offset, errors[1].op)
    return errors[0]


@pytest.mark.parametrize(
    ("data", "offset", "sentence"),
    [
        (
            b"",
            0,
            "TXN header at byte 0: 0 bytes are too few for its 16; the stream is truncated",
        ),
        (
            STREAM[:12],
            0,
            "TXN header at byte 0: 12 bytes are too few for its 16; the stream is truncated",
        ),
        (
            STREAM[:-1],
            3220,
            "a TXN stream of 3223 bytes is not a whole number of 32-bit words; it is truncated",
        ),
        (
            STREAM[:-4],
            12,
            "TXN header at byte 12: it states 3224 bytes and the stream has 3220; it is truncated "
            "or has something after it",
        ),
        (
            STREAM + b"\0\0\0\0",
            12,
            "TXN header at byte 12: it states 3224 bytes and the stream has 3228; it is truncated "
            "or has something after it",
        ),
        (
            stream(*WRITE, version=0x0200),
            0,
            "TXN header at byte 0: version 0.2 cannot be read; 0.1 and 1.0 can",
        ),
        (
            stream(*WRITE, ops=7),
            8,
            "TXN header at byte 8 states 7 ops, more than the stream has words; the stream is "
            "truncated or corrupt",
        ),
    ],
)
def test_bad_headers(data: bytes, offset: int, sentence: str):
    error = refusal(data)
    assert str(error) == sentence
    assert (error.offset, error.op) == (offset, None)


@pytest.mark.parametrize(
    ("body", "ops", "place", "sentence"),
    [
        (
            [*WRITE, 0x21],
            2,
            (1, 40),
            "opcode 33 (0x21) is not an op that can be read here",
        ),
        (
            [*WRITE, 0xABCD000D],
            2,
            (1, 40),
            "UPDATE_SCRATCH (0x0d) is not an op that can be read here",
        ),
        (
            [*WRITE, 0, 0, 0],
            2,
            (1, 40),
            "WRITE needs 24 bytes and 12 are left; the stream is truncated",
        ),
        (
            [1, 0, 0x1D000, 48, 1, 2],
            1,
            (0, 16),
            "BLOCKWRITE needs 48 bytes and 24 are left; the stream is truncated",
        ),
        ([*WRITE[:5], 28], 1, (0, 16), "WRITE states a size of 28 bytes; it can be 24"),
        (
            [3, 0, 4, 0, 5, 6, 24, 0],
            1,
            (0, 16),
            "MASKWRITE states a size of 24 bytes; it can be 28 to 32 in steps of 4",
        ),
        (
            [4, 0, 4, 0, 5, 6, 36, 0, 0],
            1,
            (0, 16),
            "MASKPOLL states a size of 36 bytes; it can be 28 to 32 in steps of 4",
        ),
        (
            [1, 0, 0x1D000, 18, 1],
            1,
            (0, 16),
            "BLOCKWRITE states a size of 18 bytes; it can be 16 or more in steps of 4",
        ),
        (
            [1, 0, 0x1D000, 0, 1],
            1,
            (0, 16),
            "BLOCKWRITE states a size of 0 bytes; it can be 16 or more in steps of 4",
        ),
        (
            [0, 0, 0x1D214, 9, 7, 24],
            1,
            (0, 16),
            "WRITE has a register address of more than 32 bits, 0x9 in the upper half",
        ),
        (
            [129, 48, 0, 0, 0, 0, 0x1D004, 1, 0, 0, 0, 0],
            1,
            (0, 16),
            "DDR_PATCH has a register address of more than 32 bits, 0x1 in the upper half",
        ),
        (
            [128, 16, 2, 0x10100],
            1,
            (0, 16),
            "TCT waits for direction 2; it can be 0 (S2MM) or 1 (MM2S)",
        ),
        (
            [128, 16, 1, 0x00100],
            1,
            (0, 16),
            "TCT waits for a rectangle of no tiles; give at least one row and column",
        ),
        (
            [130, 20, 0, 0, 1],
            1,
            (0, 16),
            "READ_REGS states a size of 20 bytes; it can be 16 or more in steps of 8",
        ),
        (
            [130, 24, 2, 0, 1, 0],
            1,
            (0, 16),
            "READ_REGS states 2 addresses, which its size does not agree with",
        ),
        (
            [132, 20, 0, 0, 0],
            1,
            (0, 16),
            "MERGE_SYNC states a size of 20 bytes; it can be 12 to 16 in steps of 4",
        ),
        (
            [134, 4],
            1,
            (0, 16),
            "CUSTOM_134 states a size of 4 bytes; it can be 8 or more in steps of 4",
        ),
        (
            [134, 12],
            1,
            (0, 16),
            "CUSTOM_134 needs 12 bytes and 8 are left; the stream is truncated",
        ),
        ([*WRITE], 2, (1, 40), "the stream ends here, but its header states more ops"),
        (
            [*WRITE, *WRITE],
            1,
            (1, 40),
            "24 bytes are left after the last op that the header states",
        ),
    ],
)
def test_bad_ops(body: list[int], ops: int, place: tuple[int, int], sentence: str):
    error = refusal(stream(*body, ops=ops))
    assert str(error) == f"TXN op {place[0]} at byte {place[1]}: {sentence}"
    assert (error.op, error.offset) == place


@pytest.mark.parametrize("opcode", set(range(256)) - {spec.opcode for spec in txn.SPECS})
def test_ops_without_a_known_layout_are_refused(opcode: int):
    name = Opcode(opcode).name if opcode in list(Opcode) else f"opcode {opcode}"
    assert f": {name} (0x{opcode:02x}) is not" in str(refusal(stream(opcode)))


@pytest.mark.parametrize(
    ("op", "said"),
    [
        (txn.Write(1 << 32, 0), "word 2 of WRITE would be 0x100000000, which does not fit 32 bits"),
        (txn.Write(0, -1), "word 4 of WRITE would be -0x1, which does not fit 32 bits"),
        (
            txn.BlockWrite(0, (0, 1 << 40)),
            "word 5 of BLOCKWRITE would be 0x10000000000, which does not fit 32 bits",
        ),
        (txn.DdrPatch(0, 0, -1), "word 11 of DDR_PATCH would be -0x1, which does not fit 32 bits"),
        (txn.Tct(256, 0, Direction.S2MM, 0), "TCT column is 256: its 8 bits hold 0 to 255"),
        (txn.Preempt(256), "PREEMPT level is 256: its 8 bits hold 0 to 255"),
        (
            txn.MaskWrite(0, 0, 0, 24),
            "MASKWRITE states a size of 24 bytes; it can be 28 to 32 in steps of 4",
        ),
        (
            txn.MaskWrite(0, 0, 0, 0xFFFFFFFC),
            "MASKWRITE states a size of 4294967292 bytes; it can be 28 to 32 in steps of 4",
        ),
        (txn.MaskPoll(0, 0, 0, -4), "word 6 of MASKPOLL would be -0x4, which does not fit 32 bits"),
        (
            txn.MergeSync(1, 1, 0x80000000),
            "MERGE_SYNC states a size of 2147483648 bytes; it can be 12 to 16 in steps of 4",
        ),
        (
            txn.MergeSync(1, 1, 8),
            "MERGE_SYNC states a size of 8 bytes; it can be 12 to 16 in steps of 4",
        ),
        (
            txn.MaskPoll(0, 0, 0, 36),
            "MASKPOLL states a size of 36 bytes; it can be 28 to 32 in steps of 4",
        ),
    ],
)
def test_what_does_not_fit_its_op_is_not_written(op: txn.Op, said: str):
    sentence = f"TXN op 1 at byte 20: {said}"
    with pytest.raises(TxnError, match=f"^{re.escape(sentence)}$"):
        txn.encode(Program(HEADER, (txn.Noop(), op)))


def test_what_does_not_fit_the_header_is_not_written():
    header = Header(0, 1, 3, 6, 256, 1)
    sentence = "TXN header at byte 0: columns is 256: its 8 bits hold 0 to 255"
    with pytest.raises(TxnError, match=f"^{sentence}$"):
        txn.encode(Program(header, ()))


@pytest.mark.parametrize(
    "data", [np.zeros(4), np.zeros((2, 4), np.uint32), np.zeros(4, np.int32)], ids=repr
)
def test_other_arrays_are_refused(data):
    with pytest.raises(TxnError, match=r"is bytes or a 1-D array of uint32 or uint8, not [12]-D"):
        txn.decode(data)


@given(damaged(STREAM))
def test_damage_gives_the_same_error_to_both_readers_or_none(data: bytes):
    try:
        program = txn.decode(data)
    except TxnError:
        refusal(data)
    else:
        assert txn.index(data)[0].tolist() == [op.opcode for op in program.ops]
        assert txn.decode(txn.encode(program)) == program


@given(st.lists(st.integers(0, 0xFFFFFFFF), max_size=30), st.integers(0, 40))
def test_any_words_are_read_or_refused(body: list[int], ops: int):
    data = stream(*body, ops=ops)
    try:
        program = txn.decode(data)
    except TxnError:
        refusal(data)
    else:
        assert len(program.ops) == ops


def test_no_length_but_the_whole_is_read():
    for length in range(len(STREAM)):
        refusal(STREAM[:length])
