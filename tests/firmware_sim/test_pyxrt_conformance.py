# SPDX-License-Identifier: Apache-2.0
"""The conformance table against the stand-in, against a real pyxrt where there is one, and docs."""

from __future__ import annotations

import datetime
import importlib
import importlib.util
import re
import sys
from functools import reduce
from pathlib import Path

import pytest
import test_pyxrt_run_traps
import test_pyxrt_traps

from firmware_sim import pyxrt
from firmware_sim.pyxrt import conformance, namespaces, simulation

TABLE = conformance.table()
DOCUMENT = Path(__file__).parents[2] / "docs" / "pyxrt-conformance.md"
MODULE = namespaces.stand_in()
ROWS = [(name, call) for name, calls in TABLE.calls.items() for call in calls]
PARAMETER = re.compile(r"\w+: ((?:[^,\[<=]|\[[^\]]*\]|<[^>]*>)+)")
"""A parameter's type, in a signature's parameters."""
CLASSES = {
    f"pyxrt.{name}": value
    for name in TABLE.names
    if isinstance(value := reduce(getattr, name.split("."), MODULE), type)
}


def real_pyxrt():
    """The real module, wherever it is installed; skips where it is not."""
    if importlib.util.find_spec("pyxrt") is None or "pyxrt" in sys.modules:
        pytest.skip("pyxrt is not installed")
    return importlib.import_module("pyxrt")


@pytest.mark.parametrize("source", ["stand-in", "real"])
def test_names_enums_and_overloads_are_those_of_the_table(source):
    module = MODULE if source == "stand-in" else real_pyxrt()
    found = conformance.surface(module)
    assert found.names == TABLE.names
    assert found.enums == TABLE.enums
    assert found.calls == {
        name: tuple(call.takes for call in calls) for name, calls in TABLE.calls.items()
    }


def test_an_overload_that_is_gone_would_be_noticed(monkeypatch):
    sync = vars(pyxrt.bo)["sync"]
    monkeypatch.setattr(sync, "_overloads", sync.overloads[:1])
    calls = conformance.surface(MODULE).calls["bo.sync"]
    assert calls == (TABLE.calls["bo.sync"][0].takes,)
    assert calls != tuple(call.takes for call in TABLE.calls["bo.sync"])


def test_a_line_of_pybind11_is_read_in_each_of_its_spellings():
    old = "1. sync(self: pyxrt.bo, arg0: xrt::uuid, arg1: int) -> List[int]"
    new = "sync(self: pyxrt.bo, arg0: pyxrt.uuid, arg1: typing.SupportsInt) -> list[int]"

    def read(doc):
        function = type("Function", (), {"__doc__": doc, "__call__": print})()
        return conformance._calls("sync", function)

    assert read(old) == read(new) == ("(self: pyxrt.bo, arg0: pyxrt.uuid, arg1: int) -> list[int]",)


def test_what_differs_or_is_missing_says_how():
    for name, call in ROWS:
        assert call.status == "same" or call.how, name


def sample(title: str):
    """A value of the type that pybind11 calls `title`."""
    device = simulation.open()
    if title.startswith("pyxrt.") and title in CLASSES:
        kind = CLASSES[title]
        if hasattr(kind, "__members__"):
            return kind(0)
        return device if kind is pyxrt.device else object.__new__(kind)
    plain = {
        "int": 1,
        "str": "x",
        "capsule": None,
        "Buffer": b"x",
        "dict[str, int]": {},
        "std.chrono.milliseconds": datetime.timedelta(milliseconds=1),
    }
    return plain.get(title, object())


def called(name: str, takes: str):
    """Call an overload with samples of its types."""
    owner, _, method = name.rpartition(".")
    kind = CLASSES[f"pyxrt.{owner}"]
    inside = takes.rpartition(") -> ")[0][1:]
    values = [sample(title.strip()) for title in PARAMETER.findall(inside)[1:]]
    return vars(kind)[method](object.__new__(kind), *values)


@pytest.mark.parametrize(
    ("name", "call"), [row for row in ROWS if row[1].status == "missing"], ids=str
)
def test_what_is_missing_raises_what_the_table_says(name, call):
    assert call.how.startswith("RuntimeError: ")
    with pytest.raises(RuntimeError, match=r"^firmware_sim.pyxrt: .* (simulated|Versal devices)"):
        called(name, call.takes)


@pytest.mark.parametrize(("name", "call"), [row for row in ROWS if "TypeError" in row[1].how])
def test_what_cannot_be_called_in_either_raises_a_type_error(name, call):
    if name == "xclbin.get_axlf":
        with pytest.raises(TypeError, match="^Unable to convert function return value"):
            pyxrt.xclbin().get_axlf()
        return
    with pytest.raises(TypeError, match="incompatible (function|constructor) arguments"):
        called(name, call.takes)


def test_every_trap_has_a_test_and_every_test_of_a_trap_a_row():
    shown = [*vars(test_pyxrt_traps), *vars(test_pyxrt_run_traps)]
    tests = {name for name in shown if name.startswith("test_")}
    assert tests == set(TABLE.traps)


def test_the_document_is_the_table():
    assert DOCUMENT.read_text() == conformance.markdown(), (
        f"run: {conformance.COMMAND} > docs/{DOCUMENT.name}"
    )


def test_the_stand_in_as_a_module_has_no_other_names():
    public = {name for name in dir(MODULE) if not name.startswith("_")}
    assert public == {name for name in TABLE.names if "." not in name} | {
        name for name in TABLE.calls if "." not in name
    }
    assert not hasattr(MODULE, "simulation")
