# SPDX-License-Identifier: Apache-2.0
"""The published Phoenix micro-benchmarks, simulated by every profile; nothing is tuned to pass."""

import pytest

from firmware_sim import PROFILES
from host.sweeps import back_to_back, markdown, op_costs, single_run_spans, single_transfers

LONG_TRANSFERS = {"S2MM": 0.05, "MM2S": 0.10}
"""What single transfers of 2,048 words and more may be off by."""
SPANS = 0.12
"""What the span of K tasks may be off by."""


def by_name(points):
    return {point.what: point for point in points}


@pytest.mark.parametrize("profile", PROFILES)
def test_measured_op_costs_come_out(profile):
    for point in op_costs(profile):
        assert abs(point.error) < 0.001, point


@pytest.mark.parametrize("profile", PROFILES)
def test_steady_tasks_start_as_far_apart_as_published(profile):
    """From the fourth on; before that the published medians are of two modes."""
    points = by_name(back_to_back(profile))
    for name, allowed in (("MM2S", 0.05), ("S2MM", 0.07)):
        for place in range(3, 7):
            assert abs(points[f"{name} interval {place}"].error) < allowed
    for place in range(8):
        assert abs(points[f"MM2S duration {place}"].error) < 0.075
        assert abs(points[f"S2MM duration {place}"].error) < 0.05


@pytest.mark.parametrize("profile", ["low", "central"])
def test_spans_of_eight_tasks_agree(profile):
    points = by_name(back_to_back(profile))
    assert abs(points["MM2S span of 8"].error) < SPANS
    assert abs(points["S2MM span of 8"].error) < SPANS


def test_spans_of_the_single_runs_agree_but_for_the_shortest():
    """Four MM2S tasks of a run whose first were not pipelined, as most others' were."""
    for point in single_run_spans():
        if point.what == "MM2S span of 4, single run":
            assert -0.17 < point.error < -SPANS
        else:
            assert abs(point.error) < SPANS, point


@pytest.mark.parametrize("profile", PROFILES)
def test_long_transfers_take_what_was_measured(profile):
    for point in single_transfers(profile):
        direction, words = point.what.split()[:2]
        if int(words) >= 2048:
            assert abs(point.error) < LONG_TRANSFERS[direction], point


def test_the_table_of_one_profile_has_every_point_and_every_source():
    text = markdown("low")
    points = [*op_costs(), *back_to_back(), *single_run_spans(), *single_transfers()]
    assert text.count("\n| ") == len(points)
    assert text.count("Spread: ") == 4
