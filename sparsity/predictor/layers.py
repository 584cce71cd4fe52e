# SPDX-License-Identifier: Apache-2.0
"""One FFN layer with inputs that it really gets: what predictors are made for and judged on.

From the shipped USE-lite (`use_lite_up`), from a model that runs here, from a file, or `made_up`.
"""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.bf16 import from_bf16
from sparsity.errors import CaptureError
from sparsity.models.interface import FfnModel, Tokens
from sparsity.npy import UNREADABLE, parse_npy, reason
from sparsity.recording.reading import is_recording

Matrix = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class FfnLayer:
    """Weights, one row per neuron, and inputs of some tokens in the order of the text."""

    name: str
    x: Matrix
    """[tokens, d], input of the FFN."""
    first: Matrix
    """[k, d], what the ReLU is after: W_gate, or W_up in an FFN without a gate."""
    down: Matrix
    """[k, d]"""
    up: Matrix | None = None
    """[k, d], of a gated FFN."""
    bias: Matrix | None = None
    """[k], added before the ReLU."""

    def __post_init__(self) -> None:
        k, d = self.first.shape
        shapes = {"x": self.x.shape[1:], "down": self.down.shape[1:]}
        if len(self.down) != k or any(shape != (d,) for shape in shapes.values()):
            raise CaptureError(
                f"{self.name}: x is {list(self.x.shape)}, first {list(self.first.shape)}, down "
                f"{list(self.down.shape)}: give [tokens, d], [k, d] and [k, d]"
            )
        if self.up is not None and self.up.shape != (k, d):
            raise CaptureError(f"{self.name}: up is {list(self.up.shape)}, not {[k, d]}")
        if self.bias is not None and self.bias.shape != (k,):
            raise CaptureError(f"{self.name}: bias is {list(self.bias.shape)}, not {[k]}")

    def before_relu(self) -> Matrix:
        """Return what goes into the ReLU, [tokens, k]."""
        product = self.x @ self.first.T
        return product if self.bias is None else product + self.bias

    def activations(self, before_relu: Matrix | None = None) -> Matrix:
        """Return the down projection's input, [tokens, k]; give `before_relu` if it is at hand."""
        opened = np.maximum(self.before_relu() if before_relu is None else before_relu, 0)
        return opened if self.up is None else opened * (self.x @ self.up.T)

    def part(self, tokens: slice) -> "FfnLayer":
        """Return the layer with some of its tokens."""
        return FfnLayer(self.name, self.x[tokens], self.first, self.down, self.up, self.bias)


def read_layer(path: str | PathLike[str], layer: int = 0) -> FfnLayer:
    """Read a layer from an `.npz`.

    Args:
        path: arrays `x` [tokens, d], `gate` or `up` or both [k, d], `down` [k, d], and if there is
            one `bias` [k]; floats, or bfloat16 bits as uint16. In a file of several layers the
            names end in `_0`, `_1` and so on.
        layer: which, in a file of several.

    Raises:
        CaptureError: unreadable, a recording, no such layer, or what `from_arrays` refuses.
    """
    source = Path(path)
    if is_recording(source):
        raise CaptureError(
            f"{source} is a recording, which has no weights and no inputs: name the model itself"
        )
    try:
        with zipfile.ZipFile(source) as file:
            members = {member.removesuffix(".npy"): member for member in file.namelist()}
            arrays = {
                name: parse_npy(file.read(member))
                for name, member in members.items()
                if _layer_of(name) in (None, layer)
            }
    except UNREADABLE as error:
        raise CaptureError(f"{source} cannot be read as an .npz: {reason(error)}") from error
    if layer and layer not in map(_layer_of, members):
        raise CaptureError(f"{source} has no layer {layer}: no array's name ends in _{layer}")
    return from_arrays({_plain(name): array for name, array in arrays.items()}, str(source))


def from_arrays(arrays: Mapping[str, NDArray[Any]], name: str) -> FfnLayer:
    """Make a layer from arrays named as in `read_layer`, without endings.

    Raises:
        CaptureError: an array missing, of an unfitting shape or type, or with a value that is not
            finite.
    """
    first = "gate" if "gate" in arrays else "up"
    lacking = [need for need in ("x", first, "down") if need not in arrays]
    if lacking:
        raise CaptureError(
            f"{name} lacks {' and '.join(lacking)}: give x, gate or up, and down of this layer"
        )
    values = {
        key: _floats(arrays[key], f"{name}: {key}")
        for key in ("x", "gate", "up", "down", "bias")
        if key in arrays
    }
    up = values.get("up") if first == "gate" else None
    for key in ("x", first, "down"):
        if values[key].ndim != 2:
            raise CaptureError(f"{name}: {key} is {list(values[key].shape)}, not a matrix")
    return FfnLayer(name, values["x"], values[first], values["down"], up, values.get("bias"))


def from_model(model: FfnModel, wanted: Sequence[int], windows: Sequence[Tokens]) -> list[FfnLayer]:
    """Run a model over windows of text once and keep the inputs of some layers' FFNs.

    An FFN layer here has a ReLU. Of a model with another activation function it is what the layer
    would be with one: a gate below zero counts as zero, which it nearly is.
    """
    heard: dict[int, list[Matrix]] = {layer: [] for layer in wanted}

    def hook(at: int, x: Matrix, *_rest: object) -> None:
        if at in heard:
            heard[at].append(np.array(x, np.float32))

    for window in windows:
        model.run(window, hook)
    return [_layer(model, layer, np.concatenate(heard[layer])) for layer in wanted]


def _layer(model: FfnModel, layer: int, inputs: Matrix) -> FfnLayer:
    weights = model.weights(layer)
    first, up = (weights.up, None) if weights.gate is None else (weights.gate, weights.up)
    bias = weights.bias_up if weights.gate is None else None
    name = f"{model.name} layer {layer}"
    if model.activation != "relu":
        name = f"{name}, its {model.activation} taken as a ReLU"
    return FfnLayer(name, inputs, first, weights.down, up, bias)


def _layer_of(name: str) -> int | None:
    """Layer that an array's name ends in."""
    stem, _, ending = name.rpartition("_")
    return int(ending) if stem and ending.isdecimal() else None


def _plain(name: str) -> str:
    return name if _layer_of(name) is None else name.rpartition("_")[0]


def _floats(array: NDArray[Any], what: str) -> Matrix:
    if array.dtype == np.uint16:
        values = from_bf16(array)
    elif array.dtype.kind == "f":
        with np.errstate(over="ignore"):  # refused below
            values = np.ascontiguousarray(array, np.float32)
    else:
        raise CaptureError(f"{what} is {array.dtype}: give floats, or bfloat16 bits as uint16")
    if not np.isfinite(values).all():
        raise CaptureError(f"{what} has a NaN or what float32 has no room for")
    return values
