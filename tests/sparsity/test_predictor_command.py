# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from host.errors import UsageError
from host.sparsity_predict import predict
from sparsity.errors import SparsityError
from sparsity.predictor.made_up import make_layer
from tests.sparsity import tiny_llama

app = typer.Typer()
app.command()(predict)


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


SMALL = "--model", "synthetic", "--width", 128, "--neurons", 200, "--tau", 2


def test_figures_table_and_plot(tmp_path):
    figures, plot = tmp_path / "f.json", tmp_path / "p.svg"
    text = invoke(
        *SMALL, "--alpha", 1.0, "--alpha", 1.2, "--bits", 3, "--json", figures, "--plot", plot
    )
    found = json.loads(figures.read_text())["layers"][0]
    assert (found["width"], found["neurons"], found["tokens"]) == (128, 200, 64)
    loose, strict = found["at"]
    assert loose["skipped"] > strict["skipped"]
    assert loose["missed"] >= strict["missed"]
    assert loose["predictor"] == "sign x 3 bits"
    assert {each["missed_target"] for each in found["calibrated"]} == {0.02, 0.05, 0.1}
    assert b"<svg" in plot.read_bytes()
    assert "sign x 8 bits" in text
    assert str(plot) in text.replace("\n", "")


def test_a_file_of_ones_own(tmp_path):
    layer = make_layer(d=64, k=100, tokens=32, sparsity=0.8, tau=2)
    np.savez(tmp_path / "own.npz", x=layer.x, up=layer.first, down=layer.down)
    text = invoke("--model", tmp_path / "own.npz", "--missed", 0.1, "--rank", 8)
    assert "trained, rank 8" in text


def test_a_model_that_runs_needs_no_number_of_tokens(tmp_path):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    model = tiny_llama.write(tmp_path / "tiny.gguf", gguf)
    for more, tokens in (((), 512), (("--tokens", 64), 64)):
        figures = tmp_path / f"{tokens}.json"
        invoke("--model", model, "--json", figures, *more)
        assert json.loads(figures.read_text())["layers"][0]["tokens"] == tokens


def test_an_alpha_that_no_alpha_at_the_papers_width_equals(tmp_path):
    figures = tmp_path / "f.json"
    wide = "--model", "synthetic", "--width", 9000, "--neurons", 30, "--sparsity", 0.5
    invoke(*wide, "--alpha", 20, "--json", figures)
    found = json.loads(figures.read_text())["layers"][0]
    assert found["at"][0]["alpha_at_paper_width"] is None
    assert found["at"][0]["sigmas"] > 80


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "opt"), "^no model 'opt': give smollm2"),
        (("--layer", 2), "^use-lite has no layer 2: give 0 to 1$"),
        ((*SMALL, "--layer", 0), "^--layer is of a real model: "),
        (("--tokens", 5), "^--tokens is of models that run: "),
        (("--model", "x.npz", "--tokens", 5), "^--tokens is of models that run: "),
        (("--seed", 0), "^--width, --neurons, .* are of a synthetic layer: leave them out with "),
        (("--model", "x.npz", "--tau", 1), "^--width, --neurons, .* out with --model x.npz$"),
        ((*SMALL, "--seed", -1), "seed -1: give d from 2"),
        ((*SMALL, "--alpha", -1), "^alpha -1.0 is no share: give 0 to 1000"),
        ((*SMALL, "--alpha", 1.0, "--alpha", 2000), "^alpha 2000.0 is no share: "),
        (("--package", "x"), "^--package needs --tokens: "),
        ((*SMALL, "--tokens", 5, "--package", "x"), "^--package is of use-lite: "),
        (("--plot", "curve.txt"), r"^no plot as \.txt: give \.png, \.svg, \.pdf$"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, SparsityError), match=message):
        invoke(*arguments)
    assert not list(tmp_path.iterdir())


def test_the_layer_is_not_written_over(tmp_path):
    layer = tmp_path / "layer.npz"
    layer.write_bytes(b"read")
    with pytest.raises(UsageError, match="is read, and would be written over: name another file$"):
        invoke("--model", layer, "--json", layer)
    assert layer.read_bytes() == b"read"
