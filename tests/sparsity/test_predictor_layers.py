# SPDX-License-Identifier: Apache-2.0

import zipfile

import numpy as np
import pytest

from sparsity.bf16 import to_bf16
from sparsity.capture import load_use_lite
from sparsity.capture_use_lite import Chunk
from sparsity.errors import CaptureError
from sparsity.models.interface import FfnWeights
from sparsity.predictor.compare import compare
from sparsity.predictor.layers import FfnLayer, from_model, read_layer
from sparsity.predictor.predict import scores
from sparsity.predictor.quality import judge
from sparsity.predictor.signs import pack_signs
from sparsity.predictor.use_lite_up import ffn_inputs, package_layers, shipped_layer
from sparsity.recording.record import Recorder
from sparsity.tfjs_package import read_package
from sparsity.use_lite import load_model
from tests.sparsity.made_up_package import made_up_files, write_folder

MEASURED = {
    0: {"sparsity": 0.921, "precision": 0.972, "recall": 0.882, "missed": 0.296, "error": 0.333},
    1: {"sparsity": 0.928, "precision": 0.972, "recall": 0.864, "missed": 0.326, "error": 0.307},
}
"""USE-lite at alpha = 1 on the 512 tokens that are shipped."""


@pytest.fixture(scope="module", params=[0, 1])
def number(request):
    return request.param


@pytest.fixture(scope="module")
def layer(number):
    return shipped_layer(number)


def test_shipped_inputs_give_the_shipped_activations(layer, number):
    shipped = load_use_lite().activations[number].astype(np.float32)
    here = layer.activations()
    assert np.linalg.norm(here - shipped) < 0.01 * np.linalg.norm(shipped)
    assert np.mean((here > 0) != (shipped > 0)) < 0.002


def test_signs_at_alpha_1_on_real_text(layer, number):
    found = judge(scores(pack_signs(layer.first), layer.x) < 0, layer.activations(), layer.down)
    measured = dict(MEASURED[number])
    assert found.output_error == pytest.approx(measured.pop("error"), abs=0.002)
    for name, value in measured.items():
        assert getattr(found, name) == pytest.approx(value, abs=0.001)


def test_four_bits_skip_far_more_at_the_same_misses(layer):
    skipped = {
        point.predictor: point.quality.skipped
        for point in compare(layer, (), (0.02,), bits=(1, 3, 4))
    }
    assert skipped["sign x 3 bits"] > skipped["sign x sign"] + 0.18
    assert skipped["sign x 4 bits"] >= skipped["sign x 3 bits"]
    assert skipped["oracle"] > skipped["sign x 4 bits"]


def test_there_are_two_layers():
    with pytest.raises(CaptureError, match="^USE-lite has no layer 2: give 0 to 1$"):
        shipped_layer(2)


def test_a_package_gives_layers_of_any_text(tmp_path):
    package = read_package(write_folder(made_up_files(), tmp_path))
    model = load_model(package)
    layers = package_layers(package, 60)
    assert len(layers) == len(model.layers)
    assert 60 <= len(layers[0].x) < 120
    exact = layers[1].x @ model.layers[1].up.kernel + model.layers[1].up.bias
    np.testing.assert_allclose(layers[1].before_relu(), exact, rtol=1e-3, atol=1e-3)
    assert ffn_inputs(model, [Chunk("topic", 0, (1, 2))])[0].shape[0] == 2
    with pytest.raises(CaptureError, match="^0 tokens: give at least 1$"):
        package_layers(package, 0)
    with pytest.raises(CaptureError, match=r"^9+ tokens are asked for and the text has \d+: ask"):
        package_layers(package, 99_999_999)


ARRAYS = {
    "x": np.ones((5, 3), np.float32),
    "gate": np.full((4, 3), -1, np.float16),
    "up": to_bf16(np.full((4, 3), 2)),
    "down": np.ones((4, 3)),
}


def test_a_file_of_one_layer_or_of_several(tmp_path):
    np.savez(tmp_path / "one.npz", **ARRAYS, bias=np.full(4, 9.0))
    one = read_layer(tmp_path / "one.npz")
    assert (one.activations() == (9 - 3) * 6).all()
    both = {
        f"{name}_{at}": array * (at + 1)
        for at in (0, 1)
        for name, array in ARRAYS.items()
        if name != "up"
    }
    np.savez(tmp_path / "two.npz", **both)
    assert (read_layer(tmp_path / "two.npz", 1).x == 2).all()
    assert read_layer(tmp_path / "two.npz", 1).up is None
    with pytest.raises(CaptureError, match="has no layer 2: no array's name ends in _2$"):
        read_layer(tmp_path / "two.npz", 2)
    with pytest.raises(CaptureError, match="has no layer 1: "):
        read_layer(tmp_path / "one.npz", 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"down": None}, "lacks down: give x, gate or up, and down of this layer$"),
        ({"gate": None, "up": None, "x": None}, "lacks x and up: "),
        ({"x": np.ones((5, 4))}, r": x is \[5, 4\], first \[4, 3\], down \[4, 3\]: "),
        ({"x": np.ones(3)}, r": x is \[3\], not a matrix$"),
        ({"up": np.ones((4, 2))}, r": up is \[4, 2\], not \[4, 3\]$"),
        ({"bias": np.ones(3)}, r": bias is \[3\], not \[4\]$"),
        # A product of int8 arrays would wrap around and nobody would see it.
        ({"x": np.ones((5, 3), np.int8)}, ": x is int8: give floats, or bfloat16 bits as uint16$"),
        ({"down": np.full((4, 3), "a")}, ": down is <U1: give floats"),
        ({"gate": np.full((4, 3), np.nan)}, ": gate has a NaN or "),
        ({"up": np.full((4, 3), 1e300)}, ": up has a NaN or what float32 has no room for$"),
    ],
)
def test_files_that_do_not_fit_are_refused(tmp_path, change, message):
    arrays = {name: array for name, array in (ARRAYS | change).items() if array is not None}
    np.savez(tmp_path / "odd.npz", **arrays)
    with pytest.raises(CaptureError, match=message):
        read_layer(tmp_path / "odd.npz")


def test_what_is_no_npz_is_refused(tmp_path):
    for data in (b"PK\x03\x04 not really", b"{}"):
        (tmp_path / "no.npz").write_bytes(data)
        with pytest.raises(CaptureError, match=r"no\.npz cannot be read as an \.npz: File is not"):
            read_layer(tmp_path / "no.npz")
    with zipfile.ZipFile(tmp_path / "no.npz", "w") as archive:
        archive.writestr("x", b"no array")
    with pytest.raises(CaptureError, match=r"no\.npz cannot be read as an \.npz: "):
        read_layer(tmp_path / "no.npz")


def test_a_recording_is_no_layer(tmp_path):
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        recorder.add(0, np.ones((2, 3)))
    with pytest.raises(CaptureError, match=r"r\.npz is a recording, which has no weights"):
        read_layer(tmp_path / "r.npz")


class TwoLayers:
    name, layers, d, k, gated, activation, language = "two layers", 2, 3, 4, False, "relu", False

    def weights(self, layer):
        return FfnWeights(np.full((4, 3), layer, np.float32), ARRAYS["down"])

    def run(self, tokens, hook=None):
        x = np.zeros((len(tokens), 3), np.float32)
        for layer in range(2):
            x = np.full((len(tokens), 3), layer + 5, np.float32)
            if hook is not None:
                hook(layer, x, None, x, x)
        return x


def test_a_model_is_listened_to():
    (found,) = from_model(TwoLayers(), [1], [np.arange(4), np.arange(2)])
    assert isinstance(found, FfnLayer)
    assert found.x.tolist() == [[6.0] * 3] * 6
    assert (found.first == 1).all()


def test_a_layer_without_a_relu_is_said_to_be_taken_as_one():
    class Silu(TwoLayers):
        activation = "silu"

    for layer in from_model(Silu(), range(2), [np.arange(2)]):
        assert layer.name.endswith("its silu taken as a ReLU")
