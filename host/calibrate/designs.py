# SPDX-License-Identifier: Apache-2.0
"""What is loaded to be measured: shipped passthroughs, also such that only read or only write.

A passthrough writes back what it reads. Where its memtile channels that receive take no locks, the
words that come in overwrite each other and nothing need be written back: reads alone. Where those
that send take none, whatever lies in the memtile goes out for ever: writes alone. Both are the
shipped configuration with other words in those BDs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from aie2 import cdo, pdi, xclbin
from aie2.bd_registers import MEMTILE_BD
from aie2.dma_registers import MEMTILE_DMA, MEMTILE_QUEUE, Direction
from aie2.fields import WORD_BYTES
from aie2.tiles import address
from iron_designs.shipped import Shipped, select

Moves = Literal["copy", "read", "write"]

FREED: dict[Moves, Direction] = {"read": Direction.S2MM, "write": Direction.MM2S}
"""Which of the memtile's channels take no locks, in designs that are no passthrough any more."""
MEMTILE_ROW = 1
FIRST_DATA_WORD = {cdo.CommandId.DMA_WRITE: 2, cdo.CommandId.WRITE: 1}
"""Words of a configuration command before the values that it writes; the last of them is the
address."""


@dataclass(frozen=True, slots=True, order=True)
class Design:
    """A shipped passthrough, as it is or with one half freed of its locks."""

    shipped: Shipped
    moves: Moves = "copy"

    @property
    def name(self) -> str:
        """What reports call it."""
        one = self.shipped
        return f"{self.moves} {one.columns} x {one.channels}, objects of {one.object_bytes}"

    @property
    def object_words(self) -> int:
        """Words of a fifo object: what a lane moves is a multiple of it."""
        return self.shipped.object_bytes // WORD_BYTES

    @property
    def lanes(self) -> tuple[tuple[int, int], ...]:
        """(column, channel) pairs, channel after channel, so that the first use all columns."""
        one = self.shipped
        return tuple((column, k) for k in range(one.channels) for column in range(one.columns))

    def xclbin(self) -> bytes:
        """The container, ready to be loaded."""
        data = self.shipped.read()
        if self.moves == "copy":
            return data
        return without_locks(data, FREED[self.moves], self.lanes)


def design(
    device: str, columns: int, channels: int, object_bytes: int, moves: Moves = "copy"
) -> Design:
    """The design for so many columns and channels; DesignError if none is shipped."""
    return Design(select(device, columns, object_bytes, channels, object_bytes), moves)


@lru_cache(maxsize=8)
def without_locks(data: bytes, direction: Direction, lanes: Sequence[tuple[int, int]]) -> bytes:
    """An xclbin whose memtile channels of `direction` neither acquire nor release locks."""
    partition = xclbin.read(data).partition
    image = pdi.read(partition.pdis[0].image)
    old = cdo.read(image.cdo)
    values = dict(zip(*(each.tolist() for each in cdo.register_writes(old)[:2]), strict=True))
    changed: dict[int, int] = {}
    for column, channel in lanes:
        changed |= _freed_chain(values, column, direction, channel)
    commands = tuple(_with_values(command, changed) for command in old.commands)
    freed = replace(image, cdo=cdo.write(cdo.Cdo(old.version, commands)))
    return xclbin.build(
        pdi.write(freed),
        column_width=partition.column_width,
        start_columns=partition.start_columns,
    )


def _freed_chain(
    values: dict[int, int], column: int, direction: Direction, channel: int
) -> dict[int, int]:
    """Register values, by address, of the chain that a memtile channel starts with, lock-free."""

    def at(offset: int) -> int:
        return address(column, MEMTILE_ROW, offset)

    queue = values[at(MEMTILE_DMA.queue_address(direction, channel))]
    bd = MEMTILE_QUEUE.decode([queue])["start_bd_id"]
    changed: dict[int, int] = {}
    while True:
        first = at(MEMTILE_DMA.bd_address(bd))
        if first in changed:
            return changed
        places = [first + WORD_BYTES * word for word in range(MEMTILE_BD.words)]
        fields = MEMTILE_BD.decode([values[place] for place in places])
        bd = fields["next_bd"]
        free = MEMTILE_BD.encode(**fields | {"lock_acq_enable": 0, "lock_rel_value": 0})
        changed |= dict(zip(places, free.tolist(), strict=True))


def _with_values(command: cdo.Command, changed: dict[int, int]) -> cdo.Command:
    """The command with what `changed` says, by address, in place of what it writes."""
    start = FIRST_DATA_WORD.get(cdo.CommandId(command.id))
    if start is None:
        return command
    first, data = command.payload[start - 1], command.payload[start:]
    words = (changed.get(first + WORD_BYTES * place, word) for place, word in enumerate(data))
    return cdo.Command(command.id, (*command.payload[:start], *words), command.offset)
