# SPDX-License-Identifier: Apache-2.0
"""How the simulator's inner functions are compiled, and how numba's cache is kept honest.

numba looks only at the file of the function that it caches, not at those that the function calls.
An entry point therefore closes over `SOURCES`, which numba makes part of the cache's key.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

from numba import njit, types

from bdgen.compiled import source_stamp

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that only compiled code calls, once per types of its arguments.

    It gets no way in from Python, and is not compiled anew for each constant that it is called
    with, as numba would: both halve the time that the first run waits.
    """
    options: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    dispatcher: Any = njit(**options)(function)
    template = dispatcher.get_call_template

    def without_constants(args: Any, kws: Any) -> Any:
        plain = tuple(types.unliteral(each) for each in args)
        return template(plain, {name: types.unliteral(each) for name, each in kws.items()})

    dispatcher.get_call_template = without_constants
    return dispatcher


SOURCES = source_stamp("aie2", "bdgen", "firmware_sim", "firmware_sim.array")
"""Stamp of the sources that were imported."""
