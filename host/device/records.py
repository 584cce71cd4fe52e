# SPDX-License-Identifier: Apache-2.0
"""What a run tells: how it ended, and where the time went."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from firmware_sim.result import Result


@dataclass(frozen=True)
class Record:
    """Outcome of `Design.run`. Times are wall times of this process unless they say otherwise."""

    backend: str
    state: str
    """State of the last run, as XRT calls it: COMPLETED."""
    cold_us: float
    """The first run after the design was loaded or had to be loaded anew; NaN if there was none."""
    warm_us: tuple[float, ...]
    """Each run that counts: submission to its noticed end, syncs left out."""
    submit_us: tuple[float, ...]
    """Of each of these, until the command was handed over."""
    device_us: tuple[float, ...] = ()
    """Of each, the device's own time; only the simulator knows it, without the dispatch."""
    cycles: int | None = None
    """Array cycles of the last run; only the simulator knows them."""
    result: Result | None = None
    """All that the simulator has to say of the last run."""

    @property
    def us(self) -> float:
        """The time that counts: the device's where it is known, else the median of warm runs."""
        return self.device_us[-1] if self.device_us else self.p50_us

    @property
    def p50_us(self) -> float:
        """Median of the warm runs."""
        return self._share(50)

    @property
    def p99_us(self) -> float:
        """The warm run that all but one in a hundred beat."""
        return self._share(99)

    def _share(self, percent: float) -> float:
        times: Any = self.warm_us or (self.cold_us,)
        return float(np.percentile(times, percent))
