# SPDX-License-Identifier: Apache-2.0
"""Control packets: registers of a tile written and read through the stream.

What silicon does: mlir-aie test/npu-xrt/add_one_ctrl_packet (answers), AIECtrlPacketToDma (several
packets without TLAST between them, on AIE2P alone).
"""

import numpy as np
import pytest
from fabrics import MM2S, S2MM, Bd, Design, counting, task
from packet_words import control_read, control_write, packet_header
from routing import control, dma
from side_by_side import assert_same

from aie2.devices import NPU1, NPU2
from aie2.registers import DMA, LOCKS
from aie2.tiles import TileKind, kind

SHIM = (0, 0)
IN, OUT = dma(SHIM, 0), dma(SHIM, 0)
ASKED, ANSWERED = 3, 4
ODD_ONES = 1 << 31


def designed(tile, device=NPU1, keep=False):
    """A design whose host can send control packets to a tile and gets its answers."""
    design = Design(device=device)
    design.tokens(SHIM)
    design.routes.packets(ASKED, IN, control(tile), keep=True)
    design.routes.packets(ANSWERED, control(tile), OUT, keep=keep)
    return design


def run(design, packets, answer_words=0):
    """Send packets, each from a BD of its own that makes its header; returns run and answers."""
    data = np.array([word for packet in packets for word in packet], np.uint32)
    buffers = [data, np.zeros(max(answer_words, 1), np.uint32)]
    if answer_words:
        design.run(OUT, S2MM, Bd(answer_words, arg=1), token=True)
    at = 0
    chain = []
    for packet in packets:
        chain.append(Bd(len(packet), at=at, packet=(ASKED, 0)))
        at += 4 * len(packet)
    design.run(IN, MM2S, *chain)
    if answer_words:
        design.wait(OUT)
    ran = assert_same(design, buffers)
    return ran, ran.buffers[1]


@pytest.mark.parametrize("tile", [(0, 1), (0, 2)])
def test_a_lock_and_memory_are_written(tile):
    locks = LOCKS[kind(tile[1])]
    lock = control_write(locks.base + 5 * locks.stride, 9)
    ran, _ = run(designed(tile), [lock, control_write(0x120, 10, 20, 30)])
    assert ran.lock(tile, 5) == 9
    np.testing.assert_array_equal(ran.words(tile)[0x120 // 4 :][:4], [10, 20, 30, 0])


@pytest.mark.parametrize("tile", [(0, 1), (0, 2)])
@pytest.mark.parametrize("keep", [False, True])
def test_what_is_read_comes_back_to_the_host(tile, keep):
    design = designed(tile, keep=keep)
    at = design.buffer(tile, 8, counting(8, 500))
    asks = [control_read(at, ANSWERED, 4), control_read(at + 16, ANSWERED, 2)]
    _, got = run(design, asks, answer_words=6 + 2 * keep)
    answers = [got[1:5], got[6:8]] if keep else [got[:4], got[4:6]]
    np.testing.assert_array_equal(np.concatenate(answers), counting(6, 500))


def test_a_packet_can_start_a_dma():
    """A task pushed through the stream sends what a packet before it has written."""
    tile = (0, 1)
    design = designed(tile)
    design.routes.circuit(dma(tile, 0), dma(SHIM, 1))
    design.bd(tile, 0, Bd(4, at=0x40))
    queue = DMA[TileKind.MEMTILE].queue_address(MM2S, 0)
    design.run(dma(SHIM, 1), S2MM, Bd(4, arg=1), token=True)
    packets = [control_write(0x40, 1, 2, 3, 4), control_write(queue, task(tile, 0))]
    data = np.array([word for packet in packets for word in packet], np.uint32)
    design.run(IN, MM2S, Bd(5, packet=(ASKED, 0)), Bd(2, at=20, packet=(ASKED, 0)))
    design.wait(dma(SHIM, 1))
    ran = assert_same(design, [data, np.zeros(4, np.uint32)])
    np.testing.assert_array_equal(ran.buffers[1], [1, 2, 3, 4])


def test_a_packet_can_give_the_lock_that_a_channel_waits_for():
    tile = (0, 2)
    design = designed(tile)
    design.routes.circuit(dma(tile, 0), dma(SHIM, 1))
    design.buffer(tile, 4, counting(4))
    design.program(tile, MM2S, 0, [Bd(4, take=(1, -1))], loop=False)
    design.run(dma(SHIM, 1), S2MM, Bd(4, arg=1), token=True)
    design.run(IN, MM2S, Bd(2, packet=(ASKED, 0)))
    design.wait(dma(SHIM, 1))
    locks = LOCKS[TileKind.CORE]
    data = np.array(control_write(locks.base + locks.stride, 1), np.uint32)
    np.testing.assert_array_equal(
        assert_same(design, [data, np.zeros(4, np.uint32)]).buffers[1], counting(4)
    )


@pytest.mark.parametrize(
    ("packet", "why"),
    [
        ([control_write(0x40, 1)[0] ^ ODD_ONES, 1], "parity"),
        ([control_write(0x40, 1)[0] ^ 3 << 22, 1], "operation"),
        ([*control_write(0x40, 1), 2], "more words than announced"),
    ],
)
def test_a_malformed_packet_is_named_and_the_next_one_works(packet, why):
    ran, _ = run(designed((0, 2)), [packet, control_write(0x80, 7)])
    assert "control-packet" in ran.kinds, why
    assert ran.words((0, 2))[0x80 // 4] == 7


@pytest.mark.parametrize(("device", "works"), [(NPU1, False), (NPU2, True)])
def test_packets_follow_each_other_without_tlast_on_aie2p_only(device, works):
    """One BD with headers in its data: AIE2 takes the missing TLAST for an error."""
    tile = (0, 1)
    design = designed(tile, device)
    head = packet_header(ASKED)
    data = [head, *control_write(0x40, 1, 2), head, *control_write(0x80, 3)]
    design.run(IN, MM2S, Bd(len(data)))
    ran = assert_same(design, [np.array(data, np.uint32)])
    assert ("control-packet" in ran.kinds) != works
    np.testing.assert_array_equal(ran.words(tile)[0x40 // 4 :][:2], [1, 2])
    assert ran.words(tile)[0x80 // 4] == (3 if works else 0)


def test_reads_follow_each_other_without_tlast_on_aie2p():
    tile = (0, 1)
    design = designed(tile, NPU2)
    at = design.buffer(tile, 4, counting(4, 90))
    head = packet_header(ASKED)
    data = [head, *control_read(at, ANSWERED, 2), head, *control_read(at + 8, ANSWERED, 2)]
    design.run(OUT, S2MM, Bd(4, arg=1), token=True)
    design.run(IN, MM2S, Bd(len(data)))
    design.wait(OUT)
    ran = assert_same(design, [np.array(data, np.uint32), np.zeros(4, np.uint32)])
    np.testing.assert_array_equal(ran.buffers[1], counting(4, 90))
