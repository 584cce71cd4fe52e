# SPDX-License-Identifier: Apache-2.0
"""From an xclbin to a configured machine, by replaying the register writes of its CDO."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from aie2 import cdo, pdi, xclbin
from aie2.devices import Device
from aie2.registers import MEMTILE_BD, MEMTILE_DMA
from aie2.tiles import OWN_MEMORY_OFFSET, TileKind, kind
from firmware_sim.array.bd_registers import WORD_BYTES
from firmware_sim.array.engine import replay
from firmware_sim.array.machine import Machine, blank
from firmware_sim.array.routes import connect
from firmware_sim.array.state import EVENT, channel_of, tile_index
from firmware_sim.calibration import Costs
from firmware_sim.errors import ConfigurationError

TRACE_ROWS = 1 << 16
"""Events that a trace begins with room for."""

XclbinSource = bytes | str | PathLike[str] | xclbin.Xclbin


@dataclass(frozen=True)
class Configuration:
    """What a design writes before its first stream: register writes, in order."""

    columns: int
    addresses: NDArray[np.uint32]
    values: NDArray[np.uint32]
    masks: NDArray[np.uint32]
    host_buffers: int | None = None
    """Host buffers that the xclbin declares, if one was read."""
    start_columns: tuple[int, ...] = ()
    """Physical columns at which the xclbin lets its partition begin."""
    others: dict[int, cdo.Writes] = field(default_factory=dict[int, cdo.Writes])
    """Further configurations that a stream can load, by PDI id."""

    def with_values(self, values: Mapping[int, int]) -> Configuration:
        """The same design with other values in some registers, by address.

        Raises:
            ConfigurationError: an address that the design does not write.
        """
        changed = self.values.copy()
        for address, value in values.items():
            places = self.addresses == address
            if not places.any():
                raise ConfigurationError(f"the design writes nothing to 0x{address:x}")
            changed[places] = value
        return replace(self, values=changed)


def read_configuration(source: XclbinSource | Configuration) -> Configuration:
    """Configuration of an xclbin: AIE_PARTITION -> PDI -> CDO -> register writes.

    Of several PDIs the first is what the design starts with; the stream can load the others.

    Raises:
        aie2.errors.FormatError: the container is truncated or malformed.
        ConfigurationError: it holds no PDI.
    """
    if isinstance(source, Configuration):
        return source
    container = source if isinstance(source, xclbin.Xclbin) else xclbin.read(source)
    partition = container.partition
    if not partition.pdis:
        raise ConfigurationError("the xclbin holds no PDI; compile the design again")
    writes = [cdo.register_writes(cdo.read(pdi.read(each.image).cdo)) for each in partition.pdis]
    return Configuration(
        partition.column_width,
        *writes[0],
        container.host_buffers,
        tuple(partition.start_columns),
        dict(enumerate(writes)),
    )


def load(
    configuration: Configuration, device: Device, costs: Costs, *, trace: bool = False
) -> Machine:
    """A machine that has been configured and waits for its first stream.

    With `trace` it keeps every event, those of the configuration too.

    Raises:
        ConfigurationError: more columns than the device has, or routes beyond what there is room
            for.
    """
    machine = blank(device, configuration.columns, costs)
    if trace:
        machine.keep("events", np.zeros(TRACE_ROWS, EVENT))
    writes = configuration.addresses, configuration.values, configuration.masks
    replay(machine.record, *writes, 0.0)
    connect(machine)
    return machine


def object_bytes(machine: Machine) -> int:
    """Bytes that memtiles take in before they pass them on: the longest receive BD in use."""
    longest = 0
    channels = machine.channels
    for sink in np.flatnonzero((channels["fed"] != 0) & (channels["task"] >= 0)):
        column, row, _, _ = channel_of(int(sink))
        if kind(row) is TileKind.MEMTILE:
            words = machine.record["bds"][0][tile_index(column, row), channels["bd"][sink]]
            longest = max(longest, MEMTILE_BD.decode(words)["buffer_length"])
    return longest * WORD_BYTES


def memtile_buffers(machine: Machine, column: int, row: int) -> list[tuple[int, int]]:
    """Byte spans (first, end) of a memtile's own memory that its configured BDs move."""
    spans: list[tuple[int, int]] = []
    for number in range(MEMTILE_DMA.bd_count):
        bd = machine.bd(tile_index(column, row), number)
        if bd["valid_bd"]:
            first = bd["base_address"] * WORD_BYTES - OWN_MEMORY_OFFSET
            spans.append((first, first + bd["buffer_length"] * WORD_BYTES))
    return spans
