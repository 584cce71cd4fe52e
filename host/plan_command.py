# SPDX-License-Identifier: Apache-2.0
"""`sparsebd plan`: which BDs a mask becomes, what their stream costs and why; or tables of that.

Options become a gather or a table, all checked; `host.plan_report`, `host.plan_table` and
`host.plan_rows` find the figures; files are written whole or not at all.
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer
from rich.console import Console

from bdgen.target import WORD_BYTES
from firmware_sim import PROFILES
from host import plan_report as reports
from host import plan_rows, plan_table
from host import run as runner
from host.consoles import say_written
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
from host.gathers import Gather, plan_gather, words_for
from host.outputs import check_writable, keep_inputs, write_whole
from host.plan_explain import explain as explain_gather
from host.progress import progress

ADDRESS_BITS = 48
"""Bits of an address in a BD."""
TABLE_OPTIONS = "table", "rows_per_bd", "quick", "json_file"
"""Options that tables take."""


def plan(
    ctx: typer.Context,
    device: Annotated[str, typer.Option(help="npu1 (Phoenix) or npu2 (Strix)")] = "npu1",
    model: Model = None,
    rows: Rows = None,
    row_bytes: RowBytes = None,
    mask: Mask = None,
    sparsity: Sparsity = None,
    layer: Layer = None,
    token: Token = None,
    columns: Columns = None,
    channels: Channels = 1,
    profile: Annotated[
        str, typer.Option(help="low, central or high: whose costs decide how work is shared out")
    ] = "central",
    effort: Annotated[str, typer.Option(help="how rows are packed: runs, fast, best")] = "fast",
    addressing: Annotated[
        str, typer.Option(help="patch; unproven on silicon: absolute, iteration")
    ] = "patch",
    max_gap: Annotated[
        int, typer.Option(help="rows between runs that are moved rather than split")
    ] = 0,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="where the stream goes (insts.bin)")] = None,
    weights_address: Annotated[
        str | None, typer.Option(help="device address of the weights, for --addressing absolute")
    ] = None,
    output_address: Annotated[
        str | None, typer.Option(help="device address of the output, for --addressing absolute")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="why this plan: ways, shapes, prices, first rounds")
    ] = False,
    table: Annotated[
        bool,
        typer.Option("--table", help="models, sparsities and machines in one table (Markdown)"),
    ] = False,
    rows_per_bd: Annotated[
        bool, typer.Option("--rows-per-bd", help="rows per BD of all efforts (Markdown)")
    ] = False,
    quick: Annotated[
        bool, typer.Option("--quick", help="a small part of --table or --rows-per-bd")
    ] = False,
) -> None:
    """Pack wanted rows into BDs: how many, how long planning and moving take, and why."""
    if table or rows_per_bd:
        _check_table(ctx, table and rows_per_bd)
        _table(plan_rows if rows_per_bd else plan_table, quick, json_file)
        return
    if quick:
        raise UsageError("--quick goes with --table or --rows-per-bd: give one of them")
    addresses = _addresses(addressing, out, weights_address, output_address)
    if profile not in PROFILES:
        raise UsageError(f"--profile {profile!r} is not one of {', '.join(PROFILES)}")
    options = runner.Options(
        device=device,
        model=model,
        rows=rows,
        row_bytes=row_bytes,
        mask=mask,
        sparsity=sparsity,
        layer=layer,
        token=token,
        phase="host",
        columns=columns,
        channels=channels,
        profile=profile,
        effort=effort,
        addressing=addressing,
        max_gap=max_gap,
        seed=seed,
        sweep=False,
    )
    job = runner.job(options)
    check_writable(out, json_file)
    keep_inputs((out, json_file), mask)
    with Console(stderr=True).status("planning and simulating (the first run ever also compiles)"):
        gather = plan_gather(job.setup, job.workload)
        words = _stream(gather, addresses)
        found = reports.report(gather)
        if explain:
            found.explained = explain_gather(gather)
    files = {out: words} if out is not None else {}
    if json_file is not None:
        files[json_file] = (found.model_dump_json(indent=1) + "\n").encode()
    write_whole(files)
    typer.echo("\n".join(reports.lines(found)))
    say_written(files)
    if not all(run.data_ok for run in found.simulated):
        typer.echo("error: data came out wrong; see above", err=True)
        raise typer.Exit(1)


def _check_table(ctx: typer.Context, both: bool) -> None:
    """Refuse options that would be passed over."""
    if both:
        raise UsageError("--table and --rows-per-bd are two tables: ask for one at a time")
    for option in ctx.command.params:
        source = ctx.get_parameter_source(option.name or "")
        typed = source is not None and source.name == "COMMANDLINE"
        if typed and option.name not in TABLE_OPTIONS:
            raise UsageError(
                f"{option.opts[0]} does not go with a table, whose shapes and machines are fixed: "
                "leave it out"
            )


def _table(kind: ModuleType, quick: bool, json_file: Path | None) -> None:
    """Make a table, print it as Markdown and write its figures."""
    if json_file is not None:
        check_writable(json_file)
    with progress("simulating", kind.steps(quick), Console(stderr=True)) as advance:
        found = kind.find(quick, advance)
    if json_file is not None:
        write_whole({json_file: (found.model_dump_json(indent=1) + "\n").encode()})
    typer.echo(kind.markdown(found).rstrip("\n"))


def _addresses(
    addressing: str, out: Path | None, weights: str | None, output: str | None
) -> tuple[int, int] | None:
    """Device addresses for a stream that is written, if it needs any."""
    if addressing != "absolute" or out is None:
        if weights is not None or output is not None:
            raise UsageError(
                "--weights-address and --output-address go into a stream of --addressing absolute "
                "that --out writes: give both of these, or no address"
            )
        return None
    if weights is None or output is None:
        raise UsageError(
            "a stream of --addressing absolute holds device addresses: give --weights-address and "
            "--output-address, or write none with --out"
        )
    return _address("--weights-address", weights), _address("--output-address", output)


def _address(option: str, text: str) -> int:
    """A device address as it is typed, in decimal or with 0x."""
    try:
        address = int(text, 0)
    except ValueError:
        address = -1
    if not 0 <= address < 1 << ADDRESS_BITS or address % WORD_BYTES:
        raise UsageError(
            f"{option} {text} is no address of a BD: give a multiple of {WORD_BYTES} below "
            f"2**{ADDRESS_BITS}, e.g. 0x180000000"
        )
    return address


def _stream(gather: Gather, addresses: tuple[int, int] | None) -> bytes:
    """The stream for `--out`; what is simulated has the simulator's own addresses."""
    words = gather.program.words if addresses is None else words_for(gather, addresses)
    return words.tobytes()
