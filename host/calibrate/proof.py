# SPDX-License-Identifier: Apache-2.0
"""Gathers, which no constant was fitted to: what the simulator says beside what the machine took.

They are measured with everything else; then they are simulated with the constants that were found
and with those that are shipped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from bdgen import bitmap as bitmaps
from bdgen import program
from bdgen.bitmap import Bitmap
from bdgen.planner import Options
from bdgen.program import Program
from bdgen.target import Matrix, Target
from firmware_sim import PROFILES, read_configuration, simulate
from firmware_sim.calibration import Calibration
from host import check
from host.calibrate.designs import design
from host.calibrate.fit import FLOOR, Fit
from host.calibrate.measure import Sample
from host.calibrate.op_benches import floor_of
from host.calibrate.payload import Bytes, Payload
from host.calibrate.setting import LARGE_OBJECT, Point, Setting
from host.plan_costs import plan_costs

ROWS, QUICK_ROWS, ROW_BYTES = 4096, 1024, 4096
MANY, FEW = 0.5, 0.1
"""Shares of rows that are wanted."""
OFTEN = 8
"""How many times as often as a point of a sweep a gather is run: it stands alone."""


@dataclass(frozen=True)
class Forecast:
    """A gather's time without its launch, measured and simulated, in microseconds."""

    name: str
    measured_us: float
    error_us: float
    """Standard error of it, launch included."""
    fitted_us: Mapping[str, float] = field(default_factory=dict[str, float])
    """By profile: the middle and the ends of the measured constants."""
    shipped_us: Mapping[str, float] = field(default_factory=dict[str, float])
    """The same by the constants that come with the package."""

    def off(self, simulated: Mapping[str, float]) -> float:
        """How far a simulation is off, relative to what was measured."""
        return simulated["central"] / self.measured_us - 1


def gathers(at: Setting, quick: bool) -> Iterator[Point]:
    """A launch, the whole matrix, and random rows of it: packed, and row by row."""
    one = design(at.npu.name, at.npu.columns, 1, LARGE_OBJECT)
    target = Target(at.npu, one.shipped.columns, one.shipped.object_bytes)
    matrix = Matrix(QUICK_ROWS if quick else ROWS, ROW_BYTES)
    yield floor_of(at, one)
    options = Options(costs=plan_costs(at.npu.name))
    many, few = (_random(matrix, share) for share in (MANY, FEW))
    programs = {
        "dense": program.dense(target, matrix),
        f"host, {MANY:.0%} of the rows": program.host(target, matrix, many, options),
        f"host, {FEW:.0%} of the rows": program.host(target, matrix, few, options),
        f"phase0, {FEW:.0%} of the rows": program.phase0(target, matrix, few),
    }
    for name, made in programs.items():
        payload = _payload(made, matrix)
        yield Point(name, made.rows_moved, one, made.words, {}, payload, often=OFTEN)


def _random(matrix: Matrix, share: float) -> Bitmap:
    return bitmaps.pack(np.random.default_rng(0).random(matrix.rows) < share)


def _payload(made: Program, matrix: Matrix) -> Payload:
    where = made.placement
    pieces = check.Pieces(where.row, where.row_offset, where.nbytes, where.dst)

    def right(source: Bytes, target: Bytes) -> bool:
        weights = source[: matrix.nbytes].reshape(matrix.rows, -1)
        return check.bytes_right(target[: made.output_bytes], weights, pieces, matrix.row_bytes)

    return Payload(matrix.nbytes, made.output_bytes, right)


def forecasts(samples: Sequence[Sample], fit: Fit, found: Calibration) -> list[Forecast]:
    """Every gather that was measured, beside its simulations; `fit` knows its design's launch."""
    return [
        Forecast(
            sample.point.bench,
            sample.us - fit.estimate(FLOOR + sample.point.design.name).value,
            sample.error_us,
            {profile: _simulated(sample.point, profile, found, None) for profile in PROFILES},
            {
                profile: _simulated(sample.point, profile, None, found.reference_clock_mhz)
                for profile in PROFILES
            },
        )
        for sample in samples
    ]


def _simulated(
    point: Point, profile: str, found: Calibration | None, clock_mhz: float | None
) -> float:
    payload = point.payload
    buffers = [np.zeros(each, np.uint8) for each in (payload.source_bytes, payload.target_bytes)]
    configuration = read_configuration(point.design.xclbin())
    result = simulate(
        configuration,
        point.words,
        buffers,
        profile=profile,
        clock_mhz=clock_mhz,
        calibration=found,
    )
    return result.microseconds
