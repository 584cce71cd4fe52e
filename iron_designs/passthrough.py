# SPDX-License-Identifier: Apache-2.0
"""The passthrough: DDR -> shim MM2S -> memtile -> shim S2MM -> DDR, per column and channel.

An IRON design without a core: on every lane an ObjectFifo runs down into the memtile and a linked
one back up, so what a gather's BDs push in comes out in order. It prints MLIR where mlir-aie is
installed; what mlir-aie's aiecc makes of that for the usual sizes lies in `iron_designs.shipped`.
The runtime sequence here copies one buffer and is there to try a design out: the streams that
gather rows are `bdgen`'s, since an xclbin depends on the fifos alone.

    python -m iron_designs.passthrough -d npu2 --columns 8 -o passthrough.mlir
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from aie2.devices import DEVICES, NPU1, NPU2, Device
from aie2.fields import WORD_BYTES
from iron_designs import mlir_aie
from iron_designs.errors import DesignError, ToolchainMissing

DEPTH = 2
"""Objects a fifo holds in the memtile: one fills while the other drains."""


DEVICE_OPTIONS = {"npu": NPU1.name, NPU1.name: NPU1.name, NPU2.name: NPU2.name}
"""What `-d` takes (mlir-aie's examples say npu for Phoenix) to our device name."""


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
        _check_object(self.object_bytes, self.channels, self.device)
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
        whole = self.columns == self.device.columns
        return self.device.name if whole else f"{self.device.name}_{self.columns}col"


def mlir(design: Passthrough) -> str:
    """Text of the MLIR module that aiecc compiles to an xclbin.

    Raises:
        ToolchainMissing: mlir-aie cannot be imported.
    """
    aie = mlir_aie.load()

    def array() -> None:
        _copy_sequence(aie, design, _lanes(aie, design))

    with aie.mlir_mod_ctx() as context:
        aie.device(getattr(aie.AIEDevice, design.target))(array)
        return str(context.module)


def check_lanes(device: Device, columns: int, channels: int) -> None:
    """Refuse a number of columns, or of channels per column, that `device` does not have.

    Raises:
        DesignError: says which, and how many there are.
    """
    limits = (("columns", columns, device.columns), ("channels", channels, device.shim_channels))
    for name, value, limit in limits:
        if not 1 <= value <= limit:
            raise DesignError(f"{name} is {value}: {device.name} has 1 to {limit}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the MLIR of the design that the command line describes; 0 when all went well."""
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        text = mlir(_design(options))
    except ToolchainMissing as error:
        print(f"{parser.prog}: {error}", file=sys.stderr)
        return 1
    except DesignError as error:
        parser.error(str(error))
    return _write(options.output, text)


def _lanes(aie: SimpleNamespace, design: Passthrough) -> list[tuple[Any, Any]]:
    """The static half: a (down, up) pair of linked fifos per lane, column by column."""
    lanes = []
    for column in range(design.columns):
        shim, memtile = aie.tile(column, 0), aie.tile(column, 1)
        for channel in range(design.channels):
            name, item = f"{column}_{channel}", _words(design.object_bytes)
            down = aie.object_fifo(f"down_{name}", shim, memtile, DEPTH, item)
            up = aie.object_fifo(f"up_{name}", memtile, shim, DEPTH, item)
            aie.object_fifo_link(down, up)
            lanes.append((down, up))
    return lanes


def _copy_sequence(aie: SimpleNamespace, design: Passthrough, lanes: list[tuple[Any, Any]]) -> None:
    """The runtime half: each lane copies its share, and only the receiving end gives a token."""
    buffer = _words(design.lanes * design.lane_bytes)

    def task(fifo: Any, host_buffer: Any, lane: int, *, token: bool) -> Any:
        length = design.lane_bytes // WORD_BYTES
        return aie.shim_dma_single_bd_task(
            fifo,
            host_buffer,
            offset=lane * length,
            sizes=[1, 1, 1, length],
            strides=[0, 0, 0, 1],
            issue_token=token,
        )

    @aie.runtime_sequence(buffer, buffer)
    def run(source: Any, destination: Any) -> None:
        started = []
        for lane, (down, up) in enumerate(lanes):
            write = task(up, destination, lane, token=True)
            read = task(down, source, lane, token=False)
            aie.dma_start_task(write, read)
            started.append((write, read))
        for write, read in started:
            aie.dma_await_task(write)
            aie.dma_free_task(read)


def _words(size_bytes: int) -> Any:
    """The array type of `size_bytes` as mlir-aie reads it: int32, one dimension."""
    return np.ndarray[(size_bytes // WORD_BYTES,), np.dtype[np.int32]]


def _check_object(object_bytes: int, channels: int, device: Device) -> None:
    if object_bytes < WORD_BYTES or object_bytes % WORD_BYTES:
        raise DesignError(
            f"object bytes is {object_bytes}: DMAs move 32-bit words, give a multiple of "
            f"{WORD_BYTES}"
        )
    limit = device.memtile_bytes // (DEPTH * channels)
    if object_bytes > limit:
        raise DesignError(
            f"object bytes is {object_bytes}: {DEPTH} objects for each of {channels} channel(s) "
            f"must fit in a memtile of {device.memtile_bytes} bytes, so at most {limit}"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m iron_designs.passthrough",
        description="Print the MLIR of a shim -> memtile -> shim passthrough.",
    )
    add = parser.add_argument
    add("-d", "--dev", choices=list(DEVICE_OPTIONS), default="npu", help="npu is Phoenix (npu1)")
    add("--columns", type=int, default=1, help="columns used (default: %(default)s)")
    add("--channels", type=int, default=1, help="lanes per column (default: %(default)s)")
    add("--object-bytes", type=int, default=4096, help="one fifo object (default: %(default)s)")
    add("--lane-bytes", type=int, default=65536, help="copied per lane (default: %(default)s)")
    add("-o", "--output", type=Path, metavar="FILE", help="write here (default: print)")
    return parser


def _design(options: argparse.Namespace) -> Passthrough:
    return Passthrough(
        device=DEVICES[DEVICE_OPTIONS[options.dev]],
        columns=options.columns,
        channels=options.channels,
        object_bytes=options.object_bytes,
        lane_bytes=options.lane_bytes,
    )


def _write(path: Path | None, text: str) -> int:
    if path is None:
        print(text)
        return 0
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        print(f"cannot write {path}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
