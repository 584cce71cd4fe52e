# SPDX-License-Identifier: Apache-2.0
from itertools import pairwise

import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsity.errors import ShapeError, SparsityError
from sparsity.predictor.planes import make_planes, quantise
from sparsity.predictor.predict import (
    SignPredictor,
    minus_sums,
    minus_sums_plainly,
    scores,
    skip,
)
from sparsity.predictor.signs import SignBits, pack_signs


def made(rows, width, seed=0):
    random = np.random.default_rng(seed)
    weights = random.standard_normal((rows, width)).astype(np.float32)
    return weights, random.standard_normal(width).astype(np.float32)


def by_sign(weights, x, bits):
    """Plain code: sums of the magnitudes of positive and of negative products."""
    products = np.where(weights < 0, -1, 1) * quantise(x, bits)
    return products.clip(min=0).sum(axis=1), -products.clip(max=0).sum(axis=1)


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 200),
    st.integers(1, 8),
    st.floats(0.5, 3).map(lambda a: round(a, 4)),
    st.integers(0, 99),
)
def test_rows_are_skipped_where_alpha_positive_is_below_negative(width, bits, alpha, seed):
    weights, x = made(13, width, seed)
    signs, planes = pack_signs(weights), make_planes(x, bits)
    positive, negative = by_sign(weights, x, bits)
    wanted = [
        round(alpha * 10_000) * p < n * 10_000
        for p, n in zip(positive.tolist(), negative.tolist(), strict=True)
    ]
    assert skip(signs, planes, alpha).tolist() == wanted
    assert (minus_sums(signs, planes) == minus_sums_plainly(signs, planes)).all()
    assert scores(signs, x, bits)[0] == pytest.approx((positive - negative) / (positive + negative))


@pytest.mark.parametrize("width", [2560, 3072, 4096, 4544, 5120])
@pytest.mark.parametrize("percent", [97, 100, 101, 103])
def test_it_is_listing_1_at_every_width_of_a_real_model(width, percent):
    """Listing 1 itself needs a multiple of 1024: it drops 14 of Falcon's words, 16 of Phi-2's."""
    weights, x = made(64, width)
    count = ((weights < 0) ^ (x < 0)).sum(axis=1)
    wanted = count * 100 - (width - count) * percent > 0
    assert (skip(pack_signs(weights), make_planes(x), percent / 100) == wanted).all()


def test_a_tie_is_not_skipped():
    weights = np.array([[1, 1, -1, -1], [1, -1, -1, -1]], np.float32)
    assert skip(pack_signs(weights), make_planes(np.ones(4))).tolist() == [False, True]


def test_a_larger_alpha_skips_a_subset():
    weights, x = made(500, 256)
    signs, planes = pack_signs(weights), make_planes(x)
    flags = [skip(signs, planes, alpha) for alpha in (0.9, 1.0, 1.03, 1.2, 1000.0)]
    assert all((less <= more).all() for more, less in pairwise(flags))
    assert len({int(each.sum()) for each in flags}) == 5
    assert not flags[-1].any()


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 300])
def test_every_number_of_rows_and_of_threads_gives_the_same(rows):
    weights, x = made(rows, 100)
    signs, planes = pack_signs(weights), make_planes(x)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        alone = skip(signs, planes)
    finally:
        numba.set_num_threads(threads)
    positive, negative = by_sign(weights, x, 1)
    assert (alone == (positive < negative)).all()
    assert (skip(signs, planes) == alone).all()


def test_a_predictor_is_kept_of_weights_and_called_with_inputs():
    weights, x = made(40, 96)
    predictor = SignPredictor.of(weights, alpha=1.1, bits=4)
    assert (predictor(x) == skip(pack_signs(weights), make_planes(x, 4), 1.1)).all()


def test_flags_go_where_they_are_wanted():
    weights, x = made(40, 96)
    out = np.ones(40, bool)
    assert skip(pack_signs(weights), make_planes(x), out=out) is out
    assert not out.all()


@pytest.mark.parametrize("call", [skip, minus_sums, minus_sums_plainly])
def test_what_does_not_fit_is_refused(call):
    signs = SignBits(np.zeros((3, 2), np.uint64), 100)
    with pytest.raises(
        ShapeError, match="^an input of 99 values does not fit weights of 100 a row"
    ):
        call(signs, make_planes(np.ones(99)))
    with pytest.raises(ShapeError, match="^2 tokens at once: give the planes of one$"):
        call(signs, make_planes(np.ones((2, 100))))


@pytest.mark.parametrize("out", [np.empty(4, bool), np.empty(3, np.uint8)])
def test_flags_that_do_not_fit_are_refused(out):
    signs = SignBits(np.zeros((3, 2), np.uint64), 100)
    with pytest.raises(ShapeError, match=r"^flags of 3 rows go into bools \[3\], not "):
        skip(signs, make_planes(np.ones(100)), out=out)


@pytest.mark.parametrize("alpha", [-0.1, 1000.1, float("nan")])
def test_an_alpha_out_of_range_is_refused(alpha):
    signs = SignBits(np.zeros((3, 2), np.uint64), 100)
    with pytest.raises(SparsityError, match="^alpha .* is no share: give 0 to 1000, "):
        skip(signs, make_planes(np.ones(100)), alpha)
