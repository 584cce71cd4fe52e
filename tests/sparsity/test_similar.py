# SPDX-License-Identifier: Apache-2.0
"""Similar inputs and their patterns: what the seed's table shows, and what it hides."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import SparsityError
from sparsity.models.interface import FfnWeights
from sparsity.similar import SIMILARITIES, masks, similar_inputs, thresholds, variants

VOCABULARY, D, K, LAYERS = 50, 16, 32, 2


class Causal:
    """Each token sees the sum of itself and those before it."""

    name, layers, d, k, gated, activation, language = "causal", LAYERS, D, K, False, "relu", True

    def __init__(self):
        random = np.random.default_rng(0)
        self.table = random.normal(0, 1, (VOCABULARY, D)).astype(np.float32)
        self.up = random.normal(0, 1, (LAYERS, K, D)).astype(np.float32)

    def weights(self, layer):
        return FfnWeights(self.up[layer], self.up[layer])

    def run(self, tokens, hook=None):
        x = np.cumsum(self.table[tokens], axis=0)
        for layer in range(LAYERS):
            up = x @ self.up[layer].T
            if hook is not None:
                hook(layer, x, None, up, np.maximum(up, 0))
        return x @ self.table.T


def texts(count=12, length=20, seed=1):
    return list(np.random.default_rng(seed).integers(0, VOCABULARY, (count, length)))


@given(seed=st.integers(0, 999), length=st.integers(1, 60))
def test_a_variant_keeps_as_many_tokens_as_it_is_similar_and_nests_in_the_next(seed, length):
    random = np.random.default_rng(seed)
    tokens = random.integers(0, VOCABULARY, length)
    made = variants(tokens, SIMILARITIES, random, np.arange(VOCABULARY))
    changed = [variant != tokens for variant in made]
    assert [c.sum() for c in changed] == [round((1 - s) * length) for s in SIMILARITIES]
    for less, more in pairwise(changed):
        assert not (less & ~more).any()


def test_the_first_token_hides_every_change_that_comes_after_it():
    found = similar_inputs(Causal(), texts(), np.full(LAYERS, 1e-9, np.float32))
    for row in found.rows:
        assert all(value == 1 or value < 0.9 for value in row.first)
        assert all(a >= b for a, b in zip(row.first, row.first[1:], strict=False))
        assert row.aligned[-1] < 1
    assert any(row.first[-1] == 1 for row in found.rows)
    assert found.unrelated_kappa < np.mean([row.kappa[0] for row in found.rows])


def test_a_text_is_equal_to_itself():
    found = similar_inputs(Causal(), texts(), np.full(LAYERS, 0.1, np.float32), (1.0,))
    for row in found.rows:
        assert row.first == row.last == row.aligned == row.kappa == (1.0,)


def test_thresholds_zero_the_share_asked_for_and_none_means_what_is_zero():
    model, some = Causal(), texts()
    limits = thresholds(model, some, 0.75)
    assert np.mean(masks(model, some[0], limits)) == pytest.approx(0.25, abs=0.1)
    own = masks(model, some[0], thresholds(model, some, None))
    heard = []
    model.run(some[0], lambda _n, _x, _g, _u, a: heard.append(a != 0))
    assert np.array_equal(own, np.array(heard))


def test_the_smallest_number_there_is_counts_as_wanted():
    least = np.full((3, 4), np.finfo(np.float32).smallest_subnormal)

    class Tiny(Causal):
        def run(self, tokens, hook=None):
            assert hook is not None
            hook(0, least, None, least, least)
            return least

    assert masks(Tiny(), texts()[0], thresholds(Tiny(), texts(), None)).all()


def test_a_share_below_what_is_zero_anyway_wants_no_zero():
    model, some = Causal(), texts()
    own = thresholds(model, some, None)
    assert 0.1 < 1 - np.mean(masks(model, some[0], own)) < 0.9
    assert np.array_equal(
        masks(model, some[0], thresholds(model, some, 0.1)), masks(model, some[0], own)
    )


def test_layers_of_different_widths_are_named():
    class Uneven(Causal):
        def run(self, tokens, hook=None):
            for layer in range(LAYERS):
                a = np.ones((len(tokens), K + layer), np.float32)
                if hook is not None:
                    hook(layer, a, None, a, a)
            return self.table[tokens]

    with pytest.raises(SparsityError, match="^layers of causal differ in width: record them"):
        masks(Uneven(), texts()[0], np.zeros(LAYERS, np.float32))


@pytest.mark.parametrize("bad", [texts(1), [np.arange(3), np.arange(4)]])
def test_texts_that_cannot_be_compared_are_named(bad):
    with pytest.raises(SparsityError, match="two or more texts of one length"):
        similar_inputs(Causal(), bad, np.zeros(LAYERS, np.float32))


def test_a_text_of_one_token_repeated_has_no_variant():
    with pytest.raises(SparsityError, match="no other token"):
        variants(np.zeros(4, np.int64), (0.5,), np.random.default_rng(0), np.zeros(4, np.int64))
