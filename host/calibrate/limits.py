# SPDX-License-Identifier: Apache-2.0
"""Rates by lanes, and the limits that they run into.

The model has hard limits: lanes add up until one is met. So a limit is measured where all lanes
together are clearly slower than one lane times their number; where they are not, the rate that was
seen is the least that the limit can be.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from host.calibrate.catalog import ISOLATED_BY
from host.calibrate.constants import Known, Value, kept
from host.calibrate.designs import Moves
from host.calibrate.fit import Estimate
from host.calibrate.measure import Sample
from host.calibrate.rate_benches import Transfer

FULL = 0.97
"""Share of what lanes alone would add up to, from which on no limit is seen."""


@dataclass(frozen=True)
class Rate:
    """How fast a transfer went, in GB/s of 10^9 bytes, reads and writes together."""

    transfer: Transfer
    estimate: Estimate
    alone: float
    """What one lane's rate times the lanes is; 0 for rows and strides, which all lanes move."""

    @property
    def gb_s(self) -> float:
        """The rate."""
        return self.estimate.value

    @property
    def limited(self) -> bool:
        """Whether it is clearly below what its lanes would add up to."""
        return self.estimate.interval[1] < FULL * self.alone


def rates(transfers: Sequence[Transfer], samples: Sequence[Sample]) -> list[Rate]:
    """The rate of every transfer, from how much longer its longer point took."""
    by_point = {id(sample.point): sample for sample in samples}
    found: list[Rate] = []
    single: dict[str, float] = {}
    for transfer in transfers:
        short, long = (by_point[id(each)] for each in (transfer.shorter, transfer.longer))
        us = long.us - short.us
        error = (short.error_us**2 + long.error_us**2) ** 0.5
        value = transfer.nbytes / us / 1e3
        freedom = float(short.times.size + long.times.size - 2)
        if transfer.lanes == 1:
            single[transfer.moves] = value
        alone = 0.0 if transfer.row_bytes else single[transfer.moves] * transfer.lanes
        found.append(Rate(transfer, Estimate(value, value * error / us, freedom), alone))
    return found


def limits(found: Sequence[Rate], known: Mapping[str, Known]) -> dict[str, Value]:
    """Every limit: measured, or as shipped but not below what was seen.

    Reads alone pass the limit of both together too, and copies those of each: of what is as fast
    as the other allows, the other is the limit.
    """
    copies, reads, writes = (_widest(found, moves) for moves in ("copy", "read", "write"))
    slower = min(reads.gb_s, writes.gb_s)
    both = copies.limited and copies.gb_s / 2 < FULL * slower
    values: dict[str, Value] = {}
    for name, rate in (("read_limit", reads), ("write_limit", writes)):
        if both and rate.limited and rate.gb_s >= FULL * copies.gb_s:
            values[name] = _bound(name, rate, known[name], "the limit of both together comes first")
        else:
            values[name] = _limit(name, rate, known[name])
    name = "combined_limit"
    if copies.limited and not both:
        why = "copies are as fast as reads or writes alone allow"
        values[name] = _bound(name, copies, known[name], why)
    else:
        values[name] = _limit(name, copies, known[name])
    values["column_limit"] = _limit("column_limit", _pair(found), known["column_limit"])
    return values


def _pair(found: Sequence[Rate]) -> Rate:
    """Reads over all channels of one column."""
    one = (rate for rate in found if (rate.transfer.moves, rate.transfer.columns) == ("read", 1))
    return max(one, key=lambda rate: rate.transfer.lanes)


def _widest(found: Sequence[Rate], moves: Moves) -> Rate:
    whole = (rate for rate in found if rate.transfer.moves == moves and rate.alone)
    return max(whole, key=lambda rate: rate.transfer.lanes)


def _limit(name: str, rate: Rate, known: Known) -> Value:
    if not rate.limited:
        return _bound(name, rate, known, "its lanes add up as if there were no limit")
    low, high = rate.estimate.interval
    return Value(name, known.constant.unit, True, (high, rate.gb_s, low), ISOLATED_BY[name], known)


def _bound(name: str, rate: Rate, known: Known, why: str) -> Value:
    """As shipped, but no profile below the rate that was seen."""
    seen = rate.gb_s
    low, central, high = (max(value, seen) for value in known.profiles)
    value = kept(name, known, f"not met: {why}, and at {seen:.1f} GB/s it is no lower")
    return Value(name, value.unit, False, (low, central, high), value.how, known)
