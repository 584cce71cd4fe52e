# SPDX-License-Identifier: Apache-2.0
"""What pybind11 lets through for an argument of a C++ type, and what it turns it into.

pybind11 tries every overload without conversions before it tries them with; an integer argument
takes whatever has `__index__`, never a Python float, and with conversions anything else that is a
number (so numpy's float32 is cut to an integer, silently). Facts: pybind11 include/pybind11/cast.h.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from numbers import Number
from operator import index
from types import NoneType
from typing import Annotated, Any, cast, get_args, get_origin

import numpy as np
from numpy.typing import NDArray

REFUSED: Any = object()
"""What a caster gives for a value that it does not take."""


@dataclass(frozen=True, slots=True)
class Caster:
    """Loads the values of one C++ type."""

    title: str
    """The type as pybind11 writes it."""
    load: Callable[[object, bool], object]
    """(value, whether to convert) -> what the function gets, or REFUSED."""


def _integer(least: int, most: int) -> Caster:
    def load(value: object, convert: bool) -> object:
        if isinstance(value, float):
            return REFUSED
        try:
            number = index(value)  # type: ignore[arg-type]
        except TypeError:
            if not convert or not _is_number(value):
                return REFUSED
            try:
                number = int(value)  # type: ignore[call-overload]
            except (TypeError, ValueError, OverflowError):
                return REFUSED
        return number if least <= number <= most else REFUSED

    return Caster("int", load)


def _is_number(value: object) -> bool:
    """What PyNumber_Check says: it has __index__, __int__ or __float__."""
    kind = type(value)
    return isinstance(value, Number) or hasattr(kind, "__int__") or hasattr(kind, "__float__")


def _text(value: object, _convert: bool) -> object:
    if isinstance(value, str):
        return value
    return bytes(value).decode() if isinstance(value, bytes | bytearray) else REFUSED


def _buffer(value: object, _convert: bool) -> object:
    try:
        return memoryview(value)  # type: ignore[arg-type]
    except TypeError:
        return REFUSED


def _pointer(value: object, _convert: bool) -> object:
    """A capsule or None."""
    return value if value is None or type(value).__name__ == "PyCapsule" else REFUSED


def _c_string(value: object, convert: bool) -> object:
    """A text, or with conversions None, which is a null pointer."""
    return "" if value is None and convert else _text(value, convert)


def _parameters(value: object, convert: bool) -> object:
    """A dict of str to unsigned integers."""
    if not isinstance(value, dict):
        return REFUSED
    loaded: dict[object, object] = {}
    for key, number in cast("dict[object, object]", value).items():
        name, count = _text(key, convert), UNSIGNED.load(number, convert)
        if name is REFUSED or count is REFUSED:
            return REFUSED
        loaded[name] = count
    return loaded


def unknown(title: str) -> Caster:
    """A C++ type that the binding never taught pybind11: no value is one."""
    return Caster(title, lambda _value, _convert: REFUSED)


UNSIGNED = _integer(0, 2**32 - 1)
TEXT = Caster("str", _text)

Int = Annotated[int, _integer(-(2**31), 2**31 - 1)]
"""C++ int."""
UnsignedInt = Annotated[int, UNSIGNED]
"""C++ unsigned int, and XRT's memory_group."""
Size = Annotated[int, _integer(0, 2**64 - 1)]
"""C++ size_t."""
ReadableBuffer = Annotated[memoryview, Caster("Buffer", _buffer)]
"""Anything with the buffer protocol."""
CString = Annotated[str, Caster("str", _c_string)]
"""C++ char*."""
Pointer = Annotated[Any, Caster("capsule", _pointer)]
"""A void pointer."""
Parameters = Annotated[dict[str, int], Caster("dict[str, int]", _parameters)]
"""std::map<std::string, uint32_t>."""
Int8Array = Annotated[NDArray[np.int8], unknown("numpy.ndarray[numpy.int8]")]
"""What an array of char is in Python; it is only ever returned."""


def caster_of(annotation: Any) -> Caster:
    """What takes the values of a parameter with this annotation."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[1]
    if annotation is str:
        return TEXT
    return Caster(
        title_of(annotation),
        lambda value, _convert: value if isinstance(value, annotation) else REFUSED,
    )


def title_of(annotation: Any) -> str:
    """A type as pybind11 writes it."""
    if get_origin(annotation) is Annotated:
        return get_args(annotation)[1].title
    if annotation in (None, NoneType):
        return "None"
    if get_args(annotation):
        inner = ", ".join(title_of(each) for each in get_args(annotation))
        return f"{title_of(get_origin(annotation))}[{inner}]"
    if annotation.__module__ == "builtins":
        return annotation.__qualname__
    return f"{annotation.__module__}.{annotation.__qualname__}"
