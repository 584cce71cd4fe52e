# SPDX-License-Identifier: Apache-2.0
"""Control packets in compiled code: register reads and writes that come through the stream.

A tile's control port takes a stream header (unless a switch dropped it), a control header (address,
number of words, operation, id of the answer) and data words; a read is answered by a packet from
the port. AIE2 wants a TLAST at the end of each; AIE2P takes several in a row. Facts: mlir-aie's
control-packet designs (AIECtrlPacketToDma), AM020.
"""

from __future__ import annotations

from aie2.control_packets import CONTROL_HEADER, Operation
from aie2.tiles import COLUMN_SHIFT, ROW_SHIFT
from firmware_sim import diagnostics as d
from firmware_sim.array import events as e
from firmware_sim.array.bd_registers import SOURCE_COLUMN_SHIFT, SOURCE_ROW_SHIFT
from firmware_sim.array.bits import bits, cut
from firmware_sim.array.events import happened
from firmware_sim.array.mmio import ALL_BITS, read32, write32
from firmware_sim.array.packet_header import ones_are_odd, with_parity
from firmware_sim.array.rings import append, frame_length, take
from firmware_sim.array.state import (
    CONTROL_IN,
    CONTROL_OUT,
    IDLE,
    NONE,
    READY,
    RING,
    ROWS,
    State,
)
from firmware_sim.array.streams import kick_source
from firmware_sim.compiled import compiled
from firmware_sim.diagnostics import report

STREAM_HEADER, HEADER, DATA, LOST = range(4)
"""What a control port's next word is; LOST: the rest of a malformed packet."""

ADDRESS = bits(CONTROL_HEADER, "address")
BEATS = bits(CONTROL_HEADER, "beats")
OPERATION = bits(CONTROL_HEADER, "operation")
ANSWER_ID = bits(CONTROL_HEADER, "answer_id")
READ = int(Operation.READ)
WRITE = int(Operation.WRITE)


@compiled
def take_control_words(m: State, tile: int, now: float) -> None:
    """Act on every word that waits before a tile's control port."""
    sink = CONTROL_IN + tile
    while m.channels[sink].held > 0:
        word = take(m, sink)
        control_word(m, tile, word, now)
        if m.channels[sink].ended:
            if m.control[tile].expects == DATA:
                report(m, d.CONTROL_PACKET, NONE, tile, word, now)
            m.control[tile].beats = 0
            m.control[tile].expects = HEADER - m.control[tile].keeps_header


@compiled
def control_word(m: State, tile: int, word: int, now: float) -> None:
    """One word: a header to be taken apart, or data to be written."""
    port = m.control[tile]
    base = tile // ROWS << COLUMN_SHIFT | tile % ROWS << ROW_SHIFT
    if port.expects == STREAM_HEADER:
        port.expects = HEADER
    elif port.expects == HEADER:
        begin(m, tile, base, word, now)
    elif port.expects == DATA:
        happened(m, e.REGISTER_WRITTEN, tile, base | port.address, word, now)
        write32(m, base | port.address, word, ALL_BITS, now)
        port.address += 4
        port.beats -= 1
        if port.beats == 0:
            end_packet(m, tile, word, now)


@compiled
def begin(m: State, tile: int, base: int, word: int, now: float) -> None:
    """A control header: note what follows, or answer a read."""
    port = m.control[tile]
    port.address = cut(word, ADDRESS)
    port.beats = cut(word, BEATS) + 1
    port.operation = cut(word, OPERATION)
    port.answer_id = cut(word, ANSWER_ID)
    if not ones_are_odd(word) or not (port.operation == READ or port.operation == WRITE):
        report(m, d.CONTROL_PACKET, NONE, tile, word, now)
        port.expects = LOST
    elif port.operation == READ:
        answer(m, tile, base, now)
        port.beats = 0
        end_packet(m, tile, word, now)
    else:
        port.expects = DATA


@compiled
def end_packet(m: State, tile: int, word: int, now: float) -> None:
    """A packet is complete: another may follow at once where the device takes that."""
    port = m.control[tile]
    port.expects = HEADER - port.keeps_header
    if not (m.chained_control or m.channels[CONTROL_IN + tile].ended):
        report(m, d.CONTROL_PACKET, NONE, tile, word, now)
        port.expects = LOST


@compiled
def answer(m: State, tile: int, base: int, now: float) -> None:
    """Send the words that were asked for, as a packet from the control port."""
    port, source = m.control[tile], CONTROL_OUT + tile
    ch = m.channels[source]
    if ch.held + port.beats + 1 > RING:
        report(m, d.CONTROL_PACKET, NONE, tile, port.address, now)
        return
    header = with_parity(
        port.answer_id | tile % ROWS << SOURCE_ROW_SHIFT | tile // ROWS << SOURCE_COLUMN_SHIFT
    )
    append(m, source, header, False, NONE)
    for beat in range(port.beats):
        word = read32(m, base | port.address + 4 * beat, now)
        append(m, source, word, beat == port.beats - 1, NONE)
    if ch.phase == IDLE:
        next_answer(m, source, now)


@compiled
def next_answer(m: State, source: int, now: float) -> None:
    """Offer the first answer that waits in a control port to the stream."""
    ch = m.channels[source]
    ch.phase = IDLE
    if ch.held > 0:
        ch.words_left = frame_length(m, source)
        ch.ready_at = now
        ch.phase = READY
        kick_source(m, source, now)
