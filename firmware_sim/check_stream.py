# SPDX-License-Identifier: Apache-2.0
"""An instruction stream as the array meets it: register writes and waits in order, as arrays.

`check` and `explain` walk through `events`; what they need of the ops is taken out for all ops at
once, so that long streams cost little.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.fields import WORD_BYTES
from aie2.txn import Opcode
from aie2.txn_ops import (
    ADDRESS_WORD,
    BLOCK_BYTES_WORD,
    DDR_PATCH_ADDRESS_WORD,
    MASK_WORD,
    VALUE_WORD,
)
from aie2.txn_rare_ops import LOADPDI, MERGE_SYNC, UPDATE_REG
from firmware_sim.check_bds import Descriptors, describe
from firmware_sim.check_registers import ALL_BITS, Ints, Places, Registers, classify
from firmware_sim.mmio import BD, CTRL, LOCK, MUX, QUEUE, SWITCH
from firmware_sim.state import BD_SLOTS, BD_WORDS, TILE_CHANNELS, TILES

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


class Event(NamedTuple):
    """Something that the array notices; what the numbers are depends on `what`."""

    op: int
    what: int
    where: int
    """Tile, channel (PUSHED, CONTROLLED) or address (POLLED)."""
    number: int
    """Row in `bds`, switch word, lock; argument of a patch; PDI id."""
    value: int
    mask: int


class Accesses(NamedTuple):
    """Registers that the stream names, by op."""

    op: Ints
    address: Ints
    places: Places
    reads: NDArray[np.bool_]


@dataclass(frozen=True)
class Stream:
    """A stream, taken apart."""

    words: NDArray[np.uint32]
    header: txn.Header
    opcodes: NDArray[np.uint8]
    offsets: Ints
    bds: Descriptors
    """BDs that the configuration has, then those that the stream writes, as each write left it."""
    written: Ints
    """Op that wrote each of them, -1: the configuration."""
    events: list[Event]
    accesses: Accesses


def _expand(
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


def _events_of_words(op: Ints, places: Places, value: Ints, mask: Ints) -> list[NDArray[np.int64]]:
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
        tables.append(_rows(op[here], code, where, number, value[here], mask[here], here))
    return tables


def _rows(op: Ints, code: int, *columns: Any) -> NDArray[np.int64]:
    """Rows of (op, code, where, number, value, mask, order within the op)."""
    return np.stack([np.broadcast_to(column, op.shape) for column in (op, code, *columns)], 1)


def _events_of_ops(
    words: Ints, opcodes: NDArray[np.uint8], offsets: Ints
) -> list[NDArray[np.int64]]:
    """Events of ops that are no plain register writes."""
    tables: list[NDArray[np.int64]] = []

    def ops_of(*kinds: Opcode) -> tuple[Ints, Ints]:
        ops = np.flatnonzero(np.isin(opcodes, kinds))
        return ops, offsets[ops]

    ops, at = ops_of(Opcode.TCT)
    tables.append(_rows(ops, WAITED, 0, 0, words[at + 2], words[at + 3], 0))
    ops, at = ops_of(Opcode.MASKPOLL, Opcode.MASKPOLL_BUSY)
    polled = words[at + ADDRESS_WORD], 0, words[at + VALUE_WORD], words[at + MASK_WORD]
    tables.append(_rows(ops, POLLED, *polled, 0))
    ops, at = ops_of(Opcode.DDR_PATCH)
    argument = words[at + txn.DDR_PATCH_ARG_WORD]
    plus = at + txn.DDR_PATCH_ARG_PLUS_WORD
    offset = words[plus] | words[plus + 1] << 32
    register = words[at + DDR_PATCH_ADDRESS_WORD]
    tables.append(_rows(ops, PATCHED, register, argument, offset, 0, 0))
    ops, at = ops_of(Opcode.UPDATE_REG)
    tables.append(_rows(ops, UPDATED, _field(UPDATE_REG, "address", words, at), 0, 0, 0, 0))
    ops, at = ops_of(Opcode.MERGE_SYNC)
    body = [_field(MERGE_SYNC, name, words, at + 2) for name in ("tokens", "columns")]
    tables.append(_rows(ops, MERGED, 0, 0, *body, 0))
    ops, at = ops_of(Opcode.LOADPDI)
    tables.append(_rows(ops, LOADED, 0, _field(LOADPDI, "pdi_id", words, at), 0, 0, 0))
    return tables


class _Written(NamedTuple):
    """BD writes: (tile, number) and words of each, and which words were given."""

    op: Ints
    tile: Ints
    number: Ints
    words: NDArray[np.uint32]
    masks: NDArray[np.uint32]
    order: Ints


def _written_bds(op: Ints, places: Places, value: Ints, mask: Ints) -> _Written:
    """One entry for each op and BD: the words that it writes."""
    here = np.flatnonzero(places.what == BD)
    key = (op[here] * TILES + places.tile[here]) * BD_SLOTS + places.number[here]
    begins = np.flatnonzero(np.diff(key, prepend=-1))
    row = np.cumsum(np.diff(key, prepend=-1) != 0) - 1
    words = np.zeros((begins.size, BD_WORDS), np.uint32)
    masks = np.zeros((begins.size, BD_WORDS), np.uint32)
    words[row, places.word[here]] = value[here]
    masks[row, places.word[here]] = mask[here]
    first = here[begins]
    return _Written(op[first], places.tile[first], places.number[first], words, masks, first)


class _Bases(NamedTuple):
    """BDs of the configurations: epoch, tile, number, words."""

    epoch: Ints
    tile: Ints
    number: Ints
    words: NDArray[np.uint32]


def _bases(epochs: list[Registers]) -> _Bases:
    keys = [(epoch, *key) for epoch, registers in enumerate(epochs) for key in registers.bds]
    table = np.array(keys, np.int64).reshape(-1, 3)
    words = [each for registers in epochs for each in registers.bds.values()]
    stacked = np.stack(words) if words else np.zeros((0, BD_WORDS), np.uint32)
    return _Bases(table[:, 0], table[:, 1], table[:, 2], stacked)


def _complete(bases: _Bases, written: _Written, epoch: Ints) -> NDArray[np.uint32]:
    """Words of all BDs, those that a write leaves as they were taken from the BD before it."""
    words = np.concatenate([bases.words, written.words])
    masks = np.concatenate([np.full_like(bases.words, ALL_BITS), written.masks])
    key = np.concatenate([_key(*bases[:3]), _key(epoch, written.tile, written.number)])
    partial = np.flatnonzero((masks != ALL_BITS).any(1))
    if partial.size:
        order = np.argsort(key, kind="stable")
        same = np.diff(key[order], prepend=-1) == 0
        before = np.full(key.size, -1)
        before[order[same]] = order[np.flatnonzero(same) - 1]
        for row in partial.tolist():
            old = words[before[row]] if before[row] >= 0 else 0
            words[row] = old & ~masks[row] | words[row] & masks[row]
    return words


def _key(epoch: Ints, tile: Ints, number: Ints) -> Ints:
    return (epoch * TILES + tile) * BD_SLOTS + number


def read_stream(
    words: NDArray[np.uint32], base: Registers, others: Mapping[int, Registers]
) -> Stream:
    """Take a version 0.1 stream apart, for a design that begins as `base`.

    Raises:
        aie2.errors.TxnError: the stream is truncated or malformed.
    """
    opcodes, offsets = txn.index(words)
    op, address, value, mask = _expand(words, opcodes, offsets)
    places = classify(address, base.columns)
    wide = words.astype(np.int64)
    tables = _events_of_words(op, places, value, mask)
    tables += _events_of_ops(wide, opcodes, offsets)
    loads = tables[-1]
    epochs = [base, *(others.get(int(pdi), Registers(base.columns)) for pdi in loads[:, 3])]
    bases, written = _bases(epochs), _written_bds(op, places, value, mask)
    epoch = np.searchsorted(loads[:, 0], written.op)
    all_words = _complete(bases, written, epoch)
    bds = describe(
        np.concatenate([bases.tile, written.tile]),
        np.concatenate([bases.number, written.number]),
        all_words,
        base.columns,
    )
    rows = np.arange(written.op.size) + bases.tile.size
    tables.append(_rows(written.op, DESCRIBED, written.tile, rows, 0, 0, written.order))
    starts = np.concatenate([[-1], loads[:, 0]])[bases.epoch]
    early = _rows(starts, DESCRIBED, bases.tile, np.arange(bases.tile.size), 0, 0, -1)
    early[:, 6] = np.where(starts < 0, 0, 1)
    tables.append(early)
    return Stream(
        words,
        txn.read_header(words),
        opcodes,
        offsets,
        bds,
        np.concatenate([starts, written.op]),
        _in_order(tables),
        _accesses(wide, opcodes, offsets, op, address, places, base.columns),
    )


def _in_order(tables: list[NDArray[np.int64]]) -> list[Event]:
    table = np.concatenate(tables)
    table = table[np.lexsort((table[:, 6], table[:, 0]))]
    return list(map(Event._make, table[:, :6].tolist()))


def _accesses(
    words: Ints,
    opcodes: NDArray[np.uint8],
    offsets: Ints,
    op: Ints,
    address: Ints,
    places: Places,
    columns: int,
) -> Accesses:
    """Registers that are written, then patched ones, then those that are read."""
    patches = np.flatnonzero(opcodes == Opcode.DDR_PATCH)
    polls = np.flatnonzero(np.isin(opcodes, (Opcode.MASKPOLL, Opcode.MASKPOLL_BUSY)))
    others = np.flatnonzero(opcodes == Opcode.READ_REGS).tolist()
    read = [
        (each, int(offsets[each]) + 4 + 2 * n)
        for each in others
        for n in _counted(words, offsets, each)
    ]
    more = np.array(list(chain.from_iterable(read)), np.int64).reshape(-1, 2)
    ops = np.concatenate([patches, polls, more[:, 0]])
    named = np.concatenate(
        [
            words[offsets[patches] + DDR_PATCH_ADDRESS_WORD],
            words[offsets[polls] + ADDRESS_WORD],
            words[more[:, 1]],
        ]
    )
    extra = classify(named, columns)
    reads = np.concatenate(
        [np.zeros(op.size + patches.size, bool), np.ones(polls.size + len(more), bool)]
    )
    joined = Places(*(np.concatenate(pair) for pair in zip(places, extra, strict=True)))
    return Accesses(np.concatenate([op, ops]), np.concatenate([address, named]), joined, reads)


def _counted(words: Ints, offsets: Ints, op: int) -> range:
    return range(int(words[offsets[op] + 2]))
