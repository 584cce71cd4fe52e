# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from host.errors import UsageError
from host.sparsity_predict import predict
from sparsity.errors import PackageError
from sparsity.predictor.made_up import make_layer

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


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "opt"), "^no model 'opt': give smollm2"),
        (("--layer", 2), "^use-lite has no layer 2: give 0 to 1$"),
        ((*SMALL, "--layer", 0), "^--layer is of a real model: "),
        (("--tokens", 5), "^--tokens is of models that run: "),
        (("--package", "x"), "^--package needs --tokens: "),
        ((*SMALL, "--tokens", 5, "--package", "x"), "^--package is of use-lite: "),
        (("--plot", "curve.txt"), r"^no plot as \.txt: give \.png, \.svg, \.pdf$"),
    ],
)
def test_options_that_do_not_go_together_are_refused(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, PackageError), match=message):
        invoke(*arguments)
    assert not list(tmp_path.iterdir())
