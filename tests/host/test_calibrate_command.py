# SPDX-License-Identifier: Apache-2.0
"""`sparsebd calibrate` from its options to its file, and what the simulator makes of the file."""

import json

import numpy as np
import pytest
import typer
from hidden_machines import hidden_calibration
from typer.testing import CliRunner

from aie2.devices import NPU1
from firmware_sim import read_configuration, simulate
from firmware_sim.calibration import Calibration, CalibrationError, costs, read
from host.calibrate.command import calibrate_command
from host.calibrate.op_benches import waits
from host.calibrate.setting import Setting
from host.calibrate.write import to_toml
from host.errors import UsageError
from host.plan_costs import plan_costs

app = typer.Typer()
app.command()(calibrate_command)
QUICK = ("--backend", "sim", "--quick", "--repeats", "10")


def call(*arguments):
    """The command's result; its errors come out as they are raised."""
    return CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("calibrate")


@pytest.fixture(scope="module")
def printed(folder):
    hidden = folder / "hidden.toml"
    hidden.write_text(to_toml(hidden_calibration("npu1", 9)))
    found = call(*QUICK, "--hidden", hidden, "--out", folder / "found.toml", "--name", "a box")
    assert found.exit_code == 0, found.output
    return found.output


def test_the_report_has_constants_rates_and_gathers(printed):
    for text in ("a box, npu1", "push_idle", "kept as shipped", "read 4 x 2", "host, 50% of the"):
        assert text in printed


def test_the_file_names_machine_date_and_benchmark_of_every_measured_constant(folder, printed):
    loaded = read(folder / "found.toml")
    measured = [each for each in loaded.constants.values() if "not measured" not in each.source]
    assert len(measured) >= 15
    for each in measured:
        assert each.grade == "M"
        assert each.source.startswith("sparsebd calibrate on a box, 20")
        assert each.spread is not None
        assert each.spread[0] <= each.at("central") <= each.spread[1]
    assert loaded.constants["native_bd"].grade == "assumed"


def test_the_simulator_loads_the_file_and_is_nearer_to_the_machine_with_it(folder, printed):
    point = list(waits(Setting(NPU1)))[-1]
    configuration = read_configuration(point.design.xclbin())

    def us(calibration):
        buffers = [np.zeros(4096, np.uint8) for _ in range(2)]
        return simulate(configuration, point.words, buffers, calibration=calibration).microseconds

    truth, found = us(folder / "hidden.toml"), us(str(folder / "found.toml"))
    assert found == pytest.approx(truth, rel=0.03)
    assert us(None) != pytest.approx(truth, rel=0.03)


def test_plans_can_be_made_for_a_machine(folder, printed):
    found = plan_costs("npu1", calibration=folder / "found.toml")
    assert found.patch == read(folder / "found.toml").constants["patch"].at("central")
    assert found.patch != plan_costs("npu1").patch


def test_json_goes_to_stdout_alone(folder):
    found = call(*QUICK, "--out", folder / "other.toml", "--json")
    assert json.loads(found.stdout)["machine"] == "simulator"
    assert "launches scatter by" in found.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--backend", "fpga"), "^--backend 'fpga' is not one of xrt, sim$"),
        (("--backend", "sim", "--seed", "-1"), "^--seed -1 is negative: give 0 or more$"),
        (("--backend", "sim", "--clock-mhz", "9"), "^--clock-mhz is for a real NPU"),
        (("--backend", "xrt", "--hidden", "x"), "^--hidden is for the simulator"),
        (("--backend", "xrt", "--clock-mhz", "0"), "^--clock-mhz 0 is not from 1 to 10000$"),
        ((*QUICK, "--out", "/no/such/folder/x"), "^cannot write /no/such/folder/x"),
    ],
)
def test_wrong_options_are_one_sentence(arguments, sentence):
    with pytest.raises(UsageError, match=sentence):
        call(*arguments)


def test_a_file_of_another_device_is_refused(folder, printed):
    with pytest.raises(UsageError, match="is of npu1, not of npu2: give one of them$"):
        call(*QUICK, "--device", "npu2", "--hidden", folder / "hidden.toml")
    point = next(iter(waits(Setting(NPU1))))
    buffers = [np.zeros(4096, np.uint8) for _ in range(2)]
    of_strix = hidden_calibration("npu2", 1)
    with pytest.raises(CalibrationError, match="^the calibration is of npu2 and the run is for"):
        simulate(point.design.xclbin(), point.words, buffers, calibration=of_strix)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [(b"device = ", "bad.toml: calibration is not TOML"), (b"\xff", "bad.toml: this is no text")],
)
def test_a_file_that_is_no_calibration_is_named(tmp_path, data, sentence):
    path = tmp_path / "bad.toml"
    path.write_bytes(data)
    with pytest.raises(CalibrationError, match=sentence):
        read(path)
    with pytest.raises(CalibrationError, match="none.toml: No such file"):
        read(tmp_path / "none.toml")


def test_a_file_of_few_constants_inherits_the_others():
    few = {"patch": hidden_calibration("npu1", 1).constants["patch"]}
    own = Calibration(device="npu1", reference_clock_mhz=1030.0, inherit="npu1", constants=few)
    point = list(waits(Setting(NPU1)))[-1]
    buffers = [np.zeros(4096, np.uint8) for _ in range(2)]
    result = simulate(point.design.xclbin(), point.words, buffers, calibration=own)
    assert result.costs is not None
    assert result.costs.patch == few["patch"].value
    assert result.costs.push_idle == costs("npu1").push_idle


def test_without_a_calibration_nothing_changes():
    point = list(waits(Setting(NPU1)))[-1]
    buffers = [np.zeros(4096, np.uint8) for _ in range(2)]
    result = simulate(point.design.xclbin(), point.words, buffers)
    assert result.costs is None
    assert result.clock_mhz == NPU1.clock_mhz
