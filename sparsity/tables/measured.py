# SPDX-License-Identifier: Apache-2.0
"""Figures that took too long to be measured each time: `measured.toml`, with how each came about.

A key that is absent has not been measured; nothing stands in for it.
"""

import tomllib
from datetime import date
from functools import cache
from importlib import resources
from typing import Any

import pydantic

from sparsity.errors import CaptureError

FILE = "measured.toml"


class Measured(pydantic.BaseModel, frozen=True, extra="forbid"):
    """One entry."""

    value: float | list[float] | list[list[float]]
    unit: str
    """"" for a plain ratio or share."""
    how: str
    """The command that measures it again."""
    date: date
    machine: str


def parse(text: str) -> dict[str, Measured]:
    """Read entries by their dotted keys, such as `smollm2.dense`.

    Raises:
        CaptureError: no TOML, or an entry that lacks something.
    """
    try:
        return _entries("", tomllib.loads(text))
    except (tomllib.TOMLDecodeError, pydantic.ValidationError) as error:
        raise CaptureError(f"{FILE} is not as it should be, write it anew: {error}") from error


def _entries(prefix: str, table: dict[str, Any]) -> dict[str, Measured]:
    if "value" in table:
        return {prefix: Measured.model_validate(table)}
    found: dict[str, Measured] = {}
    for key, below in table.items():
        if not isinstance(below, dict):
            raise CaptureError(f"{FILE}: {prefix}.{key} stands outside an entry with a value")
        found |= _entries(f"{prefix}.{key}" if prefix else key, below)
    return found


@cache
def shipped() -> dict[str, Measured]:
    """Return the entries that come with the package; errors as in `parse`."""
    return parse((resources.files("sparsity.tables") / FILE).read_text("utf-8"))


def number(key: str) -> float | None:
    """Return a single measured value, or None if there is none.

    Raises:
        CaptureError: the entry is a list.
    """
    entry = shipped().get(key)
    if entry is None:
        return None
    if isinstance(entry.value, list):
        raise CaptureError(f"{key} in {FILE} is a list: ask for `numbers`")
    return entry.value


def numbers(key: str) -> list[Any]:
    """Return a list of measured values, or of lists; empty if there is none."""
    entry = shipped().get(key)
    return entry.value if entry is not None and isinstance(entry.value, list) else []


def smollm2_rise(key: str) -> float | None:
    """Return by how many percent SmolLM2's perplexity rises, or None if it has not been measured.

    Args:
        key: of the perplexity, such as `half_per_layer`.
    """
    dense, found = number("smollm2.dense"), number(f"smollm2.{key}")
    return None if dense is None or found is None else 100 * (found / dense - 1)


def how(key: str, otherwise: str = "") -> str:
    """Return how an entry was measured; without one, that it has not been and what would do it."""
    entry = shipped().get(key)
    if entry is None:
        return f"not measured yet: run `{otherwise}`"
    return f"`{entry.how}`"
