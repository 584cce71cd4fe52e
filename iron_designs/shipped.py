# SPDX-License-Identifier: Apache-2.0
"""The compiled passthroughs that come with the package, and which of them suits a row size.

They are what aiecc makes of `iron_designs.passthrough`, so that nobody needs mlir-aie to simulate
or to run: `xclbins/README.md` says from what each was built. What comes next loads one: the
simulator replays its configuration, pyxrt puts it on an NPU.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from math import gcd
from pathlib import Path

from aie2.devices import DEVICES
from iron_designs.errors import DesignError
from iron_designs.limits import check_lanes

FOLDER = Path(__file__).with_name("xclbins")
"""Where the xclbins lie; the file name is the only record of what each one is."""

_NAME = re.compile(r"passthrough_c(\d+)_ch(\d+)_o(\d+)_(\w+)\.xclbin")


@dataclass(frozen=True, slots=True, order=True)
class Shipped:
    """One compiled passthrough."""

    device: str
    """Device it was built for: "npu1" or "npu2"."""
    columns: int
    """Columns of its partition, all of them with a shim and a memtile in use."""
    channels: int
    """Lanes per column."""
    object_bytes: int
    """Bytes of a fifo object: what a lane moves between two waits must be a multiple of it."""

    @property
    def path(self) -> Path:
        """The xclbin file."""
        name = f"c{self.columns}_ch{self.channels}_o{self.object_bytes}_{self.device}"
        return FOLDER / f"passthrough_{name}.xclbin"

    def read(self) -> bytes:
        """Bytes of the xclbin."""
        return self.path.read_bytes()

    def worst_padding(self, row_bytes: int) -> int:
        """Most bytes that whole rows can lack to whole objects, over all numbers of rows."""
        return self.object_bytes - gcd(self.object_bytes, row_bytes)


@lru_cache
def catalogue() -> tuple[Shipped, ...]:
    """Every shipped xclbin, sorted by device, columns, channels and object size."""
    found = (_NAME.fullmatch(file.name) for file in FOLDER.glob("*.xclbin"))
    return tuple(
        sorted(Shipped(match[4], *(int(match[n]) for n in (1, 2, 3))) for match in found if match)
    )


def select(
    device_name: str,
    columns: int,
    row_bytes: int,
    channels: int = 1,
    object_bytes: int | None = None,
) -> Shipped:
    """The shipped xclbin on which `columns` columns move rows of `row_bytes` with least padding.

    Of those with enough columns, the narrowest (a wider partition's first columns are used); of
    those, the object that pads a batch of rows least at worst, and the largest of equals. So an
    object that divides the row wins, and a row that none divides gets the smallest.

    Args:
        device_name: "npu1" or "npu2".
        columns: Columns wanted, at least 1.
        row_bytes: Bytes of a row, or of the row segment that one column moves.
        channels: Lanes per column.
        object_bytes: Take this object size and no other.

    Raises:
        DesignError: a size makes no sense, or nothing shipped has it; says what is shipped.
    """
    if row_bytes < 4 or row_bytes % 4:
        raise DesignError(f"a row of {row_bytes} bytes cannot be moved: give a multiple of 4")
    enough = _enough(device_name, columns, channels)
    fitting = [s for s in enough if object_bytes in (None, s.object_bytes)]
    if not fitting:
        raise DesignError(_nothing(device_name, columns, channels, object_bytes))
    return min(fitting, key=lambda s: (s.columns, s.worst_padding(row_bytes), -s.object_bytes))


def _enough(device_name: str, columns: int, channels: int) -> list[Shipped]:
    """Those for the device with the channels asked for and at least the columns."""
    if device_name not in DEVICES:
        raise DesignError(f"unknown device {device_name!r}: give {' or '.join(DEVICES)}")
    check_lanes(DEVICES[device_name], columns, channels)
    return [
        s
        for s in catalogue()
        if s.device == device_name and s.columns >= columns and s.channels == channels
    ]


def _nothing(device_name: str, columns: int, channels: int, object_bytes: int | None) -> str:
    objects = "" if object_bytes is None else f" and objects of {object_bytes} bytes"
    return (
        f"no shipped xclbin for {device_name} has {columns} or more columns with {channels} "
        f"channel(s){objects}; shipped (columns x channels): {_listing(device_name)}; "
        "for another, compile iron_designs.passthrough with mlir-aie"
    )


def _listing(device_name: str) -> str:
    """What is shipped for a device: columns x channels, and the object sizes of each."""
    mine = [s for s in catalogue() if s.device == device_name]
    shapes = groupby(mine, key=lambda s: (s.columns, s.channels))
    return "; ".join(
        f"{columns} x {channels} with objects of {', '.join(str(s.object_bytes) for s in same)}"
        for (columns, channels), same in shapes
    )
