# SPDX-License-Identifier: Apache-2.0
"""Which benchmarks there are, which constant each isolates, and which constants none can.

One table says it to the code, the file that is written and the documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from host.calibrate import data_benches as data
from host.calibrate import op_benches as ops
from host.calibrate.setting import Point, Setting

BENCHES: tuple[Callable[[Setting], Iterator[Point]], ...] = (
    ops.floor,
    ops.plain("writes", lambda tape: tape.writes(1)),
    ops.plain("mask writes", lambda tape: tape.mask_writes(1)),
    ops.plain("patches", lambda tape: tape.patches(1)),
    ops.plain("polls", lambda tape: tape.polls(1)),
    ops.blocks,
    ops.waits,
    ops.tokens,
    ops.pushes,
    ops.busy_pushes,
    ops.new_bds,
    ops.columns,
    data.sends,
    data.receives,
    data.long_copies,
    data.chains,
)
"""Every benchmark whose time is a sum of constants; `rate_benches` has the others."""

ISOLATED_BY: dict[str, str] = {
    "write": "plain writes of one register, up to thousands",
    "block_write_word": "block writes of 8 to 128 words",
    "mask_write": "mask writes of one register",
    "patch": "DDR patches alone, and before a push",
    "push_busy": "0 to 4 pushes behind a stalled task",
    "push_idle": "pushes to dry channels, in several proportions to waits, over 1 to all columns",
    "wait_first": "1 to 64 waits against streams without any",
    "wait_each": "1 to 64 waits, one or two tokens a round",
    "poll": "polls that hold at once",
    "shim_mm2s_task": "round trips whose send is waited for, against hidden ones",
    "shim_mm2s_cold": "one such round trip a dispatch on every channel, against many",
    "shim_mm2s_cold_decay": "the same: what the later tasks of a dispatch still take longer",
    "shim_s2mm_task": "receives of what waits in the fifo already",
    "next_bd": "chains of 1 to 15 BDs that send the same bytes",
    "word": "single transfers of up to tens of megabytes",
    "lock_handoff": "the same with objects of 1 KiB and of 4 KiB",
    "read_limit": "reads alone, over 1 lane to all",
    "write_limit": "writes alone, over 1 lane to all",
    "combined_limit": "copies over 1 lane to all",
    "column_limit": "two channels of one column, reading, against one",
}
"""How each constant is measured."""

_NATIVE = "stock firmware, which every machine runs, never does this by itself"
KEPT: dict[str, str] = {
    "other_op": "no stream of ours holds such an op",
    "native_bd": _NATIVE,
    "native_patch": _NATIVE,
    "native_push": _NATIVE,
    "native_wait": _NATIVE,
    "native_poll": _NATIVE,
    "native_mask_write": _NATIVE,
    "walk": _NATIVE,
    "l2_read": _NATIVE,
    "test_row": _NATIVE,
    "shim_s2mm_first_floor": "shows once a channel and dispatch, in receives shorter than an "
    "object: tenths of a microsecond under the jitter of a launch",
    "dispatch_base": "in every wall time, and not to be told from the host's part of a launch",
    "latency_deviation": "scatter of single transfers drowns in the jitter of launches",
}
"""Constants that wall times cannot tell, and why; they stay as they are shipped."""


def points(at: Setting) -> list[Point]:
    """Every point of every benchmark."""
    return [point for bench in BENCHES for point in bench(at)]
