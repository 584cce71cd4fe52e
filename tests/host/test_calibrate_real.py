# SPDX-License-Identifier: Apache-2.0
"""The device that programs use, as a machine: on the stand-in for pyxrt, with hidden constants."""

import numpy as np
import pytest
from hidden_machines import hidden_calibration, true_value

from aie2.devices import NPU1
from firmware_sim.pyxrt.simulation import Settings
from host.calibrate import data_benches, op_benches
from host.calibrate.fit import fit
from host.calibrate.measure import measure
from host.calibrate.real import RealMachine
from host.calibrate.setting import Setting
from host.device import open_device

RUNS = 10


@pytest.fixture(scope="module")
def hidden():
    return hidden_calibration("npu1", 7)


@pytest.fixture
def machine(hidden):
    settings = Settings(calibration=hidden, messages=False)
    with open_device("sim", settings=settings) as opened:
        yield RealMachine(opened)


def test_times_through_the_device_are_those_that_the_constants_say(machine, hidden):
    at = Setting(NPU1, 150.0)
    benches = (op_benches.floor, op_benches.waits, op_benches.plain("w", lambda t: t.writes(1)))
    points = [point for bench in (*benches, op_benches.pushes) for point in bench(at)]
    found = fit(measure(machine, points, RUNS, np.random.default_rng(0)))
    for name in ("write", "push_idle", "wait_each"):
        us = true_value(hidden, name) / hidden.reference_clock_mhz
        assert found.estimate(name).value == pytest.approx(us, rel=0.01), name


def test_host_copies_are_brought_over_when_they_changed(machine):
    point = next(iter(data_benches.chains(Setting(NPU1, 150.0))))
    nbytes = point.payload.source_bytes
    with machine.open(point.design, nbytes, nbytes) as session:
        for value in (1, 2):
            session.source[:] = value
            session.target[:] = 0
            session.run(point.words, 1)
            assert np.all(session.target == value)


def test_contexts_are_given_back(machine):
    """More designs, one after the other, than a driver has contexts for."""
    point = op_benches.floor_of(Setting(NPU1), Setting(NPU1).single)
    for _ in range(8):
        with machine.open(point.design, 4096, 4096) as session:
            assert session.run(point.words, 2).size == 2
