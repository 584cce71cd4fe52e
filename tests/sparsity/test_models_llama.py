# SPDX-License-Identifier: Apache-2.0
"""A Llama from a GGUF file: the same numbers as a plain forward pass, opened up at each FFN."""

import random

import numpy as np
import pytest

from sparsity.errors import CaptureError, PackageError
from sparsity.models import smollm2
from sparsity.models.activation import activate, down_input, gelu, silu
from sparsity.models.gguf_file import GgufFile
from sparsity.models.llama import Llama
from sparsity.models.perplexity import losses, perplexity
from tests.sparsity.tiny_llama import HEADS, KV_HEADS, LAYERS, PIECES, D, K, tensors, write

gguf = pytest.importorskip("gguf", reason="gguf is not installed")
pytest.importorskip("tokenizers", reason="tokenizers is not installed")
TEXT = np.array([0, 5, 3, 29, 26, 7, 7, 1])


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return Llama(write(tmp_path_factory.mktemp("gguf") / "tiny.gguf", gguf), "tiny")


def plain(w, tokens):
    """Logits by loops over positions and heads, in float64; no code of the model's."""
    size = D // HEADS

    def norm(x, weight):
        return x / np.sqrt((x * x).mean() + 1e-5) * weight

    def turn(x, place):
        out = np.empty_like(x)
        for pair in range(size // 2):
            angle = place * 10000.0 ** (-2 * pair / size)
            a, b = x[2 * pair], x[2 * pair + 1]
            out[2 * pair] = a * np.cos(angle) - b * np.sin(angle)
            out[2 * pair + 1] = a * np.sin(angle) + b * np.cos(angle)
        return out

    state = [w["token_embd.weight"][t].astype(np.float64) for t in tokens]
    for layer in range(LAYERS):
        part = {n: w[f"blk.{layer}.{n}.weight"].astype(np.float64) for n in names()}
        seen = [norm(x, part["attn_norm"]) for x in state]
        q, k, v = ([part[n] @ x for x in seen] for n in ("attn_q", "attn_k", "attn_v"))
        for place in range(len(state)):
            heads = []
            for head in range(HEADS):
                cut = slice(head * size, (head + 1) * size)
                of = head // (HEADS // KV_HEADS)
                shared = slice(of * size, (of + 1) * size)
                own = turn(q[place][cut], place)
                scores = [own @ turn(k[n][shared], n) / np.sqrt(size) for n in range(place + 1)]
                shares = np.exp(scores) / np.exp(scores).sum()
                heads.append(sum(s * v[n][shared] for n, s in enumerate(shares)))
            state[place] = state[place] + part["attn_output"] @ np.concatenate(heads)
        for place, x in enumerate(state):
            h = norm(x, part["ffn_norm"])
            gate = part["ffn_gate"] @ h
            a = gate / (1 + np.exp(-gate)) * (part["ffn_up"] @ h)
            state[place] = x + part["ffn_down"] @ a
    last = [norm(x, w["output_norm.weight"]) for x in state]
    return np.array([w["token_embd.weight"].astype(np.float64) @ x for x in last])


def names():
    return sorted({n.split(".")[2] for n in tensors() if n.startswith("blk")})


def test_logits_are_those_of_a_plain_forward_pass(model):
    assert model.run(TEXT) == pytest.approx(plain(tensors(), TEXT), rel=2e-4, abs=2e-4)


def test_quantised_weights_are_read_as_the_gguf_package_dequantises_them(tmp_path):
    file = GgufFile(write(tmp_path / "q8.gguf", gguf, q8=True))
    name = "blk.1.ffn_down.weight"
    exact = tensors()[name]
    read = file.tensor(name, exact.shape)
    assert 0 < np.abs(read - exact).max() <= np.abs(exact).max() / 127 / 2 * 1.01


def test_a_later_token_changes_nothing_before_it(model):
    other = TEXT.copy()
    other[-1] = 4
    assert np.array_equal(model.run(TEXT)[:-1], model.run(other)[:-1])


def test_the_hook_sees_what_the_weights_make_of_the_input(model):
    seen = []
    model.run(TEXT, lambda *step: seen.append(step))
    assert [step[0] for step in seen] == list(range(LAYERS))
    for layer, x, gate, up, a in seen:
        weights = model.weights(layer)
        assert gate == pytest.approx(x @ weights.gate.T, abs=1e-5)
        assert up == pytest.approx(x @ weights.up.T, abs=1e-5)
        assert a == pytest.approx(down_input(x, weights, model.activation), abs=1e-5)
        assert weights.down.shape == (K, D)


def test_what_the_hook_returns_goes_to_the_down_projection(model):
    untouched = model.run(TEXT)
    assert np.array_equal(model.run(TEXT, lambda _n, _x, _g, _u, a: a.copy()), untouched)
    zeroed = model.run(TEXT, lambda _n, _x, _g, _u, a: np.zeros_like(a))
    assert not np.allclose(zeroed, untouched)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        ([], "give one text of 1 to 64"),
        ([[0, 1]], "give one text of 1 to 64"),
        ([0] * 65, "give one text of 1 to 64"),
        ([len(PIECES)], f"not within 0 to {len(PIECES) - 1}"),
        ([-1], "not within 0"),
    ],
)
def test_tokens_that_the_model_cannot_take_are_named(model, tokens, message):
    with pytest.raises(CaptureError, match=message):
        model.run(np.array(tokens, np.int64))


def test_a_hook_that_returns_another_shape_is_named(model):
    with pytest.raises(CaptureError, match="a hook returned"):
        model.run(TEXT, lambda _n, _x, _g, _u, a: a[:, 1:])


def test_a_layer_that_the_model_lacks_is_named(model):
    with pytest.raises(CaptureError, match=f" has no layer {LAYERS}: give 0 to {LAYERS - 1}$"):
        model.weights(LAYERS)


def test_text_becomes_the_longest_pieces(model):
    assert model.encode("at the").tolist() == [
        PIECES.index(piece) for piece in ("a", "t", "Ġth", "e")
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"architecture": "gpt2"}, "not of the architecture llama"),
        ({"add_tokenizer_pre": "default"}, "has a tokenizer"),
        ({"add_head_count": 3}, "do not divide"),
        ({"add_head_count": 0}, "has 0 for llama.attention.head_count, not a number from 1 on"),
        ({"add_rope_freq_base": float("nan")}, "has nan for llama.rope.freq_base, not a number"),
        ({"add_block_count": 2**31}, "tensors for 2147483648 layers"),
        ({"add_rope_scaling_type": gguf.RopeScalingType.YARN}, "scales its rotary positions"),
        ({"add_rope_dimension_count": 8}, "turns 8 of a head's 16 values"),
        ({"add_token_merges": ["t x"]}, "its tokens and merges do not fit"),
        ({"rope_freqs.weight": np.ones(8, np.float32)}, "has rope_freqs.weight, which is not of a"),
        ({"blk.0.attn_q.bias": np.ones(D, np.float32)}, "has blk.0.attn_q.bias, which is not of"),
        ({"output_norm.weight": np.full(D, np.nan, np.float32)}, "a weight is not finite"),
        ({"blk.1.ffn_up.weight": np.zeros((K, D + 32), np.float32)}, "blk.1.ffn_up.weight"),
    ],
)
def test_a_file_that_is_no_such_model_is_named(tmp_path, changes, message):
    with pytest.raises(PackageError, match=message):
        Llama(write(tmp_path / "other.gguf", gguf, **changes), "other")


def test_a_file_without_a_rotary_base_means_ten_thousand(tmp_path, model):
    other = Llama(write(tmp_path / "old.gguf", gguf, add_rope_freq_base=None), "old")
    np.testing.assert_array_equal(other.run(TEXT), model.run(TEXT))


def test_a_damaged_file_is_one_sentence(tmp_path):
    whole = write(tmp_path / "whole.gguf", gguf, q8=True).read_bytes()
    chance = random.Random(11)
    for _ in range(300):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 3)):
            data[chance.randrange(4000)] = chance.choice((0, 1, 128, 255))
        path = tmp_path / "damaged.gguf"
        path.write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
        try:
            Llama(path, "damaged").encode("at the")
        except PackageError as error:
            assert "\n" not in str(error)


@pytest.mark.parametrize("content", [b"", b"GGUF", b"not a gguf file" * 10])
def test_a_file_that_is_no_gguf_is_named(tmp_path, content):
    path = tmp_path / "bad.gguf"
    path.write_bytes(content)
    with pytest.raises(PackageError, match="bad.gguf"):
        GgufFile(path)


def test_perplexity_is_the_exponential_of_the_mean_loss(model):
    logits = model.run(TEXT).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    wanted = [-np.log(shares[place, TEXT[place + 1]]) for place in range(len(TEXT) - 1)]
    assert losses(model.run(TEXT), TEXT) == pytest.approx(wanted, rel=1e-5)
    assert perplexity(model, [TEXT, TEXT]) == pytest.approx(np.exp(np.mean(wanted)), rel=1e-5)
    assert perplexity(model, [TEXT, TEXT[:1]]) == pytest.approx(perplexity(model, [TEXT]))
    for nothing in ([], [TEXT[:1]]):
        with pytest.raises(CaptureError, match="at least one window, of two tokens or more$"):
            perplexity(model, nothing)


def test_activation_functions_do_not_overflow_and_have_the_known_values():
    wide = np.array([-1e4, -1, 0, 1, 1e4], np.float32)
    assert silu(wide) == pytest.approx([0, -0.2689414, 0, 0.7310586, 1e4], abs=1e-6)
    assert gelu(wide) == pytest.approx([0, -0.158808, 0, 0.841192, 1e4], abs=1e-5)
    with pytest.raises(ValueError, match="give relu, silu, gelu"):
        activate("tanh", wide)


@pytest.mark.skipif(not smollm2.is_cached(), reason="SmolLM2 was not fetched: it is 93 MB")
def test_smollm2_knows_a_capital():
    model = smollm2.load()
    tokens = model.encode("The capital of France is")
    assert model.tokenizer.decode([int(model.run(tokens)[-1].argmax())]) == " Paris"
