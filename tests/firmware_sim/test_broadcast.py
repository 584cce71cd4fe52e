# SPDX-License-Identifier: Apache-2.0
"""One stream to several sinks: a word moves when all of them can take it, else none gets it."""

import numpy as np
import pytest
from fabrics import MM2S, S2MM, Bd, Design, counting
from routing import dma
from side_by_side import assert_same

SHIM = (0, 0)
SOURCE = dma(SHIM, 0)
TILES = [(0, 1), (0, 2), (1, 1), (0, 4)]
WORDS = 150
"""More than the stream holds before any of the sinks."""


def spread(tiles, *, undrained=(), words=WORDS):
    """A host buffer to several tiles at once; returns the run and where each tile keeps it."""
    design = Design(2)
    design.tokens(SHIM)
    design.routes.circuit(SOURCE, *(dma(tile, 1) for tile in tiles))
    places = {tile: design.buffer(tile, words) for tile in tiles}
    for tile in tiles:
        if tile not in undrained:
            design.program(tile, S2MM, 1, [Bd(words, places[tile])], loop=False)
    design.run(SOURCE, MM2S, Bd(words), token=True)
    design.wait(SOURCE, MM2S)
    return assert_same(design, [counting(words)]), places


@pytest.mark.parametrize("count", [2, 3, 4])
def test_every_sink_gets_every_word(count):
    ran, places = spread(TILES[:count])
    assert not ran.stalled
    for tile, at in places.items():
        np.testing.assert_array_equal(ran.words(tile)[at // 4 :][:WORDS], counting(WORDS))


def test_a_branch_that_nobody_drains_stops_all_others():
    ran, places = spread(TILES[:3], undrained=[(0, 2)])
    assert ran.stalled
    waits = {wait.waiter: wait for wait in ran.result.waits}
    assert waits["shim(0,0) MM2S 0"].on == ("core(0,2) S2MM 1",)
    assert "waits for room at core(0,2) S2MM 1" in waits["shim(0,0) MM2S 0"].reason
    got = ran.words((0, 1))[places[0, 1] // 4 :][:WORDS]
    held = np.count_nonzero(got)
    assert 0 < held < WORDS
    np.testing.assert_array_equal(got[:held], counting(int(held)))


def test_what_fits_into_the_stream_reaches_the_other_branches():
    """The task still does not end: its last word lies before the sink that never takes it."""
    ran, places = spread(TILES[:2], undrained=[(0, 2)], words=12)
    assert ran.stalled
    np.testing.assert_array_equal(ran.words((0, 1))[places[0, 1] // 4 :][:12], counting(12))
    waits = {wait.waiter: wait for wait in ran.result.waits}
    assert waits["shim(0,0) MM2S 0"].on == ("core(0,2) S2MM 1",)


def test_two_branches_that_meet_again_in_the_wrong_order_deadlock():
    """A join that takes all of one branch first starves the other, which stops both."""
    design = Design()
    memtile, sink = (0, 1), dma(SHIM, 0)
    design.tokens(SHIM)
    design.routes.circuit(SOURCE, dma(memtile, 0), dma(memtile, 1))
    design.routes.circuit(dma(memtile, 2), sink)
    at = design.buffer(memtile, 2 * WORDS)
    design.lock(memtile, 0, 1)
    design.program(memtile, S2MM, 0, [Bd(WORDS, at, give=(1, 1))], loop=False)
    design.program(memtile, S2MM, 1, [Bd(WORDS, at + 4 * WORDS, take=(1, -1), give=(2, 1))])
    design.program(memtile, MM2S, 2, [Bd(2 * WORDS, at, take=(2, -1))], loop=False)
    design.run(sink, S2MM, Bd(2 * WORDS, arg=1), token=True)
    design.run(SOURCE, MM2S, Bd(WORDS))
    design.wait(sink)
    ran = assert_same(design, [counting(WORDS), np.zeros(2 * WORDS, np.uint32)])
    assert ran.stalled
    waits = {wait.waiter: wait for wait in ran.result.waits}
    assert waits["memtile(0,1) S2MM 1"].on == ("memtile(0,1) S2MM 0",)
    assert waits["shim(0,0) MM2S 0"].on == ("memtile(0,1) S2MM 1",)
    assert "deadlock" in ran.kinds
