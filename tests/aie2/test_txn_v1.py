# SPDX-License-Identifier: Apache-2.0
"""Streams of version 1.0, from bytes made by hand after aie-rt's `_opt` structs."""

from __future__ import annotations

import numpy as np
import pytest
from aie2_golden import SMALL, damaged
from hypothesis import given

from aie2 import txn
from aie2.registers import Direction
from aie2.txn import Header, TxnError

V1_OPS: list[tuple[list[int], txn.Op]] = [
    ([0, 0x1D214, 7], txn.Write(0x1D214, 7)),
    ([1, 0x1D000, 20, 8, 9], txn.BlockWrite(0x1D000, (8, 9))),
    ([3, 0x1D200, 0xF00, 0x1F00], txn.MaskWrite(0x1D200, 0xF00, 0x1F00)),
    ([4, 0x1D228, 0, 0x400000], txn.MaskPoll(0x1D228, 0, 0x400000)),
    ([7, 0x1D228, 0, 0x400000], txn.MaskPollBusy(0x1D228, 0, 0x400000)),
    ([5], txn.Noop()),
    ([6 | 3 << 8], txn.Preempt(3)),
    ([8 | 2 << 16, 880, 5, 1], txn.LoadPdi(2, 880, 5 | 1 << 32)),
    ([9 | 4 << 8, 1], txn.LoadPmStart(4, 1)),
    ([128, 16, 0x030401, 0x05010200], txn.Tct(3, 4, Direction.MM2S, 5, 1, 2)),
    ([129, 24, 0x1D004, 0xABCDEF03, 8192, 1], txn.DdrPatch(0x1D004, 3, 8192 | 1 << 32)),
    (
        [129, 48, 1, 2, 3, 4, 0x1D004, 0, 3, 0, 8192, 0],
        txn.DdrPatch(0x1D004, 3, 8192, (1, 2, 3, 4)),
    ),
    ([131, 12, 9], txn.RecordTimer(9)),
    ([132, 16, 4 | 8 << 8, 0], txn.MergeSync(4, 8, 16)),
    ([134, 12, 9], txn.Custom134((9,))),
]


def stream(body: list[int], ops: int) -> bytes:
    head = [0x06040001, 0x00000108, ops, 16 + 4 * len(body)]
    return np.array([*head, *body], "<u4").tobytes()


@pytest.mark.parametrize(("words", "op"), V1_OPS, ids=lambda value: type(value).__name__)
def test_each_op(words: list[int], op: txn.Op):
    assert txn.decode(stream([5, *words, 5], 3)).ops == (txn.Noop(), op, txn.Noop())


def test_a_whole_stream_is_written_as_0_1():
    body = [word for words, _ in V1_OPS for word in words]
    program = txn.decode(stream(body, len(V1_OPS)))
    assert program.header == Header(1, 0, 4, 6, 8, 1)
    assert program.ops == tuple(op for _, op in V1_OPS)
    again = txn.decode(txn.encode(program))
    assert again.header == Header(0, 1, 4, 6, 8, 1)
    assert again.ops == program.ops


def test_it_is_not_indexed():
    sentence = r"version 1.0 cannot be indexed; give encode\(decode\(stream\)\)$"
    with pytest.raises(TxnError, match=sentence):
        txn.index(stream([5], 1))


def test_a_0_1_stream_is_not_taken_for_1_0():
    data = bytearray((SMALL / "insts.bin").read_bytes())
    data[0:2] = b"\1\0"
    with pytest.raises(TxnError, match=r"^TXN op 0 at byte 16: BLOCKWRITE "):
        txn.decode(data)


@pytest.mark.parametrize("size_bytes", [20, 26, 28, 44, 52, 72])
def test_patches_of_other_sizes_are_refused(size_bytes: int):
    sentence = f"DDR_PATCH states a size of {size_bytes} bytes; it can be 24 to 48 in steps of 24"
    with pytest.raises(TxnError, match=f"^TXN op 0 at byte 16: {sentence}$"):
        txn.decode(stream([129, size_bytes] + [0] * 18, 1))


@given(damaged(stream([word for words, _ in V1_OPS for word in words], len(V1_OPS))))
def test_damage_is_read_or_refused(data: bytes):
    try:
        program = txn.decode(data)
    except TxnError as error:
        assert str(error)
    else:
        assert txn.decode(txn.encode(program)).ops == program.ops
