# SPDX-License-Identifier: Apache-2.0
"""What goes into a run, checked: stream, device, columns, buffers, memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.devices import Device, by_generation
from aie2.devices import device as device_named
from firmware_sim.array.configure import Configuration
from firmware_sim.array.machine import Machine
from firmware_sim.diagnostics import BUFFER_NOT_SYNCED, KINDS, Diagnostic
from firmware_sim.errors import ConfigurationError, HostBufferError
from firmware_sim.host_buffers import Buffer, HostBuffer

TOO_MANY = "too-many-buffers"

Insts = bytes | str | PathLike[str] | NDArray[np.uint32]
L2 = Mapping[tuple[int, int, int], NDArray]


def stream_of(insts: Insts) -> NDArray[np.uint32]:
    """Words of a stream in version 0.1, whichever version it came in."""
    data = Path(insts).read_bytes() if isinstance(insts, (str, PathLike)) else insts
    header = txn.read_header(data)
    if (header.major, header.minor) != (0, 1):
        program = txn.decode(data)
        data = txn.encode(replace(program, header=replace(header, major=0, minor=1)))
    if isinstance(data, bytes):
        return np.frombuffer(data, np.uint32)
    return np.ascontiguousarray(data, np.uint32)


def device_of(words: NDArray[np.uint32], wanted: str | Device | None) -> Device:
    """The device that a stream was made for; ConfigurationError if another was asked for."""
    stated = by_generation(txn.read_header(words).generation)
    if wanted is None:
        return stated
    chosen = device_named(wanted) if isinstance(wanted, str) else wanted
    if chosen.name != stated.name:
        raise ConfigurationError(
            f"the stream was made for {stated.name} and {chosen.name} was asked for; make it again "
            "for that device"
        )
    return chosen


def check_columns(words: NDArray[np.uint32], configuration: Configuration) -> None:
    """ConfigurationError for a stream that is for more columns than the design has."""
    columns = txn.read_header(words).columns
    if columns > configuration.columns:
        raise ConfigurationError(
            f"the stream is for {columns} columns and the design has {configuration.columns}; use "
            "the xclbin that the stream was made for"
        )


def start_column_of(configuration: Configuration, device: Device, wanted: int | None) -> int:
    """Physical column at which the partition begins."""
    allowed = configuration.start_columns
    first = device.first_physical_column
    fits = range(first, first + device.columns - configuration.columns + 1)
    if wanted is None:
        return next((column for column in allowed if column in fits), first)
    if wanted not in fits or (allowed and wanted not in allowed):
        choices = [column for column in allowed if column in fits] or list(fits)
        raise ConfigurationError(
            f"a design of {configuration.columns} columns cannot start at physical column {wanted} "
            f"of {device.name}: it can at {', '.join(map(str, choices))}"
        )
    return wanted


def too_many(
    configuration: Configuration, arrays: list[NDArray[np.uint8]]
) -> tuple[Diagnostic, ...]:
    """A warning where more buffers were given than the xclbin declares."""
    declared = configuration.host_buffers
    if declared is None or len(arrays) <= declared:
        return ()
    text = (
        f"the xclbin declares {declared} host buffers and {len(arrays)} were given; a real device "
        "cannot be called like that; patches of the others are read alike, folded or not"
    )
    return (Diagnostic(TOO_MANY, 0, 0, "", text),)


def not_synced(machine: Machine, buffers: Sequence[Buffer]) -> tuple[Diagnostic, ...]:
    """Buffers that the device read while the host had changed them."""
    kind = KINDS[BUFFER_NOT_SYNCED]
    read_ones = np.flatnonzero(machine.kept["buffers"]["read"])
    return tuple(
        Diagnostic(kind.name, 0, 0, "", kind.text.format(value=number))
        for number in map(int, read_ones)
        if isinstance(buffer := buffers[number], HostBuffer) and buffer.changed
    )


def tile_bytes(
    machine: Machine, column: int, row: int, offset: int, count: int
) -> NDArray[np.uint8]:
    """Bytes of a tile's memory; ConfigurationError if it has no such bytes."""
    memory = machine.memory_of(column, row)
    if offset < 0 or offset + count > memory.size:
        raise ConfigurationError(
            f"{count} bytes at offset 0x{offset:x} of tile ({column},{row}) are not in its "
            f"{memory.size} bytes of memory"
        )
    return memory[offset : offset + count]


def argument_bytes(
    arrays: list[NDArray[np.uint8]], argument: int, offset: int, count: int
) -> NDArray[np.uint8]:
    """Bytes of a host buffer; HostBufferError if it has no such bytes."""
    if argument >= len(arrays) or offset + count > arrays[argument].size:
        raise HostBufferError(
            f"{count} bytes at offset {offset} of host buffer {argument} were asked for, and no "
            "such bytes were given"
        )
    return arrays[argument][offset : offset + count]


def preload(machine: Machine, l2: L2) -> None:
    """Put what the layer before left into tile memory."""
    for (column, row, offset), array in l2.items():
        raw = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        tile_bytes(machine, column, row, offset, raw.size)[:] = raw
