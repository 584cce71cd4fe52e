# SPDX-License-Identifier: Apache-2.0
"""Rules that zero activations: how much they zero, and what each goes by."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import SparsityError
from sparsity.models.activation import activate, down_input
from sparsity.models.interface import FfnWeights
from sparsity.thresholds.foretold import Estimated
from sparsity.thresholds.methods import RULES, Global, PerLayer, TealInput, rules
from sparsity.thresholds.rule import FfnStep

TOKENS, K, D = 40, 64, 96


def step(layer=0, seed=0, scale=1.0):
    random = np.random.default_rng(seed)
    a, gate = (random.normal(0, scale, (TOKENS, K)).astype(np.float32) for _ in range(2))
    norms = random.uniform(0.1, 2, K).astype(np.float32)
    x = random.normal(0, 1, (TOKENS, D)).astype(np.float32)
    first, up, down = (random.normal(0, 1, (K, D)).astype(np.float32) for _ in range(3))
    return FfnStep(layer, a, gate, norms, x, FfnWeights(up, down, first), "silu")


def fitted(name, sparsity, *steps):
    (rule,) = rules([name], sparsity)
    for each in steps:
        rule.see(each)
    rule.fit()
    return rule


@pytest.mark.parametrize("name", RULES)
@given(sparsity=st.floats(0, 1), seed=st.integers(0, 99))
def test_a_rule_zeroes_about_the_share_asked_for(name, sparsity, seed):
    seen = step(seed=seed)
    zeroed = fitted(name, sparsity, seen).zeroed(seen)
    least = 0.5 if name == "fatrelu" else 0  # the negative half is zero anyway
    assert abs(zeroed.mean() - max(sparsity, least)) < 0.1


@pytest.mark.parametrize("name", [name for name in RULES if name != "teal-input"])
def test_what_is_not_zeroed_is_left_as_it_is(name):
    seen = step()
    rule = fitted(name, 0.7, seen)
    zeroed = rule.zeroed(seen) if name != "random" else None
    out = rule.apply(seen)
    kept = out != 0
    assert np.array_equal(out[kept], seen.a[kept])
    if zeroed is not None:
        assert not out[zeroed].any()


def test_the_input_rule_multiplies_again_with_what_is_left_of_the_input():
    seen = step()
    rule = fitted("teal-input", 0.4, seen)
    assert isinstance(rule, TealInput)
    assert seen.x is not None and seen.weights is not None
    left = np.where(np.abs(seen.x) < rule.thresholds[0], np.float32(0), seen.x)
    assert 0.3 < (left == 0).mean() <= 0.4
    assert np.array_equal(rule.apply(seen), down_input(left, seen.weights, "silu"))


def test_the_predicted_rule_skips_the_rows_with_the_lowest_products():
    seen = step()
    assert seen.x is not None and seen.weights is not None and seen.weights.gate is not None
    zeroed = fitted("predicted", 0.3, seen).zeroed(seen)
    product = seen.x @ seen.weights.gate.T
    assert product[zeroed].mean() < product[~zeroed].mean() - 5


def true_step():
    """A step whose activations are really those of its input and weights."""
    seen = step()
    assert seen.x is not None and seen.weights is not None and seen.weights.gate is not None
    gate = activate("silu", seen.x @ seen.weights.gate.T)
    return dataclasses.replace(seen, a=gate * (seen.x @ seen.weights.up.T), gate=gate)


@pytest.mark.parametrize(("bits", "agree"), [(1, 0.7), (2, 0.85), (3, 0.9), (8, 0.99)])
def test_the_estimated_rule_nears_the_exact_one_as_bits_are_added(bits, agree):
    seen = true_step()
    exact = fitted("per-layer", 0.5, seen).zeroed(seen)
    rule = Estimated(0.5, bits)
    rule.see(seen)
    rule.fit()
    assert np.mean(rule.zeroed(seen) == exact) > agree
    # What it decides hangs on the input and the weights alone.
    blind = dataclasses.replace(seen, a=np.zeros_like(seen.a), gate=None)
    assert np.array_equal(rule.zeroed(blind), rule.zeroed(seen))


def test_the_estimated_rule_needs_a_gate():
    seen = step()
    assert seen.weights is not None
    plain = dataclasses.replace(seen, weights=dataclasses.replace(seen.weights, gate=None))
    with pytest.raises(SparsityError, match="^estimated needs a gate projection, "):
        Estimated(0.5).see(plain)


@pytest.mark.parametrize("name", RULES)
def test_a_rule_at_another_sparsity_is_the_rule_fitted_to_it(name):
    seen = step()
    again = fitted(name, 0.2, seen).at(0.6)
    if name != "random":
        assert np.array_equal(again.zeroed(seen), fitted(name, 0.6, seen).zeroed(seen))
    with pytest.raises(SparsityError, match="0 to 1"):
        again.at(1.1)


def test_top_k_keeps_the_same_number_at_every_token_and_the_largest():
    seen = step()
    zeroed = fitted("top-k", 0.75, seen).zeroed(seen)
    assert (zeroed.sum(axis=1) == 48).all()
    for scores, zero in zip(np.abs(seen.a), zeroed, strict=True):
        assert scores[zero].max() <= scores[~zero].min()


def test_wina_goes_by_what_a_row_can_add():
    seen = step()
    assert seen.down_norms is not None
    zeroed = fitted("wina", 0.5, seen).zeroed(seen)
    scores = np.abs(seen.a) * seen.down_norms
    for each, zero in zip(scores, zeroed, strict=True):
        assert each[zero].max() <= each[~zero].min()


@pytest.mark.parametrize("name", ["per-layer", "global", "fatrelu", "top-k", "wina", "cats"])
def test_what_a_relu_made_zero_counts_as_zeroed(name):
    seen = step()
    a = np.maximum(seen.a, 0)
    relu = FfnStep(0, a, a if name == "cats" else None, seen.down_norms)
    assert np.array_equal(fitted(name, 0.2, relu).zeroed(relu), a == 0)


def test_layers_have_thresholds_of_their_own_and_a_global_rule_has_one():
    quiet, loud = step(0, scale=0.01), step(1, seed=1)
    per_layer = fitted("per-layer", 0.5, quiet, loud)
    one = fitted("global", 0.5, quiet, loud)
    assert isinstance(per_layer, PerLayer)
    assert isinstance(one, Global)
    assert per_layer.thresholds[1] > 50 * per_layer.thresholds[0]
    assert len(set(one.thresholds.values())) == 1
    assert one.zeroed(quiet).mean() > 0.95


@pytest.mark.parametrize(
    ("name", "change", "why"),
    [
        ("cats", {"gate": None}, "needs a gate projection"),
        ("wina", {"down_norms": None}, "needs the norms"),
    ],
)
def test_what_a_rule_needs_is_named(name, change, why):
    seen = step()
    parts = {"layer": 0, "a": seen.a, "gate": seen.gate, "down_norms": seen.down_norms} | change
    with pytest.raises(SparsityError, match=why):
        fitted(name, 0.5, FfnStep(**parts)).zeroed(FfnStep(**parts))


def test_a_rule_is_fitted_before_it_is_used():
    with pytest.raises(SparsityError, match="has seen no text"):
        fitted("per-layer", 0.5)
    with pytest.raises(SparsityError, match="not fitted to layer 1"):
        fitted("per-layer", 0.5, step(0)).zeroed(step(1))


def test_an_unknown_rule_is_refused():
    with pytest.raises(SparsityError, match="give some of per-layer"):
        rules(["magic"], 0.5)
    with pytest.raises(SparsityError, match="give 0 to 1"):
        rules(["top-k"], 2)
