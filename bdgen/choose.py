# SPDX-License-Identifier: Apache-2.0
"""Which way of moving the rows is fastest on a machine: `auto`, and what `plan --explain` tells.

Every way that is considered is planned for the mask at hand and forecast with the machine's costs,
so that another profile or device gives another choice. This takes milliseconds: it is done once for
a layer and its usual density, not for each token.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from bdgen.bitmap import Bitmap, pack, popcount
from bdgen.forecast import Forecast
from bdgen.pen import Counts
from bdgen.planner import AddressingName, Options, Planner
from bdgen.target import Matrix, Target

RAMPS = ((2, 4), (3, 6), (8,))
GAPS = (0, 1, 2, 4, 8)
TOGETHER = (0, 1, 2, 4)


@dataclass(frozen=True, slots=True)
class Way:
    """One way of moving the wanted rows, and what it is forecast to take.

    `gathers` is false for the dense transfer: all rows, whatever is wanted. `rows` are moved in
    `lattices` BDs, `counts` is what the stream holds.
    """

    gathers: bool
    target: Target
    options: Options
    rows: int
    lattices: int
    counts: Counts
    forecast: Forecast


@dataclass(frozen=True, slots=True)
class Choice:
    """The fastest way, the dense one, and all that were considered, in order."""

    best: Way
    dense: Way
    considered: tuple[Way, ...]


def choose(
    target: Target,
    matrix: Matrix,
    bitmap: Bitmap,
    options: Options | None = None,
    *,
    unproven: bool = False,
) -> Choice:
    """Choose how to move the rows of a bitmap: one option after the other, keeping what is faster.

    Starts from `options` and keeps their effort, costs and addresses. With `unproven`, addressing
    that has not been tried on silicon is considered too.
    """
    start = options or Options()
    all_rows = pack(np.ones(matrix.rows, np.bool_))
    dense = replace(start, effort="runs", addressing="patch", addresses=None, max_gap=0)
    considered = [
        _way(False, target, matrix, all_rows, dense),
        _way(True, target, matrix, bitmap, start),
    ]
    best = considered[1]
    seen = {(way.target, way.options) for way in considered[1:]}
    for vary in (_addressings(start, unproven), _columns(target), _ramps(), _together(), _gaps()):
        for change in vary:
            target, options = _changed(best, change)
            if (target, options) not in seen:
                seen.add((target, options))
                considered.append(_way(True, target, matrix, bitmap, options))
                best = min(best, considered[-1], key=lambda known: known.forecast.total)
    everything = popcount(bitmap) == matrix.rows
    if everything or considered[0].forecast.total <= best.forecast.total:
        best = considered[0]
    return Choice(best, considered[0], tuple(considered))


Change = dict[str, Any]


def _addressings(start: Options, unproven: bool) -> list[Change]:
    names: list[AddressingName] = ["iteration"] if unproven else []
    if start.addresses is not None:
        names = ["absolute"]
    return [{"addressing": name} for name in names]


def _columns(target: Target) -> list[Change]:
    return [{"columns": count} for count in (target.columns // 2, target.columns // 4) if count]


def _ramps() -> list[Change]:
    return [{"ramp": ramp} for ramp in RAMPS]


def _together() -> list[Change]:
    return [{"together": columns} for columns in TOGETHER]


def _gaps() -> list[Change]:
    return [{"max_gap": gap} for gap in GAPS]


def _changed(way: Way, change: Change) -> tuple[Target, Options]:
    """A way's target and options with one thing changed, unless that cannot help."""
    if "max_gap" in change and way.forecast.limit == "transfer":
        return way.target, way.options
    if "columns" in change:
        partition = way.target.header_columns
        return replace(way.target, **change, partition_columns=partition), way.options
    return way.target, replace(way.options, **change)


def _way(gathers: bool, target: Target, matrix: Matrix, bitmap: Bitmap, options: Options) -> Way:
    """Plan and forecast."""
    planner = Planner(target, matrix, options)
    plan = planner.plan_bitmap_into(planner.buffer(), bitmap)
    return Way(
        gathers,
        target,
        options,
        plan.rows_moved,
        plan.lattices,
        plan.counts,
        planner.forecast(plan),
    )
