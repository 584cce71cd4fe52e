# SPDX-License-Identifier: Apache-2.0
"""Run a case: only typed errors or clean results may come of it, and nothing beside the buffers.

A `Finding` is anything else: another exception or warning, a host buffer overrun, a different end
the second time, a stream that reads otherwise after it was written.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Generator, Iterable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import disasm, txn
from aie2.errors import Aie2Error
from firmware_sim import Result, SimulationError, Stalled, read_configuration, simulate
from firmware_sim.cores import CoreTile, Step
from tests.fuzz.cases import Case

GUARD_BYTES = 4096
GUARD = 0xA5
REPEATED = 20
"""One case in so many is run twice."""


class Finding(Exception):  # noqa: N818 - what is looked for
    """Something that must not happen."""


class Outcome(NamedTuple):
    """What came of a case."""

    stage: str
    """How far it got: "read" or "simulated"."""
    what: str
    """"clean", "mistakes" (ran to its end with diagnostics), "stalled", or the error's type."""
    cycles: float = 0.0
    """Simulated."""


def judge(case: Case) -> Outcome:
    """Run a case.

    Raises:
        Finding: it ended as nothing may.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            return _judge(case)
        except Finding:
            raise
        except Exception as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            where = f"{Path(last.filename).name}:{last.lineno}"
            raise Finding(f"{type(error).__name__} at {where}: {error}") from error


def compile_all(insts: bytes, xclbin: bytes, sizes: Iterable[int]) -> None:
    """Run a design that needs every compiled function, so that no case has to wait for one."""

    def model(core: CoreTile) -> Generator[Step, None, None]:
        core.release(0)
        yield core.acquire(0)

    program = txn.decode(insts)
    ops = (txn.ReadRegs((0,)), txn.LoadPdi(65535, 0, 0), *program.ops)
    words = txn.encode(replace(program, ops=ops))
    buffers = [np.zeros(size, np.uint8) for size in sizes]
    with suppress(SimulationError):
        simulate(xclbin, words, buffers, core_models={(0, 2): model})


def _judge(case: Case) -> Outcome:
    try:
        configuration = read_configuration(case.xclbin)
        _check_stream(case.insts)
    except (Aie2Error, SimulationError) as error:
        return Outcome("read", _said(error))
    first, seen = _run(case, configuration)
    if case.number % REPEATED == 0:
        second, again = _run(case, configuration)
        if (first, seen) != (second, again):
            raise Finding(f"{first} and {second} from the same input")
    return first


def _check_stream(insts: bytes) -> None:
    program = txn.decode(insts)
    if not program.header.major:
        opcodes, _ = txn.index(insts)
        if opcodes.tolist() != [op.opcode for op in program.ops]:
            raise Finding("index and decode see different ops")
    again = txn.decode(txn.encode(program))
    if again.ops != program.ops:
        raise Finding("a stream reads otherwise after it was written")
    if len(program.ops) < 100:
        disasm.lines(program)
        disasm.to_json(program)


def _run(case: Case, configuration: Any) -> tuple[Outcome, tuple[Any, ...]]:
    """What came of one run, and what must be the same in the next."""
    guarded = [_guarded(buffer) for buffer in case.buffers]
    given = [each[GUARD_BYTES : each.size - GUARD_BYTES] for each in guarded]
    models = {place: _core_model(seed) for place, seed in case.cores.items()}
    result: Result | None
    try:
        result = simulate(configuration, case.insts, given, core_models=models, **case.options)
        what = "mistakes" if result.diagnostics else "clean"
    except Stalled as stalled:
        what, result = "stalled", stalled.result
        _said(stalled)
    except (Aie2Error, SimulationError) as error:
        what, result = _said(error), None
    for each in guarded:
        if (each[:GUARD_BYTES] != GUARD).any() or (each[each.size - GUARD_BYTES :] != GUARD).any():
            raise Finding("bytes beside a host buffer were written")
    if result is None:
        return Outcome("simulated", what), ()
    return Outcome("simulated", what, result.array_cycles), (
        *(result.cycles, result.counts, result.met, _texts(result), result.events.size),
        *(each.tobytes() for each in given),
    )


def _said(error: Exception) -> str:
    """Type of an error, which must have something to say in one line."""
    if not str(error) or "\n" in str(error):
        raise Finding(f"{type(error).__name__} says {str(error)!r}")
    return type(error).__name__


def _texts(result: Result) -> tuple[str, ...]:
    if not 0 <= result.cycles < 1 << 53 or not np.isfinite(result.microseconds):
        raise Finding(f"{result.cycles} cycles")
    return (*map(str, result.diagnostics), *map(str, result.waits))


def _guarded(buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A copy of a buffer between bytes that must stay as they are."""
    made = np.full(buffer.size + 2 * GUARD_BYTES, GUARD, np.uint8)
    made[GUARD_BYTES : made.size - GUARD_BYTES] = buffer
    return made


def _core_model(seed: int) -> Any:
    """A core model that takes and gives locks, and lets time pass, for some hundred steps."""

    def model(core: CoreTile) -> Generator[Step, None, None]:
        rng = Random(seed)
        for _ in range(rng.choice((0, 1, 20, 300))):
            match rng.randrange(5):
                case 0 | 1:
                    yield core.acquire(rng.randrange(4), rng.choice((-1, -1, -2, 0, 1)))
                case 2:
                    core.release(rng.randrange(4), rng.choice((1, 1, 2, -1, 63)))
                case 3:
                    core.memory[: 4 * rng.randrange(64)] += 1
                case _:
                    pass
            yield core.wait(rng.choice((0, 1, 7.5, 1000)))

    return model
