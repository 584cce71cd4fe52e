# SPDX-License-Identifier: Apache-2.0
"""Choosing among ways: forecasts follow from the costs, and the choice from the forecasts."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aie2.devices import NPU1, NPU2
from bdgen.bitmap import pack
from bdgen.choose import choose
from bdgen.costs import FREE, Costs, behind, lane_word, starts
from bdgen.planner import Options, Planner
from bdgen.target import Matrix, Target

MACHINE = Costs(100, 13, 200, 500, 800, 2400, 8000, 1300, 300, 50, 1.0, 4.0)
"""Round numbers, of the size that Phoenix has."""

TARGET, MATRIX = Target(NPU1, 4, 1024), Matrix(2000, 1024)


def mask(density, seed=0):
    return np.random.default_rng(seed).random(MATRIX.rows) < density


def forecast(costs, wanted, target=TARGET, **options):
    planner = Planner(target, MATRIX, Options(costs=costs, **options))
    return planner.forecast(planner.plan_bitmap_into(planner.buffer(), pack(wanted)))


def test_a_free_controller_leaves_the_transfer():
    wanted = mask(0.1)
    found = forecast(FREE, wanted)
    lanes = -(-int(wanted.sum()) // 4)
    assert found.controller == 0 and found.start == 0
    assert found.total == found.transfer
    assert lanes * 256 <= found.transfer <= (lanes + 2) * 256
    assert found.limit == "transfer"


def test_ddr_that_all_lanes_share_slows_each_of_them():
    wanted = mask(0.5)
    alone = forecast(FREE, wanted).transfer
    assert forecast(FREE._replace(words_a_cycle=2.0), wanted).transfer == 2 * alone
    assert lane_word(FREE._replace(words_a_cycle=2.0), 4) == 2.0
    assert lane_word(FREE, 4) == 1.0


@pytest.mark.parametrize("field", ["patch", "push_idle", "wait_each", "block_write_word", "word"])
def test_whatever_costs_more_never_takes_less_time(field):
    wanted = mask(0.2)
    dearer = MACHINE._replace(**{field: 4 * getattr(MACHINE, field)})
    assert forecast(dearer, wanted).total > forecast(MACHINE, wanted).total


def test_dear_patches_make_the_controller_the_limit():
    dear = MACHINE._replace(patch=20_000)
    found = forecast(dear, mask(0.3))
    assert found.limit == "controller"
    assert found.total >= found.controller


def test_addresses_in_the_stream_cost_no_patches():
    wanted = mask(0.3)
    patched, absolute = (
        forecast(MACHINE, wanted, **options)
        for options in ({}, {"addressing": "absolute", "addresses": (1 << 36, 2 << 36)})
    )
    assert absolute.controller < patched.controller - 20 * MACHINE.patch


def test_lanes_start_one_after_another_and_the_late_ones_move_less():
    begin = starts(MACHINE, TARGET, 3, 1)
    assert (np.diff(begin) > 0).all()
    assert behind(MACHINE, begin).tolist() == (begin - begin[0]).tolist()
    shared = behind(MACHINE._replace(words_a_cycle=1.0), begin)
    assert (shared[1:] < begin[1:] - begin[0]).any()
    planner = Planner(TARGET, MATRIX, Options(costs=MACHINE))
    rows = planner.plan_bitmap_into(planner.buffer(), pack(mask(0.5))).lanes[:, 2]
    assert (np.diff(rows) < 0).all()


def test_nothing_wanted_takes_no_time():
    assert forecast(MACHINE, mask(0.0)) == (0, 0, 0, 0)


def test_all_rows_are_moved_densely():
    chosen = choose(TARGET, MATRIX, pack(np.ones(MATRIX.rows, np.bool_)), Options(costs=MACHINE))
    assert not chosen.best.gathers and chosen.best is chosen.dense


def test_a_sparse_mask_is_gathered_and_a_nearly_full_one_moves_its_gaps_if_bds_are_dear():
    options = Options(costs=MACHINE._replace(patch=2500))
    sparse, full = (choose(TARGET, MATRIX, pack(mask(p)), options).best for p in (0.1, 0.95))
    assert sparse.gathers and sparse.options.max_gap == 0
    assert not full.gathers or full.options.max_gap > 0


def test_dear_bds_bridge_gaps_and_free_ones_do_not():
    dear = Options(costs=MACHINE._replace(patch=50_000), effort="runs")
    for options, bridges in ((dear, True), (Options(effort="runs"), False)):
        considered = choose(TARGET, MATRIX, pack(mask(0.3)), options).considered
        gathers = [way for way in considered if way.gathers]
        best = min(gathers, key=lambda way: way.forecast.total)
        assert (best.options.max_gap > 0) == bridges


def test_what_is_unproven_is_considered_only_if_asked_for():
    options = Options(costs=MACHINE._replace(patch=20_000))
    shy, bold = (
        choose(TARGET, MATRIX, pack(mask(0.1)), options, unproven=asked) for asked in (False, True)
    )
    assert {way.options.addressing for way in shy.considered} == {"patch"}
    assert bold.best.options.addressing == "iteration"
    assert bold.best.forecast.total < shy.best.forecast.total


@settings(deadline=None, max_examples=40)
@given(
    st.sampled_from((NPU1, NPU2)),
    st.floats(0, 0.99),
    st.sampled_from(("runs", "fast")),
    st.sampled_from((0.0, 500.0, 2500.0)),
    st.integers(0, 99),
)
def test_the_choice_is_the_fastest_that_was_considered(device, density, effort, patch, seed):
    options = Options(costs=MACHINE._replace(patch=patch), effort=effort)
    chosen = choose(Target(device, 4, 1024), MATRIX, pack(mask(density, seed)), options)
    times = [way.forecast.total for way in chosen.considered]
    assert chosen.best.forecast.total == min(times)
    assert chosen.dense.rows == MATRIX.rows
    assert replace(chosen.best.options, effort=effort).costs == options.costs
