# SPDX-License-Identifier: Apache-2.0
"""What XRT holds for a loaded design: context, kernel, instruction BO, and the run that uses them.

`Design` makes one, gives it streams and buffers, and makes another after a run that ended badly.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.device import waits
from host.device.backends import Backend
from host.device.errors import BadArguments, DeviceLost, OutOfMemory, PartitionMisfit, caused

RUN_STREAM = 3
"""First argument of the kernel: run an instruction stream."""
INSTRUCTIONS_ARGUMENT, COUNT_ARGUMENT, FIRST_BUFFER_ARGUMENT = 1, 2, 3

Words = NDArray[np.uint32]


class Session:
    """A context with one kernel, and one instruction BO that all streams are written to.

    Raises:
        PartitionMisfit: the driver gives no context.
        BadArguments: the context has no such kernel.
        OutOfMemory, DeviceLost: the driver says so.
    """

    def __init__(self, backend: Backend, registered: Any, kernel: str, needs: str) -> None:
        self._pyxrt, self._device = backend.pyxrt, backend.device
        self.run: Any = None
        """The run whose arguments are set to `buffers`."""
        self.buffers: Sequence[Any] = ()
        """BOs that it uses, held so that no other can have their place."""
        self.batch: Any = None
        """The runlist in progress."""
        self.batch_runs: list[Any] = []
        self.batch_instructions: list[Any] = []
        self.instructions: Any = None
        """Instruction BO of `run`."""
        self.capacity = 0
        """Its bytes."""
        self.fresh = True
        """Whether nothing has run in this context yet."""
        try:
            self.context: Any = self._pyxrt.hw_context(self._device, registered)
        except (RuntimeError, MemoryError) as error:
            raise caused(error, f"no context for {needs}", PartitionMisfit) from None
        try:
            self.kernel: Any = self._pyxrt.kernel(self.context, kernel)
        except (RuntimeError, MemoryError) as error:
            self.context = None
            raise caused(error, f"no kernel {kernel!r}", BadArguments) from None

    def reserve(self, size: int) -> None:
        """Have an instruction BO of at least `size` bytes."""
        if self.capacity < size:
            self.run, self.buffers = None, ()
            self.instructions, self.capacity = None, 0
            self.instructions, self.capacity = self._instruction_bo(size), size

    def write(self, words: Words) -> None:
        """Put a stream into the instruction BO and bring it to the device."""
        self.reserve(words.nbytes)
        self._write(self.instructions, words)

    def prepare(self, bos: Sequence[Any], count: int) -> None:
        """Have a run of the first `count` words on these BOs: the last one if it fits."""
        same = len(bos) == len(self.buffers)
        if (
            self.run is None
            or not same
            or any(old is not new for old, new in zip(self.buffers, bos, strict=True))
        ):
            self.run = None
            self.run, self.buffers = self._run(self.instructions, bos, count), tuple(bos)
        else:
            self.run.set_arg(COUNT_ARGUMENT, count)

    def start(self) -> None:
        """Start the run; DeviceLost if the driver does not take it."""
        try:
            self.run.start()
        except RuntimeError as error:
            raise caused(error, "the driver does not take the run", DeviceLost) from None

    def prepare_batch(self, jobs: Sequence[tuple[Words, Sequence[Any]]]) -> None:
        """Have a runlist of streams, each with its BOs and an instruction BO of its own."""
        for words, bos in jobs:
            self.batch_instructions.append(self._instruction_bo(words.nbytes))
            self._write(self.batch_instructions[-1], words)
            self.batch_runs.append(self._run(self.batch_instructions[-1], bos, words.size))
        self.batch = self._pyxrt.runlist(self.context)
        for place in range(len(self.batch_runs)):
            self.batch.add(self.batch_runs[place])

    def release_batch(self) -> None:
        """Let go of the runlist, its runs, and their instructions."""
        self.batch = None
        self.batch_runs.clear()
        self.batch_instructions.clear()

    @property
    def in_progress(self) -> bool:
        """Whether the run was started and has not ended."""
        return self.run is not None and waits.state_of(self.run) in waits.IN_PROGRESS

    def release(self) -> None:
        """Let go of everything: runs, then BOs, then the kernel, then the context."""
        self.release_batch()
        self.run = None
        self.buffers = ()
        self.instructions, self.capacity = None, 0
        self.kernel = None
        self.context = None

    def _instruction_bo(self, size: int) -> Any:
        group = self.kernel.group_id(INSTRUCTIONS_ARGUMENT)
        try:
            return self._pyxrt.bo(self._device, size, self._pyxrt.bo.cacheable, group)
        except (RuntimeError, MemoryError) as error:
            doing = f"an instruction buffer of {size} bytes cannot be had"
            raise caused(error, doing, OutOfMemory) from None

    def _write(self, bo: Any, words: Words) -> None:
        np.frombuffer(bo.map(), np.uint8)[: words.nbytes] = words.view(np.uint8)
        try:
            bo.sync(self._pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, words.nbytes, 0)
        except RuntimeError as error:
            raise caused(error, "the stream cannot be brought over", DeviceLost) from None

    def _run(self, instructions: Any, bos: Sequence[Any], count: int) -> Any:
        """A run of the kernel with all its arguments."""
        run = self._pyxrt.run(self.kernel)
        run.set_arg(0, RUN_STREAM)
        run.set_arg(INSTRUCTIONS_ARGUMENT, instructions)
        run.set_arg(COUNT_ARGUMENT, count)
        for place, bo in enumerate(bos):
            run.set_arg(FIRST_BUFFER_ARGUMENT + place, bo)
        return run
