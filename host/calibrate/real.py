# SPDX-License-Identifier: Apache-2.0
"""A device of `host.device` as a machine that can be calibrated: an NPU, through pyxrt."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device as DeviceFacts
from host.calibrate.designs import Design
from host.device import Buffer, Device
from host.device import Design as LoadedDesign

DDR_WINDOW = 0x8000_0000
"""Where the NPU sees what the host calls 0: XRT adds it when it puts an address into a BD."""


@dataclass(frozen=True)
class RealMachine:
    """An open device. An NPU's times are wall times; the simulator's are its own."""

    opened: Device
    clock_mhz: float | None = None
    given_name: str | None = None

    @property
    def name(self) -> str:
        """See `Machine`."""
        return self.given_name or self.opened.title

    @property
    def device(self) -> DeviceFacts:
        """See `Machine`."""
        return self.opened.facts

    @contextmanager
    def open(self, design: Design, source_bytes: int, target_bytes: int) -> Iterator[RealSession]:
        """See `Machine`; context and buffers are given back at the end."""
        loaded = self.opened.load(design.xclbin())
        source = self.opened.buffer(source_bytes, np.uint8, "explicit")
        target = self.opened.buffer(target_bytes, np.uint8, "explicit")
        try:
            yield RealSession(loaded, source, target)
        finally:
            loaded.close()
            source.close()
            target.close()


@dataclass
class RealSession:
    """A loaded design and its two host buffers, which are brought over only when they changed."""

    loaded: LoadedDesign
    source_buffer: Buffer
    target_buffer: Buffer
    source_held: bool = False
    """Whether the host may have written to the source since it was brought over."""
    target_held: bool = False

    @property
    def source(self) -> NDArray[np.uint8]:
        """See `Session`."""
        self.source_held = True
        return self.source_buffer.array

    @property
    def target(self) -> NDArray[np.uint8]:
        """See `Session`."""
        self.target_buffer.from_device()
        self.target_held = True
        return self.target_buffer.array

    @property
    def address(self) -> int:
        """See `Session`."""
        return int(self.source_buffer.bo.address()) + DDR_WINDOW

    def run(self, words: NDArray[np.uint32], repeats: int) -> NDArray[np.float64]:
        """See `Session`."""
        if self.source_held:
            self.source_buffer.to_device()
        if self.target_held:
            self.target_buffer.to_device()
        self.source_held = self.target_held = False
        buffers = self.source_buffer, self.target_buffer
        record = self.loaded.run(words, *buffers, repeats=repeats, check=False)
        return np.array(record.device_us or record.warm_us)
