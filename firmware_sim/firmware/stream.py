# SPDX-License-Identifier: Apache-2.0
"""Read a stream as an image does that changes it: which ops make up a batch, and in what role.

A batch is what lies between two receive-side waits of a lane: a receive task, the send tasks of
its rows, perhaps one of padding, and the wait.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import txn, txn_ops
from aie2.registers import SHIM_BD, SHIM_DMA, SHIM_QUEUE, Direction
from aie2.tiles import COLUMN_SHIFT, OFFSET_MASK, split
from aie2.txn import Opcode
from firmware_sim.errors import FirmwareError

Ints = NDArray[np.int64]

ADDRESS, VALUE = txn_ops.ADDRESS_WORD, txn_ops.VALUE_WORD
PATCHED, BLOCK_BYTES = txn_ops.DDR_PATCH_ADDRESS_WORD, txn_ops.BLOCK_BYTES_WORD
WHOLE_BD = (txn.BLOCK_WRITE_HEADER_WORDS + SHIM_BD.words) * 4
CHANNELS = SHIM_DMA.s2mm_channels


class Role(IntEnum):
    """What an op is to its batch."""

    ROW_BD = 0
    ROW_PATCH = 1
    ROW_POLL = 2
    ROW_PUSH = 3
    RECEIVE_BD = 4
    RECEIVE_PATCH = 5
    RECEIVE_PUSH = 6
    TOKEN_ID = 7
    WAIT = 8
    PAD_BD = 9
    PAD_PATCH = 10
    PAD_POLL = 11
    PAD_PUSH = 12
    PAD_RECEIVE_BD = 13
    PAD_RECEIVE_PATCH = 14


@dataclass(frozen=True)
class Batches:
    """A row-by-row stream, op by op."""

    offsets: Ints
    """Word at which each op starts."""
    role: Ints
    batch: Ints
    """Number of the batch that each op belongs to."""
    source: Ints
    """Byte offset in the weights that each row op reads from, -1 for other ops."""
    lane: Ints
    """Lane of each batch: column x channels + channel."""
    length_bytes: Ints
    """Bytes that the BD of each row op moves, -1 for other ops."""


def _last(keys: Ints, ops: Ints, wanted: Ints, before: Ints) -> Ints:
    """For each (wanted key, op): place of the last of `ops` with that key before it, or -1."""
    span = int(max(np.abs(ops).max(initial=0), np.abs(before).max(initial=0))) + 1
    order = np.argsort(keys * span + ops)
    place = np.searchsorted((keys * span + ops)[order], wanted * span + before) - 1
    found = order[np.maximum(place, 0)] if order.size else np.zeros(place.size, np.int64)
    same = (place >= 0) & (keys[found] == wanted) if order.size else np.zeros(place.size, bool)
    return np.where(same, found, -1)


def _first(keys: Ints, ops: Ints, wanted: Ints, after: Ints) -> Ints:
    """For each (wanted key, op): place of the first of `ops` with that key after it, or -1."""
    return _last(keys, -ops, wanted, -after) if ops.size else np.full(wanted.size, -1)


class _Reader:
    """One reading of a stream: fills the arrays of `Batches`."""

    def __init__(self, words: NDArray[np.uint32]) -> None:
        self.words = words
        self.opcodes, self.offsets = txn.index(words)
        count = self.opcodes.size
        self.role, self.batch = np.full(count, -1), np.full(count, -1)
        self.source, self.length = np.full(count, -1), np.full(count, -1)
        patched = self.opcodes == Opcode.DDR_PATCH
        at = self.offsets + np.where(patched, PATCHED, ADDRESS)
        self.address = words[np.minimum(at, words.size - 1)].astype(np.int64)
        self.column, self.offset = self.address >> COLUMN_SHIFT, self.address & OFFSET_MASK

    def _word(self, ops: Ints, word: int) -> Ints:
        return self.words[self.offsets[ops] + word].astype(np.int64)

    def _on(self, opcode: Opcode, register: str) -> tuple[Ints, Ints, Ints]:
        """(ops, lanes, directions) of an opcode on shim channels' `register`."""
        ops = np.flatnonzero(self.opcodes == opcode)
        lane, way = np.full(ops.size, -1), np.full(ops.size, -1)
        for direction in Direction:
            for channel in range(CHANNELS):
                here = self.offset[ops] == getattr(SHIM_DMA, register)(direction, channel)
                lane[here] = self.column[ops][here] * CHANNELS + channel
                way[here] = direction
        return ops[lane >= 0], lane[lane >= 0], way[lane >= 0]

    def _bds(self, opcode: Opcode, offset_in_bd: int) -> tuple[Ints, Ints]:
        """(ops, keys) of ops that touch a BD at `offset_in_bd`; a key is column and BD."""
        ops = np.flatnonzero(self.opcodes == opcode)
        inside = self.offset[ops] - SHIM_DMA.bd_base - offset_in_bd
        fits = (inside >= 0) & (inside < SHIM_DMA.bd_count * SHIM_DMA.bd_stride)
        fits &= inside % SHIM_DMA.bd_stride == 0
        if opcode == Opcode.BLOCKWRITE:
            fits &= self._word(ops, BLOCK_BYTES) == WHOLE_BD
        keys = self.column[ops] * SHIM_DMA.bd_count + inside // SHIM_DMA.bd_stride
        return ops[fits], keys[fits]

    def _claim(self, ops: Ints, role: Role, batch: Ints) -> None:
        self.role[ops], self.batch[ops] = role, batch

    def _claim_bd(self, keys: Ints, pushes: Ints, role: Role, batch: Ints) -> tuple[Ints, Ints]:
        """Claim the block write and the patch of each push's BD; `role` is the block write's."""
        claimed = []
        for number, (opcode, offset) in enumerate(((Opcode.BLOCKWRITE, 0), (Opcode.DDR_PATCH, 4))):
            ops, all_keys = self._bds(opcode, offset)
            place = _last(all_keys, ops, keys, pushes)
            if np.any(place < 0):
                op = int(pushes[place < 0][0])
                raise FirmwareError(f"op {op} pushes a BD that was never written and patched")
            self._claim(ops[place], Role(role + number), batch)
            claimed.append(ops[place])
        return claimed[0], claimed[1]

    def _bd_field(self, block_writes: Ints, name: str) -> Ints:
        field = SHIM_BD.field(name)
        words = self._word(block_writes, txn.BLOCK_WRITE_HEADER_WORDS + field.word)
        return words >> field.lsb & field.mask

    def read(self) -> Batches:
        """Batches of the stream, or a FirmwareError for ops that are part of none."""
        pushes, lanes, ways = self._on(Opcode.WRITE, "queue_address")
        start = SHIM_QUEUE.field("start_bd_id")
        bds = self._word(pushes, VALUE) >> start.lsb & start.mask
        keys = lanes // CHANNELS * SHIM_DMA.bd_count + bds
        receives = ways == Direction.S2MM
        batches = np.arange(np.count_nonzero(receives))
        opened, at = lanes[receives], pushes[receives]
        arg = self._receive(keys[receives], at, opened, batches)
        waits = np.flatnonzero(self.opcodes == Opcode.TCT)
        self._claim(waits, Role.WAIT, self._batch_of(opened, at, self._wait_lanes(waits), waits))
        sends = self._batch_of(opened, at, lanes[~receives], pushes[~receives])
        self._send(keys[~receives], pushes[~receives], lanes[~receives], sends, arg)
        odd = np.flatnonzero((self.role < 0) | (self.batch < 0))
        if odd.size:
            raise FirmwareError(f"op {odd[0]} is not one that a row-by-row stream has")
        return Batches(self.offsets, self.role, self.batch, self.source, opened, self.length)

    def _batch_of(self, opened: Ints, at: Ints, lanes: Ints, ops: Ints) -> Ints:
        return _last(opened, at, lanes, ops)

    def _wait_lanes(self, waits: Ints) -> Ints:
        """Lane that each wait is for, -1 for waits of other kinds than a lane's receive side."""
        body = txn_ops.TCT_WORDS - txn_ops.TCT.words
        found = {
            field.name: self._word(waits, body + field.word) >> field.lsb & field.mask
            for field in txn_ops.TCT.fields
        }
        usual = (found["row"] == 0) & (found["direction"] == Direction.S2MM)
        usual &= (found["rows"] == 1) & (found["columns"] == 1)
        return np.where(usual, found["column"] * CHANNELS + found["channel"], -1)

    def _receive(self, keys: Ints, at: Ints, lanes: Ints, batches: Ints) -> Ints:
        """Claim what belongs to receive tasks; returns the argument that each batch writes to."""
        writes, patches = self._claim_bd(keys, at, Role.RECEIVE_BD, batches)
        self._claim(at, Role.RECEIVE_PUSH, batches)
        chained = self._bd_field(writes, "use_next_bd") == 1
        pads = keys // SHIM_DMA.bd_count * SHIM_DMA.bd_count + self._bd_field(writes, "next_bd")
        self._claim_bd(pads[chained], at[chained], Role.PAD_RECEIVE_BD, batches[chained])
        ids, id_lanes, _ = self._on(Opcode.MASKWRITE, "ctrl")
        self._claim(ids, Role.TOKEN_ID, _first(lanes, at, id_lanes, ids))
        return self._word(patches, txn_ops.DDR_PATCH_ARG_WORD)

    def _send(self, keys: Ints, pushes: Ints, lanes: Ints, batches: Ints, arg: Ints) -> None:
        """Claim what belongs to send tasks: of rows, or of padding, which reads the output."""
        writes, patches = self._claim_bd(keys, pushes, Role.ROW_BD, batches)
        self._claim(pushes, Role.ROW_PUSH, batches)
        polls, poll_lanes, _ = self._on(Opcode.MASKPOLL, "status")
        polled = _first(lanes, pushes, poll_lanes, polls)
        self._claim(polls, Role.ROW_POLL, np.where(polled < 0, -1, batches[polled]))
        source = self._word(patches, txn_ops.DDR_PATCH_ARG_PLUS_WORD)
        for ops in (writes, patches, pushes):
            self.source[ops] = source
        self.length[pushes] = self._bd_field(writes, "buffer_length") * 4
        self.source[polls] = source[polled]
        padding = self._word(patches, txn_ops.DDR_PATCH_ARG_WORD) == arg[batches]
        for ops in (writes[padding], patches[padding], pushes[padding], polls[padding[polled]]):
            self.role[ops] += Role.PAD_BD - Role.ROW_BD
            self.source[ops] = self.length[ops] = -1


def read_batches(words: NDArray[np.uint32]) -> Batches:
    """Group the ops of a row-by-row stream into batches.

    Raises:
        FirmwareError: an op that such a stream does not have, with its number.
    """
    return _Reader(words).read()


class Lane(NamedTuple):
    """A shim channel pair: what moves data through one column's fifo."""

    column: int
    channel: int


class Bd(NamedTuple):
    """A shim BD that a stream writes and patches."""

    column: int
    number: int
    fields: dict[str, int]
    patch: txn.DdrPatch


def written_bds(program: txn.Program) -> list[Bd]:
    """Every shim BD that a stream writes and then patches, in order of the patches."""
    found: list[Bd] = []
    payloads: dict[tuple[int, int], tuple[int, ...]] = {}
    for op in program.ops:
        if isinstance(op, txn.BlockWrite | txn.DdrPatch):
            column, _, offset = split(op.address)
            key = column, (offset - SHIM_DMA.bd_base) // SHIM_DMA.bd_stride
            if isinstance(op, txn.BlockWrite):
                payloads[key] = op.payload
            elif len(payloads.get(key, ())) == SHIM_BD.words:
                found.append(Bd(*key, SHIM_BD.decode(payloads[key]), op))
    return found


def lanes_of(program: txn.Program) -> dict[Lane, dict[Direction, txn.DdrPatch]]:
    """Patch of the BD that each lane starts with in each direction, first push first."""
    found: dict[Lane, dict[Direction, txn.DdrPatch]] = {}
    patches = {(bd.column, bd.number): bd.patch for bd in reversed(written_bds(program))}
    queues = {
        SHIM_DMA.queue_address(direction, channel): (direction, channel)
        for direction in Direction
        for channel in range(CHANNELS)
    }
    for op in program.ops:
        if isinstance(op, txn.Write):
            column, _, offset = split(op.address)
            if offset in queues:
                direction, channel = queues[offset]
                bd = SHIM_QUEUE.decode([op.value])["start_bd_id"]
                if (column, bd) in patches:
                    ends = found.setdefault(Lane(column, channel), {})
                    ends.setdefault(direction, patches[column, bd])
    return found
