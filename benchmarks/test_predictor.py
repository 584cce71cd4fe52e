# SPDX-License-Identifier: Apache-2.0
"""The sign predictor and the sparse products of one layer, beside a memcpy of what they read.

The limit is reading once: the packed sign bits for a prediction, the kept rows for a product. A
memcpy also writes, so a ratio below 1 is possible. Times depend on whether the bytes stay in the
last cache from call to call; `test_predict_whole_model` has the sign bits of all layers, which do
not fit most. Threads are numba's, all there are; `test_predict_on_one_thread` has one.
"""

import numba
import numpy as np
import pytest

from sparsity.predictor import kernels
from sparsity.predictor.gemv import down_times, gated_rows, rows_times
from sparsity.predictor.planes import make_planes
from sparsity.predictor.predict import minus_sums_plainly, skip
from sparsity.predictor.signs import SignBits, words_for

SHAPES = {
    "7b": (4096, 11008),
    "13b": (5120, 13824),
    "opt-6.7b": (4096, 16384),
    "falcon-7b": (4544, 18176),
}
LAYERS_13B = 40
SKIPPED = 0.92
"""What Table I of the SparseInfer paper implies for ProSparse-Llama2-13B."""


def random_signs(d, k):
    words = np.random.default_rng(0).integers(0, 1 << 64, (k, words_for(d)), np.uint64)
    if d % 64:
        words[:, -1] &= np.uint64((1 << d % 64) - 1)
    return SignBits(words, d)


def random_x(d):
    return np.random.default_rng(1).standard_normal(d).astype(np.float32)


def prediction(name, bits=1):
    d, k = SHAPES[name]
    signs, planes, out = random_signs(d, k), make_planes(random_x(d), bits), np.empty(k, np.bool_)
    return signs, lambda: skip(signs, planes, 1.0, out)


@pytest.mark.parametrize("name", SHAPES)
def test_predict(against_memcpy, name):
    signs, call = prediction(name)
    against_memcpy(call, signs.words)


@pytest.mark.parametrize("name", ["7b", "13b"])
def test_predict_on_one_thread(against_memcpy, name):
    signs, call = prediction(name)
    threads = numba.get_num_threads()
    numba.set_num_threads(1)
    try:
        against_memcpy(call, signs.words)
    finally:
        numba.set_num_threads(threads)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_predict_at_bits(against_memcpy, bits):
    signs, call = prediction("13b", bits)
    against_memcpy(call, signs.words)


@pytest.mark.parametrize("name", ["7b", "13b"])
def test_predict_by_numpy_alone(against_memcpy, name):
    d, k = SHAPES[name]
    signs, planes = random_signs(d, k), make_planes(random_x(d))
    against_memcpy(lambda: minus_sums_plainly(signs, planes), signs.words)


def test_predict_whole_model(against_memcpy):
    """All layers of 13B in one call: 337.5 MiB of sign bits."""
    d, k = SHAPES["13b"]
    signs, planes = random_signs(d, k * LAYERS_13B), make_planes(random_x(d))
    out = np.empty(signs.rows, np.bool_)
    against_memcpy(lambda: kernels.skip_flags(signs.words, planes.words, d // 2, out), signs.words)


@pytest.mark.parametrize("name", ["7b", "13b"])
def test_signs_of_an_input(against_memcpy, name):
    x = random_x(SHAPES[name][0])
    against_memcpy(lambda: make_planes(x), x)


@pytest.mark.parametrize("skipped", [0.0, SKIPPED])
@pytest.mark.parametrize("step", ["first", "gated", "down"])
def test_sparse_product(against_memcpy, step, skipped):
    """7B's projections from bfloat16 rows; the memcpy is of the rows that are kept."""
    d, k = SHAPES["7b"]
    random = np.random.default_rng(2)
    weights = random.integers(0x3C00, 0x3F80, (k, d), np.uint16)
    x, a = random_x(d), random.standard_normal(k).astype(np.float32)
    flags = random.random(k) < skipped
    kept = np.ascontiguousarray(weights[~flags])
    bias = np.full(k, 1e9, np.float32)  # every gate that is computed opens
    up = weights[::-1].copy() if step == "gated" else weights
    calls = {
        "first": (lambda: rows_times(weights, x, flags), kept),
        "gated": (lambda: gated_rows(weights, up, x, bias, flags), np.repeat(kept, 2, axis=0)),
        "down": (lambda: down_times(weights, a, flags), kept),
    }
    against_memcpy(*calls[step])
