# SPDX-License-Identifier: Apache-2.0
"""What a firmware image hands to the controller model: TXN ops, and what each of them costs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.devices import Device
from aie2.registers import MEMTILE_DMA, SHIM_DMA, Direction, DmaMap
from aie2.tiles import COLUMN_SHIFT, ROW_SHIFT
from firmware_sim.array.state import OP
from firmware_sim.calibration import Costs


@dataclass(frozen=True)
class Context:
    """What an image can see: the stream, the machine it runs on, and memory."""

    words: NDArray[np.uint32]
    """The TXN stream as the host submitted it."""
    device: Device
    columns: int
    """Columns of the partition."""
    object_bytes: int
    """Bytes that a memtile takes in before it passes them on, from its BD registers."""
    costs: Costs
    read_tile: Callable[[int, int, int, int], NDArray[np.uint8]]
    """(column, row, offset, bytes) -> bytes of tile memory."""
    read_argument: Callable[[int, int, int], NDArray[np.uint8]]
    """(argument, offset, bytes) -> bytes of a host buffer."""
    memtile_buffers: Callable[[int, int], list[tuple[int, int]]]
    """(column, row) -> byte spans (first, end) that the memtile's BDs move."""


@dataclass(frozen=True)
class Script:
    """Ops that the controller executes, in order, as words of a TXN stream."""

    words: NDArray[np.uint32]
    ops: NDArray[Any]
    """Records of dtype `firmware_sim.array.state.OP`."""
    tail_cycles: float = 0.0
    """Cycles that the image still spends after its last op."""
    notes: tuple[str, ...] = ()
    work_cycles: float = 0.0
    """Cycles of work of the image's own beside the ops; `work_left` of an op says how much of it
    may be left to do when the op is taken up. The last op must leave none."""
    work_slice: float = 0.0
    """Cycles of that work between two looks at tokens or a poll that the image waits for; 0: it
    does none while it waits."""


class Firmware(Protocol):
    """A firmware image."""

    @property
    def name(self) -> str:
        """Name of the image, as results carry it."""
        ...

    def script(self, context: Context) -> Script:
        """Ops and costs for the stream in `context`."""
        ...


class OpCosts(NamedTuple):
    """Cycles per kind of op of one firmware image."""

    write: float
    block_write: float
    block_write_word: float
    mask_write: float
    patch: float
    push_busy: float
    push_idle: float
    wait_first: float
    wait_each: float
    poll: float
    other: float


def _queue_addresses(dma: DmaMap, row: int) -> list[int]:
    count = {Direction.S2MM: dma.s2mm_channels, Direction.MM2S: dma.mm2s_channels}
    return [
        (row << ROW_SHIFT) | dma.queue_address(direction, channel)
        for direction, channels in count.items()
        for channel in range(channels)
    ]


QUEUES = np.array(_queue_addresses(SHIM_DMA, 0) + _queue_addresses(MEMTILE_DMA, 1))
"""Task-queue registers of column 0."""
WITHIN_COLUMN = (1 << COLUMN_SHIFT) - 1


def pushes(words: NDArray[np.uint32], ops: NDArray[Any]) -> NDArray[np.bool_]:
    """Which ops of a stream are task-queue pushes."""
    found = ops["opcode"] == txn.Opcode.WRITE
    found[found] = np.isin(words[ops["offset"][found] + 2] & WITHIN_COLUMN, QUEUES)
    return found


def priced(
    words: NDArray[np.uint32], table: OpCosts, *, before: float = 0.0, notes: tuple[str, ...] = ()
) -> Script:
    """Script that executes every op of `words` at the costs of `table`, after `before` cycles."""
    opcodes, offsets = txn.index(words)
    ops = np.zeros(opcodes.size, OP)
    ops["opcode"], ops["offset"] = opcodes, offsets
    cost = np.full(opcodes.size, table.other)
    simple = {
        txn.Opcode.WRITE: table.write,
        txn.Opcode.MASKWRITE: table.mask_write,
        txn.Opcode.DDR_PATCH: table.patch,
        txn.Opcode.TCT: table.wait_each,
        txn.Opcode.MASKPOLL: table.poll,
        txn.Opcode.MASKPOLL_BUSY: table.poll,
    }
    for opcode, cycles in simple.items():
        cost[opcodes == opcode] = cycles
    blocks = opcodes == txn.Opcode.BLOCKWRITE
    payload = words[offsets[blocks] + 3] // 4 - txn.BLOCK_WRITE_HEADER_WORDS
    cost[blocks] = table.block_write + table.block_write_word * payload
    is_push = pushes(words, ops)
    cost[is_push] = table.push_busy
    waits = np.flatnonzero(opcodes == txn.Opcode.TCT)
    cost[waits[:1]] += table.wait_first
    idle = np.where(is_push, table.push_idle, cost)
    ops["before"][:1] = before
    ops["cost"], ops["idle_cost"] = cost, idle
    return Script(words, ops, 0.0 if ops.size else before, notes)
