# SPDX-License-Identifier: Apache-2.0
"""TEAL's `histograms.pt` (github.com/FasterDecoding/TEAL, MIT): signed histograms of FFN inputs.

One file per layer and block, `layer-N/mlp/histograms.pt`, a dict of tensors: `h1` counts the input
of gate and up, `h1.5` (not in every file) the gate after its activation function, `h2` the input of
down; `h1_centers` and so on are the middles of the bins. 9,998 of the 10,000 bins are equally wide
and cover the central 98 % of the values; the first and the last hold 1 % each, up to the extremes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.recording.torch_file import read_tensors
from sparsity.shapes import shape
from sparsity.thresholds.quantiles import MagnitudeHistogram

FFN_INPUT, DOWN_INPUT = "h1", "h2"
_FILE = "histograms.pt"
_LAYER = re.compile(r"layer-(\d+)")
_MODELS = {
    "Llama-2-7B": "ReluLLaMA-7B",
    "Llama-2-13B": "ReluLLaMA-13B",
    "Llama-3-8B": "Llama-3-8B",
    "Mistral-7B": "Mistral-7B",
}
"""Folders in TEAL's repository, and which shape in `sparsity.shapes` those models have."""
_ROUNDED = 1e-4
"""Relative error of a ratio of counts that float32 has rounded, and some to spare."""
_MOST = 1 << 62
"""Counts together, as int64 holds them."""


@dataclass(frozen=True, slots=True, eq=False)
class TealHistogram:
    """One signed histogram."""

    centers: NDArray[np.float64]
    """Ascending; the first and the last are the middles of wide bins."""
    counts: NDArray[np.float64]

    @property
    def total(self) -> float:
        """Values counted; TEAL stores counts as float32, so large ones are rounded."""
        return float(self.counts.sum())

    def quantile(self, share: float) -> float:
        """Return the value that a share of the values is below, as TEAL's `Distribution.icdf`.

        Between two bins the cumulated count is taken to rise linearly from middle to middle.

        Raises:
            CaptureError: a share outside 0 to 1.
        """
        if not 0 <= share <= 1:
            raise CaptureError(f"{share} is not a share: give 0 to 1")
        cumulated = np.cumsum(self.counts)
        target = share * cumulated[-1]
        at = int(np.searchsorted(cumulated, target))
        if at == 0 or at >= len(self.centers):
            return float(self.centers[min(at, len(self.centers) - 1)])
        fraction = (target - cumulated[at - 1]) / (cumulated[at] - cumulated[at - 1])
        return float(self.centers[at - 1] + fraction * (self.centers[at] - self.centers[at - 1]))

    def threshold(self, sparsity: float) -> float:
        """Return TEAL's threshold: the quantile of (1 + sparsity) / 2, 0 at a sparsity of 0.

        It takes the values to be symmetric about zero. Magnitudes above it are kept, not those
        equal to it. Past a sparsity of .98 it lies in the outer bins and means little.
        """
        return self.quantile(0.5 + sparsity / 2) if sparsity else 0.0

    def sparsity(self, threshold: float) -> float:
        """Return the share of values that a threshold zeroes, by the bins' middles."""
        return float(self.counts[np.abs(self.centers) <= threshold].sum() / self.total)

    def energy_dropped(self, threshold: float) -> float:
        """Return the share of the sum of squares that a threshold zeroes, at most.

        The outer bins do not say where in them their values are; they are put at the inner edges,
        so the true share is smaller. Its root is the relative error of the activations.
        """
        inner = self._inward()
        energy = self.counts * np.square(inner)
        return float(energy[np.abs(inner) <= threshold].sum() / energy.sum())

    def magnitudes(self) -> MagnitudeHistogram:
        """Return the magnitudes of the bins' middles, each as often as its bin counts."""
        histogram = MagnitudeHistogram()
        words = np.abs(self._inward()).astype(np.float32).view(np.uint32) >> 16
        np.add.at(histogram.counts, words, np.rint(self.counts).astype(np.int64))
        return histogram

    def _inward(self) -> NDArray[np.float64]:
        """Middles, of the outer bins inner edges."""
        middles = self.centers.copy()
        half = (middles[2] - middles[1]) / 2
        middles[0], middles[-1] = middles[1] - half, middles[-2] + half
        return middles


@dataclass(frozen=True, slots=True, eq=False)
class TealLayer:
    """One layer's FFN."""

    layer: int
    ffn_input: TealHistogram
    down_input: TealHistogram

    @property
    def ratio(self) -> float:
        """Neurons over width: each token adds that many more values to `h2` than to `h1`."""
        return self.down_input.total / self.ffn_input.total


def read_histograms(path: str | PathLike[str]) -> dict[str, TealHistogram]:
    """Read one file.

    Returns:
        Histograms by their key, `h1` and so on.

    Raises:
        CaptureError: not a file of tensors, or not TEAL's.
    """
    tensors = read_tensors(path)
    if not isinstance(tensors, Mapping):
        raise CaptureError(f"{path} holds no dict of tensors: give a histograms.pt of TEAL")
    keys = [key for key in tensors if f"{key}_centers" in tensors]
    if not keys:
        raise CaptureError(f"{path} has no pair such as h1 and h1_centers: it is not TEAL's")
    return {key: _histogram(tensors[f"{key}_centers"], tensors[key], key, path) for key in keys}


def _histogram(centers: Any, counts: Any, key: str, path: str | PathLike[str]) -> TealHistogram:
    both = [np.asarray(each, np.float64) for each in (centers, counts) if _is_vector(each)]
    if len(both) < 2 or both[0].shape != both[1].shape or len(both[0]) < 5:
        raise CaptureError(f"{path}: {key} and {key}_centers are not two vectors of one length")
    middles, numbers = both
    if not np.isfinite(both).all() or (np.diff(middles) <= 0).any() or numbers.min() < 0:
        raise CaptureError(
            f"{path}: {key} is no histogram: its middles do not rise or a count is negative"
        )
    if numbers.sum() > _MOST:
        raise CaptureError(f"{path}: {key} has counted {numbers.sum():.3g} values: it is damaged")
    if not numbers.sum():
        raise CaptureError(f"{path}: {key} has counted nothing")
    return TealHistogram(middles, numbers)


def _is_vector(value: Any) -> bool:
    return isinstance(value, np.ndarray) and value.ndim == 1 and value.dtype.kind in "fiu"


def read_layers(path: str | PathLike[str]) -> list[TealLayer]:
    """Read one layer's `histograms.pt`, or all of a model from the folder over its `layer-N`.

    Returns:
        The FFNs by ascending layer number (`layer-2` before `layer-10`); one file alone whose path
        has no `layer-N` counts as layer 0.

    Raises:
        CaptureError: no such files, or not TEAL's.
    """
    source = Path(path)
    files = [source] if source.is_file() else list(source.glob(f"layer-*/mlp/{_FILE}"))
    if not files:
        raise CaptureError(f"{source} has no layer-N/mlp/{_FILE}: give TEAL's histograms folder")
    return [_layer(number, file) for number, file in sorted((_number(f), f) for f in files)]


def _number(file: Path) -> int:
    found = _LAYER.findall(str(file.parent))
    return int(found[-1]) if found else 0


def _layer(number: int, file: Path) -> TealLayer:
    found = read_histograms(file)
    if FFN_INPUT not in found or DOWN_INPUT not in found:
        raise CaptureError(f"{file} lacks h1 or h2: give the histograms of an mlp block")
    return TealLayer(number, found[FFN_INPUT], found[DOWN_INPUT])


def warnings(layers: list[TealLayer], path: str | PathLike[str]) -> list[str]:
    """Return what is wrong with histograms that are published as some model's, as sentences.

    A token adds d values to `h1` and k to `h2`, so their ratio is the model's k / d. TEAL's
    repository has Llama-2-7B's files once more in its folder of Llama-3-8B: `h2` counts a
    multiple of 11008 values there, not of 14336; those of Llama-3-8B are in `Untitled` beside it.
    """
    named = [part for part in Path(path).resolve().parts if part in _MODELS]
    if not named:
        return []
    model = shape(_MODELS[named[-1]])
    for each in layers:
        if not np.isclose(each.ratio, model.k / model.d, rtol=_ROUNDED):
            return [
                f"these histograms are not of {named[-1]}: layer {each.layer} has {each.ratio:.4f} "
                f"neurons per weight of a row, not {model.k / model.d:.4f} (Llama-2-7B has 2.6875, "
                "and TEAL keeps a copy of its files as Llama-3-8B's: take those in Untitled)"
            ]
    return []
