# SPDX-License-Identifier: Apache-2.0
"""Timing constants: complete, sourced, and scaled by the rule that their domain states."""

import pytest

from firmware_sim import PROFILES
from firmware_sim.calibration import Band, Costs, costs, load, parse, provenance
from firmware_sim.errors import CalibrationError


@pytest.mark.parametrize("device", ["npu1", "npu2"])
def test_every_cost_has_a_constant_and_every_constant_a_cost(device):
    assert set(provenance(device)) == set(Costs._fields)


@pytest.mark.parametrize("device", ["npu1", "npu2"])
def test_every_constant_says_where_it_comes_from(device):
    for name, (constant, owner) in provenance(device).items():
        assert len(constant.source) > 20, name
        if owner != device:
            assert constant.grade == "assumed", name
        elif constant.grade == "assumed":
            assert isinstance(constant.value, Band), name
        else:
            assert constant.spread is not None, name
            assert constant.spread[0] <= constant.spread[1]


@pytest.mark.parametrize("profile", PROFILES)
def test_every_profile_adds_up_to_the_measured_start_of_a_task(profile):
    """K-sweep: start to start 3,050 to 3,130 cycles, whatever the split."""
    known = costs("npu1", profile, load("npu1").reference_clock_mhz)
    total = known.write + 8 * known.block_write_word + known.patch + known.push_idle
    assert total == pytest.approx(3053, abs=1)


def test_costs_at_the_reference_clock_are_the_file_s_values():
    clock = load("npu1").reference_clock_mhz
    known = costs("npu1", "central", clock)
    for name, (constant, _) in provenance("npu1").items():
        if constant.unit != "GB/s":
            assert getattr(known, name) == pytest.approx(constant.at("central"), rel=1e-12), name


def test_memory_costs_keep_their_time_when_the_clock_changes():
    slow, fast = costs("npu1", "central", 1000.0), costs("npu1", "central", 2000.0)
    assert fast.shim_mm2s_task == pytest.approx(2 * slow.shim_mm2s_task)
    assert fast.word == slow.word
    assert fast.push_idle == pytest.approx(slow.push_idle)


def test_limits_in_gigabytes_become_bytes_a_cycle():
    for clock in (1800.0, 1030.0):
        assert costs("npu1", "central", clock).combined_limit == pytest.approx(56.2e9 / 1800e6)
    assert costs("npu1", "low", 1030.0).read_limit == pytest.approx(48.6e9 / 1030e6)
    assert costs("npu2", "central").read_limit == pytest.approx(47e9 / 1800e6)


def test_strix_firmware_is_phoenix_s_by_the_controller_clock_and_widest_when_high():
    phoenix, strix = costs("npu1", "central"), costs("npu2", "central")
    ratio = (1800 / 1030) * (600 / 1267)
    assert strix.push_idle / phoenix.push_idle == pytest.approx(ratio)
    high = costs("npu2", "high")
    at_reference = costs("npu1", "high", load("npu1").reference_clock_mhz)
    assert high.patch == pytest.approx(at_reference.patch * 1800 / 1028)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("device = ", "^calibration is not TOML"),
        ('device = "x"\nreference_clock_mhz = 1.0', "^calibration entry constants: Field required"),
        (
            'device = "x"\nreference_clock_mhz = -1.0\n[constants]',
            "^calibration entry reference_clock_mhz",
        ),
        (
            'device="x"\nreference_clock_mhz=1.0\n[constants.write]\nvalue=nan\nunit="cycles"\n'
            'domain="array"\ngrade="M"\nsource="s"',
            "^calibration entry constants.write.value",
        ),
    ],
)
def test_a_malformed_calibration_names_the_entry(text, sentence):
    with pytest.raises(CalibrationError, match=sentence):
        parse(text)


def test_unknown_devices_profiles_and_clocks_are_refused():
    with pytest.raises(CalibrationError, match="^no calibration for 'npu9'"):
        load("npu9")
    with pytest.raises(CalibrationError, match="^a clock of 0 MHz cannot run"):
        costs("npu1", "central", 0)
