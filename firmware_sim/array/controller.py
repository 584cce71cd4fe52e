# SPDX-License-Identifier: Apache-2.0
"""The controller in compiled code: takes the stream's ops one after the other and carries them out.

There is one controller for all columns. An image may have work of its own (Phase 2: the rest of
its scan): what an op needs of it is done before that op, and more of it, slice by slice, while the
controller waits for tokens or polls.
"""

from __future__ import annotations

import math

from numpy.typing import NDArray

from aie2 import txn, txn_ops
from aie2.registers import SHIM_BD, SHIM_DMA
from aie2.tiles import COLUMN_SHIFT, OFFSET_MASK, ROW_MASK, ROW_SHIFT
from aie2.txn_rare_ops import MERGE_SYNC as MERGE
from bdgen.target import TRANSLATED_ARGS
from firmware_sim import diagnostics as d
from firmware_sim.array import events as e
from firmware_sim.array.bits import bits, get, wide
from firmware_sim.array.events import happened
from firmware_sim.array.mmio import ALL_BITS, BD, classify, read32, write32
from firmware_sim.array.pointers import host_buffers, stream_ops, stream_words
from firmware_sim.array.state import (
    CHANNEL_SLOTS,
    IDLE,
    NEVER,
    NONE,
    ROWS,
    SHIM,
    TILE_CHANNELS,
    State,
)
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

FETCH, TAKE, LAND, EXECUTE, WAIT, POLL = range(6)
"""Steps within an op."""

WRITE = int(txn.Opcode.WRITE)
BLOCK_WRITE = int(txn.Opcode.BLOCKWRITE)
MASK_WRITE = int(txn.Opcode.MASKWRITE)
MASK_POLL = int(txn.Opcode.MASKPOLL)
MASK_POLL_BUSY = int(txn.Opcode.MASKPOLL_BUSY)
TCT = int(txn.Opcode.TCT)
DDR_PATCH = int(txn.Opcode.DDR_PATCH)
LOAD_PDI = int(txn.Opcode.LOADPDI)
READ_REGS = int(txn.Opcode.READ_REGS)
MERGE_SYNC = int(txn.Opcode.MERGE_SYNC)
EXECUTED = (WRITE, BLOCK_WRITE, MASK_WRITE, DDR_PATCH)
SILENT = (int(txn.Opcode.NOOP), int(txn.Opcode.PREEMPT), int(txn.Opcode.RECORD_TIMER))
"""Ops that cost time and do nothing to the array."""

MERGED_TOKENS, MERGED_COLUMNS = bits(MERGE, "tokens"), bits(MERGE, "columns")
MERGE_BODY = 2
"""Words of a MERGE_SYNC before its counts."""
TCT_BODY = txn_ops.TCT_WORDS - txn_ops.TCT.words
TCT_COLUMN, TCT_COLUMNS = bits(txn_ops.TCT, "column"), bits(txn_ops.TCT, "columns")
TCT_ROW, TCT_ROWS = bits(txn_ops.TCT, "row"), bits(txn_ops.TCT, "rows")
TCT_DIRECTION, TCT_CHANNEL = bits(txn_ops.TCT, "direction"), bits(txn_ops.TCT, "channel")

ADDRESS, VALUE, MASK = txn_ops.ADDRESS_WORD, txn_ops.VALUE_WORD, txn_ops.MASK_WORD
BLOCK_BYTES, PATCHED = txn_ops.BLOCK_BYTES_WORD, txn_ops.DDR_PATCH_ADDRESS_WORD
BLOCK_WRITE_HEADER = txn.BLOCK_WRITE_HEADER_WORDS
BD_WORDS = SHIM_DMA.bd.words
PATCH_ARGUMENT = txn_ops.DDR_PATCH_ARG_WORD
PATCH_PLUS = txn_ops.DDR_PATCH_ARG_PLUS_WORD
LOW_MASK = SHIM_BD.field("base_address_low").mask << SHIM_BD.field("base_address_low").shift
HIGH_MASK = SHIM_BD.field("base_address_high").mask
OFFSET_BITS = 32
"""Bits of the byte offset that a DDR patch can add (aiebu takes no more)."""
FOLD = 0x80000000
"""What later compilers add to the offset of the other arguments: DDR as the NPU sees it."""


@compiled
def step(m: State, array_at_rest: bool) -> None:
    """One step of the controller: take up an op, let its cost pass, or carry it out."""
    now = m.at
    if m.op == m.ops_size:
        m.at = NEVER
        return
    op = stream_ops(m)[m.op]
    if m.step == FETCH:
        m.step = TAKE
        before = op.before + work(m, m.work_left - op.work_left)
        if before > 0:
            m.at = now + before
            return
    if m.step == TAKE:
        happened(m, e.OP_STARTED, NONE, m.op, op.opcode, now)
        if op.opcode in (TCT, MERGE_SYNC):
            m.step = WAIT
        else:
            m.step = LAND if op.idle_cost > op.cost else EXECUTE
            m.at = now + op.cost
            return
    if m.step == WAIT:
        if not tokens_here(m, True, now):
            m.waits_since = now
            m.at = NEVER
            return
        now += op.cost
    elif m.step == LAND and pushed_channel_idle(m, op.offset):
        m.at = now + op.idle_cost - op.cost
        m.step = EXECUTE
        return
    elif op.opcode == MASK_POLL or op.opcode == MASK_POLL_BUSY:
        if not poll(m, op.offset, now):
            m.step = POLL
            m.at = NEVER if array_at_rest else now + work(m, m.work_slice) + max(op.cost, 1.0)
            return
    elif op.opcode == LOAD_PDI or op.opcode == READ_REGS:
        m.python_op = 1
    elif op.opcode not in EXECUTED:
        if op.opcode not in SILENT:
            report(m, d.UNMODELLED_OP, NONE, 0, op.opcode, now)
    else:
        execute(m, op.opcode, op.offset, now)
    happened(m, e.OP_ENDED, NONE, m.op, op.opcode, now)
    m.op += 1
    m.step = FETCH
    m.at = now
    m.last_op_at = now


@compiled
def work(m: State, wanted: float) -> float:
    """Do so many cycles of the image's own work, or what is left of it; returns the cycles."""
    done = max(min(wanted, m.work_left), 0.0)
    m.work_left -= done
    return done


@compiled
def awake(m: State, now: float) -> float:
    """The cycle at which a controller sees the tokens that came at `now`: its slice ends first."""
    if m.work_left <= 0 or m.work_slice <= 0:
        return now
    slices = math.ceil((now - m.waits_since) / m.work_slice)
    return max(now, m.waits_since + work(m, slices * m.work_slice))


@compiled
def execute(m: State, opcode: int, at: int, now: float) -> None:
    """Carry an op out, word for word as the stream has it."""
    words = stream_words(m)
    if opcode == WRITE:
        write32(m, wide(words[at + ADDRESS]), wide(words[at + VALUE]), ALL_BITS, now)
    elif opcode == MASK_WRITE:
        value, mask = wide(words[at + VALUE]), wide(words[at + MASK])
        write32(m, wide(words[at + ADDRESS]), value, mask, now)
    elif opcode == BLOCK_WRITE:
        address = wide(words[at + ADDRESS])
        payload = wide(words[at + BLOCK_BYTES]) // 4 - BLOCK_WRITE_HEADER
        count_bds(m, address, payload)
        for word in range(payload):
            value = wide(words[at + BLOCK_WRITE_HEADER + word])
            write32(m, address + 4 * word, value, ALL_BITS, now)
    elif opcode == DDR_PATCH:
        patch(m, words, at, now)


@compiled
def patch(m: State, words: NDArray, at: int, now: float) -> None:
    """Write a host buffer's device address into a BD."""
    m.patches += 1
    register = wide(words[at + PATCHED])
    argument = wide(words[at + PATCH_ARGUMENT]) | wide(words[at + PATCH_ARGUMENT + 1]) << 32
    plus = wide(words[at + PATCH_PLUS]) | wide(words[at + PATCH_PLUS + 1]) << 32
    target = translate(m, argument, plus, now)
    m.patching = 1
    write32(m, register, target & LOW_MASK, LOW_MASK, now)
    write32(m, register + 4, target >> 32, HIGH_MASK, now)
    m.patching = 0


@compiled
def count_bds(m: State, address: int, payload: int) -> None:
    """Count the shim BDs that a block write lays down."""
    row = (address >> ROW_SHIFT) & ROW_MASK
    if row == 0 and classify(SHIM, address & OFFSET_MASK, 0)[0] == BD:
        m.bds_written += payload // BD_WORDS


@compiled
def translate(m: State, argument: int, plus: int, now: float) -> int:
    """Device address of a host buffer's byte; folded and unfolded offsets are read alike."""
    if argument < 0 or argument >= m.buffers_size:
        report(m, d.BAD_PATCH, NONE, 0, argument, now)
        return 0
    if argument >= TRANSLATED_ARGS:
        if plus >= FOLD:
            plus -= FOLD
        else:
            report(m, d.PATCH_NOT_FOLDED, NONE, 0, argument, now)
    if plus < 0 or plus >> OFFSET_BITS:
        report(m, d.PATCH_OFFSET, NONE, 0, plus, now)
        return 0
    return host_buffers(m)[argument].base + plus


@compiled
def pushed_channel_idle(m: State, at: int) -> bool:
    """Whether the channel that the push at word `at` goes to has run dry."""
    address = wide(stream_words(m)[at + ADDRESS])
    column, row = address >> COLUMN_SHIFT, (address >> ROW_SHIFT) & ROW_MASK
    if row >= ROWS or column >= m.columns:
        return True
    tile = column * ROWS + row
    _, number, _ = classify(min(row, 2), address & OFFSET_MASK, m.memory_bytes[tile])
    ch = m.channels[tile * TILE_CHANNELS + number]
    return ch.task < 0 and ch.phase == IDLE


@compiled
def poll(m: State, at: int, now: float) -> bool:
    """One read of the MASKPOLL at word `at`: whether the register has the wanted value."""
    m.polls += 1
    words = stream_words(m)
    value, mask = wide(words[at + VALUE]), wide(words[at + MASK])
    return read32(m, wide(words[at + ADDRESS]), now) & mask == value


@compiled
def wait_fields(words: NDArray, at: int) -> tuple[int, int, int, int, int, int]:
    """(column, row, direction, channel, columns, rows) of the TCT op at word `at`."""
    body = words[at + TCT_BODY :]
    return (
        get(body, TCT_COLUMN),
        get(body, TCT_ROW),
        get(body, TCT_DIRECTION),
        get(body, TCT_CHANNEL),
        get(body, TCT_COLUMNS),
        get(body, TCT_ROWS),
    )


@compiled
def tokens_here(m: State, consume: bool, now: float) -> bool:
    """Whether every channel that the current wait names has a token; take one of each if told."""
    at = stream_ops(m)[m.op].offset
    if stream_ops(m)[m.op].opcode == MERGE_SYNC:
        return merged_tokens(m, at, consume, now)
    column, row, direction, number, columns, rows = wait_fields(stream_words(m), at)
    if row + rows > ROWS or column + columns > m.columns:
        return False
    if direction > 1 or number >= CHANNEL_SLOTS:
        return False
    first = direction * CHANNEL_SLOTS + number
    for tile_column in range(column, column + columns):
        for tile_row in range(row, row + rows):
            channel = (tile_column * ROWS + tile_row) * TILE_CHANNELS + first
            if m.channels[channel].tokens == 0:
                return False
    if consume:
        for tile_column in range(column, column + columns):
            for tile_row in range(row, row + rows):
                channel = (tile_column * ROWS + tile_row) * TILE_CHANNELS + first
                m.channels[channel].tokens -= 1
                m.tokens += 1
                happened(m, e.TOKEN_TAKEN, channel, m.channels[channel].tokens, 0, now)
    return True


@compiled
def merged_tokens(m: State, at: int, consume: bool, now: float) -> bool:
    """Take the tokens that the MERGE_SYNC at word `at` names, if they are all here.

    So many tokens in all over so many columns, of whatever tile and channel (aiebu
    gen-preemption.cpp, by use; how firmware matches them is not published).
    """
    body = stream_words(m)[at + MERGE_BODY :]
    wanted, columns = get(body, MERGED_TOKENS), min(get(body, MERGED_COLUMNS), m.columns)
    channels = columns * ROWS * TILE_CHANNELS
    here = 0
    for channel in range(channels):
        here += m.channels[channel].tokens
    if here < wanted:
        return False
    for channel in range(channels if consume else 0):
        taken = min(wanted, m.channels[channel].tokens)
        if taken:
            wanted -= taken
            m.tokens += taken
            m.channels[channel].tokens -= taken
            happened(m, e.TOKEN_TAKEN, channel, m.channels[channel].tokens, 0, now)
    return True
