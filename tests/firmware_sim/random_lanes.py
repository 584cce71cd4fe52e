# SPDX-License-Identifier: Apache-2.0
"""Lanes of a random design that go by circuit; in `random_packets` are those that send packets.

Their outcome does not depend on timing: one source per sink, a producer and a consumer per lock.
"""

from __future__ import annotations

from dataclasses import replace

from fabrics import MM2S, S2MM, Bd, counting
from random_designs import (
    Maker,
    NoRoomError,
    divisors,
    padded,
    parts,
    run_all,
    send_from_host,
    shuffled,
    store,
    take_to_host,
)
from routing import Port, Tile

from aie2.tiles import TileKind, kind

WORDS = (8, 12, 24, 40, 60, 96)
"""Lengths with many divisors, some of them longer than what a stream holds."""
MOST_WORDS = 400
"""Words that a relay makes at most of what comes in."""
BEYOND_FIFO = 200
"""Words that fit into no stream."""


def forms(maker: Maker, tile: Tile, words: int) -> list[Bd]:
    """How a relay passes an object on."""
    memtile = kind(tile[1]) is TileKind.MEMTILE
    form = maker.one_of(("parts", "dims", "twice", "padded")[: 3 + memtile])
    if form == "dims":
        return [Bd(words, dims=shuffled(maker, words, 4 if memtile else 3))]
    if form == "padded":
        return [padded(maker, words)]
    return [Bd(words), Bd(words)] if form == "twice" else parts(maker, words)


def takes(maker: Maker, words: int) -> list[Bd]:
    """How a relay receives an object."""
    return maker.one_of((parts(maker, words), [Bd(words, dims=shuffled(maker, words))]))


def relay(maker: Maker, into: Port, words: int) -> tuple[Port, int]:
    """Pass on what comes in at a port; returns where it leaves, and how many words then."""
    tile = into[0]
    memtile = kind(tile[1]) is TileKind.MEMTILE
    homes = [(tile[0] + side, 1) for side in (-1, 0, 1)] if memtile and into[2] < 4 else [tile]
    home = maker.one_of([each for each in homes if each[0] in range(maker.design.columns)])
    out = maker.port(MM2S, tile, below=6 if home == tile else 4)
    length = maker.one_of(divisors(words))
    free, full = maker.locks(home)
    take, send = takes(maker, length), forms(maker, tile, length)
    if maker.breaks("wants-too-much"):
        send[0] = replace(send[0], take=(full, -5))
    if maker.breaks("equal-lock"):
        send[0] = replace(send[0], take=(full, 7))
    passed = words // length * sum(bd.words for bd in send)
    if passed > MOST_WORDS:
        raise NoRoomError
    take, send = maker.spoil(tile, take), maker.spoil(tile, send)
    depth = maker.number(1, 3)
    maker.spare(into, depth * (len(take) + len(send)))
    maker.spare(out, depth * (len(take) + len(send)))
    maker.design.relay(
        *(tile, into[2], out[2], length),
        depth=depth,
        locks=(free, full),
        take=take,
        send=send,
        owner=home,
    )
    if maker.breaks("no-lock"):
        maker.design.lock(home, free, 0)
    return out, passed


def through(maker: Maker) -> None:
    """Host to host, through up to two tiles that pass objects on."""
    words = maker.one_of(WORDS)
    source, sink = maker.port(MM2S, *maker.tiles(0)), maker.port(S2MM, *maker.tiles(0))
    here, left = source, words
    for _ in range(maker.number(0, 2)):
        into = maker.port(S2MM, *maker.tiles(1, 2, 3))
        maker.route(here, into)
        here, left = relay(maker, into, left)
    maker.route(here, sink)
    if maker.one_of((True, False)):
        take_to_host(maker, sink, left)
    send_from_host(maker, source, words - bool(maker.breaks("too-few-words")))
    if (sink, S2MM) not in maker.waits:
        take_to_host(maker, sink, left)


def broadcast(maker: Maker) -> None:
    """Host to several tiles at once."""
    words = maker.one_of(WORDS)
    source = maker.port(MM2S, *maker.tiles(0))
    sinks = [maker.port(S2MM, *maker.tiles(1, 2, 3)) for _ in range(maker.number(2, 4))]
    ends = [*sinks]
    if maker.breaks("dead-end"):
        ends.append(((source[0][0], 5), "north", 0))
    maker.route(source, *ends)
    undrained = maker.number(0, len(sinks) - 1) if maker.breaks("undrained") else None
    for number, sink in enumerate(sinks):
        if number != undrained:
            store(maker, sink, words)
    send_from_host(maker, source, words)


def split_and_join(maker: Maker) -> None:
    """An object cut into parts that go ways of their own, and put together again."""
    tile, other = maker.one_of(maker.tiles(1)), maker.one_of(maker.tiles(1))
    source, sink = maker.port(MM2S, *maker.tiles(0)), maker.port(S2MM, *maker.tiles(0))
    into, out = maker.port(S2MM, tile), maker.port(MM2S, other)
    maker.route(source, into)
    maker.route(out, sink)
    words = maker.one_of((12, 24, 40))
    pieces = parts(maker, words, 3)
    first = maker.design.buffer(tile, words)
    second = maker.design.buffer(other, words)
    taking: list[Bd] = []
    giving: list[Bd] = []
    for bd in pieces:
        leaves, enters = maker.port(MM2S, tile), maker.port(S2MM, other)
        maker.route(leaves, enters)
        (free, full), (room, ready) = maker.locks(tile), maker.locks(other)
        maker.design.lock(tile, free, 1)
        maker.design.lock(other, room, 1)
        place, target = first + bd.at, second + bd.at
        taking.append(Bd(bd.words, place, take=(free, -1), give=(full, 1)))
        giving.append(Bd(bd.words, target, take=(ready, -1), give=(room, 1)))
        send = [Bd(bd.words, place, take=(full, -1), give=(free, 1))]
        receive = [Bd(bd.words, target, take=(room, -1), give=(ready, 1))]
        maker.spare(leaves, 1)
        maker.spare(enters, 1)
        maker.design.program(tile, MM2S, leaves[2], maker.spoil(tile, send))
        maker.design.program(other, S2MM, enters[2], maker.spoil(other, receive))
    maker.spare(into, len(taking))
    maker.spare(out, len(giving))
    maker.design.program(tile, S2MM, into[2], maker.spoil(tile, taking))
    maker.design.program(other, MM2S, out[2], maker.spoil(other, giving))
    times = maker.number(1, 3)
    take_to_host(maker, sink, times * words)
    send_from_host(maker, source, times * words)


def memory_to_memory(maker: Maker) -> None:
    """One tile's memory to another's, started by the stream; locks that go too far."""
    words = maker.one_of(WORDS)
    source, sink = maker.port(MM2S, *maker.tiles(1, 2)), maker.port(S2MM, *maker.tiles(1, 2))
    maker.route(source, sink)
    tile, _, channel = source
    at = maker.design.buffer(tile, words, counting(words))
    (extra,) = maker.locks(tile, 1)
    times = maker.one_of(divisors(words, 4))
    if times > 1:
        store(maker, sink, words + times * (header := maker.number(0, 1)))
        piece = words // times
        bd = Bd(piece, at, times=(times, piece, 0), packet=(3, 1) if header else None)
        (number,) = maker.bds(source, 1)
        maker.design.write_bd(tile, number, bd)
        maker.design.push(source, MM2S, number, repeat=times - 1, token=True)
        maker.waits.append((source, MM2S))
        return
    send = [replace(bd, at=at + bd.at) for bd in parts(maker, words)]
    if maker.breaks("lock-overflow"):
        maker.design.lock(tile, extra, 62)
        send[-1] = replace(send[-1], give=(extra, 3))
    if maker.breaks("lock-underflow"):
        send[-1] = replace(send[-1], give=(extra, -1))
    memtile = kind(tile[1]) is TileKind.MEMTILE
    if memtile and maker.breaks("bd-missing"):
        send[-1] = replace(send[-1], then=60)
    if memtile and maker.breaks("parity"):
        other = 1 - channel % 2
        send[-1] = replace(send[-1], then=24 * other)
        if (tile, other) not in maker.design.next_bds:  # else another lane's BD is there
            maker.design.bd(tile, 24 * other, Bd(4))
            maker.design.next_bds[tile, other] = 24 * other + 1
    store(maker, sink, words)
    run_all(maker, source, MM2S, send, token=True)


def blocked(maker: Maker) -> None:
    """More tasks than a queue holds, for a channel that nothing takes words from."""
    source, sink = maker.port(MM2S, *maker.tiles(0)), maker.port(S2MM, *maker.tiles(1, 2))
    maker.route(source, sink)
    (number,) = maker.bds(source, 1)
    maker.design.write_bd(source[0], number, Bd(BEYOND_FIFO, arg=maker.data(BEYOND_FIFO)))
    for _ in range(7 if maker.breaks("overflow") else maker.number(1, 5)):
        maker.design.push(source, MM2S, number)


def ring(maker: Maker) -> None:
    """Two relays that feed each other; it goes round if one of them begins with an object."""
    tiles = maker.tiles(1, 2)
    first, second = maker.port(S2MM, *tiles), maker.port(S2MM, *tiles)
    words = maker.one_of((4, 16))
    out, _ = relay_plainly(maker, first, words)
    back, _ = relay_plainly(maker, second, words)
    maker.route(out, second)
    maker.route(back, first)


def relay_plainly(maker: Maker, into: Port, words: int) -> tuple[Port, int]:
    """Pass objects on as they come."""
    tile = into[0]
    out = maker.port(MM2S, tile)
    free, full = maker.locks(tile)
    maker.spare(into, 4)
    maker.spare(out, 4)
    maker.design.relay(tile, into[2], out[2], words, locks=(free, full))
    return out, words


CIRCUIT_LANES = (through, broadcast, split_and_join, memory_to_memory, blocked, ring)
"""Every kind of lane here."""
