# SPDX-License-Identifier: Apache-2.0
"""NNCF's rule restated: its average, its ties, and NNCF itself where it is installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import SparsityError
from sparsity.peers.ema import ALPHA, EmaQuantile, averaged
from sparsity.thresholds.methods import PerLayer
from sparsity.thresholds.rule import FfnStep

RANDOM = np.random.default_rng(8)


def step(values, layer=0) -> FfnStep:
    return FfnStep(layer, np.asarray(values, np.float32).reshape(1, -1))


def test_one_batch_is_its_quantile():
    rule = EmaQuantile(0.5)
    rule.see(step([-4, 1, 2, -3]))
    assert rule.thresholds == {0: 2.5}
    assert rule.zeroed(step([2.5, -2.5, 2.6, 0])).tolist() == [[True, True, False, True]]


def test_an_equal_magnitude_goes_here_and_stays_in_the_seeds_rule():
    values = step([1, 1, 1, 5, 6])
    theirs, ours = EmaQuantile(0.5), PerLayer(0.5)
    for rule in (theirs, ours):
        rule.see(values)
        rule.fit()
    assert theirs.thresholds == ours.thresholds == {0: 1.0}
    assert theirs.zeroed(values).mean() == 0.6
    assert ours.zeroed(values).mean() == 0.0


@given(
    st.lists(st.floats(1 / 64, 128, width=32), min_size=1, max_size=12),
    st.sampled_from([0.1, ALPHA, 0.5, 0.9]),
)
def test_weights_decay_and_sum_to_one(batches, alpha):
    running = np.float32(0)
    for seen, threshold in enumerate(batches):
        running = averaged(float(running), threshold, seen, alpha)
    weights = (1 - alpha) ** np.arange(len(batches))[::-1]
    assert running == pytest.approx(np.average(batches, weights=weights), rel=1e-5)


def test_the_last_batch_weighs_most():
    rule, mirrored = EmaQuantile(0.5), EmaQuantile(0.5)
    for values in ([1, 1, 1], [9, 9, 9]):
        rule.see(step(values))
    for values in ([9, 9, 9], [1, 1, 1]):
        mirrored.see(step(values))
    assert rule.thresholds[0] > 5 > mirrored.thresholds[0]
    assert rule.thresholds[0] + mirrored.thresholds[0] == pytest.approx(10)


def test_layers_are_apart():
    rule = EmaQuantile(0.5)
    rule.see(step([1, 2, 3], layer=0))
    rule.see(step([10, 20, 30], layer=1))
    assert rule.thresholds == {0: 2.0, 1: 20.0}


@pytest.mark.parametrize("alpha", [0, 1, -0.1])
def test_weights_that_are_none_are_refused(alpha):
    with pytest.raises(SparsityError, match=f"^alpha {alpha} is not a weight: "):
        EmaQuantile(0.5, alpha)


@pytest.mark.parametrize("values", [[], [1, np.nan]])
def test_bad_batches_are_refused(values):
    with pytest.raises(SparsityError, match="^a batch is empty or has a value that is not a"):
        EmaQuantile(0.5).see(step(values))


def test_an_unknown_layer_and_another_sparsity_are_refused():
    rule = EmaQuantile(0.5)
    rule.see(step([1, 2]))
    assert rule.at(0.5) is rule
    with pytest.raises(SparsityError, match="^nncf's rule was not fitted to layer 3: fit it first"):
        rule.zeroed(step([1], layer=3))
    with pytest.raises(SparsityError, match=r"calibrated for 0\.5: calibrate another for 0\.6$"):
        rule.at(0.6)


@pytest.mark.peers
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.95, 1.0])
def test_it_is_what_nncf_does(share):
    torch = pytest.importorskip("torch", reason="torch is an optional extra")
    backend = pytest.importorskip(
        "nncf.experimental.torch.sparsify_activations.torch_backend",
        reason="NNCF is an optional extra",
    )
    theirs, ours = backend.ActivationsSparsifier(share), EmaQuantile(share)
    theirs.freeze = False
    for _ in range(5):  # from the seventh batch on, torch's powers differ in their last bit
        values = FfnStep(0, RANDOM.standard_normal((31, 20)).astype(np.float32))
        made = theirs(torch.from_numpy(values.a)).numpy()
        ours.see(values)
        assert float(theirs.running_threshold) == ours.thresholds[0]
        assert np.array_equal(made, ours.apply(values))
