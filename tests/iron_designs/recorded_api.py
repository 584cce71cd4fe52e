# SPDX-License-Identifier: Apache-2.0
"""mlir-aie's Python API as recorded in `tests/data/iron`: what there is, and what it takes."""

from __future__ import annotations

import ast
import inspect
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "data" / "iron"
RECORDS = sorted(path.stem for path in FOLDER.glob("*.json"))
FORMER, BETWEEN, PRESENT = "2026-03", "2026-07", "2026-08"


@dataclass(frozen=True)
class Api:
    """One recorded commit."""

    record: str
    commit: str
    signatures: dict[str, str]
    absent: frozenset[str]
    devices: tuple[str, ...]
    called: set[str] = field(default_factory=set[str])
    """Names that were called, for tests to look at."""

    def has(self, name: str) -> bool:
        """Whether the commit has a name; asking for one that was never recorded is a mistake."""
        assert name in self.signatures or name in self.absent, f"{name} is not in the record"
        return name in self.signatures

    def bind(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Arguments by parameter name, those left out too; TypeError as Python raises it."""
        self.called.add(name)
        bound = signature(self.signatures[name]).bind(*args, **kwargs)
        bound.apply_defaults()
        return dict(bound.arguments)


def load(record: str) -> Api:
    """A record by the month in its name."""
    found = json.loads((FOLDER / f"{record}.json").read_text())
    by_hand = {name: entry["signature"] for name, entry in found["by_hand"].items()}
    return Api(
        record,
        found["commit"],
        found["signatures"] | by_hand,
        frozenset(found["absent"]),
        tuple(found["devices"]),
    )


@cache
def signature(text: str) -> inspect.Signature:
    """The signature of a function with the parameters `text`.

    A default that is not a literal, such as AnyMemTile, is given by name as a string.
    """
    (function,) = ast.parse(f"def f({text}): ...").body
    assert isinstance(function, ast.FunctionDef)
    arguments, kinds = function.args, inspect.Parameter
    found: list[inspect.Parameter] = []
    plain = arguments.args
    defaults = [None] * (len(plain) - len(arguments.defaults)) + arguments.defaults
    for argument, default in zip(plain, defaults, strict=True):
        found.append(_parameter(argument, kinds.POSITIONAL_OR_KEYWORD, default))
    if arguments.vararg:
        found.append(_parameter(arguments.vararg, kinds.VAR_POSITIONAL, None))
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        found.append(_parameter(argument, kinds.KEYWORD_ONLY, default))
    if arguments.kwarg:
        found.append(_parameter(arguments.kwarg, kinds.VAR_KEYWORD, None))
    return inspect.Signature(found)


def _parameter(argument: ast.arg, kind: Any, default: ast.expr | None) -> inspect.Parameter:
    if default is None:
        return inspect.Parameter(argument.arg, kind)
    try:
        value = ast.literal_eval(default)
    except ValueError:
        value = ast.unparse(default)
    return inspect.Parameter(argument.arg, kind, default=value)


class recorded:  # noqa: N801 (a decorator)
    """A method that exists only where the record has it, and takes only what the record says.

    The method gets the arguments as one dict by parameter name.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, method: Callable[[Any, dict[str, Any]], Any]) -> Any:
        return _Recorded(self.name, method)


class _Recorded:
    def __init__(self, name: str, method: Callable[[Any, dict[str, Any]], Any]) -> None:
        self.name, self.method = name, method

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        api: Api = owner.api
        if not api.has(self.name):
            raise AttributeError(f"{self.name} is not in mlir-aie of {api.record}")
        return lambda *args, **kwargs: self.method(owner, api.bind(self.name, args, kwargs))
