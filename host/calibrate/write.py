# SPDX-License-Identifier: Apache-2.0
"""Constants of a machine as a calibration file, of the same form as those that are shipped."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, cast

from firmware_sim.calibration import (
    Band,
    Calibration,
    Constant,
    Costs,
    DomainBand,
    domain_of,
)
from host.calibrate.constants import Value

DIGITS = 6
"""Significant digits of values in the file."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where and when constants were measured."""

    machine: str
    device: str
    clock_mhz: float
    date: str
    """ISO date."""

    def __str__(self) -> str:
        """As sources name it."""
        return f"sparsebd calibrate on {self.machine}, {self.date}"


def calibration(values: Mapping[str, Value], origin: Origin) -> Calibration:
    """What the simulator loads: every constant, measured ones with grade M."""
    constants = {name: _constant(values[name], origin) for name in Costs._fields}
    return Calibration(
        device=origin.device, reference_clock_mhz=origin.clock_mhz, constants=constants
    )


def to_toml(given: Calibration, comment: Iterable[str] = ()) -> str:
    """The file's text; `firmware_sim.calibration.parse` gives the same calibration again."""
    lines = [f"# {line}".rstrip() for line in comment]
    lines += ["", f"device = {_text(given.device)}"]
    lines += [f"reference_clock_mhz = {given.reference_clock_mhz!r}"]
    for name, constant in given.constants.items():
        lines += ["", f"[constants.{name}]"]
        fields = constant.model_dump(exclude_none=True)
        lines += [f"{field} = {_toml(value)}" for field, value in fields.items()]
    return "\n".join(lines) + "\n"


def _constant(value: Value, origin: Origin) -> Constant:
    low, central, high = (_rounded(each) for each in value.profiles)
    known = value.known
    same = low == central == high
    spread = value.interval if value.measured else known.spread
    domains = DomainBand(
        low=domain_of(origin.device, value.name, "low"),
        central=domain_of(origin.device, value.name, "central"),
        high=domain_of(origin.device, value.name, "high"),
    )
    return Constant(
        value=central if same else Band(low=low, central=central, high=high),
        unit=cast(Literal["cycles", "GB/s", "ratio"], value.unit),
        domain=domains.low if domains.low == domains.central == domains.high else domains,
        grade="M" if value.measured else known.constant.grade,
        source=_source(value, origin),
        spread=None if spread is None else (_rounded(spread[0]), _rounded(spread[1])),
        clock_mhz=origin.clock_mhz,
    )


def _source(value: Value, origin: Origin) -> str:
    if value.measured:
        return f"{origin}: {value.how}; low, high and spread are the 95 % interval"
    shipped = f"as shipped for {value.known.owner}: {value.known.constant.source}"
    return f"not measured ({origin}): {value.how}; {shipped}"


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")


def _toml(value: object) -> str:
    if isinstance(value, dict):
        pairs = cast(dict[str, object], value).items()
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in pairs) + " }"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(each) for each in cast(tuple[object, ...], value)) + "]"
    return _text(value) if isinstance(value, str) else repr(value)


def _text(text: str) -> str:
    """A TOML basic string: JSON's escapes are its own, save that it wants DEL escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007F")
