# SPDX-License-Identifier: Apache-2.0
"""Recorded masks from files: every accepted form is the same masks, anything else one sentence."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.capture import load_use_lite
from sparsity.errors import CaptureError, MaskError
from sparsity.recorded import Recorded, from_capture, read_recorded

MASKS = np.random.default_rng(0).random((5, 11)) < 0.4


@pytest.mark.parametrize(
    "values",
    [
        MASKS,
        MASKS.astype(np.uint8),
        MASKS.astype(np.int32),
        np.packbits(MASKS, axis=1, bitorder="little"),
        np.asfortranarray(MASKS),
        MASKS * np.float16(-0.25),
    ],
    ids=["bool", "uint8", "int32", "bitmaps", "fortran", "float16 with -0.0"],
)
def test_forms(tmp_path, values):
    np.save(tmp_path / "masks.npy", values)
    np.savez_compressed(tmp_path / "masks.npz", values)
    for name in ("masks.npy", "masks.npz"):
        assert np.array_equal(read_recorded(tmp_path / name, 11).masks, MASKS)


def test_activations_are_kept(tmp_path):
    np.save(tmp_path / "masks.npy", MASKS * np.float32(3))
    found = read_recorded(tmp_path / "masks.npy", 11)
    assert found.activations is not None
    assert np.array_equal(found.activations, MASKS * 3)


def test_a_single_neuron_is_a_mask_and_no_bitmap(tmp_path):
    np.save(tmp_path / "masks.npy", np.array([[1], [0]], np.uint8))
    assert read_recorded(tmp_path / "masks.npy", 1).masks.tolist() == [[True], [False]]


@pytest.mark.parametrize(
    ("values", "neurons", "sentence"),
    [
        (MASKS, 12, "has 11 columns, the weights have 12 rows: .* or uint8 bitmaps of 2 bytes"),
        (MASKS, 10, "has 11 columns, the weights have 10 rows: "),
        (MASKS[0], 11, r"has shape \(11,\): save one layer, \[tokens, neurons\]"),
        (MASKS[None], 11, r"has shape \(1, 5, 11\): save one layer, \[tokens, neurons\]"),
        (MASKS[:0], 11, "has no token: record at least 2"),
        (MASKS * 2, 11, "has 2 for neuron .* at token .*: an integer mask is 0 and 1 only"),
        (np.full((2, 11), np.nan), 11, "has nan for neuron 0 at token 0: find out where"),
        (MASKS.astype("U1"), 11, "holds <U1: save bools or numbers"),
        (MASKS.astype(complex), 11, "holds complex128: save bools or numbers"),
        (np.full((2, 2), 8, np.uint8), 11, "marks neurons past the last of 11: give the bitmaps"),
    ],
)
def test_anything_else_is_refused(tmp_path, values, neurons, sentence):
    np.save(tmp_path / "masks.npy", values)
    with pytest.raises(MaskError, match=f"masks.npy {sentence}"):
        read_recorded(tmp_path / "masks.npy", neurons)


def test_objects_and_missing_files_are_refused(tmp_path):
    np.save(tmp_path / "masks.npy", np.array([[None]], object))
    for name in ("masks.npy", "none.npy"):
        with pytest.raises(MaskError, match=f"{name} cannot be read as a numpy array: "):
            read_recorded(tmp_path / name, 1)


@given(tokens=st.integers(2, 300), share=st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_a_split_has_each_token_once_in_order(tokens, share):
    masks = np.arange(tokens)[:, None] % 2 == 0
    parts = Recorded(masks, np.arange(tokens)[:, None]).split(share)
    seen, rest = parts
    assert len(seen.masks) >= 1
    assert len(rest.masks) >= 1
    assert abs(len(seen.masks) - share * tokens) <= 1
    kept = [part.activations for part in parts if part.activations is not None]
    assert np.concatenate(kept)[:, 0].tolist() == list(range(tokens))


@pytest.mark.parametrize("share", [0.0, 1.0, -0.5, float("nan")])
def test_a_split_that_leaves_a_part_empty_is_refused(share):
    with pytest.raises(MaskError, match=f"^share {share} of the tokens leaves one part empty: "):
        Recorded(MASKS).split(share)


def test_one_token_cannot_be_split():
    with pytest.raises(MaskError, match="^masks of 1 token: record at least 2, one to order by"):
        Recorded(MASKS[:1]).split(0.5)


def test_the_capture_is_a_recording():
    capture = load_use_lite()
    recorded = from_capture(capture, 1)
    assert recorded.masks.shape == (capture.tokens, 1536)
    assert recorded.masks.mean() == pytest.approx(1 - capture.sparsity(1))
    with pytest.raises(CaptureError, match=r"^no layer 2 in the capture: give 0 to 1$"):
        from_capture(capture, 2)
