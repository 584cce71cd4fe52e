# SPDX-License-Identifier: Apache-2.0
"""Which neurons fired at which token, from a file or the shipped capture: before `permute`.

A permutation is made from some tokens and judged by others. Tokens of one text resemble their
neighbours, so the two parts are a cut in the recording's order, never a shuffle.
"""

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.capture import Capture
from sparsity.errors import CaptureError, MaskError
from sparsity.npy import UNREADABLE, parse_only_array, reason


@dataclass(frozen=True, slots=True, eq=False)
class Recorded:
    """One layer's masks over many tokens, in the order they were recorded in."""

    masks: NDArray[np.bool_]
    """[tokens, neurons], true where the neuron fired."""
    activations: NDArray[Any] | None = None
    """[tokens, neurons], where more than the masks was recorded."""

    def split(self, share: float) -> tuple["Recorded", "Recorded"]:
        """Cut into the first `share` of the tokens and the rest, each at least one token.

        Raises:
            MaskError: a share that is not between 0 and 1, or fewer than two tokens.
        """
        tokens = len(self.masks)
        if not 0 < share < 1:
            raise MaskError(
                f"share {share} of the tokens leaves one part empty: give 0 < share < 1"
            )
        if tokens < 2:
            raise MaskError(
                f"masks of {tokens} token: record at least 2, one to order by and one to judge by"
            )
        cut = min(max(round(share * tokens), 1), tokens - 1)
        return self[:cut], self[cut:]

    def __getitem__(self, tokens: slice) -> "Recorded":
        """Return some of the tokens."""
        activations = None if self.activations is None else self.activations[tokens]
        return Recorded(self.masks[tokens], activations)


def from_capture(capture: Capture, layer: int) -> Recorded:
    """Return one layer of a capture.

    Raises:
        CaptureError: no such layer.
    """
    if not 0 <= layer < capture.layers:
        raise CaptureError(f"no layer {layer} in the capture: give 0 to {capture.layers - 1}")
    activations = capture.activations[layer]
    return Recorded(activations != 0, activations)


def read_recorded(path: str | PathLike[str], neurons: int | None = None) -> Recorded:
    """Read the masks or activations of many tokens.

    Args:
        path: `.npy`, or `.npz` with a single array: [tokens, neurons] of bools, of integers that
            are all 0 or 1, or of floating-point activations, of which every one that is not zero
            fired; or uint8 [tokens, neurons / 8 rounded up], bitmaps as `bdgen.bitmap` has them
            (bit i % 8 of byte i // 8 is neuron i). Or `FILE.npz:LAYER` of a recording: see
            `sparsity.recording.naming`.
        neurons: how many the layer has; None for a column each, which no bitmap is.

    Raises:
        MaskError: unreadable file, no token, no neuron, another number of neurons, NaN, or values
            other than 0 and 1.
    """
    from sparsity.recording import naming  # which imports this module

    if naming.is_named(path):
        return naming.recorded(path, neurons)
    source = Path(path)
    try:
        array = parse_only_array(source.read_bytes())
    except UNREADABLE as error:
        raise MaskError(f"{source} cannot be read as a numpy array: {reason(error)}") from error
    if array.dtype.kind not in "biuf":
        raise MaskError(f"{source} holds {array.dtype}: save bools or numbers, [tokens, neurons]")
    if array.ndim != 2:
        raise MaskError(f"{source} has shape {array.shape}: save one layer, [tokens, neurons]")
    if not len(array):
        raise MaskError(f"{source} has no token: record at least 2")
    if not array.shape[1]:
        raise MaskError(f"{source} has no neuron: save one layer, [tokens, neurons]")
    return _recorded(array, array.shape[1] if neurons is None else neurons, source)


def _recorded(array: NDArray[Any], neurons: int, source: Path) -> Recorded:
    """Take the array for what its type and width say."""
    packed = -(-neurons // 8)
    if array.shape[1] == packed != neurons and array.dtype == np.uint8:
        return Recorded(_unpacked(array, neurons, source))
    if array.shape[1] != neurons:
        raise MaskError(
            f"{source} has {array.shape[1]} columns, the weights have {neurons} rows: give one "
            f"column per neuron, or uint8 bitmaps of {packed} bytes"
        )
    if array.dtype.kind == "f":
        return _from_activations(array, source)
    if array.dtype == np.bool_:
        return Recorded(array)
    odd = np.argwhere((array != 0) & (array != 1))
    if odd.size:
        token, neuron = odd[0]
        raise MaskError(
            f"{source} has {array[token, neuron]} for neuron {neuron} at token {token}: an integer "
            "mask is 0 and 1 only, save quantised activations as `values != 0`"
        )
    return Recorded(array.astype(np.bool_))


def _from_activations(array: NDArray[Any], source: Path) -> Recorded:
    bad = np.argwhere(~np.isfinite(array))
    if bad.size:
        token, neuron = bad[0]
        raise MaskError(
            f"{source} has {array[token, neuron]} for neuron {neuron} at token {token}: find out "
            "where the model made it"
        )
    return Recorded(array != 0, array)


def _unpacked(array: NDArray[Any], neurons: int, source: Path) -> NDArray[np.bool_]:
    if neurons % 8 and (array[:, -1] >> neurons % 8).any():
        raise MaskError(
            f"{source} marks neurons past the last of {neurons}: give the bitmaps of this layer, "
            "with their unused bits clear"
        )
    return np.unpackbits(array, axis=1, count=neurons, bitorder="little").view(np.bool_)
