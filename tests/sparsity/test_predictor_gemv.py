# SPDX-License-Identifier: Apache-2.0
import numba
import numpy as np
import pytest

from sparsity.bf16 import from_bf16, to_bf16
from sparsity.errors import ShapeError
from sparsity.predictor.gemv import down_times, gated_rows, rows_times

SHAPES = [(1, 1), (7, 5), (64, 64), (65, 300), (200, 513), (131, 1024)]


def made(k, d, kind=np.float32, seed=0):
    random = np.random.default_rng(seed)
    weights = random.standard_normal((k, d)).astype(np.float32)
    return (
        to_bf16(weights) if kind == np.uint16 else weights,
        random.standard_normal(d).astype(np.float32),
        random.standard_normal(k).astype(np.float32),
        random.random(k) < 0.7,
    )


def exact(weights):
    return (from_bf16(weights) if weights.dtype == np.uint16 else weights).astype(np.float64)


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
@pytest.mark.parametrize(("k", "d"), SHAPES)
def test_products_are_those_of_the_kept_rows(k, d, kind):
    weights, x, a, skip = made(k, d, kind)
    np.testing.assert_allclose(
        rows_times(weights, x, skip), np.where(skip, 0, exact(weights) @ x), atol=2e-4
    )
    np.testing.assert_allclose(
        down_times(weights, a, skip), (a * ~skip) @ exact(weights), atol=2e-4
    )


@pytest.mark.parametrize("kind", [np.float32, np.uint16])
@pytest.mark.parametrize(("k", "d"), SHAPES)
def test_skipping_leaves_the_bits_of_kept_rows(k, d, kind):
    weights, x, a, skip = made(k, d, kind)
    none = np.zeros(k, bool)
    kept = rows_times(weights, x, none)
    assert (rows_times(weights, x, skip) == np.where(skip, 0, kept)).all()
    without = np.where(skip, np.float32(0), a)
    assert (down_times(weights, without, none) == down_times(weights, a, skip)).all()


def test_columns_are_summed_in_the_order_of_rows():
    """Floats that only this order sums so: 1e8 + 1 - 1e8 is 0 in float32, 1 in another order."""
    weights = np.repeat(np.array([[1e8], [1], [-1e8], [3], [2], [1]], np.float32), 300, axis=1)
    ones = np.ones(6, np.float32)
    assert set(down_times(weights, ones, np.zeros(6, bool)).tolist()) == {6.0}
    assert set(down_times(weights, ones, np.array([0, 0, 0, 0, 0, 1], bool)).tolist()) == {5.0}


@pytest.mark.parametrize("d", [100, 513, 2048])
def test_threads_do_not_change_a_bit(d):
    weights, x, a, skip = made(300, d)
    many = rows_times(weights, x, skip), down_times(weights, a, skip)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        one = rows_times(weights, x, skip), down_times(weights, a, skip)
    finally:
        numba.set_num_threads(threads)
    assert all((left == right).all() for left, right in zip(many, one, strict=True))


def test_a_skipped_row_is_not_read():
    weights, x, a, skip = made(9, 8)
    weights[skip] = np.nan
    bias = np.zeros(9, np.float32)
    for product in (rows_times(weights, x, skip), down_times(weights, a, skip)):
        assert np.isfinite(product).all()
    assert np.isfinite(gated_rows(weights, weights, x, bias, skip)[0]).all()


def test_an_up_row_behind_a_closed_gate_is_not_read():
    gate, x, bias, skip = made(50, 16)
    opened = gate.astype(np.float64) @ x + bias
    up = np.where((opened > 0)[:, None], gate, np.float32(np.nan))
    product, closed = gated_rows(gate, up, x, bias, skip)
    wanted = np.where(skip | (opened <= 0), 0, opened * (gate.astype(np.float64) @ x))
    np.testing.assert_allclose(product, wanted, rtol=1e-4, atol=1e-5)
    assert (closed == skip | (opened <= 0)).all()


def test_no_row_and_all_rows_skipped():
    weights, x, a, _ = made(10, 4)
    assert not rows_times(weights, x, np.ones(10, bool)).any()
    assert not down_times(weights, a, np.ones(10, bool)).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": np.zeros((3, 4))}, r"^weights of float64 \[3, 4\] are not supported: "),
        ({"weights": np.zeros(4, np.float32)}, r"^weights of float32 \[4\] are not supported: "),
        ({"x": np.zeros(5, np.float32)}, r"^input of float32 \[5\]: give float32 \[4\]$"),
        ({"x": np.zeros(4)}, r"^input of float64 \[4\]: give float32 \[4\]$"),
        ({"skip": np.zeros(4, bool)}, r"^flags of bool \[4\]: give bools \[3\]$"),
        ({"skip": np.zeros(3, np.uint8)}, r"^flags of uint8 \[3\]: give bools \[3\]$"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    given = {
        "weights": np.zeros((3, 4), np.float32),
        "x": np.zeros(4, np.float32),
        "skip": np.zeros(3, bool),
    } | change
    with pytest.raises(ShapeError, match=message):
        rows_times(**given)


def test_activations_that_do_not_fit_are_refused():
    with pytest.raises(ShapeError, match=r"^activations of float32 \[4\]: give float32 \[3\]$"):
        down_times(np.zeros((3, 4), np.float32), np.zeros(4, np.float32), np.zeros(3, bool))
