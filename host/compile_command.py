# SPDX-License-Identifier: Apache-2.0
"""`sparsebd compile`: a design by name or an MLIR file to an xclbin and an instruction stream.

The compiler is `iron_designs.compiler`; `host.compile_report` says what it decided, and
`host.compile_bench` compares it with aiecc. Files are written whole or not at all.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from aie2.devices import device as device_named
from host import compile_bench
from host.compile_report import CompileReport, report_of, show
from host.errors import UsageError
from host.outputs import check_writable, write_whole
from host.progress import progress
from iron_designs.compiler import designs, mlir, mlir_reader, routes
from iron_designs.compiler.build import Compiled, compile_design
from iron_designs.dataflow import Dataflow
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import RuntimeSequence
from sparsity import masks

BACKENDS = ("builtin", "aiecc")
XCLBIN, INSTS, REPORT, MLIR = "design.xclbin", "insts.bin", "report.json", "design.mlir"
"""Files of a compiled design."""
SHAPE_OPTIONS = (
    *("device", "columns", "channels", "object_bytes", "depth", "lane_bytes"),
    *("row_bytes", "rows", "wanted", "batch"),
)
"""Options that shape a design by name; an MLIR file has its own shape."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A design and its sequence, ready to compile."""

    name: str
    dataflow: Dataflow
    sequence: RuntimeSequence | None


def compile_command(
    ctx: typer.Context,
    design: Annotated[
        str, typer.Argument(help=f"{', '.join(designs.NAMES)}, or an MLIR file (*.mlir)")
    ] = "passthrough",
    device: Annotated[str, typer.Option(help="npu1 (Phoenix) or npu2 (Strix)")] = "npu1",
    columns: Annotated[int, typer.Option(help="columns of the partition")] = 1,
    channels: Annotated[int, typer.Option(help="lanes of each column")] = 1,
    object_bytes: Annotated[int, typer.Option(help="one fifo object")] = 4096,
    depth: Annotated[int, typer.Option(help="objects that a fifo holds in the memtile")] = 2,
    lane_bytes: Annotated[int, typer.Option(help="what passthrough copies over a lane")] = 65536,
    row_bytes: Annotated[int, typer.Option(help="bytes of a row, for gathers")] = 8192,
    rows: Annotated[int, typer.Option(help="rows of the matrix, for gathers")] = 64,
    wanted: Annotated[
        str, typer.Option(help="rows to gather: all, numbers as in 1,5,9-12, or a mask file")
    ] = "all",
    batch: Annotated[
        int | None, typer.Option(help="most rows of a lane between two waits; default: all safe")
    ] = None,
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for what is made")] = Path("out"),
    backend: Annotated[
        str, typer.Option(help="builtin, or aiecc where it is installed")
    ] = "builtin",
    emit: Annotated[str | None, typer.Option(help="mlir: also write design.mlir")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print the report as JSON")] = False,
    bench: Annotated[
        bool, typer.Option("--bench", help="compare with aiecc: bytes, times, runs on other sizes")
    ] = False,
    golden: Annotated[
        Path, typer.Option(help="folder of designs compiled by aiecc, for --bench")
    ] = compile_bench.GOLDEN,
    quick: Annotated[bool, typer.Option("--quick", help="a small part of --bench")] = False,
) -> None:
    """Compile a data-movement design to an xclbin and an instruction stream, without mlir-aie."""
    if bench:
        _bench(golden, quick=quick, as_json=as_json)
        return
    if quick:
        raise UsageError("--quick goes with --bench: give both")
    if backend not in BACKENDS:
        raise UsageError(f"--backend {backend!r} is not one of {', '.join(BACKENDS)}")
    if emit not in (None, "mlir"):
        raise UsageError(f"--emit {emit!r} is not known: mlir is")
    if Path(design).suffix == ".mlir":
        given = [name for name in SHAPE_OPTIONS if _is_given(ctx, name)]
        if given:
            option = given[0].replace("_", "-")
            raise UsageError(f"--{option} shapes a design by name; {design} has its own shape")
        what = read_mlir(Path(design))
    else:
        shape = designs.Shape(device_named(device), columns, channels, object_bytes, depth)
        gathered = designs.Rows(row_bytes, rows, wanted_rows(wanted, rows), batch)
        what = by_name(design, shape, gathered, lane_bytes)
    files, report = compile_files(what, backend, emit=emit == "mlir")
    _write(out, files, report)
    console = Console()
    if as_json:
        console.out(report.model_dump_json(indent=1), highlight=False)
    else:
        show(report, out, console)


def _is_given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def by_name(name: str, shape: designs.Shape, rows: designs.Rows, lane_bytes: int) -> Wanted:
    """A design that the compiler knows.

    Raises:
        UsageError: there is none of that name.
        DesignError: its sizes make no sense.
    """
    if name == "passthrough":
        made = designs.passthrough(shape, lane_bytes)
    elif name in designs.GATHERS:
        made = designs.GATHERS[name](shape, rows)
    else:
        known = ", ".join(designs.NAMES)
        raise UsageError(f"no design is called {name!r}: give one of {known}, or a .mlir file")
    return Wanted(name, made.dataflow, made.sequence)


def read_mlir(path: Path) -> Wanted:
    """A design from an MLIR file; DesignError, naming the line, if it is outside the subset."""
    try:
        dataflow, sequence = mlir_reader.read(path.read_text(encoding="utf-8"))
    except (DesignError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: {error}") from None
    return Wanted(path.stem, dataflow, sequence)


def wanted_rows(text: str, rows: int) -> tuple[int, ...]:
    """Row numbers from `all`, from numbers and ranges, or from a mask file.

    Raises:
        UsageError: none of these, or a range that runs backwards.
    """
    if text == "all":
        return tuple(range(rows))
    if not re.fullmatch(r"\d+(-\d+)?(,\d+(-\d+)?)*", text):
        return tuple(np.flatnonzero(masks.from_file(text, rows)).tolist())
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        if last and int(last) < int(first):
            raise UsageError(f"--wanted {part} runs backwards: give the smaller row first")
        found += range(int(first), int(last or first) + 1)
    return tuple(found)


def compile_files(
    what: Wanted, backend: str, *, emit: bool
) -> tuple[dict[str, bytes], CompileReport]:
    """Files of a design by name, and the report; nothing is written."""
    routes.load(what.dataflow.columns)
    started = time.perf_counter()
    made: Compiled = compile_design(what.dataflow, what.sequence)
    seconds = time.perf_counter() - started
    text = mlir.emit(what.dataflow, what.sequence)
    xclbin, insts = made.xclbin, made.insts
    if backend == "aiecc":
        xclbin, insts, seconds = compile_bench.by_aiecc(text)
    files = {XCLBIN: xclbin} | ({} if insts is None else {INSTS: insts})
    if emit:
        files[MLIR] = text.encode()
    return files, report_of(what.name, backend, made, files, seconds)


def _write(out: Path, files: dict[str, bytes], report: CompileReport) -> None:
    """Into a folder, which is made if only it is missing."""
    if not out.exists() and out.parent.is_dir():
        out.mkdir()
    paths = {out / name: data for name, data in files.items()}
    paths[out / REPORT] = (report.model_dump_json(indent=1) + "\n").encode()
    check_writable(*paths)
    write_whole(paths)


def _bench(golden: Path, *, quick: bool, as_json: bool) -> None:
    console = Console()
    steps = compile_bench.steps(golden, quick=quick)
    with progress("compiling", steps, Console(stderr=True)) as advance:
        found = compile_bench.run(golden, advance, quick=quick)
    if as_json:
        console.out(found.model_dump_json(indent=1), highlight=False)
    else:
        console.out(compile_bench.markdown(found), highlight=False)
    if not found.is_right:
        raise typer.Exit(1)
