# SPDX-License-Identifier: Apache-2.0
"""`sparsebd plan`: figures that agree with the stream, a stream that runs, and refusals."""

import json
import os
import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from command import refused, sparsebd
from hypothesis import given
from hypothesis import strategies as st

from aie2 import txn
from aie2.devices import device
from aie2.registers import SHIM_BD, Direction
from bdgen.lattices import RUN
from firmware_sim import simulate
from host.cases import ADDRESSINGS, prepare
from host.gathers import Gather, plan_gather
from host.plan_rounds import Push, lattice_text, rounds, turns
from host.workload import masked, random_weights

SMALL = ("plan", "--rows", 120, "--row-bytes", 512, "--sparsity", 0.6)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Every test starts in an empty folder, so that what is written shows."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def figures(*arguments) -> dict:
    done = sparsebd(*arguments, "--json", "plan.json")
    assert (done.status, done.err) == (0, ""), done
    return json.loads(Path("plan.json").read_text(), parse_constant=pytest.fail)


@lru_cache(maxsize=32)
def gather(addressing="patch", columns=4, channels=1, rows=300, density=0.4, name="npu1") -> Gather:
    setup = prepare(device(name), columns, 512, channels=channels, addressing=addressing)
    work = masked(random_weights(rows, 512, 0), "made up", "random", 1 - density, 0)
    return plan_gather(setup, work)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--effort", "most"], "--effort 'most' is not one of runs, fast, best"),
        (
            ["--addressing", "magic"],
            "--addressing 'magic' is not one of patch, absolute, iteration",
        ),
        (["--profile", "band"], "--profile 'band' is not one of low, central, high"),
        (["--max-gap", -1], "--max-gap -1 is negative: give 0 or more rows"),
        (["--columns", 5], "npu1 has 4 columns; --columns 5 cannot be"),
        (["--channels", 3], "channels is 3: npu1 has 1 to 2"),
        (["--device", "npu3"], "unknown device 'npu3': give npu1 or npu2"),
        (["--seed", -1], "--seed -1 is negative: give 0 or more"),
        (["--mask", "none"], "--sparsity goes with a pattern; the mask in a file has its own .*"),
        (["--model", "use-lite"], "give either --model, or both --rows and --row-bytes"),
        (["--quick"], "--quick goes with --table or --rows-per-bd: give one of them"),
        (["--out", "."], r"cannot write \.: it is a folder, name a file"),
        (["--out", "a", "--json", "a"], "two outputs would both be a: name two files"),
        (["--weights-address", "0x1000"], "--weights-address and --output-address go into .*"),
        (
            ["--addressing", "absolute", "--weights-address", "0", "--output-address", "4"],
            "--weights-address and --output-address go into a stream of .*",
        ),
        (
            ["--addressing", "absolute", "--out", "a"],
            "a stream of --addressing absolute holds device addresses: give --weights-address .*",
        ),
        (["--table"], "--rows does not go with a table, whose shapes and machines are fixed: .*"),
        (["--rows-per-bd"], "--rows does not go with a table, .*"),
        (["--table", "--rows-per-bd"], "--table and --rows-per-bd are two tables: .*"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_in_a_sentence(folder, arguments, sentence):
    assert re.fullmatch(sentence, refused(sparsebd(*SMALL, *arguments)))
    assert list(folder.iterdir()) == []


def test_the_mask_is_not_written_over(folder):
    Path("mask.txt").write_text("01" * 12)
    plan = ("plan", "--rows", "24", "--row-bytes", "64", "--mask", "mask.txt")
    said = refused(sparsebd(*plan, "--json", "mask.txt"))
    assert said == "mask.txt is read, and would be written over: name another file"
    assert Path("mask.txt").read_text() == "01" * 12


@pytest.mark.parametrize("address", ["0x1001", "-4", "here", "", str(1 << 48)])
def test_what_is_no_address_of_a_bd_is_refused(folder, address):
    absolute = ("--addressing", "absolute", "--out", "a", "--output-address", "0x1000")
    sentence = refused(sparsebd(*SMALL, *absolute, f"--weights-address={address}"))
    assert sentence.startswith(
        f"--weights-address {address} is no address of a BD: give a multiple"
    )
    assert list(folder.iterdir()) == []


def test_help_says_what_a_command_does():
    done = sparsebd("plan", "--help")
    assert (done.status, done.err) == (0, "")
    assert "Usage: sparsebd plan [OPTIONS]" in done.out
    assert "…" not in done.out


def test_figures_agree_with_the_stream_that_is_written():
    found = figures(*SMALL, "--out", "insts.bin", "--columns", 3, "--channels", 2)
    data = Path("insts.bin").read_bytes()
    program, stream = txn.decode(data), found["stream"]
    kinds = [type(op).__name__ for op in program.ops]
    assert (stream["words"], stream["nbytes"]) == (len(data) // 4, len(data))
    assert stream["ops"] == len(kinds)
    assert stream["patches"] == kinds.count("DdrPatch")
    assert stream["words_per_row"] == stream["words"] / found["rows_wanted"]
    assert [(lane["column"], lane["channel"]) for lane in found["lanes"]] == [
        (column, channel) for column in range(3) for channel in range(2)
    ]
    assert sum(lane["rows"] for lane in found["lanes"]) == found["rows_moved"]
    assert found["bytes_moved"] == 512 * found["rows_moved"]
    assert found["rows_per_bd"] == found["rows_moved"] / found["lattices"]
    assert stream["bds"] > found["lattices"]


def test_every_profile_is_simulated_with_its_own_bound():
    found = figures(*SMALL, "--device", "npu2", "--profile", "high")
    runs = found["simulated"]
    assert [run["profile"] for run in runs] == ["low", "central", "high"]
    for run in runs:
        assert run["data_ok"]
        assert run["bound_ratio"] == run["us"] / run["bound_us"] > 1
    assert len({run["bound_us"] for run in runs}) == 3
    assert found["profile"] == "high"
    assert found["forecast"]["total_us"] == pytest.approx(runs[2]["us"], rel=0.2)


def test_a_written_stream_gathers_the_rows_on_the_simulator():
    done = sparsebd(*SMALL, "--out", "insts.bin")
    assert done.status == 0
    assert done.out.endswith("wrote insts.bin\n")
    weights = random_weights(120, 512, 0)
    wanted = masked(weights, "", "random", 0.6, 0).wanted
    output = np.zeros_like(weights)
    setup = prepare(device("npu1"), None, 512)
    result = simulate(setup.shipped.path, Path("insts.bin"), [weights, output])
    assert result.ok
    moved = {row.tobytes() for row in output[: wanted.sum()]}
    assert moved == {row.tobytes() for row in weights[wanted]}


def test_an_absolute_stream_holds_the_addresses_that_were_given():
    addresses = ("--weights-address", "0x200000000", "--output-address", "0x300000000")
    done = sparsebd(*SMALL, "--addressing", "absolute", *addresses, "--out", "insts.bin")
    assert done.status == 0, done
    assert "unproven on silicon" in done.out
    reached = set()
    for op in txn.decode(Path("insts.bin").read_bytes()).ops:
        assert not isinstance(op, txn.DdrPatch)
        words = op.payload if isinstance(op, txn.BlockWrite) else ()
        for at in range(0, len(words), SHIM_BD.words):
            bd = SHIM_BD.decode(words[at : at + SHIM_BD.words])
            reached.add(bd["base_address_high"])
    assert reached == {2, 3}


@pytest.mark.parametrize("addressing", ADDRESSINGS)
@pytest.mark.parametrize("effort", ["runs", "best"])
def test_data_is_right_in_every_addressing(addressing, effort):
    found = figures(*SMALL, "--addressing", addressing, "--effort", effort)
    assert all(run["data_ok"] for run in found["simulated"])
    assert (found["addressing"], found["effort"]) == (addressing, effort)
    assert (found["stream"]["patches"] == 0) == (addressing == "absolute")


def test_rows_of_gaps_are_moved_and_told():
    Path("mask.txt").write_text("1001" * 20)
    done = sparsebd("plan", "--rows", 80, "--row-bytes", 512, "--mask", "mask.txt", "--max-gap", 2)
    assert done.status == 0, done
    assert "40 wanted, 80 moved (40 that nobody wants, in gaps of up to 2)" in done.out


@pytest.mark.parametrize("wanted", [0, 1])
def test_no_row_and_all_rows_are_plans_like_others(wanted):
    Path("mask.txt").write_text(f"{wanted}" * 40)
    found = figures("plan", "--rows", 40, "--row-bytes", 512, "--mask", "mask.txt", "--explain")
    assert found["rows_moved"] == 40 * wanted
    assert (found["rows_per_bd"] is None) == (wanted == 0)
    assert all(run["data_ok"] for run in found["simulated"])
    assert found["explained"]["ways"][0]["mode"] == ("dense" if wanted else "host")


def test_a_shipped_token_is_planned_by_default():
    found = figures("plan", "--token", 3, "--layer", 1)
    assert (found["model"], found["pattern"], found["rows"]) == ("USE-lite", "model", 1536)


def test_planning_is_timed_and_its_parts_are_less_than_all():
    took = figures(*SMALL)["timing"]
    assert took["calls"] >= 3
    assert 0 < took["pack_us"] < took["plan_us"]
    assert 0 < took["scan_us"] < took["plan_us"]


def test_wrong_data_is_told_and_has_a_status_of_its_own(monkeypatch):
    monkeypatch.setattr("host.gathers.data_ok", lambda *_: False)
    done = sparsebd(*SMALL)
    assert done.status == 1
    assert done.err == "error: data came out wrong; see above\n"
    assert done.out.count("data WRONG") == 3


def test_the_explanation_is_consistent():
    found = figures(*SMALL, "--explain", "--effort", "best")
    told = found["explained"]
    ways = told["ways"]
    assert [way["best"] for way in ways].count(True) == 1
    assert ways == sorted(ways, key=lambda way: way["total_us"])
    assert {way["mode"] for way in ways} == {"dense", "host"}
    assert {way["addressing"] for way in ways} == {"patch"}
    keys = [tuple(map(str, list(way.values())[:6])) for way in ways]
    assert len(set(keys)) == len(keys)
    assert sum(shape["rows"] for shape in told["shapes"]) == found["rows_moved"]
    assert sum(shape["bds"] for shape in told["shapes"]) == found["lattices"] == told["lattices"]
    assert 0 < told["fewest_bds"] <= told["lattices"]


def test_the_explanation_is_for_people():
    done = sparsebd(*SMALL, "--explain")
    assert max(map(len, done.out.splitlines())) <= 100
    for said in (
        "ways that were considered",
        "best: ",
        "the controller works",
        "with addressing iteration, unproven on silicon: ",
        "no exact cover of these rows has fewer than ",
        "controller and lanes would be equally busy",
        "round 1\n    column 0: BD",
        "push MM2S 0",
    ):
        assert said in done.out, said
    assert os.listdir() == []


@pytest.mark.parametrize("addressing", ADDRESSINGS)
@pytest.mark.parametrize(("columns", "channels", "name"), [(1, 1, "npu1"), (3, 2, "npu2")])
def test_the_turns_of_a_stream_are_all_of_it(addressing, columns, channels, name):
    of = gather(addressing, columns, channels, name=name)
    found = list(turns(txn.decode(of.plan.words).ops))
    pushes = [push for turn in found for push in turn.pushes]
    counts = of.plan.counts
    assert len(pushes) == counts.pushes
    assert sum(turn.patches for turn in found) == counts.patches
    assert sum(op.columns for turn in found for op in turn.waits) == counts.tokens
    last = max(turn.round for turn in found)
    assert last > 3
    for number in range(1, last + 1):
        turned = [turn.column for turn in found if turn.round == number]
        assert turned == list(range(len(turned)))
    assert all(not turn.waits for turn in found if turn.round in (1, 2))


@given(
    st.sampled_from(ADDRESSINGS),
    st.integers(1, 4),
    st.integers(1, 2),
    st.sampled_from([0.02, 0.3, 0.6, 1.0]),
)
def test_the_rows_that_rounds_tell_are_those_moved(addressing, columns, channels, density):
    of = gather(addressing, columns, channels, 200, density)
    text = "\n".join(rounds(of.setup.target, of.plan, 1000))
    first = re.findall(r"(?:push MM2S|sends).*?(\d+) rows?$", text, re.MULTILINE)
    also = re.findall(r"sends (\d+) rows?, ", text)
    assert sum(map(int, (*first, *also))) == of.plan.rows_moved


@pytest.mark.parametrize(
    ("piece", "text"),
    [
        ((7, 1, 1, 0, 1, 0, 1, 0), "row 7"),
        ((7, 3, 1, 0, 1, 0, 1, 0), "rows 7 to 9"),
        ((7, 1, 3, 10, 1, 0, 1, 0), "rows 7, 17, 27"),
        ((7, 2, 2, 10, 1, 0, 2, 30), "rows 7 to 8, 17 to 18; again 30 further on (chain)"),
        (
            (7, 1, 8, 2, 3, 100, 1, 0),
            "rows 7, 9, 11, 13, 15, 17, 8 in all; 2 times again 100 further on",
        ),
    ],
)
def test_a_lattice_is_told_by_its_rows(piece, text):
    assert piece[RUN] > 0
    assert lattice_text(piece) == text


def test_a_push_knows_its_channel():
    of = gather("patch", 2, 2)
    pushes = [push for turn in turns(txn.decode(of.plan.words).ops) for push in turn.pushes]
    assert {(push.direction, push.channel) for push in pushes} == {
        (direction, channel) for direction in Direction for channel in range(2)
    }
    assert all(isinstance(push, Push) and push.times >= 1 for push in pushes)
