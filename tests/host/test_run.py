# SPDX-License-Identifier: Apache-2.0
"""Options to a job: defaults that depend on the model, and refusals before any work."""

import numpy as np
import pytest

from host import run as runner
from host.errors import UsageError
from host.run import CLOCK_MHZ, DEFAULT_SPARSITY, Options, job


@pytest.fixture
def light(monkeypatch):
    """Weights of 4 bytes a row: what is asked here does not look at them."""
    monkeypatch.setattr(
        runner, "random_weights", lambda rows, row_bytes, seed: np.zeros((rows, 4), np.uint8)
    )


@pytest.mark.parametrize(
    ("model", "layer", "given", "sparsity"),
    [
        ("relullama-7b", 31, None, 0.554),
        ("relullama-7b", None, None, 0.743),
        ("prosparse-7b", 5, None, 0.8932),
        ("mistral-7b", 5, None, DEFAULT_SPARSITY),
        ("relullama-7b", 31, 0.25, 0.25),
    ],
)
def test_a_pattern_is_as_sparse_as_asked_or_as_published(light, model, layer, given, sparsity):
    options = Options(model=model, layer=layer, sparsity=given, mask="alternating", phase="dense")
    assert job(options).workload.sparsity == pytest.approx(sparsity, abs=1e-4)


def test_the_captured_model_takes_its_own_mask_by_default_and_a_pattern_on_request():
    real, token = job(Options()).workload, job(Options(layer=1, token=9)).workload
    assert (real.pattern, real.model) == ("model", "USE-lite")
    assert (real.wanted != token.wanted).any()
    striped = job(Options(layer=1, mask="alternating")).workload
    assert striped.sparsity == pytest.approx(DEFAULT_SPARSITY, abs=1e-3)
    np.testing.assert_array_equal(striped.weights, token.weights)


def test_rows_end_where_their_activations_leave_the_memtile(light):
    options = Options(rows=131_072, row_bytes=4)
    assert job(options).workload.activations.nbytes == 256 * 1024
    with pytest.raises(UsageError, match="give at most 131072 rows$"):
        job(Options(rows=131_073, row_bytes=4))


@pytest.mark.parametrize("clock_mhz", CLOCK_MHZ)
def test_clocks_are_taken_to_the_limits(clock_mhz):
    assert job(Options(clock_mhz=clock_mhz)).setup.clock == clock_mhz


def test_advance_is_called_as_often_as_the_bar_expects():
    made = job(Options(rows=8, row_bytes=64, phase="dense,host"))
    calls = []
    report = runner.run(made, lambda: calls.append(1))
    assert len(calls) == made.steps == 1 + 2 * (1 + len(runner.SWEEP))
    assert len(report.sweep) == 2 * len(runner.SWEEP)
    assert all(case.data_ok for case in (*report.cases, *report.sweep))
