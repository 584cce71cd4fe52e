# SPDX-License-Identifier: Apache-2.0
"""Undo AMD's transformation of device images (PDI), which puts what to write apart from its data.

`aie2.pdi` calls it for images that are marked so, and hands out the same kind of configuration
(CDO) as for others. Facts: aie-pdi-transform (pdi_transform.c, load_pdi.h), and 218 images of AMD's
overlays.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aie2.blob import Blob
from aie2.cdo import HEADER_WORDS, LONG_PAYLOAD, CommandId, header
from aie2.errors import FormatError
from aie2.fields import WORD_BYTES, WORD_MAX

SEPARATED = 1
"""Transform type of the partition header: commands in one zone, data in another."""
MARK = 0x8866
"""What a valid mark of the partition header is made from."""
OMITTED_BYTES = 20
"""Bytes at the end of the data that AMD's tool leaves out: it does not count the CDO header."""

HEADER_BYTES = HEADER_WORDS * WORD_BYTES
GROUP_WORDS = 2
"""Words before the entries of a group: the command, and how many entries there are."""
DATA_ENTRY_WORDS = 4
"""An entry of a DMA_WRITE group: address high and low, place in the data, and words in 15:0."""
DATA_WORDS_MASK = 0xFFFF
GENERIC = 0x100
"""Module of all commands; the groups state only what is below it."""
ENTRY_WORDS = {
    CommandId.MASK_WRITE: 3,
    CommandId.WRITE: 2,
    CommandId.DMA_WRITE: DATA_ENTRY_WORDS,
    CommandId.MASK_WRITE64: 4,
    CommandId.WRITE64: 3,
}
"""Words of an entry of each group."""

Words = NDArray[np.uint32]


@dataclass(frozen=True, slots=True)
class Restored:
    """A configuration as it was before the transformation."""

    cdo: bytes
    """Without its NOPs, which the transformation drops."""
    used_bytes: int
    """Bytes of the transformed configuration; more than there are where its end is missing."""


def mark(transform: int, command_bytes: int) -> int:
    """What marks a partition header as one of a transformed image."""
    kind = (transform & 0xFF) << 8 | transform >> 8
    size = (command_bytes & 0xFFFF) << 16 | command_bytes >> 16
    return (MARK | kind | size) & WORD_MAX


def restore(body: Blob, command_bytes: int) -> Restored:
    """The configuration in a transformed partition's `body`, which may have padding after it.

    Of data that the file leaves out, up to `OMITTED_BYTES`, nothing is written.

    Raises:
        FormatError: truncated or corrupt; of the kind that `body` raises.
    """
    first = body.numbers(0, WORD_BYTES, HEADER_WORDS, "configuration header")
    if ~sum(first[:-1]) & WORD_MAX != first[-1]:
        raise body.fail("checksum of the configuration header is wrong; the file is corrupt", 0)
    if command_bytes % WORD_BYTES:
        raise body.fail(f"{command_bytes} bytes of commands are not whole words", HEADER_BYTES)
    zone = np.frombuffer(body.take(HEADER_BYTES, command_bytes, "command zone"), "<u4")
    data_at = HEADER_BYTES + command_bytes
    data_words = (len(body.data) - data_at) // WORD_BYTES
    data = np.frombuffer(body.data, "<u4", data_words, data_at)
    pieces: list[Words] = []
    at = used_words = 0
    while at < zone.size:
        command, entries, at = _group(body, zone, at)
        if command is CommandId.DMA_WRITE:
            for entry in entries:
                piece, used_words = _data_write(body, entry, data, used_words)
                pieces.append(piece)
        else:
            heads = np.full((len(entries), 1), _head(command, entries.shape[1]), np.uint32)
            pieces.append(np.hstack([heads, entries]).reshape(-1))
    payload = np.concatenate([*pieces, np.zeros(0, np.uint32)]).astype("<u4")
    words = np.array([*first[:3], payload.size], np.uint32)
    return Restored(header(words.tolist()) + payload.tobytes(), data_at + used_words * WORD_BYTES)


def _head(command: CommandId, payload_words: int) -> int:
    return command | payload_words << 16


def _refused(body: Blob, sentence: str, at: int) -> FormatError:
    """The exception for what is wrong at word `at` of the command zone."""
    return body.fail(f"{sentence}; the file is corrupt", HEADER_BYTES + at * WORD_BYTES)


def _group(body: Blob, zone: Words, at: int) -> tuple[CommandId, Words, int]:
    """Command and (n, words) entries of the group at word `at`, and the word after it."""
    start = at + GROUP_WORDS
    if start > zone.size:
        raise _refused(body, "the command zone ends within a group", at)
    number, count = int(zone[at]), int(zone[at + 1])
    if number > 0xFF or GENERIC | number not in ENTRY_WORDS:
        raise _refused(body, f"0x{number:x} is not a group of register writes", at)
    command = CommandId(GENERIC | number)
    entry_words = ENTRY_WORDS[command]
    end = start + count * entry_words
    if end > zone.size:
        sentence = f"{count} entries of {command.name} do not fit the {zone.size - start} words"
        raise _refused(body, f"{sentence} that are left", at)
    return command, zone[start:end].reshape(count, entry_words), end


def _data_write(body: Blob, entry: Words, data: Words, used_words: int) -> tuple[Words, int]:
    """The command of a DMA_WRITE entry, and words of the data zone that are used up with it."""
    high, low, place, size = entry.tolist()
    count = size & DATA_WORDS_MASK
    end = used_words + count
    data_at = len(body.data) - data.nbytes
    if place != used_words * WORD_BYTES:
        sentence = f"data at byte {place} of the data zone, of which {used_words * WORD_BYTES}"
        raise body.fail(f"{sentence} are used until here; the file is corrupt", data_at)
    if end > data.size + OMITTED_BYTES // WORD_BYTES:
        sentence = f"the data zone has {data.nbytes} bytes and {end * WORD_BYTES} are used"
        raise body.fail(f"{sentence}; the file is truncated", data_at + data.nbytes)
    payload = data[used_words:end]
    long = _head(CommandId.DMA_WRITE, LONG_PAYLOAD)
    head = np.array([long, 2 + payload.size, high, low], np.uint32)
    return np.concatenate([head, payload]), end
