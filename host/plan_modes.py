# SPDX-License-Identifier: Apache-2.0
"""`host` beside the seed's modes, by sparsity; and from which density on dense wins.

The second half of `sparsebd plan --table`. The modes are those of `host.seed`, on random masks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from aie2.devices import device as device_named
from bdgen.bitmap import Bitmap
from bdgen.choose import Choice, Way, choose
from bdgen.scan import scan
from bdgen.target import Matrix
from firmware_sim import PROFILES
from host.cases import AUTO, data_ok, execute, image_for, make, output_buffer, prepare, take
from host.errors import UsageError
from host.gathers import simulated
from host.plan_explain import quickest_gather
from host.seed import MODES, Mode
from host.workload import Workload, masked, matrix_shape, random_weights

SEED = 0
SPARSITIES = 0.0, 0.5, 0.67, 0.8, 0.9, 0.95, 0.97
HOST, DENSE = "host, stock", "dense, stock"
DENSITIES, COARSE = 200, 10
"""Parts of the density that a crossing is found to, and how many are stepped over at first."""


class Times(BaseModel):
    """Microseconds of a mode over the sparsities, by profile."""

    device: str
    mode: str
    us: dict[str, list[float]]


class Crossing(BaseModel):
    """The share of wanted rows at which the dense transfer becomes as fast."""

    what: str
    device: str
    simulated: dict[str, float]
    """By profile: of the best gather and the dense transfer, both simulated."""
    forecast: dict[str, float]
    """By profile: where `auto` takes dense."""


class Modes(BaseModel):
    """Both comparisons."""

    model: str
    sparsities: list[float]
    times: list[Times]
    crossings: list[Crossing]


class _Shape(NamedTuple):
    what: str
    rows: int
    row_bytes: int


def _extent(quick: bool) -> tuple[tuple[str, ...], tuple[float, ...], list[_Shape]]:
    """Devices, sparsities, and shapes whose crossing is looked for."""
    if quick:
        return ("npu1",), (0.9,), []
    _, rows, row_bytes = matrix_shape("relullama-7b", None, None)
    shapes = [
        _Shape("7B, bf16", rows, row_bytes),
        _Shape("7B, int8", rows, row_bytes // 2),
        _Shape("7B, int4", rows, row_bytes // 4),
        _Shape(*matrix_shape("use-lite", None, None)),
    ]
    return ("npu1", "npu2"), SPARSITIES, shapes


def steps(quick: bool) -> int:
    """How often `find` calls `advance`."""
    devices, sparsities, shapes = _extent(quick)
    return len(devices) * (len(sparsities) + len(shapes))


def find(quick: bool, advance: Callable[[], None]) -> Modes:
    """Run every mode at every sparsity and look for the crossings.

    Raises:
        UsageError: a run whose data came out wrong.
    """
    devices, sparsities, shapes = _extent(quick)
    model, rows, row_bytes = matrix_shape("relullama-7b", None, None)
    weights = random_weights(rows, row_bytes, SEED)
    times: list[Times] = []
    for device in devices:
        us: dict[str, dict[str, list[float]]] = {}
        for sparsity in sparsities:
            work = masked(weights, model, "random", sparsity, SEED)
            for mode in (*MODES, Mode(AUTO, AUTO, "wait")):
                for profile in PROFILES:
                    took = _time(device, work, mode, profile)
                    us.setdefault(mode.name, {}).setdefault(profile, []).append(took)
            advance()
        times += [Times(device=device, mode=mode, us=each) for mode, each in us.items()]
    crossings: list[Crossing] = []
    for shape in shapes:
        weights = random_weights(shape.rows, shape.row_bytes, SEED)
        for device in devices:
            crossings.append(_crossing(device, shape.what, weights))
            advance()
    return Modes(model=model, sparsities=list(sparsities), times=times, crossings=crossings)


def _time(device: str, work: Workload, mode: Mode, profile: str) -> float:
    """Microseconds of a mode that is planned for a profile."""
    setup = prepare(device_named(device), None, work.row_bytes, guard=mode.guard, profile=profile)
    made = make(setup, work, mode.phase)
    output = output_buffer(work, made.program)
    image = mode.firmware or image_for(made.program, work, mode.skip)
    result = execute(setup, work, made.program, profile, output, image)
    if not data_ok(work, made.program, result, output, made.max_gap):
        raise UsageError(f"{mode.name} brought wrong data: {result.diagnostics[:1]}")
    return result.microseconds


class _Search:
    """Compares the best gather of a matrix with the dense transfer, by density."""

    def __init__(self, device: str, weights: NDArray[np.uint8], profile: str) -> None:
        self.weights, self.profile = weights, profile
        self.setup = prepare(device_named(device), None, weights.shape[1], profile=profile)
        self.matrix = Matrix(*weights.shape)
        self.choices: dict[float, Choice] = {}
        self.dense_us = self._us(1.0, self._choice(1.0).dense)

    def _work(self, density: float) -> Workload:
        return masked(self.weights, "", "random", 1.0 - density, SEED)

    def _choice(self, density: float) -> Choice:
        if density not in self.choices:
            bitmap = _bitmap(self._work(density))
            self.choices[density] = choose(
                self.setup.target, self.matrix, bitmap, self.setup.options
            )
        return self.choices[density]

    def _us(self, density: float, way: Way) -> float:
        work = self._work(density)
        run = simulated(self.setup, work, take(way, self.matrix, _bitmap(work)), self.profile)
        if not run.data_ok:
            raise UsageError(f"data came out wrong at a density of {100 * density:.1f} %")
        return run.us

    def dense_wins(self, density: float) -> bool:
        """Whether dense is simulated to be as fast as the gather that is forecast to be best."""
        way = quickest_gather(self._choice(density))
        return self.dense_us <= self._us(density, way)

    def auto_takes_dense(self, density: float) -> bool:
        """Whether `auto` takes dense, by forecast."""
        return not self._choice(density).best.gathers


def _bitmap(work: Workload) -> Bitmap:
    return scan(work.activations, dtype=work.dtype)


def _crossing(device: str, what: str, weights: NDArray[np.uint8]) -> Crossing:
    simulated_at, forecast_at = dict[str, float](), dict[str, float]()
    for profile in PROFILES:
        search = _Search(device, weights, profile)
        simulated_at[profile] = least_density(search.dense_wins)
        forecast_at[profile] = least_density(search.auto_takes_dense)
    return Crossing(what=what, device=device, simulated=simulated_at, forecast=forecast_at)


def least_density(wins: Callable[[float], bool]) -> float:
    """The least density at which something holds, in `DENSITIES` parts; 1 if it never does.

    Looked for in `COARSE` steps, then between two of them: a shorter stretch may be passed over.
    """
    for always in range(COARSE, DENSITIES, COARSE):
        if wins(always / DENSITIES):
            break
    else:
        always = DENSITIES
    never = always - COARSE
    while always - never > 1:
        middle = (never + always) // 2
        if wins(middle / DENSITIES):
            always = middle
        else:
            never = middle
    return always / DENSITIES


def markdown(found: Modes) -> str:
    """Both comparisons as Markdown."""
    parts = ["## Beside the seed's modes", MODES_TEXT.format(model=found.model)]
    for device in dict.fromkeys(times.device for times in found.times):
        parts.append(_times_table(found, device))
    if found.crossings:
        parts += ["## When dense wins", CROSSING_TEXT, _crossing_table(found.crossings)]
    return "\n\n".join(parts) + "\n"


MODES_TEXT = (
    "{model}, all columns, one channel, random masks: microseconds in central [low, high], and\n"
    "how many times as long as `host` takes in central. phase1, phase2 and native need firmware\n"
    "that nobody can buy, with assumed costs ([the seed](seed-comparison.md))."
)
CROSSING_TEXT = (
    "The least density (share of wanted rows, to half a per cent) at which moving all rows, one\n"
    "BD a lane, is as fast as the best gather, both simulated; and where `auto`, which forecasts,\n"
    "takes dense. Looked for in steps of 5 %, then between."
)


def _times_table(found: Modes, device: str) -> str:
    mine = {times.mode: times.us for times in found.times if times.device == device}
    head = [device, *(f"{100 * sparsity:.0f} %" for sparsity in found.sparsities)]
    rows = [
        [mode, *(_band(mine, mode, place) for place in range(len(found.sparsities)))]
        for mode in mine
    ]
    return _table(head, rows)


def _band(us: dict[str, dict[str, list[float]]], mode: str, place: int) -> str:
    values = [us[mode][profile][place] for profile in PROFILES]
    ratio = us[mode]["central"][place] / us[HOST]["central"][place]
    times = "" if mode == HOST else f" ({ratio:.2f}x)"
    return f"{us[mode]['central'][place]:.0f} [{min(values):.0f}, {max(values):.0f}]{times}"


def _crossing_table(crossings: list[Crossing]) -> str:
    head = ["", "device", *PROFILES, *(f"auto, {profile}" for profile in PROFILES)]
    rows = [
        [
            crossing.what,
            crossing.device,
            *(f"{100 * crossing.simulated[profile]:.1f} %" for profile in PROFILES),
            *(f"{100 * crossing.forecast[profile]:.1f} %" for profile in PROFILES),
        ]
        for crossing in crossings
    ]
    return _table(head, rows)


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "-|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])
