# SPDX-License-Identifier: Apache-2.0
"""Stream words that a host makes for the simulator's tests: packet headers and control packets."""

from __future__ import annotations

from aie2.control_packets import CONTROL_HEADER, PACKET_HEADER, Operation


def odd(word: int) -> int:
    """A word with its top bit chosen so that it has an odd number of ones."""
    return word if word.bit_count() % 2 else word | 1 << 31


def packet_header(packet_id: int, packet_type: int = 0, out_of_order: int = 0) -> int:
    """Header word of a packet that the host makes."""
    fields = {"packet_id": packet_id, "packet_type": packet_type, "out_of_order_id": out_of_order}
    return odd(int(PACKET_HEADER.encode(**fields)[0]))


def control_write(offset: int, *values: int) -> list[int]:
    """Words for a control port: write one to four registers."""
    beats = len(values) - CONTROL_HEADER.field("beats").bias
    head = CONTROL_HEADER.encode(operation=Operation.WRITE, beats=beats, address=offset)
    return [odd(int(head[0])), *values]


def control_read(offset: int, answer_id: int, words: int = 1) -> list[int]:
    """Words for a control port: read one to four registers, answered by a packet of this id."""
    beats = words - CONTROL_HEADER.field("beats").bias
    fields = {"operation": Operation.READ, "beats": beats, "answer_id": answer_id}
    return [odd(int(CONTROL_HEADER.encode(address=offset, **fields)[0]))]
