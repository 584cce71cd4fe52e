# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from sparsity.errors import MaskError, SparsityError
from sparsity.predictor import baselines
from sparsity.predictor.compare import compare, split
from sparsity.predictor.layers import FfnLayer
from sparsity.predictor.made_up import make_layer


@pytest.fixture(scope="module")
def layer():
    """Inputs in few directions, as real ones are, and weights in all."""
    random = np.random.default_rng(0)
    x = random.standard_normal((400, 8)) @ random.standard_normal((8, 48))
    x += 0.1 * random.standard_normal(x.shape)
    made = make_layer(d=48, k=96, sparsity=0.9, tau=1)
    bias = np.full(96, -np.quantile(x @ made.first.T, 0.9), np.float32)
    return FfnLayer("few directions", x.astype(np.float32), made.first, made.down, bias=bias)


def error(low, layer):
    return float(np.linalg.norm(low.scores(layer.x) - layer.before_relu()))


def test_full_rank_is_the_layer_itself(layer):
    for fit in (baselines.from_weights, baselines.from_data):
        assert error(fit(layer, 48), layer) < 2e-3 * np.linalg.norm(layer.before_relu())


def test_knowing_the_inputs_beats_knowing_the_weights(layer):
    parts = split(layer)
    of_data = baselines.from_data(parts.training, 8)
    assert error(of_data, parts.held_out) < 0.5 * error(
        baselines.from_weights(layer, 8), parts.held_out
    )
    assert of_data.values == 8 * (48 + 96)


def test_training_lowers_the_loss_it_is_for(layer):
    parts = split(layer)
    before = layer.before_relu() > 0

    def accuracy(low):
        scores = low.scores(layer.x)
        return (np.mean(scores[before] > 0) + np.mean(scores[~before] < 0)) / 2

    fitted = baselines.from_data(parts.training, 4)
    learned = baselines.trained(parts.training, 4, epochs=60)
    assert accuracy(learned) > accuracy(fitted) + 0.05


def test_training_is_repeatable_and_leaves_its_start_alone(layer):
    one, two = (baselines.trained(layer, 4, epochs=2) for _ in range(2))
    assert (one.inward == two.inward).all()
    assert not np.array_equal(one.inward, baselines.trained(layer, 4, epochs=2, seed=1).inward)


def test_the_previous_tokens_values():
    assert baselines.previous_token(np.array([[1], [2], [3]], np.float32)).tolist() == [
        [1],
        [1],
        [2],
    ]


def test_predictors_in_their_order(layer):
    points = {point.predictor: point.quality for point in compare(layer, (8,), (0.1,))}
    order = ["chance", "sign x sign", "sign x 8 bits", "least squares, rank 8"]
    assert sorted(order, key=lambda name: points[name].skipped) == order
    assert points["oracle"].precision > 0.98
    assert points["chance"].skipped == pytest.approx(0.1, abs=0.03)
    assert points["oracle"].missed < 0.25  # other tokens than those it was calibrated on


def test_parts_do_not_overlap(layer):
    parts = split(layer)
    sizes = [len(part.x) for part in (parts.training, parts.calibration, parts.held_out)]
    assert sizes == [200, 100, 100]
    joined = np.concatenate([parts.training.x, parts.calibration.x, parts.held_out.x])
    assert (joined == layer.x).all()


def test_too_little_to_go_by_is_refused(layer):
    with pytest.raises(MaskError, match="^few directions has 3 tokens: give 4, to train, "):
        split(layer.part(slice(3)))
    for fit in LOW_RANK_FITS:
        with pytest.raises(SparsityError, match="^rank 49 is not one of a 48 x 96 matrix: "):
            fit(layer, 49)
    with pytest.raises(SparsityError, match="^0 epochs of batches of 64: "):
        baselines.trained(layer, 4, epochs=0)


LOW_RANK_FITS = baselines.from_weights, baselines.from_data, baselines.trained
