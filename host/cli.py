# SPDX-License-Identifier: Apache-2.0
"""The command line, `sparsebd`: bad input is one sentence on stderr and exit status 2."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from aie2 import disasm as disassembly
from aie2 import txn
from bdgen.bitmap import popcount
from bdgen.runs import runs
from bdgen.scan import ElementName
from bdgen.scan import scan as scan_vector
from host import run as runner
from host import seed as seeds
from host import sweeps
from host.report import plot, show, write_whole
from sparsity.masks import read_vector

app = typer.Typer(
    help="Skip the weight rows that a sparse activation vector does not need, on AMD's AIE2 NPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)


@contextmanager
def _progress(title: str, steps: int) -> Iterator[Callable[[], None]]:
    """A progress bar on stderr; yields what to call after each step."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeElapsedColumn(), console=err, transient=True) as progress:
        bar = progress.add_task(title, total=steps)
        yield lambda: progress.advance(bar)


@app.callback()
def _commands() -> None:
    """sparsebd: an NPU dataflow compiler and firmware simulator."""


@app.command()
def run(
    device: Annotated[str, typer.Option(help="npu1 (Phoenix) or npu2 (Strix)")] = "npu1",
    model: Annotated[
        str | None, typer.Option(help="shape by name, e.g. use-lite, relullama-7b")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="rows of the matrix, with --row-bytes")] = None,
    row_bytes: Annotated[int | None, typer.Option(help="bytes of a row, a multiple of 4")] = None,
    mask: Annotated[
        str | None, typer.Option(help="model, random, alternating, contiguous, or a file")
    ] = None,
    sparsity: Annotated[float | None, typer.Option(help="share of rows not wanted, 0 to 1")] = None,
    phase: Annotated[
        str, typer.Option(help="all, or some of dense,phase0,phase1,phase2,host")
    ] = "all",
    columns: Annotated[int | None, typer.Option(help="columns used; default: all")] = None,
    channels: Annotated[int, typer.Option(help="shim channels per column and direction")] = 1,
    profile: Annotated[
        str, typer.Option(help="low, central, high, or band (central with band)")
    ] = "band",
    queue_guard: Annotated[
        str, typer.Option(help="wait (a token every 4 pushes) or poll (MASKPOLL before a push)")
    ] = "wait",
    clock_mhz: Annotated[
        float | None, typer.Option(help="array clock; default: the device's")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of random masks and weights")] = 0,
    layer: Annotated[int, typer.Option(help="layer of the captured model")] = 0,
    token: Annotated[int, typer.Option(help="token of the captured model")] = 0,
    sweep: Annotated[bool, typer.Option(help="also sweep random masks, for the plot")] = True,
    json_file: Annotated[Path, typer.Option("--json", help="where the JSON goes")] = Path(
        "out/run.json"
    ),
    plot_file: Annotated[Path, typer.Option("--plot", help="where the plot (PNG) goes")] = Path(
        "out/run.png"
    ),
) -> None:
    """Gather the wanted rows on a simulated NPU in all modes, check every byte, show the time."""
    options = runner.Options(
        device=device,
        model=model,
        rows=rows,
        row_bytes=row_bytes,
        mask=mask,
        sparsity=sparsity,
        phase=phase,
        columns=columns,
        channels=channels,
        profile=profile,
        guard=queue_guard,
        clock_mhz=clock_mhz,
        seed=seed,
        layer=layer,
        token=token,
        sweep=sweep,
    )
    with _progress(
        "simulating (the first run ever also compiles, about half a minute)", runner.steps(options)
    ) as advance:
        report = runner.run(options, advance)
    show(report, out)
    for path in (json_file, plot_file):
        if path.parent == Path("out"):
            path.parent.mkdir(exist_ok=True)
    write_whole(json_file, (report.model_dump_json(indent=1) + "\n").encode())
    write_whole(plot_file, plot(report))
    out.print(f"wrote {json_file} and {plot_file}")
    if not all(case.data_ok for case in (*report.cases, *report.sweep)):
        err.print("error: data came out wrong; see the table")
        raise typer.Exit(1)


@app.command()
def disasm(
    insts: Annotated[Path, typer.Argument(help="instruction stream (insts.bin)")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print an instruction stream (TXN) op by op."""
    program = txn.decode(insts.read_bytes())
    if as_json:
        sys.stdout.write(json.dumps(disassembly.to_json(program), indent=1) + "\n")
    else:
        sys.stdout.write("\n".join(disassembly.lines(program)) + "\n")


@app.command()
def scan(
    activations: Annotated[Path, typer.Argument(help=".npy or .npz with one activation vector")],
    threshold: Annotated[float, typer.Option(help="smallest magnitude that counts")] = 0.0,
    dtype: Annotated[
        str | None, typer.Option(help="bf16 or fp16 where the file holds uint16, int4 for uint8")
    ] = None,
) -> None:
    """Scan an activation vector into a row bitmap and say what it would cost to load its rows."""
    vector = read_vector(activations)
    bitmap = scan_vector(vector, dtype=cast(ElementName | None, dtype), threshold=threshold)
    rows = vector.size * (2 if dtype == "int4" else 1)
    wanted = popcount(bitmap)
    starts, _ = runs(bitmap, rows)
    sparsity = 1 - wanted / rows if rows else 0.0
    out.print(
        f"{rows} activations, {wanted} wanted ({100 * sparsity:.2f} % sparse), "
        f"{starts.size} runs; bitmap {bitmap.nbytes} bytes"
    )


@app.command()
def seed(
    device: Annotated[str, typer.Option(help="npu1 (Phoenix) or npu2 (Strix)")] = "npu1",
    model: Annotated[str, typer.Option(help="shape by name")] = "relullama-7b",
) -> None:
    """Compare the model with the seed's claims about phases 0, 1 and 2 (Markdown)."""
    with _progress("simulating", len(seeds.STEPS) * len(seeds.MODES)) as advance:
        found = seeds.compare(model, device, advance)
    sys.stdout.write(seeds.markdown(found))


@app.command()
def calibration(
    profile: Annotated[str, typer.Option(help="low, central or high")] = "central",
) -> None:
    """Simulate the published Phoenix micro-benchmarks: measured, simulated, error (Markdown)."""
    sys.stdout.write(sweeps.markdown(profile))


def main() -> None:
    """Entry point: every error that a user can cause becomes one sentence on stderr."""
    try:
        app()
    except (ValueError, OSError, RuntimeError, np.exceptions.AxisError) as error:
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        if isinstance(error, OSError) and error.filename:
            text = f"{error.filename}: {error.strerror}"
        err.print(f"error: {text}", markup=False, soft_wrap=True)
        raise SystemExit(2) from None
