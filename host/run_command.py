# SPDX-License-Identifier: Apache-2.0
"""`sparsebd run`: one gather by every mode, or by `--ffn` the FFNs of a token.

`host.run` and `host.token` do the work; here options are checked and files are written.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host import run as runner
from host.cases import AUTO
from host.consoles import for_messages, for_results, say_written, working
from host.device import Device, open_device
from host.errors import UsageError
from host.gather_options import (
    Channels,
    Columns,
    Layer,
    Mask,
    Model,
    RowBytes,
    Rows,
    Seed,
    Sparsity,
    Token,
)
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, rendered
from host.progress import progress
from host.report import draw, show
from host.token import command as token_command
from host.token import show as token_show

OUT = Path("out")
"""Folder of results that nobody named a place for; made where it is missing."""

out, err = Console(emoji=False), for_messages()


def run(
    device: Annotated[
        str | None,
        typer.Option(help="npu1 (Phoenix) or npu2 (Strix); default: npu1, or what the NPU is"),
    ] = None,
    backend: Annotated[
        str, typer.Option(help="sim, xrt (this machine's NPU), auto (the NPU if there is one)")
    ] = "sim",
    model: Model = None,
    rows: Rows = None,
    row_bytes: RowBytes = None,
    mask: Mask = None,
    sparsity: Sparsity = None,
    phase: Annotated[
        str, typer.Option(help="all, or some of dense,phase0,phase1,phase2,host,auto")
    ] = "all",
    columns: Columns = None,
    channels: Channels = 1,
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
    seed: Seed = 0,
    layer: Layer = None,
    token: Token = None,
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
    _check_outputs(json_file, plot_file, options.mask)
    what = "simulating (the first run ever also compiles)" if opened.backend == "sim" else "running"
    with progress(what, job.steps, err) as advance:
        report = runner.run(job, advance)
    data = (report.model_dump_json(indent=1) + "\n").encode()
    write_whole({json_file: data, plot_file: rendered(draw(report), plot_file)})
    show(report, out)
    say_written((json_file, plot_file))
    if not all(case.data_ok for case in (*report.cases, *report.sweep)):
        err.print("error: data came out wrong; see the table")
        raise typer.Exit(1)


def _run_ffn(options: token_command.Options, json_file: Path, plot_file: Path) -> None:
    _check_outputs(json_file, plot_file, options.model)
    with working(f"reading {options.model}"):
        model = token_command.model_masks(options)
    with progress("simulating", token_command.steps(model, options), err) as advance:
        found = token_command.run_ffn(options, model, advance)
    write_whole(token_command.files(found, json_file, plot_file))
    token_show.show(found, for_results(token_show.COLUMNS))
    say_written((json_file, plot_file))


def _check_outputs(json_file: Path, plot_file: Path, read: str | None) -> None:
    if OUT in (json_file.parent, plot_file.parent):
        OUT.mkdir(exist_ok=True)
    check_writable(json_file, plot_file)
    keep_inputs((json_file, plot_file), read)
    check_plot(plot_file)
