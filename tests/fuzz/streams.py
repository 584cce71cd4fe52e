# SPDX-License-Identifier: Apache-2.0
"""Streams with ops changed, left out, doubled, moved, put in, or led to other registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from random import Random

from aie2 import txn
from aie2.registers import SHIM_DMA, Direction
from aie2.tiles import address
from tests.fuzz.registers import fitting_word, one_in, some_address, some_word

Ops = list[txn.Op]


def edited(rng: Random, program: txn.Program, columns: int) -> txn.Program:
    """A stream with one to twelve edits."""
    ops = list(program.ops)
    for _ in range(rng.choice((1, 1, 2, 3, 6, 12))):
        if ops:
            rng.choice(EDITS)(rng, ops, columns)
    header = program.header
    if one_in(rng, 20):
        name = rng.choice(("generation", "rows", "columns", "memtile_rows"))
        header = replace(header, **{name: rng.choice((0, 1, 3, 4, 8, 255))})
    return txn.Program(header, tuple(ops))


def some_op(rng: Random, columns: int) -> txn.Op:
    """Any op."""
    where = some_address(rng, columns)
    word = fitting_word(rng, where)
    match rng.randrange(17):
        case 0 | 1 | 2 | 3:
            return txn.Write(where, word)
        case 4 | 5:
            return txn.MaskWrite(where, word, some_word(rng))
        case 6 | 7:
            count = rng.choice((0, 1, 4, 8, 8, 8, 70))
            return txn.BlockWrite(where, tuple(some_word(rng) for _ in range(count)))
        case 8:
            return _patch(rng, columns)
        case 9:
            return _wait(rng, columns)
        case 10:
            kind = rng.choice((txn.MaskPoll, txn.MaskPollBusy))
            return kind(where, rng.choice((0, word)), rng.choice((0, 0x78003C, some_word(rng))))
        case 11:
            return txn.MergeSync(rng.randrange(4), rng.randrange(5), rng.choice((12, 16)))
        case 12:
            count = rng.choice((1, 2, 30))
            return txn.ReadRegs(tuple(some_address(rng, columns) for _ in range(count)))
        case 13:
            return txn.LoadPdi(rng.choice((0, 0, 1, 65535)), 880, 4096)
        case 14:
            return txn.UpdateReg(rng.randrange(4), rng.randrange(4), word, where)
        case 15:
            return txn.Custom134(tuple(some_word(rng) for _ in range(rng.randrange(3))))
        case _:
            rare = (txn.Noop(), txn.Preempt(1), txn.RecordTimer(word), txn.LoadPmStart(2, 1))
            return rng.choice((*rare, txn.CreateScratchpad(0, 64, 0)))


def _patch(rng: Random, columns: int) -> txn.Op:
    bd = SHIM_DMA.bd_address(rng.randrange(SHIM_DMA.bd_count)) + 4
    where = rng.choice((address(rng.randrange(columns), 0, bd), some_address(rng, columns)))
    plus = rng.choice((0, 4, 3, 1024, 1 << 31, some_word(rng), rng.getrandbits(64)))
    return txn.DdrPatch(where, rng.choice((0, 1, 2, 5, 9, rng.getrandbits(64))), plus)


def _wait(rng: Random, columns: int) -> txn.Op:
    column, row = rng.randrange(columns + 1), rng.choice((0, 0, 0, 1, 2, 7))
    sides = rng.choice((1, 1, 1, 2, 255)), rng.choice((1, 1, 1, 2, 255))
    return txn.Tct(
        column, row, rng.choice(list(Direction)), rng.choice((0, 0, 1, 5, 6, 255)), *sides
    )


def _field(rng: Random, ops: Ops, columns: int) -> None:
    at = rng.randrange(len(ops))
    places = [each.name for each in fields(ops[at]) if isinstance(getattr(ops[at], each.name), int)]
    if not places:
        return
    name = rng.choice(places)
    old = int(getattr(ops[at], name))
    new = some_address(rng, columns) if name == "address" else some_word(rng, old)
    if name == "value" and not one_in(rng, 3):
        new = fitting_word(rng, int(getattr(ops[at], "address", 0)), old)
    if name == "direction":
        new = Direction(new % 2)
    if name == "size_bytes" and not one_in(rng, 8):
        new = old
    ops[at] = replace(ops[at], **{name: new})


def _payload(rng: Random, ops: Ops, columns: int) -> None:
    blocks = [at for at, op in enumerate(ops) if isinstance(op, txn.BlockWrite) and op.payload]
    if not blocks:
        return
    at = rng.choice(blocks)
    op = ops[at]
    if isinstance(op, txn.BlockWrite):
        payload = list(op.payload)
        place = rng.randrange(len(payload))
        payload[place] = some_word(rng, payload[place])
        ops[at] = replace(op, payload=tuple(payload[: None if rng.randrange(8) else place]))


def _insert(rng: Random, ops: Ops, columns: int) -> None:
    ops.insert(rng.randrange(len(ops) + 1), some_op(rng, columns))


def _delete(rng: Random, ops: Ops, columns: int) -> None:
    first = rng.randrange(len(ops))
    del ops[first : first + rng.choice((1, 1, 2, 8))]


def _double(rng: Random, ops: Ops, columns: int) -> None:
    first, at = rng.randrange(len(ops)), rng.randrange(len(ops))
    ops[at:at] = ops[first : first + rng.choice((1, 1, 2, 8))] * rng.choice((1, 1, 5))


def _swap(rng: Random, ops: Ops, columns: int) -> None:
    one, other = rng.randrange(len(ops)), rng.randrange(len(ops))
    ops[one], ops[other] = ops[other], ops[one]


EDITS: tuple[Callable[[Random, Ops, int], None], ...] = (
    *(_field, _field, _field, _field, _payload, _payload),
    *(_insert, _insert, _delete, _double, _swap),
)
