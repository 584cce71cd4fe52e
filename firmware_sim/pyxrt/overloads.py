# SPDX-License-Identifier: Apache-2.0
"""Overloaded functions as pybind11 has them: which one is called, and the TypeError if none is.

    @method
    def sync(self, direction: xclBOSyncDirection, size: Size, offset: Size, /) -> None: ...

    @sync.add
    def _(self, direction: xclBOSyncDirection, /) -> None: ...

An overload is a method; its annotations say what it takes (`firmware_sim.pyxrt.arguments`), and
positional-only parameters are those that pyxrt left without a name. As in pybind11 the overloads
are tried in order, first without and then with conversions.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, TypeVar, get_type_hints

from firmware_sim.pyxrt.arguments import REFUSED, Caster, caster_of, title_of

Method = TypeVar("Method", bound=Callable[..., Any])
CONSTRUCTOR = "__init__"


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: what callers may name it (None: only by position), and what it takes."""

    shown: str
    named: bool
    caster: Caster
    default: Any

    def __str__(self) -> str:
        text = f"{self.shown}: {self.caster.title}"
        return text if self.default is inspect.Parameter.empty else f"{text} = {self.default}"


@dataclass(frozen=True, slots=True)
class Overload:
    """One way to call a function."""

    method: Callable[..., Any]
    parameters: tuple[Parameter, ...]
    variadic: bool
    returns: str

    def values(
        self, given: Sequence[object], named: Mapping[str, object], convert: bool
    ) -> list[object] | None:
        """What to call the method with; None if these arguments are not for it."""
        if self.variadic:
            return None if named else list(given)
        if len(given) + len(named) > len(self.parameters):
            return None
        values: list[object] = []
        used = 0
        for place, parameter in enumerate(self.parameters):
            if place < len(given):
                value = given[place]
            elif parameter.named and parameter.shown in named:
                value, used = named[parameter.shown], used + 1
            elif parameter.default is not inspect.Parameter.empty:
                value = parameter.default
            else:
                return None
            loaded = parameter.caster.load(value, convert)
            if loaded is REFUSED:
                return None
            values.append(loaded)
        return values if used == len(named) else None

    def shown_arguments(self, first: str | None) -> str:
        """The parameters as pybind11 lists them."""
        parts = [] if first is None else [f"self: {first}"]
        parts += ["*args"] if self.variadic else [str(each) for each in self.parameters]
        return ", ".join(parts)


class Overloads:
    """A method with several ways to call it, found by the arguments."""

    bound = True
    """Whether the first parameter of its overloads is the object."""

    def __init__(self, first: Callable[..., Any]) -> None:
        self.__name__ = first.__name__
        self.__doc__ = first.__doc__
        self._methods = [first]
        self._overloads: tuple[Overload, ...] = ()
        self._owner: type | None = None

    def __set_name__(self, owner: type, name: str) -> None:
        self.__name__, self._owner = name, owner

    def __get__(self, instance: object | None, owner: type) -> Callable[..., Any]:
        return self if instance is None else MethodType(self, instance)

    def add(self, method: Method) -> Method:
        """One more way to call it; the method itself stays as it is."""
        self._methods.append(method)
        return method

    @property
    def overloads(self) -> tuple[Overload, ...]:
        """All ways to call it, in the order in which they are tried.

        Made at the first call, when every class that an annotation names is there.
        """
        if not self._overloads:
            self._overloads = tuple(_overload(each, self.bound) for each in self._methods)
        return self._overloads

    @property
    def signatures(self) -> tuple[str, ...]:
        """Each way to call it in a line, as pyxrt's docstrings have them."""
        return tuple(
            f"{self.__name__}({each.shown_arguments(self._class_title())}) -> {each.returns}"
            for each in self.overloads
        )

    def __call__(self, instance: object, *given: object, **named: object) -> Any:
        """Call the first overload that takes these arguments; TypeError if there is none."""
        return self._call((instance,), given, named)

    def _call(
        self, instance: tuple[object, ...], given: Sequence[object], named: Mapping[str, object]
    ) -> Any:
        overloads = self.overloads
        for convert in (False, True) if len(overloads) > 1 else (True,):
            for overload in overloads:
                values = overload.values(given, named, convert)
                if values is not None:
                    return overload.method(*instance, *values)
        raise TypeError(self._refusal(instance, given, named))

    def _class_title(self) -> str | None:
        return title_of(self._owner) if self._owner else None

    def _refusal(
        self, instance: tuple[object, ...], given: Sequence[object], named: Mapping[str, object]
    ) -> str:
        """The sentence of a TypeError, in pybind11's form."""
        constructor = self.__name__ == CONSTRUCTOR
        title = self._class_title()
        lines: list[str] = []
        for number, each in enumerate(self.overloads, 1):
            call = (
                f"{title}({each.shown_arguments(None)})"
                if constructor
                else f"({each.shown_arguments(title)}) -> {each.returns}"
            )
            lines.append(f"    {number}. {call}")
        kind = "constructor" if constructor else "function"
        shown = ", ".join(repr(each) for each in (given if constructor else (*instance, *given)))
        if named:
            pairs = ", ".join(f"{name}={value!r}" for name, value in named.items())
            shown += f"; kwargs: {pairs}" if shown else f"kwargs: {pairs}"
        return (
            f"{self.__name__}(): incompatible {kind} arguments. The following argument types are "
            "supported:\n" + "\n".join(lines) + f"\n\nInvoked with: {shown}"
        )


def _overload(method: Callable[..., Any], bound: bool) -> Overload:
    """What a method's signature says."""
    hints = get_type_hints(method, include_extras=True)
    parameters: list[Parameter] = []
    variadic = False
    for place, parameter in enumerate(list(inspect.signature(method).parameters.values())[bound:]):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            variadic = True
            continue
        named = parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
        shown = parameter.name if named else f"arg{place}"
        caster = caster_of(hints[parameter.name])
        parameters.append(Parameter(shown, named, caster, parameter.default))
    return Overload(method, tuple(parameters), variadic, title_of(hints["return"]))


class Function(Overloads):
    """The same for a function of the module itself."""

    bound = False

    def __call__(self, *given: object, **named: object) -> Any:
        """Call the first overload that takes these arguments; TypeError if there is none."""
        return self._call((), given, named)


method = Overloads
"""Decorator of the first overload of a method; `@name.add` is that of the others."""


class Bound:
    """Base of the stand-in's classes: they call themselves pyxrt's, and take no new attributes."""

    __slots__ = ("__weakref__",)

    def __init_subclass__(cls, submodule: str = "") -> None:
        cls.__module__ = f"pyxrt.{submodule}" if submodule else "pyxrt"
        if "_" in cls.__dict__:
            type.__delattr__(cls, "_")  # the name under which further overloads were written


Wrapper = TypeVar("Wrapper", bound=Bound)


def wrap(kind: type[Wrapper], content: object) -> Wrapper:
    """An object of one of the stand-in's classes around its content, made without its __init__."""
    made = object.__new__(kind)
    made._impl = content  # type: ignore[attr-defined]
    return made
