# SPDX-License-Identifier: Apache-2.0
"""Read and write device images (PDI): what wraps an array's configuration (CDO) in an xclbin.

`aie2.xclbin` hands one out, `aie2.cdo` reads what is in it. Images that AMD has transformed, which
`aie2.pdi_transform` knows, are read to the same. Facts: bootgen's Versal format, of which the NPU
firmware takes exactly one image with one partition.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from aie2.blob import Blob, Record
from aie2.errors import FormatError, PdiError
from aie2.fields import WORD_BYTES, WORD_MAX
from aie2.pdi_transform import SEPARATED, mark, restore

MAGIC = bytes.fromhex("dd000000 44332211 88776655 ccbbaa99")
"""The bus-width words that a PDI begins with."""
IDENTITY = int.from_bytes(b"IDPP", "little")
VERSION = 0x00040000
ID_CODE, EXTENDED_ID_CODE = 0x14CA8093, 1
"""JTAG id that every NPU's image states."""
IMAGE_ID, IMAGE_NAME = 0x1C000000, "aie_image"
"""What mlir-aie calls an image (tools/aiecc/SidecarFiles.h)."""
PADDING_BYTES = 16
"""An image is padded with zeros to a multiple of this."""


def _words(title: str, count: int, /, **places: int | tuple[int, int]) -> Record:
    """A record of `count` 32-bit words: for each field its word, and how many it has if not 1."""
    fields = {
        field: (place * WORD_BYTES, WORD_BYTES)
        if isinstance(place, int)
        else (place[0] * WORD_BYTES, place[1] * WORD_BYTES)
        for field, place in places.items()
    }
    return Record(title, count * WORD_BYTES, fields)


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
    header_sizes=11,
    header_words=12,
    extended_id_code=17,
)
IMAGE = _words(
    "image header",
    16,
    partition_word=0,
    partitions=1,
    revision=2,
    name=(4, 4),
    image_id=8,
    pcr=14,
)
PARTITION = _words(
    "partition header",
    32,
    stored_words=0,
    used_words=1,
    total_words=2,
    load_low=6,
    load_high=7,
    data_word=8,
    attributes=9,
    sections=10,
    transform=28,
    command_bytes=29,
    mark=30,
)
TABLE_BYTE = len(MAGIC)
IMAGE_BYTE = TABLE_BYTE + TABLE.size_bytes
PARTITION_BYTE = IMAGE_BYTE + IMAGE.size_bytes
DATA_BYTE = PARTITION_BYTE + PARTITION.size_bytes
"""Where bootgen puts the parts of an image."""
TABLE_FACTS = {
    "images": 1,
    "image_word": IMAGE_BYTE // WORD_BYTES,
    "partitions": 1,
    "partition_word": PARTITION_BYTE // WORD_BYTES,
    "identity": IDENTITY,
    "header_sizes": 0x201020,
    "header_words": (DATA_BYTE - IMAGE_BYTE) // WORD_BYTES,
}
"""What bootgen writes into every image header table."""
IMAGE_FACTS = {"partition_word": PARTITION_BYTE // WORD_BYTES, "partitions": 1}
PARTITION_FACTS = {
    "load_low": WORD_MAX,
    "load_high": WORD_MAX,
    "data_word": DATA_BYTE // WORD_BYTES,
    "attributes": 0x02000006,
    "sections": 1,
}
"""No load address; a configuration, owned by the controller."""
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
    revision: int = 0
    """Revocation id: nothing reads it, and some bootgens leave there what memory held."""
    pcr: int = 0
    """Measurement register: 0, or all ones from other bootgens."""


def read(data: bytes | bytearray | memoryview) -> Pdi:
    """A PDI, its header checksums verified; its body has none.

    Raises:
        PdiError: truncated, corrupt, or with more than one image or partition.
    """
    blob = Blob(bytes(data), "PDI", PdiError)
    if blob.take(0, TABLE_BYTE, "start") != MAGIC:
        raise blob.fail("it does not begin as a PDI for an NPU does", 0)
    table = _header(blob, TABLE, TABLE_BYTE)
    _check_table(blob, table)
    image_at = table["image_word"] * WORD_BYTES
    image = _header(blob, IMAGE, image_at)
    name_byte, name_bytes = IMAGE.fields["name"]
    partition = _partition(blob, table["partition_word"] * WORD_BYTES)
    transformed = _is_transformed(partition)
    cdo, missing_bytes = (_restored if transformed else _body)(blob, partition)
    return Pdi(
        version=table["version"],
        id_code=table["id_code"],
        extended_id_code=table["extended_id_code"],
        image_id=image["image_id"],
        image_name=blob.text(image_at + name_byte, "image name", name_bytes),
        cdo=cdo,
        transformed=transformed,
        missing_bytes=missing_bytes,
        revision=image["revision"],
        pcr=image["pcr"],
    )


def write(pdi: Pdi) -> bytes:
    """An image as bootgen writes it: what was read from one of its files is written as it was.

    Raises:
        PdiError: an image that was transformed, or of which bytes are missing; a version that is
            not written here; a name, id or configuration that does not fit.
    """
    if pdi.transformed or pdi.missing_bytes:
        raise PdiError(
            "PDI: a transformed image cannot be written; `aie2.pdi.wrap` makes a plain one of its "
            "configuration, if none of that is missing"
        )
    if pdi.version != VERSION:
        raise PdiError(f"PDI: version 0x{pdi.version:x} cannot be written; 0x{VERSION:x} can")
    if len(pdi.cdo) % WORD_BYTES:
        raise PdiError(f"PDI: a configuration of {len(pdi.cdo)} bytes is not whole 32-bit words")
    if "\0" in pdi.image_name:
        raise PdiError(f"PDI: image name {pdi.image_name!r} has a zero in it")
    body = pdi.cdo + bytes(-len(pdi.cdo) % PADDING_BYTES)
    ids = {"id_code": pdi.id_code, "extended_id_code": pdi.extended_id_code}
    image = {
        "revision": pdi.revision,
        "name": pdi.image_name.encode(),
        "image_id": pdi.image_id,
        "pcr": pdi.pcr,
    }
    total_words = len(body) // WORD_BYTES
    partition = {
        "stored_words": total_words,
        "used_words": len(pdi.cdo) // WORD_BYTES,
        "total_words": total_words,
    }
    return b"".join(
        (
            MAGIC,
            _summed(TABLE, {"version": VERSION} | TABLE_FACTS | ids),
            _summed(IMAGE, IMAGE_FACTS | image),
            _summed(PARTITION, PARTITION_FACTS | partition),
            body,
        )
    )


def wrap(cdo: bytes) -> bytes:
    """The image that mlir-aie makes of a configuration, such as `aie2.cdo.merge` makes.

    Raises:
        PdiError: a configuration that is not whole words.
    """
    return write(Pdi(VERSION, ID_CODE, EXTENDED_ID_CODE, IMAGE_ID, IMAGE_NAME, cdo))


def _summed(record: Record, values: Mapping[str, int | bytes]) -> bytes:
    """A header with its checksum."""
    words = np.frombuffer(record.pack(values, PdiError), "<u4").copy()
    words[-1] = ~words.sum(dtype=np.uint32)
    return words.tobytes()


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
        return blob.fail(sentence, TABLE_BYTE + TABLE.fields[field][0])

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
