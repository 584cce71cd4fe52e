# SPDX-License-Identifier: Apache-2.0
"""What a simulated run tells: time, counts, tasks and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from firmware_sim.array.state import EVENT
from firmware_sim.calibration import Costs
from firmware_sim.diagnostics import WARNINGS, Diagnostic
from firmware_sim.waits import Wait


@dataclass(frozen=True, slots=True)
class Counts:
    """What the controller and the shim DMAs did."""

    ops: int
    """Ops that the firmware executed."""
    bds: int
    """Shim BDs written by the stream or the firmware."""
    pushes: int
    """Task-queue writes, dropped ones included."""
    tokens: int
    """Task-completion tokens consumed by waits."""
    patches: int
    """DDR patches applied."""
    polls: int
    """Register reads by MASKPOLLs."""
    dropped_pushes: int
    """Pushes into a full task queue."""
    bytes_read: int
    """Bytes that shim MM2S channels moved out of DDR."""
    bytes_written: int
    """Bytes that shim S2MM channels moved into DDR."""


TASK = np.dtype(
    [
        ("column", np.int64),
        ("row", np.int64),
        ("direction", np.int64),
        ("channel", np.int64),
        ("started", np.float64),
        ("finished", np.float64),
        ("words", np.int64),
    ]
)
"""One shim task: where it ran, when it entered the channel and when it was done (cycles)."""


@dataclass(frozen=True)
class Result:
    """Outcome of `simulate`."""

    device: str
    profile: str
    firmware: str
    clock_mhz: float
    cycles: int
    """Array cycles from the first op to the end of the last.

    Where a stream ends with a wait, that is when its token has been consumed.
    """
    array_cycles: int
    """Array cycles until the last event in the array."""
    dispatch_base_us: float
    """What a dispatch costs before its first op; not part of `cycles`."""
    counts: Counts
    diagnostics: tuple[Diagnostic, ...]
    """What went wrong, each thing once; a run with very many mistakes keeps the first of them."""
    met: dict[str, int]
    """How often each kind of diagnostic was met, kept or not."""
    tasks: NDArray[np.void] = field(repr=False)
    """Shim tasks of dtype `TASK`, in the order in which they were taken up."""
    wall_s: float = 0.0
    """Wall time of the run itself, data movement included, configuration not."""
    notes: tuple[str, ...] = ()
    """What the firmware image did, in words (rows kept, batches, requests)."""

    start_column: int = 0
    """Physical column at which the partition began."""
    events: NDArray[np.void] = field(default_factory=lambda: np.zeros(0, EVENT), repr=False)
    """Everything that happened (`firmware_sim.array.events`), if a trace was asked for."""
    waits: tuple[Wait, ...] = ()
    """Who waits for whom, in a run that could not end."""
    reads: dict[int, int] = field(default_factory=dict[int, int])
    """What READ_REGS ops read, by address."""
    costs: Costs | None = field(default=None, repr=False)
    """What everything cost, where it was not as shipped for device, profile and clock."""

    @property
    def microseconds(self) -> float:
        """`cycles` at the clock of the run."""
        return self.cycles / self.clock_mhz

    @property
    def ok(self) -> bool:
        """Whether nothing happened that could spoil the data, kept as a diagnostic or not."""
        return WARNINGS.issuperset(self.met)
