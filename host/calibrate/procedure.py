# SPDX-License-Identifier: Apache-2.0
"""The whole procedure: points, times, constants, limits, and a proof that they tell gathers' time.

Read it downwards; each step is a module.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from firmware_sim.calibration import Calibration
from host.calibrate import catalog, proof, rate_benches
from host.calibrate.constants import Value, array_clock, shipped, values
from host.calibrate.fit import Fit, expected, fit
from host.calibrate.limits import Rate, limits, rates
from host.calibrate.machine import Machine
from host.calibrate.measure import Sample, least_repeats, measure, steps
from host.calibrate.proof import Forecast
from host.calibrate.rate_benches import Transfer
from host.calibrate.setting import Point, Setting
from host.calibrate.write import Origin, calibration
from host.errors import UsageError

SPAN_US, QUICK_SPAN_US = 2000.0, 500.0
REPEATS, QUICK_REPEATS = 50, 20
"""Runs of a point where nobody says how many."""
PILOT_RUNS = 200


@dataclass(frozen=True)
class Plan:
    """Every stream that will be run."""

    setting: Setting
    repeats: int
    summed: list[Point]
    transfers: list[Transfer]
    gathers: list[Point]

    @property
    def points(self) -> list[Point]:
        """All points."""
        moved = [each for one in self.transfers for each in (one.shorter, one.longer)]
        return [*self.summed, *moved, *self.gathers]

    @property
    def steps(self) -> int:
        """How often `calibrate` calls `advance`."""
        return steps(self.points)

    def expected_us(self, jitter_us: float) -> dict[str, float]:
        """Half interval of every term that launches with this deviation allow."""
        return expected(self.summed, lambda point: jitter_us / (point.often * self.repeats) ** 0.5)


@dataclass(frozen=True)
class Outcome:
    """What was found."""

    origin: Origin
    plan: Plan
    fit: Fit
    jitter_us: float
    """Deviation of launches, as a pilot measured it."""
    values: dict[str, Value]
    rates: list[Rate]
    forecasts: list[Forecast]
    calibration: Calibration


def plan(
    machine: Machine, *, repeats: int | None = None, quick: bool = False, absolute: bool = False
) -> Plan:
    """What will be run on a machine.

    Raises:
        UsageError: too few repeats for intervals.
    """
    count = repeats if repeats is not None else QUICK_REPEATS if quick else REPEATS
    if count < least_repeats():
        raise UsageError(f"--repeats {count} is too few for intervals: give {least_repeats()}")
    at = Setting(machine.device, QUICK_SPAN_US if quick else SPAN_US, absolute)
    floor, *gathers = proof.gathers(at, quick)
    summed = [*catalog.points(at), floor]
    return Plan(at, count, summed, list(rate_benches.transfers(at, quick)), gathers)


def pilot(machine: Machine, made: Plan) -> float:
    """Deviation of a machine's launches in microseconds, from the shortest stream there is."""
    floor = made.summed[0]
    with machine.open(floor.design, 4096, 4096) as session:
        session.run(floor.words, PILOT_RUNS // 10)
        sample = Sample(floor, session.run(floor.words, PILOT_RUNS))
    return sample.error_us * sample.times.size**0.5


def calibrate(
    machine: Machine,
    made: Plan,
    jitter_us: float,
    date: str,
    *,
    seed: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> Outcome:
    """Measure everything and find every constant."""
    rng = np.random.default_rng(seed)
    samples = measure(machine, made.points, made.repeats, rng, advance)
    by_point = {id(sample.point): sample for sample in samples}
    fitted = fit([by_point[id(point)] for point in made.summed])
    npu, known_clock = machine.device, machine.clock_mhz
    clock = array_clock(fitted, npu) if known_clock is None else known_clock
    found_rates = rates(made.transfers, samples)
    found = values(fitted, npu, clock, known_clock is not None)
    found |= limits(found_rates, shipped(npu, clock))
    origin = Origin(machine.name, npu.name, clock, date)
    constants = calibration(found, origin)
    gathered = [by_point[id(point)] for point in made.gathers]
    forecasts = proof.forecasts(gathered, fitted, constants)
    return Outcome(origin, made, fitted, jitter_us, found, found_rates, forecasts, constants)
