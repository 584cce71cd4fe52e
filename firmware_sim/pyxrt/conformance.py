# SPDX-License-Identifier: Apache-2.0
"""Name by name and overload by overload: what of pyxrt the stand-in has, and how.

The table is `conformance.toml`. Tests hold the stand-in against it, and the real module where one
is installed. `python -m firmware_sim.pyxrt.conformance` prints docs/pyxrt-conformance.md.
"""

from __future__ import annotations

import inspect
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from types import ModuleType
from typing import Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict

from firmware_sim.pyxrt.overloads import Overloads

COMMAND = "python -m firmware_sim.pyxrt.conformance"
SPECIAL = ("__init__", "__call__", "__or__", "__and__", "__ior__", "__iand__")
"""Special methods that are part of the surface."""
SPELLINGS = (
    (r"typing\.SupportsInt( \| typing\.SupportsIndex)?", "int"),
    (r"(typing_extensions|collections\.abc)\.Buffer|\bbuffer\b", "Buffer"),
    (r"(typing_extensions|types)\.CapsuleType", "capsule"),
    (r"collections\.abc\.Mapping\[|Dict\[", "dict["),
    (r"List\[", "list["),
    (r"numpy\.typing\.NDArray\[", "numpy.ndarray["),
    (r"xrt::aie::program", "pyxrt.program"),
    (r"xrt::", "pyxrt."),
    (r"(?<=\w)::(?=\w)", "."),
    (r"std\.chrono\.duration<long, std\.ratio<1l, 1000l> ?>", "std.chrono.milliseconds"),
)
"""One type is written in several ways: by pybind11's version, and by which class came first."""
VECTOR = "_vector"
"""Ending of the names of pybind11's own containers, whose methods are not listed."""

Status = Literal["same", "missing", "differs"]


class Call(NamedTuple):
    """One way to call a function, and how the stand-in has it."""

    takes: str
    """Parameters and result, in pybind11's notation."""
    status: Status
    how: str
    """What it raises, or what is different."""


class Trap(NamedTuple):
    """What goes wrong silently or badly, with pyxrt and here."""

    title: str
    there: str
    here: str


class Table(BaseModel):
    """The surface of pyxrt."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: str
    """What it was read from."""
    names: dict[str, str]
    """Modules, classes and constants, and what they are."""
    enums: dict[str, dict[str, int]]
    """Values of every enum."""
    calls: dict[str, tuple[Call, ...]]
    """Every overload of every function."""
    traps: dict[str, Trap]
    """By the name of the test that shows it."""


class Surface(NamedTuple):
    """The same, as a module has it."""

    names: dict[str, str]
    enums: dict[str, dict[str, int]]
    calls: dict[str, tuple[str, ...]]


@cache
def table() -> Table:
    """The table that is checked in."""
    text = files("firmware_sim.pyxrt").joinpath("conformance.toml").read_text()
    return Table.model_validate(tomllib.loads(text))


def surface(module: ModuleType) -> Surface:
    """Names, enums and overloads of a module with pyxrt's names: the stand-in or the real one."""
    found = Surface({}, {}, {})
    _collect(module, "", found)
    return found


def _collect(holder: Any, path: str, found: Surface) -> None:
    for name, value in _members(holder):
        place = f"{path}{name}"
        if inspect.isclass(value) and hasattr(value, "__members__"):
            found.enums[place] = {each: int(number) for each, number in _values(value)}
            found.names[place] = "enum"
            _collect_operators(value, place, found)
        elif inspect.isclass(value):
            found.names[place] = "class"
            if not name.endswith(VECTOR):
                _collect(value, f"{place}.", found)
        elif isinstance(value, ModuleType):
            found.names[place] = "module"
            _collect(value, f"{place}.", found)
        elif callable(value):
            found.calls[place] = _calls(name, value)
        else:
            found.names[place] = repr(value)


def _members(holder: Any) -> Iterator[tuple[str, Any]]:
    """Public names that something defines itself, in order."""
    members: dict[str, Any] = dict(vars(holder))
    for name in sorted(members):
        if not name.startswith("_") or name in SPECIAL:
            yield name, members[name]


def _values(enum: Any) -> Iterator[tuple[str, int]]:
    yield from sorted(enum.__members__.items(), key=lambda item: item[0])


def _collect_operators(enum: Any, place: str, found: Surface) -> None:
    for name in SPECIAL[2:]:
        if name in vars(enum):
            title = f"pyxrt.{place}"
            found.calls[f"{place}.{name}"] = (f"(self: {title}, arg0: {title}) -> {title}",)


def _calls(name: str, function: Any) -> tuple[str, ...]:
    """The ways to call a function, from the stand-in's overloads or from pybind11's docstring."""
    if isinstance(function, Overloads):
        lines = function.signatures
    else:
        whole = re.compile(rf"^(?:\d+\. )?({name}\(.*\) -> .*)$", re.MULTILINE)
        lines = tuple(whole.findall(function.__doc__ or ""))
    return tuple(one_spelling(line.removeprefix(name)) for line in lines)


def one_spelling(signature: str) -> str:
    """A signature with each type written in one way."""
    for pattern, spelling in SPELLINGS:
        signature = re.sub(pattern, spelling, signature)
    return signature


HEAD = f"""<!-- made by `{COMMAND} > docs/pyxrt-conformance.md`; do not edit -->
# What of pyxrt the stand-in has

`firmware_sim.pyxrt` stands in for XRT's Python module on machines without an NPU, so that programs
which were written for pyxrt run unchanged: `python -m firmware_sim.pyxrt program.py`. This is every
name and overload of pyxrt, with what the stand-in makes of it:

- **same**: as pyxrt, exceptions and their texts included
- **differs**: as the remark says
- **missing**: there by name, and refused on purpose as the remark says

`python -m firmware_sim.pyxrt --help` lists the environment variables that choose the NPU. From
Python `firmware_sim.pyxrt.simulation` does: `open(Settings(device="npu2"))` gives a device,
`result(run)` what the simulator saw of a run, `reason(run)` why it failed.
"""
"""Beginning of the document."""


def markdown() -> str:
    """docs/pyxrt-conformance.md."""
    known = table()
    parts = [HEAD, f"Read from {known.source}.\n", "## Traps\n", _traps(known)]
    parts += ["## Functions and methods\n", _functions(known)]
    parts += ["## Enums\n", _enums(known), "## Other names\n", _names(known)]
    return "\n".join(parts)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _traps(known: Table) -> str:
    rows = [_row(each.title, each.there, each.here) for each in known.traps.values()]
    return "\n".join([_row("trap", "pyxrt on an NPU", "stand-in"), "|-|-|-|", *rows, ""])


def _functions(known: Table) -> str:
    calls = [call for each in known.calls.values() for call in each]
    counts = {
        status: sum(call.status == status for call in calls)
        for status in ("same", "differs", "missing")
    }
    summary = ", ".join(f"{count} {status}" for status, count in counts.items())
    rows = [
        _row(f"`{name}{call.takes}`", call.status, call.how)
        for name, each in known.calls.items()
        for call in each
    ]
    head = _row("call", "is", "remark")
    return "\n".join([f"{len(calls)} overloads: {summary}.\n", head, "|-|-|-|", *rows, ""])


def _enums(known: Table) -> str:
    rows = [
        _row(f"`{name}`", ", ".join(f"{each} {number:#x}" for each, number in values.items()))
        for name, values in known.enums.items()
    ]
    return "\n".join([_row("enum", "values"), "|-|-|", *rows, ""])


def _names(known: Table) -> str:
    rows = [_row(f"`{name}`", kind) for name, kind in known.names.items() if kind != "enum"]
    return "\n".join([_row("name", "is"), "|-|-|", *rows, ""])


if __name__ == "__main__":
    print(markdown(), end="")
