# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import ShapeError
from sparsity.tables.architecture import ARCHITECTURES, architecture


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("ReluLLaMA-7B", 6_738_415_616),
        ("ReluLLaMA-13B", 13_015_864_320),
        ("Llama-3-8B", 8_030_261_248),
        ("Mistral-7B", 7_241_732_096),
        ("Phi-2", 2_779_683_840),
        ("Phi-3-mini", 3_821_079_552),
        ("OPT-6.7B", 6_658_473_984),
        ("Falcon-7B", 6_921_720_704),
        ("SmolLM2-135M", 134_515_008),
    ],
)
def test_parameters_are_those_of_the_published_checkpoints(model, parameters):
    assert architecture(model).parameters == parameters


def test_one_row_of_every_layer_makes_the_difference():
    found = architecture("ReluLLaMA-7B")
    rows = found.shape.k
    one = found.active(0.5) - found.active(0.5 + 1 / rows)
    assert one == pytest.approx(found.shape.d * found.shape.layers)


def test_the_slides_active_parameters_imply_the_down_projection_alone():
    assert architecture("ReluLLaMA-7B").implied_sparsity(5.63e9) == pytest.approx(0.768, abs=5e-4)
    assert architecture("ReluLLaMA-13B").implied_sparsity(10.94e9) == pytest.approx(0.733, abs=5e-4)


@given(st.sampled_from(ARCHITECTURES), st.floats(0, 1), st.integers(1, 2))
def test_implied_sparsity_undoes_active(found, sparsity, matrices):
    active = found.active(sparsity, matrices)
    assert found.implied_sparsity(active, matrices) == pytest.approx(sparsity, abs=1e-9)


@given(st.sampled_from(ARCHITECTURES), st.floats(0, 0.99))
def test_sparser_means_fewer(found, sparsity):
    assert found.active(sparsity + 0.01) < found.active(sparsity) <= found.parameters
    assert found.active(sparsity, 2) <= found.active(sparsity)


@pytest.mark.parametrize(("sparsity", "matrices"), [(-0.1, 1), (1.1, 1), (0.5, 0), (0.5, 4)])
def test_refuses_what_is_no_share_or_matrix(sparsity, matrices):
    with pytest.raises(ShapeError, match="give 0 to 1"):
        architecture("ReluLLaMA-7B").active(sparsity, matrices)


def test_a_model_that_is_not_counted():
    with pytest.raises(ShapeError, match="choose from"):
        architecture("USE-lite")
