# SPDX-License-Identifier: Apache-2.0
"""Explain a design, and what a stream does with it, from the register writes alone.

Nothing is run. The facts are in `explain_facts`; `host` prints them. For mistakes see `check`.
"""

from __future__ import annotations

from aie2 import xclbin
from aie2.devices import DEVICES
from firmware_sim.array.configure import Configuration, XclbinSource, read_configuration
from firmware_sim.array.state import ROWS, tile_name
from firmware_sim.check.paths import paths
from firmware_sim.check.registers import Registers, loadable, registers_of
from firmware_sim.check.stream import read_stream
from firmware_sim.explain import facts
from firmware_sim.explain.design import routes, tiles
from firmware_sim.explain.shapes import shapes
from firmware_sim.explain.stream import explain_stream
from firmware_sim.inputs import Insts, stream_of


def explain(source: XclbinSource | Configuration, insts: Insts | None = None) -> facts.Explanation:
    """What a design is and, if `insts` is given, what that stream does.

    Args:
        source: path, bytes or parsed container, or a `Configuration`.
        insts: TXN stream: path, bytes or words.

    Raises:
        aie2.errors.Aie2Error: a malformed container or stream, or a device that is not known.
        SimulationError: the container holds no configuration, or one wider than any device.
    """
    kernels: tuple[str, ...] = ()
    if not isinstance(source, Configuration):
        source = source if isinstance(source, xclbin.Xclbin) else xclbin.read(source)
        kernels = tuple(kernel.name for kernel in source.kernels)
    configuration = read_configuration(source)
    registers = registers_of(configuration)
    found = paths(registers)
    data, tokens = routes(found)
    seen = tiles(registers, found)
    stream = None
    if insts is not None:
        others = loadable(configuration)
        stream = explain_stream(read_stream(stream_of(insts), registers, others))
    return facts.Explanation(
        header=_header(configuration, registers, kernels),
        tiles=seen,
        routes=data,
        token_routes=tokens,
        shapes=shapes(seen, data),
        notes=tuple(_notes(registers, found.steered)),
        stream=stream,
    )


def _header(
    configuration: Configuration, registers: Registers, kernels: tuple[str, ...]
) -> facts.Header:
    return facts.Header(
        columns=configuration.columns,
        start_columns=configuration.start_columns,
        devices=tuple(
            device.name for device in DEVICES.values() if device.columns >= configuration.columns
        ),
        kernels=kernels,
        host_buffers=configuration.host_buffers,
        register_writes=configuration.addresses.size,
        further_configurations=max(len(configuration.others) - 1, 0),
        cores=tuple(tile_name(*divmod(tile, ROWS)) for tile in sorted(registers.cores)),
    )


def _notes(registers: Registers, steered: frozenset[int]) -> list[str]:
    notes: list[str] = []
    if registers.cores:
        notes.append(
            "core code is not executed here: what cores do with locks and data is not known"
        )
    if steered:
        names = ", ".join(tile_name(*divmod(tile, ROWS)) for tile in sorted(steered))
        notes.append(f"control packets can reach the registers of {names} and change all this")
    if registers.unknown:
        some = ", ".join(f"0x{address:x}" for address in registers.unknown[:4])
        notes.append(f"{len(registers.unknown)} registers written are not known here: {some}")
    if registers.outside:
        some = ", ".join(f"0x{address:x}" for address in registers.outside[:4])
        notes.append(f"{len(registers.outside)} addresses are outside the partition: {some}")
    return notes
