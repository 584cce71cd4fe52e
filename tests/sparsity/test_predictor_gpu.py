# SPDX-License-Identifier: Apache-2.0
"""The CUDA kernels: in numba's simulator everywhere, and on a GPU where there is one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from sparsity.errors import SparsityError
from sparsity.predictor import gpu
from sparsity.predictor.planes import make_planes
from sparsity.predictor.signs import pack_signs

ROOT = Path(__file__).parents[2]


def has_gpu():
    try:
        gpu.cuda()
    except SparsityError:
        return False
    return True


def run_check(extra_environment, *arguments):
    done = subprocess.run(
        [sys.executable, "benchmarks/predictor_gpu.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **extra_environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_kernels_equal_numpy_in_the_simulator():
    found = run_check({"NUMBA_ENABLE_CUDASIM": "1"}, "--small")["small"]
    assert found["equal_to_numpy"]
    assert found["rows_error"] < 1e-6
    assert found["down_error"] < 1e-6


@pytest.mark.skipif(not has_gpu(), reason="no NVIDIA GPU here")
def test_kernels_equal_numpy_on_a_gpu():
    assert run_check({}, "--small")["small"]["equal_to_numpy"]


@pytest.mark.skipif(has_gpu(), reason="an NVIDIA GPU is here")
def test_without_a_gpu_one_sentence_says_so():
    with pytest.raises(SparsityError, match="use sparsity.predictor.predict$"):
        gpu.GpuSigns.of(pack_signs(np.ones((2, 2))))


def test_halves_keep_the_order_of_signs():
    words = pack_signs(np.array([[1.0] * 33 + [-1.0]])).words
    assert gpu.halves(words).tolist() == [[0, 2]]
    assert gpu.halves(make_planes(-np.ones(3), 2).words).shape == (2, 2)
