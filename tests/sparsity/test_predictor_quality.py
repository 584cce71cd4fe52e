# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import MaskError
from sparsity.predictor.alpha import LARGEST, SCALE, scaled
from sparsity.predictor.calibrate import calibrate, from_scores
from sparsity.predictor.made_up import make_layer
from sparsity.predictor.planes import make_planes
from sparsity.predictor.predict import skip
from sparsity.predictor.quality import judge, threshold
from sparsity.predictor.signs import pack_signs

ACTIVATIONS = np.array([[0, 3, 0, 0], [4, 0, 0, 0]], np.float32)
SKIP = np.array([[1, 0, 1, 0], [1, 1, 0, 0]], bool)


def test_shares_by_hand():
    found = judge(SKIP, ACTIVATIONS, np.eye(4, dtype=np.float32))
    assert (found.sparsity, found.skipped) == (0.75, 0.5)
    assert (found.precision, found.recall, found.missed) == (0.75, 0.5, 0.5)
    assert found.output_error == pytest.approx(4 / 5)


def test_minus_zero_is_zero():
    assert judge(np.ones((1, 1), bool), np.array([[-0.0]])).precision == 1


def test_nothing_skipped_is_precise_and_nothing_active_is_not_missed():
    found = judge(np.zeros((1, 3), bool), np.zeros((1, 3)), np.ones((3, 2), np.float32))
    assert (found.precision, found.recall, found.missed, found.output_error) == (1, 0, 0, 0)
    assert judge(np.zeros((1, 3), bool), np.ones((1, 3))).recall == 1


def test_other_shapes_are_refused():
    with pytest.raises(MaskError, match=r"^flags are \[2, 3\], activations \[2, 4\]: "):
        judge(SKIP[:, :3], ACTIVATIONS)
    with pytest.raises(
        MaskError, match=r"^down is \[5, 2\] for 4 neurons: give one row per neuron"
    ):
        judge(SKIP, ACTIVATIONS, np.ones((5, 2), np.float32))
    with pytest.raises(MaskError, match=r"^scores are \[2, 4\], active neurons \[2, 3\]: give the"):
        threshold(np.zeros((2, 4)), np.ones((2, 3), bool), 0.1)


@pytest.mark.parametrize("missed", [0, 0.01, 0.02, 0.1, 0.5, 1])
def test_a_threshold_misses_at_most_what_it_may_and_one_more_would_be_too_many(missed):
    random = np.random.default_rng(0)
    scores, active = random.standard_normal((20, 50)), random.random((20, 50)) < 0.2
    cut = threshold(scores, active, missed)
    lost = (scores[active] < cut).sum()
    assert lost <= missed * active.sum() < lost + 1 or missed == 1


def test_a_share_is_not_rounded_down_by_its_binary_form():
    scores = np.arange(100.0)[None]
    assert threshold(scores, np.ones((1, 100), bool), 0.29) == 29  # 0.29 * 100 is 28.999...


def test_equal_scores_are_kept_together():
    scores, active = np.array([[1.0, 1, 1, 2]]), np.ones((1, 4), bool)
    assert threshold(scores, active, 0.5) == 1


@pytest.mark.parametrize("bits", [1, 4])
@pytest.mark.parametrize("missed", [0.0, 0.02, 0.2])
def test_a_calibrated_alpha_keeps_its_word_in_the_integer_predictor(bits, missed):
    layer = make_layer(d=300, k=200, tokens=30, sparsity=0.8, tau=2)
    active, signs = layer.before_relu() > 0, pack_signs(layer.first)
    found = calibrate(signs, layer.x, active, missed, bits)
    skipped = np.array([skip(signs, make_planes(x, bits), found.alpha) for x in layer.x])
    lost = (skipped & active).sum() / active.sum()
    assert lost <= missed
    assert found.active == active.sum()
    looser = np.array([skip(signs, make_planes(x, bits), found.alpha - 0.02) for x in layer.x])
    assert (looser & active).sum() / active.sum() > missed


def test_a_text_without_activity_is_refused():
    with pytest.raises(MaskError, match="^no neuron is active on these tokens: "):
        threshold(np.zeros((1, 2)), np.zeros((1, 2), bool), 0.02)
    with pytest.raises(MaskError, match="^missed 1.5 is no share: "):
        threshold(np.zeros((1, 2)), np.ones((1, 2), bool), 1.5)


def test_without_a_token_there_is_nothing_to_judge():
    with pytest.raises(MaskError, match="^no token to judge by: "):
        judge(np.zeros((0, 4), np.bool_), np.zeros((0, 4), np.float32))


@given(st.integers(2, 1 << 16), st.data())
def test_rounding_of_scores_makes_no_alpha_too_small(total, data):
    """A row of some score stays at the alpha that is made of it, and not at one much smaller."""
    positive = data.draw(st.integers(1, total - 1))
    score = np.full((1, 1), (2 * positive - total) / total, np.float32)
    alpha, exact = from_scores(score, np.ones((1, 1), np.bool_), 0), (total - positive) / positive
    assert alpha == LARGEST or scaled(alpha) * positive >= SCALE * (total - positive)
    assert alpha <= exact * (1 + 1e-7 * (2 + exact)) + 1.01 / SCALE


def test_a_tie_that_may_not_be_lost_needs_no_more_than_alpha_1():
    assert from_scores(np.zeros((1, 1), np.float32), np.ones((1, 1), np.bool_), 0) == 1
