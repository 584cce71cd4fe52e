# SPDX-License-Identifier: Apache-2.0
"""The one door to mlir-aie: imported when a design is built, never when this package is.

`iron_designs.iron` and `iron_designs.placed` say which names they need, `load` fetches them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib import import_module
from types import SimpleNamespace

from iron_designs.errors import ToolchainMissing

INSTALL = (
    "python -m pip install mlir_aie llvm-aie "
    "-f https://github.com/Xilinx/mlir-aie/releases/expanded_assets/latest-wheels-4 "
    "-f https://github.com/Xilinx/llvm-aie/releases/expanded_assets/nightly"
)
"""How to get the toolchain: its wheels are files of GitHub releases and not on PyPI."""


def load(names: Mapping[str, Iterable[str]]) -> SimpleNamespace:
    """Everything that `names` lists by module, imported, under its own name.

    Raises:
        ToolchainMissing: mlir-aie is not installed, or lacks one of them.
    """
    try:
        found = {
            name: getattr(import_module(module), name)
            for module, members in names.items()
            for name in members
        }
    except (ImportError, AttributeError) as error:
        raise ToolchainMissing(
            f"printing a design needs mlir-aie, and importing it failed ({error}): "
            f"install it with `{INSTALL}`, or use an xclbin from iron_designs.shipped"
        ) from error
    return SimpleNamespace(**found)


def has(module: str, name: str) -> bool:
    """Whether `name` is in a module of the mlir-aie installed; False if that is missing."""
    try:
        return hasattr(import_module(module), name)
    except ImportError:
        return False
