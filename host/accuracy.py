# SPDX-License-Identifier: Apache-2.0
"""Everything that was measured and published beside the model in all profiles: one table.

Nothing is fitted to a row and no row is left out because it does not agree.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from firmware_sim import PROFILES
from firmware_sim.calibration import load
from host import bandwidths, sweeps

BAND_SLACK = 0.01
"""How far beside the band of the profiles a measurement may lie and still count as in it."""
LONG_WORDS = 2048
"""Single transfers from here on are asked to agree; below they scatter, in no order of size."""


@dataclass(frozen=True, slots=True)
class Row:
    """One published figure beside the model's three."""

    table: str
    """Name of its table in `published.toml`, where source and spread are."""
    what: str
    device: str
    clock_mhz: float
    unit: str
    published: float
    measured: float
    """As published, less the launch where that was part of the time."""
    low: float
    central: float
    high: float
    computes: bool = False
    """The measured kernel computes and its stand-in does not: the model is an upper bound."""

    @property
    def error(self) -> float:
        """Relative error of the central profile."""
        return self.central / self.measured - 1

    @property
    def verdict(self) -> str:
        """Whether the measurement lies in the band, or under a bound."""
        band = self.low, self.central, self.high
        most = max(band) * (1 + BAND_SLACK)
        if self.computes:
            return "bound holds" if self.measured <= most else "bound broken"
        return "in band" if min(band) * (1 - BAND_SLACK) <= self.measured <= most else "outside"


class Requirement(NamedTuple):
    """A limit that a group of rows must keep, and the row that comes nearest to breaking it."""

    what: str
    allowed: float
    worst: Row

    @property
    def holds(self) -> bool:
        """Whether every row of the group is within the limit."""
        return abs(self.worst.error) <= self.allowed


def steps() -> int:
    """How often `rows` calls `advance`."""
    return len(sweeps.SWEEPS) + len(bandwidths.facts())


def rows(advance: Callable[[], None] = lambda: None) -> list[Row]:
    """All rows, sweeps first; `advance` is called after each table of `published.toml`."""
    found: list[Row] = []
    clock = load("npu1").reference_clock_mhz
    for name, sweep in sweeps.SWEEPS.items():
        points = zip(*(sweep(profile) for profile in PROFILES), strict=True)
        for each in points:
            what, measured = each[0].what, each[0].measured
            simulated = [point.simulated for point in each]
            found.append(Row(name, what, "npu1", clock, "cycles", measured, measured, *simulated))
        advance()
    for name, fact in bandwidths.facts().items():
        found += [
            Row(
                name,
                each.what,
                each.device,
                each.clock_mhz,
                "GB/s",
                each.published,
                each.measured,
                *(each.simulated[profile] for profile in PROFILES),
                computes=each.computes,
            )
            for each in bandwidths.compare(name, fact)
        ]
        advance()
    return found


def requirements(known: list[Row]) -> list[Requirement]:
    """The limits that are asked for, and the same for figures that nobody asked about."""
    long_ones = [
        row
        for row in known
        if row.table == "single_transfers" and int(row.what.split()[1]) >= LONG_WORDS
    ]
    spans = [row for row in known if row.table == "back_to_back" and "span" in row.what]
    single = [row for row in known if row.table == "single_run_spans"]
    return [
        _worst("S2MM, 2,048 words and more", 0.05, [r for r in long_ones if "S2MM" in r.what]),
        _worst("MM2S, 2,048 words and more", 0.10, [r for r in long_ones if "MM2S" in r.what]),
        _worst("K-task spans, medians of 50 runs", 0.12, spans),
        _worst("K-task spans, single runs", 0.12, single),
    ]


def _worst(what: str, allowed: float, group: list[Row]) -> Requirement:
    return Requirement(what, allowed, max(group, key=lambda row: abs(row.error)))


def markdown(known: list[Row]) -> str:
    """Table, limits, count of verdicts, and the source and spread of everything."""
    lines = [
        "| what | device, MHz | unit | published | without launch | low | central | high | error "
        "| measured is |",
        "|-|-|-|-|-|-|-|-|-|-|",
        *(_line(row) for row in known),
        "",
        *(_limit(each) for each in requirements(known)),
        _count(known),
        "",
        *_notes(),
    ]
    return "\n".join(lines) + "\n"


def to_json(known: list[Row]) -> str:
    """The same as JSON: rows with error and verdict, limits, and the published tables."""
    data = {
        "rows": [asdict(row) | {"error": row.error, "verdict": row.verdict} for row in known],
        "requirements": [
            {
                "what": each.what,
                "allowed": each.allowed,
                "worst": each.worst.what,
                "error": each.worst.error,
                "holds": each.holds,
            }
            for each in requirements(known)
        ],
        "published": sweeps.published(),
    }
    return json.dumps(data, indent=1)


def _line(row: Row) -> str:
    figures = (row.published, row.measured, row.low, row.central, row.high)
    shown = " | ".join(f"{round(value, 1):g}" for value in figures)
    return (
        f"| {row.what} | {row.device}, {row.clock_mhz:.0f} | {row.unit} | {shown} | "
        f"{row.error:+.1%} | {row.verdict} |"
    )


def _limit(each: Requirement) -> str:
    holds = "holds" if each.holds else "does not hold"
    return (
        f"- {each.what}: within {each.allowed:.0%} {holds}; "
        f"the worst is {each.worst.what}, {each.worst.error:+.1%}."
    )


def _count(known: list[Row]) -> str:
    verdicts = [row.verdict for row in known if row.unit == "GB/s"]
    kinds = sorted(set(verdicts), key=lambda kind: (-verdicts.count(kind), kind))
    counted = ", ".join(f"{verdicts.count(kind)} {kind}" for kind in kinds)
    return f"- Bandwidths: of {len(verdicts)} figures, {counted}."


def _notes() -> list[str]:
    known = sweeps.published()
    notes = [
        f"- {name}: {known[name]['source']}. Spread: {known[name]['spread']}."
        for name in sweeps.SWEEPS
    ]
    for name, fact in bandwidths.facts().items():
        taken_off = "" if fact.us is None else f" Launch taken off: {_microseconds(fact.floor_us)}."
        what = f"{fact.chip}; {fact.grade}; stand-in: {bandwidths.MOVES[fact.moves]}"
        note = fact.note[0].upper() + fact.note[1:]
        notes.append(f"- {name} ({what}): {fact.source}. Spread: {fact.spread}.{taken_off} {note}.")
    return notes


def _microseconds(floor: tuple[float, float]) -> str:
    least, most = floor
    return f"{least:g} µs" if least == most else f"{least:g} to {most:g} µs, their mean"
