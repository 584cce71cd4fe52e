# SPDX-License-Identifier: Apache-2.0
import json

import numpy as np
import pytest
import typer
from tiny_llama import LAYERS, write
from typer.testing import CliRunner

from host.errors import UsageError
from host.sparsity_peers import peers
from sparsity.errors import CaptureError
from sparsity.models import catalogue
from sparsity.peers import nncf_run

app = typer.Typer()
app.command()(peers)


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def small(tmp_path):
    gguf = pytest.importorskip("gguf", reason="gguf is an optional extra")
    pytest.importorskip("tokenizers", reason="tokenizers is an optional extra")
    random = np.random.default_rng(2)
    blocks = [" ".join(map(str, random.choice([*"abcdefgh"], 150))) for _ in range(4)]
    (tmp_path / "text.txt").write_text("\n\n".join(blocks))
    model = write(tmp_path / "small.gguf", gguf)
    return "--model", model, "--text", tmp_path / "text.txt", "--fit", 128, "--judge", 128


def test_figures_table_and_plot(small, tmp_path):
    figures, plot = tmp_path / "f.json", tmp_path / "p.svg"
    text = invoke(*small, "--restated", "--at", 0.4, "--at", 0.8, "--json", figures, "--plot", plot)
    found = json.loads(figures.read_text())
    assert (found["fit_tokens"], found["judge_tokens"], found["forward"]) == (128, 128, "numpy")
    assert [row["target"] for row in found["rows"]] == [0.4, 0.4, 0.8, 0.8]
    assert {row["method"] for row in found["rows"]} == {"nncf's rule", "per-layer"}
    assert all(len(row["thresholds"]) == LAYERS for row in found["rows"])
    assert "NNCF's rule restated, not NNCF itself" in text
    assert "per-layer 80%" in text
    assert b"<svg" in plot.read_bytes()
    assert [line.strip() for line in text.splitlines()].count("thresholds") == 1
    assert str(plot) in text.replace("\n", "")


def test_without_nncf_the_rule_stands_for_it(small, monkeypatch):
    monkeypatch.setattr(nncf_run, "peer", lambda module: pytest.fail(f"{module} was imported"))
    monkeypatch.setattr("host.sparsity_peers.installed", lambda: None)
    assert "restated, not NNCF itself" in invoke(*small, "--at", 0.5)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
def test_with_nncf_it_is_run(small):
    for module in ("torch", "transformers", "nncf"):
        pytest.importorskip(module, reason=f"{module} is an optional extra")
    text = invoke(*small, "--at", 0.5)
    assert "logits here and there differ by at most" in text
    assert "nncf 50%" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--at", 0), r"^0\.0 is not a share to zero: give some between 0 and 1$"),
        (("--at", 1), r"^1\.0 is not a share to zero: give some between 0 and 1$"),
        (("--plot", "curve.txt"), r"^no plot as \.txt: give \.png, \.svg, \.pdf$"),
    ],
)
def test_refused_before_a_model_is_opened(arguments, message, monkeypatch):
    monkeypatch.setattr(catalogue, "open_model", lambda _: pytest.fail("a model was opened"))
    with pytest.raises(UsageError, match=message):
        invoke(*arguments)


@pytest.mark.parametrize("restated", [(), ("--restated",)])
def test_nothing_to_calibrate_on_is_refused(small, restated):
    with pytest.raises(CaptureError, match="^no text was given to calibrate on: "):
        invoke(*small, "--fit", 0, *restated)


def test_a_model_that_is_no_llama_is_refused(monkeypatch):
    other = catalogue.Opened(model=object(), encode=np.asarray, window=8)  # pyright: ignore
    monkeypatch.setattr(catalogue, "open_model", lambda _: other)
    with pytest.raises(UsageError, match=r"^piper is no language model that NNCF can run: "):
        invoke("--model", "piper")
