# SPDX-License-Identifier: Apache-2.0
"""A machine as calibration sees it: words in, microseconds out.

`Machine` is all that is asked of one. `SimulatedMachine` is the simulator behind what a host adds
to it: a launch, jitter, and runs that the rest of the system disturbed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device
from firmware_sim import Configuration, read_configuration, simulate
from firmware_sim.calibration import Calibration
from firmware_sim.diagnostics import ADDRESS_WINDOW_BITS
from host.calibrate.designs import Design


class Session(Protocol):
    """One design, loaded, with the two host buffers that its streams read and write."""

    @property
    def source(self) -> NDArray[np.uint8]:
        """What is read; the caller fills it before the first run and leaves it alone after."""
        ...

    @property
    def target(self) -> NDArray[np.uint8]:
        """What is written; the caller may read and clear it between runs."""
        ...

    @property
    def address(self) -> int | None:
        """Device address of `source`, for BDs that are not patched; None: not known."""
        ...

    def run(self, words: NDArray[np.uint32], repeats: int) -> NDArray[np.float64]:
        """Wall time of each of `repeats` runs of a stream, launch included, in microseconds."""
        ...


class Machine(Protocol):
    """A machine whose constants are wanted."""

    @property
    def name(self) -> str:
        """What files and reports call it."""
        ...

    @property
    def device(self) -> Device:
        """Which NPU it has."""
        ...

    @property
    def clock_mhz(self) -> float | None:
        """Array clock, where it is known; None: it is to be found."""
        ...

    def open(
        self, design: Design, source_bytes: int, target_bytes: int
    ) -> AbstractContextManager[Session]:
        """Load a design and make its two host buffers."""
        ...


@dataclass(frozen=True, slots=True)
class Noise:
    """What a host adds to the time of a stream; the defaults are of the published order.

    Launches of 108 to 170 us were published for Phoenix, 2 % deviation of whole runs.
    """

    launch_us: float = 120.0
    jitter_us: float = 15.0
    """Deviation of the launch; it is skewed, as waking up is: never much early, sometimes late."""
    relative: float = 0.005
    """Relative deviation of the stream's own time from run to run."""
    late_share: float = 0.02
    """Share of runs that something else delays, by `late_us` in the mean."""
    late_us: float = 200.0

    def times(self, us: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Wall times of runs of which the streams take `us`."""
        count = us.size
        skewed = self.jitter_us / 2 * (rng.chisquare(2, count) - 2)
        late = (rng.random(count) < self.late_share) * rng.exponential(self.late_us, count)
        return self.launch_us + skewed + late + us * (1 + self.relative * rng.normal(size=count))


@dataclass
class SimulatedMachine:
    """The simulator as a machine; its constants may be hidden ones.

    Streams run in strict mode: one that hardware would not forgive is an error.
    """

    device: Device
    calibration: Calibration | None = None
    """None: those that come with the package."""
    profile: str = "central"
    noise: Noise = Noise()
    seed: int = 0
    scatters: int = 0
    """How many seeds of scattered DDR latencies a stream's runs are drawn from; 0: no scatter."""
    name: str = "simulator"
    tells_clock: bool = True
    """Whether its clock is known, as a real NPU's is not."""
    rng: np.random.Generator = field(init=False)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    @property
    def clock_mhz(self) -> float | None:
        """See `Machine`."""
        if not self.tells_clock:
            return None
        known = self.calibration
        return self.device.clock_mhz if known is None else known.reference_clock_mhz

    @contextmanager
    def open(
        self, design: Design, source_bytes: int, target_bytes: int
    ) -> Iterator[SimulatedSession]:
        """See `Machine`."""
        configuration = read_configuration(design.xclbin())
        source, target = np.zeros(source_bytes, np.uint8), np.zeros(target_bytes, np.uint8)
        yield SimulatedSession(self, configuration, source, target)


@dataclass
class SimulatedSession:
    """A design on the simulator; a stream is simulated once, then its runs differ by noise."""

    machine: SimulatedMachine
    configuration: Configuration
    source: NDArray[np.uint8]
    target: NDArray[np.uint8]
    known: dict[bytes, NDArray[np.float64]] = field(default_factory=dict[bytes, "NDArray"])

    @property
    def address(self) -> int:
        """See `Session`."""
        return 1 << ADDRESS_WINDOW_BITS

    def run(self, words: NDArray[np.uint32], repeats: int) -> NDArray[np.float64]:
        """See `Session`."""
        machine, key = self.machine, words.tobytes()
        if key not in self.known:
            seeds = range(1, machine.scatters + 1) if machine.scatters else (None,)
            self.known[key] = np.array([self._microseconds(words, seed) for seed in seeds])
        us = machine.rng.choice(self.known[key], repeats)
        return machine.noise.times(us, machine.rng)

    def _microseconds(self, words: NDArray[np.uint32], jitter_seed: int | None) -> float:
        result = simulate(
            self.configuration,
            words,
            [self.source, self.target],
            device=self.machine.device,
            profile=self.machine.profile,
            strict=True,
            jitter_seed=jitter_seed,
            calibration=self.machine.calibration,
        )
        return result.microseconds
