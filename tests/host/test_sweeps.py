# SPDX-License-Identifier: Apache-2.0
"""The published Phoenix micro-benchmarks, simulated by every profile; nothing is tuned to pass."""

import pytest

from firmware_sim import PROFILES
from host.sweeps import back_to_back, op_costs, single_transfers


def by_name(points):
    return {point.what: point for point in points}


@pytest.mark.parametrize("profile", PROFILES)
def test_measured_op_costs_come_out(profile):
    for point in op_costs(profile):
        assert abs(point.error) < 0.01, point


@pytest.mark.parametrize("profile", PROFILES)
def test_steady_tasks_start_as_far_apart_as_published(profile):
    """From the fourth on; before that the published medians are of two modes."""
    points = by_name(back_to_back(profile))
    for name, allowed in (("MM2S", 0.05), ("S2MM", 0.08)):
        for place in range(3, 7):
            assert abs(points[f"{name} interval {place}"].error) < allowed
    for place in range(8):
        assert abs(points[f"MM2S duration {place}"].error) < 0.08
        assert abs(points[f"S2MM duration {place}"].error) < 0.05


@pytest.mark.parametrize("profile", ["low", "central"])
def test_spans_of_eight_tasks_are_within_an_eighth(profile):
    points = by_name(back_to_back(profile))
    assert abs(points["MM2S span of 8"].error) < 0.125
    assert abs(points["S2MM span of 8"].error) < 0.125


def test_long_transfers_take_what_was_measured():
    for point in single_transfers():
        direction, words = point.what.split()[:2]
        if int(words) >= 2048:
            assert abs(point.error) < (0.05 if direction == "S2MM" else 0.10), point
