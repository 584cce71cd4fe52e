# SPDX-License-Identifier: Apache-2.0
"""mlir-aie's placed (dialect-level) Python API: every tile, task and BD is written out.

For designs that need what `aie.iron` does not offer: chains of BDs, and the exact order in which
tasks are configured, started and freed. These functions and their arguments are the same in the
release that compiled the shipped xclbins (7fa34218bb0c, 2026-03-24) and after IRON's Runtime was
rewritten (3ca0193cea9e, 2026-08-14), so no adapter stands between. `iron_designs.iron` is the
sibling for designs written in IRON's own classes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np

from aie2.fields import WORD_BYTES
from iron_designs import mlir_aie
from iron_designs.limits import DEPTH

NAMES = {
    "aie.dialects.aie": (
        "AIEDevice",
        "EndOp",
        "bds",
        "device",
        "next_bd",
        "object_fifo",
        "object_fifo_link",
        "tile",
    ),
    "aie.dialects.aiex": (
        "dma_await_task",
        "dma_configure_task_for",
        "dma_free_task",
        "dma_start_task",
        "runtime_sequence",
        "shim_dma_bd",
        "shim_dma_single_bd_task",
    ),
    "aie.extras.context": ("mlir_mod_ctx",),
}
"""Everything of the placed API that a design here calls, by the module it is in."""

Lane = tuple[Any, Any]
"""The fifo from the shim down to the memtile, and the one linked to it back up."""


def load() -> SimpleNamespace:
    """The functions of `NAMES`.

    Raises:
        ToolchainMissing: mlir-aie cannot be imported.
    """
    return mlir_aie.load(NAMES)


def module(aie: SimpleNamespace, target: str, array: Callable[[], None]) -> str:
    """Text of the MLIR module whose device body `array` writes; `target` is the partition."""
    with aie.mlir_mod_ctx() as context:
        aie.device(getattr(aie.AIEDevice, target))(array)
        return str(context.module)


def lanes(aie: SimpleNamespace, columns: int, channels: int, object_bytes: int) -> list[Lane]:
    """A pair of linked fifos for every channel of every column, column by column."""
    made: list[Lane] = []
    for column in range(columns):
        shim, memtile = aie.tile(column, 0), aie.tile(column, 1)
        for channel in range(channels):
            name, item = f"{column}_{channel}", words(object_bytes)
            down = aie.object_fifo(f"down_{name}", shim, memtile, DEPTH, item)
            up = aie.object_fifo(f"up_{name}", memtile, shim, DEPTH, item)
            aie.object_fifo_link(down, up)
            made.append((down, up))
    return made


def linear(
    aie: SimpleNamespace, fifo: Any, buffer: Any, at_bytes: int, size_bytes: int, *, token: bool
) -> Any:
    """A task of one BD that moves neighbouring bytes of a host buffer."""
    return aie.shim_dma_single_bd_task(
        fifo, buffer, **_span(at_bytes, size_bytes), issue_token=token
    )


def chain(aie: SimpleNamespace, fifo: Any, buffer: Any, spans: Sequence[tuple[int, int]]) -> Any:
    """A task whose BDs follow each other, one for each span of (first byte, bytes); no token."""
    task = aie.dma_configure_task_for(fifo, issue_token=False)
    with aie.bds(task) as bd:
        for index, (at_bytes, size_bytes) in enumerate(spans):
            with bd[index]:
                aie.shim_dma_bd(buffer, **_span(at_bytes, size_bytes))
                if index + 1 < len(spans):
                    aie.next_bd(bd[index + 1])
                else:
                    aie.EndOp()
    return task


def words(size_bytes: int) -> Any:
    """The array type of `size_bytes` as mlir-aie reads it: int32, one dimension."""
    return np.ndarray[(size_bytes // WORD_BYTES,), np.dtype[np.int32]]


def _span(at_bytes: int, size_bytes: int) -> dict[str, Any]:
    """Arguments of a linear BD, in words: four dimensions, of which the last one runs."""
    return {
        "offset": at_bytes // WORD_BYTES,
        "sizes": [1, 1, 1, size_bytes // WORD_BYTES],
        "strides": [0, 0, 0, 1],
    }
