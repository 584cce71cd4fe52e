# SPDX-License-Identifier: Apache-2.0
"""The modules that a program sees: `pyxrt.ext`, `pyxrt.aie`, and `pyxrt` itself once installed."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from firmware_sim.pyxrt import extended, versal

PACKAGE = "firmware_sim.pyxrt"
NAME = "pyxrt"


def namespace(name: str, says: str, names: dict[str, Any]) -> ModuleType:
    """A module with these names and no others."""
    made = ModuleType(name, says)
    vars(made).update(names)
    return made


ext = namespace(
    f"{NAME}.ext",
    "Buffers with access modes, kernels of modules.",
    {
        "access_mode": extended.access_mode,
        "bo": extended.bo,
        "kernel": extended.kernel,
        **extended.access_mode.__members__,
    },
)
aie = namespace(f"{NAME}.aie", "For Versal devices.", {"bo": versal.bo})


def stand_in() -> ModuleType:
    """The stand-in as a module of its own, with pyxrt's names and no others."""
    package = sys.modules[PACKAGE]
    names = {name: getattr(package, name) for name in package.__all__}
    return namespace(NAME, f"Stand-in for XRT's pyxrt on the simulator ({PACKAGE}).", names)


def install() -> ModuleType:
    """Make `import pyxrt` give the stand-in, in this process; returns it."""
    made = stand_in()
    for module in (made, ext, aie):
        sys.modules[module.__name__] = module
    return made
