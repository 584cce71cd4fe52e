# SPDX-License-Identifier: Apache-2.0
"""What zeroing costs a model: counted where it happens, nothing where nothing is zeroed."""

import weakref

import numpy as np
import pytest

from sparsity.errors import CaptureError, SparsityError
from sparsity.models.activation import activate, down_input
from sparsity.models.interface import FfnWeights
from sparsity.models.perplexity import perplexity
from sparsity.thresholds.methods import RULES, rules
from sparsity.thresholds.rule import Known
from sparsity.thresholds.trade_off import (
    OUTPUT_ERROR,
    PERPLEXITY,
    Point,
    Zeros,
    rise_said,
    sparsity_at,
    trade_off,
)

D, K, VOCABULARY = 24, 40, 30
GATED = sorted(RULES)


class Model:
    """FFNs with residuals between an embedding and its transpose."""

    def __init__(self, gated=True, language=True, layers=3):
        random = np.random.default_rng(1)
        self.name, self.layers, self.d, self.k = "made up", layers, D, K
        self.gated, self.language = gated, language
        self.activation = "silu" if gated else "relu"
        self.table = random.normal(0, 1, (VOCABULARY, D)).astype(np.float32)
        self._weights = [
            FfnWeights(
                *(random.normal(0, 0.1, (K, D)).astype(np.float32) for _ in range(2 + gated))
            )
            for _ in range(layers)
        ]

    def weights(self, layer):
        return self._weights[layer]

    def run(self, tokens, hook=None):
        state = self.table[tokens]
        for layer, weights in enumerate(self._weights):
            state = np.asarray(state, np.float32)
            a = down_input(state, weights, self.activation)
            gate = None if weights.gate is None else state @ weights.gate.T
            given = None if hook is None else hook(layer, state, gate, state @ weights.up.T, a)
            state = state + (a if given is None else given) @ weights.down
        return state @ self.table.T * np.float32(0.1) if self.language else state.mean(axis=0)


def windows(seed, count=3):
    return list(np.random.default_rng(seed).integers(0, VOCABULARY, (count, 20)))


def judged(model, names, sparsities, **options):
    return trade_off(model, windows(0), windows(1), rules(names, 0.5), sparsities, **options)


@pytest.mark.parametrize("language", [True, False])
def test_zeroing_nothing_costs_nothing(language):
    names = [name for name in GATED if name not in ("fatrelu", "teal-input")]
    found = judged(Model(language=language), names, [0.0])
    assert found.measure == (PERPLEXITY if language else OUTPUT_ERROR)
    for point in found.points:
        assert point.zeros.sparsity == 0
        assert point.score == found.dense
        assert point.rise == 0


def test_logits_of_all_windows_are_never_in_memory_together():
    given = []

    class Watched(Model):
        def run(self, tokens, hook=None):
            assert sum(each() is not None for each in given) <= 1
            out = super().run(tokens, hook)
            given.append(weakref.ref(out))
            return out

    judged(Watched(), ["per-layer"], [0.3])


def test_zeroing_all_is_the_model_without_its_ffns():
    model = Model()
    found = judged(model, ["top-k", "random"], [1.0])
    bare = Model(layers=0)
    bare.table = model.table
    without = perplexity(bare, windows(1))
    assert [point.score for point in found.points] == pytest.approx([without] * 2, rel=1e-6)


def test_zeros_are_counted_by_layer_and_token():
    (point,) = judged(Model(), ["top-k"], [0.25]).points
    assert point.zeros.layers == (0.25, 0.25, 0.25)
    assert (point.zeros.sparsity, point.zeros.token_deviation) == (0.25, 0)
    assert point.zeros.token_least == 0.25


def test_rules_are_fitted_on_one_text_and_judged_by_another():
    found = judged(Model(), ["per-layer"], [0.5])
    (point,) = found.points
    assert (found.fitted_tokens, found.judged_tokens) == (60, 60)
    assert 0.4 < point.zeros.sparsity < 0.6
    assert point.zeros.sparsity != 0.5


def test_each_pass_is_announced():
    said = []
    judged(Model(), ["top-k"], [0.1, 0.2], progress=said.append)
    assert said == ["fitting", "undisturbed", "top-k at 10%", "top-k at 20%"]


def test_a_rule_that_looks_at_a_gate_says_that_there_is_none():
    with pytest.raises(SparsityError, match="cats needs a gate"):
        judged(Model(gated=False), ["cats"], [0.5])


def test_a_judgement_needs_text():
    with pytest.raises(CaptureError, match="at least one window"):
        trade_off(Model(), windows(0), [], rules(["top-k"], 0.5), [0.5])


def point(sparsity, rise):
    return Point("r", sparsity, Zeros(sparsity, (sparsity,), 0, sparsity), 1 + rise, rise)


def test_the_sparsity_at_a_rise_lies_between_the_points():
    points = [point(0.5, 0.1), point(0.3, 0.0)]
    assert sparsity_at(points, 0.01) == pytest.approx(
        0.3 + 0.2 * np.log(1.01) / np.log(1.1), rel=1e-9
    )
    assert sparsity_at(points, 0.1) == pytest.approx(0.5)
    assert sparsity_at(points, 0.2) is None


@pytest.mark.parametrize(
    ("known", "gated", "skips"),
    [
        (Known.BEFORE, True, "rows of gate, up, down"),
        (Known.BEFORE, False, "rows of up, down"),
        (Known.FIRST, True, "rows of up, down"),
        (Known.FIRST, False, "rows of down"),
        (Known.LAST, True, "rows of down"),
        (Known.LAST, False, "rows of down"),
        (Known.INPUT, True, "columns of gate, up"),
        (Known.INPUT, False, "columns of up"),
    ],
)
def test_what_need_not_be_read_follows_from_when_zeros_are_known(known, gated, skips):
    assert known.skips(gated) == skips


def test_activation_is_the_models_own():
    x = np.array([-1.0, 2.0], np.float32)
    assert activate("relu", x).tolist() == [0, 2]


@pytest.mark.parametrize(
    ("rise", "said"),
    [(0.024, "+2.4%"), (-0.0001, "+0.0%"), (-0.01, "-1.0%"), (0.999, "+99.9%"), (1.0, "x 2")],
)
def test_a_rise_is_said_as_people_read_it(rise, said):
    assert rise_said(rise) == said
