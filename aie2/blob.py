# SPDX-License-Identifier: Apache-2.0
"""Read and write a binary file field by field: a short one gives an error, never a wrong value.

`aie2.pdi` and `aie2.xclbin` declare their headers as `Record` tables, read them through `Blob` and
write them with `Record.pack`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from aie2.errors import FormatError


@dataclass(frozen=True, slots=True)
class Record:
    """A little-endian structure: for each field its byte offset and its size in bytes."""

    name: str
    size_bytes: int
    fields: Mapping[str, tuple[int, int]]

    def pack(self, values: Mapping[str, int | bytes], error: type[FormatError]) -> bytes:
        """Bytes with these field values; bytes are filled up with zeros, all else is zero.

        Raises:
            error: a value that its field cannot hold.
        """
        data = bytearray(self.size_bytes)
        for name, value in values.items():
            at, size_bytes = self.fields[name]
            try:
                raw = value if isinstance(value, bytes) else value.to_bytes(size_bytes, "little")
            except OverflowError:
                raise error(
                    f"{self.name}: {name} is {value} and its {size_bytes} bytes hold 0 to "
                    f"{(1 << 8 * size_bytes) - 1}"
                ) from None
            if len(raw) > size_bytes:
                raise error(f"{self.name}: {name} has {len(raw)} bytes and {size_bytes} fit")
            data[at : at + len(raw)] = raw
        return bytes(data)


@dataclass(frozen=True, slots=True)
class Blob:
    """Bytes with a name, and the exception that reading past their end raises."""

    data: bytes
    name: str
    error: type[FormatError]
    base: int = 0
    """Byte of the whole file at which `data` begins; offsets in errors count from the file's."""

    def fail(self, sentence: str, at: int) -> FormatError:
        """The exception to raise for what is wrong at byte `at` of these bytes."""
        offset = self.base + at
        return self.error(f"{self.name}: {sentence} (byte {offset})", offset)

    def take(self, at: int, size_bytes: int, what: str) -> bytes:
        """`size_bytes` bytes from byte `at`."""
        if at + size_bytes > len(self.data):
            sentence = (
                f"{what} needs {size_bytes} bytes and {max(len(self.data) - at, 0)} are left; the "
                "file is truncated or corrupt"
            )
            raise self.fail(sentence, at)
        return self.data[at : at + size_bytes]

    def part(self, at: int, size_bytes: int, what: str) -> Blob:
        """The same as `take`, to be read further."""
        return Blob(self.take(at, size_bytes, what), self.name, self.error, self.base + at)

    def number(self, at: int, size_bytes: int, what: str) -> int:
        """Unsigned number of `size_bytes` bytes at byte `at`."""
        return int.from_bytes(self.take(at, size_bytes, what), "little")

    def numbers(self, at: int, size_bytes: int, count: int, what: str) -> tuple[int, ...]:
        """`count` unsigned numbers of `size_bytes` bytes each from byte `at`."""
        data = self.take(at, size_bytes * count, what)
        return tuple(
            int.from_bytes(data[start : start + size_bytes], "little")
            for start in range(0, len(data), size_bytes)
        )

    def record(self, record: Record, at: int = 0) -> dict[str, int]:
        """Every field of `record`, which begins at byte `at`."""
        part = self.part(at, record.size_bytes, record.name)
        return {name: part.number(*place, record.name) for name, place in record.fields.items()}

    def records(self, record: Record, count: int) -> list[dict[str, int]]:
        """Every field of `count` records that begin at byte 0."""
        return [self.record(record, number * record.size_bytes) for number in range(count)]

    def text(self, at: int, what: str, size_bytes: int | None = None) -> str:
        """Text from byte `at` to the first zero byte, or to the end of a field of `size_bytes`."""
        if size_bytes is not None:
            raw = self.take(at, size_bytes, what).partition(b"\0")[0]
        else:
            end = self.data.find(b"\0", at)
            if end < 0:
                raise self.fail(f"{what} has no end; the file is truncated or corrupt", at)
            raw = self.data[at:end]
        try:
            return raw.decode()
        except UnicodeDecodeError:
            raise self.fail(f"{what} is not text; the file is corrupt", at) from None
