# SPDX-License-Identifier: Apache-2.0
"""Constants that nobody told are found again, within their intervals, and predict gathers."""

from dataclasses import replace

import numpy as np
import pytest
from hidden_machines import hidden_calibration, true_value

from aie2.devices import NPU1, device
from firmware_sim.calibration import costs_from, parse
from host.calibrate.catalog import points
from host.calibrate.constants import LIMITS
from host.calibrate.fit import fit, student, terms_of
from host.calibrate.machine import Noise, SimulatedMachine
from host.calibrate.measure import Sample, measure
from host.calibrate.procedure import calibrate, pilot, plan
from host.calibrate.report import misfits, to_json
from host.calibrate.setting import Setting
from host.calibrate.write import to_toml
from host.errors import UsageError

SEEDS = range(1, 7)
USUAL = Noise()
QUIET = Noise(launch_us=100.0, jitter_us=0.0, relative=0.0, late_share=0.0)


def found_on(name, seed, *, quick=True, repeats=None, noise=USUAL, **how):
    """(hidden constants, outcome) of a calibration of a hidden machine."""
    hidden = hidden_calibration(name, seed)
    machine = SimulatedMachine(device(name), hidden, noise=noise, seed=seed, **how)
    made = plan(machine, quick=quick, repeats=repeats)
    return hidden, calibrate(machine, made, pilot(machine, made), "2026-11-23", seed=seed)


@pytest.fixture(scope="module")
def outcomes():
    return [found_on("npu1", seed) for seed in SEEDS]


def test_without_noise_every_constant_is_found_exactly():
    hidden, outcome = found_on("npu1", 3, noise=QUIET)
    for name, value in outcome.values.items():
        if value.measured:
            assert value.value == pytest.approx(true_value(hidden, name), rel=0.01), name
    assert outcome.fit.scale == 1.0


def test_intervals_cover_hidden_constants_about_as_often_as_they_say(outcomes):
    """Of 95 %: over six machines and all constants, 88 to 100 % (docs/calibrate.md has 100)."""
    covered = [
        low <= true_value(hidden, name) <= high
        for hidden, outcome in outcomes
        for name, value in outcome.values.items()
        if value.measured
        for low, high in [value.interval]
    ]
    assert len(covered) > 100
    assert np.mean(covered) >= 0.88


def test_constants_that_decide_are_known_closely(outcomes):
    """Half intervals in a quick run of 20, relative to the value."""
    allowed = {"write": 0.02, "patch": 0.02, "push_busy": 0.15, "push_idle": 0.03, "word": 0.02}
    for _, outcome in outcomes:
        for name, most in allowed.items():
            value = outcome.values[name]
            low, high = value.interval
            assert value.measured
            assert (high - low) / 2 <= most * value.value, name


def test_what_was_found_predicts_gathers_that_nothing_was_fitted_to(outcomes):
    """Within 4 % and the gather's own error, on every machine; the shipped constants do not.

    Row by row a push costs two and a half times as much if its channel has just run dry. Where
    rows take as long as a round of pushes, the last digit decides between the two: so phase0 is
    asked of most machines, not of all.
    """
    fitted, shipped, row_by_row = [], [], []
    for _, outcome in outcomes:
        for each in outcome.forecasts:
            slack = 0.04 + 3 * each.error_us / each.measured_us
            if each.name.startswith("phase0"):
                row_by_row.append(abs(each.off(each.fitted_us)) <= slack)
            else:
                assert abs(each.off(each.fitted_us)) <= slack, each
                fitted.append(abs(each.off(each.fitted_us)))
                shipped.append(abs(each.off(each.shipped_us)))
    assert np.mean(row_by_row) > 0.5
    assert np.mean(fitted) < 0.02
    assert np.mean(shipped) > 2 * np.mean(fitted)
    assert np.max(shipped) > 0.1


def test_a_file_says_the_same_to_the_simulator_as_the_outcome(outcomes):
    _, outcome = outcomes[0]
    loaded = parse(to_toml(outcome.calibration, ["a comment", ""]))
    assert loaded == outcome.calibration
    clock = outcome.origin.clock_mhz
    known = costs_from(loaded, "central", clock)
    for name, value in outcome.values.items():
        scale = 1000 / clock if name in LIMITS else 1.0
        assert getattr(known, name) == pytest.approx(value.value * scale, rel=1e-5), name


def test_an_unknown_clock_is_found_from_the_words_and_predicts_as_well():
    hidden = hidden_calibration("npu1", 4)
    machine = SimulatedMachine(NPU1, hidden, noise=QUIET, tells_clock=False)
    made = plan(machine, quick=True)
    outcome = calibrate(machine, made, 1.0, "2026-11-23")
    word = true_value(hidden, "word")
    assert outcome.origin.clock_mhz == pytest.approx(NPU1.clock_mhz / word, rel=1e-3)
    assert not outcome.values["word"].measured
    for each in outcome.forecasts:
        assert abs(each.off(each.fitted_us)) < 0.01, each


def test_strix_is_calibrated_as_well():
    hidden, outcome = found_on("npu2", 5)
    inside = [
        low <= true_value(hidden, name) <= high
        for name, value in outcome.values.items()
        if value.measured
        for low, high in [value.interval]
    ]
    assert np.mean(inside) > 0.8


def test_scattered_latencies_widen_intervals_and_do_not_move_them():
    _, outcome = found_on("npu1", 6, scatters=3)
    hidden = hidden_calibration("npu1", 6)
    for name in ("write", "patch", "push_idle", "wait_each"):
        value = outcome.values[name]
        assert value.value == pytest.approx(true_value(hidden, name), rel=0.08), name


def test_late_runs_do_not_move_a_time():
    rng = np.random.default_rng(0)
    times = 100 + rng.normal(0, 2, 50)
    late = times.copy()
    late[::10] += 5000
    point = points(Setting(NPU1, 100))[0]
    clean, disturbed = Sample(point, times), Sample(point, late)
    assert disturbed.us == pytest.approx(clean.us, abs=3 * clean.error_us)
    assert disturbed.error_us < 2 * clean.error_us


def test_a_spoilt_point_moves_a_fit_little_and_is_named():
    machine = SimulatedMachine(NPU1, noise=Noise(jitter_us=2.0, late_share=0.0, relative=0.0))
    samples = measure(machine, points(Setting(NPU1, 300)), 10, np.random.default_rng(0))
    clean = fit(samples)
    spoilt = list(samples)
    place = next(n for n, each in enumerate(spoilt) if each.point.bench == "patches")
    spoilt[place] = replace(spoilt[place], times=spoilt[place].times + 100)
    moved = fit(spoilt)
    drift = abs(moved.estimate("patch").value - clean.estimate("patch").value)
    assert drift < 3 * moved.estimate("patch").error
    worst = max(misfits(moved).items(), key=lambda item: abs(item[1][0]))
    assert worst[0] == "patches"


def test_no_term_is_a_mixture_of_others():
    """Else a fit would split one time among constants by nothing that was measured."""
    _, matrix = terms_of(points(Setting(NPU1, 300)))
    assert np.linalg.matrix_rank(matrix / np.linalg.norm(matrix, axis=0)) == matrix.shape[1]


def test_student_quantiles_are_those_of_the_tables():
    for freedom, quantile in ((10, 2.2281), (30, 2.0423), (71, 1.9939), (1e9, 1.95996)):
        assert student(freedom) == pytest.approx(quantile, rel=1e-3)


def test_wrong_data_stops_a_calibration():
    machine = SimulatedMachine(NPU1)
    at = Setting(NPU1, 100)
    point = next(each for each in points(at) if each.bench == "waits")
    wrong = replace(point, payload=replace(point.payload, right=lambda source, target: False))
    with pytest.raises(UsageError, match="^simulator brought wrong data back in 'waits'"):
        measure(machine, [wrong], 10, np.random.default_rng(0))


def test_too_few_runs_are_refused_before_any():
    with pytest.raises(UsageError, match="^--repeats 9 is too few for intervals: give 10"):
        plan(SimulatedMachine(NPU1), repeats=9)


def test_json_has_every_constant_and_says_which_are_measured(outcomes):
    import json

    _, outcome = outcomes[0]
    data = json.loads(to_json(outcome))
    assert data["constants"].keys() == outcome.values.keys()
    assert data["constants"]["patch"]["measured"]
    assert not data["constants"]["native_bd"]["measured"]
    assert len(data["forecasts"]) == 4
