# SPDX-License-Identifier: Apache-2.0
"""Streams of `bdgen.planner` on the simulated array: the rows come out, and no rule is broken.

The simulator shares nothing with the planner but the register tables. It names every BD that is
written while it is in use, every full queue and every token that nobody takes.
"""

from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import product

import numpy as np
import pytest

from aie2 import txn
from aie2.devices import device
from aie2.registers import Direction
from bdgen.bitmap import pack
from bdgen.planner import Options, Plan, Planner
from bdgen.target import Matrix, Target
from firmware_sim import PROFILES, Stalled, read_configuration, simulate
from firmware_sim.diagnostics import ADDRESS_WINDOW_BITS
from host.plan_costs import plan_costs
from iron_designs.shipped import Shipped, select

ADDRESSES = (1 << ADDRESS_WINDOW_BITS, 2 << ADDRESS_WINDOW_BITS)
"""Where the simulator has its first two host buffers."""

EFFORTS = ("runs", "fast", "best")
ADDRESSINGS = ("patch", "absolute", "iteration")


@dataclass(frozen=True)
class Gather:
    """A machine, a matrix, a mask and how to plan."""

    name: str = "npu1"
    columns: int = 1
    channels: int = 1
    row_bytes: int = 2048
    rows: int = 300
    density: float = 0.35
    addressing: str = "patch"
    options: Options = field(default_factory=Options)

    @property
    def shipped(self) -> Shipped:
        return select(self.name, self.columns, self.row_bytes, self.channels)

    @property
    def target(self) -> Target:
        shipped = self.shipped
        return Target(
            device(self.name), self.columns, shipped.object_bytes, self.channels, shipped.columns
        )

    @property
    def mask(self) -> np.ndarray:
        return np.random.default_rng(self.rows).random(self.rows) < self.density

    def plan(self) -> Plan:
        addresses = ADDRESSES if self.addressing == "absolute" else None
        options = replace(self.options, addressing=self.addressing, addresses=addresses)
        planner = Planner(self.target, Matrix(self.rows, self.row_bytes), options)
        return planner.plan_bitmap_into(planner.buffer(), pack(self.mask))

    def run(self, words, plan, **how):
        """Simulate words: the result and the output, where what nobody wrote is 0xEE."""
        tail = self.target.object_bytes if plan.padding_bytes else 0
        output = np.full(plan.bytes_moved + tail, 0xEE, np.uint8)
        buffers = [weights(self.rows, self.row_bytes), output]
        result = simulate(configuration(self.shipped), words, buffers, **how)
        return result, output[: plan.bytes_moved].reshape(-1, self.row_bytes)


@lru_cache
def configuration(shipped):
    return read_configuration(shipped.read())


@lru_cache
def weights(rows, row_bytes):
    return np.random.default_rng(row_bytes).integers(0, 256, (rows, row_bytes), np.uint8)


def check(gather, plan, **how):
    """Run a plan; the data and the counts must be those that it states, and no rule broken."""
    result, output = gather.run(plan.words, plan, **how)
    assert result.ok
    assert not result.diagnostics
    rows = plan.rows()
    np.testing.assert_array_equal(np.sort(rows), np.flatnonzero(gather.mask))
    np.testing.assert_array_equal(output, weights(gather.rows, gather.row_bytes)[rows])
    counts = result.counts
    assert (counts.ops, counts.pushes, counts.tokens, counts.patches) == (
        plan.counts.ops,
        plan.counts.pushes,
        plan.counts.tokens,
        plan.counts.patches,
    )
    assert counts.bytes_read == counts.bytes_written == plan.bytes_moved + plan.padding_bytes
    return result


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("addressing", ADDRESSINGS)
@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize(
    ("name", "columns", "channels"), [("npu1", 1, 1), ("npu1", 4, 2), ("npu2", 8, 1)]
)
def test_rows_come_out_in_every_profile(name, columns, channels, effort, addressing, profile):
    """Bytes per lane for several rounds of halves, whatever takes long."""
    options = Options(effort, costs=plan_costs(name, profile))
    rows = 250 * columns * channels
    gather = Gather(name, columns, channels, 1024, rows, addressing=addressing, options=options)
    check(gather, gather.plan(), profile=profile)


MACHINES = [
    *product(["npu1", "npu2"], [1, 4], [1, 2]),
    *product(["npu2"], [8], [1, 2]),
    ("npu2", 3, 1),
]


@pytest.mark.parametrize("row_bytes", [12, 1020, 4124, 5504, 8192])
@pytest.mark.parametrize(("name", "columns", "channels"), MACHINES)
def test_rows_of_every_length_come_out_on_every_machine(name, columns, channels, row_bytes):
    """Rows that divide objects or do not, and rows that no dimension is left to step over."""
    gather = Gather(name, columns, channels, row_bytes, rows=60 * columns * channels)
    check(gather, gather.plan())


@pytest.mark.parametrize("addressing", ADDRESSINGS)
@pytest.mark.parametrize("row_bytes", [4, 4124, 22016])
@pytest.mark.parametrize("effort", EFFORTS)
def test_addressing_suits_rows_of_any_length(addressing, row_bytes, effort):
    """22,016 bytes step at most 190 rows; 4,124 bytes, 1,031 words, are reached one by one."""
    gather = Gather(
        "npu2", row_bytes=row_bytes, rows=200, addressing=addressing, options=Options(effort)
    )
    check(gather, gather.plan())


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("addressing", ADDRESSINGS)
def test_scattered_latencies_change_no_byte(seed, addressing):
    gather = Gather("npu1", 4, 1, 2048, 900, addressing=addressing)
    check(gather, gather.plan(), jitter_seed=seed)


@pytest.mark.parametrize("ramp", [(), (1,), (2, 4), (20, 1, 5)])
@pytest.mark.parametrize("together", [1, 2, 4])
def test_ramps_and_waits_of_any_width(ramp, together):
    gather = Gather("npu1", 4, 2, 1024, 1200, options=Options("runs", ramp=ramp, together=together))
    check(gather, gather.plan())


@pytest.mark.parametrize("density", [0.0, 0.004, 1.0])
@pytest.mark.parametrize("addressing", ADDRESSINGS)
def test_nothing_a_row_and_everything(density, addressing):
    gather = Gather("npu2", 4, 1, 2048, 400, density, addressing)
    plan = gather.plan()
    assert plan.rows_moved in (0, 400) or plan.rows_moved < 4
    check(gather, plan)


@pytest.mark.parametrize("addressing", ADDRESSINGS)
def test_the_simulator_sees_what_happens_without_the_waits(addressing):
    """These checks can fail: with the send tokens not awaited, BDs are written while in use."""
    gather = Gather(row_bytes=8192, rows=400, addressing=addressing, options=Options("runs"))
    plan = gather.plan()
    program = txn.decode(plan.words)
    ops = tuple(
        op for op in program.ops if not (isinstance(op, txn.Tct) and op.direction is Direction.MM2S)
    )
    hasty = np.frombuffer(txn.encode(txn.Program(program.header, ops)), np.uint32)
    try:
        result, output = gather.run(hasty, plan)
    except Stalled as stalled:
        assert stalled.result.diagnostics
        return
    assert not result.ok
    assert not np.array_equal(output, weights(gather.rows, gather.row_bytes)[plan.rows()])
