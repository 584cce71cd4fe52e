# SPDX-License-Identifier: Apache-2.0
"""One gather of `host`, planned and simulated: what `sparsebd plan` shows, alone or in tables."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from pydantic import BaseModel

from bdgen.forecast import Forecast
from bdgen.pack import Packer
from bdgen.planner import Options, Plan, Planner
from bdgen.program import Program, host
from bdgen.scan import scan
from bdgen.stencils import Words
from bdgen.target import Matrix
from host.cases import Made, Setup, bound_us, data_ok, execute
from host.workload import Workload

MARGIN_BYTES = 65536
"""Output behind what a program writes, which must stay untouched."""
TIMED_S = 0.2
"""Time for which a call is repeated to find out how long it takes."""
TIMED_CALLS = 3, 500
"""How often it is repeated at least and at most."""


@dataclass(frozen=True)
class Gather:
    """A plan of `host` for a workload, the machine that it is for, and what it is forecast."""

    setup: Setup
    workload: Workload
    planner: Planner
    plan: Plan
    program: Program
    forecast: Forecast

    @property
    def made(self) -> Made:
        """The program and the gap that it may close."""
        return Made(self.program, self.planner.options.max_gap)


class Run(BaseModel):
    """A simulated run in one profile."""

    profile: str
    us: float
    bound_us: float
    """Least time for the wanted bytes in this profile."""
    bound_ratio: float | None
    """None if no row is wanted."""
    data_ok: bool


class Timing(BaseModel):
    """How long planning takes on this machine, one core, in the quickest of many warm calls."""

    plan_us: float
    """From the activation vector to the finished words."""
    scan_us: float
    pack_us: float
    calls: int


def plan_gather(setup: Setup, workload: Workload, options: Options | None = None) -> Gather:
    """Plan the wanted rows of a workload as `host` does, by default with the setup's options.

    Raises:
        PlanError: options that contradict each other or the matrix.
    """
    matrix = Matrix(rows=workload.rows, row_bytes=workload.row_bytes)
    chosen = setup.options if options is None else options
    planner = Planner(setup.target, matrix, replace(chosen, dtype=workload.dtype))
    plan = planner.plan_into(planner.buffer(), workload.activations)
    bitmap = scan(workload.activations, dtype=workload.dtype)
    program = host(setup.target, matrix, bitmap, chosen)
    return Gather(setup, workload, planner, plan, program, planner.forecast(plan))


def words_for(gather: Gather, addresses: tuple[int, int]) -> Words:
    """The words of an absolute plan for buffers that lie at other addresses."""
    matrix, options = gather.planner.matrix, replace(gather.planner.options, addresses=addresses)
    planner = Planner(gather.setup.target, matrix, options)
    return planner.plan_into(planner.buffer(), gather.workload.activations).words.copy()


def simulated(setup: Setup, workload: Workload, made: Made, profile: str) -> Run:
    """Run a program in a profile, check every byte, and compare with that profile's bound."""
    output = np.empty(made.program.output_bytes + MARGIN_BYTES, np.uint8)
    result = execute(setup, workload, made.program, profile, output)
    wanted = int(np.count_nonzero(workload.wanted)) * workload.row_bytes
    bound = bound_us(replace(setup, profile=profile), wanted)
    return Run(
        profile=profile,
        us=result.microseconds,
        bound_us=bound,
        bound_ratio=result.microseconds / bound if bound else None,
        data_ok=data_ok(workload, made.program, result, output, made.max_gap),
    )


def timing(gather: Gather) -> Timing:
    """Plan again and again; the plan in `gather` is not touched."""
    options, vector = gather.planner.options, gather.workload.activations
    planner = Planner(gather.setup.target, gather.planner.matrix, options)
    buffer = planner.buffer()
    plan_us, calls = least_us(lambda: planner.plan_into(buffer, vector))
    scan_us, _ = least_us(lambda: scan(vector, dtype=gather.workload.dtype))
    bitmap = scan(vector, dtype=gather.workload.dtype)
    packer = Packer(
        gather.workload.rows,
        gather.workload.row_bytes,
        options.effort,
        repeats=repeats(options),
        max_gap=options.max_gap,
    )
    pack_us, _ = least_us(lambda: packer.pack(bitmap))
    return Timing(plan_us=plan_us, scan_us=scan_us, pack_us=pack_us, calls=calls)


def repeats(options: Options) -> bool:
    """Whether a plan's chains may be repeated: iteration cannot do both."""
    return options.repeats and options.addressing != "iteration"


def least_us(call: Callable[[], object], limit_s: float = TIMED_S) -> tuple[float, int]:
    """The quickest of many calls, in microseconds, and how many there were."""
    call()
    least, spent, calls = float("inf"), 0.0, 0
    while calls < TIMED_CALLS[0] or (spent < limit_s and calls < TIMED_CALLS[1]):
        begun = time.perf_counter()
        call()
        took = time.perf_counter() - begun
        least, spent, calls = min(least, took), spent + took, calls + 1
    return least * 1e6, calls
