# SPDX-License-Identifier: Apache-2.0
"""What planning costs from 1,000 to 1,000,000 rows: a table, and a plot for the documentation.

    python benchmarks/growth.py [--most 1000000] [--plot docs/planner-cost.png]

Random masks, 90 % sparse, rows of 2 KiB on Phoenix's four columns; from activation vector to
finished words, the fastest of several calls.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from aie2.devices import NPU1
from bdgen.planner import Options, Planner
from bdgen.target import Matrix, Target
from sparsity.masks import bernoulli

ROW_BYTES, SPARSITY = 2048, 0.9
STEPS = (1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
EFFORTS = ("runs", "fast")
ROUNDS, SECONDS = 5, 2.0


def cost_us(effort: str, rows: int) -> float:
    """Time of one plan, the fastest of several."""
    target, matrix = Target(NPU1, NPU1.columns, 1024), Matrix(rows, ROW_BYTES)
    planner = Planner(target, matrix, Options(effort=effort))  # type: ignore[arg-type]
    vector = np.where(bernoulli(rows, SPARSITY, 0), 1, 0).astype(np.float16)
    buffer, best, ends, calls = planner.buffer(), float("inf"), time.perf_counter() + SECONDS, 0
    while calls < ROUNDS or time.perf_counter() < ends:
        begun = time.perf_counter()
        planner.plan_into(buffer, vector)
        best = min(best, time.perf_counter() - begun)
        calls += 1
    return best * 1e6


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print the table, draw the plot."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--most", type=int, default=STEPS[-1])
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args(arguments)
    steps = [rows for rows in STEPS if rows <= options.most]
    found = {effort: [cost_us(effort, rows) for rows in steps] for effort in EFFORTS}
    print("rows       " + "".join(f"{effort:>12} us {'ns a row':>10}" for effort in EFFORTS))
    for nth, rows in enumerate(steps):
        cells = (f"{found[e][nth]:15,.1f} {1e3 * found[e][nth] / rows:10.2f}" for e in EFFORTS)
        print(f"{rows:<11,}" + "".join(cells))
    if options.plot:
        draw(steps, found, options.plot)
    return 0


def draw(steps: Sequence[int], found: dict[str, list[float]], path: Path) -> None:
    """Time over rows, both in decades."""
    figure, axes = plt.subplots(figsize=(6, 4), layout="constrained")
    for effort, times in found.items():
        axes.loglog(steps, times, marker="o", label=effort)
    axes.set(xlabel="rows of the matrix", ylabel="µs from vector to words")
    axes.grid(True, which="both", alpha=0.3)
    axes.legend(title="effort")
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
