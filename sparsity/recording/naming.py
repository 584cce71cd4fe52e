# SPDX-License-Identifier: Apache-2.0
"""Masks of a recording as a user names them: `FILE.npz:LAYER`, or `FILE.npz:LAYER:TOKEN`."""

from __future__ import annotations

import re
from os import PathLike, fspath
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import CaptureError
from sparsity.recorded import Recorded
from sparsity.recording.reading import Recording, read

_NAMED = re.compile(r"(?P<file>.+?):(?P<layer>\d{1,9})(:(?P<token>\d{1,9}))?", re.DOTALL | re.ASCII)


def is_named(path: str | PathLike[str]) -> bool:
    """Whether it has the form above and is not a file of that very name."""
    return not Path(path).exists() and _NAMED.fullmatch(fspath(path)) is not None


def layer_of(spec: str | PathLike[str]) -> int:
    """Return the layer that is named; CaptureError if none is."""
    return int(_match(spec)["layer"])


def recorded(spec: str | PathLike[str], neurons: int | None = None) -> Recorded:
    """Return a layer's masks, and values if they were kept, as `sparsity.permute` takes them.

    Args:
        spec: `FILE.npz:LAYER`.
        neurons: how many there have to be.

    Raises:
        CaptureError: a token is named too, another number of neurons, or what `read` refuses.
    """
    recording, layer = _all_tokens(spec, neurons)
    return recording.recorded(layer)


def texts(spec: str | PathLike[str]) -> list[NDArray[np.bool_]]:
    """Return a layer's masks, [tokens, k] of each text that the model ran over by itself.

    Args:
        spec: `FILE.npz:LAYER`.

    Raises:
        CaptureError: as `recorded`.
    """
    recording, layer = _all_tokens(spec, None)
    return recording.texts(layer)


def mask(spec: str | PathLike[str], neurons: int | None = None) -> NDArray[np.bool_]:
    """Return one token's mask, [k].

    Args:
        spec: `FILE.npz:LAYER:TOKEN`; without a token the first.
        neurons: how many there have to be.

    Raises:
        CaptureError: no such token, another number of neurons, or what `read` refuses.
    """
    recording, layer, token = _found(spec, neurons)
    return recording.token(layer, token or 0)


def _all_tokens(spec: str | PathLike[str], neurons: int | None) -> tuple[Recording, int]:
    recording, layer, token = _found(spec, neurons)
    if token is not None:
        raise CaptureError(f"{spec} is one token: give {recording.path}:{layer} for all of them")
    return recording, layer


def _found(spec: str | PathLike[str], neurons: int | None) -> tuple[Recording, int, int | None]:
    match = _match(spec)
    recording, layer = read(match["file"]), int(match["layer"])
    own = recording.neurons(layer)
    if neurons is not None and own != neurons:
        raise CaptureError(
            f"layer {layer} of {recording.path} has {own} neurons, the model has {neurons} rows: "
            "record the model that is asked for"
        )
    return recording, layer, None if match["token"] is None else int(match["token"])


def _match(spec: str | PathLike[str]) -> re.Match[str]:
    match = _NAMED.fullmatch(fspath(spec))
    if match is None:
        raise CaptureError(f"{spec} names no layer of a recording: give FILE.npz:LAYER")
    return match
