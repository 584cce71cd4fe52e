# SPDX-License-Identifier: Apache-2.0
"""PowerInfer's `activation_N.pt` (github.com/Tiiny-AI/PowerInfer, MIT): how often neurons fired.

A folder of one file per layer, each a 1-D tensor of counts, one per neuron. Over how many tokens
they were counted it does not say. PowerInfer's exporter sorts the names as text, so that layer 10
comes before layer 2, while its solver takes them by number; here they go by number.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.recording.torch_file import read_tensors

_NAME = re.compile(r"activation_(\d{1,9})\.pt", re.ASCII)
_MOST = 1 << 53
"""Counts beyond it are not exact in float64."""


def is_activation_file(path: str | PathLike[str]) -> bool:
    """Whether a file is called as PowerInfer calls them."""
    return _NAME.fullmatch(Path(path).name) is not None


def read_activations(path: str | PathLike[str]) -> dict[int, NDArray[np.int64]]:
    """Read a folder of `activation_N.pt`, or one of them.

    Returns:
        Counts [k] by layer, in ascending order of the layers' numbers.

    Raises:
        CaptureError: no such files, one in the middle is missing, or they are not counts.
    """
    source = Path(path)
    candidates = [source] if source.is_file() else list(source.glob("activation_*.pt"))
    found = {int(match[1]): file for file in candidates if (match := _NAME.fullmatch(file.name))}
    if not found:
        raise CaptureError(f"{source} has no activation_N.pt: give PowerInfer's activation folder")
    numbers = sorted(found)
    if source.is_dir() and numbers != list(range(len(numbers))):
        missing = next(place for place, number in enumerate(numbers) if place != number)
        raise CaptureError(f"{source} lacks activation_{missing}.pt: give all of the model")
    return {number: _counts(found[number]) for number in numbers}


def _counts(file: Path) -> NDArray[np.int64]:
    values = read_tensors(file)
    if not isinstance(values, np.ndarray) or values.ndim != 1 or not values.size:
        raise CaptureError(f"{file} is not one vector of counts")
    if values.dtype.kind not in "iuf" or not np.isfinite(values).all() or values.min() < 0:
        raise CaptureError(f"{file} has entries that are no counts: give PowerInfer's file")
    whole = np.rint(values)
    if (whole != values).any():
        raise CaptureError(f"{file} has fractions, not counts: multiply by the number of tokens")
    if whole.max() > _MOST:
        raise CaptureError(f"{file} has a count of {whole.max():.3g}: give PowerInfer's file")
    return whole.astype(np.int64)


def hottest(counts: NDArray[np.int64], shares: Iterable[float] = (0.1, 0.2, 0.5)) -> list[float]:
    """Return what share of all activity the hottest shares of the neurons have, 0 if none fired."""
    falling = np.sort(counts)[::-1].astype(np.float64)
    total = falling.sum()
    taken = [round(share * len(falling)) for share in shares]
    return [float(falling[:count].sum() / total) if total else 0.0 for count in taken]
