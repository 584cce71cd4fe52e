# SPDX-License-Identifier: Apache-2.0
"""The tables of `sparsebd plan`: they hold what is asked for, and the documentation shows them."""

import json
from pathlib import Path

import pytest
from command import sparsebd

from bdgen.pack import EFFORTS
from firmware_sim import PROFILES
from host import plan_modes, plan_rows, plan_table
from host.cases import ADDRESSINGS, AUTO
from host.plan_modes import COARSE, DENSITIES, least_density

DOCUMENTED = Path(__file__).parents[2] / "docs" / "packing-table.md"


@pytest.fixture(scope="module")
def quick() -> plan_table.Found:
    return plan_table.find(quick=True)


def table_lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("| ")]


def test_the_table_has_what_is_asked_for():
    specs = plan_table.specs()
    assert len(set(specs)) == len(specs)
    main = [spec for spec in specs if spec.shape == (11008, 8192) and spec.device == "npu1"]
    assert {spec.sparsity for spec in main} == {0.5, 0.67, 0.8, 0.9, 0.97}
    assert {spec.effort for spec in main} == {"fast", "best"}
    assert {spec.shape for spec in specs} == {
        *((11008, 8192), (13824, 10240), (16384, 8192), (11008, 4096), (11008, 2048))
    }
    machines = {(spec.device, spec.columns, spec.channels) for spec in specs}
    assert machines == {
        *(("npu1", columns, channels) for columns in (1, 2, 4) for channels in (1, 2)),
        *(("npu2", columns, channels) for columns in (1, 2, 4, 8) for channels in (1, 2)),
    }
    assert set(plan_table.specs(quick=True)) < set(specs)


def test_every_cell_is_simulated_checked_and_beside_its_forecast(quick):
    [line] = quick.lines
    assert [cell.mode for cell in line.cells] == [
        mode for mode in (*ADDRESSINGS, AUTO) for _ in PROFILES
    ]
    for cell, profile in zip(line.cells, [*PROFILES] * 4, strict=True):
        assert cell.run.profile == profile
        assert cell.run.data_ok
        assert cell.run.bound_ratio == cell.run.us / cell.run.bound_us >= 1
        assert cell.forecast_error == pytest.approx(cell.forecast_us / cell.run.us - 1)
        assert abs(cell.forecast_error) < 0.2
        assert cell.limit in ("transfer", "controller")


def test_7b_at_90_per_cent_is_near_the_bound(quick):
    low, central, _ = (cell.run.bound_ratio for cell in quick.lines[0].of("patch"))
    assert max(low, central) <= 1.10


def test_host_beats_what_the_seed_has(quick):
    [*others, host, auto] = quick.modes.times
    assert (host.mode, auto.mode) == (plan_modes.HOST, AUTO)
    assert len(others) == 6
    for profile in PROFILES:
        for other in others:
            assert host.us[profile][0] < other.us[profile][0], (other.mode, profile)


def test_the_documentation_shows_it_as_it_is(quick):
    """Otherwise: write docs/packing-table.md again, as it says."""
    shown = table_lines(DOCUMENTED.read_text(encoding="utf-8"))
    line = next(line for line in table_lines(plan_table.markdown(quick)) if "90 %" in line)
    assert line in shown


def test_the_command_prints_markdown_and_writes_json(tmp_path, quick, monkeypatch):
    monkeypatch.setattr(plan_table, "find", lambda *_: quick)
    done = sparsebd("plan", "--table", "--quick", "--json", tmp_path / "table.json")
    assert (done.status, done.err) == (0, "")
    assert done.out == plan_table.markdown(quick).rstrip("\n") + "\n"
    assert json.loads((tmp_path / "table.json").read_text()) == quick.model_dump(mode="json")


def test_the_bar_gets_as_many_steps_as_it_expects(monkeypatch):
    calls = []
    monkeypatch.setattr(plan_table, "_line", lambda spec, work: _line_of(spec, work))
    monkeypatch.setattr(plan_modes, "_time", lambda *_: 1.0)
    monkeypatch.setattr(plan_table, "random_weights", lambda rows, row_bytes, seed: None)
    monkeypatch.setattr(plan_table, "masked", lambda *_: None)
    plan_table.find(True, lambda: calls.append(1))
    assert len(calls) == plan_table.steps(True) == 2


def _line_of(spec, work):
    return plan_table.Line(
        **{name: getattr(spec, name) for name in ("group", "what", "device", "effort")},
        rows=spec.shape[0],
        row_bytes=spec.shape[1],
        sparsity=spec.sparsity,
        columns=spec.columns,
        channels=spec.channels,
        rows_wanted=1,
        cells=[],
    )


@pytest.mark.parametrize("first", [1, 9, 10, 11, 77, 190, 191, 199, 200])
def test_a_crossing_is_found_where_it_is(first):
    asked = []

    def wins(density):
        asked.append(density)
        return density * DENSITIES >= first - 0.01

    assert least_density(wins) == first / DENSITIES
    assert len(asked) <= first / COARSE + 5


def test_the_first_of_several_crossings_is_taken():
    assert least_density(lambda density: 0.2 <= density < 0.4 or density > 0.9) == 0.2
    assert least_density(lambda density: False) == 1.0


def test_a_crossing_of_a_small_matrix_is_between_no_row_and_all():
    weights = plan_modes.random_weights(400, 1024, 0)
    found = plan_modes._crossing("npu1", "small", weights)
    assert set(found.simulated) == set(found.forecast) == set(PROFILES)
    for density in (*found.simulated.values(), *found.forecast.values()):
        assert 0 < density <= 1
    assert found.simulated["high"] < 1, "a slow controller makes many BDs slower than one"
    assert "| small | npu1 | " in plan_modes.markdown(
        plan_modes.Modes(model="", sparsities=[], times=[], crossings=[found])
    )


@pytest.fixture(scope="module")
def rows_per_bd() -> plan_rows.Found:
    return plan_rows.find(quick=True)


def test_no_effort_and_no_bound_is_passed(rows_per_bd):
    for line in rows_per_bd.lines:
        runs, fast, best = (each.rows_per_bd for each in line.efforts)
        assert 1 <= runs <= fast <= best
        assert best <= line.proved * 1.2 or line.count > plan_rows.BOUNDED
        assert [each.effort for each in line.efforts] == list(EFFORTS)
        assert all(each.us > 0 for each in line.efforts)


def test_rows_per_bd_are_of_random_and_of_real_masks(rows_per_bd):
    masks = [(line.masks, line.repeats) for line in rows_per_bd.lines]
    real = [(f"USE-lite, layer {layer}", repeats) for layer in (0, 1) for repeats in (True, False)]
    assert masks == [("random, 10 % wanted", True), ("random, 10 % wanted", False), *real]
    assert len(table_lines(plan_rows.markdown(rows_per_bd))) == 1 + len(masks)
    assert plan_rows.steps(True) == len(masks)
    assert plan_rows.steps(False) == 16
