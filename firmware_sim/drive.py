# SPDX-License-Identifier: Apache-2.0
"""Drive the compiled loop to the end, doing in between what only Python can do.

Core models, ops that load a PDI or read registers, new routes, room for logs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from aie2 import txn
from aie2.fields import WORD_BYTES
from aie2.txn_rare_ops import LoadPdi, ReadRegs
from firmware_sim import diagnostics as d
from firmware_sim.array.configure import Configuration
from firmware_sim.array.engine import CORE, PYTHON_OP, REROUTE, ROOM, replay, run, start
from firmware_sim.array.machine import Machine
from firmware_sim.array.mmio import read32
from firmware_sim.array.routes import connect
from firmware_sim.array.state import NONE
from firmware_sim.compiled import SOURCES
from firmware_sim.cores import CoreModels, Cores
from firmware_sim.diagnostics import report

LARGEST_ADDRESS = (1 << 63) - 1
"""What compiled code holds; an address beyond it is outside the partition like this one."""
LONGEST = 4096
"""Words of an op that Python looks at."""
LOAD_PDI_WORDS = 4


def drive(
    machine: Machine, configuration: Configuration, models: CoreModels, limit: float
) -> tuple[int, dict[int, int]]:
    """Run to the end; returns how it ended, and what READ_REGS ops read, by address.

    Raises:
        ConfigurationError: a core model that cannot be run.
    """
    cores = Cores(machine, models)
    reads: dict[int, int] = {}
    start(machine.record, 0.0)
    while True:
        ended = run(machine.record, limit)
        if ended == ROOM:
            machine.make_room()
        elif ended == REROUTE:
            connect(machine)
            start(machine.record, _now(machine))
        elif ended == CORE:
            cores.resume()
        elif ended == PYTHON_OP:
            _carry_out(machine, configuration, cores, reads)
        else:
            return ended, reads


def _now(machine: Machine) -> float:
    return max(float(machine.state["stop_at"]), float(machine.state["last_op_at"]))


def _carry_out(
    machine: Machine, configuration: Configuration, cores: Cores, reads: dict[int, int]
) -> None:
    """The op before the one that the controller stands at."""
    op = machine.kept["ops"][int(machine.state["op"]) - 1]
    words = [int(word) for word in machine.kept["words"][int(op["offset"]) :][:LONGEST]]
    now = float(machine.state["last_op_at"])
    if op["opcode"] == txn.Opcode.READ_REGS:
        for address in ReadRegs.from_words(words[: words[1] // WORD_BYTES]).addresses:
            reads[address] = int(_read(machine.record, min(address, LARGEST_ADDRESS), now))
    else:
        pdi_id = LoadPdi.from_words(words[:LOAD_PDI_WORDS]).pdi_id
        writes = configuration.others.get(pdi_id)
        if writes is None:
            _report(machine.record, d.LOAD_PDI, pdi_id, now)
            return
        if machine.pdi_id == pdi_id:
            return  # firmware skips what is loaded already
        machine.pdi_id = pdi_id
        machine.reset_array()
        replay(machine.record, *writes, now)
        connect(machine)
        cores.restart()
        start(machine.record, now)


def _entries(stamp: int) -> tuple[Callable[..., int], Callable[..., None]]:
    @njit(cache=True)
    def read(state: Any, address: int, now: float) -> int:
        return read32(state[0], address, now) if stamp else 0

    @njit(cache=True)
    def note(state: Any, kind: int, value: int, now: float) -> None:
        if stamp:
            report(state[0], kind, NONE, 0, value, now)

    return read, note


_read, _report = _entries(SOURCES)
