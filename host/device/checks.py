# SPDX-License-Identifier: Apache-2.0
"""What must hold before a stream is handed over: pyxrt would ignore it, or crash.

A stream says in its header which device and how many columns it is for, and in its DDR patches how
far it reaches into each host buffer.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2 import txn, xclbin
from aie2.devices import Device, by_generation
from aie2.errors import Aie2Error
from aie2.fields import WORD_BYTES
from aie2.registers import SHIM_BD
from host.device.buffers import Buffer
from host.device.errors import BadArguments, PartitionMisfit, StreamMismatch

Insts = bytes | NDArray[np.uint32]

FOLD = 0x80000000
"""Added to offsets of buffers that the firmware does not translate."""
BASE_ADDRESS_WORD = 1


def words_of(insts: Any) -> NDArray[np.uint32]:
    """A stream's words.

    Raises:
        BadArguments: not a stream, or one that is cut.
    """
    if isinstance(insts, bytes | bytearray | memoryview):
        insts = np.frombuffer(insts, np.uint8)
    if not isinstance(insts, np.ndarray) or insts.dtype not in (np.uint8, np.uint32):
        raise BadArguments(
            f"a stream is bytes or a numpy array of uint32, not {type(insts).__name__}: read "
            "insts.bin or take bdgen's words"
        )
    try:
        txn.read_header(insts)
    except Aie2Error as error:
        raise BadArguments(str(error)) from None
    return np.ascontiguousarray(insts).view(np.uint32)


def check_partition(partition: xclbin.Partition, device: Device) -> None:
    """Refuse a partition that begins nowhere on the device.

    Raises:
        PartitionMisfit: says what does not fit.
    """
    width, starts = partition.column_width, partition.start_columns
    physical = device.first_physical_column + device.columns
    if starts and not any(start + width <= physical for start in starts):
        raise PartitionMisfit(
            f"{width} columns that begin at one of {list(starts)} do not fit the {physical} of "
            f"{device.name}"
        )


def check_header(words: NDArray[np.uint32], device: Device, columns: int) -> None:
    """Refuse a stream for another device, or for more columns than the design has.

    Raises:
        StreamMismatch: says which.
    """
    header = txn.read_header(words)
    if header.generation != device.generation:
        try:
            made_for = by_generation(header.generation).name
        except Aie2Error:
            made_for = f"device generation {header.generation}"
        raise StreamMismatch(f"the stream is for {made_for}, and this is {device.name}")
    if header.columns > columns:
        raise StreamMismatch(
            f"the stream is for {header.columns} columns, and the xclbin has {columns}"
        )


def check_buffers(buffers: Sequence[Any], declared: int, device: Any) -> None:
    """Refuse what is no buffer of pyxrt's `device`, and more buffers than the xclbin declares.

    Raises:
        BadArguments: pyxrt would leave the first out without a word, and crash on the second.
    """
    for number, buffer in enumerate(buffers):
        if not isinstance(buffer, Buffer):
            raise BadArguments(
                f"argument {number} is {type(buffer).__name__}, which pyxrt would just leave "
                "out: give buffers of device.buffer(...)"
            )
        if buffer.device is not device:
            raise BadArguments(
                f"argument {number} is a buffer of another device: make it with this one's "
                "device.buffer(...)"
            )
    if len(buffers) > declared:
        raise BadArguments(
            f"{len(buffers)} buffers are given and the xclbin declares {declared}: pyxrt would "
            "crash, compile the design for more (`sparsebd compile`)"
        )


def check_reach(words: NDArray[np.uint32], buffers: Sequence[Buffer]) -> None:
    """Refuse a stream that reaches beyond a buffer, or into one that is not given.

    Raises:
        BadArguments: an NPU would read or overwrite what lies behind.
    """
    for arg, reach in enumerate(reaches(words)):
        if not reach:
            continue
        if arg >= len(buffers):
            raise BadArguments(
                f"the stream uses host buffer {arg} and {len(buffers)} are given: give "
                f"{arg + 1} or more"
            )
        if reach > buffers[arg].nbytes:
            raise BadArguments(
                f"the stream reaches byte {reach} of host buffer {arg}, which has "
                f"{buffers[arg].nbytes}: make it larger"
            )


def reaches(words: NDArray[np.uint32]) -> list[int]:
    """Bytes of each host buffer up to the furthest that a stream's BDs reach.

    BDs whose address is not patched are not known; a BD that iterates counts with all its steps.
    """
    written: dict[int, int] = {}
    found: dict[int, int] = {}
    for op in txn.decode(words).ops:
        if isinstance(op, txn.BlockWrite):
            for place, word in enumerate(op.payload):
                written[op.address + WORD_BYTES * place] = word
        elif isinstance(op, txn.Write):
            written[op.address] = op.value
        elif isinstance(op, txn.DdrPatch):
            first = op.address - WORD_BYTES * BASE_ADDRESS_WORD
            bd = [written.get(first + WORD_BYTES * n, 0) for n in range(SHIM_BD.words)]
            offset = op.arg_plus - FOLD if op.arg_plus >= FOLD else op.arg_plus
            end = offset + WORD_BYTES * (1 + _furthest(bd))
            found[op.arg] = max(found.get(op.arg, 0), end)
    return [found.get(arg, 0) for arg in range(max(found, default=-1) + 1)]


def _furthest(bd: Sequence[int]) -> int:
    """Words from a shim BD's first word to the furthest that it moves."""
    fields = SHIM_BD.decode(bd)
    length = max(fields["buffer_length"], 1)
    d0 = fields["d0_wrap"] or length
    d1 = fields["d1_wrap"] or -(-length // d0)
    d2 = -(-length // (d0 * d1))
    steps = [fields[f"d{n}_stepsize"] + 1 for n in range(3)]
    inner = sum((size - 1) * step for size, step in zip((d0, d1, d2), steps, strict=True))
    return inner + fields["iteration_wrap"] * (fields["iteration_stepsize"] + 1)
