# SPDX-License-Identifier: Apache-2.0
"""Programs that were written for pyxrt run unchanged; the launcher behaves as Python does."""

import ast
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from streams import GOLDEN, golden, golden_names

from firmware_sim.pyxrt import __main__ as launcher
from firmware_sim.pyxrt import namespaces
from firmware_sim.pyxrt.npu import default_npu

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "data" / "pyxrt" / "passthrough_host.py"
PASSTHROUGHS = [name for name in golden_names() if name.startswith("passthrough")]
ONE = "passthrough_c1_ch1_o1k_npu1"


@pytest.fixture
def installed(monkeypatch):
    """`import pyxrt` gives the stand-in, on a device that the environment describes anew."""
    for name in ("pyxrt", "pyxrt.ext", "pyxrt.aie"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", list(sys.argv))
    default_npu.cache_clear()
    yield
    default_npu.cache_clear()
    for name in ("pyxrt", "pyxrt.ext", "pyxrt.aie"):
        sys.modules.pop(name, None)


def options(name: str) -> list[str]:
    size = golden(name)["buffers"][0]["bytes"]
    folder = GOLDEN / name
    return [
        *("-x", str(folder / "aie.xclbin"), "-i", str(folder / "insts.bin")),
        *("-k", "MLIR_AIE", "-s", str(size)),
    ]


def launch(arguments: list[str]) -> int:
    """Exit code of the launcher in this process."""
    with pytest.raises(SystemExit) as caught:
        launcher.main(arguments)
    assert isinstance(caught.value.code, int)
    return caught.value.code


def outside(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The launcher in a process of its own."""
    command = [sys.executable, "-m", "firmware_sim.pyxrt", *arguments]
    return subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
        check=False,
    )


def test_the_program_imports_nothing_of_ours():
    tree = ast.parse(PROGRAM.read_text())
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    names = {alias.name for node in imports for alias in node.names}
    assert names == {"argparse", "sys", "time", "numpy", "pyxrt"}
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


@pytest.mark.parametrize("name", PASSTHROUGHS)
def test_the_program_passes_on_every_golden_passthrough(name, installed, monkeypatch, capsys):
    monkeypatch.setenv("SPARSEBD_SIM_DEVICE", name.rpartition("_")[2])
    assert launch([str(PROGRAM), *options(name), "-n", "2"]) == 0
    said = capsys.readouterr()
    assert said.out == "PASS!\n"
    assert not said.err


def test_the_program_runs_in_a_process_of_its_own():
    done = outside(str(PROGRAM), *options(ONE))
    assert (done.returncode, done.stdout, done.stderr) == (0, "PASS!\n", "")


def test_a_fault_of_the_environment_reaches_the_program(installed, monkeypatch, capsys):
    monkeypatch.setenv("SPARSEBD_SIM_FAULTS", ",timeout")
    assert launch([str(PROGRAM), *options(ONE), "-n", "3"]) == 1
    said = capsys.readouterr()
    assert said.out.endswith("Returned status: ert_cmd_state.ERT_CMD_STATE_TIMEOUT\n")
    assert said.err == "[firmware_sim] WARNING: TIMEOUT was injected by the settings\n"


def test_a_stream_of_the_other_device_fails(installed, monkeypatch, capsys):
    monkeypatch.setenv("SPARSEBD_SIM_DEVICE", "npu2")
    assert launch([str(PROGRAM), *options(ONE)]) == 1
    assert "ERT_CMD_STATE_ERROR" in capsys.readouterr().out


def test_the_program_sees_its_own_arguments_and_folder(installed, tmp_path, capsys):
    program = tmp_path / "show.py"
    (tmp_path / "beside_it.py").write_text("WORD = 'found'\n")
    program.write_text(
        "import sys, beside_it, pyxrt, pyxrt.ext\n"
        "print(sys.argv[1:], __name__, beside_it.WORD, pyxrt.__name__, pyxrt.ext.bo)\n"
        "sys.exit(7)\n"
    )
    assert launch([str(program), "-x", "--help"]) == 7
    expected = "['-x', '--help'] __main__ found pyxrt <class 'pyxrt.ext.bo'>\n"
    assert capsys.readouterr().out == expected


def test_a_module_runs_as_with_python_m(installed, tmp_path, monkeypatch, capsys):
    (tmp_path / "shown_module.py").write_text("import sys, pyxrt\nprint(sys.argv[1:], __name__)\n")
    monkeypatch.chdir(tmp_path)
    launcher.main(["-m", "shown_module", "a"])
    assert capsys.readouterr().out == "['a'] __main__\n"


def test_an_exception_of_the_program_ends_with_1_and_a_traceback(tmp_path):
    program = tmp_path / "raises.py"
    program.write_text("import pyxrt\npyxrt.device(3)\n")
    done = outside(str(program))
    assert done.returncode == 1
    assert done.stderr.endswith("RuntimeError:  No such device with index '3'\n")


def test_wrong_usage_ends_with_2(installed, tmp_path, monkeypatch, capsys):
    assert launch([]) == 2
    assert capsys.readouterr().err.startswith("usage: python -m firmware_sim.pyxrt program.py")
    assert launch(["-m"]) == 2
    assert launch([str(tmp_path / "none.py")]) == 2
    assert "can't open file" in capsys.readouterr().err
    monkeypatch.setenv("SPARSEBD_SIM_DEVICE", "npu9")
    assert launch([str(PROGRAM)]) == 2
    expected = "firmware_sim.pyxrt: device 'npu9' cannot be simulated: give npu1 or npu2\n"
    assert capsys.readouterr().err == expected


def test_help_says_what_the_environment_chooses(capsys):
    launcher.main(["--help"])
    said = capsys.readouterr().out
    for name in ("DEVICE", "PROFILE", "FIRMWARE", "FAULTS"):
        assert f"SPARSEBD_SIM_{name}" in said


def test_install_puts_the_modules_where_import_finds_them(installed):
    made = namespaces.install()
    assert sys.modules["pyxrt"] is made
    assert sys.modules["pyxrt.ext"] is made.ext
    assert runpy.run_path(str(PROGRAM))["pyxrt"] is made
