# SPDX-License-Identifier: Apache-2.0
"""Read device images (PDI): the wrapping, inside an xclbin, of an array's configuration (CDO).

`aie2.xclbin` hands one out, `aie2.cdo` reads what is in it. Images that AMD has transformed, which
`aie2.pdi_transform` knows, are read to the same. Facts: bootgen's Versal format, of which the NPU
firmware takes exactly one image with one partition.
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2.blob import Blob, Record
from aie2.errors import FormatError, PdiError
from aie2.fields import WORD_BYTES, WORD_MAX
from aie2.pdi_transform import SEPARATED, mark, restore

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
PARTITION = _words(
    "partition header",
    32,
    used_words=1,
    total_words=2,
    data_word=8,
    transform=28,
    command_bytes=29,
    mark=30,
)
UNCHECKED_WORDS = (28, 29, 30)
"""Words of a transformed image's partition header that were set after its checksum."""


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
    transformed: bool = False
    """Whether AMD had transformed it; `cdo` is then what it was before, without its NOPs."""
    missing_bytes: int = 0
    """Bytes of the last write that a transformed image's file leaves out, and `cdo` too."""


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
    partition = _partition(blob, table["partition_word"] * WORD_BYTES)
    transformed = _is_transformed(partition)
    cdo, missing_bytes = (_restored if transformed else _body)(blob, partition)
    return Pdi(
        version=table["version"],
        id_code=table["id_code"],
        extended_id_code=table["extended_id_code"],
        image_id=image["image_id"],
        image_name=blob.text(image_at + IMAGE_NAME_BYTE, "image name", IMAGE_NAME_BYTES),
        cdo=cdo,
        transformed=transformed,
        missing_bytes=missing_bytes,
    )


def _is_transformed(partition: dict[str, int]) -> bool:
    transform = partition["transform"]
    expected = mark(transform, partition["command_bytes"])
    return transform == SEPARATED and partition["mark"] == expected


def _partition(blob: Blob, at: int) -> dict[str, int]:
    """The partition header at byte `at`."""
    transformed = _is_transformed(blob.record(PARTITION, at))
    return _header(blob, PARTITION, at, UNCHECKED_WORDS if transformed else ())


def _header(blob: Blob, record: Record, at: int, unchecked: tuple[int, ...] = ()) -> dict[str, int]:
    """Fields of the header at byte `at`, its checksum verified; it leaves out some words."""
    fields = blob.record(record, at)
    count = record.size_bytes // WORD_BYTES
    *words, checksum = blob.numbers(at, WORD_BYTES, count, record.name)
    expected = ~(sum(words) - sum(words[word] for word in unchecked)) & WORD_MAX
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


def _body(blob: Blob, partition: dict[str, int]) -> tuple[bytes, int]:
    """The partition's data and 0 bytes missing, after checking that it is the rest of the file."""
    at = partition["data_word"] * WORD_BYTES
    total_bytes = partition["total_words"] * WORD_BYTES
    used_bytes = partition["used_words"] * WORD_BYTES
    body = blob.take(at, total_bytes, "partition data")
    if used_bytes > total_bytes:
        sentence = (
            f"the partition uses {used_bytes} of its {total_bytes} bytes; the file is corrupt"
        )
        raise blob.fail(sentence, at)
    _check_padding(blob, at + used_bytes)
    return body[:used_bytes], 0


def _restored(blob: Blob, partition: dict[str, int]) -> tuple[bytes, int]:
    """A transformed partition's data as it was, and the bytes of it that the file leaves out.

    The header's sizes are of before the transformation in some files and of neither in others.
    """
    at = partition["data_word"] * WORD_BYTES
    body = blob.part(at, max(len(blob.data) - at, 0), "partition data")
    restored = restore(body, partition["command_bytes"])
    missing_bytes = restored.used_bytes - len(body.data)
    if missing_bytes < 0:
        _check_padding(blob, at + restored.used_bytes)
    return restored.cdo, max(missing_bytes, 0)


def _check_padding(blob: Blob, at: int) -> None:
    """Refuse a file with more than padding from byte `at` on."""
    rest = blob.data[at:]
    if len(rest) >= 2 * PADDING_BYTES or any(rest):
        sentence = f"{len(rest)} bytes after the configuration are not padding; the file is corrupt"
        raise blob.fail(sentence, at)
