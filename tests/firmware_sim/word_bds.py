# SPDX-License-Identifier: Apache-2.0
"""What a BD's registers mean, for the word-by-word model: which words, where, under which locks.

Written from the register tables and their public descriptions (AM020, AM025, aie-rt), not from the
simulator; slow and plain.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from aie2.control_packets import PACKET_HEADER
from aie2.registers import LOCKS, DmaMap
from aie2.tiles import TileKind, kind

Tile = tuple[int, int]
Lock = tuple[Tile, int]
Fields = dict[str, int]

MEMORY_BYTES = {TileKind.SHIM: 0, TileKind.MEMTILE: 0x80000, TileKind.CORE: 0x10000}
NEIGHBOURS = (-1, 0, 1)
"""Memtiles whose memory and locks a memtile's BD can name, in order of their addresses."""
REACHING_CHANNELS = 4
"""Memtile channels per direction that reach neighbours; the others only their own tile."""


@dataclass(frozen=True)
class Queued:
    """A word of a task queue."""

    start: int
    repeat: int
    token: bool


def queued(dma: DmaMap, word: int) -> Queued:
    """A queue word taken apart."""
    fields = dma.queue.decode([word])
    return Queued(fields["start_bd_id"], fields["repeat_count"], bool(fields["enable_token_issue"]))


def places(fields: Fields, sends: bool) -> Iterator[int | None]:
    """Byte offset from the base of every stream word; None: a word of padding.

    Dimension within dimension: padding before, as often as the wrap says the dimension below, and
    padding after; a dimension without wrap goes on for ever. The length ends it all.
    """
    wraps = [fields.get(f"d{n}_wrap", 0) for n in range(3)] + [0]
    steps = [fields.get(f"d{n}_stepsize", 0) + 1 for n in range(4)]
    before = [fields.get(f"d{n}_zero_before", 0) * sends for n in range(3)] + [0]
    after = [fields.get(f"d{n}_zero_after", 0) * sends for n in range(3)] + [0]

    def padded_size(dimension: int) -> int:
        if dimension < 0:
            return 1
        elements = before[dimension] + wraps[dimension] + after[dimension]
        return elements * padded_size(dimension - 1)

    def walk(dimension: int, offset: int) -> Iterator[int | None]:
        if dimension < 0:
            yield offset
            return
        below = padded_size(dimension - 1)
        yield from [None] * (before[dimension] * below)
        wrap = wraps[dimension]
        for element in range(wrap) if wrap else count():
            yield from walk(dimension - 1, offset + 4 * element * steps[dimension])
        yield from [None] * (after[dimension] * below)

    return islice(walk(3, 0), fields["buffer_length"])


def base(tile: Tile, fields: Fields) -> int:
    """Byte address of a BD without its iteration."""
    if kind(tile[1]) is TileKind.SHIM:
        return fields["base_address_high"] << 32 | fields["base_address_low"] << 2
    return fields["base_address"] * 4


def iteration(fields: Fields) -> tuple[int, int]:
    """Bytes that the iteration adds now, and where it stands the next time."""
    now, last = fields["iteration_current"], fields["iteration_wrap"]
    following = (0 if now == last else now + 1) if last else now
    return now * (fields["iteration_stepsize"] + 1) * 4, following


def memory_at(tile: Tile, channel: int, place: int, columns: int) -> tuple[Tile, int] | None:
    """Tile and byte behind a DMA address of a memtile or core tile; None: there is none."""
    size = MEMORY_BYTES[kind(tile[1])]
    if kind(tile[1]) is TileKind.CORE:
        return (tile, place) if place < size else None
    part, inside = divmod(place, size)
    if part >= len(NEIGHBOURS):
        return None
    column = tile[0] + NEIGHBOURS[part]
    reached = column == tile[0] or channel < REACHING_CHANNELS
    return ((column, tile[1]), inside) if 0 <= column < columns and reached else None


def lock_of(tile: Tile, channel: int, number: int, columns: int) -> Lock | None:
    """Lock that a BD names; None: its channel reaches no such lock."""
    if kind(tile[1]) is not TileKind.MEMTILE:
        return tile, number
    part, index = divmod(number, LOCKS[TileKind.MEMTILE].count)
    if part >= len(NEIGHBOURS):
        return None
    column = tile[0] + NEIGHBOURS[part]
    reached = column == tile[0] or channel < REACHING_CHANNELS
    return ((column, tile[1]), index) if 0 <= column < columns and reached else None


def fault(tile: Tile, channel: int, number: int, fields: Fields, columns: int) -> str | None:
    """Name of what keeps a channel from running a BD."""
    if not fields["valid_bd"]:
        return "bd-invalid"
    if fields["buffer_length"] == 0:
        return "bd-empty"
    if fields.get("enable_compression"):
        return "bd-feature"
    if kind(tile[1]) is TileKind.MEMTILE and number // 24 != channel % 2:
        return "bd-parity"
    named = [fields["lock_acq_id"]] if fields["lock_acq_enable"] else []
    named += [fields["lock_rel_id"]] if fields["lock_rel_value"] else []
    if any(lock_of(tile, channel, lock, columns) is None for lock in named):
        return "bd-field"
    beyond = fields["iteration_current"] > fields["iteration_wrap"] > 0
    return "bd-field" if beyond else None


def odd_parity(word: int) -> int:
    """The word with bit 31 chosen so that it has an odd number of ones."""
    return word if word.bit_count() % 2 else word | 1 << 31


def made_header(tile: Tile, fields: Fields) -> int:
    """Header word that a DMA makes from its BD."""
    known = ("packet_id", "packet_type", "out_of_order_id")
    header = {name: fields[name] for name in known}
    header |= {"source_row": tile[1], "source_column": tile[0]}
    return odd_parity(int(PACKET_HEADER.encode(**header)[0]))
