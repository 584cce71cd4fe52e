# SPDX-License-Identifier: Apache-2.0
"""`pyxrt.elf`, `program` and `module`: there by name, refused in words.

They belong to the flow in which one ELF holds design and control code; the stand-in runs an xclbin
and an instruction stream.
"""

# ruff: noqa: N801 - the names are pyxrt's

from __future__ import annotations

from typing import Annotated, Any

from firmware_sim.pyxrt.arguments import Pointer, Size, unknown
from firmware_sim.pyxrt.failures import only_here
from firmware_sim.pyxrt.overloads import Bound, method

Context = Annotated[Any, unknown("pyxrt.hw_context")]
"""A hw_context; `contexts` comes after this module."""


def no_elf(what: str) -> RuntimeError:
    """Why something of the ELF flow is not to be had."""
    return only_here(
        f"{what} is not simulated; compile the design to an xclbin and an instruction stream and "
        "run those"
    )


class elf(Bound):
    """A compiled ELF."""

    @method
    def __init__(self, arg0: str, /) -> None:
        raise no_elf("an ELF")

    @__init__.add
    def _(self, arg0: Pointer, arg1: Size, /) -> None:
        raise no_elf("an ELF")


class program(Bound):
    """An ELF as a program for the array."""

    @method
    def __init__(self, arg0: elf, /) -> None:
        raise no_elf("a program")

    @method
    def get_partition_size(self, /) -> int:
        """Columns that it needs."""
        raise no_elf("a program")


class module(Bound):
    """Control code of an ELF."""

    @method
    def __init__(self, elf: elf) -> None:
        raise no_elf("a module")

    @method
    def get_hw_context(self, /) -> Context:
        """The context that it is loaded in."""
        raise no_elf("a module")
