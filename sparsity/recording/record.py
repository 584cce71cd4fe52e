# SPDX-License-Identifier: Apache-2.0
"""Writes a recording while a model runs, in memory that does not grow with the text.

The file is written under another name beside its own and renamed when it is whole. See
`sparsity.recording.layout` for what is in it.
"""

from __future__ import annotations

import io
import os
import secrets
import zipfile
from collections.abc import Mapping
from itertools import pairwise
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.recording import layout
from sparsity.recording.moments import Moments
from sparsity.thresholds.quantiles import MagnitudeHistogram

_TIMESTAMP = (1980, 1, 1, 0, 0, 0)
_COMPRESSION = 1
"""zlib's fastest: masks shrink by about what their sparsity allows, at any level."""


def check_target(path: str | PathLike[str]) -> None:
    """Refuse a path that a finished recording must not replace: a folder, a device, a pipe.

    Raises:
        CaptureError: it is there and no file.
    """
    target = Path(path)
    if target.exists() and not target.is_file():
        raise CaptureError(f"cannot record to {target}: it is no file, name one")


class _Summary(NamedTuple):
    """What is known of a layer that was not recorded here."""

    histogram: MagnitudeHistogram | None
    counts: NDArray[np.int64] | None


class _Layer:
    """What one layer has been heard to say, and what of it is not yet in the file."""

    def __init__(self, neurons: int, threshold: float | None, keep_values: bool) -> None:
        self.neurons = neurons
        self.threshold = threshold
        self.histogram = MagnitudeHistogram()
        self.moments = Moments()
        self.counts = np.zeros(neurons, np.int64)
        self.tokens = 0
        self.chunks = 0
        self.masks = np.zeros((layout.CHUNK, -(-neurons // 8)), np.uint8)
        self.values = np.zeros((layout.CHUNK, neurons), np.float16) if keep_values else None

    @property
    def waiting(self) -> int:
        """Tokens in the chunk that is not full yet."""
        return self.tokens - self.chunks * layout.CHUNK


class Recorder:
    """A recording in the making: a context manager; the file is there when the block is left."""

    def __init__(
        self,
        path: str | PathLike[str],
        model: str,
        *,
        thresholds: Mapping[int, float] | None = None,
        keep_values: bool = False,
        source: Mapping[str, Any] | None = None,
    ) -> None:
        """Start a file.

        Args:
            path: where the recording goes, usually `.npz`.
            model: its name.
            thresholds: by layer; what is nearer to zero counts as not active.
            keep_values: whether to keep the activations themselves, as float16.
            source: where they come from, in words, for the metadata.

        Raises:
            CaptureError: a threshold that is no finite number from 0 on, or what `check_target`
                refuses.
        """
        check_target(path)
        for layer, threshold in (thresholds or {}).items():
            if not 0 <= threshold < float("inf"):
                raise CaptureError(
                    f"the threshold of layer {layer} is {threshold}: give a finite one, 0 or more"
                )
        self._target = Path(os.path.realpath(path))
        self._draft = self._target.with_name(f".{self._target.name}.{secrets.token_hex(4)}")
        self._model = model
        self._thresholds = dict(thresholds or {})
        self._keep_values = keep_values
        self._source = dict(source or {})
        self._layers: dict[int, _Layer] = {}
        self._summaries: dict[int, _Summary] = {}
        self._text_ends: list[int] = []
        self._archive = zipfile.ZipFile(
            self._draft, "x", zipfile.ZIP_DEFLATED, compresslevel=_COMPRESSION
        )

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if kind is None:
                self._finish()
            self._archive.close()
            if kind is None:
                self._draft.replace(self._target)
        finally:
            self._archive.close()
            self._draft.unlink(missing_ok=True)

    def add(self, layer: int, values: NDArray[Any]) -> None:
        """Record a layer's next tokens.

        Args:
            layer: its number in the model, from 0.
            values: [tokens, neurons], input of the down projection.

        Raises:
            CaptureError: no such layer, another number of neurons than before, or a value that is
                not finite or, where values are kept, larger than float16 holds.
        """
        exact = np.ascontiguousarray(values, np.float32)
        own = self._layer(layer, exact)
        _check(layer, exact, self._keep_values)
        active = exact != 0
        if own.threshold is not None:
            active &= np.abs(exact) >= np.float32(own.threshold)
        own.moments.add(exact, active)
        own.histogram.add(exact)
        own.counts += np.count_nonzero(active, axis=0)
        packed = np.packbits(active, axis=1, bitorder="little")
        for first in range(0, len(exact), layout.CHUNK):
            self._fill(layer, own, packed[first:][: layout.CHUNK], exact[first:][: layout.CHUNK])

    def end_text(self) -> None:
        """Say that the model begins anew: no token so far is the neighbour of one that follows."""
        self._text_ends.append(max((own.tokens for own in self._layers.values()), default=0))

    def summarise(
        self,
        layer: int,
        histogram: MagnitudeHistogram | None = None,
        counts: NDArray[np.int64] | None = None,
    ) -> None:
        """Enter a layer of which no more than this is known; not one that `add` was called for."""
        self._summaries[layer] = _Summary(histogram, counts)

    def _layer(self, layer: int, values: NDArray[np.float32]) -> _Layer:
        if layer < 0:
            raise CaptureError(f"there is no layer {layer}: count from 0")
        if values.ndim != 2 or not values.shape[1]:
            raise CaptureError(
                f"layer {layer}: activations of shape {list(values.shape)}: give [tokens, neurons]"
            )
        if layer not in self._layers:
            threshold = self._thresholds.get(layer)
            self._layers[layer] = _Layer(values.shape[1], threshold, self._keep_values)
        own = self._layers[layer]
        if values.shape[1] != own.neurons:
            raise CaptureError(
                f"layer {layer} has {own.neurons} neurons, {values.shape[1]} came: record one "
                "model at a time"
            )
        return own

    def _fill(
        self, layer: int, own: _Layer, packed: NDArray[np.uint8], exact: NDArray[np.float32]
    ) -> None:
        """Put at most a chunk of tokens into the buffers; write those that are full."""
        room = layout.CHUNK - own.waiting
        for part in (slice(room), slice(room, None)):
            count = len(packed[part])
            at = slice(own.waiting, own.waiting + count)
            own.masks[at] = packed[part]
            if own.values is not None:
                own.values[at] = exact[part]
            own.tokens += count
            if own.waiting == layout.CHUNK:
                self._flush(layer, own)

    def _flush(self, layer: int, own: _Layer) -> None:
        count = own.waiting
        self._write(layout.masks_name(layer, own.chunks), own.masks[:count])
        if own.values is not None:
            self._write(layout.values_name(layer, own.chunks), own.values[:count])
        own.chunks += 1

    def _finish(self) -> None:
        for layer, own in sorted(self._layers.items()):
            if own.waiting:
                self._flush(layer, own)
        for layer, each in sorted((self._layers | self._summaries).items()):
            if each.counts is not None:
                self._write(layout.counts_name(layer), each.counts)
            if each.histogram is not None:
                self._write(layout.histogram_name(layer), each.histogram.counts)
        layers = [_about(layer, own) for layer, own in self._layers.items()]
        layers += [_about_summary(layer, own) for layer, own in self._summaries.items()]
        tokens = self._tokens()
        about = layout.About(
            model=self._model,
            tokens=tokens,
            texts=self._texts(tokens),
            keeps_values=self._keep_values,
            source=self._source,
            layers=tuple(sorted(layers, key=lambda each: each.layer)),
        )
        self._write_bytes(layout.METADATA, (about.model_dump_json(indent=1) + "\n").encode())

    def _texts(self, tokens: int | None) -> tuple[int, ...]:
        """Tokens of each text, if anybody said where texts end."""
        if not tokens or not self._text_ends:
            return ()
        ends = sorted({0, *self._text_ends, tokens})
        return tuple(after - before for before, after in pairwise(ends))

    def _tokens(self) -> int | None:
        """How many tokens were recorded; None where only summaries were entered."""
        if self._summaries and not self._layers:
            return None
        tokens = sorted({own.tokens for own in self._layers.values()})
        if not tokens or not tokens[0]:
            raise CaptureError("no token was recorded: run the model over at least one")
        if len(tokens) > 1:
            raise CaptureError(f"layers have {tokens} tokens: record all over one text")
        return tokens[0]

    def _write(self, name: str, array: NDArray[Any]) -> None:
        data = io.BytesIO()
        np.lib.format.write_array(data, np.ascontiguousarray(array), allow_pickle=False)
        self._write_bytes(name, data.getvalue())

    def _write_bytes(self, name: str, data: bytes) -> None:
        member = zipfile.ZipInfo(name, _TIMESTAMP)
        member.compress_type = zipfile.ZIP_DEFLATED
        self._archive.writestr(member, data, compresslevel=_COMPRESSION)


def _check(layer: int, values: NDArray[np.float32], keep: bool) -> None:
    if not np.isfinite(values).all():
        token, neuron = np.argwhere(~np.isfinite(values))[0]
        raise CaptureError(
            f"layer {layer} has {values[token, neuron]} for neuron {neuron}: find out where the "
            "model made it"
        )
    if keep and (largest := np.abs(values).max(initial=0)) >= 65520:  # rounds to infinity
        raise CaptureError(
            f"layer {layer} has a magnitude of {largest:.4g}, more than float16 holds: record "
            "without keeping values"
        )


def _about(layer: int, own: _Layer) -> layout.LayerAbout:
    return layout.LayerAbout(
        layer=layer,
        neurons=own.neurons,
        threshold=own.threshold,
        statistics=own.moments.statistics(),
    )


def _about_summary(layer: int, own: _Summary) -> layout.LayerAbout:
    return layout.LayerAbout(
        layer=layer,
        neurons=None if own.counts is None else len(own.counts),
        has_masks=False,
        has_counts=own.counts is not None,
        has_histogram=own.histogram is not None,
    )
