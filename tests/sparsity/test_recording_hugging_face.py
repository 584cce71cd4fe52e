# SPDX-License-Identifier: Apache-2.0
"""Hooks on tiny models of each family, by torch and transformers."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed")
transformers = pytest.importorskip("transformers", reason="transformers is not installed")

from made_up_transformers import (  # noqa: E402
    CONTEXT,
    FAMILIES,
    LAYERS,
    NEURONS,
    VOCABULARY,
    WIDTH,
    make,
)

from sparsity.errors import CaptureError, PackageError  # noqa: E402
from sparsity.models.activation import down_input  # noqa: E402
from sparsity.predictor.layers import from_model  # noqa: E402
from sparsity.recording.hugging_face import HuggingFaceModel, load, record_batches  # noqa: E402
from sparsity.recording.models import magnitudes, record, thresholds  # noqa: E402
from sparsity.recording.reading import read  # noqa: E402
from sparsity.recording.record import Recorder  # noqa: E402

pytestmark = [
    pytest.mark.peers,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning"),
]

TOKENS = np.random.default_rng(0).integers(3, VOCABULARY, 20)
every_family = pytest.mark.parametrize("family", FAMILIES)


def opened(family):
    return HuggingFaceModel(make(family), name=family)


def heard(model, tokens=TOKENS):
    calls = []

    def hook(layer, *arrays):
        calls.append((layer, *(None if each is None else each.copy() for each in arrays)))

    return model.run(tokens, hook), calls


@every_family
def test_shape_of_the_model(family):
    model = opened(family)
    assert (model.layers, model.d, model.k) == (LAYERS, WIDTH, NEURONS)
    assert (model.gated, model.activation) == FAMILIES[family][2:]
    assert model.language
    if family not in ("Falcon", "FalconBias"):
        assert model.context == CONTEXT


@every_family
def test_hooks_hear_what_the_weights_say(family):
    """The down projection's input, from the FFN's input and the weights, in numpy."""
    model = opened(family)
    _, calls = heard(model)
    assert [layer for layer, *_ in calls] == list(range(LAYERS))
    for layer, x, gate, up, a in calls:
        weights = model.weights(layer)
        assert weights.up.shape == weights.down.shape == (NEURONS, WIDTH)
        # Falcon's and GPT-NeoX's GELU is the exact one, 5e-4 from the tanh approximation.
        np.testing.assert_allclose(a, down_input(x, weights, model.activation), atol=1e-3)
        product = x @ weights.up.T + (0 if weights.bias_up is None else weights.bias_up)
        np.testing.assert_allclose(up, product, atol=1e-5)
        assert (gate is None) == (weights.gate is None) == (not model.gated)
        if weights.gate is not None:
            np.testing.assert_allclose(gate, x @ weights.gate.T, atol=1e-5)


@every_family
def test_listening_changes_nothing_and_hooks_go_away(family):
    model = opened(family)
    plain = model.run(TOKENS)
    assert plain.shape == (len(TOKENS), VOCABULARY)
    assert plain.dtype == np.float32
    np.testing.assert_array_equal(heard(model)[0], plain)
    np.testing.assert_array_equal(model.run(TOKENS), plain)
    ours = {id(each) for ffn in model.ffns for each in (ffn.up, ffn.down, ffn.gate)}
    for module in model.model.modules():
        if id(module) in ours:
            assert not module._forward_hooks
            assert not module._forward_pre_hooks


@every_family
def test_what_a_hook_returns_is_used(family):
    model = opened(family)
    same = model.run(TOKENS, lambda _l, _x, _g, _u, a: a.copy())
    np.testing.assert_array_equal(same, model.run(TOKENS))
    zeroed = model.run(TOKENS, lambda _l, _x, _g, _u, a: np.zeros_like(a))
    with torch.no_grad():
        for ffn in model.ffns:
            ffn.down.weight.zero_()
    np.testing.assert_allclose(zeroed, model.run(TOKENS), atol=1e-6)
    assert np.abs(zeroed - same).max() > 1e-3


@every_family
def test_the_recording_is_what_the_hooks_heard(family, tmp_path):
    model = opened(family)
    with Recorder(tmp_path / "r.npz", model.name, keep_values=True) as recorder:
        record(model, [TOKENS, TOKENS[:7]], recorder)
    found = read(tmp_path / "r.npz")
    for layer in range(LAYERS):
        both = [heard(model, tokens)[1][layer][4] for tokens in (TOKENS, TOKENS[:7])]
        values = np.concatenate(both)
        np.testing.assert_array_equal(found.masks(layer), values != 0)
        np.testing.assert_array_equal(found.values(layer), values.astype(np.float16))
    if model.activation == "relu":
        assert 0.2 < found.statistics(0).sparsity < 0.8


@every_family
@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_is_not_recorded(family, side, tmp_path):
    """A padded batch gives what its texts give one by one."""
    model = opened(family)
    texts = [TOKENS[:9], TOKENS[9:14], TOKENS[:1]]
    numbers = np.zeros((len(texts), 9), np.int64)
    mask = np.zeros_like(numbers)
    for row, text in enumerate(texts):
        at = slice(9 - len(text), None) if side == "left" else slice(len(text))
        numbers[row, at], mask[row, at] = text, 1
    batch = {"input_ids": torch.from_numpy(numbers), "attention_mask": torch.from_numpy(mask)}
    with Recorder(tmp_path / "batch.npz", family, keep_values=True) as recorder:
        record_batches(model, [batch, batch], recorder)
    with Recorder(tmp_path / "single.npz", family, keep_values=True) as recorder:
        record(model, texts * 2, recorder)
    batched, single = read(tmp_path / "batch.npz"), read(tmp_path / "single.npz")
    assert batched.tokens == single.tokens == 2 * (9 + 5 + 1)
    for layer in range(LAYERS):
        np.testing.assert_allclose(batched.values(layer), single.values(layer), atol=2e-3)


def test_a_batch_without_padding(tmp_path):
    model = opened("OPT")
    batch = {"input_ids": TOKENS.reshape(4, 5)}
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        record_batches(model, [batch], recorder, layers=[1])
    found = read(tmp_path / "r.npz")
    assert (found.layers, found.tokens) == ((1,), 20)
    with pytest.raises(CaptureError, match=r"input_ids \[4, 5\] and attention_mask \[4, 4\]"):
        record_batches(model, [batch | {"attention_mask": np.ones((4, 4))}], recorder)


def test_thresholds_reach_their_sparsity_in_a_model():
    model = opened("Llama")
    limits = thresholds(magnitudes(model, [TOKENS]), 0.5)
    for layer, _x, _gate, _up, a in heard(model)[1]:
        assert (np.abs(a) < limits[layer]).mean() == pytest.approx(0.5, abs=0.02)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision(dtype):
    model = HuggingFaceModel(make("Llama").to(getattr(torch, dtype)), name="half")
    logits, calls = heard(model)
    assert logits.dtype == calls[0][4].dtype == np.float32
    same = model.run(TOKENS, lambda _l, _x, _g, _u, a: a.copy())
    np.testing.assert_array_equal(same, logits)


def test_a_model_without_a_head():
    model = HuggingFaceModel(make("Llama").model, name="bare")
    assert not model.language
    assert model.run(TOKENS).shape == (len(TOKENS), WIDTH)


def test_an_unknown_family_names_what_was_looked_for():
    config = transformers.GPT2Config(
        vocab_size=VOCABULARY, n_embd=WIDTH, n_layer=1, n_head=4, bos_token_id=1, eos_token_id=2
    )
    with pytest.raises(CaptureError, match=r"^no FFN was found in GPT2Model, .*mlp.gate_proj.*fc1"):
        HuggingFaceModel(transformers.GPT2LMHeadModel(config))


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "^no token: "),
        ([0, VOCABULARY], f"^a token is outside the vocabulary, 0 to {VOCABULARY - 1}$"),
        ([-1], "^a token is outside the vocabulary"),
    ],
)
def test_tokens_that_do_not_fit(tokens, message):
    with pytest.raises(CaptureError, match=message):
        opened("OPT").run(np.array(tokens, np.int64))


def test_answers_that_do_not_fit():
    model = opened("OPT")
    with pytest.raises(CaptureError, match=r"^the hook gave \[20, 3\] instead of \[20, 48\]: "):
        model.run(TOKENS, lambda _l, _x, _g, _u, a: a[:, :3])
    np.testing.assert_array_equal(model.run(TOKENS), opened("OPT").run(TOKENS))
    with pytest.raises(CaptureError, match=r" has no layer 2: give 0 to 1$"):
        model.weights(2)
    with pytest.raises(CaptureError, match="^OPT came without a tokenizer: "):
        model.encode("x")


def test_a_gate_with_a_bias_is_recorded_but_has_no_weights():
    config = transformers.LlamaConfig(**FAMILIES["Llama"][1], mlp_bias=True)
    plain = transformers.LlamaForCausalLM(config)
    torch.nn.init.ones_(plain.model.layers[0].mlp.gate_proj.bias)
    model = HuggingFaceModel(plain, name="biased")
    assert len(heard(model)[1]) == LAYERS
    with pytest.raises(CaptureError, match="^the gate of layer 0 of biased has a bias: "):
        model.weights(0)


def test_layers_may_differ_in_width():
    model = opened("Phi3")
    narrow = model.ffns[1]
    with torch.no_grad():
        half = NEURONS // 2
        rows = torch.cat([torch.arange(half), NEURONS + torch.arange(half)])
        narrow.up.weight = torch.nn.Parameter(narrow.up.weight[rows])
        narrow.down.weight = torch.nn.Parameter(narrow.down.weight[:, :half])
        narrow.down.in_features = half
    widths = [each[4].shape[1] for each in heard(model)[1]]
    assert widths == [len(model.weights(layer).up) for layer in range(LAYERS)] == [NEURONS, half]
    for layer, x, gate, _up, _a in heard(model)[1]:
        own = model.weights(layer).gate
        assert own is not None
        np.testing.assert_allclose(gate, x @ own.T, atol=1e-5)


def test_a_folder(tmp_path):
    make("OPT").save_pretrained(tmp_path / "opt")
    model = load(tmp_path / "opt")
    assert model.name == "opt"
    assert model.tokenizer is None
    np.testing.assert_array_equal(model.run(TOKENS), opened("OPT").run(TOKENS))
    with pytest.raises(PackageError, match="^transformers cannot open "):
        load(tmp_path / "none")


def test_half_a_download_is_one_sentence(tmp_path):
    make("OPT").save_pretrained(tmp_path)
    weights = tmp_path / "model.safetensors"
    data = weights.read_bytes()
    for keep in (0, 5, 100, len(data) // 2):
        weights.write_bytes(data[:keep])
        with pytest.raises(PackageError, match="^transformers cannot open .*: Error while"):
            load(tmp_path)


def test_weights_that_a_folder_lacks_are_not_made_up(tmp_path):
    whole = make("OPT")
    state = {name: each for name, each in whole.state_dict().items() if "1.fc1" not in name}
    whole.save_pretrained(tmp_path, state_dict=state)
    with pytest.raises(PackageError, match="lacks model.decoder.layers.1.fc1.bias, which trans"):
        load(tmp_path)


def test_code_that_comes_with_a_model_is_not_run_and_not_asked_about(tmp_path, monkeypatch):
    marker = tmp_path / "ran"
    (tmp_path / "own.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Own: pass\n")
    classes = {"AutoConfig": "own.Own", "AutoModelForCausalLM": "own.Own"}
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "own", "auto_map": classes}))
    monkeypatch.setattr("builtins.input", lambda *_words: "y")
    with pytest.raises(PackageError, match="^transformers cannot open "):
        load(tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize("family", ["ReluLlama", "OPT"])
def test_predictors_take_its_layers(family):
    model = opened(family)
    (layer,) = from_model(model, [1], [TOKENS])
    np.testing.assert_allclose(layer.activations(), heard(model)[1][1][4], atol=1e-5)
