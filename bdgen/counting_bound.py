# SPDX-License-Identifier: Apache-2.0
"""How few BDs nearly all masks need: there are more masks than ways to describe them with fewer.

Beside `bdgen.lower_bound`, which looks at one mask and at how large its lattices are. This one
looks at no mask but counts: some number of BDs can be chosen in so many ways that they cover at
most so many masks. It says nothing about a certain mask, which may be one of the few, but for
random ones it comes closer, as their large lattices cannot all be used at once.
"""

from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from math import factorial, lgamma, log, prod

import numpy as np
from numpy.typing import NDArray

from bdgen.errors import PlanError
from bdgen.lattices import reach

Floats = NDArray[np.float64]

_COUNTED = 64
"""Sizes up to which lattices are counted where they fit, not only bounded."""


def fewest_bds_of_most(
    rows: int, wanted: int, row_bytes: int, *, repeats: bool = True, share: float = 1e-6
) -> int:
    """BDs that an exact cover needs at least, for all but `share` of masks of `wanted` of `rows`.

    PlanError if there are fewer rows than wanted ones, `row_bytes` is no whole number of words, or
    the share is none.
    """
    if not 0 <= wanted <= rows:
        raise PlanError(f"{wanted} of {rows} rows cannot be wanted; give 0 to {rows}")
    if not 0.0 < share <= 1.0:
        raise PlanError(f"{share} is no share of masks; give one above 0, and at most 1")
    if not wanted:
        return 0
    known = np.log(np.maximum(lattice_counts(rows, row_bytes, repeats), 1e-300))
    masks = _log_factorial(rows) - _log_factorial(wanted) - _log_factorial(rows - wanted)
    fewest, enough = 1, wanted
    while fewest < enough:
        bds = (fewest + enough) // 2
        if _log_covers(known, wanted, bds) < masks + log(share):
            fewest = bds + 1
        else:
            enough = bds
    return fewest


@lru_cache(maxsize=16)
def lattice_counts(rows: int, row_bytes: int, repeats: bool) -> Floats:
    """How many lattices of each size a matrix has at most: entry s is for s rows, entry 0 is 0.

    Exact for single rows; a set of rows that several lattices have is counted for each.
    """
    known = reach(row_bytes)
    max_step, single = min(known.max_step, rows - 1), known.run_levels(1) + repeats
    of = [_shapes(rows, max_step, levels) for levels in range(single + 1)]
    counts = np.sum([_placed(rows, 1, *shapes) for shapes in of], axis=0)
    for run in range(2, (rows >> single) + 1):
        # runs in fewer levels are also single rows in one level more, with steps of a row
        if known.run_levels(run) + repeats == single:
            counts += _placed(rows, run, *of[single])
    return counts


def _placed(rows: int, run: int, bounds: Floats, spans: dict[int, Floats]) -> Floats:
    """How many lattices of each size some shapes make of runs of `run` rows."""
    times = np.arange(1, rows // run + 1)
    of = bounds[times] * (rows - run + 1)
    places = np.maximum(rows - run + 1 - np.arange(rows), 0)
    for size, span in spans.items():
        if size <= len(of):
            of[size - 1] = span @ places
    counts = np.zeros(rows + 1)
    counts[times * run] = of
    return counts


def _shapes(rows: int, max_step: int, levels: int) -> tuple[Floats, dict[int, Floats]]:
    """Shapes in so many levels: a bound by number of runs, and up to `_COUNTED` runs how many.

    The latter also by how far the last run is from the first. Levels in another order make no
    other shape.
    """
    steps = np.zeros(rows + 1)
    steps[2:] = np.minimum(max_step, (rows - 1) // np.arange(1, rows))
    bounds = np.zeros(rows + 1)
    bounds[1] = 1.0
    for level in range(1, levels + 1):
        longer = np.zeros(rows + 1)
        for times in range(2, rows + 1):
            longer[times::times] += steps[times] * bounds[1 : rows // times + 1]
        bounds = longer / level
    found = {}
    for factors in _factorings(min(rows, _COUNTED), 2, levels):
        spans = np.zeros(rows)
        spans[0] = 1.0 / prod(factorial(number) for number in Counter(factors).values())
        for times in factors:
            spans = _step(spans, times - 1, max_step)
        found[prod(factors)] = found.get(prod(factors), 0.0) + spans
    return bounds, found


def _step(spans: Floats, every: int, max_step: int) -> Floats:
    """Add a level: each span grows by `every` times a step of 1 to `max_step`."""
    lines = -(-len(spans) // every)
    padded = np.zeros((lines + max_step + 1, every))
    padded[max_step + 1 :].reshape(-1)[: len(spans)] = spans
    sums = np.cumsum(padded, axis=0)
    return (sums[max_step:-1] - sums[:lines]).reshape(-1)[: len(spans)]


def _factorings(most: int, least: int, number: int) -> Iterator[tuple[int, ...]]:
    """Ascending tuples of `number` factors of `least` or more with a product of at most `most`."""
    if not number:
        yield ()
        return
    for factor in range(least, most + 1):
        for others in _factorings(most // factor, factor, number - 1):
            yield (factor, *others)


def _log_covers(known: Floats, wanted: int, bds: int) -> float:
    """Logarithm of a bound on the sets of `bds` lattices that have `wanted` rows in all.

    The coefficient of x**wanted in (sum of counts x**size) ** bds / bds! is at most its value over
    x**wanted, for any x: the least is found by ternary search, as it is convex in log x.
    """
    sizes = np.arange(len(known))

    def value(log_x: float) -> float:
        terms = known + sizes * log_x
        most = terms.max()
        return float(bds * (most + log(np.exp(terms - most).sum())) - wanted * log_x)

    low, high = -60.0, 10.0
    for _ in range(60):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if value(left) < value(right):
            high = right
        else:
            low = left
    return value((low + high) / 2) - _log_factorial(bds)


def _log_factorial(number: int) -> float:
    """Natural logarithm of number!."""
    return lgamma(number + 1)
