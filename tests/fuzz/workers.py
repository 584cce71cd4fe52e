# SPDX-License-Identifier: Apache-2.0
"""Run many cases in processes that may crash, hang or grow: each such end is a finding."""

from __future__ import annotations

import multiprocessing
import resource
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.connection import wait as wait_for
from typing import Any

from tests.fuzz.cases import case, goldens
from tests.fuzz.oracle import Finding, compile_all, judge

CASE_SECONDS = 30.0
"""A case that takes longer hangs."""
MEMORY_MIB = 1024
"""Largest resident size that a worker may reach, its compiled code included."""
ADDRESS_SPACE_MIB = 16384
"""A worker that asks for more gets a MemoryError."""

_context = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Found:
    """A finding and the case that shows it."""

    number: int
    text: str


@dataclass
class Summary:
    """What came of all cases."""

    cases: int = 0
    outcomes: Counter[tuple[str, str, str]] = field(default_factory=Counter[tuple[str, str, str]])
    """How often each (kind of case, stage, what) was met."""
    findings: list[Found] = field(default_factory=list[Found])
    seconds: float = 0.0
    slowest: tuple[float, int] = (0.0, -1)
    """Seconds and case."""
    peak_mib: float = 0.0
    """Largest resident size of a worker."""

    @property
    def simulated(self) -> int:
        """Cases that reached the simulator."""
        return sum(count for (_, stage, _), count in self.outcomes.items() if stage == "simulated")


class _Worker:
    """A process that takes every `jobs`-th case from `first` on."""

    def __init__(self, seed: int, first: int, end: int, jobs: int) -> None:
        self.seed, self.next, self.end, self.jobs = seed, first, end, jobs
        self.since = time.monotonic()
        self.start()

    def start(self) -> None:
        """Begin, or begin again after a case that killed the process."""
        self.since = time.monotonic()
        self.connection, theirs = _context.Pipe(duplex=False)
        numbers = range(self.next, self.end, self.jobs)
        self.process = _context.Process(target=_work, args=(self.seed, numbers, theirs))
        self.process.start()
        theirs.close()

    def stop(self) -> None:
        """End the process whatever it does."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _work(seed: int, numbers: range, connection: Connection) -> None:
    limit = ADDRESS_SPACE_MIB << 20
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    for number in numbers:
        said = _one(seed, number)
        connection.send(said)
        if said[-1] > MEMORY_MIB:
            break  # the peak of a process never falls: the next case begins in a new one
    connection.close()


def _one(seed: int, number: int) -> tuple[str, Any, float, float]:
    """(kind, outcome or text of a finding, seconds, peak MiB)."""
    started = time.perf_counter()
    kind, said = "unmade", ""
    try:
        made = case(seed, number)
        kind = made.kind
        outcome = judge(made)
    except Finding as finding:
        outcome = str(finding)
    except Exception as error:
        outcome = f"{type(error).__name__} while it was made: {error}"
    peak_mib = _peak_mib()
    if peak_mib > MEMORY_MIB and not isinstance(outcome, str):
        outcome = f"the process grew to {peak_mib:.0f} MiB"
    return kind, outcome or said, time.perf_counter() - started, peak_mib


def run(
    seed: int, count: int, *, first: int = 0, jobs: int = 2, seconds: float | None = None
) -> Summary:
    """Run cases `first` to `first + count`, or as many as fit into `seconds`."""
    golden = goldens()[0]
    compile_all(golden.insts, golden.container.data, golden.sizes)
    summary = Summary()
    started = time.monotonic()
    workers = [_Worker(seed, first + job, first + count, jobs) for job in range(min(jobs, count))]
    try:
        while workers and (seconds is None or time.monotonic() - started < seconds):
            for worker in list(_step(workers, summary)):
                workers.remove(worker)
    finally:
        for worker in workers:
            worker.stop()
    summary.seconds = time.monotonic() - started
    return summary


def _step(workers: list[_Worker], summary: Summary) -> Iterator[_Worker]:
    """Take in what the workers have to say; those that are done."""
    ready = wait_for([worker.connection for worker in workers], timeout=0.5)
    for worker in workers:
        if worker.connection in ready:
            try:
                said = worker.connection.recv()
            except EOFError:
                worker.process.join()
                if worker.process.exitcode:
                    code = worker.process.exitcode
                    _lost(worker, summary, f"the process died with code {code}")
                elif worker.next < worker.end:
                    worker.stop()
                    worker.start()
                else:
                    worker.stop()
                    yield worker
            else:
                _take(worker, summary, *said)
        elif time.monotonic() - worker.since > CASE_SECONDS:
            _lost(worker, summary, f"still running after {CASE_SECONDS:g} s")


def _take(
    worker: _Worker, summary: Summary, kind: str, outcome: Any, seconds: float, peak_mib: float
) -> None:
    if isinstance(outcome, str):
        summary.findings.append(Found(worker.next, outcome))
        summary.outcomes[kind, "finding", outcome.partition(":")[0]] += 1
    else:
        summary.outcomes[kind, outcome.stage, outcome.what] += 1
    summary.slowest = max(summary.slowest, (seconds, worker.next))
    summary.peak_mib = max(summary.peak_mib, peak_mib)
    _on(worker, summary)


def _lost(worker: _Worker, summary: Summary, text: str) -> None:
    summary.findings.append(Found(worker.next, text))
    summary.outcomes["?", "finding", text] += 1
    _on(worker, summary)
    worker.stop()
    worker.start()


def _on(worker: _Worker, summary: Summary) -> None:
    summary.cases += 1
    worker.next += worker.jobs
    worker.since = time.monotonic()
