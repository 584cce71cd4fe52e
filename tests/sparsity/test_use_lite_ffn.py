# SPDX-License-Identifier: Apache-2.0
"""The adapter on the made-up package: it says what the encoder does, and changes it when asked."""

from pathlib import Path

import numpy as np
import pytest
from made_up_package import D, K, made_up_files, write_folder

from sparsity.errors import SparsityError
from sparsity.models.use_lite_ffn import UseLiteFfn, load
from sparsity.use_lite import encode

TOKENS = np.array([3, 1, 4, 1, 5], np.int64)


@pytest.fixture
def model(tmp_path: Path) -> UseLiteFfn:
    return load(write_folder(made_up_files(), tmp_path))


def test_it_is_the_encoder(model: UseLiteFfn):
    assert (model.layers, model.d, model.k) == (2, D, K)
    expected = encode(model.model, TOKENS.tolist())
    heard = []
    np.testing.assert_allclose(model.run(TOKENS), expected.embedding, rtol=1e-6)
    model.run(TOKENS, lambda *seen: heard.append(seen))
    assert [layer for layer, *_ in heard] == [0, 1]
    for (layer, x, gate, up, a), activations in zip(heard, expected.activations, strict=True):
        weights = model.weights(layer)
        assert gate is None
        assert weights.bias_up is not None
        np.testing.assert_allclose(a, activations, rtol=1e-6)
        np.testing.assert_allclose(up, x @ weights.up.T + weights.bias_up, atol=1e-5)
        assert np.array_equal(a, np.maximum(up, 0))


def test_a_hook_replaces_the_input_of_the_down_projection(model: UseLiteFfn):
    dense = model.run(TOKENS)
    np.testing.assert_allclose(model.run(TOKENS, lambda *seen: seen[-1]), dense, rtol=1e-5)
    without = model.run(TOKENS, lambda *seen: np.zeros_like(seen[-1]))
    assert not np.allclose(without, dense)
    np.testing.assert_array_equal(model.run(TOKENS), dense)


def test_weights_are_rows(model: UseLiteFfn):
    weights = model.weights(1)
    assert weights.gate is None
    assert weights.up.shape == weights.down.shape == (K, D)
    np.testing.assert_allclose(weights.down, model.model.layers[1].down.kernel, rtol=1e-6)


def test_a_layer_that_is_none_is_refused(model: UseLiteFfn):
    with pytest.raises(SparsityError, match="^USE-lite has no layer 2: give 0 to 1$"):
        model.weights(2)


def test_no_token_is_refused(model: UseLiteFfn):
    with pytest.raises(SparsityError, match="^0 tokens: a text has 1 to 128, cut it$"):
        model.run(np.array([], np.int64))
