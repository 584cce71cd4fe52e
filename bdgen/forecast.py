# SPDX-License-Identifier: Apache-2.0
"""How long a plan will take: a model of the controller and the lanes, chain by chain.

Coarser than `firmware_sim`, and some thousand times as fast: it follows the rounds that
`bdgen.chain_words` writes, with `bdgen.costs`, and is what plans are compared with one another by.
"""

from typing import NamedTuple

import numpy as np

from aie2.registers import SHIM_BD
from bdgen.bd_words import Addressing, RowShape
from bdgen.chain_words import Layout
from bdgen.chains import (
    CHAIN_COUNT,
    CHAIN_FIRST,
    CHAIN_REPEAT,
    END_CHAIN,
    FIRST_CHAIN,
    NBYTES,
    PAD,
    PADDING,
    Floats,
    Ints,
)
from bdgen.compiled import entry, inner
from bdgen.costs import Costs, lane_word
from bdgen.lattices import COUNT, OUTER, RUN, Table
from bdgen.target import WORD_BYTES

BD_WORDS = SHIM_BD.words
REWRITTEN_WORDS = BD_WORDS - SHIM_BD.field("d0_stepsize").word
PATCH, ABSOLUTE, ITERATED = (int(mode) for mode in Addressing)


class Forecast(NamedTuple):
    """What a stream will take, in cycles.

    `total` is until its last token is taken. `controller` is the work of all ops, one after
    another; `transfer` what the lanes need for the bytes and BDs if they never wait; `start` when
    the last lane begins to move.
    """

    total: float
    controller: float
    transfer: float
    start: float

    @property
    def limit(self) -> str:
        """What limits: "transfer" or "controller"."""
        return "transfer" if self.transfer >= self.controller else "controller"


def forecast(
    layout: Layout, shape: RowShape, costs: Costs, pieces: Table, chains: Ints, lanes: Ints
) -> Forecast:
    """Forecast a deal (`bdgen.chains`) that is written in a layout."""
    used = int((lanes[:, END_CHAIN] > lanes[:, FIRST_CHAIN]).sum())
    word = lane_word(costs, max(used, 1))
    out = np.zeros(4)
    ends = np.zeros((len(lanes), 2))
    _follow(layout, shape, costs, word, pieces, chains, lanes, ends, out)
    return Forecast(*out.tolist())


@inner
def _chain_time(
    shape: RowShape, costs: Costs, word: float, pieces: Table, chains: Ints, lanes: Ints,
    lane: int, chain: int,
) -> float:  # fmt: skip
    """Time of a chain that is not kept waiting."""
    if chains[chain, CHAIN_REPEAT] == PADDING:
        return lanes[lane, PAD] // WORD_BYTES * word + costs.next_bd
    first, count = chains[chain, CHAIN_FIRST], chains[chain, CHAIN_COUNT]
    rows = 0
    for one in range(first, first + count):
        rows += pieces[one, RUN] * pieces[one, COUNT] * pieces[one, OUTER]
    once = rows * shape.row_words * word + count * costs.next_bd
    return once * chains[chain, CHAIN_REPEAT]


@inner
def _word_time(costs: Costs, ends: Floats, lane: int, begin: float) -> float:
    """Cycles a word takes on a lane from `begin` on, if the lanes that then move share DDR."""
    moving = 1
    for other in range(len(ends)):
        if other != lane and max(ends[other, 0], ends[other, 1]) > begin:
            moving += 1
    return max(costs.word, moving / costs.words_a_cycle)


@inner
def _bd_time(layout: Layout, costs: Costs, nth: int, bds: int) -> float:
    """Controller time of writing, and patching, the BDs of a column in round `nth`."""
    if layout.addressing == ITERATED and nth >= 2:
        return bds * (2 * costs.write + (1 + REWRITTEN_WORDS) * costs.block_write_word)
    patches = 0 if layout.addressing == ABSOLUTE else bds
    return costs.write + bds * BD_WORDS * costs.block_write_word + patches * costs.patch


@entry
def _follow(
    layout: Layout,
    shape: RowShape,
    costs: Costs,
    word: float,
    pieces: Table,
    chains: Ints,
    lanes: Ints,
    ends: Floats,
    out: Floats,
) -> None:
    now = controller = start = 0.0
    rounds, first_wait = 0, costs.wait_first
    for lane in range(len(lanes)):
        rounds = max(rounds, lanes[lane, END_CHAIN] - lanes[lane, FIRST_CHAIN])
    for nth in range(rounds):
        for column in range(layout.columns):
            lane0 = column * layout.channels
            if nth >= 2 and column % layout.together == 0:
                last = min(column + layout.together, layout.columns) * layout.channels
                for channel in range(layout.channels):
                    due = -1.0
                    for lane in range(lane0 + channel, last, layout.channels):
                        if lanes[lane, FIRST_CHAIN] + nth < lanes[lane, END_CHAIN]:
                            due = max(due, ends[lane, nth % 2])
                    if due >= 0.0:
                        now = max(now, due) + costs.wait_each + first_wait
                        controller += costs.wait_each + first_wait
                        first_wait = 0.0
            bds = 0
            for lane in range(lane0, lane0 + layout.channels):
                chain = lanes[lane, FIRST_CHAIN] + nth
                if chain < lanes[lane, END_CHAIN]:
                    bds += chains[chain, CHAIN_COUNT] + (1 if nth == 0 else 0)
            if bds == 0:
                continue
            spent = _bd_time(layout, costs, nth, bds)
            now += spent
            controller += spent
            for lane in range(lane0, lane0 + layout.channels):
                chain = lanes[lane, FIRST_CHAIN] + nth
                if chain >= lanes[lane, END_CHAIN]:
                    continue
                before = ends[lane, (nth + 1) % 2]
                idle = nth == 0 or before <= now
                spent = costs.push_idle if idle else costs.push_busy
                if nth == 0:
                    spent += costs.mask_write + costs.push_idle + costs.mask_write
                now += spent
                controller += spent
                begin = now + costs.task if idle else before
                shared = _word_time(costs, ends, lane, begin)
                took = _chain_time(shape, costs, shared, pieces, chains, lanes, lane, chain)
                ends[lane, nth % 2] = begin + took
                if nth == 0:
                    start = now
    transfer = 0.0
    for lane in range(len(lanes)):
        busy = 0.0
        for chain in range(lanes[lane, FIRST_CHAIN], lanes[lane, END_CHAIN]):
            busy += _chain_time(shape, costs, word, pieces, chains, lanes, lane, chain)
            now = max(now, ends[lane, 0], ends[lane, 1])
        transfer = max(transfer, busy)
    waits = 0
    for channel in range(layout.channels):
        for lane in range(channel, len(lanes), layout.channels):
            if lanes[lane, NBYTES] > 0:
                waits += 1
                break
    final = waits * costs.wait_each + (first_wait if waits else 0.0)
    out[0], out[1], out[2], out[3] = now + final, controller + final, transfer, start
