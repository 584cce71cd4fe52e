# SPDX-License-Identifier: Apache-2.0
"""The one door to mlir-aie: imported when a design is built, never when this package is.

The functions are mlir-aie's placed (dialect-level) Python API, whose names are the same in the
release that compiled the shipped xclbins (7fa34218bb0c, 2026-03-24) and in those after it; the
`aie.iron` classes above it changed in July 2026.
"""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

from iron_designs.errors import ToolchainMissing

INSTALL = (
    "python -m pip install mlir_aie llvm-aie "
    "-f https://github.com/Xilinx/mlir-aie/releases/expanded_assets/latest-wheels-4 "
    "-f https://github.com/Xilinx/llvm-aie/releases/expanded_assets/nightly"
)
"""How to get the toolchain: its wheels are files of GitHub releases and not on PyPI."""

FUNCTIONS = {
    "aie.dialects.aie": ("AIEDevice", "device", "object_fifo", "object_fifo_link", "tile"),
    "aie.dialects.aiex": (
        "dma_await_task",
        "dma_free_task",
        "dma_start_task",
        "runtime_sequence",
        "shim_dma_single_bd_task",
    ),
    "aie.extras.context": ("mlir_mod_ctx",),
}
"""Everything of mlir-aie that a design here calls, by the module it is in."""


def load() -> SimpleNamespace:
    """The names of `FUNCTIONS`, imported.

    Raises:
        ToolchainMissing: mlir-aie is not installed, or lacks one of them.
    """
    try:
        found = {
            name: getattr(import_module(module), name)
            for module, names in FUNCTIONS.items()
            for name in names
        }
    except (ImportError, AttributeError) as error:
        raise ToolchainMissing(
            f"printing a design needs mlir-aie, and importing it failed ({error}): "
            f"install it with `{INSTALL}`, or use an xclbin from iron_designs.shipped"
        ) from error
    return SimpleNamespace(**found)
