# SPDX-License-Identifier: Apache-2.0
"""The designs as commands: printed, written, compiled, refused, and without mlir-aie."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from fake_mlir_aie import FakeMlirAie
from mlir_operations import read
from recorded_api import PRESENT

from iron_designs import (
    aiecc,
    dense_rowwise,
    gather_chain,
    gather_rows,
    gather_to_core,
    passthrough,
)
from iron_designs.errors import CompilationFailed, ToolchainMissing
from iron_designs.mlir_aie import INSTALL

DESIGNS = [dense_rowwise, gather_chain, gather_rows, gather_to_core, passthrough]
GOLDEN = Path(__file__).parents[1] / "data/golden"
FORMER_HELP = "  --aie-generate-xclbin - Generate xclbin\n  --aie-generate-npu-insts\n"

COMPILER = """#!{python}
import pathlib, sys
if "--help" in sys.argv:
    print({help!r})
    sys.exit()
print("error: no room", file=sys.stderr)
if {fails}:
    sys.exit(3)
pathlib.Path("seen").write_text(" ".join(sys.argv[1:]))
for argument in sys.argv:
    for flag in ("--xclbin-name=", "--npu-insts-name="):
        if argument.startswith(flag) and {writes}:
            text = pathlib.Path(sys.argv[-1]).read_text()
            pathlib.Path(argument[len(flag):]).write_text(flag + " ".join(sys.argv[1:]) + text)
"""


def compiler(folder: Path, help_text: str, *, fails: bool = False, writes: bool = True) -> None:
    """An aiecc in `folder` that copies what it was called with into its outputs."""
    program = folder / "aiecc"
    text = COMPILER.format(python=sys.executable, help=help_text, fails=fails, writes=writes)
    program.write_text(text)
    program.chmod(0o755)


@pytest.fixture(autouse=True)
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, and nothing else, is where programs are looked for."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeMlirAie:
    fake = FakeMlirAie()
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def no_mlir_aie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aie", None)


def name_of(design) -> str:
    return design.__name__.rpartition(".")[2]


@pytest.mark.parametrize("design", DESIGNS, ids=name_of)
def test_command_prints_a_module_for_the_device_asked_for(design, fake, capsys):
    assert design.main(["-d", "npu2", "--columns", "2"]) == 0
    printed = read(capsys.readouterr().out)
    assert printed.device == "npu2_2col"
    assert len(printed.fifos) == 4


@pytest.mark.parametrize(
    ("design", "sizes", "golden"),
    [
        (gather_rows, ["-d", "npu", "--columns", "4"], "iron_gather_c4_npu1"),
        (gather_chain, ["-d", "npu2", "--columns", "8"], "gather_chain_c8_npu2"),
    ],
)
def test_sizes_are_options(design, sizes, golden, fake, capsys):
    wanted = "1,2,5,9-11,14,18,21,22,26,29,31,33,38,40,41,45,50-52,57,60,63"
    assert design.main([*sizes, "--wanted", wanted]) == 0
    assert capsys.readouterr().out == (GOLDEN / golden / "aie.mlir").read_text()


@pytest.mark.parametrize("design", DESIGNS, ids=name_of)
def test_without_mlir_aie_one_sentence_says_how_to_get_it(design, no_mlir_aie, tmp_path, capsys):
    output = tmp_path / "aie.mlir"
    assert design.main(["-o", str(output)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"python -m iron_designs.{name_of(design)}: printing a design needs")
    assert INSTALL in said
    assert said.count("\n") == 1
    assert not output.exists()


@pytest.mark.parametrize("design", DESIGNS, ids=name_of)
def test_design_runs_as_a_module(design):
    command = [sys.executable, "-m", design.__name__, "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert f"usage: python -m iron_designs.{name_of(design)} " in done.stdout


@pytest.mark.parametrize("design", DESIGNS, ids=name_of)
def test_impossible_design_is_a_wrong_option(design, no_mlir_aie, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        design.main(["-d", "npu", "--columns", "8"])
    assert "error: columns is 8: npu1 has 1 to 4\n" in capsys.readouterr().err


def test_compiled_files_are_written_and_nothing_is_printed(fake, path, tmp_path, capsys):
    compiler(path, FORMER_HELP)
    xclbin, insts = tmp_path / "out.xclbin", tmp_path / "insts.bin"
    assert gather_rows.main(["--xclbin", str(xclbin), "--insts", str(insts)]) == 0
    assert capsys.readouterr().out == ""
    flags = xclbin.read_text().partition("module {")[0].removeprefix("--xclbin-name=").split()
    assert flags == [
        "--no-compile-host",
        "--no-xchesscc",
        "--no-xbridge",
        "--aie-generate-xclbin",
        "--aie-generate-npu-insts",
        "--xclbin-name=design.xclbin",
        "--npu-insts-name=insts.bin",
        "aie.mlir",
    ]
    assert "aie.runtime_sequence" in insts.read_text()


def test_the_rewritten_driver_gets_its_own_flags(fake, path, tmp_path):
    compiler(path, "  --get=<name> - Request graph output(s), e.g. --get-xclbin\n")
    insts = tmp_path / "insts.bin"
    assert gather_rows.main(["--insts-path", str(insts)]) == 0
    flags = insts.read_text().partition("module {")[0].removeprefix("--npu-insts-name=").split()
    assert flags == ["--get-npu-insts", "--npu-insts-name=insts.bin", "aie.mlir"]


def test_mlir_can_be_kept_beside_the_compiled_files(fake, path, tmp_path):
    compiler(path, FORMER_HELP)
    mlir, insts = tmp_path / "aie.mlir", tmp_path / "insts.bin"
    assert passthrough.main(["-o", str(mlir), "--insts", str(insts)]) == 0
    assert insts.read_text().endswith(mlir.read_text())


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ({"fails": True}, "aiecc failed with exit status 3: error: no room"),
        ({"writes": False}, "aiecc ended without an error, but wrote no design.xclbin"),
    ],
)
def test_failed_compilation_leaves_no_file(fake, path, tmp_path, capsys, behaviour, said):
    compiler(path, FORMER_HELP, **behaviour)
    files = [tmp_path / "aie.mlir", tmp_path / "out.xclbin"]
    assert passthrough.main(["-o", str(files[0]), "--xclbin", str(files[1])]) == 1
    assert capsys.readouterr().err == f"python -m iron_designs.passthrough: {said}\n"
    assert not any(file.exists() for file in files)


def test_without_aiecc_one_sentence_says_how_to_get_it(fake, tmp_path, capsys):
    xclbin = tmp_path / "out.xclbin"
    assert passthrough.main(["--xclbin", str(xclbin)]) == 1
    said = capsys.readouterr().err
    assert "compiling a design with mlir-aie needs its aiecc, and there is none" in said
    assert said.count("\n") == 1
    assert not xclbin.exists()


def test_aiecc_is_found_in_the_wheel_that_python_imports(tmp_path, monkeypatch):
    module = type(sys)("aie")
    module.__path__ = [str(tmp_path / "mlir_aie/python/aie")]
    monkeypatch.setitem(sys.modules, "aie", module)
    with pytest.raises(ToolchainMissing):
        aiecc.find()
    program = tmp_path / "mlir_aie/bin/aiecc"
    program.parent.mkdir(parents=True)
    program.touch()
    assert aiecc.find() == str(program)


def test_an_aiecc_that_cannot_be_run_is_an_error(path, tmp_path):
    (path / "aiecc").write_text("#!/nowhere/at/all\n")
    (path / "aiecc").chmod(0o755)
    with pytest.raises(CompilationFailed, match=r"^cannot run .*aiecc: No such file or directory$"):
        aiecc.compile_mlir("", xclbin=tmp_path / "x")


def test_an_aiecc_that_hangs_is_ended(path, tmp_path, monkeypatch):
    (path / "aiecc").write_text(f"#!{sys.executable}\nimport time; time.sleep(60)\n")
    (path / "aiecc").chmod(0o755)
    monkeypatch.setattr(aiecc, "TIMEOUT_S", 0.2)
    with pytest.raises(CompilationFailed, match=r"^aiecc did not end within 0 s$"):
        aiecc.compile_mlir("", xclbin=tmp_path / "x")


def test_if_one_output_cannot_be_written_none_is(fake, path, tmp_path, capsys):
    compiler(path, FORMER_HELP)
    xclbin, insts = tmp_path / "out.xclbin", tmp_path / "nowhere/insts.bin"
    assert passthrough.main(["--xclbin", str(xclbin), "--insts", str(insts)]) == 1
    assert capsys.readouterr().err == f"cannot write {insts}: No such file or directory\n"
    assert [file.name for file in tmp_path.iterdir()] == ["bin"]


def test_kernel_is_an_option(monkeypatch, tmp_path, capsys):
    FakeMlirAie(PRESENT).install(monkeypatch)
    kernel = tmp_path / "k.o"
    kernel.touch()
    assert gather_to_core.main(["--kernel", str(kernel), "--function", "scale"]) == 0
    assert re.search(r"func\.call @scale\(", capsys.readouterr().out)
