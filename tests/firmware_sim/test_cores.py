# SPDX-License-Identifier: Apache-2.0
"""Core tiles: DMAs and locks move data, code is not run, and a function can stand in for a core."""

import numpy as np
import pytest
from streams import buffers, copy, passthrough, stream

from aie2.registers import (
    CORE_BD,
    CORE_DMA,
    CORE_LOCKS,
    CORE_SWITCH,
    MEMTILE_SWITCH,
    SHIM_SWITCH,
    Direction,
)
from aie2.tiles import address
from firmware_sim import Configuration, SimulationError, Stalled, simulate

WORDS = 64
INPUT, OUTPUT = 0x400, 0x800
FREE_IN, FULL_IN, FREE_OUT, FULL_OUT = range(4)
S2MM, MM2S = Direction.S2MM, Direction.MM2S


def port(ports, bundle, number):
    return next(first + number for name, first, _ in ports if name == bundle)


def circuit(switch, column, row, slave, master):
    """Register writes that join a slave to a master port."""
    into, out = port(switch.slaves, *slave), port(switch.masters, *master)
    return {
        address(column, row, switch.slave_base + 4 * into): 1 << 31,
        address(column, row, switch.master_base + 4 * out): 1 << 31 | into,
    }


def bd(number, base, acquire, release):
    words = CORE_BD.encode(
        base_address=base // 4,
        buffer_length=WORDS,
        valid_bd=1,
        lock_acq_enable=1,
        lock_acq_id=acquire,
        lock_acq_value=-1,
        lock_rel_id=release,
        lock_rel_value=1,
        use_next_bd=1,
        next_bd=number,
    )
    first = address(0, 2, CORE_DMA.bd_address(number))
    return {first + 4 * place: int(word) for place, word in enumerate(words)}


def through_a_core(code=False):
    """The shipped passthrough's column with its stream led through core (0,2) instead."""
    north = port(SHIM_SWITCH.masters, "north", 0)
    writes = {
        **{address(0, 0, SHIM_SWITCH.master_base + 4 * (north + n)): 0 for n in range(6)},
        **circuit(SHIM_SWITCH, 0, 0, ("south", 3), ("north", 0)),
        **circuit(MEMTILE_SWITCH, 0, 1, ("south", 0), ("north", 0)),
        **circuit(CORE_SWITCH, 0, 2, ("south", 0), ("dma", 0)),
        **circuit(CORE_SWITCH, 0, 2, ("dma", 0), ("south", 0)),
        **circuit(MEMTILE_SWITCH, 0, 1, ("north", 0), ("south", 0)),
        **circuit(SHIM_SWITCH, 0, 0, ("north", 0), ("south", 2)),
        **bd(0, INPUT, FREE_IN, FULL_IN),
        **bd(1, OUTPUT, FULL_OUT, FREE_OUT),
        address(0, 2, CORE_LOCKS.base + CORE_LOCKS.stride * FREE_IN): 1,
        address(0, 2, CORE_LOCKS.base + CORE_LOCKS.stride * FREE_OUT): 1,
        address(0, 2, CORE_DMA.queue_address(S2MM, 0)): 0,
        address(0, 2, CORE_DMA.queue_address(MM2S, 0)): 1,
    }
    if code:
        writes[address(0, 2, 0x20000)] = 0xDEAD
        writes[address(0, 2, 0x32000)] = 1
    plain = passthrough()
    shim = (plain.addresses >> 20 & 0x1F) == 0
    addresses = np.concatenate([plain.addresses[shim], np.array(list(writes), np.uint32)])
    values = np.concatenate([plain.values[shim], np.array(list(writes.values()), np.uint32)])
    masks = np.concatenate([plain.masks[shim], np.full(len(writes), 0xFFFFFFFF, np.uint32)])
    return Configuration(1, addresses, values, masks)


def add_seven(core):
    while True:
        yield core.acquire(FULL_IN)
        yield core.acquire(FREE_OUT)
        words = core.memory.view(np.uint32)
        words[OUTPUT // 4 :][:WORDS] = words[INPUT // 4 :][:WORDS] + 7
        yield core.wait(100)
        core.release(FREE_IN)
        core.release(FULL_OUT)


def run(model, configuration=None, **options):
    held = buffers(16 * WORDS)
    models = {} if model is None else {(0, 2): model}
    words = stream(copy(16 * WORDS))
    result = simulate(configuration or through_a_core(), words, held, core_models=models, **options)
    return result, held


def test_a_function_stands_in_for_a_core():
    result, (source, target) = run(add_seven)
    assert not result.diagnostics
    np.testing.assert_array_equal(target, source + 7)


def test_a_core_model_takes_its_cycles():
    def slow(core):
        for step in add_seven(core):
            yield core.wait(50_000) if hasattr(step, "cycles") else step

    quick, _ = run(add_seven)
    slower, (source, target) = run(slow)
    assert slower.cycles - quick.cycles > 15 * (50_000 - 100)
    np.testing.assert_array_equal(target, source + 7)


def test_without_a_model_the_run_hangs_and_says_that_the_core_is_missing():
    with pytest.raises(Stalled, match="no core model will"):
        run(None)


def test_code_that_is_not_executed_is_a_warning_unless_a_model_stands_in():
    with pytest.raises(Stalled) as stalled:
        run(None, through_a_core(code=True))
    assert "core-not-executed" in stalled.value.result.met
    result, _ = run(add_seven, through_a_core(code=True))
    assert not result.diagnostics


def test_a_core_model_that_waits_for_ever_is_in_the_graph():
    def stuck(core):
        yield core.acquire(15)

    with pytest.raises(Stalled) as stalled:
        run(stuck)
    waits = {wait.waiter: wait.reason for wait in stalled.value.result.waits}
    assert "lock 15 of core(0,2) >= 1, which is 0" in waits["core model of core(0,2)"]


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (lambda core: None, "is no generator function"),
        (lambda core: iter_of("nonsense"), "yielded 'nonsense'"),
        (lambda core: (core.acquire(99) for _ in range(1)), "has no lock 99"),
        (lambda core: (core.wait(-1) for _ in range(1)), "cannot wait -1 cycles"),
        (lambda core: (core.acquire(0, 0, (3, 3)) for _ in range(1)), "which is no neighbour"),
        (lambda core: (core.acquire(15, 0) for _ in iter(int, 1)), "without any time passing"),
    ],
)
def test_a_wrong_core_model_is_one_sentence(model, message):
    with pytest.raises(SimulationError, match=message):
        run(model)


def iter_of(value):
    yield value


@pytest.mark.parametrize("column", [-1, 1, 9])
def test_a_core_model_outside_the_partition_is_refused(column):
    with pytest.raises(SimulationError, match="is not in this 1-column partition"):
        simulate(
            through_a_core(), stream(copy(WORDS)), buffers(), core_models={(column, 2): add_seven}
        )


def test_only_cores_have_models():
    with pytest.raises(SimulationError, match=r"tile \(0,1\) is no core"):
        simulate(through_a_core(), stream(copy(WORDS)), buffers(), core_models={(0, 1): add_seven})
