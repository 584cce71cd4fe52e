# SPDX-License-Identifier: Apache-2.0
"""Which device is opened: the simulator, an NPU, or what there is; and what is said if neither."""

import sys
from types import SimpleNamespace

import pytest

import firmware_sim.pyxrt
from host.device import (
    BadArguments,
    DeviceNotFound,
    PyxrtMissing,
    Settings,
    backends,
    open_device,
)
from host.errors import UsageError


@pytest.fixture
def npu(monkeypatch):
    """The stand-in where pyxrt would be: an NPU as far as the Device can tell."""
    monkeypatch.setitem(sys.modules, "pyxrt", firmware_sim.pyxrt)


@pytest.fixture
def no_pyxrt(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyxrt", None)


def pretend(monkeypatch, *outcomes, title="NPU Strix"):
    """A pyxrt whose device fails with texts, or opens on None; pauses are not slept."""
    left = list(outcomes)
    opened = SimpleNamespace(get_info=lambda key: title)

    def device(index):
        text = left.pop(0)
        if text:
            raise RuntimeError(text)
        return opened

    module = SimpleNamespace(device=device, xrt_info_device=SimpleNamespace(name=5))
    monkeypatch.setitem(sys.modules, "pyxrt", module)
    monkeypatch.setattr(backends.time, "sleep", lambda seconds: None)
    return left


def test_the_simulator_is_what_a_program_gets_that_says_nothing(monkeypatch, npu):
    monkeypatch.delenv(backends.BACKEND_VARIABLE, raising=False)
    with open_device() as device:
        assert (device.backend, device.facts.name) == ("sim", "npu1")


def test_the_environment_says_the_backend_and_a_program_overrides_it(monkeypatch, npu):
    monkeypatch.setenv(backends.BACKEND_VARIABLE, "xrt")
    with open_device() as device:
        assert device.backend == "xrt"
    with open_device("sim", device="npu2") as device:
        assert (device.backend, device.facts.name) == ("sim", "npu2")


def test_auto_takes_the_npu_if_there_is_one(npu):
    with open_device("auto") as device:
        assert device.backend == "xrt"
        assert device.title == "NPU Phoenix"


def test_auto_takes_the_simulator_and_says_why(no_pyxrt):
    with open_device("auto") as device:
        assert device.backend == "sim"
        assert "no NPU: pyxrt cannot be imported" in device.backend_reason


def test_without_pyxrt_one_sentence_says_where_it_comes_from(no_pyxrt):
    with pytest.raises(PyxrtMissing, match="ppa:amd-team/xrt") as error:
        open_device("xrt")
    assert "pip install" not in str(error.value)


def test_an_npu_that_wakes_up_is_tried_again(monkeypatch):
    left = pretend(monkeypatch, " No such device with index '0'", "err=-22", None)
    with pytest.raises(DeviceNotFound, match="err=-22"):
        open_device("xrt")
    assert left == [None]
    pretend(monkeypatch, *[" No such device with index '0'"] * 4, None)
    with open_device("xrt") as device:
        assert device.facts.name == "npu2"


def test_after_five_tries_it_is_given_up(monkeypatch):
    left = pretend(monkeypatch, *[" No such device with index '0'"] * 9)
    with pytest.raises(DeviceNotFound, match="sparsebd doctor"):
        open_device("xrt")
    assert len(left) == 4


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("NPU Phoenix", "npu1"),
        ("RyzenAI-npu1", "npu1"),
        ("NPU Strix Halo", "npu2"),
        ("RyzenAI-npu6", "npu2"),
        ("NPU Krackan 1", "npu2"),
    ],
)
def test_the_names_of_npus_are_known(monkeypatch, title, name):
    pretend(monkeypatch, None, title=title)
    with open_device("xrt") as device:
        assert device.facts.name == name


def test_an_unknown_npu_is_what_the_program_says_it_is(monkeypatch):
    pretend(monkeypatch, None, None, title="NPU Next")
    with pytest.raises(DeviceNotFound, match="'NPU Next', which is not known"):
        open_device("xrt")
    with open_device("xrt", device="npu2") as device:
        assert device.facts.name == "npu2"


def test_another_npu_than_asked_for_is_refused(npu):
    with pytest.raises(DeviceNotFound, match="npu2 was asked for and this machine has"):
        open_device("xrt", device="npu2")


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ({"backend": "cuda"}, "not one of sim, xrt, auto"),
        ({"device": "npu9"}, "give npu1 or npu2"),
        ({"device": "npu2", "settings": Settings()}, "give one of them"),
    ],
)
def test_bad_choices_are_refused(arguments, why):
    with pytest.raises(UsageError, match=why):
        open_device(**arguments)


def test_only_the_simulator_has_settings(npu):
    with open_device("sim") as device:
        device.simulate(profile="high")
    with open_device("xrt") as device, pytest.raises(BadArguments, match="has no settings"):
        device.simulate(profile="high")
