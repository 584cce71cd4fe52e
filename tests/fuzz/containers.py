# SPDX-License-Identifier: Apache-2.0
"""Configurations written back: CDO to PDI (plain or transformed) to xclbin, checksums made good."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from random import Random

import numpy as np

from aie2 import cdo, pdi, xclbin
from aie2.cdo import Command, CommandId
from aie2.fields import WORD_MAX
from aie2.pdi_transform import OMITTED_BYTES, SEPARATED, mark
from tests.fuzz.registers import fitting_word, one_in, some_address, some_word

TABLE_BYTE, PDI_IMAGE_BYTE, PDI_PARTITION_BYTE, BODY_BYTE = 16, 144, 208, 336
HEADERS = ((TABLE_BYTE, 32), (PDI_IMAGE_BYTE, 16), (PDI_PARTITION_BYTE, 32))
"""Headers of mlir-aie's PDIs: first byte, and words, of which the last is a checksum."""


@dataclass(frozen=True)
class Container:
    """A golden xclbin, and where in it lies what is to be replaced."""

    data: bytes
    section_header: int
    section: int
    section_size: int
    entry: int
    """First byte of the PDI entry within the section."""
    image: bytes
    commands: tuple[Command, ...]

    @classmethod
    def of(cls, data: bytes) -> Container:
        """Take an xclbin with one PDI apart."""
        read = xclbin.read(data)
        number = [each.kind for each in read.sections].index(xclbin.SectionKind.AIE_PARTITION)
        section = read.sections[number]
        image = read.partition.pdis[0].image
        return cls(
            data,
            xclbin.HEADER.size_bytes + number * xclbin.SECTION.size_bytes,
            section.offset,
            len(section.data),
            struct.unpack_from("<I", section.data, xclbin.PARTITION.fields["pdi_offset"][0])[0],
            image,
            cdo.read(pdi.read(image).cdo).commands,
        )

    def with_image(self, image: bytes) -> bytes:
        """The xclbin with another PDI, in a section at its end."""
        section = bytearray(self.data[self.section : self.section + self.section_size])
        struct.pack_into("<II", section, self.entry + 16, len(image), len(section))
        section += image
        made = bytearray(self.data)
        struct.pack_into("<QQ", made, self.section_header + 24, len(made), len(section))
        made += section
        struct.pack_into("<Q", made, xclbin.HEADER.fields["length"][0], len(made))
        return bytes(made)

    def image_of(self, configuration: bytes) -> bytes:
        """A PDI with another configuration."""
        made = bytearray(self.image[:BODY_BYTE])
        words = len(configuration) // 4
        struct.pack_into("<II", made, PDI_PARTITION_BYTE + 4, words, words)
        return repaired(bytes(made)) + configuration

    def transformed_image_of(self, configuration: bytes, whole: bool = False) -> bytes:
        """A PDI as AMD's tool makes it, of which the end is missing unless `whole`."""
        zone, data = zones(cdo.read(configuration).commands)
        made = bytearray(self.image[:BODY_BYTE])
        places = (SEPARATED, len(zone), mark(SEPARATED, len(zone)))
        struct.pack_into("<III", made, PDI_PARTITION_BYTE + 4 * 28, *places)
        end = len(data) if whole or len(data) < OMITTED_BYTES else len(data) - OMITTED_BYTES
        return bytes(made) + configuration[: 4 * cdo.HEADER_WORDS] + zone + data[:end]


def repaired(image: bytes) -> bytes:
    """A plain PDI with the checksums of its headers made good."""
    made = bytearray(image)
    for first, count in HEADERS:
        if first + 4 * count <= len(made):
            words = struct.unpack_from(f"<{count - 1}I", made, first)
            struct.pack_into("<I", made, first + 4 * (count - 1), ~sum(words) & WORD_MAX)
    return bytes(made)


def cdo_of(commands: Iterable[Command]) -> bytes:
    """A configuration of these commands."""
    body: list[int] = []
    for command in commands:
        count = len(command.payload)
        if count < cdo.LONG_PAYLOAD:
            body.append(command.id | count << 16)
        else:
            body += [command.id | cdo.LONG_PAYLOAD << 16, count]
        body += command.payload
    return cdo.header([4, cdo.MAGIC, cdo.VERSION, len(body)]) + np.array(body, "<u4").tobytes()


def zones(commands: Iterable[Command]) -> tuple[bytes, bytes]:
    """Command zone and data zone of a transformed image."""
    zone: list[int] = []
    data: list[int] = []
    kept = [each for each in commands if each.id != CommandId.NOP]
    for number, group in groupby(kept, key=lambda each: each.id):
        entries = [list(each.payload) for each in group]
        zone += [number & 0xFF, len(entries)]
        for entry in entries:
            if number == CommandId.DMA_WRITE and len(entry) >= 2:
                high, low, *block = entry
                zone += [high, low, 4 * len(data), len(block) & 0xFFFF]
                data += block
            else:
                zone += entry
    return np.array(zone, "<u4").tobytes(), np.array(data, "<u4").tobytes()


def writes_to_commands(writes: Iterable[tuple[int, int]]) -> list[Command]:
    """Commands for register writes."""
    return [Command(CommandId.WRITE, write, 0) for write in writes]


def edited(rng: Random, commands: Iterable[Command], columns: int) -> list[Command]:
    """Commands with some changed, left out, doubled, moved or put in."""
    made = list(commands)
    for _ in range(rng.choice((1, 1, 2, 3, 6, 12))):
        if made:
            rng.choice(EDITS)(rng, made, columns)
    return made


def _value(rng: Random, made: list[Command], columns: int) -> None:
    at = rng.randrange(len(made))
    payload = list(made[at].payload)
    if payload:
        place = rng.randrange(len(payload)) if one_in(rng, 3) else len(payload) - 1
        payload[place] = fitting_word(rng, payload[-2] if len(payload) > 1 else 0, payload[place])
        made[at] = Command(made[at].id, tuple(payload), 0)


def _address(rng: Random, made: list[Command], columns: int) -> None:
    at = rng.randrange(len(made))
    payload = list(made[at].payload)
    place = made[at].id in (CommandId.DMA_WRITE, CommandId.WRITE64, CommandId.MASK_WRITE64)
    if len(payload) > place:
        old = payload[place]
        payload[place] = rng.choice((some_address(rng, columns), old ^ 1 << rng.randrange(32)))
        made[at] = Command(made[at].id, tuple(payload), 0)


def _block(rng: Random, made: list[Command], columns: int) -> None:
    where = some_address(rng, columns)
    words = [some_word(rng) for _ in range(rng.choice((0, 1, 8, 8, 64, 300)))]
    made.insert(rng.randrange(len(made)), Command(CommandId.DMA_WRITE, (0, where, *words), 0))


def _insert(rng: Random, made: list[Command], columns: int) -> None:
    where = some_address(rng, columns)
    word = fitting_word(rng, where)
    made.insert(rng.randrange(len(made) + 1), Command(CommandId.WRITE, (where, word), 0))


def _mask(rng: Random, made: list[Command], columns: int) -> None:
    where, mask = some_address(rng, columns), some_word(rng)
    command = Command(CommandId.MASK_WRITE, (where, mask, fitting_word(rng, where)), 0)
    made.insert(rng.randrange(len(made) + 1), command)


def _delete(rng: Random, made: list[Command], columns: int) -> None:
    first = rng.randrange(len(made))
    del made[first : first + rng.choice((1, 1, 2, 8))]


def _double(rng: Random, made: list[Command], columns: int) -> None:
    first = rng.randrange(len(made))
    piece = made[first : first + rng.choice((1, 1, 2, 8))]
    made[rng.randrange(len(made)) :] += piece


def _swap(rng: Random, made: list[Command], columns: int) -> None:
    one, other = rng.randrange(len(made)), rng.randrange(len(made))
    made[one], made[other] = made[other], made[one]


def _kind(rng: Random, made: list[Command], columns: int) -> None:
    at = rng.randrange(len(made))
    number = rng.choice((*CommandId, 0x101, 0x104, 0x203, rng.getrandbits(16)))
    made[at] = Command(number, made[at].payload, 0)


EDITS: tuple[Callable[[Random, list[Command], int], None], ...] = (
    *(_value, _value, _value, _address, _address),
    *(_insert, _insert, _mask, _block, _delete, _double, _swap, _kind),
)
