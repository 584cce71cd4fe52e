# SPDX-License-Identifier: Apache-2.0
"""Write configurations (CDO): files of register writes, and several merged into the one of a PDI.

`file` writes what mlir-aie's CDO driver would, `merge` what bootgen makes of such files, `write`
what `aie2.cdo.read` has read. Facts: bootgen cdo-driver/cdo_driver.c and cdo-binary.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from aie2.cdo_format import (
    HEADER_WORDS,
    HEADER_WORDS_AFTER_FIRST,
    LONG_PAYLOAD,
    MAGIC,
    VERSION,
    Cdo,
    CommandId,
    check_register_write,
    header,
)
from aie2.cdo_read import checked_words, spans
from aie2.errors import CdoError
from aie2.fields import WORD_BYTES, WORD_MAX

Op = tuple[str, int, Sequence[int]]
"""A register write for `file`: ("write", address, (value,)), ("mask_write", address, (mask, value))
or ("block", address, words)."""

ALIGNED_WORDS = 4
"""Data of a DMA_WRITE begins at a multiple of this: counted from the file's start by the driver,
and from the multiple of it before the destination by bootgen."""
ADDRESS_WORDS = 2
"""Words of a DMA_WRITE's payload before its data."""
_SINGLE = {"write": (CommandId.WRITE64, 1), "mask_write": (CommandId.MASK_WRITE64, 2)}
"""Command of each op that is no block, and its words."""
_SHORT: dict[int, CommandId] = {
    CommandId.WRITE64: CommandId.WRITE,
    CommandId.MASK_WRITE64: CommandId.MASK_WRITE,
}
"""Command that does the same below 4 GiB, without the address' upper word."""


def write(cdo: Cdo) -> bytes:
    """A file of these commands: what was read from one is written as it was.

    Raises:
        CdoError: a version that is not written here, an id or a word that has too many bits.
    """
    if cdo.version != VERSION:
        raise CdoError(f"CDO: version 0x{cdo.version:x} cannot be written; 0x{VERSION:x} can")
    words: list[int] = []
    for command in cdo.commands:
        if not 0 <= command.id <= 0xFFFF:
            raise CdoError(f"CDO: command id {command.id:#x} is not a 16-bit number")
        _add(words, command.id, command.payload)
    return _framed(words)


def file(ops: Iterable[Op]) -> bytes:
    """A file of register writes as mlir-aie's CDO driver writes it, to be merged for a PDI.

    It begins with a NOP, for bootgen refuses an empty file; addresses have 64 bits; NOPs align the
    data of blocks.

    Raises:
        CdoError: an op of another kind or length, an address or a word that has too many bits.
    """
    words: list[int] = []
    _add(words, CommandId.NOP, ())
    for kind, address, values in ops:
        place = address >> 32, address & WORD_MAX
        if kind == "block":
            _align_as_driver(words, len(values))
            _add(words, CommandId.DMA_WRITE, (*place, *values))
            continue
        if kind not in _SINGLE or len(values) != _SINGLE[kind][1]:
            raise _no_op(kind, address, values)
        _add(words, _SINGLE[kind][0], (*place, *values))
    return _framed(words)


def merge(files: Sequence[bytes]) -> bytes:
    """The configuration of a PDI, as bootgen makes it of several files.

    Addresses get 32 bits where these do, blocks of one word become writes, and NOPs put the data of
    a block as far behind a multiple of 16 bytes, counted in its own file, as its destination is.

    Raises:
        CdoError: a file that cannot be read, or has a command that is not a register write.
    """
    words: list[int] = []
    for data in files:
        words += _as_bootgen(checked_words(data))
    return _framed(words)


def _framed(words: list[int]) -> bytes:
    """A file of these words after its header."""
    first = [HEADER_WORDS_AFTER_FIRST, MAGIC, VERSION, len(words)]
    try:
        return header(first) + struct.pack(f"<{len(words)}I", *words)
    except struct.error:
        wrong = next(word for word in words if not 0 <= word <= WORD_MAX)
        raise CdoError(f"CDO: {wrong:#x} is not a 32-bit word") from None


def _add(words: list[int], command: int, payload: Sequence[int]) -> None:
    """Append a command."""
    if len(payload) < LONG_PAYLOAD:
        words.append(command | len(payload) << 16)
    else:
        words += (command | LONG_PAYLOAD << 16, len(payload))
    words += payload


def _pad(words: list[int], count: int) -> None:
    """Append a NOP of `count` words in all; none if 0."""
    if count:
        _add(words, CommandId.NOP, (0,) * (count - 1))


def _align_as_driver(words: list[int], count: int) -> None:
    """Pad before a block of `count` words.

    The driver takes a payload of exactly 255 words for a short one here, though not when it
    writes it, so that the data of that one is a word off.
    """
    is_long = count + ADDRESS_WORDS > LONG_PAYLOAD
    data_at = HEADER_WORDS + len(words) + 1 + is_long + ADDRESS_WORDS
    _pad(words, -data_at % ALIGNED_WORDS)


def _as_bootgen(given: list[int]) -> list[int]:
    """A file's words after its header, encoded anew."""
    words: list[int] = []
    for number, start, end, offset in spans(given):
        check_register_write(number, end - start, offset)
        if number == CommandId.DMA_WRITE:
            if end - start == ADDRESS_WORDS + 1:
                number = CommandId.WRITE64
            else:
                _align_as_bootgen(words, given[start + 1], end - start)
        if number in _SHORT and given[start] == 0:
            number, start = _SHORT[number], start + 1
        _add(words, number, given[start:end])
    return words


def _align_as_bootgen(words: list[int], address: int, payload_words: int) -> None:
    """Pad before a block that is written to `address`, its lower 32 bits."""
    is_long = payload_words >= LONG_PAYLOAD
    data_at = HEADER_WORDS + len(words) + 1 + is_long + ADDRESS_WORDS
    _pad(words, (address // WORD_BYTES - data_at) % ALIGNED_WORDS)


def _no_op(kind: str, address: int, values: Sequence[int]) -> CdoError:
    known = ", ".join(f"'{name}' with {count}" for name, (_, count) in _SINGLE.items())
    return CdoError(
        f"CDO: op '{kind}' at 0x{address:x} has {len(values)} words; give {known}, or 'block'"
    )
