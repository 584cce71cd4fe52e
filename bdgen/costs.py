# SPDX-License-Identifier: Apache-2.0
"""What ops and transfers cost a machine, as a planner sees it: no number of its own.

`host` fills these from the simulator's calibration files, so that another profile or device gives
another plan. All times are array cycles.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2.registers import SHIM_BD
from bdgen.target import Target


class Costs(NamedTuple):
    """Time of the controller per op, of a channel per word and BD, and DDR's words a cycle.

    `write` is a register write, and the fixed part of a block write, to which each word adds
    `block_write_word`. A push costs `push_busy` while its channel works, `push_idle` if not. The
    first token wait of a stream takes `wait_first` more than the others. A task takes
    `task` cycles to begin, a BD `next_bd` after another and a word `word`, on a channel; all lanes
    together move at most `words_a_cycle`, in and out again.
    """

    write: float
    block_write_word: float
    mask_write: float
    patch: float
    push_busy: float
    push_idle: float
    wait_first: float
    wait_each: float
    task: float
    next_bd: float
    word: float
    words_a_cycle: float


FREE = Costs(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0, float("inf"))
"""A machine whose controller takes no time: plans then balance rows alone."""


def starts(costs: Costs, target: Target, first_bds: int, patches: int) -> NDArray[np.float64]:
    """When each lane starts to move, if the first chain of each has `first_bds` BDs; cycles.

    Lanes start one after another, since one controller writes for all of them.
    """
    each = (
        costs.write / target.channels
        + (first_bds + 1) * (SHIM_BD.words * costs.block_write_word + patches * costs.patch)
        + 2 * (costs.push_idle + costs.mask_write)
    )
    return each * np.arange(1.0, len(target.lanes) + 1)


def behind(costs: Costs, begin: NDArray[np.float64]) -> NDArray[np.float64]:
    """Words that each lane is behind the first, when the last of them has begun at `begin[-1]`.

    Until DDR is busy a lane moves as fast as its channel can; from then on all share it.
    """
    active = np.arange(1, len(begin))
    rate = np.minimum(1.0 / costs.word, costs.words_a_cycle / active)
    return np.concatenate([[0.0], np.cumsum(rate * np.diff(begin))])


def lane_word(costs: Costs, lanes: int) -> float:
    """Cycles a word takes on a lane while all lanes move: the channel's rate, or DDR's share."""
    return max(costs.word, lanes / costs.words_a_cycle)
