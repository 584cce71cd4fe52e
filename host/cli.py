# SPDX-License-Identifier: Apache-2.0
"""The command line, `sparsebd`: bad input is one sentence on stderr and exit status 2."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, cast

import typer
from rich.console import Console

from aie2 import disasm as disassembly
from aie2 import txn
from aie2.errors import Aie2Error
from bdgen.bitmap import popcount
from bdgen.errors import PlanError
from bdgen.runs import runs
from bdgen.scan import ElementName
from bdgen.scan import scan as scan_vector
from firmware_sim.errors import SimulationError
from host import accuracy, sweeps
from host import run as runner
from host import seed as seeds
from host.calibrate.command import calibrate_command
from host.cases import AUTO
from host.check_command import check
from host.compile_command import compile_command
from host.device import Device, open_device
from host.doctor.command import doctor
from host.errors import UsageError
from host.explain_command import explain
from host.outputs import check_writable, write_whole
from host.permute_command import permute
from host.plan_command import plan
from host.plots import check_plot, rendered
from host.progress import progress
from host.report import draw, show
from host.sim_command import sim
from host.sparsity_app import sparsity
from host.token import command as token_command
from host.token import show as token_show
from iron_designs.errors import DesignError
from sparsity.errors import SparsityError
from sparsity.masks import read_vector

OUT = Path("out")
"""Folder of results that nobody named a place for; made where it is missing."""

USER_ERRORS = (
    *(Aie2Error, PlanError, SimulationError, SparsityError, DesignError, UsageError),
    *(OSError, MemoryError),
)
"""What input can cause; anything else is a mistake of ours and ends in a traceback."""

BAD_INPUT, INTERRUPTED = 2, 130
"""Exit statuses, besides 0 and 1 for data that came out wrong."""

app = typer.Typer(
    help="Skip the weight rows that a sparse activation vector does not need, on AMD's AIE2 NPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
out, err = Console(), Console(stderr=True)


@app.callback()
def _commands() -> None:
    """sparsebd: an NPU dataflow compiler and firmware simulator."""


@app.command()
def run(
    device: Annotated[
        str | None,
        typer.Option(help="npu1 (Phoenix) or npu2 (Strix); default: npu1, or what the NPU is"),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="sim, xrt (this machine's NPU), auto (the NPU if there is one)")
    ] = "sim",
    model: Annotated[
        str | None, typer.Option(help="shape by name, e.g. use-lite, relullama-7b")
    ] = None,
    rows: Annotated[int | None, typer.Option(help="rows of the matrix, with --row-bytes")] = None,
    row_bytes: Annotated[int | None, typer.Option(help="bytes of a row, a multiple of 4")] = None,
    mask: Annotated[
        str | None, typer.Option(help="model, random, alternating, contiguous, or a file")
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(help="share of rows not wanted, 0 to 1; default: as published, else 0.9"),
    ] = None,
    phase: Annotated[
        str, typer.Option(help="all, or some of dense,phase0,phase1,phase2,host,auto")
    ] = "all",
    columns: Annotated[int | None, typer.Option(help="columns used; default: all")] = None,
    channels: Annotated[int, typer.Option(help="shim channels per column and direction")] = 1,
    profile: Annotated[
        str, typer.Option(help="low, central, high, or band (central with band)")
    ] = "band",
    queue_guard: Annotated[
        str, typer.Option(help="wait (a token every 4 pushes) or poll (MASKPOLL before a push)")
    ] = "wait",
    phase2_scan: Annotated[
        str, typer.Option(help="whole (before the first BD) or ahead (while batches move)")
    ] = "whole",
    effort: Annotated[str, typer.Option(help="how host packs rows: runs, fast, best")] = "fast",
    addressing: Annotated[
        str, typer.Option(help="of host's BDs: patch, absolute, iteration")
    ] = "patch",
    clock_mhz: Annotated[
        float | None, typer.Option(help="array clock; default: the device's")
    ] = None,
    seed: Annotated[int, typer.Option(help="seed of random masks and weights")] = 0,
    layer: Annotated[
        int | None,
        typer.Option(help="layer whose activations or published sparsity are meant; default: 0"),
    ] = None,
    token: Annotated[
        int | None, typer.Option(help="token of the real activations; default: 0")
    ] = None,
    sweep: Annotated[bool, typer.Option(help="also sweep random masks, for the plot")] = True,
    ffn: Annotated[
        str | None,
        typer.Option(
            help="gate, up and down of a whole token: all layers, or the number of one; by every "
            "source of masks. --model may also be one that runs: smollm2, piper, FILE.gguf"
        ),
    ] = None,
    json_file: Annotated[Path, typer.Option("--json", help="where the JSON goes")] = (
        OUT / "run.json"
    ),
    plot_file: Annotated[
        Path, typer.Option("--plot", help="where the plot goes, .png, .svg or .pdf")
    ] = (OUT / "run.png"),
) -> None:
    """Gather the wanted rows, simulated or on an NPU, check every byte, show the time."""
    if ffn is not None:
        for name, given in (
            ("--mask", mask is not None),
            ("--rows", rows is not None),
            ("--row-bytes", row_bytes is not None),
            ("--layer", layer is not None),
            ("--clock-mhz", clock_mhz is not None),
            ("--queue-guard", queue_guard != "wait"),
            ("--phase2-scan", phase2_scan != "whole"),
            ("--effort", effort != "fast"),
            ("--addressing", addressing != "patch"),
            ("--no-sweep", not sweep),
        ):
            if given:
                raise UsageError(f"{name} is of a single gather: leave it out with --ffn")
        if backend != "sim":
            raise UsageError("--ffn is simulated: leave --backend out")
        token_options = token_command.Options(
            layers=ffn,
            model=model or token_command.MODEL,
            device=device or "npu1",
            columns=columns,
            channels=channels,
            profile=profile,
            way=AUTO if phase == "all" else phase,
            sparsity=sparsity,
            token=token,
            seed=seed,
        )
        _run_ffn(token_options, json_file, plot_file)
        return
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
        phase2_scan=phase2_scan,
        effort=effort,
        addressing=addressing,
        clock_mhz=clock_mhz,
        seed=seed,
        layer=layer,
        token=token,
        sweep=sweep,
        backend=backend,
    )
    with open_device(backend, device=device) as opened:
        _run(options, opened, json_file, plot_file)


def _run(options: runner.Options, opened: Device, json_file: Path, plot_file: Path) -> None:
    job = runner.job(options, opened)
    if OUT in (json_file.parent, plot_file.parent):
        OUT.mkdir(exist_ok=True)
    check_writable(json_file, plot_file)
    check_plot(plot_file)
    what = "simulating (the first run ever also compiles)" if opened.backend == "sim" else "running"
    with progress(what, job.steps, err) as advance:
        report = runner.run(job, advance)
    data = (report.model_dump_json(indent=1) + "\n").encode()
    write_whole({json_file: data, plot_file: rendered(draw(report), plot_file)})
    show(report, out)
    out.print(f"wrote {json_file} and {plot_file}", markup=False, highlight=False, soft_wrap=True)
    if not all(case.data_ok for case in (*report.cases, *report.sweep)):
        err.print("error: data came out wrong; see the table")
        raise typer.Exit(1)


def _run_ffn(options: token_command.Options, json_file: Path, plot_file: Path) -> None:
    if OUT in (json_file.parent, plot_file.parent):
        OUT.mkdir(exist_ok=True)
    check_writable(json_file, plot_file)
    check_plot(plot_file)
    with err.status(f"reading {options.model}"):
        model = token_command.model_masks(options)
    with progress("simulating", token_command.steps(model, options), err) as advance:
        found = token_command.run_ffn(options, model, advance)
    write_whole(token_command.files(found, json_file, plot_file))
    width = None if out.is_terminal else token_show.PIPE_COLUMNS
    token_show.show(found, Console(width=width))
    out.print(f"wrote {json_file} and {plot_file}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def disasm(
    insts: Annotated[Path, typer.Argument(help="instruction stream (insts.bin)")],
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Print an instruction stream (TXN) op by op."""
    program = txn.decode(insts.read_bytes())
    if as_json:
        _print(json.dumps(disassembly.to_json(program), indent=1))
    else:
        _print("\n".join(disassembly.lines(program)))


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
    if not vector.size:
        raise UsageError(f"{activations} holds no activation: save the vector of one token")
    bitmap = scan_vector(vector, dtype=cast(ElementName | None, dtype), threshold=threshold)
    rows = vector.size * (2 if dtype == "int4" else 1)
    wanted = popcount(bitmap)
    starts, _ = runs(bitmap, rows)
    sparsity = 1 - wanted / rows
    _print(
        f"{rows} activations, {wanted} wanted ({100 * sparsity:.2f} % sparse), "
        f"{starts.size} runs; bitmap {bitmap.nbytes} bytes"
    )


@app.command()
def seed(
    device: Annotated[str, typer.Option(help="npu1 (Phoenix) or npu2 (Strix)")] = "npu1",
    model: Annotated[str, typer.Option(help="shape by name")] = "relullama-7b",
) -> None:
    """Compare the model with the seed's claims about phases 0, 1 and 2 (Markdown)."""
    with progress("simulating", len(seeds.STEPS) * len(seeds.MODES), err) as advance:
        found = seeds.compare(model, device, advance)
    _print(seeds.markdown(found).rstrip("\n"))


@app.command()
def calibration(
    profile: Annotated[
        str, typer.Option(help="low, central or high; --table shows all three")
    ] = "central",
    table: Annotated[
        bool, typer.Option("--table", help="also bandwidths on Phoenix and Strix, in all profiles")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print that table as JSON")] = False,
) -> None:
    """Simulate what was measured and published: measured, simulated, error (Markdown)."""
    if not table and not as_json:
        _print(sweeps.markdown(profile).rstrip("\n"))
        return
    with progress("simulating", accuracy.steps(), err) as advance:
        known = accuracy.rows(advance)
    _print(accuracy.to_json(known) if as_json else accuracy.markdown(known).rstrip("\n"))


app.command()(explain)
app.command()(check)
app.command()(sim)
app.command()(plan)
app.command()(permute)
app.command("compile")(compile_command)
app.command()(doctor)
app.add_typer(sparsity, name="sparsity")
app.command("calibrate")(calibrate_command)


def _print(text: str) -> None:
    """Print what a program may read: as it is, and now, so that a closed pipe is met here."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point: does what `arguments` say and returns the exit status.

    Every error that a user can cause becomes one sentence on stderr, Ctrl-C one line.
    """
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a file may have any name
    try:
        app(arguments, prog_name="sparsebd")
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0
        if status == INTERRUPTED:
            err.print("interrupted")
        return status
    except USER_ERRORS as error:
        err.print(f"error: {_sentence(error)}", markup=False, highlight=False, soft_wrap=True)
        return BAD_INPUT
    return 0


def _sentence(error: BaseException) -> str:
    """The first line of an error; what the system says begins with the file it is about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error or 'give fewer rows or shorter ones'}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
