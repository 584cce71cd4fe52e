# SPDX-License-Identifier: Apache-2.0
"""The API reference, docs/api.md, from the docstrings: what other programs may call.

    python -m host.api_reference > docs/api.md

`MODULES` is what we mean to keep; a test holds the page to the sources.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import re
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

MODULES = (
    *("aie2.devices", "aie2.txn", "aie2.cdo", "aie2.pdi", "aie2.xclbin"),
    *("sparsity.masks", "sparsity.shapes", "sparsity.capture", "sparsity.permute"),
    *("sparsity.models.catalogue", "sparsity.models.interface", "sparsity.models.perplexity"),
    *("sparsity.thresholds.quantiles", "sparsity.thresholds.rule"),
    *("sparsity.thresholds.methods", "sparsity.thresholds.foretold"),
    *("sparsity.thresholds.trade_off", "sparsity.patterns", "sparsity.similar"),
    *("sparsity.predictor.predict", "sparsity.predictor.calibrate", "sparsity.predictor.ffn"),
    *("sparsity.predictor.quality", "sparsity.predictor.layers"),
    *("sparsity.recording.record", "sparsity.recording.reading", "sparsity.tables.catalogue"),
    *("bdgen.scan", "bdgen.bitmap", "bdgen.target", "bdgen.planner", "bdgen.program"),
    *("bdgen.choose", "bdgen.request"),
    *("iron_designs.dataflow", "iron_designs.runtime_sequence", "iron_designs.compiler.designs"),
    *("iron_designs.compiler.build", "iron_designs.compiler.mlir"),
    *("iron_designs.compiler.mlir_reader", "iron_designs.shipped"),
    *("firmware_sim", "firmware_sim.calibration", "firmware_sim.cores"),
    *("firmware_sim.pyxrt.simulation", "host.device", "host.device.checks"),
)
"""Modules that other programs may import, in the order of the data."""

HEAD = """# API reference

What other programs may call, from the docstrings (`python -m host.api_reference`). Commands say
what they do with `--help`. Errors are those of `errors.py` in each package, one sentence each.
"""

LINE = 100
"""Longest signature that is printed as one line of code."""


def page() -> str:
    """The whole page, Markdown."""
    lines = [HEAD]
    for name in MODULES:
        lines += _module(name, import_module(name))
    return "\n".join(lines).rstrip() + "\n"


def _module(name: str, module: ModuleType) -> Iterator[str]:
    yield f"## `{name}`"
    yield ""
    yield _first(module)
    yield ""
    for title, what in _public(name, module):
        yield f"- {_entry(title, what)}"
        if inspect.isclass(what) and not issubclass(what, enum.Enum | BaseException):
            yield from (f"  - {line}" for line in _members(what))
    yield ""


def _public(name: str, module: ModuleType) -> list[tuple[str, Any]]:
    """Functions and classes that the module defines or says are its own, in its order."""
    package = name.partition(".")[0]
    listed = getattr(module, "__all__", None)
    names = listed or [each for each in vars(module) if not each.startswith("_")]
    found = [(each, getattr(module, each)) for each in names]
    return [
        (each, what)
        for each, what in found
        if (inspect.isclass(what) or inspect.isroutine(what) or _is_compiled(what))
        and (what.__module__ == name or (listed and what.__module__.startswith(package)))
    ]


def _is_compiled(what: Any) -> bool:
    return callable(what) and inspect.isfunction(getattr(what, "__wrapped__", None))


def _entry(title: str, what: Any) -> str:
    if inspect.isclass(what):
        kind = "exception" if issubclass(what, BaseException) else "class"
        return f"{kind} `{title}`: {_first(what)}"
    return f"`{title}{_signature(what)}`: {_first(what)}"


def _members(what: type) -> Iterator[str]:
    """Methods and properties of a class, and what a dataclass is made of."""
    if dataclasses.is_dataclass(what):
        names = [field.name for field in dataclasses.fields(what) if not field.name.startswith("_")]
        if names:
            yield f"fields: {', '.join(f'`{name}`' for name in names)}"
    for name, member in vars(what).items():
        if name.startswith("_"):
            continue
        if isinstance(member, classmethod | staticmethod):
            member = member.__func__
        if inspect.isfunction(member) and not _first(member).startswith("See "):
            yield f"`.{name}{_signature(member, method=True)}`: {_first(member)}"
        elif isinstance(member, property) or type(member).__name__ == "cached_property":
            yield f"`.{name}`: {_first(member)}"


def _signature(what: Any, *, method: bool = False) -> str:
    """Parameters by name, defaults in place; types are in the source."""
    parameters = list(inspect.signature(what).parameters.values())[int(method) :]
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in parameters]
    text = str(inspect.Signature(plain))
    text = re.sub(r"<[^<>]*>", "...", text)
    return text if len(text) <= LINE else "(...)"


def _first(what: Any) -> str:
    """The first line of a docstring."""
    return (inspect.getdoc(what) or "").partition("\n")[0]


if __name__ == "__main__":
    print(page(), end="")
