# SPDX-License-Identifier: Apache-2.0
"""Read device images (PDI): the wrapping, inside an xclbin, of an array's configuration (CDO).

`aie2.xclbin` hands one out, `aie2.cdo` reads what is in it. Facts: bootgen's Versal format, of
which the NPU firmware takes exactly one image with one partition.
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2.blob import Blob, Record
from aie2.errors import FormatError, PdiError
from aie2.fields import WORD_BYTES, WORD_MAX

MAGIC = bytes.fromhex("dd000000 44332211 88776655 ccbbaa99")
"""The bus-width words that a PDI begins with."""
IDENTITY = int.from_bytes(b"IDPP", "little")
VERSION = 0x00040000
PADDING_BYTES = 16
"""An image is padded with zeros to a multiple of this."""


def _words(name: str, count: int, **places: int) -> Record:
    """A record of `count` 32-bit words, by the names of those read; the last is a checksum."""
    fields = {field: (word * WORD_BYTES, WORD_BYTES) for field, word in places.items()}
    return Record(name, count * WORD_BYTES, fields)


TABLE = _words(
    "image header table",
    32,
    version=0,
    images=1,
    image_word=2,
    partitions=3,
    partition_word=4,
    id_code=6,
    identity=10,
    extended_id_code=17,
)
IMAGE = _words("image header", 16, partitions=1, image_id=8)
IMAGE_NAME_BYTE, IMAGE_NAME_BYTES = 16, 16
PARTITION = _words("partition header", 32, used_words=1, total_words=2, data_word=8)


@dataclass(frozen=True, slots=True)
class Pdi:
    """A device image with one partition."""

    version: int
    id_code: int
    """JTAG id of the device family."""
    extended_id_code: int
    image_id: int
    image_name: str
    cdo: bytes
    """The configuration, without the padding after it."""


def read(data: bytes | bytearray | memoryview) -> Pdi:
    """A PDI, its header checksums verified; its body has none.

    Raises:
        PdiError: truncated, corrupt, or with more than one image or partition.
    """
    blob = Blob(bytes(data), "PDI", PdiError)
    if blob.take(0, len(MAGIC), "start") != MAGIC:
        raise blob.fail("it does not begin as a PDI for an NPU does", 0)
    table = _header(blob, TABLE, len(MAGIC))
    _check_table(blob, table)
    image_at = table["image_word"] * WORD_BYTES
    image = _header(blob, IMAGE, image_at)
    partition = _header(blob, PARTITION, table["partition_word"] * WORD_BYTES)
    return Pdi(
        version=table["version"],
        id_code=table["id_code"],
        extended_id_code=table["extended_id_code"],
        image_id=image["image_id"],
        image_name=blob.text(image_at + IMAGE_NAME_BYTE, "image name", IMAGE_NAME_BYTES),
        cdo=_body(blob, partition),
    )


def _header(blob: Blob, record: Record, at: int) -> dict[str, int]:
    """Fields of the header at byte `at`, its checksum verified."""
    fields = blob.record(record, at)
    count = record.size_bytes // WORD_BYTES
    *words, checksum = blob.numbers(at, WORD_BYTES, count, record.name)
    expected = ~sum(words) & WORD_MAX
    if checksum != expected:
        sentence = (
            f"checksum of the {record.name} is 0x{checksum:08x} and should be 0x{expected:08x}; "
            "the file is corrupt"
        )
        raise blob.fail(sentence, at + record.size_bytes - WORD_BYTES)
    return fields


def _check_table(blob: Blob, table: dict[str, int]) -> None:
    def refused(field: str, sentence: str) -> FormatError:
        return blob.fail(sentence, len(MAGIC) + TABLE.fields[field][0])

    if table["identity"] != IDENTITY:
        raise refused("identity", "the image header table does not identify itself as a PDI's")
    if table["version"] != VERSION:
        raise refused(
            "version", f"version 0x{table['version']:x} cannot be read; 0x{VERSION:x} can"
        )
    for field in ("images", "partitions"):
        if table[field] != 1:
            raise refused(field, f"it has {table[field]} {field}; the NPU firmware takes exactly 1")


def _body(blob: Blob, partition: dict[str, int]) -> bytes:
    """The partition's data, after checking that it is the rest of the file."""
    at = partition["data_word"] * WORD_BYTES
    total_bytes = partition["total_words"] * WORD_BYTES
    used_bytes = partition["used_words"] * WORD_BYTES
    body = blob.take(at, total_bytes, "partition data")
    if used_bytes > total_bytes:
        sentence = (
            f"the partition uses {used_bytes} of its {total_bytes} bytes; the file is corrupt"
        )
        raise blob.fail(sentence, at)
    rest = body[used_bytes:] + blob.data[at + total_bytes :]
    if len(rest) >= 2 * PADDING_BYTES or any(rest):
        sentence = f"{len(rest)} bytes after the configuration are not padding; the file is corrupt"
        raise blob.fail(sentence, at + used_bytes)
    return body[:used_bytes]
