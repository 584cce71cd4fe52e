# SPDX-License-Identifier: Apache-2.0
"""Run what was compiled, with data: the simulator's output beside what the sequence must give.

A lane gives its words back in the order in which they came, so a sequence that is right moves the
words that its sending BDs read, one after the other, to where its receiving BDs write.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from firmware_sim import Result, simulate
from iron_designs.compiler.build import Compiled
from iron_designs.dataflow import Dataflow
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import RuntimeSequence, ShimBd, Start

Words = NDArray[np.uint32]


def run(made: Compiled, seed: int = 0) -> tuple[bool, Result]:
    """Whether the simulator, given random buffers, gives the words that the sequence must give."""
    if made.sequence is None or made.insts is None:
        raise DesignError(f"{made.design.target} design has no sequence to run: give it one")
    random = np.random.default_rng(seed)
    buffers = [random.integers(0, 1 << 32, words, np.uint32) for words in made.sequence.arguments]
    wanted = expected(made.design, made.sequence, buffers)
    result = simulate(made.xclbin, made.insts, buffers, strict=True)
    right = all(np.array_equal(a, b) for a, b in zip(buffers, wanted, strict=True))
    return right, result


def expected(design: Dataflow, sequence: RuntimeSequence, buffers: Sequence[Words]) -> list[Words]:
    """Buffers after a sequence on forwarding lanes, from what they hold before it.

    Raises:
        DesignError: a design that does more than forward.
    """
    after = [buffer.copy() for buffer in buffers]
    sent: dict[str, list[Words]] = {}
    places: dict[str, list[tuple[int, NDArray[np.int64]]]] = {}
    back = _returns(design)
    for step in sequence.steps:
        if not isinstance(step, Start):
            continue
        task = step.task
        for turn in range(task.repeat + 1):
            for bd in task.bds:
                at = _indices(bd, turn)
                if task.fifo in back:
                    sent.setdefault(task.fifo, []).append(buffers[bd.arg][at])
                else:
                    places.setdefault(task.fifo, []).append((bd.arg, at))
    for down, up in back.items():
        words = np.concatenate([*sent.get(down, []), np.zeros(0, np.uint32)])
        start = 0
        for arg, at in places.get(up, []):
            after[arg][at] = words[start : start + at.size]
            start += at.size
    return after


def _returns(design: Dataflow) -> dict[str, str]:
    """The fifo that brings each sending fifo's words back."""
    if any(len(link.sources) + len(link.destinations) != 2 for link in design.links):
        raise DesignError("only designs that forward can be followed here, not split or join")
    if any(fifo.to_stream or any(fifo.from_stream) for fifo in design.fifos):
        raise DesignError("only designs that forward can be followed here, not n-d transforms")
    return {link.sources[0]: link.destinations[0] for link in design.links}


def _indices(bd: ShimBd, turn: int) -> NDArray[np.int64]:
    """Word numbers that a BD touches in its `turn`-th run, in order."""
    iteration, *dims = bd.dims
    at = np.full(1, bd.offset + turn % max(iteration.size, 1) * iteration.stride, np.int64)
    for dim in dims:
        at = (at[:, None] + np.arange(dim.size) * dim.stride).ravel()
    return at[: bd.words]
