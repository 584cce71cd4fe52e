# SPDX-License-Identifier: Apache-2.0
"""The micro-benchmarks' streams: safe on silicon, and their time is the sum that they state."""

import numpy as np
import pytest
from hidden_machines import hidden_calibration, true_terms

from aie2 import txn
from aie2.devices import NPU1, NPU2, device
from aie2.dma_registers import SHIM_DMA, SHIM_QUEUE, Direction
from aie2.tiles import split
from firmware_sim import read_configuration, simulate
from firmware_sim.calibration import Costs
from firmware_sim.check import check
from firmware_sim.diagnostics import ADDRESS_WINDOW_BITS
from host.calibrate.catalog import ISOLATED_BY, KEPT, points
from host.calibrate.designs import design
from host.calibrate.proof import gathers
from host.calibrate.rate_benches import transfers
from host.calibrate.setting import COLD_REST, MOST_BYTES, Setting

SPAN_US = 150.0
"""Short sweeps: what is wrong with a body shows in few of them."""
QUEUES = {
    SHIM_DMA.queue_address(direction, channel): (direction, channel)
    for direction in Direction
    for channel in (0, 1)
}
SETTINGS = [Setting(npu, SPAN_US, absolute=True) for npu in (NPU1, NPU2)]
NAMES = [at.npu.name for at in SETTINGS]


def moved(at):
    """Points of the bandwidths."""
    return [each for one in transfers(at, quick=True) for each in (one.shorter, one.longer)]


def everything(at):
    """Every point there is."""
    return [*points(at), *moved(at), *gathers(at, quick=True)]


def run(point, calibration=None):
    """Simulate a point strictly, on random bytes; the data must be right."""
    rng = np.random.default_rng(1)
    source = rng.integers(0, 256, max(4, point.payload.source_bytes), np.uint8)
    target = np.zeros(max(4, point.payload.target_bytes), np.uint8)
    words = point.at_address(1 << ADDRESS_WINDOW_BITS) if point.absolute else point.words
    configuration = read_configuration(point.design.xclbin())
    result = simulate(configuration, words, [source, target], strict=True, calibration=calibration)
    assert point.payload.right(source, target), point.bench
    return result


@pytest.mark.parametrize("at", SETTINGS, ids=NAMES)
def test_every_stream_runs_strictly_and_brings_its_data(at):
    for point in [*moved(at), *gathers(at, quick=True)]:
        assert run(point).diagnostics == (), point.bench


@pytest.mark.parametrize("at", SETTINGS, ids=NAMES)
def test_no_stream_has_a_mistake_that_needs_no_execution(at):
    """A BD that holds a device address looks unpatched to who does not know the address."""
    for point in everything(at):
        kinds = {finding.kind for finding in check(point.design.xclbin(), point.words)}
        assert kinds <= ({"bad-address"} if point.absolute else set()), (point.bench, kinds)


@pytest.mark.parametrize("at", SETTINGS, ids=NAMES)
def test_no_channel_ever_has_more_than_a_task_and_a_full_queue(at):
    """Counted from the words alone: pushes to a channel since the last wait for its column."""
    for point in everything(at):
        unawaited = {}
        for op in txn.decode(point.words).ops:
            if isinstance(op, txn.Write) and split(op.address).offset in QUEUES:
                key = split(op.address).column, *QUEUES[split(op.address).offset]
                unawaited[key] = unawaited.get(key, 0) + 1
                assert unawaited[key] <= at.npu.queue_depth + 1, point.bench
            if isinstance(op, txn.Tct):
                for column in range(op.column, op.column + op.columns):
                    for direction in Direction:
                        unawaited[column, direction, op.channel] = 0


@pytest.mark.parametrize("at", SETTINGS, ids=NAMES)
def test_every_token_is_awaited_and_every_stream_that_pushes_ends_with_a_wait(at):
    for point in everything(at):
        ops = txn.decode(point.words).ops
        pushed = [
            SHIM_QUEUE.decode([op.value])["enable_token_issue"]
            for op in ops
            if isinstance(op, txn.Write) and split(op.address).offset in QUEUES
        ]
        awaited = sum(op.columns for op in ops if isinstance(op, txn.Tct))
        assert sum(pushed) == awaited, point.bench
        assert not pushed or isinstance(ops[-1], txn.Tct), point.bench


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("at", SETTINGS, ids=NAMES)
def test_the_time_of_a_stream_is_the_sum_that_it_states(at, seed):
    """Whatever the constants: so the fit sees what the simulator does, and nothing else."""
    hidden = hidden_calibration(at.npu.name, seed)
    cost = true_terms(hidden)
    for point in points(at):
        stated = sum(cost[name] * count for name, count in point.terms.items())
        result = run(point, hidden)
        assert result.diagnostics == ()
        assert result.cycles == pytest.approx(stated, abs=2.5), (point.bench, point.size)


def test_streams_are_no_longer_than_they_may_be_and_sweeps_are_sweeps():
    at = Setting(NPU1)
    found = points(at)
    assert max(point.words.nbytes for point in found) <= 1.1 * MOST_BYTES
    sizes = {}
    for point in found:
        sizes.setdefault((point.bench, point.design), set()).add(point.size)
    alone = {bench for (bench, _), size in sizes.items() if len(size) == 1}
    assert alone == {"dispatch floor", "sends, cold"}


def test_every_constant_is_isolated_or_says_why_it_cannot_be():
    assert not ISOLATED_BY.keys() & KEPT.keys()
    assert ISOLATED_BY.keys() | KEPT.keys() == set(Costs._fields)
    summed = {name for point in points(Setting(NPU1, SPAN_US)) for name in point.terms}
    limits = {name for name in ISOLATED_BY if name.endswith("_limit")}
    assert summed == set(ISOLATED_BY) - limits - {"shim_mm2s_cold_decay"} | {COLD_REST}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("moves", ["read", "write"])
def test_freed_designs_differ_from_the_passthrough_in_the_locks_of_one_direction_alone(name, moves):
    columns = device(name).columns
    freed = design(name, columns, 2, 4096, moves)
    whole = read_configuration(freed.shipped.read())
    found = read_configuration(freed.xclbin())
    assert np.array_equal(whole.addresses, found.addresses)
    assert found.start_columns == whole.start_columns
    assert np.count_nonzero(whole.values != found.values) == 2 * len(freed.lanes)
