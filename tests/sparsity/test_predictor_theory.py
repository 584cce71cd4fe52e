# SPDX-License-Identifier: Apache-2.0
import math

import numpy as np
import pytest

from sparsity.errors import MaskError
from sparsity.predictor.alpha import sigmas
from sparsity.predictor.made_up import make_layer
from sparsity.predictor.predict import scores
from sparsity.predictor.quality import judge
from sparsity.predictor.signs import pack_signs
from sparsity.predictor.theory import (
    agreement,
    correlation,
    dot_product_kurtosis,
    norm_ratio,
    quality,
)

SIGN_SIGN = 2 / math.pi


def measured(bits=1, **made):
    layer = make_layer(**made)
    return judge(scores(pack_signs(layer.first), layer.x, bits) < 0, layer.activations())


def test_a_dot_product_of_two_is_laplace_and_of_many_gaussian():
    x, w = np.random.default_rng(0).standard_normal((2, 400_000, 8), np.float32)
    for width in (1, 2, 8):
        y = np.sum(x[:, :width] * w[:, :width], axis=1, dtype=np.float64)
        found = np.mean(y**4) / np.mean(y**2) ** 2 - 3
        assert found == pytest.approx(dot_product_kurtosis(width), rel=0.15)


def test_unrelated_gaussians_agree_72_percent_of_the_time():
    assert agreement(SIGN_SIGN) == pytest.approx(0.7197, abs=1e-4)
    found = measured(d=2048, k=4096, tokens=8, sparsity=0.5)
    assert found.precision == pytest.approx(0.7197, abs=0.01)


@pytest.mark.parametrize(
    ("sparsity", "precision", "recall"),
    [(0.5, 0.720, 0.720), (0.7, 0.849, 0.765), (0.9, 0.955, 0.841), (0.92, 0.964, 0.854),
     (0.95, 0.978, 0.878), (0.99, 0.996, 0.936)],
)  # fmt: skip
def test_a_common_mean_makes_precision_without_knowledge(sparsity, precision, recall):
    found = quality(sparsity, SIGN_SIGN)
    assert found == pytest.approx((precision, recall), abs=0.0011)


def test_the_papers_alpha_buys_precision_with_half_the_recall():
    assert quality(0.92, SIGN_SIGN, sigmas(1.03, 5120)) == pytest.approx((0.991, 0.469), abs=1e-3)


def test_rows_alike_follow_the_law():
    found = measured(d=2048, k=2048, tokens=8, sparsity=0.92)
    assert (found.precision, found.recall) == pytest.approx(quality(0.92, SIGN_SIGN), abs=0.012)


def test_rows_that_differ_are_what_99_percent_needs():
    found = measured(d=4096, k=4096, tokens=4, sparsity=0.92, tau=8)
    assert found.precision >= 0.991 - 0.001
    assert found.recall >= 0.98
    assert measured(d=4096, k=2048, tokens=4, sparsity=0.92, tau=2).precision < 0.98


def test_more_bits_of_x_raise_the_agreement_to_the_law_of_an_exact_one():
    found = measured(bits=8, d=1024, k=4096, tokens=8, sparsity=0.5)
    assert found.precision == pytest.approx(agreement(correlation(1, exact_x=True)), abs=0.01)


def test_norm_ratio_tells_how_good_signs_are():
    random = np.random.default_rng(0)
    assert norm_ratio(random.standard_normal((4, 4000))) == pytest.approx(0.798, abs=0.01)
    assert norm_ratio(np.array([1.0, -1, 1])) == pytest.approx(1)
    assert norm_ratio(np.eye(100)[0]) == pytest.approx(0.1)
    assert norm_ratio(np.zeros(3)) == 0
    assert correlation(norm_ratio(random.laplace(size=(20, 4000)))) == pytest.approx(
        0.564, abs=0.01
    )


@pytest.mark.parametrize(
    "wrong", [{"d": 1}, {"k": 0}, {"tokens": 0}, {"sparsity": 1.0}, {"tau": -1}, {"tau": np.nan}]
)
def test_layers_that_cannot_be_are_refused(wrong):
    with pytest.raises(MaskError, match="^no layer has d "):
        make_layer(**wrong)
