# SPDX-License-Identifier: Apache-2.0
"""Scan of an activation vector into a bitmap, beside a memcpy of the vector.

The limit is reading the vector once. Below about 20 KB the fixed cost of a call (checks, and
numba's dispatch) is most of the time, which the scan of an empty vector shows.
"""

import numpy as np
import pytest

from bdgen.bitmap import bitmap_bytes
from bdgen.scan import scan

LENGTHS = {"llama-7b": 11008, "falcon-7b": 18176}
DENSITY = 0.11


def activations(name, count):
    """Gated ReLU outputs at the density of ProSparse-7B: idle rows hold 0.0 and -0.0."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal(count).astype(np.float32)
    values = np.where(rng.random(count) < DENSITY, values, np.copysign(np.float32(0), values))
    if name == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    if name == "fp16":
        return values.astype(np.float16)
    if name == "fp32":
        return values
    integers = np.clip(np.rint(values * 40), -128, 127).astype(np.int8)
    if name == "int8":
        return integers
    nibbles = (integers >> 4).view(np.uint8) & 15
    return nibbles[::2] | nibbles[1::2] << 4


@pytest.mark.parametrize("threshold", [0.0, 0.5])
@pytest.mark.parametrize("name", ["bf16", "fp16", "fp32", "int8", "int4"])
@pytest.mark.parametrize("count", LENGTHS.values(), ids=LENGTHS.keys())
def test_scan(against_memcpy, count, name, threshold):
    values = activations(name, count)
    out = np.empty(bitmap_bytes(count), np.uint8)
    against_memcpy(lambda: scan(values, dtype=name, threshold=threshold, out=out), values)


def test_scan_of_nothing(against_memcpy):
    values, out = np.empty(0, np.uint16), np.empty(0, np.uint8)
    against_memcpy(lambda: scan(values, dtype="bf16", out=out), values)
