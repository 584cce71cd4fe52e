# SPDX-License-Identifier: Apache-2.0
"""Read configurations (CDO): the register writes that set an array up, from inside a PDI.

`aie2.pdi` takes one out of a device image; `firmware_sim` replays `register_writes`. Facts: bootgen
(CDO v2 header and commands), mlir-aie's CDO driver (which commands it emits); the NPU firmware
accepts only register writes and NOPs.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from aie2.errors import CdoError
from aie2.fields import WORD_BYTES, WORD_MAX

HEADER_WORDS = 5
HEADER_WORDS_AFTER_FIRST = 4
"""What header word 0 says: the checksum does not count among the words that follow it."""
MAGIC = int.from_bytes(b"CDO\0", "little")
VERSION = 0x200
LONG_PAYLOAD = 255
"""Payload length that means: the next word is the length."""


class CommandId(IntEnum):
    """Commands that can become register writes, with their module (1: generic) in bits 15:8."""

    MASK_WRITE = 0x102
    WRITE = 0x103
    DMA_WRITE = 0x105
    MASK_WRITE64 = 0x107
    WRITE64 = 0x108
    NOP = 0x111


_LONGEST = 1 << 32
_PAYLOAD_WORDS = {
    CommandId.MASK_WRITE: (3, 3),
    CommandId.WRITE: (2, 2),
    CommandId.DMA_WRITE: (2, _LONGEST),
    CommandId.MASK_WRITE64: (4, 4),
    CommandId.WRITE64: (3, 3),
    CommandId.NOP: (0, _LONGEST),
}
"""Least and most payload words of each command."""


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its id with module, its payload words, and the byte at which it begins."""

    id: int
    payload: tuple[int, ...]
    offset: int


@dataclass(frozen=True, slots=True)
class Cdo:
    """A configuration file."""

    version: int
    commands: tuple[Command, ...]


Writes = tuple[NDArray[np.uint32], NDArray[np.uint32], NDArray[np.uint32]]
"""Addresses, values and masks of register writes, in order; columns count within the partition."""


def read(data: bytes | bytearray | memoryview) -> Cdo:
    """Commands of a CDO v2 file, of whatever kind they are.

    Raises:
        CdoError: truncated, with bytes left over, or with a header that contradicts itself.
    """
    words = _words(bytes(data))
    _check_header(words)
    commands: list[Command] = []
    at = HEADER_WORDS
    while at < len(words):
        command, at = _command(words, at)
        commands.append(command)
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


def header(words: list[int]) -> bytes:
    """A header's bytes from its first four words, with their checksum."""
    checksum = ~sum(words) & WORD_MAX
    return np.array([*words, checksum], "<u4").tobytes()


def _words(data: bytes) -> list[int]:
    if len(data) % WORD_BYTES or len(data) < HEADER_WORDS * WORD_BYTES:
        raise CdoError(
            f"CDO: {len(data)} bytes are not a {HEADER_WORDS * WORD_BYTES}-byte header and whole "
            "32-bit words; the file is truncated",
            0,
        )
    return np.frombuffer(data, "<u4").tolist()


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


def _command(words: list[int], at: int) -> tuple[Command, int]:
    """The command at word `at`, and the word after it."""
    offset = at * WORD_BYTES
    head = words[at]
    length, start = head >> 16 & 0xFF, at + 1
    if head >> 24:
        raise CdoError(f"CDO: 0x{head:08x} at byte {offset} is not a command", offset)
    if length == LONG_PAYLOAD and start < len(words):
        length, start = words[start], start + 1
    if start + length > len(words):
        raise CdoError(
            f"CDO: command 0x{head & 0xFFFF:x} at byte {offset} has {length} payload words and "
            f"{len(words) - start} are left; the file is corrupt",
            offset,
        )
    end = start + length
    return Command(head & 0xFFFF, tuple(words[start:end]), offset), end


def _writes(command: Command) -> Writes:
    """Register writes of one command that is not a NOP."""
    least, most = _limits(command)
    payload = command.payload
    if not least <= len(payload) <= most:
        raise CdoError(
            f"CDO: {CommandId(command.id).name} at byte {command.offset} has {len(payload)} "
            f"payload words and needs {least}{'' if least == most else ' or more'}",
            command.offset,
        )
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


def _limits(command: Command) -> tuple[int, int]:
    if command.id not in CommandId.__members__.values():
        known = ", ".join(f"{known.name} 0x{known:x}" for known in CommandId)
        raise CdoError(
            f"CDO: command 0x{command.id:x} at byte {command.offset} is not a register write; the "
            f"NPU firmware accepts {known}",
            command.offset,
        )
    return _PAYLOAD_WORDS[CommandId(command.id)]


def _too_far(command: Command) -> CdoError:
    return CdoError(
        f"CDO: {CommandId(command.id).name} at byte {command.offset} writes beyond 32-bit "
        "addresses",
        command.offset,
    )
