# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity patterns`: tables, JSON and plot of recorded patterns."""

import json

import numpy as np
import pytest
from command import refused, sparsebd

from sparsity.recording.record import Recorder
from tests.sparsity import tiny_llama


def test_the_shipped_patterns_give_tables_json_and_a_plot(tmp_path):
    data, picture = tmp_path / "patterns.json", tmp_path / "patterns.png"
    done = sparsebd("sparsity", "patterns", "--json", data, "--plot", picture)
    assert done.status == 0, done.err
    assert "512 tokens, 1536 neurons" in done.out
    layers = json.loads(data.read_text())["layers"]
    assert [each["layer"] for each in layers] == [0, 1]
    for each in layers:
        near, far = each["matches"][0], each["matches"][-1]
        assert near["kappa"] > far["kappa"] > 0  # neighbours know more of each other
        unions = [union["neighbours"] for union in each["unions"]]
        assert unions == sorted(unions, reverse=True)
        missed = [ahead["missed"] for ahead in each["prefetch"]]
        assert missed == sorted(missed, reverse=True)
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_recorded_activations_are_taken_as_masks(tmp_path):
    random = np.random.default_rng(0)
    activations = random.normal(size=(40, 64)) * (random.random((40, 64)) < 0.25)
    np.save(tmp_path / "a.npy", activations.astype(np.float16))
    done = sparsebd("sparsity", "patterns", "--masks", tmp_path / "a.npy", "--json", tmp_path / "j")
    assert done.status == 0, done.err
    (layer,) = json.loads((tmp_path / "j").read_text())["layers"]
    assert layer["sparsity"] == pytest.approx(0.75, abs=0.03)
    assert abs(layer["matches"][0]["kappa"]) < 0.06


def test_few_tokens_leave_out_what_they_cannot_tell(tmp_path):
    np.save(tmp_path / "a.npy", np.ones((3, 8), np.float32))
    done = sparsebd("sparsity", "patterns", "--masks", tmp_path / "a.npy", "--json", tmp_path / "j")
    assert done.status == 0, done.err
    (layer,) = json.loads((tmp_path / "j").read_text())["layers"]
    assert [match["distance"] for match in layer["matches"]] == [1, 2]
    assert [union["tokens"] for union in layer["unions"]] == [1, 2]


def test_a_model_is_run_and_its_inputs_compared_with_similar_ones(tmp_path):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    model = tiny_llama.write(tmp_path / "tiny.gguf", gguf)
    random = np.random.default_rng(0)
    words = ["the", "cat", "sat", "on", "that", "mat", "with", "hats"]
    text = tmp_path / "text.txt"
    text.write_text("\n\n".join(" ".join(random.choice(words, 40)) for _ in range(60)))
    done = sparsebd(
        *("sparsity", "patterns", "--model", model, "--text", text, "--tokens", "128"),
        *("--similar", "--json", tmp_path / "j"),
    )
    assert done.status == 0, done.err
    found = json.loads((tmp_path / "j").read_text())
    assert [layer["layer"] for layer in found["layers"]] == [0, 1]
    assert found["threshold_sparsity"] == 0.5
    for layer in found["layers"]:
        assert layer["sparsity"] == pytest.approx(0.5, abs=0.1)
    assert len(found["similar"]["rows"]) == 12
    assert "kappa, aligned" in done.out


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--model", "gpt-2"), "no model 'gpt-2'"),
        (("--masks", "nowhere.npy"), "nowhere.npy"),
        (("--json", "nowhere/j.json"), "there is no folder"),
        (("--similar",), "give --model too"),
        (("--model", "piper", "--tokens", "0"), "0 tokens to run over: give 1 or more"),
        (("--layer", "1"), "give --model too"),
        (("--tokens", "9"), "give --model too"),
        (("--masks", "a.npy", "--model", "piper"), "give one of them"),
        (("--model", "smollm2", "--sparsity", "2"), "--sparsity 2.0 is not a share: give 0 to 1"),
    ],
)
def test_bad_input_is_one_sentence(tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    assert why in refused(sparsebd("sparsity", "patterns", *arguments))
    assert not any(tmp_path.iterdir())


def test_a_layer_of_a_recording(tmp_path):
    values = np.eye(40, 24)
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        recorder.add(2, values)
        recorder.add(5, 1 - values)
    for name, layers in (("r.npz", [2, 5]), ("r.npz:5", [5])):
        file = tmp_path / name
        done = sparsebd("sparsity", "patterns", "--masks", file, "--json", tmp_path / "j")
        assert done.status == 0, done.err
        found = json.loads((tmp_path / "j").read_text())["layers"]
        assert [each["layer"] for each in found] == layers
        assert found[-1]["sparsity"] == pytest.approx(np.mean(values))


def test_the_first_token_of_a_text_is_no_neighbour_of_the_text_before(tmp_path):
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        for wanted in (0, 1, 0, 1):  # tokens of a text want the same rows, those of others others
            recorder.add(0, np.repeat(np.arange(8)[None] % 2 == wanted, 5, axis=0))
            recorder.end_text()
    for name in ("r.npz", "r.npz:0"):
        file = tmp_path / name
        done = sparsebd("sparsity", "patterns", "--masks", file, "--json", tmp_path / "j")
        assert done.status == 0, done.err
        (layer,) = json.loads((tmp_path / "j").read_text())["layers"]
        assert layer["tokens"] == 20
        assert [(match["distance"], match["match"]) for match in layer["matches"]] == [
            (1, 1),
            (2, 1),
        ]
        assert [(union["tokens"], union["neighbours"]) for union in layer["unions"]] == [
            (1, 0.5),
            (2, 0.5),
            (4, 0.5),
        ]


@pytest.mark.parametrize(
    ("array", "why"),
    [
        (b"import numpy", "cannot be read as a numpy array: the magic string is not correct"),
        (np.array([[{}, 1]], object), "cannot be read as a numpy array: Object arrays"),
        (np.array([["a", ""]]), "holds <U1: save bools or numbers"),
        (np.array([[np.nan, 0]]), "has nan for neuron 0 at token 0: find out where"),
        (np.array([[0, 3]], np.uint8), "has 3 for neuron 1 at token 0: an integer mask is 0 and 1"),
        (np.ones((4, 0)), "has no neuron: save one layer, [tokens, neurons]"),
    ],
)
def test_what_is_no_array_of_masks_is_refused(tmp_path, array, why):
    path = tmp_path / "a.npy"
    if isinstance(array, bytes):
        path.write_bytes(array)
    else:
        np.save(path, array)
    assert why in refused(sparsebd("sparsity", "patterns", "--masks", path))


def test_an_array_of_another_shape_is_refused(tmp_path):
    np.save(tmp_path / "a.npy", np.ones(8))
    outcome = sparsebd("sparsity", "patterns", "--masks", tmp_path / "a.npy")
    assert "save one layer, [tokens, neurons]" in refused(outcome)
