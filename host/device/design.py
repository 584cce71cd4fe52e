# SPDX-License-Identifier: Apache-2.0
"""A design that is loaded: streams run on it, once, many times, or in a list.

Between runs it keeps context, kernel and one instruction buffer. A run that ends badly costs the
context, as on an NPU: all of it is let go, in the order that XRT wants, and the next run makes a
new one.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2 import xclbin
from aie2.devices import Device as DeviceFacts
from aie2.fields import WORD_BYTES
from firmware_sim.result import Result
from host.device import checks
from host.device.backends import Backend
from host.device.buffers import Buffer
from host.device.checks import Insts
from host.device.errors import BadArguments, DeviceNotFound, NpuError, PartitionMisfit, RunAborted
from host.device.records import Record
from host.device.waits import DEFAULT_S, DONE, wait

KERNEL = "MLIR_AIE"
RUN_STREAM = 3
"""First argument of the kernel: run an instruction stream."""
INSTRUCTIONS_ARGUMENT, FIRST_BUFFER_ARGUMENT = 1, 3
MOST_REPEATS = 1_000_000
MICROSECONDS = 1e6


@dataclass
class _Loaded:
    """What XRT holds for a design."""

    context: Any
    kernel: Any
    instructions: Any = None
    """Instruction BO."""
    capacity: int = 0
    """Its bytes."""
    run: Any = None
    """The run whose arguments are set to `bos`."""
    bos: tuple[int, ...] = ()
    fresh: bool = True
    """Whether nothing has run in this context yet."""


class Design:
    """A design on a device; `Device.load` makes them."""

    def __init__(self, backend: Backend, source: bytes | str | Path, kernel: str) -> None:
        self.container = xclbin.read(source)
        """What the xclbin says."""
        names = [each.name for each in self.container.kernels if each.kernel_id is not None]
        if kernel not in names:
            raise BadArguments(
                f"the xclbin has no kernel {kernel!r}: it has {', '.join(names) or 'none'}"
            )
        self.columns = self.container.partition.column_width
        self.host_buffers = self.container.host_buffers
        """Buffers that a run can have."""
        self._backend = backend
        self._kernel_name = kernel
        _check_start(self.container, backend.facts)
        self._registered = self._register(source)
        self._loaded: _Loaded | None = None
        self._closed = False
        self._load()

    def run(
        self,
        insts: Insts,
        *buffers: Buffer,
        timeout: float = DEFAULT_S,
        repeats: int = 1,
        warmup: int = 0,
        check: bool = True,
    ) -> Record:
        """Run a stream on buffers, in argument order.

        Args:
            insts: The stream, as bytes or words.
            buffers: Of this device.
            timeout: Seconds until a run is given up.
            repeats: Runs that count.
            warmup: Runs before them that do not.
            check: Whether the stream's reach into the buffers is checked first; its header and the
                buffers always are.

        Raises:
            BadArguments, StreamMismatch: before anything is submitted.
            RunTimeout, RunFailed, RunAborted: the run ended badly.
            PartitionMisfit: the context had to be made anew, and the driver gives none.
        """
        words = checks.words_of(insts)
        if not 1 <= repeats <= MOST_REPEATS or warmup < 0:
            raise BadArguments(f"{repeats} repeats after {warmup}: give 1 or more, after 0 or more")
        self._check(words, buffers, reach=check)
        loaded = self._load()
        self._instruct(loaded, words)
        run = self._arguments(loaded, buffers, words.size)
        return self._repeat(loaded, run, buffers, timeout, repeats, warmup)

    def stream(self, max_bytes: int) -> Stream:
        """One instruction buffer for streams of up to `max_bytes`, rewritten for every run.

        For a stream per token: nothing is allocated and no context changes between runs.
        """
        return Stream(self, max_bytes)

    def runlist(
        self, jobs: Sequence[tuple[Insts, Sequence[Buffer]]], *, check: bool = True
    ) -> Record:
        """Submit several runs at once and wait for all; they run in order.

        The wait cannot be interrupted: pyxrt's runlists have none that can.

        Raises:
            As `run`.
        """
        if not jobs:
            raise BadArguments("no runs are given: a runlist needs one or more")
        loaded = self._load()
        runs: list[Any] = []
        held: list[Any] = []
        for insts, buffers in jobs:
            words = checks.words_of(insts)
            self._check(words, buffers, reach=check)
            held.append(self._instruction_bo(loaded, words.nbytes))
            _write(self._backend.pyxrt, held[-1], words)
            runs.append(_run(self._backend.pyxrt, loaded, held[-1], buffers, words.size))
        every = tuple({id(b): b for _, buffers in jobs for b in buffers}.values())
        return self._batch(loaded, runs, every)

    def close(self) -> None:
        """Let go of the context; the design cannot run any more."""
        self._lose()
        self._registered = None
        self._closed = True

    def _register(self, source: bytes | str | Path) -> Any:
        """Make the xclbin known to the device; pyxrt takes a path only."""
        pyxrt, device = self._backend.pyxrt, self._backend.device
        if not isinstance(source, bytes):
            return device.register_xclbin(pyxrt.xclbin(str(source)))
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "design.xclbin")
            file.write_bytes(source)
            return device.register_xclbin(pyxrt.xclbin(str(file)))

    def _load(self) -> _Loaded:
        """Context and kernel, made anew if they were lost."""
        if self._closed:
            raise BadArguments("the design is closed: load it again")
        if self._loaded is None:
            pyxrt = self._backend.pyxrt
            try:
                context = pyxrt.hw_context(self._backend.device, self._registered)
            except RuntimeError as error:
                raise PartitionMisfit(
                    f"no context for {self.columns} columns that begin at one of "
                    f"{list(self.container.partition.start_columns)} ({error})"
                ) from None
            self._loaded = _Loaded(context, pyxrt.kernel(context, self._kernel_name))
        return self._loaded

    def _lose(self) -> None:
        """Let go of everything that XRT holds: runs and BOs, then the kernel, then the context."""
        loaded, self._loaded = self._loaded, None
        if loaded is not None:
            loaded.run = loaded.instructions = loaded.kernel = None
            loaded.context = None

    def _check(self, words: NDArray[np.uint32], buffers: Sequence[Buffer], *, reach: bool) -> None:
        checks.check_header(words, self._backend.facts, self.columns)
        checks.check_buffers(buffers, self.host_buffers)
        if reach:
            checks.check_reach(words, buffers)

    def _instruction_bo(self, loaded: _Loaded, size: int) -> Any:
        pyxrt = self._backend.pyxrt
        group = loaded.kernel.group_id(INSTRUCTIONS_ARGUMENT)
        return pyxrt.bo(self._backend.device, size, pyxrt.bo.cacheable, group)

    def _reserve(self, loaded: _Loaded, size: int) -> None:
        """An instruction BO of at least `size` bytes."""
        if loaded.capacity < size:
            loaded.run, loaded.bos = None, ()
            loaded.instructions = None
            loaded.instructions = self._instruction_bo(loaded, size)
            loaded.capacity = size

    def _instruct(self, loaded: _Loaded, words: NDArray[np.uint32]) -> None:
        self._reserve(loaded, words.nbytes)
        _write(self._backend.pyxrt, loaded.instructions, words)

    def _arguments(self, loaded: _Loaded, buffers: Sequence[Buffer], count: int) -> Any:
        """A run with its arguments set; the last one again if only the stream is another."""
        bos = tuple(id(buffer.bo) for buffer in buffers)
        if loaded.run is None or loaded.bos != bos:
            pyxrt = self._backend.pyxrt
            loaded.run = _run(pyxrt, loaded, loaded.instructions, buffers, count)
            loaded.bos = bos
        else:
            loaded.run.set_arg(FIRST_BUFFER_ARGUMENT - 1, count)
        return loaded.run

    def _repeat(
        self,
        loaded: _Loaded,
        run: Any,
        buffers: Sequence[Buffer],
        timeout: float,
        repeats: int,
        warmup: int,
    ) -> Record:
        cold = float("nan")
        warm: list[float] = []
        submit: list[float] = []
        device_us: list[float] = []
        for buffer in buffers:
            buffer.before_run()
        for number in range(warmup + repeats):
            handed, ended = self._once(run, timeout)
            if loaded.fresh:
                loaded.fresh, cold = False, ended
            if number >= warmup:
                warm.append(ended)
                submit.append(handed)
                device_us += self._device_us(run)
        for buffer in buffers:
            buffer.after_run()
        result = self._result(run)
        return Record(
            backend=self._backend.name,
            state=DONE,
            cold_us=cold,
            warm_us=tuple(warm),
            submit_us=tuple(submit),
            device_us=tuple(device_us),
            cycles=None if result is None else result.cycles,
            result=result,
        )

    def _once(self, run: Any, timeout: float) -> tuple[float, float]:
        """Microseconds until the command was handed over, and until it had ended."""
        started = time.perf_counter()
        try:
            run.start()
            handed = time.perf_counter()
            wait(run, timeout)
        except (NpuError, KeyboardInterrupt):
            self._lose()
            raise
        except RuntimeError as error:
            self._lose()
            raise DeviceNotFound(f"the device was lost ({error})") from None
        ended = time.perf_counter()
        return (handed - started) * MICROSECONDS, (ended - started) * MICROSECONDS

    def _batch(self, loaded: _Loaded, runs: Sequence[Any], buffers: Sequence[Buffer]) -> Record:
        for buffer in buffers:
            buffer.before_run()
        batch = self._backend.pyxrt.runlist(loaded.context)
        for run in runs:
            batch.add(run)
        started = time.perf_counter()
        try:
            batch.execute()
            handed = time.perf_counter()
            batch.wait()
        except (RuntimeError, KeyboardInterrupt) as error:
            self._lose()
            if isinstance(error, KeyboardInterrupt):
                raise
            raise RunAborted(f"the runlist failed ({error})", state="ABORT") from None
        ended = time.perf_counter()
        loaded.fresh = False
        for buffer in buffers:
            buffer.after_run()
        device_us = tuple(us for run in runs for us in self._device_us(run))
        results = [self._result(run) for run in runs]
        return Record(
            backend=self._backend.name,
            state=DONE,
            cold_us=float("nan"),
            warm_us=((ended - started) * MICROSECONDS,),
            submit_us=((handed - started) * MICROSECONDS,),
            device_us=device_us,
            cycles=None if results[-1] is None else results[-1].cycles,
            result=results[-1],
        )

    def _result(self, run: Any) -> Result | None:
        if self._backend.name != "sim":
            return None
        from firmware_sim.pyxrt import simulation

        return simulation.result(run)

    def _device_us(self, run: Any) -> list[float]:
        result = self._result(run)
        return [] if result is None else [result.microseconds]


class Stream:
    """An instruction buffer of fixed size on a design; `words` is where the next stream goes."""

    def __init__(self, design: Design, max_bytes: int) -> None:
        if max_bytes < WORD_BYTES or max_bytes % WORD_BYTES:
            raise BadArguments(
                f"a stream of up to {max_bytes} bytes: give a multiple of {WORD_BYTES}"
            )
        self.words: NDArray[np.uint32] = np.zeros(max_bytes // WORD_BYTES, np.uint32)
        """Filled by the planner (`Planner.plan_into`); host memory, handed over at each run."""
        self._design = design

    def run(
        self, count: int, *buffers: Buffer, timeout: float = DEFAULT_S, check: bool = False
    ) -> Record:
        """Run the first `count` words.

        Raises:
            As `Design.run`.
        """
        if not 0 < count <= self.words.size:
            raise BadArguments(f"{count} words are to run of {self.words.size} that there are")
        design = self._design
        words = checks.words_of(self.words[:count])
        design._check(words, buffers, reach=check)
        loaded = design._load()
        design._reserve(loaded, self.words.nbytes)
        design._instruct(loaded, words)
        run = design._arguments(loaded, buffers, words.size)
        return design._repeat(loaded, run, buffers, timeout, 1, 0)


def _check_start(container: xclbin.Xclbin, device: DeviceFacts) -> None:
    """Refuse a partition that begins nowhere on the device."""
    width, starts = container.partition.column_width, container.partition.start_columns
    physical = device.first_physical_column + device.columns
    if starts and not any(start + width <= physical for start in starts):
        raise PartitionMisfit(
            f"{width} columns that begin at one of {list(starts)} do not fit the {physical} of "
            f"{device.name}"
        )


def _run(
    pyxrt: Any, loaded: _Loaded, instructions: Any, buffers: Sequence[Buffer], count: int
) -> Any:
    """A run of a kernel with all its arguments."""
    run = pyxrt.run(loaded.kernel)
    run.set_arg(0, RUN_STREAM)
    run.set_arg(INSTRUCTIONS_ARGUMENT, instructions)
    run.set_arg(FIRST_BUFFER_ARGUMENT - 1, count)
    for number, buffer in enumerate(buffers):
        run.set_arg(FIRST_BUFFER_ARGUMENT + number, buffer.bo)
    return run


def _write(pyxrt: Any, bo: Any, words: NDArray[np.uint32]) -> None:
    """Put a stream into an instruction BO and bring it to the device."""
    np.frombuffer(bo.map(), np.uint8)[: words.nbytes] = words.view(np.uint8)
    bo.sync(pyxrt.xclBOSyncDirection.XCL_BO_SYNC_BO_TO_DEVICE, words.nbytes, 0)
