# SPDX-License-Identifier: Apache-2.0
"""Registers that designs write and that have no part in moving data: events, trace, clocks, cores.

A simulator passes over them in silence and names every other register that it does not know. Facts:
aie-rt driver/src/global/xaiemlgbl_params.h.
"""

from __future__ import annotations

from aie2.tiles import TileKind

QUIET: dict[TileKind, tuple[tuple[int, int], ...]] = {
    TileKind.SHIM: (),
    TileKind.MEMTILE: (),
    TileKind.CORE: ((0x20000, 0x24000), (0x30000, 0x3F000)),
}
"""(first, end) byte offsets within a tile."""
