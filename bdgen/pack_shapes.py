# SPDX-License-Identifier: Apache-2.0
"""Which shapes of lattice are worth looking for in a bitmap, for `bdgen.pack_best`.

A shape is a block of `run` rows, repeated `count` times a step apart; all that `outer` times, and
that `repeat` times, each a step apart. How many lattices of a shape there are is estimated from a
sample of steps, so that the largest shapes that the rows still hold are gathered first.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.lattices import Reach
from bdgen.pack_bits import Words, blocks, survey

RUNS = (1, 2, 3, 4, 6, 8, 12, 16)
"""Block lengths that are tried."""

MAX_COUNT = 48
"""Greatest `count` that is tried; longer ones are found as continuations."""

MAX_OUTER = 4
"""Greatest `outer` that is tried."""

SAMPLE = 64
"""How many steps are looked at for an estimate."""

FEW = 0.01
"""Share of all candidates of a size below which a shape is not worth the time."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How many rows, blocks and copies a lattice has; its steps are free."""

    run: int
    count: int
    outer: int
    repeat: int

    @property
    def rows(self) -> int:
        """Rows of a lattice of this shape."""
        return self.run * self.count * self.outer * self.repeat


class Offer(NamedTuple):
    """A shape and about how many lattices of it there are."""

    shape: Shape
    number: float


@lru_cache(maxsize=64)
def step_order(max_step: int) -> NDArray[np.int64]:
    """All steps in a fixed shuffled order, so that the first few are a fair sample."""
    return np.random.default_rng(max_step).permutation(max_step) + 1


def offers(words: Words, rows: int, known: Reach, repeats: bool) -> list[Offer]:
    """Estimate, for each shape that a BD can express, how many lattices are in the bitmap."""
    max_step = min(known.max_step, rows - 1)
    if max_step < 1:
        return []
    steps = step_order(max_step)[:SAMPLE]
    made: list[Offer] = []
    for run in RUNS:
        levels = known.run_levels(run)
        starts = blocks(words, run)
        found = survey(starts, steps, MAX_COUNT)
        if found[0, 0] < 2:
            break
        if levels:
            made += _offers_of_run(run, levels, found, rows, max_step, repeats)
    return made


def _offers_of_run(
    run: int, levels: int, found: NDArray[np.int64], rows: int, max_step: int, repeats: bool
) -> list[Offer]:
    """Estimates for blocks of `run` rows; `found[step, count - 1]` progressions were counted.

    With repeats, shapes have two, so that chains can be shared; odd progressions have none.
    """
    near = 1 - (1 - max_step / rows) ** 2  # of two random rows, how often a step can join them
    lines = found.mean(axis=0)
    pairs = (found * (found - 1) / 2).mean(axis=0) * near
    made = []
    for count in range(2, MAX_COUNT + 1):
        if not lines[count - 1]:
            break
        again = lines[count - 1] / rows
        if repeats:
            made.append(Offer(Shape(run, count, 1, 2), pairs[count - 1] * max_step))
        if not repeats or run * count % 2:
            made.append(Offer(Shape(run, count, 1, 1), lines[count - 1] * max_step))
        for outer in range(2, min(count, MAX_OUTER) + 1) if levels == 2 else ():
            nested = pairs[count - 1] * again ** (outer - 2)
            number = nested**2 / 2 * near if repeats else nested * max_step
            made.append(Offer(Shape(run, count, outer, 2 if repeats else 1), number))
    return made


def largest(offered: list[Offer], below: int, enough: float) -> list[Shape]:
    """The largest shapes of fewer than `below` rows of which there are `enough` lattices together.

    Where even all are not enough, the smallest are in. Shapes of which there are very few beside
    the others are left out. The largest shape is first.
    """
    offered = [offer for offer in offered if 3 <= offer.shape.rows < below]
    if not offered:
        return []
    offered.sort(key=lambda offer: -offer.shape.rows)
    numbers = list(accumulate(offer.number for offer in offered))
    last = next((nth for nth, number in enumerate(numbers) if number >= enough), len(offered) - 1)
    least = offered[last].shape.rows
    shortest: dict[tuple[int, int, int], Offer] = {}
    for offer in offered:
        if least <= offer.shape.rows < 2 * least:
            shortest[offer.shape.run, offer.shape.outer, offer.shape.repeat] = offer
    few = FEW * sum(offer.number for offer in shortest.values())
    return [shape for shape, number in shortest.values() if number >= few]
