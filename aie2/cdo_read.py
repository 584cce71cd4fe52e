# SPDX-License-Identifier: Apache-2.0
"""Read configurations (CDO): the register writes that set an array up, from inside a PDI.

`aie2.cdo` is the door to it; `aie2.cdo_write` makes what is read here.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from aie2.cdo_format import (
    HEADER_WORDS,
    HEADER_WORDS_AFTER_FIRST,
    LONG_PAYLOAD,
    MAGIC,
    VERSION,
    Cdo,
    Command,
    CommandId,
    check_register_write,
)
from aie2.errors import CdoError
from aie2.fields import WORD_BYTES, WORD_MAX

Writes = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]
"""Addresses, values and masks of register writes, in order; columns count within the partition."""


def read(data: bytes | bytearray | memoryview) -> Cdo:
    """Commands of a CDO v2 file, of whatever kind they are.

    Raises:
        CdoError: truncated, with bytes left over, or with a header that contradicts itself.
    """
    words = checked_words(data)
    commands = (
        Command(number, tuple(words[start:end]), offset)
        for number, start, end, offset in spans(words)
    )
    return Cdo(words[2], tuple(commands))


def register_writes(cdo: Cdo) -> Writes:
    """The 32-bit register writes that a configuration amounts to, in order.

    Returns:
        (addresses, values, masks), uint32 arrays of one length. DMA_WRITEs are unrolled word by
        word; a plain write's mask is 0xFFFFFFFF.

    Raises:
        CdoError: a command that is not a register write or a NOP, has a payload of the wrong
            length, or writes beyond 32-bit addresses.
    """
    writes = [_writes(command) for command in cdo.commands if command.id != CommandId.NOP]
    if not writes:
        nothing = np.zeros(0, np.uint32)
        return nothing, nothing.copy(), nothing.copy()
    addresses, values, masks = zip(*writes, strict=True)
    return np.concatenate(addresses), np.concatenate(values), np.concatenate(masks)


def checked_words(data: bytes | bytearray | memoryview) -> list[int]:
    """Every word of a file, its header checked; CdoError as `read`."""
    data = bytes(data)
    if len(data) % WORD_BYTES or len(data) < HEADER_WORDS * WORD_BYTES:
        raise CdoError(
            f"CDO: {len(data)} bytes are not a {HEADER_WORDS * WORD_BYTES}-byte header and whole "
            "32-bit words; the file is truncated",
            0,
        )
    words = np.frombuffer(data, "<u4").tolist()
    _check_header(words)
    return words


def _check_header(words: list[int]) -> None:
    after, magic, version, payload_words, checksum = words[:HEADER_WORDS]
    if magic != MAGIC:
        raise CdoError(f"CDO: magic word is 0x{magic:08x}, not 0x{MAGIC:08x}; this is no CDO", 4)
    if version != VERSION or after != HEADER_WORDS_AFTER_FIRST:
        raise CdoError(f"CDO: version 0x{version:x} cannot be read; 0x{VERSION:x} can", 8)
    expected = ~sum(words[: HEADER_WORDS - 1]) & WORD_MAX
    if checksum != expected:
        raise CdoError(
            f"CDO: header checksum is 0x{checksum:08x} and should be 0x{expected:08x}; the file "
            "is corrupt",
            16,
        )
    if payload_words != len(words) - HEADER_WORDS:
        raise CdoError(
            f"CDO: the header states {payload_words} words after it and there are "
            f"{len(words) - HEADER_WORDS}; the file is truncated or has something after it",
            12,
        )


def spans(words: list[int]) -> Iterator[tuple[int, int, int, int]]:
    """Id, first and last (exclusive) word of the payload, and first byte of each command."""
    at, count = HEADER_WORDS, len(words)
    while at < count:
        head, start = words[at], at + 1
        length = head >> 16
        if length >= LONG_PAYLOAD:
            if length > LONG_PAYLOAD:
                offset = at * WORD_BYTES
                raise CdoError(f"CDO: 0x{head:08x} at byte {offset} is not a command", offset)
            if start < count:
                length, start = words[start], start + 1
        end = start + length
        if end > count:
            offset = at * WORD_BYTES
            raise CdoError(
                f"CDO: command 0x{head & 0xFFFF:x} at byte {offset} has {length} payload words and "
                f"{count - start} are left; the file is corrupt",
                offset,
            )
        yield head & 0xFFFF, start, end, at * WORD_BYTES
        at = end


def _writes(command: Command) -> Writes:
    """Register writes of one command that is not a NOP."""
    check_register_write(command.id, len(command.payload), command.offset)
    payload = command.payload
    if command.id in (CommandId.DMA_WRITE, CommandId.MASK_WRITE64, CommandId.WRITE64):
        if payload[0]:
            raise _too_far(command)
        payload = payload[1:]
    address, mask, values = payload[0], WORD_MAX, payload[1:]
    if command.id in (CommandId.MASK_WRITE, CommandId.MASK_WRITE64):
        mask, *values = values
    if address + WORD_BYTES * len(values) > WORD_MAX + 1:
        raise _too_far(command)
    addresses = np.arange(len(values), dtype=np.uint32) * np.uint32(WORD_BYTES) + np.uint32(address)
    masks = np.full(len(values), mask, np.uint32)
    return addresses, np.array(values, np.uint32), masks


def _too_far(command: Command) -> CdoError:
    return CdoError(
        f"CDO: {CommandId(command.id).name} at byte {command.offset} writes beyond 32-bit "
        "addresses",
        command.offset,
    )
