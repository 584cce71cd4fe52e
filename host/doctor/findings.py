# SPDX-License-Identifier: Apache-2.0
"""What a check can answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from host.doctor.facts import facts


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Answer:
    """What a check found, and where something is wrong, why and what mends it."""

    status: Status
    found: str
    problem: str = ""
    """Name in `facts.toml`; empty: nothing to mend."""
    cause: str = ""
    remedy: tuple[str, ...] = ()
    """Commands, each with what to mind after a `#`; or what to do by hand, in words."""
    sources: tuple[str, ...] = ()
    """Where it was met: threads, documents, sources."""


@dataclass(frozen=True)
class Finding:
    """An answer and the check that gave it."""

    check: str
    title: str
    answer: Answer


def ok(found: str) -> Answer:
    """All well."""
    return Answer(Status.OK, found)


def skipped(why: str) -> Answer:
    """Not looked at, and why."""
    return Answer(Status.SKIPPED, why)


def wrong(problem: str, found: str, **words: object) -> Answer:
    """Something of `facts.toml`; `words` fill in its texts."""
    known = facts().problem[problem]
    status = Status.PROBLEM
    if known.warning or known.skipped:
        status = Status.WARNING if known.warning else Status.SKIPPED
    return Answer(
        status,
        found,
        problem,
        known.cause.format_map(words) if words else known.cause,
        tuple(line.format_map(words) if words else line for line in known.remedy),
        known.sources,
    )
