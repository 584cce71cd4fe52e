# SPDX-License-Identifier: Apache-2.0
"""Recordings out of what others publish: as much of one as TEAL's or PowerInfer's files give.

A recording made here has no masks, since no foreign file has them: of TEAL's it has histograms,
of PowerInfer's counts. Tables of sparsities, `sparsity.recording.published`, become none.
"""

from __future__ import annotations

from collections.abc import Collection
from os import PathLike
from pathlib import Path

from sparsity.errors import CaptureError
from sparsity.recording import powerinfer, teal
from sparsity.recording.models import check_layers
from sparsity.recording.record import Recorder


def is_foreign(path: str | PathLike[str]) -> bool:
    """Whether there is a file or folder that `convert` may read."""
    source = Path(path)
    return source.suffix == ".pt" or (source.is_dir() and kind(source) is not None)


def kind(path: str | PathLike[str]) -> str | None:
    """Say whose files these are by their names: `teal`, `powerinfer`, or None."""
    source = Path(path)
    if powerinfer.is_activation_file(source) or (
        source.is_dir() and any(map(powerinfer.is_activation_file, source.glob("activation_*.pt")))
    ):
        return "powerinfer"
    if source.suffix == ".pt" or any(source.glob("layer-*/mlp/histograms.pt")):
        return "teal"
    return None


def convert(
    path: str | PathLike[str],
    out: str | PathLike[str],
    layers: Collection[int] | None = None,
) -> list[str]:
    """Make a recording of somebody else's files.

    Args:
        path: TEAL's histograms folder or one `histograms.pt`; PowerInfer's activation folder or
            one `activation_N.pt`.
        out: where the recording goes.
        layers: which; default: all.

    Returns:
        Warnings, as sentences.

    Raises:
        CaptureError: neither of them, unreadable, or no such layer.
    """
    found = kind(path)
    if found is None:
        raise CaptureError(f"{path} is neither TEAL's histograms nor PowerInfer's activations")
    source = {"read_from": f"{found}: {Path(path).name}"}
    with Recorder(out, Path(path).name, source=source) as recorder:
        if found == "powerinfer":
            return _powerinfer(path, recorder, layers)
        return _teal(path, recorder, layers)


def _powerinfer(
    path: str | PathLike[str], recorder: Recorder, layers: Collection[int] | None
) -> list[str]:
    counts = powerinfer.read_activations(path)
    for layer in _wanted(counts, layers):
        recorder.summarise(layer, counts=counts[layer])
    return []


def _teal(
    path: str | PathLike[str], recorder: Recorder, layers: Collection[int] | None
) -> list[str]:
    found = {each.layer: each for each in teal.read_layers(path)}
    for layer in _wanted(found, layers):
        recorder.summarise(layer, found[layer].down_input.magnitudes())
    return teal.warnings(list(found.values()), path)


def _wanted(found: Collection[int], layers: Collection[int] | None) -> list[int]:
    lacking = sorted(set(layers or ()) - set(found))
    if lacking:
        check_layers(max(found) + 1, lacking)
        raise CaptureError(f"there is no layer {lacking[0]}: choose from {sorted(found)}")
    return sorted(found if layers is None else layers)
