# SPDX-License-Identifier: Apache-2.0
"""The comparison without torch and NNCF, on a small model in numpy."""

import numpy as np
import pytest
from numpy_model import LAYERS, NumpyModel, windows

from sparsity.models.perplexity import perplexity
from sparsity.models.text import Windows
from sparsity.peers.compare import OURS, RESTATED, check_forward, compare, fit
from sparsity.peers.ema import EmaQuantile
from sparsity.thresholds.methods import PerLayer
from sparsity.thresholds.rule import FfnStep

MODEL = NumpyModel()
TEXT = Windows(windows(3), windows(4, seed=6))


def test_rows_say_what_was_asked_and_reached():
    found = compare(MODEL, TEXT, (0.2, 0.6))
    assert [(row.method, row.target) for row in found.rows] == [
        (RESTATED, 0.2),
        (OURS, 0.2),
        (RESTATED, 0.6),
        (OURS, 0.6),
    ]
    assert (found.forward, found.check, found.versions) == ("numpy", None, {})
    assert (found.fit_tokens, found.judge_tokens) == (72, 96)
    assert found.dense_perplexity == perplexity(MODEL, TEXT.judge)
    for row in found.rows:
        assert (
            row.sparsity
            == pytest.approx(np.mean(row.by_layer))
            == pytest.approx(row.target, abs=0.06)
        )
        assert len(row.by_layer) == len(row.thresholds) == LAYERS
        assert row.seconds > 0
        assert found.rise(row) == row.perplexity / found.dense_perplexity - 1


def test_a_row_is_the_models_perplexity_with_these_zeros():
    row = compare(MODEL, TEXT, (0.5,)).rows[1]
    zeros = []

    def hook(layer, x, gate, up, a):
        zero = np.abs(a) < row.thresholds[layer]
        zeros.append(zero.mean())
        return np.where(zero, np.float32(0), a)

    assert row.perplexity == pytest.approx(perplexity(MODEL, TEXT.judge, hook), rel=1e-6)
    assert row.sparsity == pytest.approx(np.mean(zeros))


def test_zeroing_as_it_goes_fits_to_what_is_left():
    dense, left = EmaQuantile(0.9), EmaQuantile(0.9)
    fit(MODEL, dense, TEXT, zero_as_it_goes=False)
    fit(MODEL, left, TEXT, zero_as_it_goes=True)
    assert dense.thresholds[0] == left.thresholds[0]
    assert all(dense.thresholds[layer] != left.thresholds[layer] for layer in range(1, LAYERS))


def test_what_is_fitted_is_the_text_to_fit_on():
    heard = []
    rule = PerLayer(0.5)
    rule.see = lambda step: heard.append(step)
    rule.fit = lambda: None
    fit(MODEL, rule, TEXT, zero_as_it_goes=False)
    assert [step.layer for step in heard] == [*range(LAYERS)] * len(TEXT.fit)
    assert all(isinstance(step, FfnStep) for step in heard)


def test_a_forward_pass_checked_against_itself():
    found = check_forward(MODEL, MODEL, TEXT)
    assert found.largest_difference == 0
    assert found.perplexity_here == found.perplexity_there
    assert found.tokens == len(TEXT.judge[0])
