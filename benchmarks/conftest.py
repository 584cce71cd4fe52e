# SPDX-License-Identifier: Apache-2.0
"""Times as ratios: what a call costs beside a memcpy of the same bytes, in the same run.

The ratio is in each benchmark's `extra_info` and in a table at the end of the run. Ratios travel
between machines better than microseconds do; nothing here asserts a time.
"""

from timeit import Timer

import numpy as np
import pytest

ROUNDS = 40
ROUND_SECONDS = 0.004
lines = pytest.StashKey[list[str]]()


@pytest.fixture
def against_memcpy(benchmark, request):
    """Call with a function and an array: benchmark the one, return its ratio to copying the other.

    Short rounds of both take turns, so that a change of clock or a busy neighbour hits both; the
    fastest round of each counts.
    """

    def measure(function, source):
        benchmark(function)
        target = np.empty_like(source)
        timers = [Timer(function), Timer(lambda: np.copyto(target, source))]
        best = [float("inf"), float("inf")]
        loops = [max(1, int(ROUND_SECONDS / timer.timeit(1))) for timer in timers]
        for _ in range(ROUNDS):
            for which, timer in enumerate(timers):
                best[which] = min(best[which], timer.timeit(loops[which]) / loops[which])
        call_us, memcpy_us = (seconds * 1e6 for seconds in best)
        ratio = call_us / memcpy_us
        benchmark.extra_info.update(
            ratio_to_memcpy=round(ratio, 2), call_us=call_us, memcpy_us=memcpy_us
        )
        request.config.stash.setdefault(lines, []).append(
            f"{request.node.name:40} {source.nbytes:>10,} bytes {call_us:10.2f} us "
            f"memcpy {memcpy_us:10.2f} us  ratio {ratio:6.2f}"
        )
        return ratio

    return measure


@pytest.fixture
def say(benchmark, request):
    """Call with named figures: they go into `extra_info` and under the table of ratios."""

    def note(**figures):
        benchmark.extra_info.update(figures)
        shown = "  ".join(f"{name} {value:,.4g}" for name, value in figures.items())
        request.config.stash.setdefault(lines, []).append(f"{'':6}{shown}")

    return note


def pytest_terminal_summary(terminalreporter, config):
    """Print the ratios that this run measured."""
    measured = config.stash.get(lines, [])
    if measured:
        terminalreporter.section("ratios to memcpy")
        for line in measured:
            terminalreporter.line(line)
