# SPDX-License-Identifier: Apache-2.0
"""An instruction stream as the array meets it: register writes and waits in order, as arrays.

`check` and `explain` walk through `events`; what they need of the ops is taken out for all ops at
once, so that long streams cost little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import chain
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.txn import Opcode
from aie2.txn_ops import (
    ADDRESS_WORD,
    DDR_PATCH_ADDRESS_WORD,
)
from firmware_sim.array.mmio import BD
from firmware_sim.array.state import BD_SLOTS, BD_WORDS, NONE, TILES
from firmware_sim.check.bds import Descriptors, describe
from firmware_sim.check.ops import (
    DESCRIBED,
    events_of_ops,
    events_of_words,
    events_table,
    expand,
)
from firmware_sim.check.registers import ALL_BITS, Ints, Places, Registers, classify


class Event(NamedTuple):
    """Something that the array notices; what the numbers are depends on `what`."""

    op: int
    what: int
    where: int
    """Tile; channel (PUSHED, CONTROLLED; POLLED, NONE: no status); tile * BD_SLOTS + BD (PATCHED,
    NONE: no address word of a BD)."""
    number: int
    """Row in `bds`, switch word, lock; argument of a patch; PDI id; address (POLLED)."""
    value: int
    """Value, offset of a patch, first word of a token wait's body, epoch (LOADED; NONE: no such
    PDI)."""
    mask: int
    """Mask, address of a patch, second word of a token wait's body."""


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
    configured: int
    """How many of them are the configurations'."""
    events: list[Event]
    accesses: Accesses
    epochs: list[Registers]
    """The configuration as it begins, then each that the stream loads."""


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
    words: NDArray[np.uint32], base: Registers, others: Mapping[int, Callable[[], Registers]]
) -> Stream:
    """Take a version 0.1 stream apart, for a design that begins as `base`.

    Raises:
        aie2.errors.TxnError: the stream is truncated or malformed.
    """
    opcodes, offsets = txn.index(words)
    op, address, value, mask = expand(words, opcodes, offsets)
    places = classify(address, base.columns)
    wide = words.astype(np.int64)
    tables = events_of_words(op, places, value, mask)
    tables += events_of_ops(wide, opcodes, offsets, base.columns)
    loads, epochs = _loads(tables[-1], others)
    epochs = [base, *epochs]
    bases, written = _bases(epochs), _written_bds(op, places, value, mask)
    epoch = np.searchsorted(loads[:, 0], written.op)
    all_words = _complete(bases, written, epoch)
    bds = describe(
        np.concatenate([bases.tile, written.tile]),
        np.concatenate([bases.number, written.number]),
        all_words,
        base.columns,
    )
    return Stream(
        words,
        txn.read_header(words),
        opcodes,
        offsets,
        bds,
        bases.tile.size,
        _in_order([*tables, *_descriptions(bases, written, loads[:, 0])]),
        _accesses(wide, opcodes, offsets, op, address, places, base.columns),
        epochs,
    )


def _descriptions(bases: _Bases, written: _Written, loads: Ints) -> list[NDArray[np.int64]]:
    """DESCRIBED events: those of a configuration come right after it was loaded."""
    configured = bases.tile.size
    rows = np.arange(configured + written.op.size)
    starts = np.concatenate([[NONE], loads])[bases.epoch]
    early = events_table(starts, DESCRIBED, bases.tile, rows[:configured], 0, 0, 1)
    later = rows[configured:]
    return [
        early,
        events_table(written.op, DESCRIBED, written.tile, later, 0, 0, written.order),
    ]


def _loads(
    table: NDArray[np.int64], others: Mapping[int, Callable[[], Registers]]
) -> tuple[NDArray[np.int64], list[Registers]]:
    """LOADED events whose PDI is there, and its registers; each event learns its epoch."""
    known = np.array([int(pdi) in others for pdi in table[:, 3]], bool)
    table[:, 4] = np.where(known, np.cumsum(known), NONE)
    return table[known], [others[int(pdi)]() for pdi in table[known, 3]]


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
