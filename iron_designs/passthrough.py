# SPDX-License-Identifier: Apache-2.0
"""The passthrough: DDR -> shim MM2S -> memtile -> shim S2MM -> DDR, per column and channel.

An IRON design without a core: on every lane an ObjectFifo runs down into the memtile and a linked
one back up, so what a gather's BDs push in comes out in order. What mlir-aie's aiecc makes of it
for the usual sizes lies in `iron_designs.shipped`. The runtime sequence here copies one buffer and
is there to try a design out: the streams that gather rows are `bdgen`'s, since an xclbin depends on
the fifos alone. It is in mlir-aie's placed API, which both generations share, so that it prints to
the byte what the shipped xclbins were compiled from (`iron_designs.placed`).

    python -m iron_designs.passthrough -d npu2 --columns 8 -o passthrough.mlir
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from aie2.devices import Device
from iron_designs import placed
from iron_designs.command import Command
from iron_designs.errors import DesignError
from iron_designs.limits import check_lanes, check_object, partition_name


@dataclass(frozen=True, slots=True)
class Passthrough:
    """Parameters of one passthrough, checked; a lane is one channel of one column.

    Raises:
        DesignError: the array cannot hold the design, or a size is not a whole number of objects.
    """

    device: Device
    """The NPU; `target` is the partition of it that the design takes."""
    columns: int = 1
    """Columns used, from the partition's first."""
    channels: int = 1
    """Lanes per column: as many MM2S and as many S2MM channels of its shim."""
    object_bytes: int = 4096
    """Bytes of one fifo object: a lane moves whole objects or it stalls."""
    lane_bytes: int = 65536
    """Bytes the runtime sequence copies over each lane."""

    def __post_init__(self) -> None:
        check_lanes(self.device, self.columns, self.channels)
        check_object(self.device, self.object_bytes, self.channels)
        if self.lane_bytes < 1 or self.lane_bytes % self.object_bytes:
            raise DesignError(
                f"lane bytes is {self.lane_bytes}, which is not one or more whole objects of "
                f"{self.object_bytes} bytes: the last object would never leave the memtile"
            )

    @property
    def lanes(self) -> int:
        """Columns times channels."""
        return self.columns * self.channels

    @property
    def target(self) -> str:
        """mlir-aie's name of the partition: the device's own at full width."""
        return partition_name(self.device, self.columns)


def mlir(design: Passthrough) -> str:
    """Text of the MLIR module that aiecc compiles to an xclbin.

    Raises:
        ToolchainMissing: mlir-aie cannot be imported.
    """
    aie = placed.load()

    def array() -> None:
        lanes = placed.lanes(aie, design.columns, design.channels, design.object_bytes)
        _copy_sequence(aie, design, lanes)

    return placed.module(aie, design.target, array)


def _copy_sequence(aie: SimpleNamespace, design: Passthrough, lanes: Sequence[placed.Lane]) -> None:
    """The runtime half: each lane copies its share, and only the receiving end gives a token."""
    buffer, share = placed.words(design.lanes * design.lane_bytes), design.lane_bytes

    @aie.runtime_sequence(buffer, buffer)
    def run(source: Any, destination: Any) -> None:
        started: list[tuple[Any, Any]] = []
        for lane, (down, up) in enumerate(lanes):
            write = placed.linear(aie, up, destination, lane * share, share, token=True)
            read = placed.linear(aie, down, source, lane * share, share, token=False)
            aie.dma_start_task(write, read)
            started.append((write, read))
        for write, read in started:
            aie.dma_await_task(write)
            aie.dma_free_task(read)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print or compile the design that the command line describes; 0 when all went well."""
    summary = "A shim -> memtile -> shim passthrough that copies a buffer."
    return Command("passthrough", summary, _add_options, _from_options).run(arguments)


def _add_options(add: Callable[..., object]) -> None:
    add("--channels", type=int, default=1, help="lanes per column (default: %(default)s)")
    add("--object-bytes", type=int, default=4096, help="one fifo object (default: %(default)s)")
    add("--lane-bytes", type=int, default=65536, help="copied per lane (default: %(default)s)")


def _from_options(device: Device, options: argparse.Namespace) -> str:
    return mlir(
        Passthrough(
            device=device,
            columns=options.columns,
            channels=options.channels,
            object_bytes=options.object_bytes,
            lane_bytes=options.lane_bytes,
        )
    )


if __name__ == "__main__":
    sys.exit(main())
