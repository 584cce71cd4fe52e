# SPDX-License-Identifier: Apache-2.0
"""Ops of a stream as tables of numbers: register words written, pushes, patches and waits.

`check_stream` puts them in order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.fields import WORD_BYTES
from aie2.registers import SHIM_BD
from aie2.txn import Opcode
from aie2.txn_ops import (
    ADDRESS_WORD,
    BLOCK_BYTES_WORD,
    DDR_PATCH_ADDRESS_WORD,
    MASK_WORD,
    VALUE_WORD,
)
from aie2.txn_rare_ops import LOADPDI, MERGE_SYNC, UPDATE_REG
from firmware_sim.array.mmio import BD, CTRL, LOCK, MUX, QUEUE, STATUS, SWITCH
from firmware_sim.array.state import BD_SLOTS, NONE, ROWS, TILE_CHANNELS
from firmware_sim.check.registers import ALL_BITS, Ints, Places, classify

(
    LOADED,
    DESCRIBED,
    PATCHED,
    PUSHED,
    CONTROLLED,
    LOCKED,
    SWITCHED,
    MUXED,
    WAITED,
    POLLED,
    MERGED,
    UPDATED,
) = range(12)
"""What an event is: a configuration was loaded, a BD written, patched or pushed, a control, lock,
switch or mux register written, or the controller waits."""

_ADDRESS = SHIM_BD.field("base_address_low").word


def expand(
    words: NDArray[np.uint32], opcodes: NDArray[np.uint8], offsets: Ints
) -> tuple[Ints, Ints, Ints, Ints]:
    """(op, address, value, mask) of every register word that the stream writes, in order."""
    writes = np.isin(opcodes, (Opcode.WRITE, Opcode.MASKWRITE, Opcode.BLOCKWRITE))
    ops = np.flatnonzero(writes)
    at, kinds = offsets[ops], opcodes[ops]
    block = kinds == Opcode.BLOCKWRITE
    wide = words.astype(np.int64)
    block_words = wide[at + BLOCK_BYTES_WORD] // WORD_BYTES - txn.BLOCK_WRITE_HEADER_WORDS
    counts = np.where(block, block_words, 1)
    begins = np.cumsum(counts) - counts
    index = np.arange(int(counts.sum())) - np.repeat(begins, counts)
    payload = np.where(block, txn.BLOCK_WRITE_HEADER_WORDS, VALUE_WORD)
    value = wide[np.repeat(at + payload, counts) + index]
    address = np.repeat(wide[at + ADDRESS_WORD], counts) + WORD_BYTES * index
    masked = kinds == Opcode.MASKWRITE
    mask = np.full(ops.size, ALL_BITS)
    mask[masked] = wide[at[masked] + MASK_WORD]
    return np.repeat(ops, counts), address, value, np.repeat(mask, counts)


def _field(layout: Any, name: str, words: Ints, at: Ints) -> Ints:
    entry = layout.field(name)
    return words[at + entry.word] >> entry.lsb & entry.mask


def events_of_words(op: Ints, places: Places, value: Ints, mask: Ints) -> list[NDArray[np.int64]]:
    """Events of single register words: everything but BDs."""
    tables: list[NDArray[np.int64]] = []
    for what, code in (
        (QUEUE, PUSHED),
        (CTRL, CONTROLLED),
        (LOCK, LOCKED),
        (SWITCH, SWITCHED),
        (MUX, MUXED),
    ):
        here = np.flatnonzero(places.what == what)
        number = places.number[here]
        where = places.tile[here]
        if code in (PUSHED, CONTROLLED):
            where = where * TILE_CHANNELS + number
        tables.append(events_table(op[here], code, where, number, value[here], mask[here], here))
    return tables


def events_table(op: Ints, code: int, *columns: Any) -> NDArray[np.int64]:
    """Rows of (op, code, where, number, value, mask, order within the op)."""
    return np.stack([np.broadcast_to(column, op.shape) for column in (op, code, *columns)], 1)


def events_of_ops(
    words: Ints, opcodes: NDArray[np.uint8], offsets: Ints, columns: int
) -> list[NDArray[np.int64]]:
    """Events of ops that are no plain register writes."""
    tables: list[NDArray[np.int64]] = []

    def ops_of(*kinds: Opcode) -> tuple[Ints, Ints]:
        ops = np.flatnonzero(np.isin(opcodes, kinds))
        return ops, offsets[ops]

    ops, at = ops_of(Opcode.TCT)
    tables.append(events_table(ops, WAITED, 0, 0, words[at + 2], words[at + 3], 0))
    ops, at = ops_of(Opcode.MASKPOLL, Opcode.MASKPOLL_BUSY)
    polled = words[at + ADDRESS_WORD]
    places = classify(polled, columns)
    channel = np.where(places.what == STATUS, places.tile * TILE_CHANNELS + places.number, NONE)
    wanted = words[at + VALUE_WORD], words[at + MASK_WORD]
    tables.append(events_table(ops, POLLED, channel, polled, *wanted, 0))
    ops, at = ops_of(Opcode.DDR_PATCH)
    argument, offset = (
        words[at + place] | words[at + place + 1] << 32
        for place in (txn.DDR_PATCH_ARG_WORD, txn.DDR_PATCH_ARG_PLUS_WORD)
    )
    register = words[at + DDR_PATCH_ADDRESS_WORD]
    where = _patched_bd(register, columns)
    tables.append(events_table(ops, PATCHED, where, argument, offset, register, 0))
    ops, at = ops_of(Opcode.UPDATE_REG)
    tables.append(events_table(ops, UPDATED, _field(UPDATE_REG, "address", words, at), 0, 0, 0, 0))
    ops, at = ops_of(Opcode.MERGE_SYNC)
    body = [_field(MERGE_SYNC, name, words, at + 2) for name in ("tokens", "columns")]
    tables.append(events_table(ops, MERGED, 0, 0, *body, 0))
    ops, at = ops_of(Opcode.LOADPDI)
    tables.append(events_table(ops, LOADED, 0, _field(LOADPDI, "pdi_id", words, at), 0, 0, 0))
    return tables


def _patched_bd(register: Ints, columns: int) -> Ints:
    """Tile * BD_SLOTS + BD whose address word a register is; NONE: it is none of a shim."""
    places = classify(register, columns)
    right = (places.what == BD) & (places.word == _ADDRESS) & (places.tile % ROWS == 0)
    return np.where(right, places.tile * BD_SLOTS + places.number, NONE)
