# SPDX-License-Identifier: Apache-2.0
"""Micro-benchmarks of the shim DMAs: latencies, words, objects, chains.

Here the controller waits, and what it waits for is counted: a fifo hands an object on only when it
is whole, so n objects of w words take (n + 1) w words and n - 1 hand-overs from the first word
read to the last one written; n is even, so that every transfer begins with the same buffer.
"""

from __future__ import annotations

from collections.abc import Iterator

from aie2.fields import WORD_BYTES
from host.calibrate.designs import Design
from host.calibrate.payload import straight
from host.calibrate.setting import (
    COLD_REST,
    COVER,
    MM2S,
    OFTEN,
    S2MM,
    Point,
    Setting,
    first_bd,
    lane_head,
    point,
)
from host.calibrate.streams import SPARE_BD, Bd, Tape

CHAINS = (1, 2, 4, 8, 12, 15)
"""BDs of a chain; the sixteenth receives."""
CHAIN_OBJECTS = 32
"""Objects that every chain moves, so that chains differ in nothing but BDs: two to a BD, so that
the pause between BDs and a hand-over do not hide each other."""
SHORT = 8
"""Plain writes that hide the latency of a receive behind the push of a send."""
WARM = 12
"""Tasks after which a channel is warm: what is left of a cold start is then a millionth."""
LONG = 4.0
"""Spans that the longest single transfer takes: its words are what everything is measured by."""


def sends(at: Setting) -> Iterator[Point]:
    """Two objects there and back through each lane in turn, and each time the wait for it.

    Once: all channels are cold. Often: what the cold tasks after the first added is in all points.
    """
    one, objects = at.array, 2
    head, body = lane_head(at, one.lanes, objects * one.object_words), at.tape()
    for column, channel in one.lanes:
        body.push(column, S2MM, channel, first_bd(channel), token=True)
        body.writes(SHORT)
        body.push(column, MM2S, channel, first_bd(channel) + 1)
        body.visible(shim_mm2s_task=1)
        _through(body, one, objects)
        body.wait(column, S2MM, channel)
    lanes, moved = len(one.lanes), len(one.lanes) * objects * one.shipped.object_bytes
    cold = {"shim_mm2s_cold": float(lanes)}
    payload = straight(moved)
    yield point("sends, cold", one, head, body, 1, once=cold, payload=payload, often=OFTEN)
    most = max(2 * WARM, round(at.most_times(body)))
    for times in (WARM, (WARM + most) // 2, most):
        once, often = cold | {COLD_REST: float(lanes)}, OFTEN if times == WARM else 1
        bench = "sends, warm"
        yield point(bench, one, head, body, times, once=once, payload=payload, often=often)


def receives(at: Setting) -> Iterator[Point]:
    """Four objects wait in the fifo and before it; then the receive of each lane in turn."""
    one, objects = at.array, 4
    head, body = lane_head(at, one.lanes, objects * one.object_words), at.tape()
    for column, channel in one.lanes:
        body.push(column, MM2S, channel, first_bd(channel) + 1)
    body.writes(COVER)
    for column, channel in one.lanes:
        body.push(column, S2MM, channel, first_bd(channel), token=True)
        body.visible(shim_s2mm_task=1, lock_handoff=objects - 2, word=objects * one.object_words)
        body.wait(column, S2MM, channel)
    moved = len(one.lanes) * objects * one.shipped.object_bytes
    yield from at.sweep("receives", one, head, body, payload=straight(moved))


def long_copies(at: Setting) -> Iterator[Point]:
    """One transfer through one lane, longer and longer, with small objects and with large ones."""
    for one in (at.single, at.rate):
        most = LONG * at.span_us * at.npu.clock_mhz / one.object_words
        for share in (0.1, 0.5, 1.0):
            objects = 2 * max(1, round(share * most / 2))
            head, body = lane_head(at, ((0, 0),), objects * one.object_words), at.tape()
            body.push(0, S2MM, 0, 0, token=True)
            body.push(0, MM2S, 0, 1)
            body.visible(shim_mm2s_task=1, shim_mm2s_cold=1)
            _through(body, one, objects)
            body.wait(0, S2MM, 0)
            bench = f"long copy, objects of {one.shipped.object_bytes}"
            moved = objects * one.shipped.object_bytes
            yield point(bench, one, head, body, 1, size=objects, payload=straight(moved))


def chains(at: Setting) -> Iterator[Point]:
    """The same bytes sent by chains of 1 to 15 BDs; no BD ends where an object does."""
    one = at.single
    total = CHAIN_OBJECTS * one.object_words
    for count in CHAINS:
        head, body = at.tape(), at.tape()
        head.bd(0, S2MM, Bd(SPARE_BD, total))
        head.control(0, S2MM, 0)
        ends = [_boundary(number, count, one.object_words) for number in range(count + 1)]
        for number in range(count):
            following = number + 1 if number + 1 < count else None
            start, words = ends[number], ends[number + 1] - ends[number]
            bd = Bd(number, words, at=start * WORD_BYTES, following=following)
            head.bd(0, MM2S, bd)
        body.push(0, S2MM, 0, SPARE_BD, token=True)
        body.push(0, MM2S, 0, 0)
        body.visible(shim_mm2s_task=1, next_bd=count - 1)
        _through(body, one, CHAIN_OBJECTS)
        body.wait(0, S2MM, 0)
        cold = {"shim_mm2s_cold": 1.0, COLD_REST: 1.0}
        most = max(2 * WARM, round(at.most_times(body)))
        for times in (WARM, most):
            moved = total * WORD_BYTES
            yield point(
                f"chain of {count}", one, head, body, times, once=cold, payload=straight(moved)
            )


def _boundary(number: int, count: int, object_words: int) -> int:
    """Word at which BD `number` of `count` begins: in the middle of every other object."""
    if number in (0, count):
        return number // count * CHAIN_OBJECTS * object_words
    return 2 * number * object_words - object_words // 2


def _through(body: Tape, one: Design, objects: int) -> None:
    """Count two objects or more from the first word read to the last one written."""
    words = (objects + 1) * one.object_words
    body.visible(word=words, lock_handoff=objects - 1)
