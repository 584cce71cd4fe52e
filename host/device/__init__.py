# SPDX-License-Identifier: Apache-2.0
"""One device for programs: an NPU through pyxrt, or the simulator, and nothing else differs.

with open_device("auto") as device:
    design = device.load("design.xclbin")
    rows = device.buffer((64, 4096), "uint16")
    record = design.run(insts, rows, out)
"""

from host.device.buffers import Buffer
from host.device.design import Design
from host.device.errors import (
    BadArguments,
    DeviceLost,
    DeviceNotFound,
    NpuError,
    OutOfMemory,
    PartitionMisfit,
    PyxrtMissing,
    RunAborted,
    RunFailed,
    RunTimeout,
    StreamMismatch,
)
from host.device.npu import Device, Settings, open_device
from host.device.records import Record
from host.device.stream import Stream

__all__ = [
    "BadArguments",
    "Buffer",
    "Design",
    "Device",
    "DeviceLost",
    "DeviceNotFound",
    "NpuError",
    "OutOfMemory",
    "PartitionMisfit",
    "PyxrtMissing",
    "Record",
    "RunAborted",
    "RunFailed",
    "RunTimeout",
    "Settings",
    "Stream",
    "StreamMismatch",
    "open_device",
]
