# SPDX-License-Identifier: Apache-2.0
"""A phase on a workload in numbers: run in the whole band, every byte checked, times compared.

Over `host.cases`, which plans and runs; under `host.run`, which says on what.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from bdgen.choose import Way
from bdgen.program import Program
from firmware_sim import PROFILES
from firmware_sim.firmware import Firmware
from host import cases, check
from host.cases import Setup, bound_us, image_for, make, output_buffer, perform, pieces, plan
from host.errors import UsageError
from host.explain_text import count
from host.on_device import Measured, Outcome
from host.workload import Workload


class Case(BaseModel):
    """One row of the result: what a phase did on a workload, and how long it took."""

    phase: str
    pattern: str
    sparsity: float
    rows_wanted: int
    rows_moved: int
    bytes_moved: int
    """Weight bytes read, padding not counted."""
    padding_bytes: int
    bds: int
    pushes: int
    tokens: int
    instruction_bytes: int
    """Size of the stream that the host submits."""
    cycles: int | None
    """Array cycles; None where an NPU was timed."""
    us: float
    us_low: float
    us_high: float
    bound_us: float
    bound_ratio: float | None
    speedup_vs_dense: float | None
    speedup_vs_rowwise: float | None
    data_ok: bool
    product_error: float | None
    """Relative error of the product with the gathered rows against the dense product."""
    dropped_pushes: int | None
    """Pushes into full queues; None where an NPU was timed, which does not say."""
    way: str | None = None
    """What `auto` took."""
    us_skip_written: float | None = None
    """Phase 1 where the BDs of skipped rows are still written and patched (this is `us`)."""
    us_skip_walked: float | None = None
    """Phase 1 where they are only walked over."""
    wall_s: float


def measure(
    setup: Setup, workload: Workload, phase: str, baselines: Baselines, *, check_product: bool
) -> Case:
    """Plan a phase, run it under every profile, check it, and compare its time."""
    made, max_gap, way = make(setup, workload, phase)
    output = output_buffer(workload, made)
    times: dict[tuple[str, str], float] = {}
    readings = ("walked", "written") if phase == "phase1" else ("",)
    right = True
    chosen: Outcome | None = None
    simulated = setup.on is None or setup.on.simulated
    profiles = tuple(PROFILES) if simulated else (setup.profile,)
    for skip in readings:
        for profile in sorted(profiles, key=lambda name: name == setup.profile):
            image = image_for(made, workload, skip)
            result = perform(setup, workload, made, profile, output, image)
            right = right and cases.data_ok(workload, made, result, output, max_gap)
            times[skip, profile] = result.microseconds
            if isinstance(result, Measured):
                times |= {("", "low"): result.low, ("", "high"): result.high}
            chosen = result
    if chosen is None:
        raise UsageError("no profile to run")
    bound = bound_us(setup, int(np.count_nonzero(workload.wanted)) * workload.row_bytes)
    us = chosen.microseconds
    rowwise = baselines.rowwise_native if phase in ("phase1", "phase2") else baselines.rowwise_stock
    return Case(
        phase=phase,
        pattern=workload.pattern,
        sparsity=round(workload.sparsity, 6),
        rows_wanted=int(np.count_nonzero(workload.wanted)),
        rows_moved=made.rows_moved,
        bytes_moved=made.bytes_moved,
        padding_bytes=chosen.counts.bytes_read - made.bytes_moved,
        bds=chosen.counts.bds,
        pushes=chosen.counts.pushes,
        tokens=chosen.counts.tokens,
        instruction_bytes=made.words.nbytes,
        cycles=chosen.cycles,
        us=us,
        us_low=min(times.values()),
        us_high=max(times.values()),
        bound_us=bound,
        bound_ratio=us / bound if bound else None,
        speedup_vs_dense=_ratio(baselines.dense, us),
        speedup_vs_rowwise=_ratio(rowwise, us),
        data_ok=right,
        product_error=product_error(workload, made, output) if check_product else None,
        dropped_pushes=chosen.counts.dropped_pushes if simulated else None,
        way=None if way is None else way_text(way),
        us_skip_written=times.get(("written", setup.profile)),
        us_skip_walked=times.get(("walked", setup.profile)),
        wall_s=chosen.wall_s,
    )


def _ratio(base: float, us: float) -> float | None:
    return base / us if us and math.isfinite(base) else None


def way_text(way: Way) -> str:
    """A way of `bdgen.choose` in a few words."""
    if not way.gathers:
        return "dense"
    gap = f", gaps of up to {way.options.max_gap}" if way.options.max_gap else ""
    columns = count(way.target.columns, "column")
    return f"host, {way.options.addressing}, {columns}{gap}"


def product_error(workload: Workload, made: Program, output: NDArray[np.uint8]) -> float:
    """Relative error of the product with what was gathered, against the dense product."""
    values = workload.values()
    gathered = check.product(output, pieces(made), values, workload.row_bytes)
    dense = check.weighted_rows(workload.weights.view(np.uint16), values)
    return check.relative_error(gathered, dense)


@dataclass(frozen=True)
class Baselines:
    """What a phase is compared with, in microseconds: the whole matrix, moved in three ways."""

    dense: float
    """One BD per column on stock firmware."""
    rowwise_stock: float
    """One BD per row on stock firmware."""
    rowwise_native: float
    """One BD per row on an image that enqueues natively (what Phase 1 filters)."""


def baselines(setup: Setup, weights: NDArray[np.uint8]) -> Baselines:
    """Move the whole matrix in the three ways that phases are compared with."""
    rows = weights.shape[0]
    everything = Workload(
        "", "", weights, np.ones(rows, np.float16), "fp16", np.ones(rows, np.bool_)
    )
    output = np.empty(weights.size + 65536, np.uint8)
    simulated = setup.on is None or setup.on.simulated

    def time(phase: str, firmware: str | Firmware | None) -> float:
        made = plan(setup, everything, phase)
        return perform(setup, everything, made, setup.profile, output, firmware).microseconds

    return Baselines(
        dense=time("dense", None),
        rowwise_stock=time("phase1", "stock"),
        rowwise_native=time("phase1", None) if simulated else float("nan"),
    )
