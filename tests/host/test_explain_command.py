# SPDX-License-Identifier: Apache-2.0
"""`sparsebd explain` and `sparsebd check` as a person types them."""

import json
from pathlib import Path

import pytest
from command import refused, sparsebd

GOLDEN = Path(__file__).parents[1] / "data/golden"
TEXTS = sorted((Path(__file__).parent / "data").glob("explain_*.txt"))


def files(name):
    return GOLDEN / name / "aie.xclbin", GOLDEN / name / "insts.bin"


@pytest.mark.parametrize("text", TEXTS, ids=lambda path: path.stem)
def test_explain_says_what_it_said(text):
    outcome = sparsebd("explain", *files(text.stem.removeprefix("explain_")))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out == text.read_text()


def test_the_texts_are_here():
    assert len(TEXTS) == 3


def test_explain_needs_no_stream():
    design, _ = files("passthrough_c1_ch1_o1k_npu1")
    outcome = sparsebd("explain", design)
    assert outcome.status == 0
    assert "stream" not in outcome.out.replace("until the stream", "")
    assert "  object FIFO through memtile(0,1): 2 x 1024 bytes, S2MM 0 -> MM2S 0\n" in outcome.out


def test_explain_cuts_long_lists_unless_all_is_asked_for():
    name = "dense_rowwise_c4_npu1"
    short = sparsebd("explain", *files(name)).out
    whole = sparsebd("explain", *files(name), "--all").out
    assert "  ... 8 more (--all prints them)\n" in short
    assert "--all" not in whole
    assert len(whole) > len(short)


def test_explain_gives_json():
    outcome = sparsebd("explain", *files("gather_chain_c4_npu1"), "--json")
    found = json.loads(outcome.out)
    assert found["header"]["columns"] == 4
    assert found["stream"]["waits"][0] == {
        "op": 68,
        "text": "a token of shim(0,0) S2MM 0",
        "ends": [15],
        "covers": [16],
    }


def test_check_says_that_nothing_is_wrong():
    outcome = sparsebd("check", *files("gather_chain_c4_npu1"))
    assert (outcome.status, outcome.err) == (0, "")
    assert outcome.out.startswith("no mistake found that needs no execution")


def test_check_warns_and_ends_well():
    outcome = sparsebd("check", *files("gather_rows_c1_o4k_npu1"))
    assert outcome.status == 0
    first, last = outcome.out.splitlines()
    assert first.startswith("warning  op 39  queue-overflow  shim(0,0) MM2S 0 is pushed BD 6 as ")
    assert last == "1 warning (error: certain, warning: possible)"


def test_check_ends_with_1_where_something_is_certain():
    design, _ = files("passthrough_c1_ch1_o1k_npu1")
    _, insts = files("passthrough_c4_ch1_o1k_npu1")
    outcome = sparsebd("check", design, insts)
    assert outcome.status == 1
    assert "error    op 0  other-columns  the stream's header states 4 columns" in outcome.out
    data = json.loads(sparsebd("check", design, insts, "--json").out)
    assert data["errors"] > 0
    assert data["findings"][0]["kind"] == "other-columns"
    assert sparsebd("check", design, insts, "--json").status == 1


@pytest.mark.parametrize("command", ["explain", "check"])
def test_bad_input_is_one_sentence(command, tmp_path):
    design, insts = files("passthrough_c1_ch1_o1k_npu1")
    assert "No such file" in refused(sparsebd(command, tmp_path / "none", insts))
    assert "no xclbin" in refused(sparsebd(command, insts, insts))
    cut = tmp_path / "insts.bin"
    cut.write_bytes(insts.read_bytes()[:100])
    assert "truncated" in refused(sparsebd(command, design, cut))
