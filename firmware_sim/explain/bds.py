# SPDX-License-Identifier: Apache-2.0
"""One BD as an engineer reads it: which memory, which pattern, which locks."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from aie2.fields import WORD_BYTES
from aie2.registers import DMA
from aie2.tiles import TileKind, kind
from firmware_sim.array.bd_registers import ADDRESS_LOW_SHIFT
from firmware_sim.array.state import LOCK_SLOTS, MEMTILE, ROWS, tile_name
from firmware_sim.check.registers import MEMORY_BYTES
from firmware_sim.explain.facts import Bd, Dimension, Iteration, LockUse, Packet

HOST, NOWHERE = "host", "nowhere"
DIMENSIONS = 4


def read_bd(tile: int, number: int, words: NDArray[np.uint32], columns: int) -> Bd:
    """The BD that these registers hold."""
    layout = DMA[kind(tile % ROWS)].bd
    fields = layout.decode(words[: layout.words])
    memory, address = _place(tile, fields, columns)
    return Bd(
        bd=number,
        valid=bool(fields["valid_bd"]),
        words=fields["buffer_length"],
        memory=memory,
        address=address,
        dimensions=_dimensions(fields),
        iteration=_iteration(fields),
        acquires=_acquired(tile, fields),
        releases=_released(tile, fields),
        packet=_packet(fields),
        next=fields["next_bd"] if fields["use_next_bd"] else None,
        suppresses_tlast=bool(fields["tlast_suppress"]),
        compressed=bool(fields.get("enable_compression")),
    )


def _place(tile: int, fields: Mapping[str, int], columns: int) -> tuple[str, int]:
    if "base_address" not in fields:
        low = fields["base_address_low"] << ADDRESS_LOW_SHIFT
        return HOST, fields["base_address_high"] << 32 | low
    address, size = fields["base_address"] * WORD_BYTES, MEMORY_BYTES[kind(tile % ROWS)]
    if tile % ROWS == MEMTILE:
        side, address = divmod(address, size)
        tile += (side - 1) * ROWS
    inside = 0 <= tile < columns * ROWS and address < size
    return (tile_name(*divmod(tile, ROWS)) if inside else NOWHERE), address


def _dimensions(fields: Mapping[str, int]) -> tuple[Dimension, ...]:
    """Dimensions in use, innermost first; those that follow each other without a gap as one."""
    left, found = fields["buffer_length"], list[Dimension]()
    for number in range(DIMENSIONS):
        step = fields.get(f"d{number}_stepsize")
        if step is None or (found and left <= 1):
            break
        wrap = fields.get(f"d{number}_wrap", 0)
        before, after = (fields.get(f"d{number}_zero_{side}", 0) for side in ("before", "after"))
        size = wrap or max(left - before - after, 0)
        left = -(-left // max(wrap + before + after, 1)) if wrap else 1
        found.append(Dimension(size, step + 1, before, after))
    return _joined(found)


def _joined(dimensions: list[Dimension]) -> tuple[Dimension, ...]:
    joined = dimensions[:1]
    for outer in dimensions[1:]:
        inner = joined[-1]
        padded = inner.pad_before or inner.pad_after or outer.pad_before or outer.pad_after
        if not padded and outer.step_words == inner.size * inner.step_words:
            joined[-1] = Dimension(inner.size * outer.size, inner.step_words)
        else:
            joined.append(outer)
    return tuple(joined)


def _iteration(fields: Mapping[str, int]) -> Iteration | None:
    wrap, step, current = (fields[f"iteration_{n}"] for n in ("wrap", "stepsize", "current"))
    return Iteration(wrap + 1, step + 1, current) if wrap else None


def _lock(tile: int, number: int) -> tuple[str, int]:
    """(tile, index) of a lock by its number in a BD."""
    if kind(tile % ROWS) is TileKind.MEMTILE:
        side, number = divmod(number, LOCK_SLOTS)
        tile += (side - 1) * ROWS
    return (tile_name(*divmod(tile, ROWS)) if tile >= 0 else NOWHERE), number


def _acquired(tile: int, fields: Mapping[str, int]) -> LockUse | None:
    if not fields["lock_acq_enable"]:
        return None
    value = fields["lock_acq_value"]
    return LockUse(*_lock(tile, fields["lock_acq_id"]), abs(value), value >= 0)


def _released(tile: int, fields: Mapping[str, int]) -> LockUse | None:
    if not fields["lock_rel_value"]:
        return None
    return LockUse(*_lock(tile, fields["lock_rel_id"]), fields["lock_rel_value"])


def _packet(fields: Mapping[str, int]) -> Packet | None:
    if not fields["enable_packet"]:
        return None
    return Packet(fields["packet_id"], fields["packet_type"], fields["out_of_order_id"])
