# SPDX-License-Identifier: Apache-2.0
"""A runtime sequence as an instruction stream (TXN), op by op as aiecc writes it.

Facts: mlir-aie AIEAssignRuntimeSequenceBDIDs.cpp (lowest free BD id, both directions together),
AIEDMATasksToNPU.cpp and AIEDmaToNpu.cpp (BDs, pushes, waits), and the golden streams, which these
equal. Only what stands in the sequence is written: whether a queue overflows or a BD is rewritten
too early is for `sparsebd check` to say.
"""

from __future__ import annotations

from math import prod

from aie2 import txn
from aie2.devices import Device
from aie2.fields import WORD_BYTES
from aie2.registers import CHANNEL_CTRL, SHIM_BD, SHIM_DMA, SHIM_QUEUE, Direction
from aie2.tiles import address
from iron_designs.dataflow import Tile
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import (
    Await,
    Configure,
    Free,
    RuntimeSequence,
    ShimBd,
    Start,
    Task,
)

CACHE = 2
"""AxCACHE of every shim BD: lets the NoC merge bursts."""
TOKEN_CONTROLLER = 15
"""Controller id that tokens carry, set before each push that asks for one."""
TOKEN_CONTROLLER_MASK = 0x1F00
FIRST_FOLDED, FOLD = 5, 0x80000000
"""Firmware translates addresses of the first five host buffers; the offsets of the others carry
the start of DDR (mlir-aie AIETargetNPU.cpp, `--fold-ddr-addr-offset`)."""
BASE_ADDRESS_WORD = 1

ShimChannels = dict[str, tuple[Tile, Direction, int]]


def assemble(
    sequence: RuntimeSequence,
    shim_channels: ShimChannels,
    device: Device,
    columns: int,
    *,
    fold: bool = True,
) -> bytes:
    """The stream of a sequence for a partition of `columns` columns.

    Args:
        sequence: Steps, in order.
        shim_channels: Where each fifo meets a shim (`Objects.shim_channels`).
        device: The NPU: burst length and generation depend on it.
        columns: Columns of the partition.
        fold: Fold the start of DDR into offsets of host buffers from the sixth on, as mlir-aie
            does since April 2026; the goldens' aiecc did not.

    Raises:
        DesignError: more than 16 BDs live on a shim, a BD that its registers cannot hold, a task
            on a fifo that meets no shim, or steps that contradict each other.
    """
    writer = _Writer(sequence, shim_channels, device, fold=fold)
    for step in sequence.steps:
        match step:
            case Configure(task):
                writer.configure(task)
            case Start(task):
                writer.start(task)
            case Await(task):
                writer.wait(task)
            case Free(task):
                writer.free(task)
    header = txn.Header(0, 1, device.generation, device.rows, columns, device.memtile_rows)
    return txn.encode(txn.Program(header, tuple(writer.ops)))


class _Writer:
    """Ops written so far, and which BDs are taken."""

    def __init__(
        self, sequence: RuntimeSequence, shim_channels: ShimChannels, device: Device, *, fold: bool
    ) -> None:
        self.sequence = sequence
        self.shim_channels = shim_channels
        self.burst_code = device.burst_code
        self.fold = fold
        self.ops: list[txn.Op] = []
        self.free_ids: dict[Tile, list[int]] = {}
        self.ids: dict[Task, list[int]] = {}

    def configure(self, task: Task) -> None:
        """Write a task's BDs, each with the patch of its address."""
        if not task.bds:
            raise DesignError(f"a task on fifo {task.fifo!r} has no BD: give it one or more")
        if task in self.ids:
            raise DesignError(f"a task on fifo {task.fifo!r} is configured twice: make two tasks")
        tile, _, _ = self._place(task)
        ids = self.ids[task] = [self._take(tile) for _ in task.bds]
        for turn, bd in enumerate(task.bds):
            following = ids[turn + 1] if turn + 1 < len(ids) else None
            self._bd(tile, ids[turn], bd, following)

    def start(self, task: Task) -> None:
        """Push a task, its token's controller id before it."""
        tile, direction, channel = self._place(task)
        if task.token:
            control = address(tile.column, tile.row, SHIM_DMA.ctrl(direction, channel))
            value = CHANNEL_CTRL.field("controller_id").place(TOKEN_CONTROLLER)
            self.ops.append(txn.MaskWrite(control, value, TOKEN_CONTROLLER_MASK))
        most = SHIM_QUEUE.field("repeat_count").max
        if not 0 <= task.repeat <= most:
            raise DesignError(
                f"a task on fifo {task.fifo!r} repeats {task.repeat} times: 0 to {most} can be"
            )
        push = SHIM_QUEUE.encode(
            enable_token_issue=task.token,
            repeat_count=task.repeat,
            start_bd_id=self._configured(task)[0],
        )
        queue = address(tile.column, tile.row, SHIM_DMA.queue_address(direction, channel))
        self.ops.append(txn.Write(queue, int(push[0])))

    def wait(self, task: Task) -> None:
        """Wait for a task's token, which frees its BDs."""
        if not task.token:
            raise DesignError(
                f"a task on fifo {task.fifo!r} is awaited and issues no token: give it token=True"
            )
        tile, direction, channel = self._place(task)
        self._configured(task)
        self.ops.append(txn.Tct(tile.column, tile.row, direction, channel))
        self.free(task)

    def free(self, task: Task) -> None:
        """Take a task's BDs as free; once more does nothing."""
        tile, _, _ = self._place(task)
        ids = self._configured(task)
        self.free_ids[tile] = sorted({*self.free_ids[tile], *ids})

    def _configured(self, task: Task) -> list[int]:
        if task not in self.ids:
            raise DesignError(
                f"a task on fifo {task.fifo!r} is used before it is configured: configure it first"
            )
        return self.ids[task]

    def _place(self, task: Task) -> tuple[Tile, Direction, int]:
        if task.fifo not in self.shim_channels:
            known = ", ".join(self.shim_channels) or "none"
            raise DesignError(f"fifo {task.fifo!r} meets no shim: those that do are {known}")
        return self.shim_channels[task.fifo]

    def _take(self, tile: Tile) -> int:
        free = self.free_ids.setdefault(tile, list(range(SHIM_DMA.bd_count)))
        if not free:
            raise DesignError(
                f"{tile} has more than its {SHIM_DMA.bd_count} BDs in use at once: await or free "
                "tasks before configuring more"
            )
        return free.pop(0)

    def _bd(self, tile: Tile, bd_id: int, bd: ShimBd, following: int | None) -> None:
        arguments = self.sequence.arguments
        if not 0 <= bd.arg < len(arguments):
            raise DesignError(
                f"a BD uses host buffer {bd.arg}, and the sequence has {len(arguments)}"
            )
        moved = prod(dim.size for dim in bd.dims[1:])
        if bd.words != moved:
            raise DesignError(
                f"a BD on {tile} moves {bd.words} words, and its sizes come to {moved}: give both "
                "the same"
            )
        offset = bd.offset * WORD_BYTES
        try:
            words = SHIM_BD.encode(
                buffer_length=bd.words,
                base_address_low=offset // WORD_BYTES,
                burst_length=self.burst_code,
                axcache=CACHE,
                next_bd=following or 0,
                use_next_bd=following is not None,
                valid_bd=1,
                **_steps(bd),
            )
        except ValueError as error:
            raise DesignError(f"a BD on {tile} cannot be: {error}") from None
        start = address(tile.column, tile.row, SHIM_DMA.bd_address(bd_id))
        self.ops.append(txn.BlockWrite(start, tuple(words.tolist())))
        folded = offset + FOLD if self.fold and bd.arg >= FIRST_FOLDED else offset
        patched = start + BASE_ADDRESS_WORD * WORD_BYTES
        self.ops.append(txn.DdrPatch(patched, bd.arg, folded))


def _steps(bd: ShimBd) -> dict[str, int]:
    """Step and wrap fields: strides count only where there is more than one step."""
    iteration, d2, d1, d0 = bd.dims
    fields: dict[str, int] = {}
    if iteration.size > 1 and iteration.stride > 0:
        fields["iteration_wrap"] = iteration.size - 1
        fields["iteration_stepsize"] = iteration.stride - 1
    if not bd.is_linear:
        fields["d0_wrap"] = d0.size
        fields["d0_stepsize"] = (max(d0.stride, 1) if d0.size == 1 else d0.stride) - 1
        fields["d1_wrap"] = d1.size
        if d1.size > 1:
            fields["d1_stepsize"] = d1.stride - 1
        if d2.size > 1:
            fields["d2_stepsize"] = d2.stride - 1
    return fields
