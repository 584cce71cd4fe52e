# SPDX-License-Identifier: Apache-2.0
"""What a stream does to its two host buffers: how long they must be, and what must have arrived."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]


def _anything(source: Bytes, target: Bytes) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Payload:
    """Bytes that a stream may read and write, and whether what arrived is what was sent."""

    source_bytes: int = 0
    target_bytes: int = 0
    right: Callable[[Bytes, Bytes], bool] = _anything


NOTHING = Payload()
"""A stream that moves no data."""


def straight(nbytes: int) -> Payload:
    """The target begins as the source does."""
    return Payload(
        nbytes, nbytes, lambda source, target: np.array_equal(target[:nbytes], source[:nbytes])
    )


def rows(nbytes: int, row_bytes: int, stride: int) -> Payload:
    """Of every `stride` rows of the source the first arrives; `nbytes` in all."""

    def right(source: Bytes, target: Bytes) -> bool:
        sent = source[: nbytes * stride].reshape(-1, row_bytes * stride)[:, :row_bytes]
        return np.array_equal(target[:nbytes], sent.reshape(-1))

    return Payload(nbytes * stride, nbytes, right)
