# SPDX-License-Identifier: Apache-2.0
"""Cases on a `host.device.Device`: the road of `host.cases`, with the run handed to a device.

On the simulator a run tells what direct simulation tells. On an NPU it tells the time that passed
on this machine, over several runs; what the stream holds is counted from the program.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bdgen.program import Program
from firmware_sim.firmware import Firmware
from firmware_sim.inputs import L2
from firmware_sim.result import Counts, Result
from host.device import Buffer, Design, Device, Record
from host.errors import UsageError

REPEATS, WARMUP = 20, 3
"""Runs that count of each stream on an NPU, and runs before them."""
STOCK = "stock"


@dataclass(frozen=True)
class Measured:
    """A program timed on an NPU; attributes as `firmware_sim.Result` where both have them."""

    microseconds: float
    """Median from submission to the noticed end, a dispatch included."""
    low: float
    """The least."""
    high: float
    """The 99th percentile."""
    counts: Counts
    """As the program has them; an NPU does not say what it did."""
    wall_s: float
    cycles: None = None
    ok: bool = True
    """A run that does not end well is an error."""


Outcome = Result | Measured


class OnDevice:
    """A device with one design on it, weights that stay there, and an output buffer."""

    def __init__(self, device: Device, xclbin: bytes, repeats: int = REPEATS) -> None:
        self.device = device
        self._design: Design = device.load(xclbin)
        self._repeats = repeats
        self._weights: tuple[NDArray[Any], Buffer] | None = None
        self._output: Buffer | None = None

    @property
    def simulated(self) -> bool:
        """Whether the device is the simulator."""
        return self.device.backend == "sim"

    def run(
        self,
        made: Program,
        weights: NDArray[np.uint8],
        output: NDArray[np.uint8],
        *,
        profile: str,
        firmware: str | Firmware,
        clock_mhz: float | None,
        l2: L2,
    ) -> Outcome:
        """Run a program; `output` is what the device finds, and what it leaves.

        Raises:
            UsageError: an NPU, and a program that needs other than stock firmware.
            NpuError: the run ended badly.
        """
        if self.simulated:
            self.device.simulate(profile=profile, firmware=firmware, clock_mhz=clock_mhz, l2=l2)
        elif firmware != STOCK:
            raise UsageError(
                f"{made.phase} needs firmware that filters rows ({made.firmware}), which NPUs do "
                "not have: use --phase dense, phase0, host or auto, or --backend sim"
            )
        target = self._room(output.size)
        target.array[: output.size] = output
        repeats = (1, 0) if self.simulated else (self._repeats, WARMUP)
        record = self._design.run(
            made.words,
            self._held(weights),
            target,
            repeats=repeats[0],
            warmup=repeats[1],
            check=not self.simulated,
        )
        output[:] = target.array[: output.size]
        return record.result if record.result is not None else _measured(made, record)

    def _held(self, weights: NDArray[np.uint8]) -> Buffer:
        """The weights on the device, brought over when they are first met."""
        if self._weights is None or self._weights[0] is not weights:
            buffer = self.device.buffer(weights.shape, weights.dtype)
            buffer.array[...] = weights
            self._weights = weights, buffer.freeze()
        return self._weights[1]

    def _room(self, size: int) -> Buffer:
        if self._output is None or self._output.nbytes < size:
            self._output = self.device.buffer(size, np.uint8)
        return self._output


def _measured(made: Program, record: Record) -> Measured:
    moved = made.bytes_moved + made.padding_bytes
    counts = Counts(
        ops=0,
        bds=made.bds,
        pushes=made.pushes,
        tokens=made.tokens,
        patches=0,
        polls=0,
        dropped_pushes=0,
        bytes_read=moved,
        bytes_written=moved,
    )
    times = record.warm_us
    return Measured(
        microseconds=record.p50_us,
        low=min(times),
        high=record.p99_us,
        counts=counts,
        wall_s=sum(times) / 1e6,
    )
