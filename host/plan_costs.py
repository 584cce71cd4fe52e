# SPDX-License-Identifier: Apache-2.0
"""What a planner needs to know of a machine's costs, from the simulator's calibration files."""

from __future__ import annotations

from aie2.devices import device as device_named
from bdgen.costs import Costs
from bdgen.target import WORD_BYTES
from firmware_sim.calibration import CalibrationSource, costs_for


def plan_costs(
    device: str,
    profile: str = "central",
    clock_mhz: float | None = None,
    calibration: CalibrationSource | None = None,
) -> Costs:
    """Costs for `bdgen.planner`, of a device in a profile at a clock, or of a machine's own file.

    Rows go in and out again, so DDR's share is the least of its read limit, its write limit and
    half of both together.

    Raises:
        CalibrationError: an unknown profile, an impossible clock, or a file that cannot be used.
    """
    known, _ = costs_for(device_named(device), profile, clock_mhz, calibration)
    rate = min(known.read_limit, known.write_limit, known.combined_limit / 2)
    return Costs(
        write=known.write,
        block_write_word=known.block_write_word,
        mask_write=known.mask_write,
        patch=known.patch,
        push_busy=known.push_busy,
        push_idle=known.push_idle,
        wait_first=known.wait_first,
        wait_each=known.wait_each,
        task=known.shim_mm2s_task,
        next_bd=known.next_bd,
        word=known.word,
        words_a_cycle=rate / WORD_BYTES,
    )
