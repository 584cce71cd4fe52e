# SPDX-License-Identifier: Apache-2.0
"""One device for programs: an NPU through pyxrt, or the simulator, and nothing else differs.

with open_device("auto") as device:
    design = device.load("design.xclbin")
    rows = device.buffer((64, 4096), "uint16")
    record = design.run(insts, rows, out)
"""

from host.device.buffers import Buffer
from host.device.design import Design, Stream
from host.device.errors import (
    BadArguments,
    DeviceNotFound,
    NpuError,
    PartitionMisfit,
    PyxrtMissing,
    RunAborted,
    RunFailed,
    RunTimeout,
    StreamMismatch,
)
from host.device.npu import Device, Settings, open_device
from host.device.records import Record

__all__ = [
    "BadArguments",
    "Buffer",
    "Design",
    "Device",
    "DeviceNotFound",
    "NpuError",
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
