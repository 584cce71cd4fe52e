# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity tables`: what the three seeds state, what comes out here, and why they differ.

The list is `sparsity.tables.catalogue`'s; what the first seed says of its NPU phases is simulated
and added here (`host.sparsity_tables_npu`).
"""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from host import sparsity_tables_npu as npus
from host import sparsity_tables_report as reports
from host.consoles import for_results, say_written, working
from host.outputs import check_writable, write_whole
from host.plots import check_plot, rendered
from sparsity.tables.catalogue import figures
from sparsity.tables.figure import SeedFigure

COLUMNS = 160
"""Width of the tables, with a sentence to each figure."""


class Seed(StrEnum):
    """Whose figures."""

    NPU = "0"
    GENERAL = "1"
    SPARSEINFER = "2"
    ALL = "all"


class Simulated(StrEnum):
    """Devices on which the first seed's phases are simulated."""

    PHOENIX = "npu1"
    STRIX = "npu2"
    BOTH = "both"
    NONE = "none"


def tables(
    seed: Annotated[
        Seed,
        typer.Option(help="0: slides on sparse row loads; 1: on general models; 2: SparseInfer"),
    ] = Seed.ALL,
    npu: Annotated[
        Simulated, typer.Option(help="simulate seed 0's phases on: a quarter of a minute each")
    ] = Simulated.PHOENIX,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="ours over the seeds' numbers, as .png, .svg or .pdf")
    ] = None,
) -> None:
    """Show every table and figure that the three seeds state beside what comes out here."""
    check_writable(json_file, plot)
    check_plot(plot)
    made = reports.report(_found(seed, npu))
    files = {} if plot is None else {plot: rendered(reports.draw(made.figures), plot)}
    if json_file is not None:
        files[json_file] = (made.model_dump_json(indent=1) + "\n").encode()
    write_whole(files)
    reports.show(made, for_results(COLUMNS))
    say_written(files)


def _found(seed: Seed, npu: Simulated) -> list[SeedFigure]:
    """The list, with the simulated entries behind the rest of the first seed's."""
    found: list[SeedFigure] = []
    with working("working out") as say:
        for number in range(3) if seed is Seed.ALL else [int(seed)]:
            found += figures(number)
            if number == 0:
                for device in _devices(npu):
                    say(f"simulating {npus.NAMES[device]}")
                    found += npus.figures(device)
    return found


def _devices(npu: Simulated) -> list[str]:
    if npu is Simulated.BOTH:
        return list(npus.NAMES)
    return [] if npu is Simulated.NONE else [str(npu)]
