# SPDX-License-Identifier: Apache-2.0
"""What simulating costs from 100 to 1,000,000 BDs: a table, and a plot for the documentation.

    python benchmarks/linear.py [--most 1000000] [--plot docs/simulator-cost.png]

A `host` gather of 256-byte rows, every second one wanted at random, over Phoenix's four columns: a
BD carries about 475 bytes in and takes 19 events. Ends with status 1 if cost grows faster than BDs.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from aie2.devices import NPU1
from bdgen import program
from bdgen.bitmap import pack
from bdgen.planner import Options
from bdgen.target import Matrix, Target
from firmware_sim import read_configuration, simulate
from iron_designs.shipped import select
from sparsity.masks import bernoulli

OBJECT_BYTES, ROW_BYTES, SPARSITY = 1024, 256, 0.5
TARGET = Target(NPU1, NPU1.columns, OBJECT_BYTES)
ROWS_PER_BD = 3.7
"""Rows of the matrix for each BD that the packer makes of this pattern."""
STEPS = (100, 300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000)
ROUNDS, SECONDS = 5, 4.0
"""Calls at each size, at least, and for how long they go on: the fastest counts."""
STEEPEST = 1.1
"""Exponent of cost over BDs, from `LONG` on, that still counts as linear."""
LONG = 10_000
"""BDs from which on the fixed cost of a call no longer shows."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Best of several calls at one size."""

    bds: int
    call_s: float
    """All of `simulate`."""
    engine_s: float
    """The event loop."""
    cycles: int

    @property
    def ns_per_bd(self) -> float:
        """Wall time of the call per BD."""
        return self.call_s / self.bds * 1e9

    @property
    def cycles_per_second(self) -> float:
        """Simulated cycles per second of wall time."""
        return self.cycles / self.call_s


def measure(bds: int) -> Cost:
    """Best call at about `bds` BDs; buffers are touched before, so that no page is new."""
    rows = round(bds * ROWS_PER_BD)
    matrix = Matrix(rows, ROW_BYTES)
    runs = Options(effort="runs")
    made = program.host(TARGET, matrix, pack(bernoulli(rows, SPARSITY, 0)), runs)
    configuration = read_configuration(select(NPU1.name, NPU1.columns, OBJECT_BYTES).read())
    buffers = [np.ones(size, np.uint8) for size in (matrix.nbytes, made.output_bytes + 65536)]
    best, rounds, begun = None, 0, time.perf_counter()
    while rounds < ROUNDS or time.perf_counter() - begun < SECONDS:
        rounds += 1
        started = time.perf_counter()
        result = simulate(configuration, made.words, buffers)
        taken = time.perf_counter() - started
        if best is None or taken < best.call_s:
            best = Cost(result.counts.bds, taken, result.wall_s, result.cycles)
    assert best is not None
    return best


def exponent(costs: Sequence[Cost]) -> float:
    """Slope of log cost over log BDs, from `LONG` on; 0 where there are not two such sizes."""
    long_ones = [cost for cost in costs if cost.bds >= LONG / 2]
    if len(long_ones) < 2:
        return 0.0
    logs = np.log([[cost.bds, cost.call_s] for cost in long_ones])
    return float(np.polyfit(logs[:, 0], logs[:, 1], 1)[0])


def draw(costs: Sequence[Cost], path: Path) -> None:
    """Wall time, and wall time per BD, over BDs."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4))
    bds = [cost.bds for cost in costs]
    left.loglog(bds, [cost.call_s * 1e3 for cost in costs], "o-", label="simulate()")
    left.loglog(bds, [cost.engine_s * 1e3 for cost in costs], "s--", label="event loop alone")
    left.set_ylabel("wall time, ms")
    right.loglog(bds, [cost.ns_per_bd for cost in costs], "o-", label="simulate()")
    engine = [cost.engine_s / cost.bds * 1e9 for cost in costs]
    right.loglog(bds, engine, "s--", label="event loop alone")
    right.set_ylabel("wall time per BD, ns")
    for axes in (left, right):
        axes.set_xlabel("BDs")
        axes.grid(True, which="major", alpha=0.3)
        axes.legend()
    last = costs[-1]
    figure.suptitle(
        f"Cost of simulating: {last.ns_per_bd:,.0f} ns per BD and "
        f"{last.cycles_per_second / 1e9:.2f} G simulated cycles per second at {last.bds:,} BDs; "
        f"exponent {exponent(costs):.2f}"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, draw; 1 if cost grows faster than BDs."""
    parser = argparse.ArgumentParser(description="Cost of simulating over BDs.")
    parser.add_argument("--most", type=int, default=STEPS[-1], help="largest number of BDs")
    parser.add_argument("--plot", type=Path, default=Path("docs/simulator-cost.png"))
    options = parser.parse_args(arguments)
    print("| BDs | wall ms | event loop ms | ns per BD | simulated cycles per s |\n|-|-|-|-|-|")
    measure(STEPS[0])  # compiles, if nothing has yet
    costs: list[Cost] = []
    for bds in (step for step in STEPS if step <= options.most):
        cost = measure(bds)
        costs.append(cost)
        print(
            f"| {cost.bds:,} | {cost.call_s * 1e3:.2f} | {cost.engine_s * 1e3:.2f} | "
            f"{cost.ns_per_bd:,.0f} | {cost.cycles_per_second:.2e} |",
            flush=True,
        )
    slope = exponent(costs)
    print(f"\ncost grows with BDs to the power {slope:.2f} from {LONG:,} on")
    draw(costs, options.plot)
    print(f"wrote {options.plot}")
    return int(slope > STEEPEST)


if __name__ == "__main__":
    sys.exit(main())
