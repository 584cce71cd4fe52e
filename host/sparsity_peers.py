# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity peers`: OpenVINO NNCF's activation sparsification beside this project's.

Both are given the same model and text in one run; figures are of `sparsity.peers`. Where NNCF is
not installed, its rule restated in numpy stands for it, and the output says so.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from host.consoles import for_results, plain_table, say_written, working
from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, new_figure, rendered
from sparsity.models import catalogue, smollm2
from sparsity.models.fetch import fetch
from sparsity.models.llama import Llama
from sparsity.peers.compare import LEVELS, NNCF, RESTATED, Comparison, Row, compare
from sparsity.peers.llama_torch import EXTRA
from sparsity.peers.nncf_run import installed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SMOLLM2 = "smollm2"
FIT_TOKENS, JUDGE_TOKENS = 1536, 3072


def peers(
    model: Annotated[str, typer.Option(help="smollm2, or FILE.gguf of the Llama family")] = SMOLLM2,
    text: Annotated[
        Path | None, typer.Option(help="a text file; default: Python's help topics")
    ] = None,
    at: Annotated[
        list[float] | None, typer.Option(help="shares to zero; default: 0.3, 0.5, 0.7")
    ] = None,
    fit: Annotated[int, typer.Option(help="tokens to calibrate on")] = FIT_TOKENS,
    judge: Annotated[int, typer.Option(help="other tokens to judge by")] = JUDGE_TOKENS,
    restated: Annotated[
        bool, typer.Option("--restated", help="NNCF's rule in numpy only, even if NNCF is there")
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot: Annotated[Path | None, typer.Option(help="zeros by layer, as .png, .svg or .pdf")] = None,
) -> None:
    """Zero inputs of the down projections by NNCF and by this project's thresholds: what it costs.

    For every level: zeros on text that was not calibrated on, perplexity, and calibration time.
    """
    check_writable(json_file, plot)
    keep_inputs((json_file, plot), model, text)
    check_plot(plot)
    levels = _levels(at)
    opened = catalogue.open_model(model)
    own = opened.model
    if not isinstance(own, Llama):
        raise UsageError(f"{model} is no language model that NNCF can run: give smollm2 or a .gguf")
    parts = opened.windows(fit, judge, text)
    file = fetch(smollm2.FILE) if model == SMOLLM2 else Path(model)
    whole = not restated and installed() is not None
    with working(f"calibrating at {len(levels)} levels (minutes)"):
        found = compare(own, parts, levels, file if whole else None)
    files = {} if plot is None else {plot: rendered(draw(found), plot)}
    if json_file is not None:
        files[json_file] = (json.dumps(dataclasses.asdict(found), indent=1) + "\n").encode()
    write_whole(files)
    show(found, for_results())
    say_written(files)


def _levels(at: list[float] | None) -> tuple[float, ...]:
    for level in at or ():
        if not 0 < level < 1:
            raise UsageError(f"{level} is not a share to zero: give some between 0 and 1")
    return tuple(at or LEVELS)


def show(found: Comparison, console: Console) -> None:
    """Print the check of the forward passes, then a table of the methods and one of thresholds."""
    console.print(
        f"\n{found.model}: {found.fit_tokens} tokens calibrated on, {found.judge_tokens} others "
        f"judged by; dense perplexity {found.dense_perplexity:.3f}"
    )
    if found.check is not None:
        used = ", ".join(f"{name} {version}" for name, version in found.versions.items())
        console.print(
            f"{used}; logits here and there differ by at most {found.check.largest_difference:.1e} "
            f"of {found.check.largest_logit:.0f}, perplexity by "
            f"{abs(found.check.perplexity_here / found.check.perplexity_there - 1):.1e} of it"
        )
    else:
        console.print(f"NNCF's rule restated, not NNCF itself: for that, {EXTRA}")
    names = (
        "method",
        "asked",
        "zeros",
        "least, most by layer",
        "perplexity",
        "rise",
        "calibrated in",
    )
    table = plain_table(*names)
    for row in found.rows:
        table.add_row(*_cells(row, found.rise(row)), end_section=row is _last(found, row.target))
    console.print(table)
    console.print("\nthresholds")
    console.print(_thresholds(found))


def _last(found: Comparison, target: float) -> Row:
    return [row for row in found.rows if row.target == target][-1]


def _cells(row: Row, rise: float) -> list[str]:
    return [
        row.method,
        f"{row.target:.0%}",
        f"{row.sparsity:.2%}",
        f"{min(row.by_layer):.1%}, {max(row.by_layer):.1%}",
        f"{row.perplexity:.3f}",
        f"{rise:+.2%}",
        f"{row.seconds:.1f} s",
    ]


def _thresholds(found: Comparison) -> Table:
    rows = [row for row in found.rows if row.method in _shown(found)]
    heads = [f"{row.method} {row.target:.0%}" for row in rows]
    table = plain_table("layer", *heads)
    for layer, values in enumerate(zip(*(row.thresholds for row in rows), strict=True)):
        table.add_row(str(layer), *(f"{value:.5f}" for value in values))
    return table


def _shown(found: Comparison) -> set[str]:
    """Methods whose thresholds are worth a column: the restated rule has NNCF's."""
    methods = {row.method for row in found.rows}
    return methods - {RESTATED} if NNCF in methods else methods


def draw(found: Comparison) -> Figure:
    """Draw how far each layer's zeros are from what was asked; a panel per level."""
    levels = sorted({row.target for row in found.rows})
    figure = new_figure(1.5 + 3 * len(levels), 4)
    panels: Any = figure.subplots(1, len(levels), sharey=True, squeeze=False)[0]
    for panel, level in zip(panels, levels, strict=True):
        for row in found.rows:
            if row.target == level and row.method in _shown(found):
                points = [100 * (share - level) for share in row.by_layer]
                panel.plot(points, label=f"{row.method}: perplexity {found.rise(row):+.1%}")
        panel.axhline(0, color="grey", linewidth=0.8)
        panel.set(xlabel="layer", title=f"{level:.0%} asked")
        panel.legend(fontsize="small")
    panels[0].set_ylabel("zeros on other text, points above asked")
    figure.suptitle(found.model)
    return figure
