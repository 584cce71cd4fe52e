# SPDX-License-Identifier: Apache-2.0
"""A sample of the fuzzer's cases; `make fuzz` runs 100,000 of them."""

from tests.fuzz.workers import run

SEED = 1
SAMPLE = 300


def test_damaged_inputs_give_typed_errors_or_clean_results():
    summary = run(SEED, SAMPLE, jobs=2)
    assert not summary.findings
    assert summary.cases == SAMPLE
    assert summary.simulated > SAMPLE // 10
