# SPDX-License-Identifier: Apache-2.0
"""What each NPU has: columns, BDs, queues, bursts, clocks. Every other package reads it from here.

Facts: mlir-aie lib/Dialect/AIE/IR/AIETargetModel.cpp (array), include/aie/Runtime/TxnEncoding.h
(generation), lib/Dialect/AIE/Util/aie_registers_aie2.json (BDs, queues, bursts); xdna-driver
src/driver/amdxdna/npu{1,4}_regs.c (first column, clock tables).
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2.dma_registers import MEMTILE_DMA, SHIM_DMA
from aie2.errors import DeviceError


@dataclass(frozen=True, slots=True)
class Device:
    """One NPU as a program sees it; counts are per tile unless they say otherwise."""

    name: str
    """Name in mlir-aie and on our command line."""
    title: str
    """Name for people."""
    chips: tuple[str, ...]
    """Marketing names of the chips that have it."""
    generation: int
    """Device generation in the TXN header."""
    columns: int
    """Columns that a partition can have."""
    first_physical_column: int
    """Physical column of a full-width partition's column 0."""
    burst_code: int
    """Code of the longest AXI burst in a shim BD."""
    burst_bytes: int
    """Bytes of that burst."""
    clock_mhz: float
    """Array clock that times are stated at by default."""
    controller_clock_mhz: float
    """Clock of the controller that executes the instruction stream, at `clock_mhz`."""
    rows: int = 6
    """Rows of the array: shim, memtile, four cores."""
    memtile_rows: int = 1
    """Rows of memtiles."""
    queue_depth: int = 4
    """Tasks that a DMA channel's queue holds besides the one that runs."""
    shim_bds: int = SHIM_DMA.bd_count
    """Shim BDs, shared by both directions."""
    memtile_bds: int = MEMTILE_DMA.bd_count
    """Memtile BDs: 0-23 for even channels, 24-47 for odd ones."""
    shim_channels: int = SHIM_DMA.s2mm_channels
    """Shim DMA channels in each direction."""
    memtile_channels: int = MEMTILE_DMA.s2mm_channels
    """Memtile DMA channels in each direction."""
    memtile_bytes: int = 512 * 1024
    """Memory of a memtile."""
    core_bytes: int = 64 * 1024
    """Data memory of a core tile."""
    pad_values: bool = False
    """Whether memtile channels can pad with other values than 0 (aie-rt xaie2pgbl_params.h)."""
    chained_control: bool = False
    """Whether control packets may follow each other without TLAST (mlir-aie AIECtrlPacketToDma)."""


NPU1 = Device(
    name="npu1",
    title="Ryzen AI Phoenix (AIE2)",
    chips=("Phoenix", "Hawk Point"),
    generation=3,
    columns=4,
    first_physical_column=1,
    burst_code=2,
    burst_bytes=256,
    clock_mhz=1030.0,
    controller_clock_mhz=600.0,
)
"""Phoenix: five physical columns, of which column 0 has no NoC shim."""

NPU2 = Device(
    name="npu2",
    title="Ryzen AI Strix (AIE2P)",
    chips=("Strix Point", "Strix Halo", "Krackan Point"),
    generation=4,
    columns=8,
    first_physical_column=0,
    pad_values=True,
    chained_control=True,
    burst_code=3,
    burst_bytes=512,
    clock_mhz=1800.0,
    controller_clock_mhz=1267.0,
)
"""The Strix family."""

DEVICES: dict[str, Device] = {npu.name: npu for npu in (NPU1, NPU2)}
"""Every known device by name."""


def device(name: str) -> Device:
    """The device called `name`; DeviceError if there is none."""
    if name not in DEVICES:
        raise DeviceError(f"unknown device {name!r}: give {' or '.join(DEVICES)}")
    return DEVICES[name]


def by_generation(generation: int) -> Device:
    """The device that a TXN header's generation means; DeviceError if there is none."""
    for npu in DEVICES.values():
        if npu.generation == generation:
            return npu
    known = " and ".join(f"{npu.generation} ({npu.name})" for npu in DEVICES.values())
    raise DeviceError(f"device generation {generation} is not known here: known are {known}")
