# SPDX-License-Identifier: Apache-2.0
"""Tiles that pass data on without a program: cores and memtiles, paced by locks alone."""

import numpy as np
import pytest
from fabrics import MM2S, S2MM, Bd, Design, counting
from routing import dma
from side_by_side import assert_same

SHIM = (0, 0)
IN, OUT = dma(SHIM, 0), dma(SHIM, 0)


def host_to_host(design, words, out_words=None):
    """Send `words` words in, wait for `out_words` words; returns the run."""
    wanted = words if out_words is None else out_words
    design.tokens(SHIM)
    design.run(OUT, S2MM, Bd(wanted, arg=1), token=True)
    design.run(IN, MM2S, Bd(words))
    design.wait(OUT)
    return assert_same(design, [counting(words), np.zeros(wanted, np.uint32)])


def passed_through(tile, words=96, out_words=None, **how):
    """Host to host through one tile."""
    design = Design()
    design.routes.circuit(IN, dma(tile, 0))
    design.routes.circuit(dma(tile, 1), OUT)
    design.relay(tile, 0, 1, 24, **how)
    return host_to_host(design, words, out_words)


@pytest.mark.parametrize("tile", [(0, 1), (0, 2), (0, 5)])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_locks_alone_pass_objects_on(tile, depth):
    ran = passed_through(tile, depth=depth)
    assert not ran.kinds
    np.testing.assert_array_equal(ran.buffers[1], counting(96))
    assert ran.lock(tile, 0) == depth - 1, "the next object is already waited for"


def test_a_core_tile_sends_an_object_in_another_order():
    ran = passed_through((0, 3), send=[Bd(24, dims=[(4, 1), (6, 4)])])
    wanted = counting(96).reshape(4, 6, 4).swapaxes(1, 2)
    np.testing.assert_array_equal(ran.buffers[1], wanted.ravel())


def test_a_core_tile_receives_an_object_in_another_order():
    ran = passed_through((0, 3), take=[Bd(24, dims=[(4, 1), (6, 4)])])
    wanted = counting(96).reshape(4, 4, 6).swapaxes(1, 2)
    np.testing.assert_array_equal(ran.buffers[1], wanted.ravel())


def test_an_object_can_be_sent_twice():
    ran = passed_through((0, 2), out_words=192, send=[Bd(24), Bd(24)])
    np.testing.assert_array_equal(
        ran.buffers[1], np.repeat(counting(96).reshape(4, 1, 24), 2, 1).ravel()
    )


def test_an_object_of_several_bds_takes_its_lock_once():
    parts = [Bd(10), Bd(3, at=40), Bd(11, at=52)]
    ran = passed_through((0, 2), take=parts, send=[Bd(20), Bd(4, at=80)])
    np.testing.assert_array_equal(ran.buffers[1], counting(96))


def test_iteration_goes_on_from_task_to_task():
    """A BD that iterates over three places is pushed five times."""
    design = Design()
    tile, port = (0, 2), dma((0, 2), 0)
    for each in (SHIM, tile):
        design.tokens(each)
    at = design.buffer(tile, 30, counting(30))
    design.bd(tile, 0, Bd(6, at, times=(3, 10, 0)))
    design.routes.circuit(port, OUT)
    design.run(OUT, S2MM, Bd(30), token=True)
    for _ in range(5):
        design.push(port, MM2S, 0, token=True)
        design.wait(port, MM2S)
    design.wait(OUT)
    got = assert_same(design, [np.zeros(30, np.uint32)]).buffers[0].reshape(5, 6)
    np.testing.assert_array_equal(got[:, 0], [1, 11, 21, 1, 11])


def test_a_lock_can_be_waited_for_by_its_exact_value():
    design = Design()
    tile = (0, 2)
    design.routes.circuit(IN, dma(tile, 0))
    design.routes.circuit(dma(tile, 0), OUT)
    at = design.buffer(tile, 8)
    design.lock(tile, 0, 3)
    design.program(tile, S2MM, 0, [Bd(8, at, take=(0, 3), give=(0, 1))])
    design.program(tile, MM2S, 0, [Bd(8, at, take=(0, 1), give=(0, 3))])
    ran = host_to_host(design, 32)
    np.testing.assert_array_equal(ran.buffers[1], counting(32))


@pytest.mark.parametrize("side", [-1, 1])
def test_a_memtile_can_use_its_neighbour_s_memory_and_locks(side):
    design = Design(3)
    tile, beside = (1, 1), (1 + side, 1)
    design.routes.circuit(IN, dma(tile, 0))
    design.routes.circuit(dma(tile, 3), OUT)
    _, second = design.relay(tile, 0, 3, 24, locks=(5, 6), owner=beside)
    ran = host_to_host(design, 96)
    np.testing.assert_array_equal(ran.buffers[1], counting(96))
    np.testing.assert_array_equal(ran.words(beside)[second // 4 :][:24], counting(24, 73))
    assert not ran.words(tile).any()
    assert ran.lock(beside, 5) == 1


def test_neighbours_can_hand_an_object_over_in_memory():
    """One memtile receives into its neighbour's memory, and the neighbour sends it."""
    design = Design(2)
    left, right = (0, 1), (1, 1)
    design.routes.circuit(IN, dma(left, 0))
    design.routes.circuit(dma(right, 4), OUT)
    design.lock(right, 0, 1)
    at = design.buffer(right, 24)
    design.program(left, S2MM, 0, [Bd(24, at, take=(0, -1), give=(1, 1), owner=right)])
    design.program(right, MM2S, 4, [Bd(24, at, take=(1, -1), give=(0, 1))])
    ran = host_to_host(design, 96)
    np.testing.assert_array_equal(ran.buffers[1], counting(96))


def test_the_last_channels_of_a_memtile_reach_no_neighbour():
    design = Design(2)
    design.routes.circuit(IN, dma((0, 1), 4))
    design.program((0, 1), S2MM, 4, [Bd(8, owner=(1, 1))], loop=False)
    design.run(IN, MM2S, Bd(8))
    assert "bad-address" in assert_same(design, [counting(8)]).kinds


def test_a_memtile_splits_an_object_and_another_joins_it():
    """Three parts go ways of their own, one through each core, and come back in place."""
    design = Design(2)
    split, join, words = (0, 1), (1, 1), (10, 3, 11)
    design.routes.circuit(IN, dma(split, 0))
    design.routes.circuit(dma(join, 0), OUT)
    edges = np.cumsum([0, *words])
    here, there = design.buffer(split, 24), design.buffer(join, 24)
    taking, giving = [], []
    for part, count in enumerate(words):
        free, full, core = 2 * part, 2 * part + 1, (part % 2, 2 + part)
        design.lock(split, free, 1)
        design.lock(join, free, 1)
        at, to = here + 4 * int(edges[part]), there + 4 * int(edges[part])
        taking.append(Bd(count, at, take=(free, -1), give=(full, 1)))
        giving.append(Bd(count, to, take=(full, -1), give=(free, 1)))
        send = Bd(count, at, take=(full, -1), give=(free, 1))
        receive = Bd(count, to, take=(free, -1), give=(full, 1))
        design.program(split, MM2S, part, [send])
        design.program(join, S2MM, part, [receive])
        design.relay(core, 0, 0, count)
        design.routes.circuit(dma(split, part), dma(core, 0))
        design.routes.circuit(dma(core, 0), dma(join, part))
    design.program(split, S2MM, 0, taking)
    design.program(join, MM2S, 0, giving)
    ran = host_to_host(design, 96)
    assert not ran.kinds
    np.testing.assert_array_equal(ran.buffers[1], counting(96))
