# SPDX-License-Identifier: Apache-2.0
"""Real activations with the weights they select, as shipped: what the main job runs on.

`sparsity.capture_use_lite` writes the file once, `load_use_lite` reads it, `bdgen.scan` takes the
activation vector from here. One file is a zip of `.npy` arrays plus `metadata.json`: which model
and package, licences, which text with its sha256, and the sparsity of each layer.
"""

import io
import json
import os
import zipfile
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.npy import UNREADABLE, parse_npy, reason

FORMAT = 1
"""Version of the file's layout, in its metadata."""

_METADATA = "metadata.json"
_TIMESTAMP = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Sample:
    """One token's down projection: y = activation @ W_down."""

    w_down: NDArray[np.uint16]
    """[k, d] bfloat16 bits, one row per neuron: see `sparsity.bf16`."""
    activation: NDArray[np.float16]
    """[k], zero where the row is not wanted."""

    @property
    def mask(self) -> NDArray[np.bool_]:
        """[k], true where the row is wanted."""
        return self.activation != 0


@dataclass(frozen=True, slots=True)
class Capture:
    """The down projections of one model and the activations that went into them."""

    w_down: tuple[NDArray[np.uint16], ...]
    """Per layer [k, d], bfloat16 bits."""
    activations: tuple[NDArray[np.float16], ...]
    """Per layer [tokens, k], after ReLU."""
    metadata: dict[str, Any]
    """The JSON record of where all this comes from."""

    @property
    def layers(self) -> int:
        """Number of layers."""
        return len(self.w_down)

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return len(self.activations[0])

    def layer(self, layer: int, token: int) -> Sample:
        """Return the weights and the activation vector of one layer at one token.

        Raises:
            CaptureError: no such layer or token.
        """
        for what, number, count in (("layer", layer, self.layers), ("token", token, self.tokens)):
            if not 0 <= number < count:
                raise CaptureError(f"no {what} {number} in the capture: give 0 to {count - 1}")
        return Sample(self.w_down[layer], self.activations[layer][token])

    @property
    def text_tokens(self) -> int:
        """Tokens of each text that the model ran over by itself: full windows, all as long."""
        return self.tokens // len(self.metadata["captured"]["chunks"])

    def texts(self, layer: int) -> list[NDArray[np.float16]]:
        """Return one layer's activations, [tokens, k] of each text."""
        return np.split(self.activations[layer], self.tokens // self.text_tokens)

    def sparsity(self, layer: int) -> float:
        """Return the share of zeros in one layer's activations over all tokens."""
        return float(np.mean(self.activations[layer] == 0))


def load_use_lite() -> Capture:
    """Return the shipped capture of Universal Sentence Encoder Lite; its arrays are read-only.

    Raises:
        CaptureError: the file is missing from the installation, or is damaged.
    """
    shipped = resources.files("sparsity") / "data" / "use_lite.npz"
    try:
        data = shipped.read_bytes()
    except OSError as error:
        raise CaptureError(
            "sparsity/data/use_lite.npz is missing: install sparsebd anew"
        ) from error
    return decode(data)


def decode(data: bytes) -> Capture:
    """Return the capture in the bytes of a capture file.

    Raises:
        CaptureError: damaged, or of another format.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            metadata = json.loads(archive.read(_METADATA))
            if metadata["format"] != FORMAT:
                raise CaptureError(f"capture format {metadata['format']}: this is for {FORMAT}")
            layers = range(metadata["layers"])
            w_down = tuple(_read(archive, f"w_down_{layer}", np.uint16) for layer in layers)
            active = tuple(_read(archive, f"activations_{layer}", np.float16) for layer in layers)
    except CaptureError:
        raise
    except UNREADABLE as error:
        raise CaptureError(f"damaged capture, make it anew: {reason(error)}") from error
    capture = Capture(w_down, active, metadata)
    _check(capture)
    return capture


def _read(archive: zipfile.ZipFile, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """Return one array of the file, read-only."""
    array = parse_npy(archive.read(f"{name}.npy"))
    if array.dtype != dtype or array.ndim != 2:
        raise CaptureError(f"damaged capture: {name} is {array.ndim}-d {array.dtype}")
    array.setflags(write=False)
    return array


def _check(capture: Capture) -> None:
    """Refuse layers whose activations do not fit their weights or each other."""
    if not capture.layers:
        raise CaptureError("damaged capture: it has no layer")
    for layer, (w_down, activation) in enumerate(
        zip(capture.w_down, capture.activations, strict=True)
    ):
        if activation.shape != (capture.tokens, len(w_down)):
            raise CaptureError(
                f"damaged capture: layer {layer} has activations {activation.shape} for "
                f"{len(w_down)} rows and {capture.tokens} tokens"
            )


def encode(capture: Capture) -> bytes:
    """Return the bytes of a capture file; the same capture gives the same bytes.

    `format` and `layers` in the metadata are filled in here.
    """
    _check(capture)
    buffer = io.BytesIO()
    metadata = capture.metadata | {"format": FORMAT, "layers": capture.layers}
    with zipfile.ZipFile(buffer, "w") as archive:
        _add(archive, _METADATA, json.dumps(metadata, indent=1).encode() + b"\n")
        for kind, arrays in (("w_down", capture.w_down), ("activations", capture.activations)):
            for layer, array in enumerate(arrays):
                _add(archive, f"{kind}_{layer}.npy", _npy(array))
    return buffer.getvalue()


def _npy(array: NDArray[Any]) -> bytes:
    """Return an array as the bytes of a `.npy` file."""
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.ascontiguousarray(array), allow_pickle=False)
    return buffer.getvalue()


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a member that carries neither the time nor the machine it was made on."""
    member = zipfile.ZipInfo(name, _TIMESTAMP)
    member.create_system = 3
    member.external_attr = 0o644 << 16
    archive.writestr(member, data, zipfile.ZIP_DEFLATED, compresslevel=9)


def save(capture: Capture, path: Path) -> int:
    """Write a capture file whole or not at all; return its size in bytes."""
    data = encode(capture)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.write_bytes(data)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return len(data)
