# SPDX-License-Identifier: Apache-2.0
"""A design that is loaded: streams run on it, once, many times, or in a list.

Between runs it keeps context, kernel and one instruction buffer. A run that ends badly costs the
context, as on an NPU: all of it is let go, in the order that XRT wants, and the next run makes a
new one. Only `Session` holds what is XRT's, so that no error on its way up keeps it.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aie2 import xclbin
from firmware_sim.pyxrt import simulation
from firmware_sim.result import Result
from host.device import checks, waits
from host.device.backends import Backend
from host.device.buffers import Buffer
from host.device.checks import Insts
from host.device.errors import BadArguments, DeviceLost, caused
from host.device.records import Record
from host.device.session import Session
from host.device.stream import Stream
from iron_designs.compiler.build import Compiled

KERNEL = "MLIR_AIE"
MOST_REPEATS = 1_000_000
MICROSECONDS = 1e6


class Design:
    """A design on a device; `Device.load` makes them."""

    def __init__(
        self, backend: Backend, source: bytes | str | Path | Compiled, kernel: str
    ) -> None:
        if isinstance(source, Compiled):
            source = source.xclbin
        if not isinstance(source, bytes | str | Path):
            raise BadArguments(f"an xclbin is a file or bytes, not {type(source).__name__}")
        self.container = xclbin.read(source)
        """What the xclbin says."""
        names = [each.name for each in self.container.kernels if each.kernel_id is not None]
        if kernel not in names:
            raise BadArguments(
                f"the xclbin has no kernel {kernel!r}: it has {', '.join(names) or 'none'}"
            )
        self.columns = self.container.partition.column_width
        self.start_columns = tuple(self.container.partition.start_columns)
        """Columns of the device that it may begin at."""
        self.host_buffers = self.container.host_buffers
        """Buffers that a run can have."""
        self._backend = backend
        self._kernel_name = kernel
        checks.check_partition(self.container.partition, backend.facts)
        self._registered = self._register(source)
        self._session: Session | None = None
        self._closed = False
        self._load()

    def run(
        self,
        insts: Insts,
        *buffers: Buffer,
        timeout: float = waits.DEFAULT_S,
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
            DeviceLost: the driver takes no runs.
            PartitionMisfit, OutOfMemory: the driver gives no new context, or no buffer.
        """
        words = checks.words_of(insts)
        if not 1 <= repeats <= MOST_REPEATS or warmup < 0:
            raise BadArguments(f"{repeats} repeats after {warmup}: give 1 or more, after 0 or more")
        return self._run(words, buffers, timeout, repeats=repeats, warmup=warmup, check=check)

    def stream(self, max_bytes: int) -> Stream:
        """One instruction buffer for streams of up to `max_bytes`, rewritten for every run.

        For a stream per token: nothing is allocated and no context changes between runs.
        """
        return Stream(max_bytes, self._run)

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
        given = [(checks.words_of(insts), tuple(buffers)) for insts, buffers in jobs]
        for words, buffers in given:
            self._check(words, buffers, reach=check)
        every = tuple({id(b): b for _, buffers in given for b in buffers}.values())
        batch = [(words, [buffer.bo for buffer in buffers]) for words, buffers in given]
        session = self._load()
        with self._may_be_lost(session):
            session.prepare_batch(batch)
            for buffer in every:
                buffer.before_run()
            cold = session.fresh
            handed, ended = self._execute(session)
            session.fresh = False
        for buffer in every:
            buffer.after_run()
        results = [self._result(run) for run in session.batch_runs]
        session.release_batch()
        return self._record(results, [ended], [handed], ended if cold else float("nan"))

    def close(self) -> None:
        """Let go of the context; the design cannot run any more."""
        self._closed = True
        self._lose()
        self._registered = None

    def _register(self, source: bytes | str | Path) -> Any:
        """Make the xclbin known to the device; pyxrt takes a path only."""
        if isinstance(source, bytes):
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "design.xclbin")
                file.write_bytes(source)
                return self._register(file)
        pyxrt, device = self._backend.pyxrt, self._backend.device
        try:
            return device.register_xclbin(pyxrt.xclbin(str(source)))
        except (RuntimeError, MemoryError) as error:
            raise caused(error, "the driver refuses the xclbin", BadArguments) from None

    def _load(self) -> Session:
        """Context and kernel, made anew if they were lost."""
        if self._closed:
            raise BadArguments("the design is closed: load it again")
        self._backend.parked.settle()
        if self._session is None:
            starts = list(self.start_columns)
            needs = f"{self.columns} columns that begin at one of {starts}"
            self._session = Session(self._backend, self._registered, self._kernel_name, needs)
        return self._session

    def _lose(self) -> None:
        """Let go of all that XRT holds; a run that has not ended is kept until it has."""
        session, self._session = self._session, None
        if session is None:
            return
        if session.in_progress:
            self._backend.parked.add(session)
        else:
            session.release()

    @contextmanager
    def _may_be_lost(self, session: Session) -> Iterator[None]:
        """Whatever goes wrong from here on costs the context."""
        try:
            yield
        except BaseException:
            if self._session is session:
                self._lose()
            raise

    def _check(self, words: NDArray[np.uint32], buffers: Sequence[Buffer], *, reach: bool) -> None:
        checks.check_header(words, self._backend.facts, self.columns)
        checks.check_buffers(buffers, self.host_buffers, self._backend.device)
        if reach:
            checks.check_reach(words, buffers)

    def _run(
        self,
        words: NDArray[np.uint32],
        buffers: Sequence[Buffer],
        timeout: Any,
        *,
        room_bytes: int = 0,
        repeats: int = 1,
        warmup: int = 0,
        check: bool,
    ) -> Record:
        """Run a stream in an instruction buffer of `room_bytes` or as much as it needs."""
        deadline_s = waits.deadline(timeout)
        self._check(words, buffers, reach=check)
        bos = [buffer.bo for buffer in buffers]
        session = self._load()
        with self._may_be_lost(session):
            session.reserve(room_bytes)
            session.write(words)
            session.prepare(bos, words.size)
            for buffer in buffers:
                buffer.before_run()
            record = self._repeat(session, deadline_s, repeats, warmup)
        for buffer in buffers:
            buffer.after_run()
        return record

    def _repeat(self, session: Session, deadline_s: float, repeats: int, warmup: int) -> Record:
        cold = float("nan")
        warm: list[float] = []
        submit: list[float] = []
        results: list[Result | None] = []
        for number in range(warmup + repeats):
            handed, ended = _once(session, deadline_s)
            if session.fresh:
                session.fresh, cold = False, ended
            if number >= warmup:
                warm.append(ended)
                submit.append(handed)
                results.append(self._result(session.run))
        return self._record(results, warm, submit, cold)

    def _execute(self, session: Session) -> tuple[float, float]:
        """Microseconds until a runlist was handed over, and until it had ended."""
        started = time.perf_counter()
        try:
            session.batch.execute()
            handed = time.perf_counter()
            session.batch.wait()
        except RuntimeError as error:
            text = str(error)
        else:
            ended = time.perf_counter()
            return (handed - started) * MICROSECONDS, (ended - started) * MICROSECONDS
        if "failed execution" not in text:
            raise caused(RuntimeError(text), "the driver does not take the runlist", DeviceLost)
        raise waits.failure("runlist", waits.state_in(text), text)

    def _result(self, run: Any) -> Result | None:
        return simulation.result(run) if self._backend.name == "sim" else None

    def _record(
        self,
        results: Sequence[Result | None],
        warm: Sequence[float],
        submit: Sequence[float],
        cold_us: float,
    ) -> Record:
        last = results[-1]
        return Record(
            backend=self._backend.name,
            state=waits.DONE,
            cold_us=cold_us,
            warm_us=tuple(warm),
            submit_us=tuple(submit),
            device_us=tuple(each.microseconds for each in results if each is not None),
            cycles=None if last is None else last.cycles,
            result=last,
        )


def _once(session: Session, deadline_s: float) -> tuple[float, float]:
    """Microseconds until the command was handed over, and until it had ended."""
    started = time.perf_counter()
    session.start()
    handed = time.perf_counter()
    waits.wait(session, deadline_s)
    ended = time.perf_counter()
    return (handed - started) * MICROSECONDS, (ended - started) * MICROSECONDS
