# SPDX-License-Identifier: Apache-2.0
"""`sparsebd doctor` as a person or a script runs it: words, JSON, exit status."""

import json
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from host.doctor.command import doctor
from host.doctor.recording import load
from host.errors import UsageError

MACHINES = Path(__file__).parents[1] / "data" / "machines"
app = typer.Typer()
app.command()(doctor)

KEYS = {"check", "title", "status", "found", "problem", "cause", "remedy", "sources"}


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def machine(name):
    return ("--machine", MACHINES / f"{name}.toml")


@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("healthy-phoenix", 0, "sparsebd run --backend xrt --device npu1"),
        ("memlock-8mib", 1, "/etc/security/limits.d/99-amdxdna.conf"),
        ("wedged", 1, "sudo modprobe -r amdxdna"),
        ("not-in-group", 1, "sudo usermod -aG render $USER"),
        ("server-no-npu", 3, "everything runs on the simulator: sparsebd run"),
        ("wsl", 3, "only Windows can"),
    ],
)
def test_words_and_exit_status(name, status, words):
    done = run(*machine(name))
    assert done.exit_code == status
    assert words in " ".join(done.output.split())


@pytest.mark.parametrize("name", sorted(path.stem for path in MACHINES.iterdir()))
def test_json_says_the_same_for_programs(name):
    done = run("--json", *machine(name))
    data = json.loads(done.output)
    assert data["schema"] == 1
    assert data["status"] == done.exit_code
    assert data["verdict"] == {0: "npu", 1: "problems", 3: "simulator"}[done.exit_code]
    assert all(set(item) == KEYS for item in data["findings"])
    assert {item["status"] for item in data["findings"]} <= {"ok", "warning", "problem", "skipped"}


def test_a_square_bracket_in_what_was_found_is_shown_as_it_is():
    assert "[xrt-smi] ERROR" in run(*machine("memlock-8mib")).output


def test_this_machine_is_looked_at_by_default():
    done = run("--json")
    assert done.exit_code in (0, 1, 3)
    assert json.loads(done.output)["status"] == done.exit_code


def test_a_tree_of_files_is_looked_at(tmp_path):
    device = tmp_path / "sys/bus/pci/devices/0000:c5:00.1"
    device.mkdir(parents=True)
    for name, text in (("vendor", "0x1022"), ("device", "0x1502"), ("revision", "0x00")):
        (device / name).write_text(f"{text}\n")
    kernel = tmp_path / "proc/sys/kernel"
    kernel.mkdir(parents=True)
    (kernel / "osrelease").write_text("6.8.0-31-generic\n")
    done = run("--json", "--root", tmp_path)
    found = {item["check"]: item for item in json.loads(done.output)["findings"]}
    assert done.exit_code == 1
    assert found["kernel"]["problem"] == "kernel-old"
    assert found["npu"]["found"].startswith("npu1, Phoenix")
    assert found["memlock"]["status"] == "skipped"


def test_an_empty_tree_has_no_npu(tmp_path):
    assert run("--root", tmp_path).exit_code == 3


def test_what_was_read_can_be_recorded(tmp_path):
    path = tmp_path / "machine.json"
    first = run("--json", "--record", path, *machine("wedged"))
    again = run("--json", "--machine", path)
    assert first.output == again.output
    assert load(path).facts.user == "bo"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--root", "/nowhere/at/all"), "--root /nowhere/at/all is no folder"),
        (("--root", "/", *machine("wsl")), "--root and --machine name two machines"),
        (("--record", "/nowhere/at/all/x.json"), "cannot write /nowhere/at/all/x.json"),
    ],
)
def test_bad_options_are_one_sentence(arguments, sentence):
    done = run(*arguments)
    assert isinstance(done.exception, UsageError)
    assert sentence in str(done.exception)


def test_exit_statuses_are_in_the_help():
    words = " ".join(run("--help").output.split())
    for meaning in ("0 programs can run", "1 something keeps", "3 no NPU", "2 bad options"):
        assert meaning in words
