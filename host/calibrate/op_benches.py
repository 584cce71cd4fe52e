# SPDX-License-Identifier: Apache-2.0
"""Micro-benchmarks of the controller: plain ops, pushes, waits, patches.

Bodies that differ in one thing differ in its constant. Data movement, which a push cannot be
without, is hidden behind plain writes, whose time is known best of all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from aie2.fields import WORD_BYTES
from host.calibrate.designs import Design
from host.calibrate.payload import straight
from host.calibrate.setting import (
    ANYWHERE,
    COVER,
    MM2S,
    OFTEN,
    S2MM,
    SMALL_OBJECT,
    Point,
    Setting,
    first_bd,
    lane_head,
    point,
)
from host.calibrate.streams import Bd, Tape

WAITS = (1, 2, 4, 8, 16, 32, 64)
FEW_WAITS = 4
"""Streams of so many waits tell what the first one costs more than the others."""
BEHIND = (0, 2, 4)
"""Pushes into the queue behind a task that runs; it holds four."""
LANE = ((0, 0),)


def floor(at: Setting) -> Iterator[Point]:
    """One write: what a dispatch costs, in each design that is loaded."""
    yield from (floor_of(at, one) for one in (at.single, at.rate, at.array))


def floor_of(at: Setting, one: Design) -> Point:
    """One write in a design."""
    body = at.tape()
    body.writes(1)
    return point("dispatch floor", one, at.tape(), body, 1, often=OFTEN)


def plain(bench: str, add: Callable[[Tape], None]) -> Callable[[Setting], Iterator[Point]]:
    """A benchmark of one op alone, which `add` puts on a tape."""

    def points(at: Setting) -> Iterator[Point]:
        body = at.tape()
        add(body)
        return at.sweep(bench, at.single, at.tape(), body)

    return points


def blocks(at: Setting) -> Iterator[Point]:
    """Block writes of 1 to 16 BDs."""
    for words in (8, 32, 64, 128):
        body = at.tape()
        body.blocks(words)
        yield from at.sweep(f"block write of {words}", at.single, at.tape(), body)


def waits(at: Setting) -> Iterator[Point]:
    """A push each way, all data hidden, one wait: 1 to 64 times."""
    head, body = lane_head(at, LANE, at.single.object_words), at.tape()
    _there_and_back(body)
    for times in WAITS:
        often = OFTEN if times <= FEW_WAITS else 1
        payload = straight(SMALL_OBJECT)
        yield point("waits", at.single, head, body, times, payload=payload, often=often)


def tokens(at: Setting) -> Iterator[Point]:
    """The same with a token each way: waits and pushes in another proportion."""
    body = at.tape()
    _there_and_back(body, sent=True)
    body.wait(0, MM2S, 0)
    head = lane_head(at, LANE, at.single.object_words)
    yield from at.sweep("two tokens", at.single, head, body, payload=straight(SMALL_OBJECT))


def pushes(at: Setting) -> Iterator[Point]:
    """Three sends to one receive, each of which finds its channel dry."""
    head, body, words = at.tape(), at.tape(), at.single.object_words
    head.bd(0, S2MM, Bd(0, 3 * words))
    head.control(0, S2MM, 0)
    body.push(0, S2MM, 0, 0, token=True)
    for number in range(3):
        head.bd(0, MM2S, Bd(1 + number, words, at=number * SMALL_OBJECT))
        body.push(0, MM2S, 0, 1 + number)
        body.writes(COVER)
    body.wait(0, S2MM, 0)
    yield from at.sweep("pushes, dry", at.single, head, body, payload=straight(3 * SMALL_OBJECT))


def busy_pushes(at: Setting) -> Iterator[Point]:
    """A send of three objects stalls before a fifo of two; pushes behind it find it busy."""
    words = at.single.object_words
    for behind in BEHIND:
        head, body = at.tape(), at.tape()
        head.bd(0, S2MM, Bd(0, (3 + behind) * words))
        head.bd(0, MM2S, Bd(1, 3 * words))
        head.control(0, S2MM, 0)
        body.push(0, MM2S, 0, 1)
        for number in range(behind):
            head.bd(0, MM2S, Bd(2 + number, words, at=(3 + number) * SMALL_OBJECT))
            body.push(0, MM2S, 0, 2 + number, busy=True)
        body.push(0, S2MM, 0, 0, token=True)
        body.writes(2 * COVER)
        body.wait(0, S2MM, 0)
        moved = (3 + behind) * SMALL_OBJECT
        yield from at.sweep(
            f"pushes, {behind} behind one", at.single, head, body, payload=straight(moved)
        )


def new_bds(at: Setting) -> Iterator[Point]:
    """As `waits`, with the send's BD written before each push: with a patch, and without one.

    Without one the BD holds its device address.
    """
    words, payload = at.single.object_words, straight(SMALL_OBJECT)
    for absolute in (False, True) if at.absolute else (False,):
        head, body = lane_head(at, LANE, words), at.tape()
        body.bd(0, MM2S, Bd(1, words, address=ANYWHERE if absolute else 0))
        _there_and_back(body)
        bench = "absolute BD and push" if absolute else "patched BD and push"
        yield from at.sweep(bench, at.single, head, body, payload=payload, absolute=absolute)


def columns(at: Setting) -> Iterator[Point]:
    """A push each way in 1 to all columns, awaited column by column, or in all of them by one."""
    words = at.array.object_words
    for count in range(1, at.npu.columns + 1):
        lanes = tuple((column, 0) for column in range(count))
        head = lane_head(at, lanes, words)
        for wide in (False, True) if count == at.npu.columns else (False,):
            body = at.tape()
            for column, channel in lanes:
                body.push(column, S2MM, channel, first_bd(channel), token=True)
                body.push(column, MM2S, channel, first_bd(channel) + 1)
            body.writes(COVER)
            for column in range(1 if wide else count):
                body.wait(column, S2MM, 0, columns=count if wide else 1)
            bench = "all columns, one wait" if wide else f"{count} columns"
            moved = count * words * WORD_BYTES
            yield from at.sweep(
                bench, at.array, head, body, shares=(0.3, 1.0), payload=straight(moved)
            )


def _there_and_back(body: Tape, sent: bool = False) -> None:
    """One object through the first lane, hidden behind plain writes; its receipt is awaited."""
    body.push(0, S2MM, 0, 0, token=True)
    body.push(0, MM2S, 0, 1, token=sent)
    body.writes(COVER)
    body.wait(0, S2MM, 0)
