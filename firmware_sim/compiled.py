# SPDX-License-Identifier: Apache-2.0
"""How the simulator's inner functions are compiled, and how numba's cache is kept honest.

numba looks only at the file of the function that it caches, not at those that the function calls.
An entry point therefore closes over `SOURCES`, which numba makes part of the cache's key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, ParamSpec, TypeVar

from numba import njit, types

P = ParamSpec("P")
R = TypeVar("R")

PACKAGES = ("aie2", "bdgen", "firmware_sim")
"""Packages whose sources go into the compiled simulator."""


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


def source_stamp() -> int:
    """A positive number that changes when any module of `PACKAGES` does."""
    digest = hashlib.sha256()
    for package in PACKAGES:
        for module in sorted(files(package).iterdir(), key=lambda entry: entry.name):
            if module.name.endswith(".py"):
                digest.update(module.read_bytes())
    return int.from_bytes(digest.digest()[:6], "little") + 1


SOURCES = source_stamp()
"""Stamp of the sources that were imported."""
