# SPDX-License-Identifier: Apache-2.0
"""What a run is about: the mask that a workload claims must be the one its activations make."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdgen.bitmap import unpack
from bdgen.errors import PlanError
from bdgen.scan import scan
from host.errors import UsageError
from host.workload import captured, masked, matrix_shape, random_weights
from sparsity.bf16 import from_bf16
from sparsity.errors import CaptureError, MaskError, ShapeError


def scanned(work):
    """The rows that bdgen finds wanted, which the workload works out without it."""
    return unpack(scan(work.activations, dtype=work.dtype), work.rows)


@pytest.mark.parametrize(("layer", "token"), [(0, 0), (1, 0), (1, 511)])
def test_the_captured_layer_is_real_sparse_and_scanned_as_it_says(layer, token):
    work = captured(layer, token)
    assert (work.rows, work.row_bytes, work.model) == (1536, 1024, "USE-lite")
    assert 0.5 < work.sparsity < 1
    np.testing.assert_array_equal(scanned(work), work.wanted)
    np.testing.assert_array_equal(work.values() != 0, work.wanted)
    assert np.isfinite(from_bf16(work.weights.view(np.uint16))).all()


def test_captured_weights_can_be_a_host_buffer_and_stay_as_shipped():
    captured(0, 0).weights[:] = 0
    assert captured(0, 0).weights.any()


def test_tokens_and_layers_differ():
    first, token, layer = captured(0, 0), captured(0, 1), captured(1, 0)
    assert (first.weights == token.weights).all()
    assert (first.wanted != token.wanted).any()
    assert (first.weights != layer.weights).any()


@pytest.mark.parametrize(("layer", "token"), [(2, 0), (-1, 0), (0, 512), (0, -1)])
def test_a_layer_or_token_that_was_not_captured_is_refused(layer, token):
    with pytest.raises(CaptureError, match="^no (layer|token) -?[0-9]+ in the capture: give 0 to"):
        captured(layer, token)


@given(
    rows=st.integers(1, 300),
    sparsity=st.floats(0, 1),
    pattern=st.sampled_from(["random", "alternating", "contiguous"]),
    seed=st.integers(0, 99),
)
def test_activations_of_a_pattern_are_zero_just_where_it_wants_no_row(
    rows, sparsity, pattern, seed
):
    weights = np.zeros((rows, 4), np.uint8)
    work = masked(weights, "made up", pattern, sparsity, seed)
    assert (work.pattern, work.rows, work.dtype) == (pattern, rows, "bf16")
    np.testing.assert_array_equal(scanned(work), work.wanted)
    assert np.isfinite(work.values()).all()
    assert work.weights is weights


@pytest.mark.parametrize(
    "values",
    [[True, False, True], [1, 0, 1], [0.5, -0.0, -1e-7]],
    ids=["bools", "integers", "activations"],
)
def test_a_mask_file_wants_the_rows_it_says(tmp_path, values):
    path = tmp_path / "mask.npy"
    np.save(path, np.array(values))
    work = masked(random_weights(3, 4, 0), "made up", str(path), 0.9, 0)
    assert work.wanted.tolist() == [True, False, True]
    assert work.pattern == str(path)
    np.testing.assert_array_equal(scanned(work), work.wanted)


def test_what_is_neither_pattern_nor_file_is_refused_with_both(tmp_path):
    with pytest.raises(UsageError, match="^--mask 'zebra' is neither one of .* nor a file that"):
        masked(random_weights(3, 4, 0), "made up", "zebra", 0.9, 0)
    with pytest.raises(MaskError, match="has 0 entries, the model has 3 rows"):
        empty = tmp_path / "empty.txt"
        empty.touch()
        masked(random_weights(3, 4, 0), "made up", str(empty), 0.9, 0)


def test_random_weights_are_finite_small_and_of_their_seed():
    weights = random_weights(50, 12, 3)
    assert weights.shape == (50, 12)
    values = from_bf16(weights.view(np.uint16))
    assert np.isfinite(values).all()
    assert (np.abs(values) < 2).all()
    assert len(np.unique(weights, axis=0)) == 50
    np.testing.assert_array_equal(weights, random_weights(50, 12, 3))
    assert (weights != random_weights(50, 12, 4)).any()


def test_a_shape_is_a_model_or_sizes_and_the_captured_model_by_default():
    assert matrix_shape(None, None, None) == ("USE-lite", 1536, 1024)
    assert matrix_shape("relullama_7b", None, None) == ("ReluLLaMA-7B", 11008, 8192)
    assert matrix_shape(None, 10, 4) == ("10x4", 10, 4)


@pytest.mark.parametrize(
    ("rows", "row_bytes"), [(0, 4), (-1, 4), (1, 0), (1, -4), (1, 2), (1, 1022), (1, None)]
)
def test_sizes_that_no_bd_moves_are_refused(rows, row_bytes):
    with pytest.raises(UsageError):
        matrix_shape(None, rows, row_bytes)


def test_a_matrix_ends_below_4_gib():
    assert matrix_shape(None, (1 << 30) - 1, 4)[1] == (1 << 30) - 1
    with pytest.raises(
        PlanError, match="^a matrix of 4294967296 bytes is not below the 4294967296"
    ):
        matrix_shape(None, 1 << 30, 4)


@pytest.mark.parametrize("model", ["", "gpt-5"])
def test_an_unknown_model_is_refused_with_a_list(model):
    with pytest.raises(
        ShapeError, match=f"^no model '{model}': choose from ReluLLaMA-7B, .*USE-lite"
    ):
        matrix_shape(model, None, None)
