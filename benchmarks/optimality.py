# SPDX-License-Identifier: Apache-2.0
"""How far packing is from the fewest BDs: thousands of small masks with the minimum proved.

    python benchmarks/optimality.py --instances 2000 --seed 1 [--jobs 2] [--json FILE]

Bernoulli, alternating and clustered masks of 8 to 64 rows, of rows with one level and with two,
with and without repeats; then whole layers, where only bounds are known. Ends with status 1 if an
effort beats the proved minimum or a lower bound exceeds it, which would prove one of them wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from bdgen.bitmap import pack as to_bitmap
from bdgen.counting_bound import fewest_bds_of_most
from bdgen.lower_bound import fewest_bds
from bdgen.pack import EFFORTS, Effort, pack
from sparsity.masks import bernoulli

sys.path.insert(0, str(Path(__file__).parents[1]))  # `tests` is no installed package

from tests.bdgen import exact_cover

CASES = ((8192, False), (8192, True), (2048, False), (2048, True))
"""Row bytes (one level, two levels), and whether chains repeat."""

LAYER_ROWS, LAYER_SEEDS = 11008, 3
LAYER_DENSITIES = (0.1, 0.33)


@dataclass(frozen=True, slots=True)
class Solved:
    """One mask packed one way for one kind of row, and the fewest BDs that there can be."""

    row_bytes: int
    repeats: bool
    kind: str
    effort: str
    """An effort of `pack`, or "bound" for the lower bound."""
    bds: int
    fewest: int

    @property
    def wrong(self) -> bool:
        """Whether this contradicts the proof."""
        return self.bds > self.fewest if self.effort == "bound" else self.bds < self.fewest


@dataclass(frozen=True, slots=True)
class Gap:
    """Ratios of an effort to the minimum, over masks that want a row at least."""

    row_bytes: int
    repeats: bool
    kind: str
    effort: str
    instances: int
    mean_ratio: float
    worst_ratio: float
    optimal_share: float


@dataclass(frozen=True, slots=True)
class Layer:
    """Rows per BD of whole layers: what efforts reach, and what no effort can exceed."""

    row_bytes: int
    repeats: bool
    density: float
    reached: dict[Effort, float]
    at_most: float
    """By the lower bound of these masks."""
    nearly_all_at_most: float
    """By counting, for all but a millionth of masks of as many rows."""
    bound_seconds: float


def solve(instance: exact_cover.Instance) -> list[Solved]:
    """Pack one mask in all ways, and prove the minimum."""
    wanted, bitmap = exact_cover.as_bits(instance.mask), to_bitmap(instance.mask)
    rows = len(instance.mask)
    solved = []
    for row_bytes, repeats in CASES:
        fewest = exact_cover.fewest_bds(wanted, row_bytes, repeats=repeats)
        made = {
            effort: len(pack(bitmap, rows, row_bytes, effort=effort, repeats=repeats))
            for effort in EFFORTS
        }
        made["bound"] = fewest_bds(bitmap, rows, row_bytes, repeats=repeats, work=10**7)
        solved += [
            Solved(row_bytes, repeats, instance.kind, effort, bds, fewest)
            for effort, bds in made.items()
        ]
    return solved


def gaps(solved: Iterable[Solved], kind: str | None = None) -> list[Gap]:
    """Summarise by kind of row and effort; of one kind of mask, or of all."""
    groups: dict[tuple[int, bool, str], list[Solved]] = {}
    for one in solved:
        if one.fewest and kind in (None, one.kind):
            groups.setdefault((one.row_bytes, one.repeats, one.effort), []).append(one)
    found = []
    for (row_bytes, repeats, effort), members in groups.items():
        ratios = np.array([one.bds / one.fewest for one in members])
        worst = ratios.min() if effort == "bound" else ratios.max()
        found.append(
            Gap(
                row_bytes,
                repeats,
                kind or "all",
                effort,
                len(members),
                float(ratios.mean()),
                float(worst),
                float((ratios == 1.0).mean()),
            )
        )
    return found


def layer(row_bytes: int, repeats: bool, density: float, seeds: int) -> Layer:
    """Pack and bound Bernoulli masks of a 7B layer; means over seeds."""
    reached: dict[Effort, float] = dict.fromkeys(EFFORTS, 0.0)
    at_most = nearly = seconds = 0.0
    for seed in range(seeds):
        mask = bernoulli(LAYER_ROWS, 1 - density, seed)
        wanted, bitmap = int(mask.sum()), to_bitmap(mask)
        for effort in EFFORTS:
            made = pack(bitmap, LAYER_ROWS, row_bytes, effort=effort, repeats=repeats)
            reached[effort] += wanted / len(made) / seeds
        begun = time.perf_counter()
        at_most += wanted / fewest_bds(bitmap, LAYER_ROWS, row_bytes, repeats=repeats) / seeds
        seconds += (time.perf_counter() - begun) / seeds
        most = fewest_bds_of_most(LAYER_ROWS, wanted, row_bytes, repeats=repeats)
        nearly += wanted / most / seeds
    return Layer(row_bytes, repeats, density, reached, at_most, nearly, seconds)


def gap_table(found: Sequence[Gap]) -> Table:
    """Draw the gaps."""
    table = Table(title="BDs over the fewest (bound: under)")
    for name in ("row bytes", "repeats", "masks", "effort", "mean", "worst", "optimal"):
        table.add_column(name, justify="left" if name in ("masks", "effort") else "right")
    for gap in found:
        table.add_row(
            f"{gap.row_bytes:,}",
            "yes" if gap.repeats else "no",
            f"{gap.instances:,} {gap.kind}",
            gap.effort,
            f"{gap.mean_ratio:.3f}",
            f"{gap.worst_ratio:.2f}",
            f"{gap.optimal_share:.1%}",
            end_section=gap.effort == "bound",
        )
    return table


def layer_table(layers: Sequence[Layer]) -> Table:
    """Draw the layers."""
    table = Table(title=f"Rows per BD, Bernoulli masks of {LAYER_ROWS:,} rows")
    names = ("row bytes", "repeats", "density", *EFFORTS, "at most", "of nearly all", "bound s")
    for name in names:
        table.add_column(name, justify="right")
    for one in layers:
        table.add_row(
            f"{one.row_bytes:,}",
            "yes" if one.repeats else "no",
            f"{one.density:.0%}",
            *(f"{one.reached[effort]:.2f}" for effort in EFFORTS),
            f"{one.at_most:.2f}",
            f"{one.nearly_all_at_most:.2f}",
            f"{one.bound_seconds:.2f}",
        )
    return table


def solve_all(seed: int, count: int, jobs: int) -> list[Solved]:
    """Solve `count` instances in `jobs` processes; the order does not depend on them."""
    instances = exact_cover.instances(seed, count)
    if jobs == 1:
        return [one for instance in instances for one in solve(instance)]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        return [one for solved in pool.map(solve, instances, chunksize=8) for one in solved]


def main(arguments: Sequence[str] | None = None) -> int:
    """Solve, summarise, print; 1 if anything contradicts a proof."""
    parser = argparse.ArgumentParser(description="How far packing is from the fewest BDs.")
    parser.add_argument("--instances", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--json", type=Path, help="write all figures, by kind of mask too")
    options = parser.parse_args(arguments)
    console = Console()
    solved = solve_all(options.seed, options.instances, options.jobs)
    found = gaps(solved)
    console.print(gap_table(found))
    layers = [
        layer(row_bytes, repeats, density, LAYER_SEEDS)
        for density in LAYER_DENSITIES
        for row_bytes, repeats in CASES
    ]
    console.print(layer_table(layers))
    if options.json:
        by_kind = [gap for kind in exact_cover.KINDS for gap in gaps(solved, kind)]
        figures = {
            "seed": options.seed,
            "instances": options.instances,
            "gaps": [asdict(gap) for gap in found + by_kind],
            "layers": [asdict(one) for one in layers],
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    wrong = [one for one in solved if one.wrong]
    for one in wrong:
        console.print(f"contradicts the proof: {one}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
