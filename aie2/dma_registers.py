# SPDX-License-Identifier: Apache-2.0
"""The DMA engines: task queues, channel control and status, and where all of it lies.

One table per kind of tile, the same on AIE2 and AIE2P; the BDs are in `aie2.bd_registers`. Facts:
aie-rt driver/src/global/xaiemlgbl_params.h (its register names are given as `source`) and
xaie2pgbl_params.h.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from aie2.bd_registers import CORE_BD, MEMTILE_BD, SHIM_BD
from aie2.errors import RegisterError
from aie2.fields import Field, Layout
from aie2.tiles import TileKind


class Direction(IntEnum):
    """Direction of a DMA channel, as a TXN token wait has it."""

    S2MM = 0
    """Stream to memory: receives."""
    MM2S = 1
    """Memory to stream: sends."""


def _queue(name: str, bd_msb: int, source: str) -> Layout:
    return Layout(
        name,
        1,
        (
            Field("enable_token_issue", 0, 31, 31),
            Field("repeat_count", 0, 23, 16, bias=1),
            Field("start_bd_id", 0, bd_msb, 0),
        ),
        source,
    )


SHIM_QUEUE = _queue("shim task queue", 3, "NOC_MODULE_DMA_S2MM_0_TASK_QUEUE")
"""A task: the chain of BDs to run, how often, and whether a token is due at its end."""
MEMTILE_QUEUE = _queue("memtile task queue", 5, "MEM_TILE_MODULE_DMA_S2MM_0_START_QUEUE")
"""Like `SHIM_QUEUE`, for a memtile."""
CORE_QUEUE = _queue("core task queue", 3, "MEMORY_MODULE_DMA_S2MM_0_START_QUEUE")
"""Like `SHIM_QUEUE`, for a core tile."""

_CTRL = (
    Field("fot_mode", 0, 17, 16, source="S2MM only"),
    Field("controller_id", 0, 15, 8),
    Field("enable_out_of_order", 0, 3, 3, source="S2MM only"),
)
CHANNEL_CTRL = Layout(
    "shim channel control",
    1,
    (*_CTRL, Field("pause_stream", 0, 2, 2), Field("pause_mem", 0, 1, 1)),
    "NOC_MODULE_DMA_S2MM_0_CTRL",
)
"""Control of a shim channel; it has neither reset nor enable."""
MEMTILE_CHANNEL_CTRL = Layout(
    "memtile channel control",
    1,
    (*_CTRL, Field("enable_compression", 0, 4, 4), Field("reset", 0, 1, 1)),
    "MEM_TILE_MODULE_DMA_S2MM_0_CTRL",
)
"""Control of a memtile channel; compression means decompression on S2MM."""
CORE_CHANNEL_CTRL = Layout(
    "core channel control", 1, MEMTILE_CHANNEL_CTRL.fields, "MEMORY_MODULE_DMA_S2MM_0_CTRL"
)
"""Control of a core-tile channel; fields as `MEMTILE_CHANNEL_CTRL`."""


def _status(name: str, bd_msb: int, extra: tuple[Field, ...], source: str) -> Layout:
    return Layout(
        name,
        1,
        (
            Field("cur_bd", 0, bd_msb, 24),
            Field("task_queue_size", 0, 22, 20),
            Field("channel_running", 0, 19, 19),
            Field("task_queue_overflow", 0, 18, 18),
            *extra,
            Field("error_fot_bds_per_task", 0, 13, 13, source="S2MM only"),
            Field("error_fot_length", 0, 12, 12, source="S2MM only"),
            Field("error_bd_invalid", 0, 11, 11),
            Field("error_bd_unavailable", 0, 10, 10, source="S2MM only"),
            Field("stalled_tct", 0, 5, 5),
            Field("stalled_stream", 0, 4, 4),
            Field("stalled_lock_rel", 0, 3, 3),
            Field("stalled_lock_acq", 0, 2, 2),
            Field("status", 0, 1, 0),
        ),
        source,
    )


CHANNEL_STATUS = _status(
    "shim channel status",
    27,
    (Field("error_axi_slave", 0, 17, 17), Field("error_axi_decode", 0, 16, 16)),
    "NOC_MODULE_DMA_S2MM_STATUS_0",
)
"""State of a shim channel; overflow and AXI errors stay until 1 is written to them."""
MEMTILE_CHANNEL_STATUS = _status(
    "memtile channel status",
    29,
    (Field("error_memory_access", 0, 9, 9), Field("error_lock_access", 0, 8, 8)),
    "MEM_TILE_MODULE_DMA_S2MM_STATUS_0",
)
"""State of a memtile channel."""
CORE_CHANNEL_STATUS = _status("core channel status", 27, (), "MEMORY_MODULE_DMA_S2MM_STATUS_0")
"""State of a core-tile channel."""


@dataclass(frozen=True, slots=True)
class DmaMap:
    """Where a tile kind's DMA registers lie: byte offsets within the tile, and their layouts."""

    kind: TileKind
    bd_base: int
    bd_stride: int
    bd_count: int
    bd: Layout
    queue: Layout
    control: Layout
    state: Layout
    s2mm_channels: int
    mm2s_channels: int
    s2mm_ctrl: int
    """Control register of S2MM channel 0."""
    mm2s_ctrl: int
    """Control register of MM2S channel 0."""
    ctrl_stride: int
    queue_offset: int
    """From a channel's control register to its task queue."""
    s2mm_status: int
    mm2s_status: int
    status_stride: int

    def bd_address(self, bd_id: int) -> int:
        """Offset of BD `bd_id`; RegisterError if the tile has no such BD."""
        if not 0 <= bd_id < self.bd_count:
            raise RegisterError(
                f"{self.kind.value} BD {bd_id} does not exist: there are 0 to {self.bd_count - 1}"
            )
        return self.bd_base + self.bd_stride * bd_id

    def channels(self, direction: Direction) -> int:
        """Number of channels in a direction."""
        return self.mm2s_channels if direction else self.s2mm_channels

    def ctrl(self, direction: Direction, channel: int) -> int:
        """Offset of a channel's control register; RegisterError if there is no such channel."""
        first = self.mm2s_ctrl if direction else self.s2mm_ctrl
        return first + self.ctrl_stride * self._checked(direction, channel)

    def queue_address(self, direction: Direction, channel: int) -> int:
        """Offset of a channel's task queue; RegisterError if there is no such channel."""
        return self.ctrl(direction, channel) + self.queue_offset

    def status(self, direction: Direction, channel: int) -> int:
        """Offset of a channel's status register; RegisterError if there is no such channel."""
        first = self.mm2s_status if direction else self.s2mm_status
        return first + self.status_stride * self._checked(direction, channel)

    def _checked(self, direction: Direction, channel: int) -> int:
        count = self.channels(direction)
        if not 0 <= channel < count:
            raise RegisterError(
                f"{self.kind.value} {Direction(direction).name} channel {channel} does not exist: "
                f"there are 0 to {count - 1}"
            )
        return channel


SHIM_DMA = DmaMap(
    kind=TileKind.SHIM,
    bd_base=0x1D000,
    bd_stride=0x20,
    bd_count=16,
    bd=SHIM_BD,
    queue=SHIM_QUEUE,
    control=CHANNEL_CTRL,
    state=CHANNEL_STATUS,
    s2mm_channels=2,
    mm2s_channels=2,
    s2mm_ctrl=0x1D200,
    mm2s_ctrl=0x1D210,
    ctrl_stride=8,
    queue_offset=4,
    s2mm_status=0x1D220,
    mm2s_status=0x1D228,
    status_stride=4,
)
"""The shim's DMA; its BDs are shared by all four channels."""

MEMTILE_DMA = DmaMap(
    kind=TileKind.MEMTILE,
    bd_base=0xA0000,
    bd_stride=0x20,
    bd_count=48,
    bd=MEMTILE_BD,
    queue=MEMTILE_QUEUE,
    control=MEMTILE_CHANNEL_CTRL,
    state=MEMTILE_CHANNEL_STATUS,
    s2mm_channels=6,
    mm2s_channels=6,
    s2mm_ctrl=0xA0600,
    mm2s_ctrl=0xA0630,
    ctrl_stride=8,
    queue_offset=4,
    s2mm_status=0xA0660,
    mm2s_status=0xA0680,
    status_stride=4,
)
"""The memtile's DMA; even channels run BDs 0-23, odd ones 24-47."""

CORE_DMA = DmaMap(
    kind=TileKind.CORE,
    bd_base=0x1D000,
    bd_stride=0x20,
    bd_count=16,
    bd=CORE_BD,
    queue=CORE_QUEUE,
    control=CORE_CHANNEL_CTRL,
    state=CORE_CHANNEL_STATUS,
    s2mm_channels=2,
    mm2s_channels=2,
    s2mm_ctrl=0x1DE00,
    mm2s_ctrl=0x1DE10,
    ctrl_stride=8,
    queue_offset=4,
    s2mm_status=0x1DF00,
    mm2s_status=0x1DF10,
    status_stride=4,
)
"""The core tile's DMA."""

DMA: dict[TileKind, DmaMap] = {dma.kind: dma for dma in (SHIM_DMA, MEMTILE_DMA, CORE_DMA)}
"""DMA registers by tile kind."""

MEMTILE_PAD_VALUES = 0xA06E0
"""Offset of what MM2S channel 0 of a memtile pads with; the others follow, a word each (AIE2P)."""
