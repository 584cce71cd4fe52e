# SPDX-License-Identifier: Apache-2.0
"""The command line, `sparsebd`: bad input is one sentence on stderr and exit status 2."""

from __future__ import annotations

import io
import json
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

import typer

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
from host import seed as seeds
from host.calibrate.command import calibrate_command
from host.check_command import check
from host.compile_command import compile_command
from host.consoles import for_messages
from host.doctor.command import doctor
from host.errors import UsageError
from host.explain_command import explain
from host.permute_command import permute
from host.plan_command import plan
from host.progress import progress
from host.run_command import run
from host.sim_command import sim
from host.sparsity_app import sparsity
from iron_designs.errors import DesignError
from sparsity.errors import SparsityError
from sparsity.masks import read_vector

USER_ERRORS = (
    *(Aie2Error, PlanError, SimulationError, SparsityError, DesignError, UsageError),
    *(OSError, MemoryError),
)
"""What input can cause; anything else is a mistake of ours and ends in a traceback."""

BAD_INPUT, INTERRUPTED = 2, 130
"""Exit statuses, besides 0 and 1 for data that came out wrong."""

_STOPS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_SIGNALLED = 128
"""What a shell adds to a signal's number."""
_STOPPED = {_SIGNALLED + number for number in _STOPS}

app = typer.Typer(
    help="Skip the weight rows that a sparse activation vector does not need, on AMD's AIE2 NPUs.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
err = for_messages()


@app.callback()
def _commands() -> None:
    """sparsebd: an NPU dataflow compiler and firmware simulator."""


app.command()(run)


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
        with _unwound_when_stopped():
            app(arguments, prog_name="sparsebd")
    except SystemExit as leaving:
        status = leaving.code if isinstance(leaving.code, int) else 0
        if status == INTERRUPTED or status in _STOPPED:
            err.print("interrupted")
        return status
    except USER_ERRORS as error:
        err.print(f"error: {_sentence(error)}", markup=False, highlight=False, soft_wrap=True)
        return BAD_INPUT
    return 0


@contextmanager
def _unwound_when_stopped() -> Iterator[None]:
    """Make SIGTERM and SIGHUP end a command as Ctrl-C does, so that no draft of a file stays."""
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's alone
        return

    def leave(number: int, _frame: object) -> None:
        raise SystemExit(_SIGNALLED + number)

    before = {number: signal.signal(number, leave) for number in _STOPS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _sentence(error: BaseException) -> str:
    """The first line of an error; what the system says begins with the file it is about."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    if isinstance(error, MemoryError):
        return f"not enough memory: {error or 'give fewer rows or shorter ones'}"
    return str(error).splitlines()[0] if str(error) else type(error).__name__
