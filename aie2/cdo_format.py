# SPDX-License-Identifier: Apache-2.0
"""What a configuration (CDO) file is: its header, its commands, how long each is.

`aie2.cdo` is the door to it; `aie2.cdo_read` and `aie2.cdo_write` share these facts. Facts: bootgen
cdo-binary.c (CDO v2 header and commands); the NPU firmware accepts only register writes and NOPs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np

from aie2.errors import CdoError
from aie2.fields import WORD_MAX

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
_PAYLOAD_WORDS: dict[int, tuple[int, int]] = {
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
    offset: int = field(default=0, compare=False)
    """Byte of the file that it was read from; it is not written and makes no difference."""


@dataclass(frozen=True, slots=True)
class Cdo:
    """A configuration file."""

    version: int
    commands: tuple[Command, ...]


def header(words: list[int]) -> bytes:
    """A header's bytes from its first four words, with their checksum."""
    checksum = ~sum(words) & WORD_MAX
    return np.array([*words, checksum], "<u4").tobytes()


def check_register_write(command: int, payload_words: int, offset: int) -> None:
    """CdoError unless an id is a register write's or a NOP's, with a payload of the right length.

    Args:
        command: Id with module.
        payload_words: Length of its payload.
        offset: Byte to blame.
    """
    limits = _PAYLOAD_WORDS.get(command)
    if limits is None:
        known = ", ".join(f"{known.name} 0x{known:x}" for known in CommandId)
        raise CdoError(
            f"CDO: command 0x{command:x} at byte {offset} is not a register write; the "
            f"NPU firmware accepts {known}",
            offset,
        )
    least, most = limits
    if not least <= payload_words <= most:
        raise CdoError(
            f"CDO: {CommandId(command).name} at byte {offset} has {payload_words} payload words "
            f"and needs {least}{'' if least == most else ' or more'}",
            offset,
        )
