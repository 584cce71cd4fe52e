# SPDX-License-Identifier: Apache-2.0
"""The commands as a person types them: the right answer, or one sentence and nothing written."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from command import refused, sparsebd
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from host import run_command
from host.cases import PHASES

SMALL = ("run", "--rows", 24, "--row-bytes", 64, "--no-sweep")
GOLDEN = Path(__file__).parents[1] / "data/golden/gather_pairs_c1_npu1"
INSTS = GOLDEN / "insts.bin"

TOP = {
    "backend": str,
    "device": str,
    "clock_mhz": float,
    "model": str,
    "rows": int,
    "row_bytes": int,
    "columns": int,
    "profile": str,
    "dispatch_base_us": float,
    "cases": list,
    "sweep": list,
}
RATIO = (float, type(None))
CASE = {
    "phase": str,
    "pattern": str,
    "sparsity": float,
    "rows_wanted": int,
    "rows_moved": int,
    "bytes_moved": int,
    "bds": int,
    "pushes": int,
    "tokens": int,
    "instruction_bytes": int,
    "cycles": int,
    "us": float,
    "us_low": float,
    "us_high": float,
    "bound_us": float,
    "bound_ratio": RATIO,
    "speedup_vs_dense": RATIO,
    "speedup_vs_rowwise": RATIO,
    "data_ok": bool,
    "wall_s": float,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test starts in an empty folder, so that what is written shows."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def save(name, array) -> Path:
    np.save(name, array)
    return Path(name)


def strict(text: str):
    """JSON as its standard has it: Python's own reader would let NaN and infinity through."""

    def never(constant):
        raise AssertionError(f"{constant} in JSON")

    return json.loads(text, parse_constant=never)


def report_of(*arguments):
    done = sparsebd(*SMALL, "--plot", os.devnull, *arguments)
    assert done.status == 0, done
    return strict(Path("out/run.json").read_text())


def check_schema(report):
    assert {key: type(value) for key, value in report.items()} == TOP
    for case in report["cases"] + report["sweep"]:
        for key, kind in CASE.items():
            assert isinstance(case[key], kind), (key, case[key])
        assert case["us_low"] <= case["us"] <= case["us_high"]
        assert case["data_ok"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--sparsity", 1.5], "sparsity 1.5 is not a share: give 0 .* to 1 .*"),
        (["--sparsity", -0.1], "sparsity -0.1 is not a share: .*"),
        (["--sparsity", "nan"], "sparsity nan is not a share: .*"),
        (["--columns", 5], "npu1 has 4 columns; --columns 5 cannot be"),
        (["--columns", 9, "--device", "npu2"], "npu2 has 8 columns; --columns 9 cannot be"),
        (["--columns", 0], "npu1 has 4 columns; --columns 0 cannot be"),
        (["--channels", 3], "channels is 3: npu1 has 1 to 2"),
        (["--channels", 0], "channels is 0: npu1 has 1 to 2"),
        (["--device", "npu3"], "unknown device 'npu3': give npu1 or npu2"),
        (["--phase", "phase3"], "--phase 'phase3' is not one of dense, .*, host, auto, all"),
        (["--phase", "dense,"], "--phase '' is not one of dense, .*, host, auto, all"),
        (["--profile", "medium"], "--profile 'medium' is not one of low, central, high, band"),
        (["--queue-guard", "hope"], "--queue-guard 'hope' is not one of wait, poll"),
        (["--clock-mhz", 0], "--clock-mhz 0 is not from 1 to 10000"),
        (["--clock-mhz", -1030], "--clock-mhz -1030 is not from 1 to 10000"),
        (["--clock-mhz", "nan"], "--clock-mhz nan is not from 1 to 10000"),
        (["--clock-mhz", "inf"], "--clock-mhz inf is not from 1 to 10000"),
        (["--seed", -1], "--seed -1 is negative: give 0 or more"),
        (["--rows", 0], "0 rows of 64 bytes cannot be moved: .*"),
        (["--row-bytes", 6], "24 rows of 6 bytes cannot be moved: .* a multiple of 4 bytes, .*"),
        (["--row-bytes", 0], "24 rows of 0 bytes cannot be moved: .*"),
        (["--row-bytes", 300_000], "a row pitch of 300000 bytes .* from 4 to 262140"),
        (["--rows", 131_073], "131073 rows have more activations .* give at most 131072 rows"),
        (["--rows", 10**8, "--row-bytes", 8192], "a matrix of 819200000000 bytes is not below .*"),
        (["--model", "use-lite"], "give either --model, or both --rows and --row-bytes"),
        (["--mask", "model"], "no activations of 24x64 are shipped: give --mask random, .*"),
        (["--mask", "diagonal"], "--mask 'diagonal' is neither one of model, random, .* nor a .*"),
        (["--mask", ""], r"\. cannot be read as text of 0 and 1: .*"),
        (["--token", 3], "--token goes with the real activations of use-lite: .*"),
        (["--layer", 3], "--layer goes with --model; .*"),
        (["--json", "."], r"cannot write \.: it is a folder, name a file"),
        (["--plot", "."], r"cannot write \.: it is a folder, name a file"),
        (
            ["--json", "missing/a.json"],
            "cannot write missing/a.json: there is no folder missing, .*",
        ),
        (["--plot", "/proc/a.png"], "cannot write /proc/a.png: .*"),
        (["--json", "a", "--plot", "./a"], "two outputs would both be a: name two files"),
    ],
)
def test_a_run_that_cannot_be_is_refused_in_a_sentence(folder, arguments, sentence):
    files = ("--json", "a.json", "--plot", "a.png")
    assert re.fullmatch(sentence, refused(sparsebd(*SMALL, *files, *arguments)))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--model", "gpt"], "no model 'gpt': choose from ReluLLaMA-7B, .*, USE-lite, or give .*"),
        (["--model", ""], "no model '': choose from ReluLLaMA-7B, .*"),
        (["--rows", 5], "give either --model, or both --rows and --row-bytes"),
        (["--row-bytes", 64], "give either --model, or both --rows and --row-bytes"),
        (["--token", 512], "no token 512 in the capture: give 0 to 511"),
        (["--token", -1], "no token -1 in the capture: give 0 to 511"),
        (["--layer", 2], "no layer 2 in the capture: give 0 to 1"),
        (["--sparsity", 0.5], "--sparsity goes with a pattern; a model's mask has its own .*"),
        (["--model", "phi-2", "--layer", 32], "Phi-2 has layers 0 to 31, not 32"),
    ],
)
def test_a_model_run_that_cannot_be_is_refused_in_a_sentence(folder, arguments, sentence):
    assert re.fullmatch(sentence, refused(sparsebd("run", "--no-sweep", *arguments)))
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("mask", "sentence"),
    [
        (np.ones(23, bool), "mask.npy has 23 entries, the model has 24 rows: .*"),
        (np.ones((2, 24)), r"mask.npy has shape \(2, 24\): .*"),
        (np.full(24, 2), "mask.npy has 2 in row 0: an integer mask is 0 and 1 only, .*"),
        (np.full(24, np.nan), r"mask.npy has NaN in row 0 \(24 in all\): .*"),
        (np.full(24, "1"), "mask.npy holds <U1: save a vector of bools or numbers"),
        (np.zeros(0, bool), "mask.npy has 0 entries, the model has 24 rows: .*"),
    ],
)
def test_a_file_that_is_no_mask_of_this_matrix_is_refused(folder, mask, sentence):
    path = save("mask.npy", mask)
    assert re.fullmatch(sentence, refused(sparsebd(*SMALL, "--mask", path)))
    assert list(folder.iterdir()) == [folder / "mask.npy"]


def test_a_damaged_mask_file_and_a_sparsity_beside_a_good_one_are_refused():
    path = save("mask.npy", np.ones(24, bool))
    sentence = refused(sparsebd(*SMALL, "--mask", path, "--sparsity", 0.5))
    assert sentence == "--sparsity goes with a pattern; the mask in a file has its own sparsity"
    path.write_bytes(path.read_bytes()[:-5])
    sentence = refused(sparsebd(*SMALL, "--mask", path))
    assert sentence.startswith("mask.npy cannot be read as a numpy array: ")


@pytest.mark.parametrize("arguments", [["run", "--rows", "many"], ["run", "--speed"], ["fly"], []])
def test_what_the_parser_refuses_has_status_2_and_no_traceback(folder, arguments):
    done = sparsebd(*arguments)
    assert done.status == 2
    assert "Traceback" not in done.err
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("command", ["run", "disasm", "scan", "seed", "calibration"])
def test_help_says_what_a_command_does(command):
    done = sparsebd(command, "--help")
    assert (done.status, done.err) == (0, "")
    assert f"Usage: sparsebd {command} [OPTIONS]" in done.out
    assert "…" not in done.out


def test_json_has_the_keys_that_readers_count_on():
    report = report_of("--profile", "low", "--sparsity", 0.5, "--device", "npu2", "--columns", 3)
    check_schema(report)
    assert (report["device"], report["clock_mhz"], report["profile"]) == ("npu2", 1800.0, "low")
    assert (report["rows"], report["row_bytes"], report["columns"]) == (24, 64, 3)
    assert [case["phase"] for case in report["cases"]] == list(PHASES)
    assert report["sweep"] == []


def test_cases_are_the_phases_asked_for_and_the_sweep_lies_apart(monkeypatch):
    monkeypatch.setattr("host.run.SWEEP", (0.0, 0.5))
    report = report_of("--phase", "host, dense,host", "--mask", "alternating", "--sweep")
    check_schema(report)
    assert report["profile"] == "band"
    cases = [(case["phase"], case["pattern"]) for case in report["cases"]]
    assert cases == [("host", "alternating"), ("dense", "alternating")]
    assert [case["phase"] for case in report["sweep"]] == ["host", "dense"] * 2
    assert {case["pattern"] for case in report["sweep"]} == {"random"}


@pytest.mark.parametrize("wanted", [0, 1])
def test_no_row_wanted_and_all_rows_wanted_are_runs_like_others(wanted):
    Path("mask.txt").write_text(f"{wanted} " * 24)
    report = report_of("--mask", "mask.txt")
    check_schema(report)
    for case in report["cases"]:
        assert (case["sparsity"], case["rows_wanted"]) == (1 - wanted, 24 * wanted)
        assert case["rows_moved"] == (24 if case["phase"] == "dense" else 24 * wanted)
        assert (case["bound_ratio"] is None) == (wanted == 0)


def test_the_same_seed_gives_the_same_json_but_for_wall_time():
    def without_wall_time(seed):
        report = report_of("--seed", seed, "--sparsity", 0.5)
        return [{**case, "wall_s": 0} for case in report["cases"]]

    assert without_wall_time(7) == without_wall_time(7)
    assert without_wall_time(7) != without_wall_time(8)


def test_files_may_have_any_name():
    Path("a[").mkdir()
    mask, out = os.fsdecode(b"a[/red] m\xe9 \\.npy"), "a[/red] .json"
    save(mask, np.ones(24, bool))
    done = sparsebd(*SMALL, "--mask", mask, "--json", out, "--plot", os.devnull)
    assert (done.status, done.err) == (0, "")
    assert done.out.endswith(f"wrote {out} and {os.devnull}\n")
    report = strict(Path(out).read_text())
    assert report["cases"][0]["pattern"] == "a[/red] m? \\.npy"


def test_progress_goes_to_stderr_and_leaves_no_trace(monkeypatch):
    monkeypatch.setattr(run_command, "err", Console(stderr=True, force_terminal=True))
    done = sparsebd(*SMALL)
    assert done.status == 0
    assert "simulating" not in done.out
    assert "simulating" in done.err
    assert done.err.endswith("\x1b[2K")


def test_an_interrupted_run_says_so_in_a_line_and_writes_nothing(folder, monkeypatch):
    def interrupted(job, advance):
        advance()
        raise KeyboardInterrupt

    monkeypatch.setattr("host.run.run", interrupted)
    assert sparsebd(*SMALL, "--json", "a", "--plot", "b.png") == (130, "", "interrupted\n")
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_run_that_is_told_to_stop_leaves_nothing_half_written(folder, monkeypatch, stop):
    def told(job, advance):
        Path("draft").touch()
        try:
            os.kill(os.getpid(), stop)
            time.sleep(60)
        finally:
            Path("draft").unlink()

    monkeypatch.setattr("host.run.run", told)
    before = signal.getsignal(stop)
    assert sparsebd(*SMALL, "--json", "a", "--plot", "b.png") == (128 + stop, "", "interrupted\n")
    assert list(folder.iterdir()) == []
    assert signal.getsignal(stop) is before


def test_the_mask_is_not_written_over(folder):
    np.save("mask.npy", np.ones(24, np.bool_))
    before = Path("mask.npy").read_bytes()
    done = sparsebd(*SMALL, "--mask", "mask.npy", "--json", "mask.npy")
    assert refused(done) == "mask.npy is read, and would be written over: name another file"
    assert Path("mask.npy").read_bytes() == before


@pytest.mark.parametrize("name", ["[/d].gguf", ":x:.gguf"])
def test_names_are_printed_as_they_are(name):
    assert refused(sparsebd("sparsity", "thresholds", "--model", name)).startswith(name)
    assert refused(sparsebd("run", "--ffn", "0", "--model", name)).startswith(name)


def test_wrong_data_is_written_down_and_has_a_status_of_its_own(monkeypatch):
    monkeypatch.setattr("host.cases.data_ok", lambda *_: False)
    done = sparsebd(*SMALL)
    assert done.status == 1
    assert done.err == "error: data came out wrong; see the table\n"
    assert "WRONG" in done.out
    assert not strict(Path("out/run.json").read_text())["cases"][0]["data_ok"]


@pytest.mark.parametrize("mistake", [ValueError("ours"), KeyError("ours"), RuntimeError("ours")])
def test_a_mistake_of_ours_is_not_passed_off_as_the_users(monkeypatch, mistake):
    def broken(*_):
        raise mistake

    monkeypatch.setattr("host.run.job", broken)
    with pytest.raises(type(mistake), match="ours"):
        sparsebd(*SMALL)


def test_too_little_memory_is_said_in_a_sentence(monkeypatch):
    def hungry(*_):
        return np.empty(1 << 60, np.uint8)

    monkeypatch.setattr("host.run.job", hungry)
    assert refused(sparsebd(*SMALL)).startswith("not enough memory: ")


def test_disasm_prints_ops_for_people_and_json_for_programs():
    text, data = sparsebd("disasm", INSTS), sparsebd("disasm", INSTS, "--json")
    assert (text.status, text.err, data.status, data.err) == (0, "", 0, "")
    expected = json.loads((GOLDEN / "insts.json").read_text())
    assert len(strict(data.out)["ops"]) == len(expected["ops"])
    assert len(text.out.splitlines()) == 1 + len(expected["ops"])


def v1_header_of(data: bytes) -> bytes:
    return bytes([1, 0]) + data[2:]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        INSTS.read_bytes()[:3],
        INSTS.read_bytes()[:16],
        INSTS.read_bytes()[:-4],
        INSTS.read_bytes() + bytes(4),
        v1_header_of(INSTS.read_bytes()),
        INSTS.read_bytes()[:16] + b"\x77\0\0\0" + INSTS.read_bytes()[20:],
        b"xclbin2\0" + bytes(500),
    ],
    ids=["empty", "3 bytes", "no ops", "cut", "longer", "false 1.0", "opcode 0x77", "xclbin"],
)
def test_disasm_refuses_what_is_no_stream(data):
    Path("insts.bin").write_bytes(data)
    assert refused(sparsebd("disasm", "insts.bin"))


@settings(max_examples=60)
@given(
    cut=st.integers(0, INSTS.stat().st_size),
    changes=st.lists(st.tuples(st.integers(0, 120), st.integers(0, 255)), max_size=3),
    as_json=st.booleans(),
)
def test_disasm_of_a_damaged_stream_prints_or_refuses_it(tmp_path_factory, cut, changes, as_json):
    data = bytearray(INSTS.read_bytes()[: cut or None])
    for place, value in changes:
        data[place % len(data)] = value
    path = tmp_path_factory.getbasetemp() / "damaged.bin"
    path.write_bytes(data)
    done = sparsebd("disasm", path, *["--json"] * as_json)
    if done.status == 0:
        assert done.err == ""
        assert not as_json or strict(done.out)
    else:
        assert refused(done)


def test_disasm_reads_version_1():
    write = [0, 0x1D214, 7]
    words = [0x06040001, 0x00000108, 1, 4 * (4 + len(write)), *write]
    Path("insts.bin").write_bytes(np.array(words, "<u4").tobytes())
    done = sparsebd("disasm", "insts.bin")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("TXN 1.0 for npu2: 8 columns")
    assert "push start_bd_id 7" in done.out


@pytest.mark.parametrize("command", ["disasm", "scan"])
def test_a_missing_file_and_a_folder_are_named(command):
    assert re.fullmatch(
        "missing.npy.*No such file or directory.*", refused(sparsebd(command, "missing.npy"))
    )
    assert re.fullmatch(r"\..*Is a directory.*", refused(sparsebd(command, ".")))


def test_scan_counts_nan_as_wanted_and_negative_zero_as_not():
    values = np.zeros(40, np.float16)
    values[[3, 4, 20, 30]] = np.nan, 1, -0.0, np.inf
    done = sparsebd("scan", save("a.npy", values))
    assert done == (0, "40 activations, 3 wanted (92.50 % sparse), 2 runs; bitmap 5 bytes\n", "")
    done = sparsebd("scan", save("a.npy", values), "--threshold", 2)
    assert done.out.startswith("40 activations, 2 wanted")


@pytest.mark.parametrize(
    ("values", "options", "sentence"),
    [
        (np.zeros(0, np.float16), [], "a.npy holds no activation: .*"),
        (np.zeros((4, 4), np.float16), [], r"a.npy has shape \(4, 4\): .*"),
        (np.zeros(4), [], "a 1-D float64 array does not say what elements it holds; .*"),
        (np.zeros(4, np.uint16), [], "a 1-D uint16 array does not say what elements it holds; .*"),
        (np.zeros(4, np.uint16), ["--dtype", "int8"], "a 1-D uint16 array does not hold int8 .*"),
        (np.zeros(4, np.uint16), ["--dtype", "fp8"], "element type 'fp8' is unknown; .*"),
        (np.zeros(4, np.float16), ["--threshold", -1], "threshold -1.0 is not a magnitude; .*"),
        (np.zeros(4, np.float16), ["--threshold", "nan"], "threshold nan is not a magnitude; .*"),
        (np.zeros(4, np.complex64), [], "a.npy holds complex64: .*"),
    ],
)
def test_scan_refuses_what_is_no_vector_of_activations(values, options, sentence):
    assert re.fullmatch(sentence, refused(sparsebd("scan", save("a.npy", values), *options)))


def test_scan_refuses_a_file_of_another_format():
    Path("a.npy").write_bytes(INSTS.read_bytes())
    assert refused(sparsebd("scan", "a.npy")).startswith("a.npy cannot be read as a numpy array: ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["seed", "--model", "gpt"], "no model 'gpt': .*"),
        (["seed", "--device", "npu3"], "unknown device 'npu3': .*"),
        (["calibration", "--profile", "band"], "profile 'band' is not one of low, central, high"),
    ],
)
def test_other_commands_refuse_unknown_names(arguments, sentence):
    assert re.fullmatch(sentence, refused(sparsebd(*arguments)))


def test_a_reader_that_goes_away_gets_no_traceback():
    program = "import sys; from host.cli import main; sys.exit(main())"
    with subprocess.Popen(
        [sys.executable, "-c", program, "disasm", INSTS],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "PYTHONUNBUFFERED": ""},
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
    assert process.returncode == 1
