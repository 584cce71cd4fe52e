# SPDX-License-Identifier: Apache-2.0
"""A design, or MLIR, to an xclbin and an instruction stream, in memory.

The last step of the compiler: what `objects`, `memory`, `routes`, `configuration` and `sequence`
make, wrapped by `aie2`'s writers of CDO, PDI and xclbin.
"""

from __future__ import annotations

from dataclasses import dataclass

from aie2 import cdo, pdi, xclbin
from aie2.xclbin import LEAST_HOST_BUFFERS, MOST_HOST_BUFFERS
from iron_designs.compiler import configuration, memory, objects, routes
from iron_designs.compiler.parts import Buffer, Objects
from iron_designs.compiler.sequence import assemble
from iron_designs.compiler.switches import Routes
from iron_designs.compiler.writes import Block, Op
from iron_designs.dataflow import Dataflow
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import RuntimeSequence


@dataclass(frozen=True)
class Compiled:
    """A compiled design: the files, and what was decided on the way."""

    design: Dataflow
    sequence: RuntimeSequence | None
    objects: Objects
    addresses: dict[Buffer, int]
    """Byte address of each buffer in its tile."""
    routes: Routes
    ops: tuple[Op, ...]
    """Register writes, in order."""
    cdo_elfs: bytes
    cdo_init: bytes
    cdo_enable: bytes
    pdi: bytes
    xclbin: bytes
    insts: bytes | None
    host_buffers: int
    """Buffers that the xclbin declares."""


def compile_design(
    design: Dataflow,
    sequence: RuntimeSequence | None = None,
    *,
    host_buffers: int | None = None,
    fold: bool = True,
) -> Compiled:
    """Compile a design and, if given, the sequence that runs on it.

    Args:
        design: What is to be placed and routed.
        sequence: What the host asks of the shims.
        host_buffers: Buffers to declare; by default the sequence's, and at least 5.
        fold: As `sequence.assemble`.

    Raises:
        DesignError: anything that the array, its switches or the formats cannot hold.
    """
    lowered = objects.lower(design)
    addresses = memory.place(lowered.buffers, design.device)
    paths = routes.route(lowered.flows, design.columns)
    ops = configuration.configure(design, lowered, addresses, paths)
    elfs, init, enable = cdo.file(()), cdo.file(_plain(ops)), cdo.file(())
    image = pdi.wrap(cdo.merge((elfs, init, enable)))
    stream = None
    if sequence is not None:
        channels = lowered.shim_channels
        stream = assemble(sequence, channels, design.device, design.columns, fold=fold)
    buffers = _host_buffers(sequence, host_buffers)
    return Compiled(
        design=design,
        sequence=sequence,
        objects=lowered,
        addresses=addresses,
        routes=paths,
        ops=tuple(ops),
        cdo_elfs=elfs,
        cdo_init=init,
        cdo_enable=enable,
        pdi=image,
        xclbin=xclbin.build(
            image,
            column_width=design.columns,
            start_columns=xclbin.start_columns(design.device, design.columns),
            host_buffers=buffers,
        ),
        insts=stream,
        host_buffers=buffers,
    )


def _host_buffers(sequence: RuntimeSequence | None, asked: int | None) -> int:
    used = 0 if sequence is None else len(sequence.arguments)
    declared = max(LEAST_HOST_BUFFERS, used) if asked is None else asked
    if not LEAST_HOST_BUFFERS <= declared <= MOST_HOST_BUFFERS:
        raise DesignError(
            f"{declared} host buffers: an xclbin declares {LEAST_HOST_BUFFERS} to "
            f"{MOST_HOST_BUFFERS}, put several matrices into one buffer"
        )
    return declared


def _plain(ops: list[Op]) -> list[tuple[str, int, tuple[int, ...]]]:
    """Register writes as `aie2.cdo.file` takes them."""
    return [
        ("block", op.address, op.words)
        if isinstance(op, Block)
        else ("write", op.address, (op.value,))
        if op.mask is None
        else ("mask_write", op.address, (op.mask, op.value))
        for op in ops
    ]
