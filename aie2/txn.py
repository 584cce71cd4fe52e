# SPDX-License-Identifier: Apache-2.0
"""Read and write instruction streams (TXN, insts.bin): what the NPU's controller executes.

`bdgen` writes them, `firmware_sim` or a device runs them. Version 0.1, which mlir-aie emits, is
read and written; 1.0, aie-rt's shorter form, is read. Facts: mlir-aie
include/aie/Runtime/TxnEncoding.h; aie-rt driver/src/global/xaiegbl.h.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from aie2.errors import RegisterError, TxnError
from aie2.fields import WORD_BYTES, WORD_MAX, Field, Layout
from aie2.txn_ops import (
    BLOCK_WRITE_HEADER_WORDS,
    DDR_PATCH_ARG_PLUS_WORD,
    DDR_PATCH_ARG_WORD,
    DDR_PATCH_WORDS,
    MASK_POLL_WORDS,
    MASK_WRITE_WORDS,
    TCT_WORDS,
    WRITE_WORDS,
    BlockWrite,
    DdrPatch,
    MaskPoll,
    MaskPollBusy,
    MaskWrite,
    Op,
    Opcode,
    Tct,
    Write,
)
from aie2.txn_rare_ops import (
    CreateScratchpad,
    Custom134,
    LoadPdi,
    LoadPmStart,
    MergeSync,
    Noop,
    Preempt,
    ReadRegs,
    RecordTimer,
    UpdateReg,
)
from aie2.txn_v1 import op_v1
from aie2.txn_walk import HEADER_WORDS, SPECS, SPECS_V1, OpSpec, rules, walk

__all__ = [
    "BLOCK_WRITE_HEADER_WORDS",
    "DDR_PATCH_ARG_PLUS_WORD",
    "DDR_PATCH_ARG_WORD",
    "DDR_PATCH_WORDS",
    "HEADER_BYTES_WORD",
    "HEADER_OPS_WORD",
    "HEADER_WORDS",
    "MASK_POLL_WORDS",
    "MASK_WRITE_WORDS",
    "SPECS",
    "TCT_WORDS",
    "WRITE_WORDS",
    "BlockWrite",
    "CreateScratchpad",
    "Custom134",
    "DdrPatch",
    "Header",
    "LoadPdi",
    "LoadPmStart",
    "MaskPoll",
    "MaskPollBusy",
    "MaskWrite",
    "MergeSync",
    "Noop",
    "Op",
    "OpSpec",
    "Opcode",
    "Preempt",
    "Program",
    "ReadRegs",
    "RecordTimer",
    "Tct",
    "TxnError",
    "UpdateReg",
    "Write",
    "decode",
    "encode",
    "index",
    "read_header",
    "tct",
]

Words = NDArray[np.uint32]
Stream = bytes | bytearray | memoryview | NDArray[np.uint32] | NDArray[np.uint8]
"""A stream as bytes or as 32-bit words."""

HEADER = Layout(
    "TXN header",
    HEADER_WORDS,
    (
        Field("major", 0, 7, 0),
        Field("minor", 0, 15, 8),
        Field("generation", 0, 23, 16),
        Field("rows", 0, 31, 24),
        Field("columns", 1, 7, 0),
        Field("memtile_rows", 1, 15, 8),
        Field("padding", 1, 31, 16),
        Field("ops", 2, 31, 0),
        Field("bytes", 3, 31, 0, unit="bytes, this header included"),
    ),
)
"""The first words of a stream."""

HEADER_OPS_WORD = HEADER.field("ops").word
HEADER_BYTES_WORD = HEADER.field("bytes").word

_RULES = {(0, 1): rules(SPECS), (1, 0): rules(SPECS_V1)}
"""Stream versions that can be read."""
_BY_OPCODE = {spec.opcode: spec.op for spec in SPECS}


@dataclass(frozen=True, slots=True)
class Header:
    """What a stream says of the partition that it is for; columns are the partition's."""

    major: int
    minor: int
    generation: int
    rows: int
    columns: int
    memtile_rows: int
    padding: int = 0
    """Kept because AMD's own files have something here."""


@dataclass(frozen=True, slots=True)
class Program:
    """A decoded stream."""

    header: Header
    ops: tuple[Op, ...]


def decode(data: Stream) -> Program:
    """Every op of a stream of version 0.1 or 1.0.

    Raises:
        TxnError: truncated, corrupt, or with an op that has no known layout; says which op and
            at which byte.
    """
    words = _as_words(data)
    header = read_header(words)
    opcodes, offsets = _walk(words, header)
    values, limits = words.tolist(), [*offsets.tolist(), words.size]
    ops: list[Op] = []
    for opcode, (start, end) in zip(opcodes.tolist(), pairwise(limits), strict=True):
        kind, op_words = _BY_OPCODE[opcode], values[start:end]
        ops.append(op_v1(kind, op_words) if header.major else kind.from_words(op_words))
    return Program(header, tuple(ops))


def encode(program: Program) -> bytes:
    """The bytes of a stream of version 0.1, whichever version `program` was read from.

    Raises:
        TxnError: a value that its place cannot hold; says in which op.
    """
    body: list[int] = []
    for number, op in enumerate(program.ops):
        body += _op_words(number, op, HEADER_WORDS + len(body))
    fields = asdict(program.header) | {"major": 0, "minor": 1}
    size_bytes = (HEADER_WORDS + len(body)) * WORD_BYTES
    try:
        head = HEADER.encode(**fields, ops=len(program.ops), bytes=size_bytes)
    except RegisterError as error:
        raise TxnError(f"TXN header at byte 0: {error}", 0) from None
    words = np.concatenate([head, np.array(body, np.uint32)])
    walk(words, _RULES[0, 1], len(program.ops))
    return words.astype("<u4").tobytes()


def index(data: Stream) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Opcode and first word of every op of a version 0.1 stream, checked as `decode` does.

    Returns:
        (opcodes uint8[n], word offsets from the stream's first word int64[n]).

    Raises:
        TxnError: as `decode`; also for version 1.0, whose words lie elsewhere.
    """
    words = _as_words(data)
    header = read_header(words)
    if header.major:
        raise TxnError(
            "TXN header at byte 0: version 1.0 cannot be indexed; give encode(decode(stream))", 0
        )
    return _walk(words, header)


def read_header(data: Stream) -> Header:
    """The header of a stream; TxnError if it is cut, of another version or of another length."""
    words = _as_words(data)
    size_bytes = words.size * WORD_BYTES
    if words.size < HEADER_WORDS:
        raise TxnError(
            f"TXN header at byte 0: {size_bytes} bytes are too few for its "
            f"{HEADER_WORDS * WORD_BYTES}; the stream is truncated",
            0,
        )
    fields = HEADER.decode(words[:HEADER_WORDS])
    major, minor = fields["major"], fields["minor"]
    if (major, minor) not in _RULES:
        raise TxnError(
            f"TXN header at byte 0: version {major}.{minor} cannot be read; 0.1 and 1.0 can", 0
        )
    fields.pop("ops")
    stated_bytes = fields.pop("bytes")
    if stated_bytes != size_bytes:
        raise TxnError(
            f"TXN header at byte 12: it states {stated_bytes} bytes and the stream has "
            f"{size_bytes}; it is truncated or has something after it",
            12,
        )
    return Header(**fields)


def tct(words: Iterable[int] | Words) -> Tct:
    """The token wait in its four words, which must come from a stream that has been indexed."""
    return Tct.from_words([int(word) for word in words])


def _walk(words: Words, header: Header) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    ops = int(words[HEADER_OPS_WORD])
    return walk(words, _RULES[header.major, header.minor], ops)


def _as_words(data: Stream) -> Words:
    """`data` as read-only little-endian words; TxnError if it is not a whole number of them."""
    if isinstance(data, np.ndarray):
        if data.dtype not in (np.uint32, np.uint8) or data.ndim != 1:
            raise TxnError(
                f"a TXN stream is bytes or a 1-D array of uint32 or uint8, not {data.ndim}-D "
                f"{data.dtype}"
            )
        data = np.ascontiguousarray(data).data
    view = memoryview(data).cast("B")
    if view.nbytes % WORD_BYTES:
        raise TxnError(
            f"a TXN stream of {view.nbytes} bytes is not a whole number of 32-bit words; it is "
            "truncated",
            view.nbytes - view.nbytes % WORD_BYTES,
        )
    words = np.frombuffer(view.toreadonly(), "<u4")
    return words if sys.byteorder == "little" else words.astype(np.uint32)


def _op_words(number: int, op: Op, at: int) -> list[int]:
    """Words of an op that will begin at word `at`; TxnError if one does not fit."""
    offset = at * WORD_BYTES
    place = f"TXN op {number} at byte {offset}"
    try:
        words = [int(word) for word in op.to_words()]
    except RegisterError as error:
        raise TxnError(f"{place}: {op.opcode.name} {error}", offset, number) from None
    for position, word in enumerate(words):
        if not 0 <= word <= WORD_MAX:
            raise TxnError(
                f"{place}: word {position} of {op.opcode.name} would be {word:#x}, which does "
                "not fit 32 bits",
                offset,
                number,
            )
    return words
