# SPDX-License-Identifier: Apache-2.0
"""The Phase 2 request: where the activations lie, packed into the first DDR patch of a stream.

The first DDR patch of a `bdgen.program.phase2` stream belongs to the weight transfer; its four
reserved words carry the request, which the firmware unpacks. docs/phase2-request.md has the bits
and the reasons.
"""

import math
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from aie2 import devices, tiles
from aie2.registers import Field, Layout
from bdgen.errors import PlanError
from bdgen.scan import ELEMENTS
from bdgen.target import WORD_BYTES

MAGIC = 0xBD
VERSION = 1

ALIGNMENT_BYTES = 16
"""Activations are read 16 bytes at a time, so they start at a multiple of that."""

REQUEST = Layout(
    "phase2_request",
    4,
    (
        Field("magic", 0, 31, 24),
        Field("version", 0, 23, 20),
        Field("dtype", 0, 19, 17),
        Field("kind", 0, 16, 16),
        Field("row_pitch", 0, 15, 0, unit="words"),
        Field("location", 1, 31, 0),
        Field("check", 2, 31, 24),
        Field("count", 2, 23, 0, unit="activations"),
        Field("threshold", 3, 31, 0, unit="fp32 bits"),
    ),
)
"""Word n here is word n + 2 of the DDR patch op."""

ARGUMENT = Layout(
    "phase2_request_argument",
    1,
    (Field("arg", 0, 31, 27), Field("offset", 0, 26, 0, unit="16 bytes")),
)
"""The location word where the activations lie in a host buffer."""

DTYPES = {name: ELEMENTS[name].bits for name in ("bf16", "fp16", "fp32", "int8", "int4")}
"""Element types and their bits; the code of a type is its place in this table."""


class RequestError(PlanError):
    """A request that a firmware must refuse, or that cannot be packed."""


class Location(IntEnum):
    """Where the activations lie; the value is the request's `kind` bit."""

    TILE = 0
    DDR = 1


@dataclass(frozen=True, slots=True)
class Request:
    """`count` activations of type `dtype`, one for each weight row of `row_bytes`.

    For `Location.TILE` they start `offset_bytes` into the memory of memtile (`column`, `row`),
    column counted within the partition; for `Location.DDR`, into host buffer `arg`. An activation
    counts if it is not zero or, with a `threshold` above zero, if |x| >= threshold; NaN always
    does. The threshold is rounded to fp32 here. RequestError if the words cannot hold it.
    """

    kind: Location
    count: int
    dtype: str
    row_bytes: int
    threshold: float = 0.0
    column: int = 0
    row: int = 1
    arg: int = 0
    offset_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "threshold", _as_fp32(self.threshold))
        _check_elements(self)
        if self.kind is Location.TILE:
            _check_tile(self)
        elif self.kind is Location.DDR:
            _check_argument(self)
        else:
            raise RequestError(f"location kind {self.kind!r}; give Location.TILE or Location.DDR")

    @property
    def nbytes(self) -> int:
        """Bytes that the activations take, int4 two to a byte."""
        return -(-self.count * DTYPES[self.dtype] // 8)

    def pack(self) -> tuple[int, int, int, int]:
        """Give the four reserved words of the DDR patch op."""
        fields = {
            "magic": MAGIC,
            "version": VERSION,
            "dtype": list(DTYPES).index(self.dtype),
            "kind": int(self.kind),
            "row_pitch": self.row_bytes // WORD_BYTES,
            "location": self._location(),
            "count": self.count,
            "threshold": _fp32_bits(self.threshold),
        }
        check = _check_byte(REQUEST.encode(**fields, check=0))
        first, second, third, fourth = (int(w) for w in REQUEST.encode(**fields, check=check))
        return first, second, third, fourth

    def _location(self) -> int:
        """The location word."""
        if self.kind is Location.TILE:
            return tiles.address(self.column, self.row, self.offset_bytes)
        offset = self.offset_bytes // ALIGNMENT_BYTES
        return int(ARGUMENT.encode(arg=self.arg, offset=offset)[0])


def unpack(reserved: Sequence[int], columns: int | None = None) -> Request:
    """Read a request from words 2 to 5 of a DDR patch op, as the firmware does.

    `columns` is the width of the partition, where known. RequestError, saying what is wrong, for
    anything that `Request.pack` cannot have made.
    """
    if len(reserved) != REQUEST.words:
        raise RequestError(f"{len(reserved)} reserved words; a DDR patch op has {REQUEST.words}")
    values = REQUEST.decode(reserved)
    _check_envelope(values, np.array(reserved, np.uint32))
    if values["kind"] == Location.TILE:
        tile = tiles.split(values["location"])
        place = {"column": tile.column, "row": tile.row, "offset_bytes": tile.offset}
        if columns is not None and tile.column >= columns:
            raise RequestError(
                f"activations in column {tile.column} of a partition of {columns} columns; "
                f"give column 0 to {columns - 1}"
            )
    else:
        argument = ARGUMENT.decode([values["location"]])
        place = {"arg": argument["arg"], "offset_bytes": argument["offset"] * ALIGNMENT_BYTES}
    return Request(
        kind=Location(values["kind"]),
        count=values["count"],
        dtype=list(DTYPES)[values["dtype"]],
        row_bytes=values["row_pitch"] * WORD_BYTES,
        threshold=struct.unpack("<f", struct.pack("<I", values["threshold"]))[0],
        **place,
    )


def _check_envelope(values: dict[str, int], words: NDArray[np.uint32]) -> None:
    """Refuse words that are no request of this version, or that were damaged."""
    if values["magic"] != MAGIC:
        raise RequestError(
            f"the first DDR patch carries no Phase 2 request: its magic byte is "
            f"{values['magic']:#04x}, not {MAGIC:#04x}; make the stream with bdgen.program.phase2"
        )
    if values["version"] != VERSION:
        raise RequestError(
            f"a Phase 2 request of version {values['version']}, this is version {VERSION}; make "
            "the stream with the same release of bdgen"
        )
    others = _check_byte(words) ^ values["check"]
    if values["check"] != others:
        raise RequestError(
            f"a damaged Phase 2 request: check byte {values['check']:#04x}, but its other bytes "
            f"give {others:#04x}; make the stream again"
        )
    if values["dtype"] >= len(DTYPES):
        raise RequestError(
            f"element type code {values['dtype']} in a Phase 2 request; known are 0 to "
            f"{len(DTYPES) - 1} ({', '.join(DTYPES)})"
        )


def _check_elements(request: Request) -> None:
    """Refuse an unknown element type, or a count or row pitch that its field cannot hold."""
    if request.dtype not in DTYPES:
        raise RequestError(f'activations of type "{request.dtype}"; give {", ".join(DTYPES)}')
    most = REQUEST.field("count").max
    if not 1 <= request.count <= most:
        raise RequestError(f"a request for {request.count} activations; give 1 to {most}")
    most = REQUEST.field("row_pitch").max * WORD_BYTES
    if not WORD_BYTES <= request.row_bytes <= most or request.row_bytes % WORD_BYTES:
        raise RequestError(
            f"a row pitch of {request.row_bytes} bytes in a Phase 2 request; give a multiple of "
            f"{WORD_BYTES} from {WORD_BYTES} to {most}"
        )
    if request.offset_bytes < 0 or request.offset_bytes % ALIGNMENT_BYTES:
        raise RequestError(
            f"activations at byte offset {request.offset_bytes}, which the firmware cannot read "
            f"{ALIGNMENT_BYTES} bytes at a time; place them at a multiple of {ALIGNMENT_BYTES}"
        )


def _check_tile(request: Request) -> None:
    """Refuse a place that is not wholly inside the memory of one memtile."""
    device = devices.NPU1
    columns = max(d.columns for d in devices.DEVICES.values())
    if not 0 <= request.column < columns:
        raise RequestError(
            f"activations in column {request.column}; devices have columns 0 to {columns - 1}"
        )
    if not 1 <= request.row <= device.memtile_rows:
        raise RequestError(
            f"activations in tile row {request.row}, which is no memtile; give row "
            f"{device.memtile_rows}"
        )
    end = request.offset_bytes + request.nbytes
    if end > device.memtile_bytes:
        raise RequestError(
            f"activations end at byte {end} of a memtile of {device.memtile_bytes} bytes; place "
            "them lower or in a host buffer"
        )


def _check_argument(request: Request) -> None:
    """Refuse a host buffer or an offset in it that the location word cannot hold."""
    most = ARGUMENT.field("arg").max
    if not 0 <= request.arg <= most:
        raise RequestError(f"activations in host buffer {request.arg}; give 0 to {most}")
    most = ARGUMENT.field("offset").max * ALIGNMENT_BYTES
    if request.offset_bytes > most:
        raise RequestError(
            f"activations at byte offset {request.offset_bytes} of a host buffer; give at most "
            f"{most}"
        )


def _as_fp32(threshold: float) -> float:
    """Round a threshold to fp32; RequestError if it is negative, not finite or lost by that."""
    if not math.isfinite(threshold) or math.copysign(1.0, threshold) < 0:
        raise RequestError(f"a threshold of {threshold}; give a finite number, 0 or above")
    with np.errstate(over="ignore", under="ignore"):
        rounded = float(np.float32(threshold))
    if not math.isfinite(rounded) or (rounded == 0) != (threshold == 0):
        raise RequestError(f"a threshold of {threshold} is beyond fp32; give one that fp32 holds")
    return rounded


def _fp32_bits(value: float) -> int:
    """The bits of an fp32 number."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


def _check_byte(words: NDArray[np.uint32]) -> int:
    """XOR of all bytes: the check byte, if its own field is zero in `words`."""
    return int(np.bitwise_xor.reduce(np.asarray(words, "<u4").view(np.uint8)))
