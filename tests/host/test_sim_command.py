# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sim` as a person types it: data, times and mistakes, or one sentence and no file."""

import json
import re
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from command import refused, sparsebd

from firmware_sim.waits import Wait
from host.sim_arguments import arguments, buffer, numbered
from host.sim_report import compare, wait_tree
from host.timeline import COLOURS, picture, shares

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
PASSTHROUGH = GOLDEN / "passthrough_c1_ch1_o1k_npu1"
OVERFLOW = GOLDEN / "gather_rows_c1_o4k_npu1"
CHAIN = GOLDEN / "gather_chain_c4_npu1"
BUFFERS = ("--arg", "0=range:65536", "--arg", "1=zeros:65536")
LARGE = ("--arg", "0=range:524288", "--arg", "1=zeros:196608")
COPIED = np.arange(16384, dtype="<i4")
PNG = b"\x89PNG"

RESULT = {
    "schema": int,
    "status": str,
    "ok": bool,
    "message": (str, type(None)),
    "device": str,
    "profile": str,
    "firmware": str,
    "clock_mhz": float,
    "start_column": int,
    "cycles": int,
    "us": float,
    "array_cycles": int,
    "dispatch_base_us": float,
    "band_us": (dict, type(None)),
    "wall_s": float,
    "counts": dict,
    "arguments": list,
    "expected": list,
    "diagnostics": list,
    "met": dict,
    "tasks": list,
    "notes": list,
    "waits": list,
    "reads": dict,
}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test starts in an empty folder, so that what is written shows."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sim(case, *arguments):
    return sparsebd("sim", case / "aie.xclbin", case / "insts.bin", *arguments)


def passed(case, *arguments):
    done = sim(case, *arguments)
    assert (done.status, done.err) == (0, ""), done
    return done.out


def written(folder):
    return sorted(path.name for path in folder.iterdir())


def strict_json(path):
    def never(constant):
        raise AssertionError(f"{constant} in JSON")

    return json.loads(Path(path).read_text(), parse_constant=never)


def test_data_comes_out_in_the_file_that_was_named():
    out = passed(PASSTHROUGH, *BUFFERS, "--out", "1=out.bin")
    assert Path("out.bin").read_bytes() == COPIED.tobytes()
    assert out.endswith("wrote out.bin\n")


def test_a_report_says_device_clock_time_counts_and_what_changed():
    out = passed(PASSTHROUGH, *BUFFERS)
    first = out.splitlines()[0]
    assert re.fullmatch(r"npu1 at 1030 MHz, central profile: \d+\.\d\d us \(\d+ cycles\)", first)
    assert re.search(r"^ +65536 +65536 +8 +2 +2 +1 +2 +0$", out, re.MULTILINE)
    assert "argument 0 (range:65536): 0 of 65536 bytes changed" in out
    changed = int((COPIED.view(np.uint8) != 0).sum())
    assert f"argument 1 (zeros:65536): {changed} of 65536 bytes changed" in out
    assert "wrote" not in out


def test_arguments_may_come_in_any_order_and_from_files_of_either_kind():
    np.save("in.npy", COPIED.reshape(128, 128))
    Path("in.bin").write_bytes(COPIED.tobytes())
    for source in ("in.npy", "in.bin"):
        passed(
            PASSTHROUGH,
            *("--arg", "1=zeros:65536", "--out", "1=out", "--arg", f"0={source}"),
        )
        assert Path("out").read_bytes() == COPIED.tobytes()


def test_a_npy_output_has_the_type_and_shape_of_its_argument():
    np.save("target.npy", np.zeros((4, 8192), "<i2"))
    passed(PASSTHROUGH, "--arg", "0=range:65536", "--arg", "1=target.npy", "--out", "1=out.npy")
    out = np.load("out.npy")
    assert (out.dtype, out.shape) == (np.dtype("<i2"), (4, 8192))
    assert out.tobytes() == COPIED.tobytes()
    passed(PASSTHROUGH, *BUFFERS, "--out", "1=out.npy")
    assert np.load("out.npy").dtype == np.uint8


def test_an_input_file_is_never_changed():
    np.save("in.npy", COPIED)
    np.save("target.npy", np.zeros(16384, "<i4"))
    before = [Path(name).read_bytes() for name in ("in.npy", "target.npy")]
    passed(PASSTHROUGH, "--arg", "0=in.npy", "--arg", "1=target.npy")
    assert [Path(name).read_bytes() for name in ("in.npy", "target.npy")] == before


def test_what_was_expected_is_compared():
    out = passed(PASSTHROUGH, *BUFFERS, "--expect", "1=range:65536", "--expect", "0=range:65536")
    assert "argument 1 is as expected" in out
    assert "argument 0 is as expected" in out


def test_what_was_not_expected_is_named_with_its_first_place():
    wrong = COPIED.copy()
    wrong[[7, 9000]] = -1, -2
    np.save("want.npy", wrong)
    done = sim(PASSTHROUGH, *BUFFERS, "--expect", "1=want.npy", "--out", "1=out", "--json", "r")
    assert done.status == 1
    assert done.err == "error: data came out wrong; see above\n"
    sentence = "2 of 16384 elements are not as expected, the first at index 7: 7, expected -1"
    assert f"argument 1: {sentence}" in done.out
    assert Path("out").read_bytes() == COPIED.tobytes()
    result = strict_json("r")
    assert result["ok"] is False
    assert result["status"] == "done"
    assert result["expected"] == [
        {
            "argument": 1,
            "elements": 16384,
            "differing": 2,
            "first": 7,
            "found": "7",
            "expected": "-1",
        }
    ]


def test_json_has_the_keys_that_readers_count_on():
    passed(PASSTHROUGH, *BUFFERS, "--json", "r.json")
    result = strict_json("r.json")
    assert set(result) == set(RESULT)
    for key, kind in RESULT.items():
        assert isinstance(result[key], kind), key
    assert (result["device"], result["status"], result["ok"]) == ("npu1", "done", True)
    assert result["us"] == result["cycles"] / result["clock_mhz"]
    assert result["counts"]["bytes_read"] == result["counts"]["bytes_written"] == 65536
    assert result["arguments"][0] == {
        "argument": 0,
        "source": "range:65536",
        "bytes": 65536,
        "bytes_changed": 0,
    }
    task = {"tile": [0, 0], "direction": "S2MM", "channel": 0, "words": 16384}
    assert result["tasks"][0] | task == result["tasks"][0]
    assert result["tasks"][0]["started"] < result["tasks"][0]["finished"] <= result["cycles"]


def test_json_has_events_where_a_trace_was_asked_for():
    passed(PASSTHROUGH, *BUFFERS, "--json", "r.json", "--trace", "t.json")
    result = strict_json("r.json")
    assert set(result) == {*RESULT, "events"}
    assert [0.0, "op_started", "controller", 0, 1] in result["events"]
    actors = {event[2] for event in result["events"]}
    assert actors >= {"controller", "shim(0,0) S2MM 0", "memtile(0,1)", "memtile(0,1) MM2S 0"}


def test_trace_and_plot_are_written_whole(folder):
    passed(PASSTHROUGH, *BUFFERS, "--trace", "t.json", "--plot", "p.png")
    assert written(folder) == ["p.png", "t.json"]
    assert strict_json("t.json")["traceEvents"]
    assert Path("p.png").read_bytes()[:4] == PNG


def test_a_stall_shows_who_waits_for_whom_and_keeps_its_diagnosis_but_no_data(folder):
    files = ("--trace", "t.json", "--plot", "p.png", "--json", "r.json", "--out", "1=out")
    done = sim(OVERFLOW, *LARGE, *files)
    assert done.status == 1
    assert done.err == (
        "error: the run cannot go on; see who waits for whom\n"
        "not written: out; --keep-partial writes them all the same\n"
    )
    assert written(folder) == ["p.png", "r.json", "t.json"]
    tree = done.out[done.out.index("who waits for whom:") :].splitlines()
    assert [re.sub(r" (waits|\(BD|is) .*", "", line) for line in tree[1:6]] == [
        "  op 49",
        "    shim(0,0) S2MM 0",
        "      memtile(0,1) MM2S 0",
        "        memtile(0,1) S2MM 0",
        "          shim(0,0) MM2S 0",
    ]
    result = strict_json("r.json")
    assert (result["status"], result["ok"]) == ("stalled", False)
    assert result["message"].startswith("no progress after cycle ")
    assert result["waits"][0]["waiter"] == "op 49"
    assert result["tasks"][0] | {"direction": "S2MM", "finished": None} == result["tasks"][0]


def test_mistakes_are_told_with_the_op_that_made_them_and_what_to_do():
    done = sim(OVERFLOW, *LARGE)
    head = r"^mistake queue-overflow at \d+\.\d\d us \(cycle \d+\), op 40: WRITE .* start_bd_id 7$"
    assert re.search(head, done.out, re.MULTILINE)
    assert "  push of BD 7 to shim(0,0) MM2S 0 dropped: its task queue was full; await" in done.out
    assert "16 (6 dropped)" in done.out


def test_data_of_a_stalled_run_is_written_on_request():
    done = sim(OVERFLOW, *LARGE, "--out", "1=out.bin", "--keep-partial")
    assert done.status == 1
    assert "not written" not in done.err
    out = np.fromfile("out.bin", "<i4")
    assert out[:2048].tolist() == list(range(2048, 4096))
    assert not out[-2048:].any()


def test_strict_stops_at_the_first_mistake():
    done = sim(OVERFLOW, *LARGE, "--strict", "--json", "r.json")
    assert done.status == 1
    assert done.err == "error: stopped at the first mistake, since --strict was given\n"
    result = strict_json("r.json")
    assert result["status"] == "stopped"
    assert result["counts"]["dropped_pushes"] == 1


def test_mistakes_without_a_stall_are_status_1_and_the_data_is_written():
    done = sim(CHAIN, "--arg", "0=range:524288", "--arg", "1=zeros:4096", "--out", "1=out")
    assert done.status == 1
    assert done.err == "error: the run met mistakes that can spoil its data; see above\n"
    assert "mistake bad-address" in done.out
    assert Path("out").stat().st_size == 4096


def test_a_band_gives_the_time_of_every_profile():
    out = passed(PASSTHROUGH, *BUFFERS, "--profile", "band", "--json", "r.json")
    result = strict_json("r.json")
    band = result["band_us"]
    assert list(band) == ["low", "central", "high"]
    assert len(set(band.values())) == 3
    assert band["central"] == result["us"]
    assert result["profile"] == "central"
    assert f"low {band['low']:.2f} us, central {band['central']:.2f} us" in out
    passed(PASSTHROUGH, *BUFFERS, "--profile", "low", "--json", "r.json")
    assert strict_json("r.json")["us"] == band["low"]


def test_clock_and_seed_are_the_runs():
    passed(PASSTHROUGH, *BUFFERS, "--clock-mhz", 1200, "--json", "r.json")
    assert strict_json("r.json")["clock_mhz"] == 1200
    times = set()
    for seed in (0, 1, 1):
        passed(PASSTHROUGH, *BUFFERS, "--seed", seed, "--json", "r.json")
        times.add(strict_json("r.json")["us"])
    assert len(times) == 2


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--arg", "0"], "--arg '0' is not N=...: give the argument's number first"),
        (["--arg", "zeros:4"], "--arg 'zeros:4' is not N=...: .*"),
        (["--arg", "=zeros:4"], "--arg '=zeros:4' is not N=...: .*"),
        (["--arg", "-1=zeros:4"], "--arg '-1=zeros:4' is not N=...: .*"),
        (["--arg", "0="], "--arg '0=' is not N=...: .*"),
        (["--arg", "²=zeros:4"], "--arg '²=zeros:4' is not N=...: .*"),
        (["--arg", "0=zeros:4", "--arg", "00=zeros:4"], "--arg 0 is given twice: give it once"),
        (
            ["--arg", "0=zeros:4", "--arg", "2=zeros:4"],
            "--arg 1 is missing and --arg 2 is given: .* --arg 1=zeros:4096",
        ),
        (["--arg", "1=zeros:4"], "--arg 0 is missing and --arg 1 is given: .*"),
        (["--arg", "0=zeros:"], "--arg 0: 'zeros:' is not zeros:BYTES: give a number of bytes"),
        (["--arg", "0=zeros:many"], "--arg 0: 'zeros:many' is not zeros:BYTES: .*"),
        (["--arg", "0=zeros:-4"], "--arg 0: 'zeros:-4' is not zeros:BYTES: .*"),
        (["--arg", "0=zeros:4:5"], "--arg 0: 'zeros:4:5' is not zeros:BYTES: .*"),
        (["--arg", "0=zeros:0"], "--arg 0: 0 bytes cannot be: give 1 to 4294967296"),
        (["--arg", "0=zeros:4294967297"], "--arg 0: 4294967297 bytes cannot be: .*"),
        (["--arg", "0=random:8:x"], r"--arg 0: 'random:8:x' is not random:BYTES\[:SEED\]: .*"),
        (["--arg", "0=range:6"], "--arg 0: range counts in int32: give a multiple of 4 bytes"),
        (["--arg", "0=missing.npy"], "missing.npy: No such file or directory"),
        (["--arg", "0=."], r"\.: Is a directory"),
        ([*BUFFERS, "--out", "1"], "--out '1' is not N=...: .*"),
        ([*BUFFERS, "--out", "2=a"], "--out 2 names no argument: there are 2; give --arg 2=.*"),
        ([*BUFFERS, "--out", "1=a", "--out", "1=b"], "--out 1 is given twice: give it once"),
        ([*BUFFERS, "--out", "0=a", "--out", "1=a"], "two outputs would both be a: name two files"),
        ([*BUFFERS, "--out", "1=no/a"], "cannot write no/a: there is no folder no, make it"),
        ([*BUFFERS, "--trace", "."], r"cannot write \.: it is a folder, name a file"),
        ([*BUFFERS, "--json", "a", "--plot", "a"], "two outputs would both be a: name two files"),
        ([*BUFFERS, "--expect", "2=zeros:4"], "--expect 2 names no argument: there are 2; .*"),
        (
            [*BUFFERS, "--expect", "1=zeros:4"],
            "--expect 1 has 4 bytes and argument 1 has 65536: give as many",
        ),
        ([*BUFFERS, "--profile", "x"], "--profile 'x' is not one of low, central, high, band"),
        ([*BUFFERS, "--clock-mhz", 0], "--clock-mhz 0 is not from 1 to 10000"),
        ([*BUFFERS, "--clock-mhz", "nan"], "--clock-mhz nan is not from 1 to 10000"),
        ([*BUFFERS, "--seed", -1], "--seed -1 is negative: give 0 or more"),
        ([*BUFFERS, "--device", "npu3"], "unknown device 'npu3': .*"),
        ([*BUFFERS, "--device", "npu2"], "the stream was made for npu1 and npu2 was asked for; .*"),
    ],
)
def test_what_cannot_be_run_is_refused_in_a_sentence(folder, arguments, sentence):
    files = () if "--json" in arguments else ("--json", "r.json")
    assert re.fullmatch(sentence, refused(sim(PASSTHROUGH, *arguments, *files)))
    assert written(folder) == []


def test_a_missing_or_wrong_design_or_stream_is_refused(folder):
    insts, xclbin = PASSTHROUGH / "insts.bin", PASSTHROUGH / "aie.xclbin"
    missing = refused(sparsebd("sim", "missing.xclbin", insts, *BUFFERS, "--json", "r"))
    assert missing == "missing.xclbin: No such file or directory"
    missing = refused(sparsebd("sim", xclbin, "missing.bin", *BUFFERS, "--json", "r"))
    assert missing == "missing.bin: No such file or directory"
    refused(sparsebd("sim", insts, insts, *BUFFERS, "--json", "r"))
    refused(sparsebd("sim", xclbin, xclbin, *BUFFERS, "--json", "r"))
    assert written(folder) == []


@pytest.mark.parametrize("read", ["design.xclbin", "insts.bin"])
def test_design_and_stream_are_not_written_over(folder, read):
    for name in ("design.xclbin", "insts.bin"):
        Path(name).write_bytes(b"read")
    outcome = sparsebd("sim", "design.xclbin", "insts.bin", "--json", read)
    assert refused(outcome) == f"{read} is read, and would be written over: name another file"
    assert Path(read).read_bytes() == b"read"


@pytest.mark.parametrize("data", [b"", b"\x93NUMPY", b"x" * 200])
def test_a_damaged_npy_file_is_refused(data):
    Path("a.npy").write_bytes(data)
    sentence = refused(sim(PASSTHROUGH, "--arg", "0=a.npy"))
    assert sentence.startswith("a.npy cannot be read as a numpy array: ")


def test_an_empty_file_is_refused():
    Path("a.bin").write_bytes(b"")
    np.save("a.npy", np.zeros(0))
    for name in ("a.bin", "a.npy"):
        sentence = refused(sim(PASSTHROUGH, "--arg", f"0={name}"))
        assert sentence.startswith(f"--arg 0: {name} holds no bytes: give a .npy file, ")


def test_objects_in_a_npy_file_are_refused():
    np.save("a.npy", np.array([{}], object), allow_pickle=True)
    assert "Object arrays cannot be loaded" in refused(sim(PASSTHROUGH, "--arg", "0=a.npy"))


def test_help_names_every_option():
    done = sparsebd("sim", "--help")
    assert (done.status, done.err) == (0, "")
    for option in ("--arg", "--out", "--expect", "--trace", "--json", "--plot", "--strict"):
        assert option in done.out


def test_made_up_buffers_are_what_they_say():
    assert buffer("", "zeros:5").tolist() == [0] * 5
    assert buffer("", "zeros:0x10").nbytes == 16
    assert buffer("", "range:12").tolist() == [0, 1, 2]
    assert buffer("", "range:12").dtype == np.int32
    one, same, other = (buffer("", f"random:64{seed}") for seed in ("", ":0", ":1"))
    assert one.tolist() == same.tolist() != other.tolist()
    assert one.nbytes == 64


def test_every_buffer_is_writable_contiguous_memory_of_its_own():
    np.save("a.npy", np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)))
    Path("b").write_bytes(bytes(7))
    given = arguments(["1=b", "0=a.npy", "3=random:9", "2=zeros:9"])
    assert [each.number for each in given] == [0, 1, 2, 3]
    assert given[0].array.tolist() == np.arange(12).reshape(3, 4).tolist()
    for each in given:
        assert each.array.flags.c_contiguous
        assert each.array.flags.writeable
    for one, other in combinations(given, 2):
        assert not np.may_share_memory(one.array, other.array)


def test_a_path_may_hold_an_equals_sign_and_a_colon():
    assert numbered("--arg", ["0=a=b:c.npy"]) == {0: "a=b:c.npy"}


def test_nothing_given_is_no_arguments():
    assert arguments([]) == []


def test_comparison_is_bit_by_bit_in_elements_of_the_expected_type():
    same = compare(0, np.array([np.nan, -0.0]), np.array([np.nan, -0.0]))
    assert (same.differing, same.elements, same.first) == (0, 2, None)
    signs = compare(1, np.array([1.0, 0.0]), np.array([1.0, -0.0]))
    assert (signs.differing, signs.first, signs.found, signs.expected) == (1, 1, "0.0", "-0.0")
    bytes_ = compare(2, np.zeros(8, np.uint8), np.array([0, 1 << 24], "<i4"))
    assert (bytes_.elements, bytes_.differing, bytes_.first) == (2, 1, 1)


def test_a_wait_tree_names_everyone_once_and_ends_in_a_ring():
    waits = (
        Wait("op 1", "waits for a token of b", ("b",)),
        Wait("b", "waits for c or d", ("c", "d")),
        Wait("c", "waits for b", ("b",)),
        Wait("d", "is idle", ()),
        Wait("e", "waits for a lock", ("f",)),
    )
    assert wait_tree(waits) == [
        "op 1 waits for a token of b",
        "  b waits for c or d",
        "    c waits for b",
        "      b (see above)",
        "    d is idle",
        "e waits for a lock",
        "  f",
    ]
    assert wait_tree(()) == []


def test_a_row_of_the_plot_shows_shares_from_below_and_white_for_idle():
    edges = np.linspace(0, 10, 11)
    idle = shares([], edges)
    assert set(idle) == set(COLOURS)
    half = idle | {"moving": np.full(10, 0.5)}
    full = idle | {"moving": np.ones(10)}
    image = picture([full, half, idle])
    rows = np.split(image, 3)
    white = [(row == 255).all(axis=2).mean() for row in rows]
    assert white[0] < 0.25 < white[1] < 0.65 < white[2] == 1.0
    assert (rows[1][4] == 255).all()
    assert not (rows[1][-5] == 255).all()
