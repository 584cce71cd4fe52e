# SPDX-License-Identifier: Apache-2.0
"""How bdgen's inner loops are compiled, and how numba's cache on disk is kept honest.

numba counts the references to every array that a function is given or takes from a tuple, which
here takes several times as long as the work; so most of these functions are compiled without that,
and may not make arrays. Its cache looks at the file of the cached function only, not at those that
this function calls: here the key of what is kept has a stamp of all sources in it.
"""

import hashlib
from collections.abc import Callable
from importlib.resources import files
from typing import Any, ParamSpec, TypeVar

from numba import njit
from numba.core.caching import FunctionCache

P = ParamSpec("P")
R = TypeVar("R")

_njit: Any = njit  # Any: numba's stubs leave out the option that turns counting off


def source_stamp(*packages: str) -> int:
    """A positive number that changes when any module of some packages does."""
    digest = hashlib.sha256()
    for package in packages:
        for module in sorted(files(package).iterdir(), key=lambda found: found.name):
            if module.name.endswith(".py"):
                digest.update(module.read_bytes())
    return int.from_bytes(digest.digest()[:6], "little") + 1


SOURCES = source_stamp("aie2", "bdgen")
"""Stamp of the sources that were imported."""


class _StampedCache(FunctionCache):
    """numba's cache of one function, for the sources that were imported and no others."""

    def _index_key(self, sig: Any, codegen: Any) -> Any:
        return (*super()._index_key(sig, codegen), SOURCES)


def inner(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function into the compiled functions that call it."""
    return _njit(nogil=True, forceinline=True, _nrt=False)(function)


def entry(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that Python calls, without the GIL; the result is kept on disk."""
    return _kept(_njit(nogil=True, _nrt=False)(function))


def counted(function: Callable[P, R]) -> Callable[P, R]:
    """Compile a function that makes arrays or passes parts of them on; else like `entry`."""
    return _kept(_njit(nogil=True)(function))


def _kept(dispatcher: Any) -> Any:
    """Give a compiled function its cache."""
    dispatcher._cache = _StampedCache(dispatcher.py_func)
    return dispatcher
