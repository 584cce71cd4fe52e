# SPDX-License-Identifier: Apache-2.0
"""What a calibration found, for people and as JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from firmware_sim.calibration import Costs
from host.calibrate.constants import LIMITS, Value
from host.calibrate.fit import FLOOR, Fit
from host.calibrate.limits import Rate
from host.calibrate.procedure import Outcome, Plan
from host.calibrate.proof import Forecast

POOR = 4.0
"""Standard errors that the worst point of a benchmark may be off before the model is doubted."""
PROMISED = ("write", "patch", "push_busy", "push_idle", "wait_each", "wait_first", "next_bd")
"""Constants whose achievable uncertainty is told before the work begins."""


def achievable(made: Plan, jitter_us: float) -> str:
    """One sentence: how closely this many runs can tell what matters, with such launches."""
    half = made.expected_us(jitter_us)
    known = (f"{name} ±{1e3 * half[name]:.3g}" for name in PROMISED)
    return (
        f"launches scatter by {jitter_us:.1f} us: {made.repeats} runs of each stream will tell, "
        f"in ns: {', '.join(known)}; four times the runs tell twice as closely"
    )


def misfits(fit: Fit) -> dict[str, tuple[float, float]]:
    """By benchmark, the residual of its worst point: in standard errors, and relative."""
    worst: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))
    for sample, residual in zip(fit.samples, fit.residuals.tolist(), strict=True):
        bench, errors = sample.point.bench, residual / sample.error_us
        if abs(errors) >= abs(worst[bench][0]):
            worst[bench] = errors, residual / sample.us
    return dict(worst)


def show(found: Outcome, console: Console) -> None:
    """Tables of constants, rates and forecasts, and what the model does not explain."""
    origin, clock = found.origin, found.origin.clock_mhz
    console.print(
        f"{origin.machine}, {origin.device}, array clock {clock:.0f} MHz; 95 % intervals",
        highlight=False,
    )
    console.print(_constants(found), _kept(found), _rates(found.rates), _proof(found.forecasts))
    for line in _remarks(found):
        console.print(line, highlight=False, soft_wrap=True)


def to_json(found: Outcome) -> str:
    """Everything as JSON: constants, floors, rates, forecasts, misfits."""
    fit, origin = found.fit, found.origin
    data = {
        "machine": origin.machine,
        "device": origin.device,
        "clock_mhz": origin.clock_mhz,
        "date": origin.date,
        "repeats": found.plan.repeats,
        "points": len(found.plan.points),
        "launch_jitter_us": found.jitter_us,
        "launch_us": {name: value for name, value, _ in _floors(fit)},
        "residual_scale": fit.scale,
        "constants": {name: _value_json(value) for name, value in found.values.items()},
        "rates": [_rate_json(rate) for rate in found.rates],
        "forecasts": [
            {
                "what": each.name,
                "measured_us": each.measured_us,
                "error_us": each.error_us,
                "fitted_us": each.fitted_us,
                "shipped_us": each.shipped_us,
            }
            for each in found.forecasts
        ],
        "misfits": {
            bench: {"standard_errors": errors, "relative": share}
            for bench, (errors, share) in misfits(fit).items()
        },
    }
    return json.dumps(data, indent=1)


def _value_json(value: Value) -> dict[str, object]:
    low, high = value.interval
    return {
        "unit": value.unit,
        "measured": value.measured,
        "value": value.value,
        "low": low,
        "high": high,
        "how": value.how,
        "shipped": value.known.profiles,
    }


def _rate_json(rate: Rate) -> dict[str, object]:
    one = rate.transfer
    low, high = rate.estimate.interval
    return {
        "moves": one.moves,
        "columns": one.columns,
        "channels": one.channels,
        "row_bytes": one.row_bytes or None,
        "stride": one.stride if one.row_bytes else None,
        "gb_s": rate.gb_s,
        "low": low,
        "high": high,
        "limited": rate.limited,
    }


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=number == 0)
    return table


def _figures(values: tuple[float, ...]) -> str:
    shown = [f"{value:.4g}" for value in values]
    return shown[0] if len(set(shown)) == 1 else " / ".join(shown)


def _constants(found: Outcome) -> Table:
    table = _table("measured", "constant", "unit", "value", "interval", "shipped")
    for name in Costs._fields:
        value = found.values[name]
        if value.measured:
            low, high = value.interval
            interval = f"{low:.4g} to {high:.4g}"
            shipped = _figures(value.known.profiles)
            table.add_row(name, value.unit, f"{value.value:.4g}", interval, shipped)
    return table


def _kept(found: Outcome) -> Table:
    table = _table("\nkept as shipped", "why", "constants")
    table.columns[0].no_wrap, table.columns[1].justify = False, "left"
    by_reason: dict[str, list[str]] = defaultdict(list)
    for name in Costs._fields:
        value = found.values[name]
        if not value.measured:
            by_reason[value.how].append(f"{name} {_figures(value.profiles)}")
    for why, names in by_reason.items():
        table.add_row(why, ", ".join(names))
    return table


def _rates(rates: list[Rate]) -> Table:
    table = _table("\nrates", "what", "GB/s", "±", "of what its lanes add up to")
    for rate in rates:
        share = f"{rate.gb_s / rate.alone:.0%}" if rate.alone else ""
        half = f"{rate.estimate.half:.2f}"
        table.add_row(rate.transfer.longer.bench, f"{rate.gb_s:.2f}", half, share)
    return table


def _proof(forecasts: list[Forecast]) -> Table:
    columns = "what", "measured us", "±", "by this file", "its band", "off", "as shipped", "off"
    table = _table("\ngathers, to which nothing was fitted", *columns)
    for each in forecasts:
        fitted, shipped = each.fitted_us, each.shipped_us
        table.add_row(
            each.name,
            f"{each.measured_us:.1f}",
            f"{2 * each.error_us:.1f}",
            f"{fitted['central']:.1f}",
            f"{min(fitted.values()):.1f} to {max(fitted.values()):.1f}",
            f"{each.off(fitted):+.1%}",
            f"{shipped['central']:.1f}",
            f"{each.off(shipped):+.1%}",
        )
    return table


def _floors(fit: Fit) -> Iterator[tuple[str, float, float]]:
    for name in fit.names:
        if name.startswith(FLOOR):
            estimate = fit.estimate(name)
            yield name.removeprefix(FLOOR), estimate.value, estimate.half


def _remarks(found: Outcome) -> Iterator[str]:
    """What is worth a sentence: launches, limits that were not met, and what does not fit."""
    floors = ", ".join(f"{us:.1f} ±{half:.1f} us ({name})" for name, us, half in _floors(found.fit))
    yield f"launch, not part of any constant: {floors}"
    unmet = [name for name in LIMITS if not found.values[name].measured]
    if unmet:
        yield f"limits not met, so only bounded: {', '.join(unmet)}"
    poor = {
        bench: (errors, share)
        for bench, (errors, share) in misfits(found.fit).items()
        if abs(errors) > POOR
    }
    for bench, (errors, share) in poor.items():
        yield (
            f"the model does not explain {bench!r}: {share:+.1%}, {abs(errors):.0f} standard "
            "errors; intervals are wider for it, and constants of this benchmark mean less"
        )
