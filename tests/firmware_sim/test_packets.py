# SPDX-License-Identifier: Apache-2.0
"""Packets: the header chooses the way, an arbiter lets one through at a time, TLAST ends it."""

import numpy as np
import pytest
from fabrics import MM2S, S2MM, Bd, Design, counting
from packet_words import packet_header
from routing import dma
from side_by_side import assert_same, run

from aie2.control_packets import PACKET_HEADER
from aie2.registers import CHANNEL_CTRL, DMA
from aie2.tiles import TileKind

SHIM, MEMTILE, CORE = (0, 0), (0, 1), (0, 2)
IN, OUT = dma(SHIM, 0), dma(SHIM, 0)


def store(design, tile, words, channel=0):
    """Let a tile take words into its memory once; returns the first word's place."""
    at = design.buffer(tile, words)
    design.program(tile, S2MM, channel, [Bd(words, at)], loop=False)
    return at // 4


def sender(design, tile, channel, packet_id, words, start):
    """A tile that sends one packet when it is told to; returns its BD."""
    at = design.buffer(tile, words, counting(words, start))
    number = design.free_bd(tile, channel)
    design.bd(tile, number, Bd(words, at, packet=(packet_id, 0)))
    return number


def test_each_packet_goes_where_its_id_leads():
    design = Design()
    places = {tile: store(design, tile, 8) for tile in (MEMTILE, CORE)}
    for packet_id, tile in ((3, MEMTILE), (5, CORE)):
        design.routes.packets(packet_id, IN, dma(tile, 0))
    design.run(IN, MM2S, Bd(8, packet=(5, 0)))
    design.run(IN, MM2S, Bd(8, at=32, packet=(3, 0)))
    ran = assert_same(design, [counting(16)])
    np.testing.assert_array_equal(ran.words(CORE)[places[CORE] :][:8], counting(8))
    np.testing.assert_array_equal(ran.words(MEMTILE)[places[MEMTILE] :][:8], counting(8, 9))


@pytest.mark.parametrize("keep", [False, True])
def test_the_last_switch_keeps_or_drops_the_header(keep):
    design = Design()
    at = store(design, MEMTILE, 4 + keep)
    design.routes.packets(7, IN, dma(MEMTILE, 0), keep=keep)
    design.run(IN, MM2S, Bd(4, packet=(7, 2)))
    words = assert_same(design, [counting(4)]).words(MEMTILE)[at:]
    np.testing.assert_array_equal(words[keep : 4 + keep], counting(4))
    if keep:
        fields = PACKET_HEADER.decode(words[:1])
        assert (fields["packet_id"], fields["packet_type"]) == (7, 2)
        assert int(words[0]).bit_count() % 2 == 1


def test_a_bd_that_repeats_sends_a_packet_each_time():
    design = Design()
    at = store(design, MEMTILE, 15)
    design.routes.packets(1, IN, dma(MEMTILE, 0), keep=True)
    design.run(IN, MM2S, Bd(4, times=(3, 4, 0), packet=(1, 0)), repeat=2)
    words = assert_same(design, [counting(12)]).words(MEMTILE)[at : at + 15].reshape(3, 5)
    assert len(set(words[:, 0])) == 1
    np.testing.assert_array_equal(words[:, 1:].ravel(), counting(12))


def test_packets_of_two_sources_meet_whole():
    """Which comes first is the arbiter's to say; neither is cut into by the other."""
    design = Design()
    design.tokens(SHIM)
    ports = {dma(MEMTILE, 0): 100, dma(CORE, 0): 500}
    for packet_id, (port, start) in enumerate(ports.items(), 1):
        design.routes.packets(packet_id, port, OUT)
        number = sender(design, port[0], 0, packet_id, 60, start)
        design.push(port, MM2S, number)
    design.run(OUT, S2MM, Bd(120), token=True)
    design.wait(OUT)
    got = run(design, [np.zeros(120, np.uint32)]).buffers[0].reshape(2, 60)
    assert sorted(got[:, 0]) == [100, 500]
    np.testing.assert_array_equal(got, got[:, :1] + np.arange(60))


def test_sources_that_wait_for_each_other_s_token_come_in_that_order():
    design = Design()
    for tile in (SHIM, MEMTILE, CORE):
        design.tokens(tile)
    ports = [dma(MEMTILE, 0), dma(CORE, 1)]
    for packet_id, port in enumerate(ports, 1):
        design.routes.packets(packet_id, port, OUT)
    numbers = [sender(design, port[0], port[2], n, 20, 100 * n) for n, port in enumerate(ports, 1)]
    design.run(OUT, S2MM, Bd(60), token=True)
    for place in (1, 0, 1):
        design.push(ports[place], MM2S, numbers[place], token=True)
        design.wait(ports[place], MM2S)
    design.wait(OUT)
    got = assert_same(design, [np.zeros(60, np.uint32)]).buffers[0]
    np.testing.assert_array_equal(got[::20], [200, 100, 200])


@pytest.mark.parametrize("cuts", [(1, 7), (4, 4), (3, 4, 1)])
def test_a_packet_can_span_bds_that_suppress_tlast(cuts):
    """The host made the header; the sink's BD ends with TLAST, not with its length."""
    design = Design()
    mode = CHANNEL_CTRL.field("fot_mode")
    design.register(MEMTILE, DMA[TileKind.MEMTILE].ctrl(S2MM, 0), 1 << mode.shift)
    rooms = [design.buffer(MEMTILE, 16) for _ in range(2)]
    design.program(MEMTILE, S2MM, 0, [Bd(16, at) for at in rooms], loop=False)
    design.routes.packets(4, IN, dma(MEMTILE, 0))
    data = np.array([packet_header(4), *counting(7)] * 2, np.uint32)
    edges = np.cumsum([0, *cuts])
    for packet in range(2):
        chain = [
            Bd(words, at=32 * packet + 4 * int(edge), raw={"tlast_suppress": int(edge + words < 8)})
            for edge, words in zip(edges, cuts, strict=False)
        ]
        design.run(IN, MM2S, *chain)
    words = assert_same(design, [data]).words(MEMTILE)
    for room in rooms:
        np.testing.assert_array_equal(words[room // 4 :][:8], [*counting(7), 0])


def test_packets_can_name_the_bd_that_takes_them():
    design = Design()
    mode = CHANNEL_CTRL.field("enable_out_of_order")
    where = DMA[TileKind.MEMTILE]
    design.register(MEMTILE, where.ctrl(S2MM, 0), 1 << mode.shift)
    for number in (2, 5):
        design.bd(MEMTILE, number, Bd(6, at=64 * number))
    design.routes.packets(1, IN, dma(MEMTILE, 0), keep=True)
    design.push(dma(MEMTILE, 0), S2MM, 0, repeat=1)
    for place, number in enumerate((5, 2)):
        raw = {"out_of_order_id": number}
        design.run(IN, MM2S, Bd(6, at=24 * place, packet=(1, 0), raw=raw))
    words = assert_same(design, [counting(12)]).words(MEMTILE)
    np.testing.assert_array_equal(words[16 * 5 :][:6], counting(6))
    np.testing.assert_array_equal(words[16 * 2 :][:6], counting(6, 7))


@pytest.mark.parametrize("words", [6, 200])
def test_a_header_that_the_host_made_names_a_bd_too(words):
    """By circuit: the header is the first word of the data, whatever its length."""
    design = Design()
    mode = CHANNEL_CTRL.field("enable_out_of_order")
    design.register(CORE, DMA[TileKind.CORE].ctrl(S2MM, 0), 1 << mode.shift)
    design.bd(CORE, 3, Bd(words, at=64))
    design.routes.circuit(IN, dma(CORE, 0))
    design.push(dma(CORE, 0), S2MM, 0)
    design.run(IN, MM2S, Bd(words + 1))
    data = np.array([packet_header(0, out_of_order=3), *counting(words)], np.uint32)
    stored = assert_same(design, [data]).words(CORE)
    np.testing.assert_array_equal(stored[16:][:words], counting(words))


def test_an_id_without_a_rule_stops_its_channel():
    design = Design()
    store(design, MEMTILE, 4)
    design.tokens(SHIM)
    design.routes.packets(1, IN, dma(MEMTILE, 0))
    design.run(IN, MM2S, Bd(4, packet=(2, 0)), token=True)
    design.wait(IN, MM2S)
    ran = assert_same(design, [counting(4)])
    assert ran.stalled
    assert "packet-unrouted" in ran.kinds
    reasons = {wait.waiter: wait.reason for wait in ran.result.waits}
    assert "has no route for id 2" in reasons["shim(0,0) MM2S 0"]


def test_a_packet_that_nobody_takes_blocks_others_at_its_arbiter():
    design = Design()
    design.tokens(SHIM)
    store(design, MEMTILE, 4, channel=2)
    first, second = dma(SHIM, 0), dma(SHIM, 1)
    design.routes.packets(1, first, dma(MEMTILE, 0))
    design.routes.packets(2, second, dma(MEMTILE, 2))
    design.run(first, MM2S, Bd(100, packet=(1, 0)))
    design.run(second, MM2S, Bd(4, packet=(2, 0)), token=True)
    design.wait(second, MM2S)
    ran = assert_same(design, [counting(100)])
    assert ran.stalled
    reasons = {wait.waiter: wait.reason for wait in ran.result.waits}
    assert "which a packet of shim(0,0) MM2S 0 holds" in reasons["shim(0,0) MM2S 1"]
