# SPDX-License-Identifier: Apache-2.0
"""Lanes of a random design that send packets.

Where several sources meet at one sink, each waits for the token of the one before, so that the
order in which their packets come does not depend on timing.
"""

from __future__ import annotations

from dataclasses import replace

from fabrics import MM2S, S2MM, Bd, counting, task
from packet_words import control_read, control_write, packet_header
from random_designs import Maker, parts, run_all, store, take_to_host
from routing import ALL, Port, control

from aie2.registers import CHANNEL_CTRL, DMA, LOCKS
from aie2.tiles import address, kind

UNKNOWN_ID = 28
"""A packet id for which no switch has a rule."""


def packet_bds(maker: Maker, packet_id: int, words: int) -> list[Bd]:
    """Shim BDs of one packet: its header from the BD, or the first word of the data."""
    if maker.one_of((True, False)):
        return [Bd(words, arg=maker.data(words), packet=(packet_id, maker.number(0, 7)))]
    arg = maker.data(words + 1)
    maker.buffers[arg][0] = packet_header(packet_id)
    bds = [replace(bd, arg=arg) for bd in parts(maker, words + 1)]
    return [replace(bd, raw={"tlast_suppress": 1}) for bd in bds[:-1]] + bds[-1:]


def fan_out(maker: Maker) -> None:
    """Packets from the host to several tiles, by id; one sink may be told apart by TLAST."""
    source = maker.port(MM2S, *maker.tiles(0))
    ids = maker.packet_ids(maker.number(1, 3))
    sinks = {each: maker.port(S2MM, *maker.tiles(1, 2, 3)) for each in ids}
    keep = {packet_id: maker.one_of((True, False)) for packet_id in sinks}
    for packet_id, sink in sinks.items():
        lost = [((source[0][0], 5), "north", 1)] if maker.breaks("dead-end-packet") else []
        keep[packet_id] |= bool(lost)
        maker.packets(packet_id, source, sink, *lost, keep=keep[packet_id])
    sent = [
        (maker.one_of(tuple(sinks)), maker.one_of((4, 11, 30))) for _ in range(maker.number(1, 4))
    ]
    for packet_id, sink in sinks.items():
        lengths = [words + keep[packet_id] for each, words in sent if each == packet_id]
        if lengths and not maker.breaks("undrained"):
            take_packets(maker, sink, lengths)
    wrong = maker.number(0, len(sent) - 1) if maker.breaks("packet-id") else None
    run_all(
        maker,
        source,
        MM2S,
        [
            bd
            for number, (packet_id, words) in enumerate(sent)
            for bd in packet_bds(maker, UNKNOWN_ID if number == wrong else packet_id, words)
        ],
        chain=True,
    )


def take_packets(maker: Maker, sink: Port, lengths: list[int]) -> None:
    """Receive packets into a tile's memory: one after the other, or each in a BD that it ends."""
    if maker.one_of((True, False)):
        store(maker, sink, sum(lengths))
        return
    tile, _, channel = sink
    mode = CHANNEL_CTRL.field("fot_mode")
    maker.design.register(tile, DMA[kind(tile[1])].ctrl(S2MM, channel), 1 << mode.shift)
    rooms = [length + maker.number(0, 5) for length in lengths]
    maker.spare(sink, len(rooms))
    bds = [Bd(room, maker.design.buffer(tile, room)) for room in rooms]
    maker.design.program(tile, S2MM, channel, bds, loop=False)


def fan_in(maker: Maker) -> None:
    """Packets of several tiles to one host channel, each when the one before has come."""
    sink = maker.port(S2MM, *maker.tiles(0))
    sources = [maker.port(MM2S, *maker.tiles(1, 2)) for _ in range(maker.number(2, 3))]
    keep = maker.one_of((True, False))
    ids = maker.packet_ids(len(sources))
    for packet_id, source in zip(ids, sources, strict=True):
        maker.packets(packet_id, source, sink, keep=keep)
    sent = [(maker.number(0, len(sources) - 1), maker.one_of((3, 11, 60))) for _ in range(3)]
    take_to_host(maker, sink, sum(words + keep for _, words in sent))
    for number, words in sent:
        tile = sources[number][0]
        at = maker.design.buffer(tile, words, counting(words, 100 * len(maker.design.writes)))
        bd = Bd(words, at, packet=(ids[number], 0))
        run_all(maker, sources[number], MM2S, [bd], token=True)
        maker.design.wait(*maker.waits.pop())


def naming_bd(maker: Maker, packet_id: int, named: int, words: int) -> Bd:
    """A shim BD of one packet that names the BD which receives it."""
    if maker.one_of((True, False)):
        raw = {"out_of_order_id": named}
        return Bd(words, arg=maker.data(words), packet=(packet_id, 0), raw=raw)
    arg = maker.data(words + 1)
    maker.buffers[arg][0] = packet_header(packet_id, out_of_order=named)
    return Bd(words + 1, arg=arg)


def out_of_order(maker: Maker) -> None:
    """Packets that name the BD which receives them, by circuit or by packet id."""
    source, sink = maker.port(MM2S, *maker.tiles(0)), maker.port(S2MM, *maker.tiles(1, 2))
    (packet_id,) = maker.packet_ids(1)
    if maker.one_of((True, False)):
        maker.route(source, sink)
    else:
        maker.packets(packet_id, source, sink, keep=True)
    tile, _, channel = sink
    dma = DMA[kind(tile[1])]
    mode = CHANNEL_CTRL.field("enable_out_of_order")
    maker.design.register(tile, dma.ctrl(S2MM, channel), 1 << mode.shift)
    lengths = [maker.one_of((2, 10, 70)) for _ in range(maker.number(1, 3))]
    numbers = maker.bds(sink, len(lengths))
    for number, words in zip(numbers, lengths, strict=True):
        maker.design.bd(tile, number, Bd(words, maker.design.buffer(tile, words)))
    sent = [
        naming_bd(maker, packet_id, numbers[place], lengths[place])
        for place in maker.order(len(lengths))
    ]
    word = task(tile, 0, len(lengths) - 1)
    maker.design.starts.append((address(*tile, dma.queue_address(S2MM, channel)), word, ALL))
    run_all(maker, source, MM2S, sent)


def control_packets(maker: Maker) -> None:
    """Registers and memory of a tile written and read through the stream."""
    tile = maker.one_of(maker.tiles(1, 2))
    source, sink = maker.port(MM2S, *maker.tiles(0)), maker.port(S2MM, *maker.tiles(0))
    (asked, answered), keep = maker.packet_ids(2), maker.number(0, 1)
    maker.packets(asked, source, control(tile), keep=True)
    maker.packets(answered, control(tile), sink, keep=bool(keep))
    locks, (lock,) = LOCKS[kind(tile[1])], maker.locks(tile, 1)
    lock_at = locks.base + locks.stride * lock
    offset = maker.design.buffer(tile, 4, counting(4, 7))
    written, read = maker.number(1, 4), maker.number(1, 4)
    chunks = [
        control_write(lock_at, maker.number(1, 60)),
        control_write(offset, *counting(written, 70).tolist()),
        control_read(offset, answered, read),
        control_read(lock_at, answered),
    ]
    bds: list[Bd] = []
    for each in [chunks[place] for place in maker.order(len(chunks))]:
        arg = maker.data(len(each))
        maker.buffers[arg][:] = each
        bds.append(Bd(len(each), arg=arg, packet=(asked, 0)))
    run_all(maker, source, MM2S, bds, chain=True)
    take_to_host(maker, sink, read + 1 + 2 * keep)


PACKET_LANES = (fan_out, fan_in, out_of_order, control_packets)
"""Every kind of lane here."""
