# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from sparsity.errors import CaptureError
from sparsity.recording import naming
from sparsity.recording.record import Recorder

MASKS = np.random.default_rng(0).random((600, 19)) < 0.3


@pytest.fixture
def path(tmp_path):
    with Recorder(tmp_path / "r.npz", "m") as recorder:
        recorder.add(5, MASKS.astype(np.float32))
    return tmp_path / "r.npz"


def test_a_layer(path):
    np.testing.assert_array_equal(naming.recorded(f"{path}:5").masks, MASKS)


@pytest.mark.parametrize("token", [0, 1, 255, 256, 511, 512, 599])
def test_a_token(path, token):
    np.testing.assert_array_equal(naming.mask(f"{path}:5:{token}", 19), MASKS[token])


def test_the_first_token(path):
    np.testing.assert_array_equal(naming.mask(f"{path}:5"), MASKS[0])


def test_what_is_a_name(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    assert naming.is_named("r.npz:5")
    assert naming.is_named("r.npz:5:0")
    assert not naming.is_named("r.npz")
    assert not naming.is_named("r.npz:x")
    path.rename("a:5")
    assert not naming.is_named("a:5")


@pytest.mark.parametrize(
    ("ending", "message"),
    [
        ("", "names no layer of a recording: give FILE.npz:LAYER$"),
        (":4:0", "has no layer 4: choose from 5$"),
        (":5:600", "has tokens 0 to 599, not 600$"),
    ],
)
def test_what_is_not_there(path, ending, message):
    with pytest.raises(CaptureError, match=message):
        naming.mask(f"{path}{ending}")


def test_another_model(path):
    with pytest.raises(CaptureError, match="^layer 5 of .* has 19 neurons, the model has 20 rows"):
        naming.mask(f"{path}:5:0", 20)
    with pytest.raises(CaptureError, match=r"is one token: give .*r.npz:5 for all of them$"):
        naming.recorded(f"{path}:5:0")
