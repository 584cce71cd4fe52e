# SPDX-License-Identifier: Apache-2.0
import pytest

from sparsity.errors import SparsityError
from sparsity.predictor.alpha import (
    from_margin,
    margin,
    offset_counts,
    per_layer,
    rescale,
    sigmas,
)


@pytest.mark.parametrize(
    ("alpha", "width", "counts", "deviations"),
    [
        (1.01, 5120, 12.7, 0.356), (1.02, 5120, 25.3, 0.708), (1.03, 5120, 37.8, 1.057),
        (1.01, 4096, 10.2, 0.318), (1.02, 4096, 20.3, 0.634), (1.03, 4096, 30.3, 0.946),
    ],
)  # fmt: skip
def test_what_the_papers_alphas_ask_for(alpha, width, counts, deviations):
    assert offset_counts(alpha, width) == pytest.approx(counts, abs=0.05)
    assert sigmas(alpha, width) == pytest.approx(deviations, abs=0.0006)


@pytest.mark.parametrize(
    ("width", "alpha"),
    [(4096, 1.0336), (3072, 1.039), (2560, 1.043), (576, 1.092), (512, 1.098), (128, 1.206)],
)
def test_alpha_grows_as_layers_get_narrower(width, alpha):
    assert rescale(1.03, 5120, width) == pytest.approx(alpha, abs=0.0006)
    assert rescale(rescale(1.03, 5120, width), width, 5120) == pytest.approx(1.03)


def test_below_134_values_the_papers_alpha_changes_no_decision():
    assert offset_counts(1.03, 134) < 1 < offset_counts(1.03, 136)


def test_margins_and_alphas_are_two_names_of_one_thing():
    assert [from_margin(margin(alpha)) for alpha in (0.5, 1, 1.03)] == pytest.approx([0.5, 1, 1.03])


def test_early_layers_have_an_alpha_of_their_own():
    assert per_layer(4, 1.03, early=3) == (1.03, 1.03, 1.03, 1.0)
    assert set(per_layer(32, 1.02)[:20]) == {1.02}
    assert set(per_layer(32, 1.02)[20:]) == {1.0}


def test_what_no_width_can_be_is_refused():
    with pytest.raises(SparsityError, match="^a margin of .* is out of reach: "):
        rescale(3.0, 5120, 16)
    with pytest.raises(SparsityError, match="^0 layers, 20 of them early: "):
        per_layer(0, 1.0)
