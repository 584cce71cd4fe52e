# SPDX-License-Identifier: Apache-2.0
"""`sparsebd run`: options to cases, with a sweep of random masks behind the plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from aie2.devices import device as device_named
from firmware_sim import PROFILES
from firmware_sim.calibration import costs
from host.cases import PHASES, Baselines, Case, Setup, baselines, measure, prepare
from host.errors import UsageError
from host.report import Report
from host.workload import CAPTURED, Workload, captured, masked, matrix_shape, random_weights
from sparsity import shapes

SWEEP = (0.0, 0.25, 0.5, 0.67, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Sparsities of the sweep behind the plot."""

DEFAULT_SPARSITY = 0.9
"""Sparsity of pattern masks when none is given."""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line."""

    device: str = "npu1"
    model: str | None = None
    rows: int | None = None
    row_bytes: int | None = None
    mask: str | None = None
    sparsity: float | None = None
    phase: str = "all"
    columns: int | None = None
    profile: str = "band"
    seed: int = 0
    layer: int = 0
    token: int = 0
    guard: str = "wait"
    channels: int = 1
    clock_mhz: float | None = None
    sweep: bool = True


def _phases(options: Options) -> tuple[str, ...]:
    if options.phase == "all":
        return PHASES
    names = tuple(options.phase.split(","))
    for name in names:
        if name not in PHASES:
            raise UsageError(f"--phase {name!r} is not one of {', '.join(PHASES)}, all")
    return names


def _profile(options: Options) -> str:
    if options.profile != "band" and options.profile not in PROFILES:
        raise UsageError(f"--profile {options.profile!r} is not one of {', '.join(PROFILES)}, band")
    return "central" if options.profile == "band" else options.profile


def workload_of(options: Options) -> Workload:
    """The matrix and the activation vector that the options name.

    Raises:
        UsageError: options that do not go together.
    """
    name, rows, row_bytes = matrix_shape(options.model, options.rows, options.row_bytes)
    by_name = options.rows is None
    is_captured = by_name and name == shapes.shape(CAPTURED).name
    mask = options.mask or ("model" if is_captured else "random")
    if mask == "model":
        if not is_captured:
            raise UsageError(
                f"no activations of {name} are shipped: give --mask random, alternating, "
                f"contiguous or a file, or --model {CAPTURED}"
            )
        if options.sparsity is not None:
            raise UsageError("--sparsity goes with a pattern; a model's mask has its own sparsity")
        return captured(options.layer, options.token)
    weights = captured(options.layer, 0).weights if is_captured else None
    if weights is None:
        weights = random_weights(rows, row_bytes, options.seed)
    sparsity = DEFAULT_SPARSITY if options.sparsity is None else options.sparsity
    return masked(weights, name, mask, sparsity, options.seed)


def steps(options: Options) -> int:
    """How many cases a run has, for a progress bar."""
    phases = len(_phases(options))
    return phases * (1 + len(SWEEP) * options.sweep)


def run(options: Options, advance: Callable[[], None] = lambda: None) -> Report:
    """Do what the options ask; `advance` is called after each case."""
    phases, profile = _phases(options), _profile(options)
    device = device_named(options.device)
    workload = workload_of(options)
    setup = prepare(
        device,
        options.columns,
        workload.row_bytes,
        profile=profile,
        guard=options.guard,
        channels=options.channels,
        clock_mhz=options.clock_mhz,
    )
    base = baselines(setup, workload.weights)
    cases = list(_measure(setup, workload, phases, base, advance, check_product=True))
    sweep: list[Case] = []
    if options.sweep:
        for sparsity in SWEEP:
            random = masked(workload.weights, workload.model, "random", sparsity, options.seed)
            sweep += _measure(setup, random, phases, base, advance, check_product=False)
    return Report(
        device=device.name,
        clock_mhz=setup.clock,
        model=workload.model,
        rows=workload.rows,
        row_bytes=workload.row_bytes,
        columns=setup.columns,
        profile=options.profile,
        dispatch_base_us=costs(device.name, profile, setup.clock).dispatch_base / setup.clock,
        cases=cases,
        sweep=sweep,
    )


def _measure(
    setup: Setup,
    workload: Workload,
    phases: tuple[str, ...],
    base: Baselines,
    advance: Callable[[], None],
    *,
    check_product: bool,
) -> Iterator[Case]:
    for phase in phases:
        yield measure(setup, workload, phase, base, check_product=check_product)
        advance()
