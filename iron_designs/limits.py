# SPDX-License-Identifier: Apache-2.0
"""What the array can hold of a design that streams objects through memtiles: a check per limit."""

from __future__ import annotations

from aie2.devices import Device
from aie2.fields import WORD_BYTES
from iron_designs.errors import DesignError

DEPTH = 2
"""Objects that a fifo holds at each end, if nothing else is said: one fills while one drains."""


def partition_name(device: Device, columns: int) -> str:
    """mlir-aie's name of a partition: the device's own at full width."""
    return device.name if columns == device.columns else f"{device.name}_{columns}col"


def check_lanes(device: Device, columns: int, channels: int) -> None:
    """Refuse a number of columns, or of channels per column, that `device` does not have.

    Raises:
        DesignError: says which, and how many there are.
    """
    limits = (("columns", columns, device.columns), ("channels", channels, device.shim_channels))
    for name, value, limit in limits:
        if not 1 <= value <= limit:
            raise DesignError(f"{name} is {value}: {device.name} has 1 to {limit}")


def words_of(size_bytes: int, what: str) -> int:
    """32-bit words of a size in bytes.

    Raises:
        DesignError: it is not one or more whole words; names `what` has it.
    """
    if size_bytes < WORD_BYTES or size_bytes % WORD_BYTES:
        raise DesignError(
            f"{what} is {size_bytes}: DMAs move 32-bit words, give a multiple of {WORD_BYTES}"
        )
    return size_bytes // WORD_BYTES


def check_object(device: Device, object_bytes: int, channels: int) -> None:
    """Refuse objects of which a memtile cannot hold `DEPTH` for each channel.

    Raises:
        DesignError: says how large an object may be.
    """
    words_of(object_bytes, "object bytes")
    limit = device.memtile_bytes // (DEPTH * channels)
    if object_bytes > limit:
        raise DesignError(
            f"object bytes is {object_bytes}: {DEPTH} objects for each of {channels} channel(s) "
            f"must fit in a memtile of {device.memtile_bytes} bytes, so at most {limit}"
        )
