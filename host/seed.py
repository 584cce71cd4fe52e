# SPDX-License-Identifier: Apache-2.0
"""What the model says against what the seed says: phases 0, 1 and 2 over sparsity, side by side.

The seed's worst case (one row wanted in every s) on a model's shape. Its firmware enqueues
natively, so its phases are run on images with native costs too; nothing is fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from aie2.devices import device as device_named
from firmware_sim import PROFILES, Native
from firmware_sim.firmware import Firmware
from host.cases import Setup, data_ok, execute, image_for, output_buffer, plan, prepare
from host.errors import UsageError
from host.workload import masked, matrix_shape, random_weights

STEPS = (1, 2, 3, 4, 8, 16, 32)
"""The seed's s: one row is wanted in every s."""


@dataclass(frozen=True)
class Mode:
    """One line of the comparison: a phase on a firmware image."""

    name: str
    phase: str
    guard: str
    firmware: Firmware | None = None
    skip: str = "written"


MODES = (
    Mode("dense, stock", "dense", "wait"),
    Mode("phase0, stock", "phase0", "wait"),
    Mode("phase0, native", "phase0", "poll", Native()),
    Mode("phase1, skipped BDs written", "phase1", "poll"),
    Mode("phase1, skipped BDs walked", "phase1", "poll", skip="walked"),
    Mode("phase2", "phase2", "poll"),
    Mode("host, stock", "host", "wait"),
)


@dataclass(frozen=True)
class Comparison:
    """Microseconds of every mode, sparsity step and profile."""

    device: str
    model: str
    rows: int
    row_bytes: int
    us: dict[tuple[str, int, str], float]

    def times(self, mode: str, profile: str = "central") -> np.ndarray:
        """Microseconds of a mode over `STEPS`."""
        return np.array([self.us[mode, step, profile] for step in STEPS])


@dataclass(frozen=True)
class Line:
    """Least-squares line of time over density (1 - sparsity)."""

    slope_us: float
    """Time of all rows, less the intercept."""
    intercept_us: float
    r_squared: float


def compare(
    model: str = "relullama-7b", device: str = "npu1", advance: Callable[[], None] = lambda: None
) -> Comparison:
    """Run every mode at every step and profile; `advance` is called after each step of a mode.

    Raises:
        UsageError: a run whose data came out wrong.
    """
    name, rows, row_bytes = matrix_shape(model, None, None)
    weights = random_weights(rows, row_bytes, 0)
    setups = {
        guard: prepare(device_named(device), None, row_bytes, guard=guard)
        for guard in ("wait", "poll")
    }
    us: dict[tuple[str, int, str], float] = {}
    for step in STEPS:
        work = masked(weights, name, "alternating", 1 - 1 / step, 0)
        for mode in MODES:
            for profile in PROFILES:
                us[mode.name, step, profile] = _time(setups[mode.guard], work, mode, profile)
            advance()
    return Comparison(device, name, rows, row_bytes, us)


def _time(setup: Setup, work, mode: Mode, profile: str) -> float:  # noqa: ANN001
    made = plan(setup, work, mode.phase)
    output = output_buffer(work, made)
    image = mode.firmware or image_for(made, work, mode.skip)
    result = execute(setup, work, made, profile, output, image)
    if not data_ok(work, made, result, output):
        raise UsageError(f"{mode.name} brought wrong data: {result.diagnostics[:1]}")
    return result.microseconds


def line(times: np.ndarray) -> Line:
    """Fit time over density for the steps of `STEPS`."""
    density = 1 / np.array(STEPS)
    slope, intercept = np.polyfit(density, times, 1)
    residual = times - (slope * density + intercept)
    spread = times - times.mean()
    return Line(float(slope), float(intercept), 1 - float(residual @ residual / (spread @ spread)))


def markdown(found: Comparison) -> str:
    """The comparison as Markdown tables."""
    parts = [
        f"{found.model}: {found.rows} rows of {found.row_bytes} bytes, simulated {found.device}, "
        "one row in every s wanted. Microseconds in the central profile, [low, high] in brackets.",
        _times_table(found),
        _lines_table(found),
        _gains_table(found),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(head) + " |", "|" + "-|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in rows])


def _band(found: Comparison, mode: str, place: int) -> str:
    values = [found.times(mode, profile)[place] for profile in PROFILES]
    return f"{found.times(mode)[place]:.0f} [{min(values):.0f}, {max(values):.0f}]"


def _times_table(found: Comparison) -> str:
    head = ["mode", *(f"s = {step} ({100 * (1 - 1 / step):.0f} %)" for step in STEPS)]
    rows = [
        [mode.name, *(_band(found, mode.name, place) for place in range(len(STEPS)))]
        for mode in MODES
    ]
    return _table(head, rows)


def _lines_table(found: Comparison) -> str:
    head = ["line over (1 - s)", "profile", "R²", "intercept us", "all rows us", "intercept %"]
    rows: list[list[str]] = []
    for mode in ("phase0, stock", "phase0, native", "phase2"):
        for profile in PROFILES:
            fit = line(found.times(mode, profile))
            total = fit.slope_us + fit.intercept_us
            share = f"{100 * fit.intercept_us / total:.1f}"
            cells = [f"{fit.r_squared:.5f}", f"{fit.intercept_us:.0f}", f"{total:.0f}", share]
            rows.append([mode, profile, *cells])
    return _table(head, rows)


def _gains_table(found: Comparison) -> str:
    head = ["phase1, skipped BDs", "profile", "against", "less time, at most", "speed-up, at most"]
    rows: list[list[str]] = []
    for skip in ("written", "walked"):
        mode = f"phase1, skipped BDs {skip}"
        for profile in PROFILES:
            times = found.times(mode, profile)
            for base, name in ((times[0], "its own row-by-row dense"), (None, "one-BD dense")):
                full = found.times("dense, stock", profile)[0] if base is None else base
                best = float((full / times).max())
                cells = [f"{100 * (1 - 1 / best):.0f} %", f"{best:.2f}x"]
                rows.append([skip, profile, name, *cells])
    return _table(head, rows)
