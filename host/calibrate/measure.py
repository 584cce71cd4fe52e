# SPDX-License-Identifier: Apache-2.0
"""Wall times of every point on a machine, in an order that lets nothing drift into a slope.

Each design is loaded once. Its points are run in rounds, shuffled anew in each, so that a clock or
a load that changes slowly falls on all of them alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from host.calibrate.designs import Design
from host.calibrate.machine import Machine, Session
from host.calibrate.setting import Point
from host.errors import UsageError

ROUNDS = 5
"""How often all points of a design are gone through."""
FAR = 8.0
"""Median deviations from the median beyond which something else delayed a run."""
LEAST_BYTES = 4096
"""Host buffers are never empty."""
LEAST_US = 0.02
"""No mean of wall times is known better than this."""


@dataclass(frozen=True)
class Sample:
    """A point and its wall times in microseconds, launch included."""

    point: Point
    times: NDArray[np.float64]

    @property
    def us(self) -> float:
        """Mean of the runs that nothing else delayed.

        Not their median: of a sum of something skewed and something not, medians do not add up.
        """
        return float(self._undisturbed.mean())

    @property
    def error_us(self) -> float:
        """Standard error of that mean."""
        runs = self._undisturbed
        return max(float(runs.std(ddof=1) / np.sqrt(runs.size)), LEAST_US)

    @property
    def _undisturbed(self) -> NDArray[np.float64]:
        middle = np.median(self.times)
        off = np.abs(self.times - middle)
        near = off <= FAR * max(float(np.median(off)), LEAST_US)
        return self.times[near]


def least_repeats() -> int:
    """Runs of a point without which a deviation means nothing."""
    return 2 * ROUNDS


def measure(
    machine: Machine,
    points: Sequence[Point],
    repeats: int,
    rng: np.random.Generator,
    advance: Callable[[], None] = lambda: None,
) -> list[Sample]:
    """Run every point `repeats` times; `advance` is called after each point of each round.

    Raises:
        UsageError: too few repeats, or a machine that brought wrong data back.
    """
    if repeats < least_repeats():
        raise UsageError(f"--repeats {repeats} is too few for intervals: give {least_repeats()}")
    samples: list[Sample] = []
    for design, group in groupby(sorted(points, key=_by_design), key=lambda each: each.design):
        samples += _on_design(machine, design, list(group), repeats, rng, advance)
    return samples


def steps(points: Sequence[Point]) -> int:
    """How often `measure` calls `advance`."""
    return ROUNDS * len(points)


def _by_design(point: Point) -> Design:
    return point.design


def _on_design(
    machine: Machine,
    design: Design,
    points: list[Point],
    repeats: int,
    rng: np.random.Generator,
    advance: Callable[[], None],
) -> list[Sample]:
    source_bytes = _most(point.payload.source_bytes for point in points)
    target_bytes = _most(point.payload.target_bytes for point in points)
    runs: list[list[NDArray[np.float64]]] = [[] for _ in points]
    with machine.open(design, source_bytes, target_bytes) as session:
        session.source[:] = rng.integers(0, 256, source_bytes, np.uint8)
        words = [_words(machine, session, point) for point in points]
        for point, each in zip(points, words, strict=True):
            _check_data(machine, session, point, each)
        for count in _shares(repeats):
            for place in rng.permutation(len(points)):
                point = points[place]
                runs[place].append(session.run(words[place], point.often * count))
                advance()
    return [Sample(point, np.concatenate(times)) for point, times in zip(points, runs, strict=True)]


def _most(sizes: Iterable[int]) -> int:
    return max(LEAST_BYTES, *sizes)


def _shares(repeats: int) -> list[int]:
    """Runs of a point in each round."""
    return [len(part) for part in np.array_split(np.arange(repeats), ROUNDS)]


def _words(machine: Machine, session: Session, point: Point) -> NDArray[np.uint32]:
    if not point.absolute:
        return point.words
    if session.address is None:
        raise UsageError(f"{machine.name} does not tell device addresses: leave --absolute out")
    return point.at_address(session.address)


def _check_data(
    machine: Machine, session: Session, point: Point, words: NDArray[np.uint32]
) -> None:
    """Run a point once, to warm up, and look at what it brought."""
    session.target[: point.payload.target_bytes] = 0
    session.run(words, 1)
    if not point.payload.right(session.source, session.target):
        raise UsageError(
            f"{machine.name} brought wrong data back in {point.bench!r}: its times mean nothing; "
            "run `sparsebd doctor`"
        )
