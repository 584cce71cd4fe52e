# SPDX-License-Identifier: Apache-2.0
"""Registers that designs write and that have no part in moving data: events, trace, clocks, cores.

A simulator passes over them in silence and names every other register that it does not know. What
moves, stops or clears data is not here: LOCK_REQUEST, TILE_CONTROL (isolation), MEMORY_CONTROL
(zeroisation), the module resets, the deterministic merge of a switch. Facts: aie-rt
driver/src/global/xaiemlgbl_params.h, whose register names are used here.
"""

from __future__ import annotations

from aie2.core_registers import CORE_CONTROL_ADDRESS, PROGRAM_MEMORY, PROGRAM_MEMORY_BYTES
from aie2.tiles import TileKind

WORD = 4

SHIM = (
    (0x15000, 0x15014),  # INTERRUPT_CONTROLLER_2ND_LEVEL
    (0x16000, 0x16004),  # SPARE_REG
    (0x31000, 0x31088),  # PERFORMANCE_CTRL, _COUNTER, _COUNTER_EVENT_VALUE
    (0x33000, 0x33010),  # PL_INTERFACE_UPSIZER, _DOWNSIZER: width of ports that no DMA uses
    (0x34000, 0x34110),  # TIMER, EVENT_GENERATE, EVENT_BROADCAST, TRACE
    (0x34200, 0x34220),  # EVENT_STATUS
    (0x34400, 0x3440C),  # COMBO_EVENT, EDGE_DETECTION_EVENT
    (0x34500, 0x34518),  # EVENT_GROUP
    (0x35000, 0x35054),  # INTERRUPT_CONTROLLER_1ST_LEVEL
    (0x36000, 0x36030),  # BISR_CACHE, BISR_TEST: repair of memories
    (0x3FF00, 0x3FF3C),  # STREAM_SWITCH_EVENT_PORT_SELECTION, _PARITY, _ADAPTIVE_CLOCK_GATE
    (0xFFF00, 0xFFF08),  # MODULE_CLOCK_CONTROL
    (0xFFF20, 0xFFF28),  # COLUMN_CLOCK_CONTROL, CSSD_TRIGGER
    (0xFFF30, 0xFFF34),  # SPARE_REG
)
"""Of shims, as (first, end) byte offsets."""

MEMTILE = (
    (0x91000, 0x91090),  # PERFORMANCE_CONTROL, _COUNTER, _COUNTER_EVENT_VALUE
    (0x92000, 0x92124),  # CHECKBIT_ERROR_GENERATION, ECC
    (0x94000, 0x94110),  # TIMER, EVENT_GENERATE, EVENT_BROADCAST, TRACE, WATCHPOINT
    (0x94200, 0x94230),  # EVENT_STATUS
    (0x94400, 0x9440C),  # COMBO_EVENT, EDGE_DETECTION_EVENT
    (0x94500, 0x94524),  # EVENT_GROUP
    (0x96000, 0x96004),  # SPARE_REG
    (0x96040, 0x96044),  # CSSD_TRIGGER
    (0xA06A0, 0xA06A4),  # DMA_EVENT_CHANNEL_SELECTION
    (0xB0F00, 0xB0F3C),  # STREAM_SWITCH_EVENT_PORT_SELECTION, _PARITY, _ADAPTIVE_CLOCK_GATE
    (0xFFF00, 0xFFF04),  # MODULE_CLOCK_CONTROL
)
"""Of memtiles."""

CORE = (
    (PROGRAM_MEMORY, PROGRAM_MEMORY + PROGRAM_MEMORY_BYTES),
    (0x11000, 0x11088),  # PERFORMANCE_CONTROL, _COUNTER, _COUNTER_EVENT_VALUE of the memory
    (0x12000, 0x12128),  # CHECKBIT_ERROR_GENERATION, ECC, PARITY
    (0x14000, 0x14108),  # TIMER, EVENT_GENERATE, EVENT_BROADCAST, TRACE, WATCHPOINT of the memory
    (0x14200, 0x14220),  # EVENT_STATUS
    (0x14400, 0x1440C),  # COMBO_EVENT, EDGE_DETECTION_EVENT
    (0x14500, 0x14520),  # EVENT_GROUP
    (0x16000, 0x16004),  # SPARE_REG
    (0x24000, 0x24004),  # PROGRAM_MEMORY_ERROR_INJECTION
    (0x30000, 0x31240),  # the core's accumulators, vectors and scalars
    (0x31500, 0x31590),  # PERFORMANCE_CONTROL, _COUNTER, _COUNTER_EVENT_VALUE of the core
    (CORE_CONTROL_ADDRESS + WORD, 0x3203C),  # CORE_STATUS, ENABLE_EVENTS, DEBUG, PC_EVENT, ...
    (0x32100, 0x32124),  # ECC
    (0x34000, 0x34100),  # TIMER, EVENT_GENERATE, EVENT_BROADCAST, TRACE of the core
    (0x34200, 0x34210),  # EVENT_STATUS
    (0x34400, 0x3440C),  # COMBO_EVENT, EDGE_DETECTION_EVENT
    (0x34500, 0x34524),  # EVENT_GROUP
    (0x36040, 0x36044),  # CSSD_TRIGGER
    (0x36050, 0x36054),  # SPARE_REG
    (0x36060, 0x36064),  # ACCUMULATOR_CONTROL: direction of the cascade between cores
    (0x3FF00, 0x3FF3C),  # STREAM_SWITCH_EVENT_PORT_SELECTION, _PARITY, _ADAPTIVE_CLOCK_GATE
    (0x60000, 0x60004),  # MODULE_CLOCK_CONTROL
)
"""Of core tiles, program memory included."""

QUIET: dict[TileKind, tuple[tuple[int, int], ...]] = {
    TileKind.SHIM: SHIM,
    TileKind.MEMTILE: MEMTILE,
    TileKind.CORE: CORE,
}
"""(first, end) byte offsets within a tile."""
