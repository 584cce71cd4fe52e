# SPDX-License-Identifier: Apache-2.0
"""A stand-in for XRT's `pyxrt` whose NPU is the simulator: pyxrt's names, overloads and traps.

Programs run on it unchanged: `python -m firmware_sim.pyxrt program.py`. What pyxrt has not
(choosing the NPU, asking what the simulator saw) is in `firmware_sim.pyxrt.simulation`;
docs/pyxrt-conformance.md says name by name what is the same.
"""

from firmware_sim.pyxrt.buffers import bo
from firmware_sim.pyxrt.containers import (
    uuid,
    xclbin,
    xclbinip_vector,
    xclbinkernel_vector,
    xclbinmem_vector,
)
from firmware_sim.pyxrt.contexts import hw_context
from firmware_sim.pyxrt.devices import device
from firmware_sim.pyxrt.enums import (
    ert_cmd_state,
    xclBOSyncDirection,
    xrt_info_device,
    xrt_msg_level,
)
from firmware_sim.pyxrt.full_elf import elf, module, program
from firmware_sim.pyxrt.kernels import kernel, run
from firmware_sim.pyxrt.namespaces import aie, ext
from firmware_sim.pyxrt.runlists import runlist
from firmware_sim.pyxrt.system import enumerate_devices, log_message
from firmware_sim.pyxrt.versal import graph

XCL_BO_FLAGS_NONE = 0
emergency = xrt_msg_level.emergency
alert = xrt_msg_level.alert
critical = xrt_msg_level.critical
error = xrt_msg_level.error
warning = xrt_msg_level.warning
notice = xrt_msg_level.notice
info = xrt_msg_level.info
debug = xrt_msg_level.debug

__all__ = [
    "XCL_BO_FLAGS_NONE",
    "aie",
    "alert",
    "bo",
    "critical",
    "debug",
    "device",
    "elf",
    "emergency",
    "enumerate_devices",
    "error",
    "ert_cmd_state",
    "ext",
    "graph",
    "hw_context",
    "info",
    "kernel",
    "log_message",
    "module",
    "notice",
    "program",
    "run",
    "runlist",
    "uuid",
    "warning",
    "xclBOSyncDirection",
    "xclbin",
    "xclbinip_vector",
    "xclbinkernel_vector",
    "xclbinmem_vector",
    "xrt_info_device",
    "xrt_msg_level",
]
