# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity patterns`: how far one token's wanted rows foretell the next one's.

The seed's table gives the share of neurons on which two patterns agree; here it stands beside what
chance gives, with the union over speculative windows and batches, and what prefetching the last
token's rows would load and miss. Figures are of `sparsity.patterns` and `sparsity.similar`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from host import sparsity_patterns_report as reports
from host.consoles import for_results, say_written, working
from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, rendered
from sparsity import similar
from sparsity.capture import load_use_lite
from sparsity.models import catalogue
from sparsity.models.catalogue import Opened
from sparsity.models.text import Windows
from sparsity.patterns import Mask
from sparsity.recorded import read_recorded
from sparsity.recording import naming
from sparsity.recording.reading import is_recording, read

SHIPPED = "use-lite"
HALF = 0.5
"""Sparsity that the seed enforces on models without a ReLU."""
FIT_TOKENS = 1536
TOKENS = 2048
VARIANT_TOKENS = 40
"""Tokens of an input that is compared with its variants: a sentence or two."""


def patterns(
    masks: Annotated[
        Path | None,
        typer.Option(
            help="a recording (.npz, or .npz:LAYER of it), or masks or activations of one layer as "
            ".npy, tokens x neurons"
        ),
    ] = None,
    model: Annotated[
        str, typer.Option(help=f"use-lite: its shipped activations; or {catalogue.FORMS}")
    ] = SHIPPED,
    layer: Annotated[
        list[int] | None, typer.Option(help="of a model; default: first, middle, last")
    ] = None,
    sparsity: Annotated[
        float | None,
        typer.Option(help="zero this share by a threshold per layer; default: 0.5 without a ReLU"),
    ] = None,
    tokens: Annotated[
        int, typer.Option(help="of text to run a model over; piper takes all")
    ] = TOKENS,
    similar_inputs: Annotated[
        bool, typer.Option("--similar", help="also compare inputs with similar ones, as the seed")
    ] = False,
    text: Annotated[
        Path | None, typer.Option(help="a text file; default: Python's help topics")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot_file: Annotated[
        Path | None,
        typer.Option(
            "--plot", help="rows left to skip against tokens at once, as .png, .svg or .pdf"
        ),
    ] = None,
) -> None:
    """How far one token's wanted rows foretell the next one's, beside chance."""
    check_writable(json_file, plot_file)
    keep_inputs((json_file, plot_file), model, masks, text)
    check_plot(plot_file)
    recorded = masks is not None or model == SHIPPED
    if masks is not None and model != SHIPPED:
        raise UsageError("--masks and --model both say what to look at: give one of them")
    asked = (layer or None, sparsity, similar_inputs, text, tokens)
    if recorded and asked != (None, None, False, None, TOKENS):
        raise UsageError(
            "--layer, --sparsity, --similar, --tokens and --text are for models that run: give "
            "--model too"
        )
    if sparsity is not None and not 0 <= sparsity <= 1:
        raise UsageError(f"--sparsity {sparsity} is not a share: give 0 to 1")
    if recorded:
        found = _recorded(masks)
    else:
        with working(f"running {model}"):
            opened = catalogue.open_model(model)
            found = _run(opened, layer, sparsity, opened.windows(FIT_TOKENS, tokens, text))
            if similar_inputs:
                found.similar = _similar(opened, found.threshold_sparsity, text)
    files: dict[Path, bytes] = {}
    if json_file is not None:
        files[json_file] = (found.model_dump_json(indent=1) + "\n").encode()
    if plot_file is not None:
        files[plot_file] = rendered(reports.draw(found.layers), plot_file)
    write_whole(files)
    reports.show(found, for_results())
    if found.similar is not None:
        reports.show_similar(found.similar, for_results())
    say_written(files)


def _recorded(file: Path | None) -> reports.Report:
    """Figures of recorded masks."""
    masks = _shipped() if file is None else _read(file)
    layers = [reports.figures(number, mask) for number, mask in masks.items()]
    return reports.Report(
        model=SHIPPED if file is None else file.name, threshold_sparsity=None, layers=layers
    )


def _shipped() -> dict[int, list[Mask]]:
    capture = load_use_lite()
    return {n: [each != 0 for each in capture.texts(n)] for n in range(capture.layers)}


def _read(file: Path) -> dict[int, list[Mask]]:
    """Masks of every text by layer: of a recording all that it has, or the layer that is named."""
    if naming.is_named(file):
        return {naming.layer_of(file): naming.texts(file)}
    if is_recording(file):
        recording = read(file)
        return {layer: recording.texts(layer) for layer in recording.layers}
    return {0: [read_recorded(file).masks]}


def _run(
    opened: Opened, layers: list[int] | None, sparsity: float | None, windows: Windows
) -> reports.Report:
    """Figures of a model over the windows that are to be judged by."""
    model = opened.model
    wanted = layers or sorted({0, model.layers // 2, model.layers - 1})
    for number in wanted:
        model.weights(number)  # refuses a layer that the model lacks
    share = HALF if sparsity is None and model.activation != "relu" else sparsity
    limits = similar.thresholds(model, windows.fit, share)
    texts = [similar.masks(model, window, limits)[wanted] for window in windows.judge]
    return reports.Report(
        model=model.name,
        threshold_sparsity=share,
        layers=[
            reports.figures(number, [masks[place] for masks in texts])
            for place, number in enumerate(wanted)
        ],
    )


def _similar(opened: Opened, share: float | None, text: Path | None) -> similar.SimilarInputs:
    """The seed's experiment, on as many inputs as it has."""
    if not opened.model.language:
        raise UsageError("--similar is for language models, whose first token sees nothing else")
    windows = opened.windows(FIT_TOKENS, similar.SAMPLES * opened.window, text)
    limits = similar.thresholds(opened.model, windows.fit, share)
    texts = [window[:VARIANT_TOKENS] for window in windows.judge]
    return similar.similar_inputs(opened.model, texts, limits)
