# SPDX-License-Identifier: Apache-2.0
"""What the compiler decided about a design: for people as a table, for scripts as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel
from rich.console import Console

from aie2 import txn
from aie2.fields import WORD_BYTES
from aie2.xclbin import start_columns
from host.consoles import plain_table
from iron_designs.compiler.build import Compiled
from iron_designs.compiler.configuration import bd_ids


class TileUse(BaseModel):
    """What of a tile a design takes."""

    column: int
    row: int
    kind: str
    buffer_bytes: int
    bds: int
    locks: int
    channels: int


class CompileReport(BaseModel):
    """A compiled design in figures."""

    design: str
    backend: str
    device: str
    target: str
    columns: int
    start_columns: list[int]
    host_buffers: int
    fifos: int
    flows: int
    switch_connections: int
    register_writes: int
    """Operations of the configuration, a block counted once."""
    stream_ops: int | None
    compile_ms: float
    files: dict[str, int]
    """Bytes of every file."""
    tiles: list[TileUse]


def report_of(
    name: str, backend: str, made: Compiled, files: Mapping[str, bytes], seconds: float
) -> CompileReport:
    """The report on a compiled design."""
    insts = made.insts
    return CompileReport(
        design=name,
        backend=backend,
        device=made.design.device.name,
        target=made.design.target,
        columns=made.design.columns,
        start_columns=list(start_columns(made.design.device, made.design.columns)),
        host_buffers=made.host_buffers,
        fifos=len(made.design.fifos),
        flows=len(made.objects.flows),
        switch_connections=sum(len(each) for each in made.routes.values()),
        register_writes=len(made.ops),
        stream_ops=None if insts is None else len(txn.decode(insts).ops),
        compile_ms=seconds * 1e3,
        files={name: len(data) for name, data in files.items()},
        tiles=_tiles(made),
    )


def _tiles(made: Compiled) -> list[TileUse]:
    held, locks = Counter[object](), Counter[object]()
    bds, channels = Counter[object](), Counter[object]()
    for buffer in made.objects.buffers:
        held[buffer.tile] += buffer.words * WORD_BYTES
    for lock in made.objects.locks:
        locks[lock.tile] += 1
    for channel, ids in bd_ids(made.objects.channels).items():
        bds[channel.tile] += len(ids)
        channels[channel.tile] += 1
    for tile, _, _ in made.objects.shim_channels.values():
        channels[tile] += 1
    return [
        TileUse(
            column=tile.column,
            row=tile.row,
            kind=tile.kind.value,
            buffer_bytes=held[tile],
            bds=bds[tile],
            locks=locks[tile],
            channels=channels[tile],
        )
        for tile in sorted(made.design.tiles)
    ]


def show(report: CompileReport, out: Path, console: Console) -> None:
    """Print the report for people."""
    console.print(
        f"{report.design} for {report.target}, by {report.backend} in {report.compile_ms:.1f} ms: "
        f"{report.fifos} fifos, {report.flows} flows over {report.switch_connections} switch "
        f"connections, {report.register_writes} register writes, {report.host_buffers} host "
        f"buffers, start columns {report.start_columns}",
        markup=False,
        highlight=False,
    )
    table = plain_table("tile", "kind", "buffers B", "BDs", "locks", "channels")
    for use in report.tiles:
        figures = (use.buffer_bytes, use.bds, use.locks, use.channels)
        table.add_row(f"({use.column}, {use.row})", use.kind, *(str(figure) for figure in figures))
    console.print(table)
    for name, size in report.files.items():
        console.print(f"wrote {out / name} ({size:,} bytes)", markup=False, highlight=False)
