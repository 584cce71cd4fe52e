# SPDX-License-Identifier: Apache-2.0
"""Instruction streams whose time is a sum: while ops are written, what they cost is counted.

A `Tape` holds ops and their terms: how often each timing constant is part of the time. `repeat`
makes a stream of a head and a body that is run many times. Every op is safe on silicon: plain ops
go to a BD that no task uses, BDs in use are written once, before their first task.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.devices import Device
from aie2.dma_registers import CHANNEL_CTRL, CHANNEL_STATUS, SHIM_BD, SHIM_DMA, SHIM_QUEUE
from aie2.dma_registers import Direction as Direction
from aie2.fields import WORD_BYTES
from aie2.tiles import address
from bdgen.stencils import AXCACHE, CONTROLLER_ID_BITS, SHIM_CONTROLLER_ID

Terms = Mapping[str, float]
"""How often each constant is part of a stream's time, by its name in the calibration files."""

ARGUMENT = {Direction.MM2S: 0, Direction.S2MM: 1}
"""Host buffers: rows are read from the first and written to the second."""
SPARE_BD = SHIM_DMA.bd_count - 1
"""The BD that plain ops write to; a stream that has a task on it holds no such op."""

INNER_WORDS = 512
"""Innermost words of a run that is longer than that: a multiple of it."""


@dataclass(frozen=True, slots=True)
class Bd:
    """A shim BD in host memory: words of 32 bits, byte offset in its buffer, and its shape."""

    number: int
    words: int
    at: int = 0
    following: int | None = None
    run_words: int = 0
    """Words of each of equal runs; 0: one run."""
    stride_words: int = 0
    """Words from the start of a run to the start of the next."""
    address: int = 0
    """Device address, in a BD that is not patched."""

    def encode(self, npu: Device) -> tuple[int, ...]:
        """Its register words."""
        fields = {"buffer_length": self.words, "valid_bd": 1, "axcache": AXCACHE}
        fields |= {"burst_length": npu.burst_code}
        if self.following is not None:
            fields |= {"use_next_bd": 1, "next_bd": self.following}
        if self.run_words:
            fields |= self._runs()
        if self.address:
            low = SHIM_BD.field("base_address_low")
            fields["base_address_low"] = (self.address >> low.shift) & low.mask
            fields["base_address_high"] = self.address >> 32
        return tuple(int(word) for word in SHIM_BD.encode(**fields))

    def _runs(self) -> dict[str, int]:
        """Fields of its runs: the innermost dimension has 10 bits, so a long run takes two.

        Steps are register values: one less than the step.
        """
        step = self.stride_words - 1
        if self.run_words <= INNER_WORDS:
            return {"d0_wrap": self.run_words, "d1_stepsize": step}
        inner = {"d0_wrap": INNER_WORDS, "d1_wrap": self.run_words // INNER_WORDS}
        return inner | {"d1_stepsize": INNER_WORDS - 1, "d2_stepsize": step}


@dataclass
class Tape:
    """Ops in order, and what they cost."""

    npu: Device
    ops: list[txn.Op] = field(default_factory=list[txn.Op])
    terms: Counter[str] = field(default_factory=Counter[str])

    def visible(self, **terms: float) -> None:
        """Count time that the controller waits for: latencies and words that nothing hides."""
        self.terms.update(terms)

    def writes(self, count: int, column: int = 0) -> None:
        """Plain writes, which pass time as well as being timed."""
        place = _shim(column, SHIM_DMA.bd_address(SPARE_BD))
        self.ops += [txn.Write(place, 0)] * count
        self.visible(write=count)

    def mask_writes(self, count: int, column: int = 0) -> None:
        """Masked writes of the controller id that the channel has anyway."""
        for _ in range(count):
            self.control(column, Direction.S2MM, 0)

    def blocks(self, words: int, column: int = 0) -> None:
        """A block write of zeros that ends with the spare BD; longer ones reach the BDs before."""
        first = SHIM_DMA.bd_address(SHIM_DMA.bd_count - -(-words // SHIM_BD.words))
        self.ops.append(txn.BlockWrite(_shim(column, first), (0,) * words))
        self.visible(write=1, block_write_word=words)

    def patches(self, count: int, column: int = 0) -> None:
        """DDR patches of the spare BD."""
        place = _shim(column, SHIM_DMA.bd_address(SPARE_BD)) + WORD_BYTES
        self.ops += [txn.DdrPatch(place, ARGUMENT[Direction.MM2S], 0)] * count
        self.visible(patch=count)

    def polls(self, count: int, column: int = 0) -> None:
        """Polls of a queue that is not full: each reads the register once."""
        full = CHANNEL_STATUS.encode(task_queue_size=self.npu.queue_depth)
        place = _shim(column, SHIM_DMA.status(Direction.MM2S, 0))
        self.ops += [txn.MaskPoll(place, 0, int(full[0]))] * count
        self.visible(poll=count)

    def bd(self, column: int, direction: Direction, bd: Bd) -> None:
        """Write a BD and, unless it holds a device address, patch its buffer's into it."""
        place = _shim(column, SHIM_DMA.bd_address(bd.number))
        payload = bd.encode(self.npu)
        self.ops.append(txn.BlockWrite(place, payload))
        self.visible(write=1, block_write_word=len(payload))
        if not bd.address:
            self.ops.append(txn.DdrPatch(place + WORD_BYTES, ARGUMENT[direction], bd.at))
            self.visible(patch=1)

    def control(self, column: int, direction: Direction, channel: int) -> None:
        """Set the controller id that a channel's tokens carry."""
        value = CHANNEL_CTRL.encode(controller_id=SHIM_CONTROLLER_ID)
        mask = CHANNEL_CTRL.encode(controller_id=CONTROLLER_ID_BITS)
        place = _shim(column, SHIM_DMA.ctrl(direction, channel))
        self.ops.append(txn.MaskWrite(place, int(value[0]), int(mask[0])))
        self.visible(mask_write=1)

    def push(
        self,
        column: int,
        direction: Direction,
        channel: int,
        bd: int,
        *,
        token: bool = False,
        busy: bool = False,
    ) -> None:
        """Start a task, on a channel that has run dry by then or is surely `busy`."""
        value = SHIM_QUEUE.encode(start_bd_id=bd, enable_token_issue=int(token))
        place = _shim(column, SHIM_DMA.queue_address(direction, channel))
        self.ops.append(txn.Write(place, int(value[0])))
        self.terms["push_busy" if busy else "push_idle"] += 1

    def wait(self, column: int, direction: Direction, channel: int, columns: int = 1) -> None:
        """Await one token of a channel, or of the same channel of several columns."""
        self.ops.append(txn.Tct(column, 0, direction, channel, columns=columns))
        self.visible(wait_each=1)


def repeat(
    head: Tape, body: Tape, times: int, partition_columns: int
) -> tuple[NDArray[np.uint32], dict[str, float]]:
    """The stream of a head and `times` bodies, and its terms; a first wait costs `wait_first`."""
    npu = head.npu
    header = txn.Header(0, 1, npu.generation, npu.rows, partition_columns, npu.memtile_rows)
    before, again = (_words(header, tape.ops) for tape in (head, body))
    first = before[: txn.HEADER_WORDS]
    words = np.concatenate([before, *[again[txn.HEADER_WORDS :]] * times])
    words[: txn.HEADER_WORDS] = first
    words[txn.HEADER_OPS_WORD] = len(head.ops) + times * len(body.ops)
    words[txn.HEADER_BYTES_WORD] = words.nbytes
    terms = Counter(head.terms)
    for name, count in body.terms.items():
        terms[name] += times * count
    if terms["wait_each"]:
        terms["wait_first"] += 1
    return words, {name: count for name, count in terms.items() if count}


def _words(header: txn.Header, ops: list[txn.Op]) -> NDArray[np.uint32]:
    return np.frombuffer(txn.encode(txn.Program(header, tuple(ops))), np.uint32).copy()


def _shim(column: int, offset: int) -> int:
    return address(column, 0, offset)
