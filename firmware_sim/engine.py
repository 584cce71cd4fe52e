# SPDX-License-Identifier: Apache-2.0
"""The event loop in compiled code: the controller's ops and the routes' events, in time order.

There is one controller for all columns. At equal cycles DMA events come before the controller, and
routes come in order of their sending channel, so that every run is repeatable.
"""

from __future__ import annotations

from collections.abc import Callable

from numba import njit
from numpy.typing import NDArray

from aie2 import txn, txn_ops
from aie2.registers import SHIM_BD, SHIM_DMA
from aie2.tiles import COLUMN_SHIFT, OFFSET_MASK, ROW_MASK, ROW_SHIFT
from bdgen.target import TRANSLATED_ARGS
from firmware_sim import diagnostics as d
from firmware_sim.bits import bits, get, wide
from firmware_sim.calibration import Costs
from firmware_sim.compiled import SOURCES
from firmware_sim.diagnostics import report
from firmware_sim.dma import link_event, offer, wake
from firmware_sim.mmio import BD, classify, read32, write32
from firmware_sim.state import (
    CHANNEL_SLOTS,
    IDLE,
    NEVER,
    ROWS_MODELLED,
    TILE_CHANNELS,
    Machine,
)

DONE, STALLED, TIMED_OUT = range(3)
"""How a run ended."""

FETCH, TAKE, LAND, EXECUTE, WAIT, POLL = range(6)
"""Steps within an op."""

WRITE = int(txn.Opcode.WRITE)
BLOCK_WRITE = int(txn.Opcode.BLOCKWRITE)
MASK_WRITE = int(txn.Opcode.MASKWRITE)
MASK_POLL = int(txn.Opcode.MASKPOLL)
MASK_POLL_BUSY = int(txn.Opcode.MASKPOLL_BUSY)
TCT = int(txn.Opcode.TCT)
DDR_PATCH = int(txn.Opcode.DDR_PATCH)

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
ALL_BITS = 0xFFFFFFFF
IDLE_EVENTS = 20_000_000
"""Events that the controller may wait through before a run counts as endless."""
OFFSET_BITS = 32
"""Bits of the byte offset that a DDR patch can add (aiebu takes no more)."""
FOLD = 0x80000000
"""What later compilers add to the offset of the other arguments: DDR as the NPU sees it."""


@njit
def event_loop(m: Machine, costs: Costs, limit: float) -> int:
    """Run until the stream and the array come to rest; returns DONE, STALLED or TIMED_OUT."""
    for tile in range(m.locks.shape[0]):
        wake(m, costs, tile, 0.0)
    for link in range(m.links.size):
        offer(m, link, 0.0)
    progress = m.progress[0]
    while True:
        link, at = next_link(m)
        if at == NEVER and progress.at == NEVER:
            return DONE if progress.op == m.ops.size else STALLED
        if min(at, progress.at) > limit or progress.idle_events > IDLE_EVENTS:
            return TIMED_OUT
        if at <= progress.at:
            progress.idle_events += 1
            link_event(m, costs, link, at)
            if progress.step == WAIT and tokens_here(m, False):
                progress.at = at
        else:
            progress.idle_events = 0
            step(m, costs, at == NEVER)


@njit
def next_link(m: Machine) -> tuple[int, float]:
    """The link with the earliest event, lowest first among equals."""
    best, when = -1, NEVER
    for link in range(m.links.size):
        if m.links[link].event_at < when:
            best, when = link, m.links[link].event_at
    return best, when


@njit
def step(m: Machine, costs: Costs, array_at_rest: bool) -> None:
    """One step of the controller: take up an op, let its cost pass, or carry it out."""
    progress = m.progress[0]
    now = progress.at
    if progress.op == m.ops.size:
        progress.at = NEVER
        return
    op = m.ops[progress.op]
    if progress.step == FETCH:
        progress.step = TAKE
        if op.before > 0:
            progress.at = now + op.before
            return
    if progress.step == TAKE:
        if op.opcode == TCT:
            progress.step = WAIT
        else:
            progress.step = LAND if op.idle_cost > op.cost else EXECUTE
            progress.at = now + op.cost
            return
    if progress.step == WAIT:
        if not tokens_here(m, True):
            progress.at = NEVER
            return
        now += op.cost
    elif progress.step == LAND and pushed_channel_idle(m, op.offset):
        progress.at = now + op.idle_cost - op.cost
        progress.step = EXECUTE
        return
    elif op.opcode == MASK_POLL or op.opcode == MASK_POLL_BUSY:
        if not poll(m, op.offset, now):
            progress.step = POLL
            progress.at = NEVER if array_at_rest else now + op.cost
            return
    else:
        execute(m, costs, op.opcode, op.offset, now)
    progress.op += 1
    progress.step = FETCH
    progress.at = now
    progress.last_op_at = now


@njit
def execute(m: Machine, costs: Costs, opcode: int, at: int, now: float) -> None:
    """Carry an op out, word for word as the stream has it."""
    words = m.words
    address = wide(words[at + ADDRESS])
    if opcode == WRITE:
        write32(m, costs, address, wide(words[at + VALUE]), ALL_BITS, True, now)
    elif opcode == MASK_WRITE:
        value, mask = wide(words[at + VALUE]), wide(words[at + MASK])
        write32(m, costs, address, value, mask, True, now)
    elif opcode == BLOCK_WRITE:
        payload = wide(words[at + BLOCK_BYTES]) // 4 - BLOCK_WRITE_HEADER
        count_bds(m, address, payload)
        for word in range(payload):
            value = wide(words[at + BLOCK_WRITE_HEADER + word])
            write32(m, costs, address + 4 * word, value, ALL_BITS, True, now)
    elif opcode == DDR_PATCH:
        m.progress[0].patches += 1
        register = wide(words[at + PATCHED])
        argument = wide(words[at + PATCH_ARGUMENT]) | wide(words[at + PATCH_ARGUMENT + 1]) << 32
        plus = wide(words[at + PATCH_PLUS]) | wide(words[at + PATCH_PLUS + 1]) << 32
        target = translate(m, argument, plus, now)
        write32(m, costs, register, target & LOW_MASK, LOW_MASK, True, now)
        write32(m, costs, register + 4, target >> 32, HIGH_MASK, True, now)


@njit
def count_bds(m: Machine, address: int, payload: int) -> None:
    """Count the shim BDs that a block write lays down."""
    row = (address >> ROW_SHIFT) & ROW_MASK
    if row == 0 and classify(row, address & OFFSET_MASK, m.memory.shape[1])[0] == BD:
        m.progress[0].bds += payload // BD_WORDS


@njit
def translate(m: Machine, argument: int, plus: int, now: float) -> int:
    """Device address of a host buffer's byte; folded and unfolded offsets are read alike."""
    if argument < 0 or argument >= m.buffers.size:
        report(m, d.BAD_PATCH, -1, 0, argument, now)
        return 0
    if argument >= TRANSLATED_ARGS:
        if plus >= FOLD:
            plus -= FOLD
        else:
            report(m, d.PATCH_NOT_FOLDED, -1, 0, argument, now)
    if plus < 0 or plus >> OFFSET_BITS:
        report(m, d.PATCH_OFFSET, -1, 0, plus, now)
        return 0
    return m.buffers[argument].base + plus


@njit
def pushed_channel_idle(m: Machine, at: int) -> bool:
    """Whether the channel that the push at word `at` goes to has run dry."""
    address = wide(m.words[at + ADDRESS])
    column, row = address >> COLUMN_SHIFT, (address >> ROW_SHIFT) & ROW_MASK
    if row >= ROWS_MODELLED or column >= m.memory.shape[0]:
        return True
    _, number, _ = classify(row, address & OFFSET_MASK, m.memory.shape[1])
    ch = m.channels[(column * ROWS_MODELLED + row) * TILE_CHANNELS + number]
    return ch.task < 0 and ch.phase == IDLE


@njit
def poll(m: Machine, at: int, now: float) -> bool:
    """One read of the MASKPOLL at word `at`: whether the register has the wanted value."""
    m.progress[0].polls += 1
    value, mask = wide(m.words[at + VALUE]), wide(m.words[at + MASK])
    return read32(m, wide(m.words[at + ADDRESS]), now) & mask == value


@njit
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


@njit
def tokens_here(m: Machine, consume: bool) -> bool:
    """Whether every channel that the current wait names has a token; take one of each if told."""
    at = m.ops[m.progress[0].op].offset
    column, row, direction, number, columns, rows = wait_fields(m.words, at)
    first = direction * CHANNEL_SLOTS + number
    if row + rows > ROWS_MODELLED or column + columns > m.memory.shape[0]:
        return False
    if direction > 1 or number >= CHANNEL_SLOTS:
        return False
    for tile_column in range(column, column + columns):
        for tile_row in range(row, row + rows):
            tile = tile_column * ROWS_MODELLED + tile_row
            if m.channels[tile * TILE_CHANNELS + first].tokens == 0:
                return False
    if consume:
        for tile_column in range(column, column + columns):
            for tile_row in range(row, row + rows):
                tile = tile_column * ROWS_MODELLED + tile_row
                m.channels[tile * TILE_CHANNELS + first].tokens -= 1
                m.progress[0].tokens += 1
    return True


def _entry(stamp: int) -> Callable[[Machine, Costs, float], int]:
    @njit(cache=True)
    def entry(m: Machine, costs: Costs, limit: float) -> int:
        return event_loop(m, costs, limit) if stamp else TIMED_OUT

    return entry


run = _entry(SOURCES)
"""`event_loop`, compiled once for these sources and kept on disk."""
