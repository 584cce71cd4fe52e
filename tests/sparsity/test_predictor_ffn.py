# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from sparsity.errors import ShapeError
from sparsity.predictor.ffn import SparseFfn, predicted, run
from sparsity.predictor.predict import SignPredictor

K, D = 150, 70


@pytest.fixture
def ffn():
    random = np.random.default_rng(0)
    gate, up, down = random.standard_normal((3, K, D)).astype(np.float32)
    return SparseFfn(gate, down, up, random.standard_normal(K).astype(np.float32))


@pytest.fixture
def x():
    return np.random.default_rng(1).standard_normal(D).astype(np.float32)


def dense(ffn, x, keep=None):
    """Plain code in float64; rows not kept count as zero."""
    opened = np.maximum(ffn.first.astype(np.float64) @ x + (0 if ffn.bias is None else ffn.bias), 0)
    a = opened if ffn.up is None else opened * (ffn.up.astype(np.float64) @ x)
    return (a if keep is None else a * keep) @ ffn.down


def variants(ffn):
    return [ffn, SparseFfn(ffn.first, ffn.down, ffn.up), SparseFfn(ffn.first, ffn.down)]


def test_without_a_prediction_it_is_the_dense_ffn(ffn, x):
    for each in variants(ffn):
        step = run(each, x)
        np.testing.assert_allclose(step.output, dense(each, x), rtol=1e-3, atol=2e-2)
        assert not step.skip_first.any()


def test_skipping_the_exact_zeros_changes_no_bit(ffn, x):
    for each in variants(ffn):
        whole = run(each, x)
        assert (run(each, x, whole.skip_up).output == whole.output).all()


@pytest.mark.parametrize("bits", [1, 4])
def test_only_rows_wrongly_skipped_are_lost(ffn, x, bits):
    for each in variants(ffn):
        step = predicted(each, x, SignPredictor.of(each.first, bits=bits))
        wanted = dense(each, x, ~step.skip_first)
        np.testing.assert_allclose(step.output, wanted, rtol=1e-3, atol=2e-2)
        assert 0 < step.skip_first.sum() < K


def test_what_is_skipped_only_grows_from_step_to_step(ffn, x):
    for each in variants(ffn):
        step = predicted(each, x, SignPredictor.of(each.first))
        assert (step.skip_first <= step.skip_up).all()
        assert (step.skip_up <= step.skip_down).all()
        assert step.skip_up.sum() > step.skip_first.sum()


def test_actual_sparsity_is_the_union_of_prediction_and_closed_gates(ffn, x):
    step = predicted(ffn, x, SignPredictor.of(ffn.first))
    closed = ffn.first.astype(np.float64) @ x + ffn.bias <= 0
    assert (step.skip_up == step.skip_first | closed).all()


def test_without_it_later_steps_read_what_was_predicted(ffn, x):
    predictor = SignPredictor.of(ffn.first)
    step = predicted(ffn, x, predictor, use_actual=False)
    assert (step.skip_first == step.skip_up).all()
    assert (step.skip_first == step.skip_down).all()
    assert (step.output == predicted(ffn, x, predictor).output).all()


def test_fused_is_unfused_to_the_bit(ffn, x):
    for each in variants(ffn):
        predictor = SignPredictor.of(each.first, alpha=1.1)
        fused = predicted(each, x, predictor, fused=True)
        plain = predicted(each, x, predictor)
        for name in ("output", "skip_first", "skip_up", "skip_down"):
            assert (getattr(fused, name) == getattr(plain, name)).all()


@pytest.mark.parametrize("fused", [False, True])
def test_a_nan_of_the_gate_reaches_the_output(ffn, x, fused):
    ffn.first[3] = np.nan
    step = run(ffn, x, fused=fused)
    assert np.isnan(step.output).all()
    assert not step.skip_up[3]


@pytest.mark.parametrize("bias", [np.ones(1, np.float32), np.ones(K)])
def test_a_bias_that_does_not_fit_is_refused(ffn, x, bias):
    for up in (ffn.up, None):
        with pytest.raises(ShapeError, match="^bias of .* give float32 "):
            run(SparseFfn(ffn.first, ffn.down, up, bias), x)


def test_matrices_of_different_shapes_are_no_ffn(ffn):
    with pytest.raises(
        ShapeError, match=r"^down is \[.*\], the first matrix \[.*\]: give all with"
    ):
        SparseFfn(ffn.first, ffn.down.T, ffn.up)
    with pytest.raises(ShapeError, match="^up is "):
        SparseFfn(ffn.first, ffn.down, ffn.up[1:])


def test_a_skipped_row_with_a_bias_is_zero_too():
    ones = np.ones((2, 4), np.float32)
    ffn = SparseFfn(ones, ones, bias=np.full(2, 9, np.float32))
    step = run(ffn, np.ones(4, np.float32), np.array([True, False]), use_actual=False)
    assert step.output.tolist() == [13.0] * 4
