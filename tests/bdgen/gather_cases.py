# SPDX-License-Identifier: Apache-2.0
"""What gathers are tried on: targets, matrices, masks and options, and what each plan must keep."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from gather_replay import GatherReplay
from hypothesis import strategies as st

from aie2.devices import NPU1, NPU2
from bdgen.costs import FREE, Costs
from bdgen.planner import Options, Plan
from bdgen.target import Matrix, Target

ROW_BYTES = (4, 12, 512, 1020, 1024, 2048, 4096, 4124, 4544, 5504, 8192, 10240, 22016)
"""4124 bytes are 1031 words, a prime: such rows use up all dimensions."""

OBJECT_BYTES = (512, 1024, 2048, 4096, 8192)
MOST_BYTES = 1 << 20
"""Of the matrices that `matrices` draws; `BYTES` has room for a step of 4 MiB."""

ROWS = (1, 7, 64, 65, 150, 333, 600, 1000, 1500)
PATTERNS = ("none", "one", "all", "contiguous", "alternating", "clustered", "bernoulli")
BYTES = np.random.default_rng(0).integers(0, 256, 5 << 20, np.uint8)

SLOW = Costs(40.0, 9.0, 60.0, 2500.0, 1500.0, 250.0, 900.0, 90.0, 30.0, 8.0, 1.0, 6.0)
"""A machine whose controller takes long for everything, and whose DDR six lanes keep busy."""

QUICK = Costs(2.0, 1.0, 3.0, 5.0, 4.0, 4.0, 10.0, 5.0, 10.0, 60.0, 1.1, 3.5)
"""A machine whose channels take long for each BD."""

CROSSING = (1 << 32) - 4096
"""A device address whose buffer crosses 4 GiB if it is longer than 4 KiB."""


@dataclass(frozen=True)
class Case:
    """A target, a matrix, a mask and how to plan."""

    target: Target
    matrix: Matrix
    mask: np.ndarray
    options: Options


def bernoulli(rows: int, density: float, seed: int) -> np.ndarray:
    """A mask of rows that are wanted independently of each other."""
    return np.random.default_rng(seed).random(rows) < density


def closed(mask: np.ndarray, max_gap: int) -> np.ndarray:
    """The mask with its gaps of up to `max_gap` rows filled: the plain way."""
    filled = mask.copy()
    rows = np.flatnonzero(mask)
    for low, high in pairwise(rows.tolist()):
        if high - low - 1 <= max_gap:
            filled[low:high] = True
    return filled


@st.composite
def masks(draw: st.DrawFn, rows: int) -> np.ndarray:
    """A mask of `rows` rows in one of the PATTERNS, more often in one that takes many BDs."""
    pattern = draw(st.sampled_from((*PATTERNS, *PATTERNS[-3:], *PATTERNS[-1:] * 3)))
    mask = np.zeros(rows, np.bool_)
    if pattern == "one":
        mask[draw(st.integers(0, rows - 1))] = True
    elif pattern == "all":
        mask[:] = True
    elif pattern == "alternating":
        mask[draw(st.integers(0, 3)) :: draw(st.integers(2, 5))] = True
    elif pattern == "contiguous":
        first = draw(st.integers(0, rows - 1))
        mask[first : draw(st.integers(first + 1, rows))] = True
    elif pattern == "clustered":
        clump = draw(st.sampled_from((2, 3, 5, 17, 40)))
        mask = np.repeat(bernoulli(rows // clump + 1, 0.4, draw(st.integers(0, 9999))), clump)
        mask = mask[:rows]
    elif pattern == "bernoulli":
        density = draw(st.sampled_from((0.5, 0.33, 0.2, 0.1, 0.03, 0.9)))
        mask = bernoulli(rows, density, draw(st.integers(0, 9999)))
    return mask


@st.composite
def matrices(draw: st.DrawFn) -> Matrix:
    """A matrix small enough to play; rows up to what fills many rounds of BDs."""
    row_bytes = draw(st.sampled_from(ROW_BYTES))
    rows = min(draw(st.sampled_from(ROWS)), MOST_BYTES // row_bytes)
    return Matrix(rows, row_bytes, *draw(st.sampled_from(((0, 1), (3, 2)))))


@st.composite
def targets(draw: st.DrawFn) -> Target:
    """Columns and channels of either device, in partitions as wide or wider."""
    device = draw(st.sampled_from((NPU1, NPU2)))
    columns = draw(st.sampled_from((1, 1, 1, 2, 3, device.columns)))
    partition = draw(st.none() | st.integers(columns, device.columns))
    return Target(
        device, columns, draw(st.sampled_from(OBJECT_BYTES)), draw(st.integers(1, 2)), partition
    )


@st.composite
def some_options(
    draw: st.DrawFn, efforts: tuple[str, ...] = ("runs", "fast", "fast"), **known: object
) -> Options:
    """Options of every kind, but for what is `known`."""
    addressing = draw(st.sampled_from(("patch", "absolute", "iteration")))
    chosen = {
        "effort": draw(st.sampled_from(efforts)),
        "addressing": addressing,
        "addresses": (CROSSING, 0xFFFF_0000_0000) if addressing == "absolute" else None,
        "max_gap": draw(st.sampled_from((0, 0, 1, 3, 8))),
        "repeats": draw(st.sampled_from((True, True, False))),
        "costs": draw(st.sampled_from((FREE, SLOW, QUICK))),
        "ramp": draw(st.sampled_from(((3, 6), (), (1,), (2, 4), (20, 1, 5)))),
        "together": draw(st.sampled_from((0, 1, 2, 3, 8))),
    }
    return Options(**(chosen | known))  # type: ignore[arg-type]


@st.composite
def cases(draw: st.DrawFn, **known) -> Case:
    """Everything that a planner may be asked for."""
    matrix = draw(matrices())
    return Case(draw(targets()), matrix, draw(masks(matrix.rows)), draw(some_options(**known)))


def weights(matrix: Matrix) -> np.ndarray:
    """Bytes of a matrix whose rows all differ from another, if they have more than a few bytes."""
    return BYTES[: matrix.nbytes]


def play(case: Case, words: np.ndarray, output_bytes: int, *, eager: bool) -> GatherReplay:
    """Replay a stream on buffers of a case; what nobody writes stays 0xEE."""
    matrix = case.matrix
    buffers = {
        matrix.arg: weights(matrix),
        matrix.output_arg: np.full(output_bytes, 0xEE, np.uint8),
    }
    given = case.options.addresses
    addresses = dict(zip(buffers, given, strict=True)) if given else None
    return GatherReplay(case.target, buffers, addresses, eager=eager).run(words)


def check(case: Case, plan: Plan) -> GatherReplay:
    """Play a plan, with data moving late and early, and hold it to all that it promises."""
    matrix = case.matrix
    listed, moved = plan.rows(), plan.bytes_moved
    tail = case.target.object_bytes if plan.padding_bytes else 0
    late, early = (play(case, plan.words, moved + tail, eager=eager) for eager in (False, True))
    island = closed(case.mask, case.options.max_gap)
    assert np.array_equal(np.sort(listed), np.flatnonzero(island))
    expected = weights(matrix).reshape(-1, matrix.row_bytes)[listed].reshape(-1)
    for played in (late, early):
        assert np.array_equal(played.buffers[matrix.output_arg][:moved], expected)
        reads = played.reads[matrix.arg].reshape(matrix.rows, -1)
        assert np.array_equal(reads, np.broadcast_to(island[:, None], reads.shape))
        scratch = played.reads[matrix.output_arg]
        assert not scratch[: moved // 4].any()
        assert 4 * scratch.sum() == plan.padding_bytes
        played.check_counts(plan.counts)
    assert (plan.rows_moved, moved) == (island.sum(), island.sum() * matrix.row_bytes)
    return late
