# SPDX-License-Identifier: Apache-2.0
"""`sparsebd permute` as a person types it: what it writes, what it says, what it refuses."""

import json

import numpy as np
import pytest
from command import refused, sparsebd

from host import permute_command, permute_report
from sparsity.capture import load_use_lite
from sparsity.permute import inverse

NEURONS, WIDTH = 96, 8


@pytest.fixture
def layer(tmp_path):
    """A gated FFN with biases and masks of six clusters."""
    draw = np.random.default_rng(0)
    cluster = draw.permutation(np.repeat(np.arange(6), NEURONS // 6))
    masks = (draw.random((200, 6)) < 0.2)[:, cluster] & (draw.random((200, NEURONS)) < 0.9)
    for name in ("down", "gate", "up"):
        np.save(tmp_path / f"{name}.npy", draw.standard_normal((NEURONS, WIDTH), np.float32))
    for name in ("bias_gate", "bias_up"):
        np.save(tmp_path / f"{name}.npy", draw.standard_normal(NEURONS).astype(np.float16))
    np.save(tmp_path / "masks.npy", masks)
    return tmp_path


def options(layer, *more):
    return ("permute", "--weights", layer / "down.npy", "--masks", layer / "masks.npy", *more)


def full(layer, *more):
    parts = ("gate", "up", "bias_gate", "bias_up")
    given = [(f"--{name.replace('_', '-')}", layer / f"{name}.npy") for name in parts]
    return options(layer, *(each for pair in given for each in pair), *more)


def test_every_tensor_is_written_in_the_one_order(layer):
    outcome = sparsebd(*full(layer, "--out", layer / "new"))
    assert (outcome.status, outcome.err) == (0, "")
    order = np.load(layer / "new/order.npy")
    names = ("down", "gate", "up", "bias_gate", "bias_up")
    for name in names:
        old, new = np.load(layer / f"{name}.npy"), np.load(layer / "new" / f"{name}.npy")
        assert new.dtype == old.dtype
        assert np.array_equal(new, old[order])
        assert np.array_equal(new[inverse(order)], old)
    written = {path.name for path in (layer / "new").iterdir()}
    assert written == {f"{name}.npy" for name in (*names, "order")}


def test_what_is_written_gives_the_same_output(layer):
    sparsebd(*full(layer, "--out", layer / "new"))
    inputs = np.random.default_rng(1).standard_normal(WIDTH)
    assert np.allclose(run(layer, inputs), run(layer / "new", inputs), rtol=0, atol=1e-9)


def run(folder, inputs):
    names = ("down", "gate", "up", "bias_gate", "bias_up")
    part = {name: np.load(folder / f"{name}.npy").astype(np.float64) for name in names}
    gate = np.maximum(part["gate"] @ inputs + part["bias_gate"], 0)
    return gate * (part["up"] @ inputs + part["bias_up"]) @ part["down"]


def test_the_report_says_what_was_proved_and_gained(layer):
    lines = sparsebd(*full(layer, "--out", layer / "new")).out.splitlines()
    assert lines[0] == "order: coactivation, made from the first 100 tokens"
    assert lines[1].startswith("judged by 100 other tokens: ")
    assert lines[2].split() == ["per", "token", "before", "after", "change", "rows", "each"]
    assert [line.split("  ")[0] for line in lines[3:5]] == ["runs", "BDs, fast"]
    assert lines[5].endswith(" % fewer runs on tokens that the order has not seen")
    assert "down 96, gate 96, up 96, bias_gate 96, bias_up 96" in lines[6]
    assert lines[-1] == (
        "wrote down.npy, gate.npy, up.npy, bias_gate.npy, bias_up.npy and order.npy to "
        f"{layer / 'new'}"
    )


def test_json_has_the_figures_of_tokens_held_out(layer):
    outcome = sparsebd(*options(layer, "--train", "0.3", "--out", layer / "new", "--json"))
    found = json.loads(outcome.out)
    assert (found["tokens_ordered_by"], found["tokens_left"]) == (60, 140)
    held_out = np.load(layer / "masks.npy")[60:]
    order = np.load(layer / "new/order.npy")
    runs = found["changes"][0]
    assert runs["before"] == pytest.approx(mean_runs(held_out))
    assert runs["after"] == pytest.approx(mean_runs(held_out[:, order]))
    assert runs["share"] < -0.5
    assert found["wanted"] == pytest.approx(held_out.sum(axis=1).mean())


def mean_runs(masks):
    padded = np.pad(masks, ((0, 0), (1, 1)))
    return (np.diff(padded.astype(int), axis=1) == 1).sum(axis=1).mean()


def test_the_order_does_not_look_at_the_tokens_that_judge_it(layer):
    masks = np.load(layer / "masks.npy")
    sparsebd(*options(layer, "--out", layer / "one"))
    masks[100:] = np.random.default_rng(3).random((100, NEURONS)) < 0.5
    np.save(layer / "masks.npy", masks)
    sparsebd(*options(layer, "--out", layer / "two"))
    assert np.array_equal(np.load(layer / "one/order.npy"), np.load(layer / "two/order.npy"))


def test_one_token_shows_nothing(layer):
    np.save(layer / "masks.npy", np.load(layer / "masks.npy")[:101])
    outcome = sparsebd(*options(layer, "--train", "0.99", "--out", layer / "new"))
    assert "judged by 1 other tokens: " in outcome.out
    assert "\nnothing gained: " in outcome.out


@pytest.mark.parametrize("order", ["coactivation", "frequency"])
def test_coin_flips_are_said_to_gain_nothing(layer, order):
    np.save(layer / "masks.npy", np.random.default_rng(2).random((400, NEURONS)) < 0.2)
    outcome = sparsebd(*options(layer, "--order", order, "--out", layer / "new"))
    assert outcome.status == 0
    assert "\nnothing gained: these masks do not cluster, " in outcome.out


def test_an_order_that_does_harm_is_said_to(layer):
    sparsebd(*options(layer, "--out", layer / "good"))
    order = np.load(layer / "good/order.npy")
    for name in ("down", "gate", "up", "bias_gate", "bias_up"):
        (layer / f"{name}.npy").unlink()
    np.save(layer / "down.npy", np.load(layer / "good/down.npy"))
    np.save(layer / "masks.npy", np.load(layer / "masks.npy")[:, order])
    np.save(layer / "back.npy", inverse(order))
    outcome = sparsebd(*options(layer, "--order", layer / "back.npy", "--out", layer / "bad"))
    assert "\nnothing gained: there are more runs than before\n" in outcome.out
    assert outcome.out.startswith(f"order: {layer / 'back.npy'}, as given\n")


def test_an_order_made_before_goes_onto_other_tensors(layer):
    sparsebd(*options(layer, "--out", layer / "new"))
    np.save(layer / "scales.npy", np.arange(NEURONS, dtype=np.float32)[:, None])
    given = ("--weights", layer / "scales.npy", "--masks", layer / "masks.npy")
    order = layer / "new/order.npy"
    sparsebd("permute", *given, "--order", order, "--out", layer / "scales")
    assert np.load(layer / "scales/down.npy")[:, 0].tolist() == np.load(order).tolist()


def test_rows_of_broken_words_have_no_bds(layer):
    np.save(layer / "down.npy", np.ones((NEURONS, 3), np.int8))
    outcome = sparsebd(*options(layer, "--out", layer / "new"))
    assert "\nBDs are not counted: rows of 3 bytes are no whole number of words\n" in outcome.out


@pytest.mark.parametrize("number", [0, 1])
def test_the_shipped_model(tmp_path, number):
    out = tmp_path / "new"
    arguments = ("permute", "--model", "use-lite", "--layer", number, "--out", out, "--json")
    found = json.loads(sparsebd(*arguments, "--effort", "runs,fast").out)
    changes = {change["what"]: change for change in found["changes"]}
    assert changes["runs"]["share"] < -0.15
    assert changes["BDs, fast"]["share"] < 0
    assert changes["BDs, runs"]["after"] == changes["runs"]["after"]
    weights = load_use_lite().w_down[number]
    assert np.array_equal(np.load(out / "down.npy"), weights[np.load(out / "order.npy")])


def test_at_most_so_many_tokens_judge_and_they_are_spread():
    masks = np.eye(4 * permute_report.JUDGED, 1, dtype=bool)
    assert len(permute_report.judged(masks)) == permute_report.JUDGED
    assert permute_report.judged(masks[:3]).tolist() == masks[:3].tolist()


def spoil(data):
    return data[:-1] + bytes([data[-1] ^ 1])


def test_nothing_is_written_if_the_proof_fails(layer, monkeypatch):
    write = permute_command._npy
    monkeypatch.setattr(permute_command, "_npy", lambda array: spoil(write(array)))
    sentence = refused(sparsebd(*full(layer, "--out", layer / "new")))
    assert sentence.startswith("row 95 of the permuted down is not row ")
    assert not (layer / "new").exists()


def test_nothing_is_left_if_a_file_cannot_be_written(layer, monkeypatch):
    def fail(_files):
        raise OSError(28, "No space left on device", "down.npy")

    monkeypatch.setattr(permute_command, "write_whole", fail)
    sentence = refused(sparsebd(*options(layer, "--out", layer / "new")))
    assert sentence == "down.npy: No space left on device"
    assert not (layer / "new").exists()


def test_inputs_are_never_written_over(layer):
    before = {path: path.read_bytes() for path in layer.iterdir()}
    sentence = refused(sparsebd(*options(layer, "--out", layer)))
    expected = f"{layer / 'down.npy'} would be written over: name another folder with --out"
    assert sentence == expected
    assert {path: path.read_bytes() for path in layer.iterdir()} == before


def test_files_of_another_order_are_not_mixed_in(layer):
    sparsebd(*full(layer, "--out", layer / "new"))
    sentence = refused(sparsebd(*options(layer, "--out", layer / "new")))
    assert sentence.endswith("gate.npy would stay and not fit the rest: name another folder")


def test_the_same_folder_can_be_written_again(layer):
    for order in ("coactivation", "frequency"):
        assert sparsebd(*full(layer, "--order", order, "--out", layer / "new")).status == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give --weights and --masks, or --model use-lite"),
        (["--model", "gpt"], "no weights of model 'gpt' are shipped: give use-lite, or --weights"),
        (["--layer", "1"], "--layer is of a model: give --model too, or the weights of that layer"),
        (
            ["--model", "use-lite", "--layer", "2"],
            "no layer 2 in the capture: give 0 to 1",
        ),
        (
            ["--model", "use-lite", "--layer", "-1"],
            "no layer -1 in the capture: give 0 to 1",
        ),
        (
            ["--model", "use-lite", "--order", "size"],
            'no order "size": choose from coactivation, frequency',
        ),
        (
            ["--model", "use-lite", "--train", "1"],
            "share 1.0 of the tokens leaves one part empty: give 0 < share < 1",
        ),
        (
            ["--model", "use-lite", "--effort", "fast,hard"],
            "no effort 'hard': give some of runs,fast,best",
        ),
    ],
)
def test_bad_options_are_refused(tmp_path, arguments, sentence):
    outcome = sparsebd("permute", *arguments, "--out", tmp_path / "new")
    assert refused(outcome) == sentence
    assert not (tmp_path / "new").exists()


def test_bad_weights_are_refused(layer):
    np.save(layer / "down.npy", np.array([[None]], object))
    sentence = refused(sparsebd(*options(layer, "--out", layer / "new")))
    assert "down.npy cannot be read as a numpy array: " in sentence
    np.save(layer / "down.npy", np.ones((WIDTH, NEURONS)))
    sentence = refused(sparsebd(*options(layer, "--out", layer / "new")))
    assert "masks.npy has 96 columns, the weights have 8 rows: " in sentence


def test_masks_of_another_model_are_refused(layer):
    given = ("--model", "use-lite", "--weights", layer / "down.npy")
    sentence = refused(sparsebd("permute", *given, "--out", layer / "new"))
    assert sentence == (
        "--weights has 96 rows, use-lite has 1536: give the --masks of the same model"
    )


def test_an_order_of_another_layer_is_refused(layer):
    np.save(layer / "short.npy", np.arange(5))
    arguments = options(layer, "--order", layer / "short.npy", "--out", layer / "new")
    assert refused(sparsebd(*arguments)) == "the order has 5 entries for 96 neurons: give each"


def test_a_folder_that_cannot_be_is_refused(layer):
    file = layer / "down.npy"
    assert refused(sparsebd(*options(layer, "--out", file))) == (
        f"cannot write to {file}: it is a file, name a folder"
    )
    deep = layer / "a/b"
    assert refused(sparsebd(*options(layer, "--out", deep))) == (
        f"cannot make {deep}: there is no folder {deep.parent}, make it"
    )
