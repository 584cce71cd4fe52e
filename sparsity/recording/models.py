# SPDX-License-Identifier: Apache-2.0
"""Runs a model of `sparsity.models.interface` over text and records its FFNs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping

import numpy as np

from sparsity.errors import CaptureError
from sparsity.models.interface import FfnModel, Hook, Matrix, Tokens
from sparsity.recording.record import Recorder
from sparsity.thresholds.quantiles import MagnitudeHistogram


def record(
    model: FfnModel,
    windows: Iterable[Tokens],
    recorder: Recorder,
    layers: Collection[int] | None = None,
    done: Callable[[], None] = lambda: None,
) -> None:
    """Record the down projections' inputs.

    Args:
        model: what to run.
        windows: token numbers, [T] each, run one after the other and each by itself.
        recorder: where they go.
        layers: which; default: all.
        done: called after each window.

    Raises:
        CaptureError: no such layer, or what `Recorder.add` refuses.
    """

    def next_window() -> None:
        recorder.end_text()
        done()

    _run(model, windows, recorder.add, layers, next_window)


def magnitudes(
    model: FfnModel,
    windows: Iterable[Tokens],
    layers: Collection[int] | None = None,
    done: Callable[[], None] = lambda: None,
) -> dict[int, MagnitudeHistogram]:
    """Return the magnitudes of the down projections' inputs by layer; arguments as `record`."""
    found: dict[int, MagnitudeHistogram] = {}

    def hear(layer: int, values: Matrix) -> None:
        found.setdefault(layer, MagnitudeHistogram()).add(values)

    _run(model, windows, hear, layers, done)
    return found


def thresholds(found: Mapping[int, MagnitudeHistogram], sparsity: float) -> dict[int, float]:
    """Return each layer's threshold for a share of magnitudes below it, 0 <= sparsity < 1.

    Raises:
        CaptureError: a share at which nothing would be active.
    """
    if not 0 <= sparsity < 1:
        raise CaptureError(f"sparsity {sparsity} leaves nothing active: give 0 up to, not with, 1")
    return {layer: histogram.threshold(sparsity) for layer, histogram in found.items()}


def _run(
    model: FfnModel,
    windows: Iterable[Tokens],
    hear: Callable[[int, Matrix], None],
    layers: Collection[int] | None,
    done: Callable[[], None],
) -> None:
    wanted = check_layers(model.layers, layers)

    def hook(layer: int, _x: Matrix, _gate: Matrix | None, _up: Matrix, a: Matrix) -> None:
        if layer in wanted:
            hear(layer, a)

    heard: Hook = hook
    for tokens in windows:
        model.run(tokens, heard)
        done()


def check_layers(count: int, layers: Collection[int] | None) -> frozenset[int]:
    """Return which layers are wanted of `count`; CaptureError for one that the model lacks."""
    if layers is None:
        return frozenset(range(count))
    for layer in layers:
        if not 0 <= layer < count:
            raise CaptureError(f"no layer {layer}: the model has 0 to {count - 1}")
    return frozenset(layers)


def cut(tokens: Tokens, count: int, size: int) -> list[Tokens]:
    """Cut windows out of a text, spread evenly over it.

    Args:
        tokens: of the whole text.
        count: how many to take in all.
        size: of a window; the last one is shorter where `count` is no multiple.

    Raises:
        CaptureError: fewer tokens than asked for, or none.
    """
    if count < 1 or size < 1:
        raise CaptureError(f"{count} tokens in windows of {size}: give at least 1 of each")
    needed = -(-count // size)
    if len(tokens) < count:
        raise CaptureError(
            f"{count} tokens are asked for and the text has {len(tokens)}: give more text, or ask "
            "for fewer"
        )
    starts = np.linspace(0, len(tokens) - count, needed).astype(int) + np.arange(needed) * size
    return [tokens[at : at + min(size, count - n * size)] for n, at in enumerate(starts)]
