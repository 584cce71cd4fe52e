# SPDX-License-Identifier: Apache-2.0
"""Making the capture: which text, which chunks, and that `--check` can fail.

With SPARSEBD_USE_LITE_PACKAGE set to the npm package (.tgz or folder) the real model is run too;
nothing is downloaded.
"""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up_package import made_up_files, write_folder

from sparsity import capture_use_lite as command
from sparsity.bf16 import to_bf16
from sparsity.capture import decode, load_use_lite
from sparsity.errors import CaptureError
from sparsity.tfjs_package import read_package
from sparsity.tokenizer import UnigramTokenizer
from sparsity.use_lite import MAX_TOKENS, encode, load_model

TEXTS = {"one": ": " * 300, "two": ":" * 150, "three": ": : :"}
REAL_PACKAGE = os.environ.get("SPARSEBD_USE_LITE_PACKAGE")


@pytest.fixture
def made_up(tmp_path: Path) -> Path:
    files = made_up_files()
    vocabulary = [[str(number), 0] for number in range(6)] + [["\u2581", -1.5], [":", None]]
    files["dist/vocab.json"] = json.dumps(vocabulary).encode()
    return write_folder(files, tmp_path / "made-up")


@pytest.fixture
def texts(monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(command.pydoc_topics, "topics", TEXTS)
    monkeypatch.setattr(command, "CAPTURED_CHUNKS", 2)
    monkeypatch.setattr(command.choose, "__defaults__", (2,))
    return command.source_texts()


def test_texts_are_sorted_and_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command.pydoc_topics, "topics", {"b": " x\n\n  y ", "a": "z"})
    assert list(command.source_texts().items()) == [("a", "z"), ("b", "x y")]


def test_hash_sees_every_letter() -> None:
    assert command.text_sha256({"a": "x y"}) != command.text_sha256({"a": "x z"})
    assert command.text_sha256({"a": "x", "b": "y"}) != command.text_sha256({"a": "xy", "b": ""})


def test_chunks_cover_each_topic_once() -> None:
    tokenizer = UnigramTokenizer([("\u2581", -1.0), (":", -1.0)], reserved=0)
    chunks = command.cut(TEXTS, tokenizer)
    for topic, text in TEXTS.items():
        mine = [chunk for chunk in chunks if chunk.topic == topic]
        joined = [token for chunk in mine for token in chunk.tokens]
        assert joined == tokenizer.encode(text)
        assert [chunk.first_token for chunk in mine] == list(range(0, len(joined), MAX_TOKENS))


def test_chosen_chunks_are_full_and_spread() -> None:
    full, short = (0,) * MAX_TOKENS, (0,)
    chunks = [command.Chunk("t", n, full if n % 2 else short) for n in range(40)]
    chosen = [chunk.first_token for chunk in command.choose(chunks, 4)]
    assert chosen == [5, 15, 25, 35]


def test_short_text_refused() -> None:
    with pytest.raises(CaptureError, match=r"^the text has 0 chunks of 128 tokens, not 4$"):
        command.choose([], 4)


def test_makes_checks_and_notices_changes(
    made_up: Path, texts: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "capture.npz"
    arguments = ["--package", str(made_up), "--out", str(out)]
    assert command.main(arguments) == 0
    made = decode(out.read_bytes())
    assert made.tokens == 2 * MAX_TOKENS
    assert made.metadata["text"]["sha256"] == command.text_sha256(texts)
    first = out.read_bytes()
    assert command.main(arguments) == 0
    assert out.read_bytes() == first
    assert command.main([*arguments, "--check"]) == 0

    changed = made.activations[0].copy()
    changed[5, 5] += 1
    package = read_package(made_up)
    with pytest.raises(CaptureError, match=r"^activations of layer 0 differs in 1 of 6144 values$"):
        command.check(replace(made, activations=(changed, made.activations[1])), package, texts)
    with pytest.raises(CaptureError, match=r"^w_down of layer 1 differs in"):
        other = np.flip(made.w_down[1])
        command.check(replace(made, w_down=(made.w_down[0], other)), package, texts)
    capsys.readouterr()


def test_check_on_another_text_names_both_hashes(
    made_up: Path, texts: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shipped = load_use_lite().metadata["text"]["sha256"]
    assert command.main(["--package", str(made_up), "--check"]) == 1
    message = capsys.readouterr().err
    assert message.startswith("error: the text differs: ")
    assert shipped in message
    assert command.text_sha256(texts) in message


@pytest.mark.parametrize("arguments", [[], ["--check", "--out", "missing.npz"]])
def test_missing_package_or_capture_is_one_sentence(
    tmp_path: Path, made_up: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    package = made_up if arguments else tmp_path / "none.tgz"
    assert command.main(["--package", str(package), *arguments]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_value_lost_to_float16_is_counted() -> None:
    tally = command.Tally()
    tally.add(np.array([[0.0, 1e-9, 1.0]]))
    assert (tally.values, tally.zeros, tally.lost) == (3, 2, 1)


@pytest.mark.skipif(not REAL_PACKAGE, reason="SPARSEBD_USE_LITE_PACKAGE names no package")
def test_real_model_gives_what_the_tensorflow_runtime_gives() -> None:
    package = read_package(str(REAL_PACKAGE))
    model, tokenizer = load_model(package), UnigramTokenizer(package.vocabulary)
    path = Path(__file__).parent / "data" / "tfjs_runtime.json"
    runtime = json.loads(path.read_text(encoding="utf-8"))
    embeddings = []
    for sentence in runtime["sentences"]:
        tokens = tokenizer.encode(sentence["text"])
        assert tokens == sentence["tokens"]
        embeddings.append(encode(model, tokens).embedding)
        np.testing.assert_allclose(embeddings[-1][:6], sentence["embedding_start"], atol=2e-6)
    cosines = [embeddings[0] @ embedding for embedding in embeddings]
    np.testing.assert_allclose(cosines, runtime["cosines_with_first"], atol=1e-4)
    shipped = load_use_lite()
    for layer, weights in enumerate(model.layers):
        assert np.array_equal(to_bf16(weights.down.kernel), shipped.w_down[layer])
