# SPDX-License-Identifier: Apache-2.0
"""From fitted microseconds to the constants of a machine, each measured or kept as shipped.

A constant is kept where no wall time can tell it, and where this measurement tells less than was
known before: its reason goes with it into the file.
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2.devices import Device
from firmware_sim import PROFILES
from firmware_sim.calibration import Constant, Costs, costs, provenance
from host.calibrate.catalog import ISOLATED_BY, KEPT
from host.calibrate.fit import Estimate, Fit
from host.calibrate.setting import COLD_REST

LIMITS = ("read_limit", "write_limit", "combined_limit", "column_limit")
"""Constants in GB/s, of which the profile `low` takes the highest; found apart from the fit."""
DECAY, COLD, WORD = "shim_mm2s_cold_decay", "shim_mm2s_cold", "word"
COARSE = 0.5
"""Half interval over value beyond which a measurement is weighed against what was known."""


@dataclass(frozen=True, slots=True)
class Known:
    """A constant as it is shipped, at the clock of a machine."""

    constant: Constant
    owner: str
    """Device whose file states it."""
    profiles: tuple[float, float, float]
    """Value in each of `PROFILES`: cycles, GB/s or a ratio."""

    @property
    def band(self) -> tuple[float, float]:
        """Least and greatest that it may be, as far as was known: profiles and spread."""
        values = [*self.profiles, *(self.spread or ())]
        return min(values), max(values)

    @property
    def spread(self) -> tuple[float, float] | None:
        """Published spread, brought to the machine's clock as the value was."""
        stated = self.constant.at("central")
        if self.constant.spread is None or not stated:
            return None
        least, most = (each * self.profiles[1] / stated for each in self.constant.spread)
        return least, most


@dataclass(frozen=True, slots=True)
class Value:
    """A constant of a machine."""

    name: str
    unit: str
    measured: bool
    profiles: tuple[float, float, float]
    """What the simulator takes in each of `PROFILES`: measured, the interval and the value."""
    how: str
    """How it was measured, or why it was not."""
    known: Known

    @property
    def value(self) -> float:
        """The central value."""
        return self.profiles[1]

    @property
    def interval(self) -> tuple[float, float]:
        """Least and greatest value."""
        return min(self.profiles), max(self.profiles)


def shipped(npu: Device, clock_mhz: float) -> dict[str, Known]:
    """Every constant as it comes with the package, at a clock."""
    bands = [costs(npu.name, profile, clock_mhz) for profile in PROFILES]
    found: dict[str, Known] = {}
    for name, (constant, owner) in provenance(npu.name).items():
        scale = clock_mhz / 1000.0 if constant.unit == "GB/s" else 1.0
        low, central, high = (getattr(band, name) * scale for band in bands)
        found[name] = Known(constant, owner, (low, central, high))
    return found


def array_clock(fit: Fit, npu: Device) -> float:
    """The clock, in MHz, at which a channel moves words as fast as it did: 1 cycle a word."""
    cycles = costs(npu.name)._asdict()[WORD]
    return cycles / fit.estimate(WORD).value


def kept(name: str, known: Known, why: str) -> Value:
    """A constant as it is shipped."""
    return Value(name, known.constant.unit, False, known.profiles, why, known)


def measured(name: str, known: Known, estimate: Estimate, scale: float = 1.0) -> Value:
    """A constant as it was measured, or kept if that tells less than was known.

    `scale` makes the constant's unit of the estimate's.
    """
    value, half = max(0.0, estimate.value * scale), estimate.half * scale
    low, high = (each * scale for each in estimate.interval)
    least, most = known.band
    if half > COARSE * value and 2 * half > most - least:
        unit = "" if known.constant.unit == "ratio" else f" {known.constant.unit}"
        why = f"measured no closer than {low:.3g} to {high:.3g}{unit}"
        return kept(name, known, f"{why}, which says less than was known")
    return Value(name, known.constant.unit, True, (low, value, high), ISOLATED_BY[name], known)


def values(fit: Fit, npu: Device, clock_mhz: float, clock_known: bool) -> dict[str, Value]:
    """Every constant but the limits, in array cycles at the machine's clock.

    Where the clock was not known it was taken from the words, so that `word` cannot be measured.
    """
    known = shipped(npu, clock_mhz)
    found: dict[str, Value] = {}
    for name in Costs._fields:
        if name in LIMITS:
            continue
        if name in KEPT:
            found[name] = kept(name, known[name], KEPT[name])
        elif name == WORD and not clock_known:
            found[name] = kept(name, known[name], "it gave the array clock, which was not known")
        elif name == DECAY:
            found[name] = _decay(fit, known[name])
        else:
            found[name] = measured(name, known[name], fit.estimate(name), clock_mhz)
    return found


def _decay(fit: Fit, known: Known) -> Value:
    """What is left of a cold start at each further task: d, if all of those add up to d/(1 - d)."""
    first, rest = fit.estimate(COLD).value, fit.estimate(COLD_REST).value
    if first <= 0 or rest <= 0:
        return kept(DECAY, known, "no cold start was seen, so nothing decays")
    whole = first + rest
    slopes = {COLD: -rest / whole**2, COLD_REST: first / whole**2}
    found = measured(DECAY, known, fit.combined(rest / whole, slopes))
    return found if found.interval[1] < 1 else kept(DECAY, known, "measured too coarsely to tell")
