# SPDX-License-Identifier: Apache-2.0
"""What the first seed says about its NPU phases, beside the simulator: entries for the tables.

The phases over sparsity are those of `sparsebd seed`, which takes a quarter of a minute a device;
row sizes and patterns are simulated here, on small matrices. Times are of the central profile.
"""

from __future__ import annotations

from collections.abc import Callable
from math import gcd

import numpy as np

from aie2.devices import device as device_named
from bdgen import bitmap as bitmaps
from bdgen.pack import pack
from firmware_sim import PROFILES, Native
from host import seed
from host.cases import data_ok, execute, output_buffer, plan, prepare
from host.errors import UsageError
from host.workload import masked, random_weights
from sparsity.masks import bernoulli
from sparsity.tables.figure import Kind, SeedFigure, Table

NAMES = {"npu1": "Phoenix", "npu2": "Strix"}
NATIVE, STOCK, DENSE, PHASE_2 = "phase0, native", "phase0, stock", "dense, stock", "phase2"
WRITTEN, WALKED = "phase1, skipped BDs written", "phase1, skipped BDs walked"
ROW_SIZES = 256, 1024, 4096, 8192
"""Bytes of the rows that are compared."""
ROWS = 1024
"""Of the matrices on which row sizes and patterns are compared."""
SMALL_OVERHEAD = 0.25
"""What counts as small here; the seed gives no number."""
LINEAR = 0.99
"""R2 from which a line counts as near-perfect."""
GAIN = 37.0
MAKING = "scanning and making BDs costs nearly as much as walking over the others"

_P0, _P1, _P2 = (Table(0, f"Phase {phase}, simulated") for phase in range(3))
_TAKEAWAYS = Table(0, "takeaways, simulated")


def figures(device: str, advance: Callable[[], None] = lambda: None) -> list[SeedFigure]:
    """Simulate a device and return the entries; `advance` is called after each step of a mode.

    Raises:
        UsageError: a run whose data came out wrong.
    """
    found = seed.compare("relullama-7b", device, advance)
    name = NAMES[device]
    return [
        _moved(found, name),
        *_phase_0(found, name),
        *_row_sizes(device, name),
        *_phase_1(found, name),
        *_diminishing(found, name),
        *_phase_2(found, name),
        _batch(device, name),
        *_patterns(device, name),
        _resonance(found, device, name),
        _packed(name),
    ]


def _moved(found: seed.Comparison, name: str) -> SeedFigure:
    runs = len(found.us)
    return _P0.statement(
        f"rows moved as wanted, each once and no other, all bytes right, {name}",
        "only rows of activated elements",
        runs,
        runs == len(seed.MODES) * len(seed.STEPS) * len(PROFILES),
        "runs, each checked; a wrong one would have ended the command",
        "runs",
        Kind.MEASURED,
    )


def _phase_0(found: seed.Comparison, name: str) -> list[SeedFigure]:
    entries = []
    for mode in (NATIVE, STOCK):
        fit = seed.line(found.times(mode))
        entries.append(
            _P0.statement(
                f"near-perfect linear speed-up, {mode}, {name}: R2 of time over density",
                "near-perfect linear",
                fit.r_squared,
                fit.r_squared > LINEAR,
                f"intercept {fit.intercept_us:.0f} us of {fit.slope_us + fit.intercept_us:.0f} us",
                "",
                Kind.MEASURED,
            )
        )
        over = float(found.times(mode)[0] / found.times(DENSE)[0])
        bands = [float(found.times(mode, p)[0] / found.times(DENSE, p)[0]) for p in PROFILES]
        entries.append(
            _P0.statement(
                f"row-wise BDs add a small overhead to a single BD, {mode}, {name}",
                "small overhead",
                over,
                over < 1 + SMALL_OVERHEAD,
                f"times the dense transfer where all rows are wanted; {min(bands):.2f} to "
                f"{max(bands):.2f} over the profiles, for what enqueueing costs is not known. "
                f"Small is taken to be {SMALL_OVERHEAD:.0%}",
                "x",
                Kind.MEASURED,
            )
        )
    return entries


def _row_sizes(device: str, name: str) -> list[SeedFigure]:
    over = [
        _us(device, size, NATIVE, "contiguous", 0) / _us(device, size, DENSE, "contiguous", 0)
        for size in ROW_SIZES
    ]
    told = ", ".join(f"{size} bytes {each:.2f}" for size, each in zip(ROW_SIZES, over, strict=True))
    return [
        _P0.statement(
            f"scales for sufficiently large columns and filled BDs, {name}: row-wise over one BD",
            "sufficiently large",
            told,
            over[0] > over[-1] and over[-1] < 1 + SMALL_OVERHEAD,
            "native enqueueing, all rows wanted: short rows are moved faster than BDs are enqueued",
            "x",
            Kind.MEASURED,
        )
    ]


def _phase_1(found: seed.Comparison, name: str) -> list[SeedFigure]:
    dense, entries = found.times(DENSE)[0], []
    gains: list[float] = []
    for mode in (WRITTEN, WALKED):
        times = found.times(mode)
        for base, against in ((dense, "one-BD dense"), (times[0], "row-by-row dense")):
            gains.append(100 * float(1 - times.min() / base))
            entries.append(
                _P1.number(
                    f"up to 37 % gain, {mode.removeprefix('phase1, ')}, against {against}, {name}",
                    f"{GAIN:.0f}",
                    gains[-1],
                    "%",
                    f"less time at most; as a speed-up {base / times.min():.2f}x. The seed does "
                    "not say of what, nor what skipping a BD costs its firmware",
                    Kind.MEASURED,
                )
            )
    return [
        *entries,
        _P1.statement(
            f"37 % lies within these readings, {name}",
            "37 %",
            f"{min(gains):.0f} to {max(gains):.0f}",
            min(gains) - 0.5 <= GAIN <= max(gains),
            "the lowest is against one-BD dense with skipped BDs written, the highest against "
            "row-by-row dense with skipped BDs walked over",
            "%",
            Kind.MEASURED,
        ),
    ]


def _diminishing(found: seed.Comparison, name: str) -> list[SeedFigure]:
    times = found.times(WALKED)
    later, ideal = float(times[-3] / times[-1]), seed.STEPS[-1] / seed.STEPS[-3]
    return [
        _P1.statement(
            f"diminishing returns: from 88 to 97 % sparsity, {name}",
            "diminishing",
            later,
            later < ideal,
            f"times faster, where a quarter of the rows would allow {ideal:g}: all BDs are walked "
            "over however few are wanted",
            "x",
            Kind.MEASURED,
        ),
    ]


def _phase_2(found: seed.Comparison, name: str) -> list[SeedFigure]:
    two, zero, one = (found.times(mode)[1:] for mode in (PHASE_2, NATIVE, WALKED))
    closer = np.abs(two - zero) < np.abs(two - one)
    not_at = [f"{1 - 1 / s:.0%}" for s, yes in zip(seed.STEPS[1:], closer, strict=True) if not yes]
    lines = seed.line(found.times(PHASE_2)), seed.line(found.times(NATIVE))
    slope = lines[0].slope_us / lines[1].slope_us
    return [
        _P2.statement(
            f"closer to Phase 0 than to Phase 1, {name}: of 6 sparsities",
            "closer to Phase 0",
            int(np.count_nonzero(closer)),
            not not_at,
            f"against Phase 1 with BDs walked over; {two[-1]:.0f} us at 97 %, where Phase 0 takes "
            f"{zero[-1]:.0f} and Phase 1 {one[-1]:.0f}"
            + (f". Not at {' and '.join(not_at)}, where {MAKING}" if not_at else ""),
            "",
            Kind.MEASURED,
        ),
        _P2.statement(
            f"the only overhead is scanning and making the bitmap, {name}: slope over Phase 0's",
            "only overhead",
            slope,
            slope < 1.05,
            f"the scan is an intercept of {lines[0].intercept_us:.0f} us; the slope is steeper "
            "since making a BD is taken to cost more than copying one",
            "x",
            Kind.MEASURED,
        ),
    ]


def _batch(device: str, name: str) -> SeedFigure:
    return _P2.number(
        f"BDs of a batch, the most of a column, {name}",
        "16",
        device_named(device).shim_bds,
        "BDs",
        "of its shim, shared by both directions: what is written back to DDR takes some",
    )


def _patterns(device: str, name: str) -> list[SeedFigure]:
    size, sparsity = 4096, 0.75
    even, block = (_us(device, size, NATIVE, p, sparsity) for p in ("alternating", "contiguous"))
    return [
        _TAKEAWAYS.statement(
            f"performance is a function of the number of row transfers, {name}",
            "of the number of transfers",
            even / block,
            abs(even / block - 1) < 0.05,
            f"time of every fourth row over that of a block of as many, {ROWS} rows of {size} "
            "bytes, Phase 0: both are one BD a row",
            "x",
            Kind.MEASURED,
        )
    ]


def _resonance(found: seed.Comparison, device: str, name: str) -> SeedFigure:
    """Phase 1 where fewer rows take longer, if that is so."""
    columns = device_named(device).columns
    hit = columns // gcd(4, columns)
    times = found.times(WALKED)
    third, fourth = (times[seed.STEPS.index(step)] for step in (3, 4))
    return _TAKEAWAYS.statement(
        f"the same of Phase 1, {name}: one row in 4 over one row in 3",
        "of the number of transfers",
        float(fourth / third),
        bool(fourth <= third),
        "rows are dealt to columns by number when the stream is made, so that every fourth row "
        f"falls on {hit} of {columns} columns: where rows lie matters too",
        "x",
        Kind.MEASURED,
    )


def _packed(name: str) -> SeedFigure:
    rows, row_bytes = 11008, 8192
    mask = bernoulli(rows, 0.9)
    bds, wanted = len(pack(bitmaps.pack(mask), rows, row_bytes)), int(np.count_nonzero(mask))
    return _TAKEAWAYS.statement(
        f"pack BDs, rows can be transferred in batches, {name}: wanted rows a BD, 7B at 90 %",
        "optimise BD utilisation",
        wanted / bds,
        wanted > bds,
        "lattices of rows that a BD can count, repeats included, of a coin-flip mask; the seed has "
        "one row a BD",
        "rows",
        Kind.MEASURED,
    )


def _us(device: str, row_bytes: int, mode_name: str, pattern: str, sparsity: float) -> float:
    """Microseconds of a small matrix in a mode of `host.seed`."""
    mode = next(each for each in seed.MODES if each.name == mode_name)
    setup = prepare(device_named(device), None, row_bytes, guard=mode.guard)
    work = masked(random_weights(ROWS, row_bytes, 0), "rows", pattern, sparsity, 0)
    made = plan(setup, work, mode.phase)
    output = output_buffer(work, made)
    image = Native() if mode_name == NATIVE else None
    result = execute(setup, work, made, "central", output, image)
    if not data_ok(work, made, result, output):
        raise UsageError(f"{mode.name} brought wrong data: {result.diagnostics[:1]}")
    return result.microseconds
