# SPDX-License-Identifier: Apache-2.0
"""`sparsebd run`: options to a job, all checked; a job to cases and the sweep behind the plot."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from aie2.devices import Device as DeviceFacts
from aie2.devices import device as device_named
from firmware_sim import PROFILES
from firmware_sim.calibration import costs
from host.cases import AUTO, L2_OFFSET, PHASES, Setup, prepare, request_for
from host.device import Device
from host.errors import UsageError
from host.measure import Baselines, Case, baselines, measure
from host.on_device import OnDevice
from host.report import Report
from host.workload import CAPTURED, Workload, captured, masked, matrix_shape, random_weights
from sparsity import masks, shapes

SWEEP = (0.0, 0.25, 0.5, 0.67, 0.8, 0.9, 0.95, 0.98, 0.99)
"""Sparsities of the sweep behind the plot."""

DEFAULT_SPARSITY = 0.9
"""Sparsity of pattern masks when none is given and none is published for the model."""

CLOCK_MHZ = (1.0, 10_000.0)
"""Array clocks that a run is asked for: what is outside is a slip of the unit."""

ACTIVATION_BYTES = 2
"""Bytes of an activation of any workload here, fp16 or bf16."""


@dataclass(frozen=True)
class Options:
    """What was asked for on the command line; None where a default depends on the rest."""

    device: str | None = None
    """npu1 if nothing is said, or what the NPU is."""
    model: str | None = None
    rows: int | None = None
    row_bytes: int | None = None
    mask: str | None = None
    sparsity: float | None = None
    phase: str = "all"
    columns: int | None = None
    profile: str = "band"
    seed: int = 0
    layer: int | None = None
    token: int | None = None
    guard: str = "wait"
    channels: int = 1
    clock_mhz: float | None = None
    phase2_scan: str = "whole"
    effort: str = "fast"
    addressing: str = "patch"
    max_gap: int = 0
    sweep: bool = True
    backend: str = "sim"


NPU_PHASES = ("dense", "phase0", "host")
"""Modes that stock firmware runs."""


@dataclass(frozen=True)
class Job:
    """A run that can be done: options that go together, and what they name."""

    setup: Setup
    workload: Workload
    phases: tuple[str, ...]
    profile: str
    """As it was asked for: one of the profiles, or band."""
    seed: int
    sweep: tuple[float, ...]

    @property
    def steps(self) -> int:
        """How often `run` calls `advance`: for the baselines, and for each case."""
        return 1 + len(self.phases) * (1 + len(self.sweep))


def job(options: Options, opened: Device | None = None) -> Job:
    """Everything that can be wrong with the options is found here, the cheap things first.

    Args:
        options: What was asked for.
        opened: The device to run on; None: cases are simulated directly.

    Raises:
        UsageError: an unknown name, a number out of range, or options that do not go together.
        Aie2Error, DesignError, PlanError, SparsityError: what those packages refuse.
    """
    on_npu = opened is not None and opened.backend == "xrt"
    phases, profile = _phases(options, on_npu=on_npu), _profile(options)
    device = device_named(options.device or "npu1") if opened is None else opened.facts
    if on_npu and options.addressing == "absolute":
        raise UsageError("--addressing absolute is for the simulator: give patch or iteration")
    if options.seed < 0:
        raise UsageError(f"--seed {options.seed} is negative: give 0 or more")
    if options.clock_mhz is not None and not CLOCK_MHZ[0] <= options.clock_mhz <= CLOCK_MHZ[1]:
        low, high = CLOCK_MHZ
        raise UsageError(f"--clock-mhz {options.clock_mhz:g} is not from {low:g} to {high:g}")
    _, rows, row_bytes = matrix_shape(options.model, options.rows, options.row_bytes)
    setup = prepare(
        device,
        options.columns,
        row_bytes,
        profile=profile,
        guard=options.guard,
        channels=options.channels,
        clock_mhz=options.clock_mhz,
        phase2_scan=options.phase2_scan,
        effort=options.effort,
        addressing=options.addressing,
        max_gap=options.max_gap,
    )
    _check_room(device, rows)
    if opened is not None:
        setup = replace(setup, on=OnDevice(opened, setup.shipped.read()))
    workload = workload_of(options)
    if "phase2" in phases:
        request_for(workload)  # refuses what its fields cannot hold
    sweep = SWEEP if options.sweep else ()
    return Job(setup, workload, phases, options.profile, options.seed, sweep)


def _phases(options: Options, *, on_npu: bool = False) -> tuple[str, ...]:
    if options.phase == "all":
        return NPU_PHASES if on_npu else PHASES
    names = tuple(dict.fromkeys(name.strip() for name in options.phase.split(",")))
    for name in names:
        if name not in (*PHASES, AUTO):
            raise UsageError(f"--phase {name!r} is not one of {', '.join(PHASES)}, {AUTO}, all")
        if on_npu and name in PHASES and name not in NPU_PHASES:
            raise UsageError(
                f"--phase {name} needs firmware that no NPU has: give {', '.join(NPU_PHASES)} or "
                f"{AUTO}, or --backend sim"
            )
    return names


def _profile(options: Options) -> str:
    if options.profile != "band" and options.profile not in PROFILES:
        raise UsageError(f"--profile {options.profile!r} is not one of {', '.join(PROFILES)}, band")
    return "central" if options.profile == "band" else options.profile


def _check_room(device: DeviceFacts, rows: int) -> None:
    """Refuse a vector that does not fit into the memtile where the layer before leaves it."""
    most = (device.memtile_bytes - L2_OFFSET) // ACTIVATION_BYTES
    if rows > most:
        raise UsageError(
            f"{rows} rows have more activations than a memtile holds beside the fifo: give at most "
            f"{most} rows"
        )


def workload_of(options: Options) -> Workload:
    """The matrix and the activation vector that the options name.

    Raises:
        UsageError: options that do not go together.
    """
    name, rows, row_bytes = matrix_shape(options.model, options.rows, options.row_bytes)
    by_name = options.rows is None
    is_captured = by_name and name == shapes.shape(CAPTURED).name
    mask = options.mask
    if mask is None:
        mask = "model" if is_captured else "random"
    if mask == "model":
        if not is_captured:
            raise UsageError(
                f"no activations of {name} are shipped: give --mask random, alternating, "
                f"contiguous or a file, or --model {CAPTURED}"
            )
        if options.sparsity is not None:
            raise UsageError("--sparsity goes with a pattern; a model's mask has its own sparsity")
        return captured(options.layer or 0, options.token or 0)
    if options.token is not None:
        raise UsageError(f"--token goes with the real activations of {CAPTURED}: give --mask model")
    if options.sparsity is not None and mask not in masks.PATTERNS:
        raise UsageError("--sparsity goes with a pattern; the mask in a file has its own sparsity")
    sparsity = _sparsity(options, name if by_name else None)
    if is_captured:
        weights = captured(options.layer or 0, 0).weights
    else:
        weights = random_weights(rows, row_bytes, options.seed)
    return masked(weights, name, mask, sparsity, options.seed)


def _sparsity(options: Options, model: str | None) -> float:
    """Sparsity of a pattern: as given, else as published for the model's layer, else a default."""
    if model is None and options.layer is not None:
        raise UsageError("--layer goes with --model; a matrix given by its sizes has no layers")
    published = shapes.shape(model).layer_sparsity(options.layer or 0) if model else None
    if options.sparsity is not None:
        return options.sparsity
    return DEFAULT_SPARSITY if published is None else published


def run(work: Job, advance: Callable[[], None] = lambda: None) -> Report:
    """Do a job; `advance` is called `work.steps` times on the way."""
    setup, workload = work.setup, work.workload
    base = baselines(setup, workload.weights)
    advance()
    cases = list(_measure(work, workload, base, advance, check_product=True))
    sweep: list[Case] = []
    for sparsity in work.sweep:
        random = masked(workload.weights, workload.model, "random", sparsity, work.seed)
        sweep += _measure(work, random, base, advance, check_product=False)
    known = costs(setup.device.name, setup.profile, setup.clock)
    on_npu = setup.on is not None and not setup.on.simulated
    return Report(
        backend="xrt" if on_npu else "sim",
        device=setup.device.name,
        clock_mhz=setup.clock,
        model=workload.model,
        rows=workload.rows,
        row_bytes=workload.row_bytes,
        columns=setup.columns,
        profile=work.profile,
        dispatch_base_us=known.dispatch_base / setup.clock,
        cases=cases,
        sweep=sweep,
    )


def _measure(
    work: Job,
    workload: Workload,
    base: Baselines,
    advance: Callable[[], None],
    *,
    check_product: bool,
) -> Iterator[Case]:
    for phase in work.phases:
        yield measure(work.setup, workload, phase, base, check_product=check_product)
        advance()
