# SPDX-License-Identifier: Apache-2.0
"""The FIFO before a sink, and a control port's answers: rings of words with TLAST marks."""

from __future__ import annotations

from firmware_sim.array.state import NONE, RING, State
from firmware_sim.compiled import compiled


@compiled
def append(m: State, endpoint: int, word: int, last: bool, owner: int) -> None:
    """Put a word behind those that an endpoint's ring holds; the caller has checked for room.

    `owner` is the source whose BD ends with the word, NONE: none does.
    """
    ch = m.channels[endpoint]
    place = (ch.head + ch.held) % RING
    m.rings[endpoint, place] = word
    m.ring_last[endpoint, place] = last
    m.ring_owner[endpoint, place] = owner + 1
    ch.held += 1


@compiled
def take(m: State, endpoint: int) -> int:
    """Take the first word out; `ended` says whether it had TLAST."""
    ch = m.channels[endpoint]
    word = m.rings[endpoint, ch.head]
    ch.ended = m.ring_last[endpoint, ch.head]
    owner = m.ring_owner[endpoint, ch.head] - 1
    if owner != NONE:
        m.channels[owner].pending -= 1
        m.flushed = 1
    ch.head = (ch.head + 1) % RING
    ch.held -= 1
    return word


@compiled
def frame_length(m: State, endpoint: int) -> int:
    """Words up to and with the first TLAST; all of them if there is none."""
    ch = m.channels[endpoint]
    for word in range(ch.held):
        if m.ring_last[endpoint, (ch.head + word) % RING]:
            return word + 1
    return ch.held
