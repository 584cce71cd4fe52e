# SPDX-License-Identifier: Apache-2.0
"""`sparsebd doctor`: can a program run on the NPU of this machine, and if not, what mends it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from host.doctor.examination import examine
from host.doctor.files import Tree
from host.doctor.machine import Machine
from host.doctor.recorder import Recorder
from host.doctor.recording import dump, load
from host.doctor.report import show, to_json
from host.doctor.this_machine import ThisMachine
from host.errors import UsageError
from host.outputs import check_writable, write_whole


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="count warnings as problems")] = False,
    root: Annotated[
        Path | None,
        typer.Option(help="look at the files of another system: a mounted disk, a copied tree"),
    ] = None,
    machine: Annotated[
        Path | None, typer.Option(help="look at a machine that --record wrote, on any machine")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="also write all that was read (JSON), to be sent along")
    ] = None,
) -> None:
    """Say what keeps programs from this machine's NPU, and the commands that mend it.

    Needs no root, changes nothing, ends in time. Exit status: 0 programs can run on the NPU; 1
    something keeps them from it; 3 no NPU can be used from here, only the simulator; 2 bad options.
    """
    if root and machine:
        raise UsageError("--root and --machine name two machines: give one")
    if record:
        check_writable(record)
    recorder = Recorder(_machine(root, machine))
    report = examine(recorder, strict=strict)
    if as_json:
        sys.stdout.write(to_json(report) + "\n")
    else:
        show(report, Console())
    if record:
        write_whole({record: dump(recorder.recording).encode()})
    sys.stdout.flush()
    raise typer.Exit(report.status)


def _machine(root: Path | None, recorded: Path | None) -> Machine:
    if recorded:
        return load(recorded)
    if root is None:
        return ThisMachine()
    if not root.is_dir():
        raise UsageError(f"--root {root} is no folder: name one that holds a system's files")
    return Tree(root)
