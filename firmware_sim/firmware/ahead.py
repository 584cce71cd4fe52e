# SPDX-License-Identifier: Apache-2.0
"""When an image that scans ahead may carry out each of its ops: after it has read enough rows.

`Phase2(overlap=True)` makes the ops; here each of them learns how much of the scan must be over
before it. The controller does the rest of the scan while it waits
(`firmware_sim.array.controller`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.request import Request
from bdgen.rounds import stream_order
from bdgen.scan import ELEMENTS
from bdgen.schedule import Batches, Ints, Transfers
from firmware_sim.calibration import Costs
from firmware_sim.firmware.script import Script
from firmware_sim.firmware.stream import Role, read_batches


class Scan(NamedTuple):
    """What a scan costs: reads of so many bytes, each followed by tests of what it brought."""

    slice_rows: int
    """Activations that a read brings."""
    slice_cycles: float
    """Cycles of a read and its tests."""
    cycles: float
    """Cycles of the whole scan; its last read may bring less."""

    def until(self, row: Ints) -> NDArray[np.float64]:
        """Cycles of scanning after which each `row` is known to be wanted or not."""
        return np.minimum((row // self.slice_rows + 1) * self.slice_cycles, self.cycles)


def scan_of(request: Request, costs: Costs, read_bytes: int) -> Scan:
    """What the scan that a request asks for costs, in reads of `read_bytes`."""
    slice_rows = read_bytes * 8 // ELEMENTS[request.dtype].bits
    reads = -(-request.count // slice_rows)
    return Scan(
        slice_rows,
        costs.l2_read + slice_rows * costs.test_row,
        reads * costs.l2_read + request.count * costs.test_row,
    )


def last_looked_at(
    rows: Ints, transfers: Transfers, batches: Batches, sends: int, count: int
) -> Ints:
    """Row, of `count`, up to which the vector must be known before each batch can be made.

    For `rows` dealt in order, one transfer each. How many a batch takes depends on whether its lane
    has `sends` more, which is what its BDs allow; so it has to be made after that many are found,
    or after all of the vector. One entry per batch, in the order of the stream.
    """
    lanes = len(batches.lane_starts) - 1
    lane = np.repeat(np.arange(lanes), np.diff(batches.lane_starts))
    in_lane = batches.first - transfers.lane_starts[lane] + sends - 1
    wanted = np.minimum(lane + lanes * in_lane, rows.size)
    return np.append(rows, count - 1)[wanted][stream_order(batches)]


def scan_ahead(script: Script, scan: Scan, looked_at: Ints) -> Script:
    """The same ops, the scan spread over them: a batch's come after the rows that it looks at.

    What is left of the scan when the last batch is under way is done before its token is awaited.
    """
    if not script.ops.size:
        return replace(script, tail_cycles=script.tail_cycles + scan.cycles)
    role = read_batches(script.words).role
    scanned = np.zeros(role.size)
    scanned[role == Role.RECEIVE_BD] = scan.until(looked_at)
    scanned[np.flatnonzero(role != Role.WAIT)[-1] + 1 :] = scan.cycles
    ops = script.ops.copy()
    ops["work_left"] = scan.cycles - np.maximum.accumulate(scanned)
    return replace(script, ops=ops, work_cycles=scan.cycles, work_slice=scan.slice_cycles)
