# SPDX-License-Identifier: Apache-2.0
"""Buffer descriptors (BDs): what a DMA engine moves in one go, one table per kind of tile.

`bdgen` encodes with them, `firmware_sim` decodes with them; `aie2.dma_registers` says where they
lie. AIE2 and AIE2P agree, save that AIE2P calls a memtile's zero padding constant padding and has
burst code 3. Facts: aie-rt driver/src/global/xaiemlgbl_params.h (its register names are given as
`source`) and xaie2pgbl_params.h.
"""

from __future__ import annotations

from aie2.fields import Field, Layout

WORDS = "words"
WORD_STEP = {"unit": WORDS, "bias": 1}


def _tail(word: int) -> tuple[Field, ...]:
    """The last word of a shim or core BD: what comes next, and locks."""
    return (
        Field("tlast_suppress", word, 31, 31),
        Field("next_bd", word, 30, 27),
        Field("use_next_bd", word, 26, 26),
        Field("valid_bd", word, 25, 25),
        Field("lock_rel_value", word, 24, 18, signed=True),
        Field("lock_rel_id", word, 16, 13),
        Field("lock_acq_enable", word, 12, 12),
        Field("lock_acq_value", word, 11, 5, signed=True),
        Field("lock_acq_id", word, 3, 0),
    )


SHIM_BD = Layout(
    "shim BD",
    8,
    (
        Field("buffer_length", 0, 31, 0, unit=WORDS),
        Field("base_address_low", 1, 31, 2, unit=WORDS),
        Field("enable_packet", 2, 30, 30),
        Field("out_of_order_id", 2, 29, 24),
        Field("packet_id", 2, 23, 19),
        Field("packet_type", 2, 18, 16),
        Field("base_address_high", 2, 15, 0, unit="4 GiB"),
        Field("secure", 3, 30, 30),
        Field("d0_wrap", 3, 29, 20, unit=WORDS),
        Field("d0_stepsize", 3, 19, 0, **WORD_STEP),
        Field("burst_length", 4, 31, 30, unit="code: 64, 128, 256, 512 bytes"),
        Field("d1_wrap", 4, 29, 20),
        Field("d1_stepsize", 4, 19, 0, **WORD_STEP),
        Field("smid", 5, 31, 28),
        Field("axcache", 5, 27, 24),
        Field("axqos", 5, 23, 20),
        Field("d2_stepsize", 5, 19, 0, **WORD_STEP),
        Field("iteration_current", 6, 31, 26),
        Field("iteration_wrap", 6, 25, 20, bias=1),
        Field("iteration_stepsize", 6, 19, 0, **WORD_STEP),
        *_tail(7),
    ),
    source="NOC_MODULE_DMA_BD0_0..7",
)
"""A shim BD. A wrap of 0 does not wrap; the last dimension runs until the length is used up."""

MEMTILE_BD = Layout(
    "memtile BD",
    8,
    (
        Field("enable_packet", 0, 31, 31),
        Field("packet_type", 0, 30, 28),
        Field("packet_id", 0, 27, 23),
        Field("out_of_order_id", 0, 22, 17),
        Field("buffer_length", 0, 16, 0, unit=WORDS),
        Field("d0_zero_before", 1, 31, 26, unit=WORDS),
        Field("next_bd", 1, 25, 20),
        Field("use_next_bd", 1, 19, 19),
        Field("base_address", 1, 18, 0, unit=WORDS),
        Field("tlast_suppress", 2, 31, 31),
        Field("d0_wrap", 2, 26, 17, unit=WORDS),
        Field("d0_stepsize", 2, 16, 0, **WORD_STEP),
        Field("d1_zero_before", 3, 31, 27),
        Field("d1_wrap", 3, 26, 17),
        Field("d1_stepsize", 3, 16, 0, **WORD_STEP),
        Field("enable_compression", 4, 31, 31),
        Field("d2_zero_before", 4, 30, 27),
        Field("d2_wrap", 4, 26, 17),
        Field("d2_stepsize", 4, 16, 0, **WORD_STEP),
        Field("d2_zero_after", 5, 31, 28),
        Field("d1_zero_after", 5, 27, 23),
        Field("d0_zero_after", 5, 22, 17, unit=WORDS),
        Field("d3_stepsize", 5, 16, 0, **WORD_STEP),
        Field("iteration_current", 6, 28, 23),
        Field("iteration_wrap", 6, 22, 17, bias=1),
        Field("iteration_stepsize", 6, 16, 0, **WORD_STEP),
        Field("valid_bd", 7, 31, 31),
        Field("lock_rel_value", 7, 30, 24, signed=True),
        Field("lock_rel_id", 7, 23, 16),
        Field("lock_acq_enable", 7, 15, 15),
        Field("lock_acq_value", 7, 14, 8, signed=True),
        Field("lock_acq_id", 7, 7, 0),
    ),
    source="MEM_TILE_MODULE_DMA_BD0_0..7",
)
"""A memtile BD. Address and lock ids are as its DMA sees them: `aie2.tiles` has the offsets."""

CORE_BD = Layout(
    "core BD",
    6,
    (
        Field("base_address", 0, 27, 14, unit=WORDS),
        Field("buffer_length", 0, 13, 0, unit=WORDS),
        Field("enable_compression", 1, 31, 31),
        Field("enable_packet", 1, 30, 30),
        Field("out_of_order_id", 1, 29, 24),
        Field("packet_id", 1, 23, 19),
        Field("packet_type", 1, 18, 16),
        Field("d1_stepsize", 2, 25, 13, **WORD_STEP),
        Field("d0_stepsize", 2, 12, 0, **WORD_STEP),
        Field("d1_wrap", 3, 28, 21),
        Field("d0_wrap", 3, 20, 13, unit=WORDS),
        Field("d2_stepsize", 3, 12, 0, **WORD_STEP),
        Field("iteration_current", 4, 24, 19),
        Field("iteration_wrap", 4, 18, 13, bias=1),
        Field("iteration_stepsize", 4, 12, 0, **WORD_STEP),
        *_tail(5),
    ),
    source="MEMORY_MODULE_DMA_BD0_0..5",
)
"""A core-tile BD."""
