# SPDX-License-Identifier: Apache-2.0
"""`sparsebd calibrate`: measure a machine's timing constants, for the simulator to load.

The file is written whole or not at all, after everything was measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from aie2.devices import device as device_named
from firmware_sim.calibration import read
from host.calibrate.machine import Machine, SimulatedMachine
from host.calibrate.procedure import Outcome, calibrate, pilot, plan
from host.calibrate.report import achievable, show, to_json
from host.calibrate.write import to_toml
from host.errors import UsageError
from host.outputs import check_writable, write_whole
from host.progress import progress
from host.run import CLOCK_MHZ

BACKENDS = ("xrt", "sim")


def calibrate_command(
    backend: Annotated[
        str, typer.Option(help="xrt (this machine's NPU) or sim (the simulator, noise added)")
    ] = "xrt",
    device: Annotated[
        str | None,
        typer.Option(help="npu1 or npu2; default: what xrt finds, npu1 for the simulator"),
    ] = None,
    out: Annotated[Path, typer.Option(help="where the calibration goes")] = Path(
        "calibration.toml"
    ),
    repeats: Annotated[
        int | None, typer.Option(help="runs of each stream; default: 50, with --quick 20")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="shorter streams, fewer lanes")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    name: Annotated[
        str | None, typer.Option(help="what the file calls the machine; default: its NPU's name")
    ] = None,
    clock_mhz: Annotated[
        float | None,
        typer.Option(help="array clock, xrt: if you know it; default: found from a word a cycle"),
    ] = None,
    absolute: Annotated[
        bool,
        typer.Option("--absolute", help="also BDs with device addresses; unproven on silicon"),
    ] = False,
    hidden: Annotated[
        Path | None, typer.Option(help="sim: constants of the machine that is simulated")
    ] = None,
    seed: Annotated[int, typer.Option(help="of the order of runs, and the simulator's noise")] = 0,
) -> None:
    """Measure this machine's timing constants into a file that the simulator loads."""
    with _machine(backend, device, name, clock_mhz, hidden, seed) as machine:
        check_writable(out)
        found = _measure(machine, repeats, quick, absolute, seed)
    write_whole({out: to_toml(found.calibration, _comment(found)).encode()})
    if as_json:
        typer.echo(to_json(found))
        return
    show(found, Console())
    typer.echo(f"wrote {out}; `sparsebd sim --calibration {out}` simulates this machine")


def _measure(
    machine: Machine, repeats: int | None, quick: bool, absolute: bool, seed: int
) -> Outcome:
    """Everything, with a bar; how closely it can tell is said before it begins."""
    made = plan(machine, repeats=repeats, quick=quick, absolute=absolute)
    jitter_us = pilot(machine, made)
    err = Console(stderr=True)
    err.print(achievable(made, jitter_us), highlight=False, soft_wrap=True)
    date = datetime.now(UTC).date().isoformat()
    with progress("measuring", made.steps, err) as advance:
        return calibrate(machine, made, jitter_us, date, seed=seed, advance=advance)


@contextmanager
def _machine(
    backend: str,
    device: str | None,
    name: str | None,
    clock_mhz: float | None,
    hidden: Path | None,
    seed: int,
) -> Iterator[Machine]:
    """The machine that options name, all of them checked; it is given back at the end."""
    if backend not in BACKENDS:
        raise UsageError(f"--backend {backend!r} is not one of {', '.join(BACKENDS)}")
    if seed < 0:
        raise UsageError(f"--seed {seed} is negative: give 0 or more")
    if backend == "sim":
        if clock_mhz is not None:
            raise UsageError("--clock-mhz is for a real NPU: the simulator knows its clock")
        yield _simulator(device, name, hidden, seed)
        return
    if hidden is not None:
        raise UsageError("--hidden is for the simulator: leave it out, or give --backend sim")
    if clock_mhz is not None and not CLOCK_MHZ[0] <= clock_mhz <= CLOCK_MHZ[1]:
        low, high = CLOCK_MHZ
        raise UsageError(f"--clock-mhz {clock_mhz:g} is not from {low:g} to {high:g}")
    from host.calibrate.real import RealMachine
    from host.device import open_device

    with open_device("xrt", device=device) as opened:
        yield RealMachine(opened, clock_mhz, name)


def _simulator(device: str | None, name: str | None, hidden: Path | None, seed: int) -> Machine:
    constants = None if hidden is None else read(hidden)
    if constants is not None and device not in (None, constants.device):
        raise UsageError(f"{hidden} is of {constants.device}, not of {device}: give one of them")
    npu = device_named(device or ("npu1" if constants is None else constants.device))
    return SimulatedMachine(npu, constants, seed=seed, name=name or "simulator")


def _comment(found: Outcome) -> list[str]:
    """What stands at the top of the file."""
    origin = found.origin
    measured = sum(value.measured for value in found.values.values())
    return [
        f"Timing of {origin.machine} ({origin.device}), measured by sparsebd calibrate on "
        f"{origin.date}.",
        f"{measured} of {len(found.values)} constants are measured (grade M): central is the "
        "value, low and high are the ends",
        "of its 95 % interval. The others are as shipped; each says why.",
        f"{len(found.plan.points)} streams, {found.plan.repeats} runs each or more; launches "
        f"scattered by {found.jitter_us:.1f} us.",
    ]
