# SPDX-License-Identifier: Apache-2.0
"""Reads a recording, a member at a time: `read(path).masks(3)`, `.threshold(3, 0.5)`, ..."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from sparsity.errors import CaptureError
from sparsity.npy import UNREADABLE, parse_npy, reason
from sparsity.recorded import Recorded
from sparsity.recording import layout
from sparsity.recording.layout import About, LayerAbout
from sparsity.recording.moments import Statistics
from sparsity.thresholds.quantiles import MagnitudeHistogram

_HEADER_BYTES = 4096
"""Of a `.npy` file, and some to spare."""
_WIDEST_BYTES = 8
"""Of an element, also of one of the wrong type."""
_METADATA_BYTES = 64 << 20
"""Of the metadata, at most: some hundred bytes a layer."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording's metadata, and its arrays as they are asked for; nothing else is kept."""

    path: Path
    about: About

    @property
    def layers(self) -> tuple[int, ...]:
        """Numbers of the layers recorded, ascending."""
        return tuple(each.layer for each in self.about.layers)

    @property
    def tokens(self) -> int:
        """Tokens recorded.

        Raises:
            CaptureError: the recording was made from a file that does not say.
        """
        if self.about.tokens is None:
            raise CaptureError(f"{self.path} does not say how many tokens it is of")
        return self.about.tokens

    def layer(self, layer: int) -> LayerAbout:
        """What the metadata says of a layer.

        Raises:
            CaptureError: it was not recorded.
        """
        for each in self.about.layers:
            if each.layer == layer:
                return each
        known = ", ".join(map(str, self.layers))
        raise CaptureError(f"{self.path} has no layer {layer}: choose from {known}")

    def neurons(self, layer: int) -> int:
        """Neurons of a layer; CaptureError for one that was not recorded, or if nothing says."""
        neurons = self.layer(layer).neurons
        if neurons is None:
            raise CaptureError(f"{self.path} does not say how many neurons layer {layer} has")
        return neurons

    def chunks(self, layer: int) -> Iterator[NDArray[np.bool_]]:
        """Yield a layer's masks in parts of [tokens, k] at most `about.chunk` tokens long.

        Raises:
            CaptureError: not recorded, or a damaged file.
        """
        self._has(layer, "has_masks", "masks")
        for chunk in range(len(self._sizes())):
            yield self._chunk(layer, chunk)

    def masks(self, layer: int) -> NDArray[np.bool_]:
        """Return which neurons were active, [tokens, k]; errors as `chunks`."""
        return np.concatenate(list(self.chunks(layer)))

    def texts(self, layer: int) -> list[NDArray[np.bool_]]:
        """Return the masks of each text that the model ran over by itself; errors as `chunks`."""
        return np.split(self.masks(layer), np.cumsum(self.about.texts[:-1], dtype=int))

    def token(self, layer: int, token: int) -> NDArray[np.bool_]:
        """Return which neurons were active at one token, [k]; errors as `chunks`."""
        self._has(layer, "has_masks", "masks")
        if not 0 <= token < self.tokens:
            raise CaptureError(f"{self.path} has tokens 0 to {self.tokens - 1}, not {token}")
        chunk, at = divmod(token, self.about.chunk)
        return self._chunk(layer, chunk)[at]

    def values(self, layer: int) -> NDArray[np.float16]:
        """Return the activations themselves, [tokens, k].

        Raises:
            CaptureError: not recorded, not kept, or a damaged file.
        """
        neurons = self.neurons(layer)
        if not self.about.keeps_values:
            raise CaptureError(f"{self.path} has no values: record them with --keep-values")
        parts = [
            self._read(layout.values_name(layer, chunk), np.float16, (size, neurons))
            for chunk, size in enumerate(self._sizes())
        ]
        return np.concatenate(parts)

    def counts(self, layer: int) -> NDArray[np.int64]:
        """Return at how many tokens each neuron was active, [k]; errors as `chunks`."""
        self._has(layer, "has_counts", "counts")
        return self._read(layout.counts_name(layer), np.int64, (self.neurons(layer),))

    def histogram(self, layer: int) -> MagnitudeHistogram:
        """Return a layer's magnitudes, counted; errors as `chunks`."""
        self._has(layer, "has_histogram", "histogram")
        histogram = MagnitudeHistogram()
        shape = histogram.counts.shape
        histogram.counts = self._read(layout.histogram_name(layer), np.int64, shape)
        return histogram

    def statistics(self, layer: int) -> Statistics:
        """Return a layer's statistics; CaptureError where they are not recorded."""
        found = self.layer(layer).statistics
        if found is None:
            raise CaptureError(f"{self.path} has no statistics of layer {layer}")
        return found

    def threshold(self, layer: int, sparsity: float) -> float:
        """Return the magnitude that a share `sparsity` is below, as `MagnitudeHistogram` does."""
        return self.histogram(layer).threshold(sparsity)

    def recorded(self, layer: int) -> Recorded:
        """Return masks, and values if they were kept, as `sparsity.permute` takes them."""
        values = self.values(layer) if self.about.keeps_values else None
        return Recorded(self.masks(layer), values)

    def _chunk(self, layer: int, chunk: int) -> NDArray[np.bool_]:
        neurons = self.neurons(layer)
        shape = self._sizes()[chunk], -(-neurons // 8)
        packed = self._read(layout.masks_name(layer, chunk), np.uint8, shape)
        tail = neurons % 8
        if tail and (packed[:, -1] >> tail).any():
            raise self._damaged(f"layer {layer} has masks past its last neuron")
        return np.unpackbits(packed, axis=1, count=neurons, bitorder="little").view(np.bool_)

    def _sizes(self) -> list[int]:
        """Tokens of each chunk."""
        tokens, chunk = self.tokens, self.about.chunk
        return [min(chunk, tokens - first) for first in range(0, tokens, chunk)]

    def _has(self, layer: int, flag: str, what: str) -> None:
        if not getattr(self.layer(layer), flag):
            raise CaptureError(f"{self.path} has no {what} of layer {layer}: record the model")

    def _read(self, name: str, dtype: type[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        try:
            with zipfile.ZipFile(self.path) as archive:
                most = math.prod(shape) * _WIDEST_BYTES + _HEADER_BYTES
                array = parse_npy(_member(archive, name, most))
        except UNREADABLE as error:
            raise self._damaged(f"{name}: {reason(error)}") from error
        if array.dtype != dtype or array.shape != shape:
            raise self._damaged(
                f"{name} is {array.dtype} {list(array.shape)}, not {np.dtype(dtype)} {list(shape)}"
            )
        return array

    def _damaged(self, what: str) -> CaptureError:
        return CaptureError(f"{self.path} is damaged, record anew ({what})")


def _member(archive: zipfile.ZipFile, name: str, most_bytes: int) -> bytes:
    """Return a member's bytes, unless they would be more than it can have."""
    size = archive.getinfo(name).file_size
    if size > most_bytes:
        raise ValueError(f"it has {size} bytes, not at most {most_bytes}")
    return archive.read(name)


def is_recording(path: str | PathLike[str]) -> bool:
    """Whether a file looks like a recording, whole or damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            return layout.FORMAT.encode() in _member(archive, layout.METADATA, _METADATA_BYTES)
    except UNREADABLE:
        return False


def read(path: str | PathLike[str]) -> Recording:
    """Open a recording; arrays are read, and checked, when they are asked for.

    Raises:
        CaptureError: no file, not a recording, of another version, or damaged.
    """
    source = Path(path)
    try:
        with zipfile.ZipFile(source) as archive:
            names = set(archive.namelist())
            text = _member(archive, layout.METADATA, _METADATA_BYTES)
    except UNREADABLE as error:
        raise CaptureError(
            f"{source} is not a recording of `sparsebd sparsity capture`: {reason(error)}"
        ) from error
    try:
        about = About.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise CaptureError(
            f"{source} is not a recording that this version reads: {where}: {first['msg']}"
        ) from error
    recording = Recording(source, about)
    if len(set(recording.layers)) < len(recording.layers):
        raise CaptureError(f"{source} is damaged, record anew: a layer is there twice")
    if -(-(about.tokens or 0) // about.chunk) <= len(names):
        lacking = sorted(_expected(recording) - names)
    else:
        lacking = ["most chunks"]
    if lacking:
        raise CaptureError(f"{source} is damaged, record anew: it lacks {lacking[0]}")
    return recording


def _expected(recording: Recording) -> set[str]:
    """Names of the members that the metadata promises."""
    names: set[str] = set()
    for each in recording.about.layers:
        if each.has_masks and recording.about.tokens is not None:
            chunks = range(len(recording._sizes()))
            names |= {layout.masks_name(each.layer, chunk) for chunk in chunks}
            if recording.about.keeps_values:
                names |= {layout.values_name(each.layer, chunk) for chunk in chunks}
        if each.has_counts:
            names.add(layout.counts_name(each.layer))
        if each.has_histogram:
            names.add(layout.histogram_name(each.layer))
    return names
