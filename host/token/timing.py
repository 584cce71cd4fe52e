# SPDX-License-Identifier: Apache-2.0
"""How long a gather takes, simulated with its data; and what the host adds, measured here.

A gather's time hangs on its mask and the matrix's shape, not on the weights: the three matrices of
a layer share one simulation, and one made-up matrix stands for all layers of a model.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numba
import numpy as np
from numpy.typing import NDArray

from aie2.devices import Device
from bdgen.program import Program
from firmware_sim import PROFILES
from firmware_sim.calibration import costs, provenance
from host.cases import AUTO, make, prepare
from host.errors import UsageError
from host.gathers import plan_gather, simulated, timing
from host.workload import Workload, random_weights
from sparsity.bf16 import to_bf16
from sparsity.predictor.planes import make_planes
from sparsity.predictor.predict import skip
from sparsity.predictor.signs import WORD_BITS, SignBits, words_for

WAYS = (AUTO, "host")
"""How a gather is planned: `auto` takes the dense transfer where that is forecast to be faster."""
PREDICTOR_S = 0.5
"""Time for which predictions are repeated, with all threads and with one."""
PREDICTOR_PASSES = 3
"""How often every layer is predicted at least."""
STREAMED_BYTES = 64 << 20
"""Sign bits that the predictor is timed over: more than caches hold, as a model's layers are."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Time:
    """One gather."""

    us: tuple[float, ...]
    """By profile, in the order of the run."""
    rows: int
    """Rows that were moved; of a dense transfer all."""
    bds: int
    bytes_moved: int


class Gatherer:
    """Simulates gathers of one matrix shape on one machine, each mask once."""

    def __init__(
        self,
        device: Device,
        rows: int,
        row_bytes: int,
        profiles: Sequence[str] = tuple(PROFILES),
        way: str = AUTO,
        columns: int | None = None,
        channels: int = 1,
    ) -> None:
        check_way(way)
        self._other = partial(
            Gatherer,
            *(device, rows),
            profiles=profiles,
            way=way,
            columns=columns,
            channels=channels,
        )
        self._others: dict[int, Gatherer] = {}
        self.profiles = tuple(profiles)
        self.row_bytes = row_bytes
        self._way = way
        self._weights = random_weights(rows, row_bytes, seed=0)
        self._setups = {
            profile: prepare(device, columns, row_bytes, profile=profile, channels=channels)
            for profile in profiles
        }
        self._known: dict[bytes, Time] = {}
        self.submit_us = tuple(
            _submit_us(device, profile, setup.clock) for profile, setup in self._setups.items()
        )
        """A submission's time before its first op, by profile."""
        self.columns = next(iter(self._setups.values())).columns

    def time(self, mask: Mask | None) -> Time:
        """Simulate the gather of a mask, or of all rows; every byte is checked.

        Raises:
            UsageError: data came out wrong.
        """
        key = b"" if mask is None else np.packbits(mask).tobytes()
        if key not in self._known:
            self._known[key] = self._simulate(mask)
        return self._known[key]

    def of_rows(self, row_bytes: int) -> Gatherer:
        """Return the same machine for rows of another length."""
        if row_bytes == self.row_bytes:
            return self
        if row_bytes not in self._others:
            self._others[row_bytes] = self._other(row_bytes)
        return self._others[row_bytes]

    def workload(self, mask: Mask) -> Workload:
        """The matrix with an activation vector that wants these rows."""
        values = to_bf16(mask.astype(np.float32))
        return Workload("", "", self._weights, values, "bf16", mask)

    def plan_us(self, mask: Mask) -> float:
        """How long this machine takes to plan a mask, scan included; quickest of many."""
        setup = next(iter(self._setups.values()))
        return timing(plan_gather(setup, self.workload(mask))).plan_us

    def _simulate(self, mask: Mask | None) -> Time:
        if mask is not None and not mask.any():
            return Time((0.0,) * len(self.profiles), 0, 0, 0)
        work = self.workload(np.ones(len(self._weights), np.bool_) if mask is None else mask)
        took: list[float] = []
        central: Program | None = None
        for profile, setup in self._setups.items():
            made = make(setup, work, self._way)
            run = simulated(setup, work, made, profile)
            if not run.data_ok:
                raise UsageError(f"a gather of {np.count_nonzero(work.wanted)} rows came out wrong")
            took.append(run.us)
            if central is None or profile == "central":
                central = made.program
        assert central is not None, "there is at least one profile"
        return Time(tuple(took), central.rows_moved, central.bds, central.bytes_moved)


def check_way(way: str) -> None:
    """UsageError for a way of planning gathers that is none of `WAYS`."""
    if way not in WAYS:
        raise UsageError(f"--phase {way!r} with --ffn is not one of {', '.join(WAYS)}")


def _submit_us(device: Device, profile: str, clock_mhz: float) -> float:
    """What the calibration says of a dispatch before its first op; its spread is the band."""
    name = "dispatch_base"
    us = getattr(costs(device.name, profile, clock_mhz), name) / clock_mhz
    constant, _ = provenance(device.name)[name]
    if constant.spread is None or not isinstance(constant.value, float) or profile == "central":
        return us
    return us * constant.spread[profile == "high"] / constant.value


def predictor_us(rows: int, width: int, bits: int) -> float:
    """How long this machine takes to predict a layer's mask, its sign bits read from memory.

    Each layer's quickest prediction counts, with all threads or with one as is quicker here:
    threads wait for each other, which on a busy machine takes far longer than the prediction.

    Args:
        rows: of the first matrix.
        width: of a row.
        bits: of the activations.
    """
    random = np.random.default_rng(0)
    words = words_for(width)
    count = max(1, STREAMED_BYTES // (rows * words * (WORD_BITS // 8)))
    every = random.integers(0, 1 << 63, (count, rows, words), np.uint64)
    layers = [SignBits(signs, width) for signs in every]
    x = random.standard_normal(width).astype(np.float32)

    threads = numba.get_num_threads()
    try:
        return min(_predictions_us(layers, x, bits, used) for used in {1, threads})
    finally:
        numba.set_num_threads(threads)


def _predictions_us(
    layers: Sequence[SignBits], x: NDArray[np.float32], bits: int, threads: int
) -> float:
    """Predict layer after layer, again and again; the mean of every layer's quickest time."""
    numba.set_num_threads(threads)
    out = np.empty(layers[0].rows, np.bool_)
    least, passes, end = np.full(len(layers), np.inf), 0, time.perf_counter() + PREDICTOR_S
    while passes < PREDICTOR_PASSES or time.perf_counter() < end:
        for place, signs in enumerate(layers):
            begun = time.perf_counter()
            skip(signs, make_planes(x, bits), out=out)  # every layer has an input of its own
            least[place] = min(least[place], time.perf_counter() - begun)
        passes += 1
    return float(least.mean()) * 1e6
