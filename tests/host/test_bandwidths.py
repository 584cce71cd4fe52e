# SPDX-License-Identifier: Apache-2.0
"""Stand-ins for measured kernels: what they move, and the limits that they run into."""

import pytest
from pydantic import ValidationError

from firmware_sim import PROFILES
from firmware_sim.calibration import costs
from host.bandwidths import Fact, Stand, compare, facts, rate, run, stand

MIB = 1 << 20


def test_lanes_copy_read_or_do_both():
    assert Stand("npu1", 2, 2, "copy", MIB).moved == 8 * MIB
    assert Stand("npu1", 2, 2, "read", MIB).moved == 4 * MIB
    assert Stand("npu1", 2, 2, "add", MIB).moved == 6 * MIB


@pytest.mark.parametrize("moves", ["copy", "read", "add"])
@pytest.mark.parametrize(("device", "columns"), [("npu1", 1), ("npu1", 3), ("npu2", 8)])
def test_a_stand_in_moves_what_it_should(device, columns, moves):
    """`run` itself refuses other counts of bytes."""
    assert run(Stand(device, columns, 2, moves, 64 * 1024), "central", 1800.0) > 64 * 1024 / 4


@pytest.mark.parametrize("profile", PROFILES)
def test_a_channel_reads_a_word_a_cycle(profile):
    assert rate(Stand("npu1", 1, 1, "read", MIB), profile, 1800.0) == pytest.approx(7.2, rel=0.001)


@pytest.mark.parametrize("profile", PROFILES)
def test_all_channels_read_at_the_limit_of_ddr(profile):
    found = rate(Stand("npu1", 4, 2, "read", 4 * MIB), profile, 1797.2)
    limit = costs("npu1", profile, 1797.2).read_limit * 1797.2 / 1000
    assert found == pytest.approx(limit, rel=0.005)


@pytest.mark.parametrize("profile", PROFILES)
def test_eight_columns_copy_at_the_limit_of_both_ways(profile):
    found = rate(Stand("npu2", 8, 2, "copy", 4 * MIB), profile, 1800.0)
    limit = costs("npu2", profile, 1800.0).combined_limit * 1.8
    assert found == pytest.approx(limit, rel=0.005)


def test_columns_add_up_until_ddr_is_full():
    one, two, four = (
        rate(Stand("npu2", columns, 1, "copy", MIB), "central", 1800.0) for columns in (1, 2, 4)
    )
    assert two == pytest.approx(2 * one, rel=0.01)
    assert four == pytest.approx(4 * one, rel=0.01)


@pytest.mark.parametrize("name", facts())
def test_every_fact_has_a_stand_in_of_its_size_and_says_where_it_is_from(name):
    fact = facts()[name]
    assert len(fact.source) > 20
    assert fact.spread
    for row, wanted in enumerate(fact.bytes):
        moved = stand(fact, row).moved
        assert 0.99 * wanted < moved <= wanted


def test_a_published_launch_is_taken_off_the_time():
    fact = facts()["strix_add"]
    assert fact.measured(0, 0.0) == pytest.approx(9.12, abs=0.01)
    assert fact.measured(0, 82.0) == pytest.approx(9.40, abs=0.01)
    assert facts()["phoenix_read"].measured(0, 82.0) == 7.13


def test_rows_of_a_fact_carry_all_profiles():
    rows = compare("krackan_copy", facts()["krackan_copy"])
    assert [row.what for row in rows] == ["memcpy of 4 MB, 1 column (Krackan)"]
    assert set(rows[0].simulated) == set(PROFILES)
    assert not rows[0].computes


def test_a_fact_whose_lists_do_not_match_is_refused():
    good = facts()["phoenix_read"].model_dump()
    with pytest.raises(ValidationError, match="other lengths"):
        Fact.model_validate(good | {"columns": [1]})
    with pytest.raises(ValidationError, match="give `us` or `gb_s`"):
        Fact.model_validate(good | {"us": good["gb_s"]})
