# SPDX-License-Identifier: Apache-2.0
"""A token on the simulated NPU: the rows that arrive make the FFN's output, and times add up."""

import io
import json

import numpy as np
import pytest
from command import refused, sparsebd
from rich.console import Console

from aie2.devices import NPU1
from firmware_sim import PROFILES
from host.cases import execute, make, output_buffer, pieces, prepare
from host.errors import UsageError
from host.token import command, masks, report, show, sources
from host.token.masks import LayerMasks, ModelMasks
from host.token.timing import Gatherer, predictor_us
from host.workload import Workload
from sparsity.bf16 import from_bf16, to_bf16
from sparsity.capture import load_use_lite
from sparsity.models import catalogue
from sparsity.predictor.use_lite_up import shipped_layer
from tests.sparsity import tiny_llama

LAYER = 0


def delivered(weights, mask):
    """Rows of a matrix that a simulated gather brings, by row number."""
    stored = to_bf16(weights)
    data = np.ascontiguousarray(stored).view(np.uint8).reshape(len(weights), -1)
    work = Workload("", "", data, to_bf16(mask.astype(np.float32)), "bf16", mask)
    setup = prepare(NPU1, None, data.shape[1])
    made = make(setup, work, "auto")
    output = output_buffer(work, made.program)
    assert execute(setup, work, made.program, "central", output).ok
    rows = {}
    where = pieces(made.program)
    columns = (where.row, where.row_offset, where.nbytes, where.at)
    for row, offset, size, dst in zip(*(each.tolist() for each in columns), strict=True):
        found = rows.setdefault(row, np.zeros(data.shape[1], np.uint8))
        found[offset : offset + size] = output[dst : dst + size]
    return {row: from_bf16(found.view(np.uint16)) for row, found in rows.items()}


def ffn(x, up_row, bias, up_mask, down_row):
    """The output by one row after the other; `up_mask` says which neurons are looked at."""
    a = np.zeros(len(up_mask), np.float32)
    for row in np.flatnonzero(up_mask):
        a[row] = max(np.float32(np.dot(x, up_row(row))) + bias[row], np.float32(0))
    out = np.zeros_like(x)
    for row in np.flatnonzero(a):
        out += a[row] * down_row(row)
    return a, out


@pytest.mark.parametrize("predictor", ["", masks.SIGNS, masks.FOUR_BITS])
def test_a_whole_ffn_of_gathered_rows_is_the_ffn_of_those_rows(predictor):
    layer = shipped_layer(LAYER)
    model = masks.relu("USE-lite", [layer], "", token=3)
    x, bias = layer.x[len(layer.x) // 2 + 3], layer.bias
    assert bias is not None
    up = from_bf16(to_bf16(layer.first))
    down = from_bf16(load_use_lite().w_down[LAYER])
    mask = model.layers[0].mask(predictor)
    wanted = np.ones(model.k, np.bool_) if mask is None else mask
    rows = delivered(layer.first, wanted)
    a, exact = ffn(x, lambda row: up[row], bias, wanted, lambda row: down[row])
    below = delivered(down, a != 0)
    got_a, got = ffn(x, lambda row: rows[row], bias, wanted, lambda row: below[row])
    assert np.array_equal(got_a, a)
    assert np.array_equal(got, exact)
    dense = np.maximum(x @ up.T + bias, 0) @ down
    if not predictor:
        assert got == pytest.approx(dense, rel=1e-4, abs=1e-5)


@pytest.fixture(scope="module")
def use_lite():
    layers = [shipped_layer(number) for number in range(2)]
    model = masks.relu("USE-lite", layers, "", None)
    gatherer = Gatherer(NPU1, model.k, 2 * model.d, way="host")
    return model, gatherer, report.token_time(model, gatherer, "npu1")


def test_a_tokens_time_is_the_sum_of_its_parts(use_lite):
    model, _, found = use_lite
    assert [each.name for each in found.sources] == [each.name for each in model.sources]
    for each in found.sources:
        assert np.sum([part.us for part in each.matrices], axis=0) == pytest.approx(each.npu_us)
        outside = np.array(each.submit_us) + each.plan_us + each.predict_us
        assert each.us == pytest.approx(np.array(each.npu_us) + outside)
        assert sum(each.layer_us) == pytest.approx(each.us[list(PROFILES).index("central")])


def test_what_knowing_early_is_worth_is_the_difference_of_two_tokens(use_lite):
    _, _, found = use_lite
    us = {each.name: each.us[list(PROFILES).index("central")] for each in found.sources}
    assert [each.predictor for each in found.early] == [masks.SIGNS, masks.FOUR_BITS]
    for each in found.early:
        parts = each.first_rows_us, each.other_rows_us, each.waiting_us, each.predicting_us
        assert sum(parts) == pytest.approx(us["exact"] - us[each.predictor])


def test_rows_that_are_read_follow_from_the_masks(use_lite):
    model, _, found = use_lite
    rows = {each.name: [part.rows for part in each.matrices] for each in found.sources}
    count = model.k * len(model.layers)
    active = sum(int(layer.known["active"].sum()) for layer in model.layers)
    assert rows["dense"] == [count, count]
    assert rows["exact"] == [count, active]
    assert rows["oracle"] == [active, active]
    kept = sum(int(layer.known[masks.SIGNS].sum()) for layer in model.layers)
    assert rows[masks.SIGNS] == [kept, kept]
    later = rows[f"{masks.SIGNS} +AS"]
    assert later[0] == kept
    assert later[1] <= min(kept, active)
    ahead = rows["last token's, ahead"]
    assert ahead[0] == count
    assert active <= ahead[1] <= 2 * active + count // 4


def test_a_few_bits_of_gate_and_up_are_read_before_the_rows_that_they_foretell():
    mask = np.zeros(256, np.bool_)
    mask[::5] = True
    known = LayerMasks({"active": mask, "gate": mask, sources.ESTIMATED: mask}, {}, "")
    model = ModelMasks(
        name="a",
        k=256,
        d=200,
        gated=True,
        layers=(known, known),
        sources=tuple(sources.for_thresholds(True, [], last=False, bits=3)),
        origin="",
    )
    gatherer = Gatherer(NPU1, model.k, 2 * model.d, ("central",), way="host")
    found = report.token_time(model, gatherer, "npu1")
    by_name = {each.name: each for each in found.sources}
    parts = {part.matrix: part for part in by_name["estimated from 3 bits"].matrices}
    assert list(parts) == [sources.FEW_BITS, "gate", "up", "down"]
    bits = parts[sources.FEW_BITS]
    assert bits.bytes_moved == 2 * 2 * 256 * 80  # 75 bytes of bits and 2 of scale, in words
    assert bits.us[0] == 4 * gatherer.of_rows(80).time(None).us[0]
    for name in ("gate", "up", "down"):
        assert parts[name].rows == 2 * mask.sum()
    copies, rows = by_name["estimated from 3 bits"].steps
    assert copies.reads == [sources.FEW_BITS]
    assert copies.end_us < rows.begin_us
    assert rows.reads == ["gate", "up", "down"]
    printed = io.StringIO()
    show.show(found, Console(width=200, file=printed))
    assert "few bits us" in printed.getvalue()


def test_steps_of_a_layer_follow_each_other_and_end_with_its_mean_time(use_lite):
    model, _, found = use_lite
    for source, each in zip(model.sources, found.sources, strict=True):
        assert [step.known for step in each.steps] == [step.known.value for step in source.steps]
        now = 0.0
        for step in each.steps:
            assert now <= step.known_us < step.begin_us <= step.end_us
            now = step.end_us
        assert now == pytest.approx(np.mean(each.layer_us))


def test_submissions_are_counted_by_step(use_lite):
    model, gatherer, found = use_lite
    for source, each in zip(model.sources, found.sources, strict=True):
        assert each.submissions == len(source.steps) * len(model.layers)
        assert each.submit_us == pytest.approx(np.array(gatherer.submit_us) * each.submissions)
    low, central, high = gatherer.submit_us
    assert 0 < low < central < high


def test_a_mask_is_simulated_once_and_no_row_takes_no_time(use_lite, monkeypatch):
    model, gatherer, _ = use_lite
    monkeypatch.setattr(gatherer, "_simulate", lambda _mask: pytest.fail("simulated again"))
    again = gatherer.time(model.layers[0].known["active"])
    assert again.rows == model.layers[0].known["active"].sum()
    monkeypatch.undo()
    assert gatherer.time(np.zeros(model.k, np.bool_)).us == (0.0, 0.0, 0.0)


def test_a_gatherer_refuses_ways_that_need_other_firmware():
    with pytest.raises(UsageError, match="not one of auto, host"):
        Gatherer(NPU1, 64, 256, way="phase2")


def test_a_prediction_takes_some_time():
    assert 0 < predictor_us(256, 512, 1) < 1e5


def test_a_token_from_the_command_line(tmp_path):
    figures, plot = tmp_path / "t.json", tmp_path / "t.png"
    done = sparsebd(
        *("run", "--ffn", "all", "--model", "use-lite", "--device", "npu2", "--profile", "central"),
        *("--json", figures, "--plot", plot),
    )
    assert done.status == 0, done.err
    assert "a token through 2 FFNs of 1536 neurons" in done.out
    assert "what knowing early is worth" in done.out
    found = json.loads(figures.read_text())
    assert (found["device"], found["profiles"], found["layers"]) == ("npu2", ["central"], 2)
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_one_layer_of_a_gated_model_from_the_command_line(tmp_path):
    files = "--json", tmp_path / "t.json", "--plot", tmp_path / "t.png"
    done = sparsebd("run", "--ffn", "2", "--model", "smollm2-135m", "--sparsity", "0.9", *files)
    assert done.status == 0, done.err
    assert "one FFN of a token" in done.out
    found = json.loads((tmp_path / "t.json").read_text())
    assert [part["matrix"] for part in found["sources"][0]["matrices"]] == ["gate", "up", "down"]


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--ffn", "32"), "give all, or a layer of ReluLLaMA-7B, 0 to 31"),
        (("--ffn", "some"), "give all, or the number of a layer"),
        (("--ffn", "all", "--mask", "random"), "--mask is of a single gather"),
        (("--ffn", "all", "--backend", "xrt"), "--ffn is simulated"),
        (("--ffn", "all", "--model", "mistral-7b"), "give --sparsity"),
        (("--ffn", "all", "--model", "gpt-5"), "no model 'gpt-5'"),
        (("--ffn", "all", "--token", "1"), "--token is for a model with a ReLU that runs"),
        (("--ffn", "all", "--model", "use-lite", "--sparsity", "0.5"), "has its own zeros"),
        (("--ffn", "all", "--profile", "best"), "--profile 'best'"),
        (("--ffn", "0", "--model", "use-lite", "--phase", "phase1"), "not one of auto, host"),
        (("--ffn", "0", "--model", "use-lite", "--columns", "9"), "--columns 9 cannot be"),
        (("--ffn", "0", "--model", "use-lite", "--seed", "1"), "--seed is for drawn masks"),
        # Refused before the model is looked for: one that runs takes long.
        (("--ffn", "0", "--model", "no.gguf", "--phase", "phase1"), "not one of auto, host"),
        (("--ffn", "0", "--model", "no.gguf", "--columns", "9"), "--columns 9 cannot be"),
        (("--ffn", "0", "--model", "no.gguf", "--channels", "3"), "channels"),
        (("--ffn", "some", "--model", "no.gguf"), "give all, or the number of a layer"),
        (("--ffn", "0", "--seed", "-1"), "--seed -1 is negative"),
        (("--ffn", "0", "--sparsity", "nan"), "--sparsity nan is not a share"),
        (("--ffn", "0", "--sparsity", "1.5"), "--sparsity 1.5 is not a share"),
        (("--ffn", "0", "--effort", "best"), "--effort is of a single gather"),
    ],
)
def test_bad_input_is_one_sentence_and_nothing_is_written(tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    assert why in refused(sparsebd("run", *arguments))
    assert not list(tmp_path.glob("out/*"))


@pytest.mark.parametrize("share", [None, 0.7])
def test_smollm2_runs_at_any_share_of_zeros(tmp_path, monkeypatch, share):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    opened = catalogue.open_model(str(tiny_llama.write(tmp_path / "tiny.gguf", gguf)))
    monkeypatch.setattr(catalogue, "open_model", {"smollm2": opened}.__getitem__)
    model = command.model_masks(command.Options("all", model="SmolLM2", sparsity=share))
    zeroed = f"{share or 0.5:.0%} zeroed by rules fitted on other text"
    assert model.origin == f"one token of text; {zeroed}"
