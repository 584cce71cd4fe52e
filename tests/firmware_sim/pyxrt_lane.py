# SPDX-License-Identifier: Apache-2.0
"""A golden design on the stand-in: context, kernel, instruction buffer and two data buffers."""

from __future__ import annotations

import numpy as np
from streams import GOLDEN, golden

from firmware_sim import pyxrt
from firmware_sim.pyxrt import simulation

TO_DEVICE = pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE
FROM_DEVICE = pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_FROM_DEVICE
COMPLETED = pyxrt.ert_cmd_state.ERT_CMD_STATE_COMPLETED
ERROR = pyxrt.ert_cmd_state.ERT_CMD_STATE_ERROR
ABORT = pyxrt.ert_cmd_state.ERT_CMD_STATE_ABORT
TIMEOUT = pyxrt.ert_cmd_state.ERT_CMD_STATE_TIMEOUT
NAME = "passthrough_c1_ch1_o1k_npu1"


class Lane:
    """Everything that a host program makes for one design."""

    def __init__(self, name: str = NAME, opened=None, **settings) -> None:
        self.device = opened or simulation.open(simulation.Settings(**settings))
        self.path = GOLDEN / name
        self.xclbin = pyxrt.xclbin(str(self.path / "aie.xclbin"))
        self.uuid = self.device.register_xclbin(self.xclbin)
        self.context = pyxrt.hw_context(self.device, self.uuid)
        self.kernel = pyxrt.kernel(self.context, "MLIR_AIE")
        self.stream = (self.path / "insts.bin").read_bytes()
        self.instructions = self.filled(self.stream, pyxrt.bo.cacheable, self.kernel.group_id(1))
        self.sizes = [entry["bytes"] for entry in golden(name)["buffers"]]
        self.input, self.output = (self.data(size) for size in self.sizes[:2])

    def data(self, size_bytes: int):
        """A zeroed data buffer."""
        return pyxrt.bo(self.device, size_bytes, pyxrt.bo.host_only, self.kernel.group_id(3))

    def filled(self, content: bytes, flags, group: int):
        """A buffer with a content that has been synced."""
        made = pyxrt.bo(self.device, len(content), flags, group)
        made.write(content, 0)
        made.sync(TO_DEVICE)
        return made

    def fill(self, seed: int = 1) -> np.ndarray:
        """Random input, synced; returns it."""
        data = np.random.default_rng(seed).integers(0, 256, self.sizes[0], np.uint8)
        self.input.write(data, 0)
        self.input.sync(TO_DEVICE)
        return data

    def start(self, *buffers):
        """A started run; its buffers are the lane's own unless others are given."""
        given = buffers or (self.input, self.output)
        return self.kernel(3, self.instructions, len(self.stream), *given)

    def received(self) -> np.ndarray:
        """The output, synced."""
        self.output.sync(FROM_DEVICE)
        return self.output.read(self.output.size(), 0).view(np.uint8)
