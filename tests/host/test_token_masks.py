# SPDX-License-Identifier: Apache-2.0
"""Sources of masks: what each reads and when, and where a model's masks come from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host.errors import UsageError
from host.token import command, masks, sources
from host.token.masks import FOUR_BITS, SIGNS, LayerMasks
from host.token.sources import Known
from sparsity import shapes
from sparsity.models import catalogue
from sparsity.predictor.made_up import make_layer
from sparsity.predictor.use_lite_up import shipped_layer
from tests.sparsity import tiny_llama

BOTH = pytest.mark.parametrize("gated", [True, False])


def every(gated):
    return [
        *sources.for_relu(gated, ["p"], last=True),
        *sources.for_thresholds(gated, ["p"], last=True, bits=3),
    ]


@BOTH
def test_every_source_reads_each_matrix_and_the_down_projection_last(gated):
    for source in every(gated):
        read = [gather.matrix for step in source.steps for gather in step.gathers]
        assert set(read) - {sources.FEW_BITS} == set(sources.matrices(gated))
        assert read[-1] == "down"


@BOTH
def test_masks_that_need_a_product_come_after_one(gated):
    for source in every(gated):
        assert source.steps[0].known is not Known.PRODUCT
        assert all(step.known is Known.PRODUCT for step in source.steps[1:])
        first = source.steps[0]
        if first.known is Known.EARLIER and source.name != "oracle":
            assert first.masks <= {"last"}


@BOTH
def test_a_predicted_source_reads_nothing_before_its_prediction(gated):
    for make in (sources.predicted, sources.predicted_actual):
        step = make(gated, "p").steps[0]
        assert step.known is Known.INPUT
        assert step.masks == {"p"}


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_masks_are_combined_by_name(pairs):
    a, b = np.array(pairs).T
    layer = LayerMasks({"a": a, "b": b})
    assert layer.mask(sources.ALL) is None
    wanted = {"a": a, sources.both("a", "b"): a & b, sources.without("a", "b"): a & ~b}
    for name, mask in wanted.items():
        found = layer.mask(name)
        assert found is not None
        assert np.array_equal(found, mask)


def test_prefetched_and_late_rows_are_the_wanted_ones_and_some_in_vain():
    random = np.random.default_rng(0)
    active, last = random.random((2, 100)) < 0.3
    layer = LayerMasks({"active": active, "last": last})
    late = layer.mask(sources.without("active", "last"))
    assert late is not None
    assert not (late & last).any()
    assert np.array_equal((late | last) & active, active)


@pytest.mark.parametrize("name", ["prosparse-7b", "opt-6.7b"])
def test_drawn_masks_are_as_sparse_as_published_and_predictors_miss_what_they_say(name):
    shape = shapes.shape(name)
    model = masks.published(shape, None, seed=1)
    assert (len(model.layers), model.k, model.d) == (shape.layers, shape.k, shape.d)
    active = np.array([layer.known["active"] for layer in model.layers])
    assert shape.sparsity is not None
    assert active.mean() == pytest.approx(1 - shape.sparsity.mean, abs=0.005)
    for predictor, most in ((SIGNS, 0.4), (FOUR_BITS, 0.03)):
        kept = np.array([layer.known[predictor] for layer in model.layers])
        missed = (active & ~kept).sum() / active.sum()
        assert missed < most
        assert f"{missed:.1%} missed" in model.cost[predictor]
        assert kept.mean() < 0.5


def test_layers_have_their_own_published_sparsity():
    shape = shapes.shape("relullama-7b")
    model = masks.published(shape, None, seed=0)
    for number, layer in enumerate(model.layers):
        wanted = 1 - layer.known["active"].mean()
        assert wanted == pytest.approx(shape.layer_sparsity(number), abs=0.02)


def test_a_model_without_a_published_sparsity_needs_one():
    with pytest.raises(UsageError, match="give --sparsity"):
        masks.published(shapes.shape("mistral-7b"), None, 0)
    model = masks.published(shapes.shape("mistral-7b"), 0.8, 0)
    assert model.origin.startswith("rows drawn at 80.0% sparsity (as given)")


def test_a_model_without_a_relu_has_the_sources_of_thresholds():
    model = command.model_masks(command.Options("all", "mistral-7b", sparsity=0.5))
    assert [each.name for each in model.sources] == [
        *("dense", "threshold on a", "threshold on gate", "estimated from 3 bits")
    ]
    assert "what that costs this model is not known" in model.origin
    for layer in model.layers:
        assert layer.known["estimated"].mean() == pytest.approx(0.5, abs=0.02)
    plain = command.model_masks(command.Options("all", "phi-2", sparsity=0.5))
    assert [each.name for each in plain.sources] == ["dense", "threshold on a"]
    falcon = command.model_masks(command.Options("all", "falcon-7b", sparsity=0.5))
    assert "signs" in [each.name for each in falcon.sources]  # its sparsity is of a ReLU


def test_masks_of_a_real_layer_are_its_activations_at_two_tokens_in_a_row():
    layer = shipped_layer(1)
    model = masks.relu("USE-lite", [layer], "shipped", token=5)
    place = len(layer.x) // 2 + 5
    exact = layer.part(slice(place - 1, place + 1)).activations() != 0
    assert np.array_equal(model.layers[0].known["last"], exact[0])
    assert np.array_equal(model.layers[0].known["active"], exact[1])
    assert "missed, FFN output off by" in model.cost[FOUR_BITS]


@pytest.mark.parametrize("token", [-1, 16, 100])
def test_a_token_that_a_model_did_not_see_is_refused(token):
    layer = make_layer(d=64, k=40, tokens=32, sparsity=0.8, tau=2)
    with pytest.raises(UsageError, match="has tokens 0 to 15"):
        masks.relu("made up", [layer], "", token)


def test_one_layer_has_its_own_cost_and_origin():
    drawn = masks.published(shapes.shape("relullama-7b"), None, 0)
    one = masks.one_layer(drawn, 3)
    active, kept = (one.layers[0].known[name] for name in ("active", SIGNS))
    assert f"{(active & ~kept).sum() / active.sum():.1%} missed" == one.cost[SIGNS]
    assert one.cost != drawn.cost
    assert one.origin.startswith("rows drawn at 71.5% sparsity (")
    layers = [shipped_layer(number) for number in range(2)]
    real = masks.relu("USE-lite", layers, "shipped", None)
    for number, layer in enumerate(layers):
        alone = masks.relu("USE-lite", [layer], "shipped", None)
        assert masks.one_layer(real, number).cost == alone.cost != real.cost


def test_the_least_tokens_that_masks_can_be_taken_of():
    layer = make_layer(d=64, k=40, tokens=2, sparsity=0.5, tau=2)
    models = [masks.relu("made up", [layer], "", token) for token in (None, 0)]
    for name in ("active", "last", SIGNS, FOUR_BITS):
        one, other = (model.layers[0].known[name] for model in models)
        assert np.array_equal(one, other)
    with pytest.raises(UsageError, match="made up ran over 1 tokens: "):
        masks.relu("made up", [layer.part(slice(1))], "", None)


def test_a_model_without_a_relu_has_its_small_activations_zeroed(tmp_path, monkeypatch):
    gguf = pytest.importorskip("gguf", reason="gguf is not installed")
    pytest.importorskip("tokenizers", reason="tokenizers is not installed")
    opened = catalogue.open_model(str(tiny_llama.write(tmp_path / "tiny.gguf", gguf)))
    model = masks.thresholded(opened, 0.5, judge_tokens=128)
    assert [source.name for source in model.sources] == [
        "dense",
        "threshold on a",
        "last token's, ahead",
        "threshold on gate",
        "estimated from 3 bits",
        masks.SIGNS_4,
    ]
    assert len(model.layers) == tiny_llama.LAYERS
    for layer in model.layers:
        for mask in layer.known.values():
            assert mask.shape == (tiny_llama.K,)
            assert 0.2 < mask.mean() < 0.8
    assert model.cost["threshold on a"].startswith("perplexity ")
