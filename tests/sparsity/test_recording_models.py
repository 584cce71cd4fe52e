# SPDX-License-Identifier: Apache-2.0
import importlib

import numpy as np
import pytest

from sparsity.errors import CaptureError, PackageError
from sparsity.models.interface import FfnWeights
from sparsity.recording import hugging_face
from sparsity.recording.models import check_layers, cut, magnitudes, record, thresholds
from sparsity.recording.reading import read
from sparsity.recording.record import Recorder


class Model:
    """Two layers whose activations are made from the token numbers."""

    name, layers, d, k, gated, activation, language = "made up", 2, 4, 11, False, "relu", False

    def weights(self, layer):
        return FfnWeights(up=np.zeros((11, 4), np.float32), down=np.zeros((11, 4), np.float32))

    def run(self, tokens, hook=None):
        for layer in range(self.layers):
            a = np.stack([self.activation_of(layer, token) for token in tokens])
            if hook is not None:
                hook(layer, a[:, :4], None, a, a)
        return np.zeros((len(tokens), 3), np.float32)

    def activation_of(self, layer, token):
        chance = np.random.default_rng((layer, int(token)))
        return np.maximum(chance.standard_normal(self.k), 0).astype(np.float32)


def test_recording_a_model(tmp_path):
    model, windows = Model(), [np.arange(5), np.arange(3, 10)]
    steps = []
    with Recorder(tmp_path / "r.npz", model.name) as recorder:
        record(model, windows, recorder, done=lambda: steps.append(1))
    found = read(tmp_path / "r.npz")
    assert len(steps) == 2
    assert found.tokens == 12
    assert found.about.texts == (5, 7)
    for layer in found.layers:
        expected = [model.activation_of(layer, token) for token in np.concatenate(windows)]
        np.testing.assert_array_equal(found.masks(layer), np.stack(expected) != 0)


def test_thresholds_of_one_run_make_the_masks_of_the_next(tmp_path):
    model = Model()
    limits = thresholds(magnitudes(model, [np.arange(200)]), 0.8)
    with Recorder(tmp_path / "r.npz", model.name, thresholds=limits) as recorder:
        record(model, [np.arange(200, 400)], recorder)
    found = read(tmp_path / "r.npz")
    for layer in (0, 1):
        assert found.statistics(layer).sparsity == pytest.approx(0.8, abs=0.04)
        assert found.layer(layer).threshold == limits[layer]


def test_some_layers(tmp_path):
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        record(Model(), [np.arange(4)], recorder, layers=[1])
    assert read(tmp_path / "r.npz").layers == (1,)
    assert set(magnitudes(Model(), [np.arange(4)], [0])) == {0}
    with pytest.raises(CaptureError, match="^no layer 2: the model has 0 to 1$"):
        check_layers(2, [0, 2])
    with pytest.raises(CaptureError, match="^sparsity 1 leaves nothing active: "):
        thresholds({}, 1)


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 997, 1000])
@pytest.mark.parametrize("size", [1, 8, 512])
def test_windows(count, size):
    tokens = np.arange(1000)
    found = cut(tokens, count, size)
    taken = np.concatenate(found)
    assert len(taken) == count
    assert (np.diff(taken) > 0).all()  # none twice, in order
    assert all(len(window) == size for window in found[:-1])
    assert all((np.diff(window) == 1).all() for window in found)
    if 10 * size < count < 990:
        assert taken[-1] > 900  # spread over the whole text


def test_too_little_text():
    with pytest.raises(CaptureError, match="^9 tokens are asked for and the text has 8: "):
        cut(np.arange(8), 9, 4)
    with pytest.raises(CaptureError, match="^0 tokens in windows of 4: "):
        cut(np.arange(8), 0, 4)


def test_without_transformers(monkeypatch):
    original = importlib.import_module

    def without(name, *rest):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise ImportError(name)
        return original(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    with pytest.raises(PackageError, match=r"pip install 'sparsebd\[peers\]'`$"):
        hugging_face.load("anything")
