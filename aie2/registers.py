# SPDX-License-Identifier: Apache-2.0
"""Every register table in one place: the door through which other packages read them.

The tables are in `aie2.bd_registers`, `aie2.dma_registers` and `aie2.switch_registers`; what a
field is, is in `aie2.fields`.
"""

from __future__ import annotations

from aie2.bd_registers import CORE_BD, MEMTILE_BD, SHIM_BD
from aie2.dma_registers import (
    CHANNEL_CTRL,
    CHANNEL_STATUS,
    CORE_CHANNEL_CTRL,
    CORE_CHANNEL_STATUS,
    CORE_DMA,
    CORE_QUEUE,
    DMA,
    MEMTILE_CHANNEL_CTRL,
    MEMTILE_CHANNEL_STATUS,
    MEMTILE_DMA,
    MEMTILE_QUEUE,
    SHIM_DMA,
    SHIM_QUEUE,
    Direction,
    DmaMap,
)
from aie2.errors import RegisterError
from aie2.fields import Field, Layout
from aie2.switch_registers import (
    CORE_LOCKS,
    CORE_SWITCH,
    LOCK_VALUE,
    LOCKS,
    MEMTILE_LOCKS,
    MEMTILE_SWITCH,
    SHIM_DEMUX,
    SHIM_DEMUX_ADDRESS,
    SHIM_LOCKS,
    SHIM_MUX,
    SHIM_MUX_ADDRESS,
    SHIM_SWITCH,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    LockMap,
    SwitchMap,
)

__all__ = [
    "CHANNEL_CTRL",
    "CHANNEL_STATUS",
    "CORE_BD",
    "CORE_CHANNEL_CTRL",
    "CORE_CHANNEL_STATUS",
    "CORE_DMA",
    "CORE_LOCKS",
    "CORE_QUEUE",
    "CORE_SWITCH",
    "DMA",
    "LOCKS",
    "LOCK_VALUE",
    "MEMTILE_BD",
    "MEMTILE_CHANNEL_CTRL",
    "MEMTILE_CHANNEL_STATUS",
    "MEMTILE_DMA",
    "MEMTILE_LOCKS",
    "MEMTILE_QUEUE",
    "MEMTILE_SWITCH",
    "SHIM_BD",
    "SHIM_DEMUX",
    "SHIM_DEMUX_ADDRESS",
    "SHIM_DMA",
    "SHIM_LOCKS",
    "SHIM_MUX",
    "SHIM_MUX_ADDRESS",
    "SHIM_QUEUE",
    "SHIM_SWITCH",
    "SWITCHES",
    "SWITCH_MASTER",
    "SWITCH_SLAVE",
    "SWITCH_SLOT",
    "Direction",
    "DmaMap",
    "Field",
    "Layout",
    "LockMap",
    "RegisterError",
    "SwitchMap",
]
