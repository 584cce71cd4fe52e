# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sim`: run any xclbin and insts.bin on the simulated NPU.

Options become a request, all of it checked; the request is run; files are written whole or not at
all. `host.sim_arguments` reads buffers, `host.sim_report` says what came of it.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.console import Console

from firmware_sim import PROFILES, Configuration, Result, Stalled, read_configuration, simulate
from firmware_sim.calibration import Calibration
from firmware_sim.calibration import read as read_calibration
from firmware_sim.trace import trace_json
from firmware_sim.trace.activity import timeline
from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, rendered
from host.run import CLOCK_MHZ
from host.sim_arguments import Argument, arguments, expectations, outputs
from host.sim_report import Outcome, compare, op_texts, show, to_json
from host.timeline import draw

BAND = "band"
CENTRAL = "central"


@dataclass(frozen=True)
class Request:
    """A run that can be done."""

    configuration: Configuration
    insts: bytes
    arguments: list[Argument]
    expected: dict[int, NDArray[Any]]
    device: str | None
    profile: str
    clock_mhz: float | None
    seed: int | None
    strict: bool
    trace: bool
    calibration: Calibration | None = None
    """Constants of one machine; None: those that come with the package."""


@dataclass(frozen=True)
class Files:
    """Where results go; None: not asked for."""

    outputs: dict[int, Path]
    trace: Path | None
    json: Path | None
    plot: Path | None

    @property
    def all(self) -> list[Path]:
        """Every file that was asked for."""
        asked = (*self.outputs.values(), self.trace, self.json, self.plot)
        return [path for path in asked if path is not None]


def sim(
    xclbin: Annotated[Path, typer.Argument(help="the design, as mlir-aie made it")],
    insts: Annotated[Path, typer.Argument(help="instruction stream (insts.bin)")],
    arg: Annotated[
        list[str] | None,
        typer.Option(
            help="host buffer N=file.npy, N=file (raw bytes), N=zeros:BYTES, "
            "N=random:BYTES[:SEED] or N=range:BYTES (int32 0, 1, 2, ..)"
        ),
    ] = None,
    out: Annotated[
        list[str] | None,
        typer.Option(help="write host buffer N after the run: N=file.npy, or N=file as raw bytes"),
    ] = None,
    expect: Annotated[
        list[str] | None,
        typer.Option(help="what host buffer N must hold after the run, in the forms of --arg"),
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(help="where a trace for ui.perfetto.dev goes (JSON)")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the whole result goes as JSON")
    ] = None,
    plot_file: Annotated[
        Path | None, typer.Option("--plot", help="a plot of the timeline, as .png, .svg or .pdf")
    ] = None,
    strict: Annotated[
        bool, typer.Option("--strict", help="stop at the first mistake; hardware would go on")
    ] = False,
    keep_partial: Annotated[
        bool, typer.Option("--keep-partial", help="write --out files of a run that stalled too")
    ] = False,
    profile: Annotated[
        str, typer.Option(help="low, central, high, or band (central with the other two's times)")
    ] = CENTRAL,
    device: Annotated[
        str | None, typer.Option(help="npu1 (Phoenix) or npu2 (Strix); default: the stream's")
    ] = None,
    clock_mhz: Annotated[
        float | None, typer.Option(help="array clock; default: the device's, or the calibration's")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="scatter DDR latencies, repeatably; default: do not")
    ] = None,
    calibration: Annotated[
        Path | None, typer.Option(help="timing of one machine, as `sparsebd calibrate` writes it")
    ] = None,
) -> None:
    """Run an xclbin and its instruction stream on a simulated NPU: data, time and mistakes."""
    _check_numbers(profile, clock_mhz, seed)
    given = arguments(arg or ())
    files = Files(outputs(out or (), given), trace, json_file, plot_file)
    check_writable(*files.all)
    keep_inputs(files.all, xclbin, insts, calibration)
    check_plot(plot_file)
    request = Request(
        configuration=read_configuration(xclbin),
        insts=insts.read_bytes(),
        arguments=given,
        expected=expectations(expect or (), given),
        device=device,
        profile=profile,
        clock_mhz=clock_mhz,
        seed=seed,
        strict=strict,
        trace=bool(trace or plot_file),
        calibration=None if calibration is None else read_calibration(calibration),
    )
    with Console(stderr=True).status("simulating (the first run ever also compiles)"):
        outcome = run(request)
    written = contents(outcome, files, keep_partial)
    write_whole(written)
    show(outcome, Console())
    _close(outcome, files, written)


def run(request: Request) -> Outcome:
    """Run once, and for a band in the two other profiles, on copies of the buffers.

    Raises:
        SimulationError, Aie2Error: what cannot be run at all; a stall is an outcome.
    """
    buffers = [argument.array for argument in request.arguments]
    before = [array.copy() for array in buffers]
    band: dict[str, float | None] = {}
    if request.profile == BAND:
        for profile in PROFILES:
            copies = [array.copy() for array in before]
            result, stalled = _simulate(request, copies, profile, trace=False)
            band[profile] = None if stalled else result.microseconds
    profile = CENTRAL if request.profile == BAND else request.profile
    result, stalled = _simulate(request, buffers, profile, trace=request.trace)
    return Outcome(
        result=result,
        stalled=stalled,
        arguments=request.arguments,
        changed={
            number: int(np.count_nonzero(_raw(array) != _raw(before[number])))
            for number, array in enumerate(buffers)
        },
        comparisons=[
            compare(number, buffers[number], wanted) for number, wanted in request.expected.items()
        ],
        band=band,
        ops=op_texts(request.insts) if result.diagnostics else (),
    )


def contents(outcome: Outcome, files: Files, keep_partial: bool) -> dict[Path, bytes]:
    """What goes into each file; buffers of a stalled run only if they are asked for."""
    found: dict[Path, bytes] = {}
    if keep_partial or not outcome.stalled:
        for number, path in files.outputs.items():
            found[path] = _file_bytes(path, outcome.arguments[number].array)
    if files.json:
        data = to_json(outcome, with_events=files.trace is not None)
        lines = (f"{json.dumps(key)}: {json.dumps(value)}" for key, value in data.items())
        found[files.json] = ("{\n" + ",\n".join(lines) + "\n}\n").encode()
    if files.trace or files.plot:
        happened = timeline(outcome.result)
        if files.trace:
            found[files.trace] = trace_json(outcome.result, happened)
        if files.plot:
            found[files.plot] = rendered(draw(outcome.result, happened), files.plot)
    return found


def _check_numbers(profile: str, clock_mhz: float | None, seed: int | None) -> None:
    if profile not in (*PROFILES, BAND):
        raise UsageError(f"--profile {profile!r} is not one of {', '.join(PROFILES)}, {BAND}")
    if clock_mhz is not None and not CLOCK_MHZ[0] <= clock_mhz <= CLOCK_MHZ[1]:
        low, high = CLOCK_MHZ
        raise UsageError(f"--clock-mhz {clock_mhz:g} is not from {low:g} to {high:g}")
    if seed is not None and seed < 0:
        raise UsageError(f"--seed {seed} is negative: give 0 or more")


def _simulate(
    request: Request, buffers: list[NDArray[Any]], profile: str, *, trace: bool
) -> tuple[Result, str]:
    """The result, and why the run could not go on (empty: it could)."""
    try:
        result = simulate(
            request.configuration,
            request.insts,
            buffers,
            device=request.device,
            profile=profile,
            clock_mhz=request.clock_mhz,
            strict=request.strict,
            trace=trace,
            jitter_seed=request.seed,
            calibration=request.calibration,
        )
    except Stalled as stall:
        return stall.result, str(stall)
    return result, ""


def _raw(array: NDArray[Any]) -> NDArray[np.uint8]:
    return array.reshape(-1).view(np.uint8)


def _file_bytes(path: Path, array: NDArray[Any]) -> bytes:
    if path.suffix != ".npy":
        return array.tobytes()
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def _close(outcome: Outcome, files: Files, written: dict[Path, bytes]) -> None:
    """Say what was written and what was not; exit status 1 for anything that went wrong."""

    def line(console: Console, text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    if written:
        line(Console(), f"wrote {', '.join(map(str, written))}")
    if outcome.ok:
        return
    err = Console(stderr=True)
    left = [str(path) for path in files.all if path not in written]
    if outcome.status == "stalled":
        line(err, "error: the run cannot go on; see who waits for whom")
    elif outcome.status == "stopped":
        line(err, "error: stopped at the first mistake, since --strict was given")
    elif not outcome.result.ok:
        line(err, "error: the run met mistakes that can spoil its data; see above")
    else:
        line(err, "error: data came out wrong; see above")
    if left:
        line(err, f"not written: {', '.join(left)}; --keep-partial writes them all the same")
    raise typer.Exit(1)
