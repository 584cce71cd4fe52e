# SPDX-License-Identifier: Apache-2.0
"""Load a design: replay its configuration's register writes, then find out what it joined."""

from __future__ import annotations

from dataclasses import dataclass, replace
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from aie2 import cdo, pdi, xclbin
from aie2.devices import Device
from aie2.registers import MEMTILE_BD
from firmware_sim.bd_registers import WORD_BYTES
from firmware_sim.calibration import Costs
from firmware_sim.errors import ConfigurationError
from firmware_sim.mmio import replay
from firmware_sim.routes import Switches, connect
from firmware_sim.state import LINK, NEVER, ROWS_MODELLED, Machine, channel_of, empty, tile_index

XclbinSource = str | PathLike[str] | bytes | xclbin.Xclbin


@dataclass(frozen=True)
class Configuration:
    """A design as the array sees it: register writes, and how many columns they may touch."""

    columns: int
    addresses: NDArray[np.uint32]
    values: NDArray[np.uint32]
    masks: NDArray[np.uint32]
    host_buffers: int | None = None
    """Host buffers that the container declares, if it says."""

    def with_values(self, values: dict[int, int]) -> Configuration:
        """The same writes in the same order, some of them of another value {address: value}.

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

    Raises:
        aie2.errors.FormatError: the container is truncated or malformed.
        ConfigurationError: it holds no PDI, or more than one.
    """
    if isinstance(source, Configuration):
        return source
    container = source if isinstance(source, xclbin.Xclbin) else xclbin.read(source)
    images = container.partition.pdis
    if len(images) != 1:
        raise ConfigurationError(
            f"the xclbin holds {len(images)} PDIs; one design with one PDI can be simulated"
        )
    writes = cdo.register_writes(cdo.read(pdi.read(images[0].image).cdo))
    return Configuration(container.partition.column_width, *writes, container.host_buffers)


def load(configuration: Configuration, device: Device, costs: Costs) -> Machine:
    """A machine that has been configured and waits for its first stream.

    Raises:
        ConfigurationError: more columns than the device has, or routes that cannot be run.
    """
    if configuration.columns > device.columns:
        raise ConfigurationError(
            f"the design is {configuration.columns} columns wide and {device.name} has "
            f"{device.columns}; compile it for fewer columns"
        )
    machine = empty(device, configuration.columns)
    replay(machine, costs, configuration.addresses, configuration.values, configuration.masks)
    routes = connect(machine)
    if not routes:
        raise ConfigurationError("the design joins no two DMA channels; nothing could move")
    machine = machine._replace(links=_links(machine, routes))
    switches = Switches(machine)
    for column in range(configuration.columns):
        machine.token_ids[tile_index(column, 0)] = switches.token_ids(column)
    return machine


def _links(machine: Machine, routes: list[tuple[int, int]]) -> NDArray[np.void]:
    links = np.zeros(len(routes), LINK)
    links["source"], links["sink"] = np.array(routes, np.int64).T
    links["event_at"] = NEVER
    for end, other in (("source", "sink"), ("sink", "source")):
        machine.channels["peer"][links[end]] = links[other]
        machine.channels["link"][links[end]] = np.arange(len(routes))
    return links


def object_bytes(machine: Machine) -> int:
    """Bytes that memtiles take in before they pass them on: the longest receive BD in use."""
    longest = 0
    for sink in machine.links["sink"]:
        column, row, _, _ = channel_of(sink)
        if row == ROWS_MODELLED - 1 and machine.channels["task"][sink] >= 0:
            words = machine.bds[tile_index(column, row), machine.channels["bd"][sink]]
            longest = max(longest, MEMTILE_BD.decode(words)["buffer_length"])
    return longest * WORD_BYTES
