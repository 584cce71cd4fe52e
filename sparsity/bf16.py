# SPDX-License-Identifier: Apache-2.0
"""bfloat16 as uint16 words: numpy has no such type, and the NPU's weights are in it.

A bfloat16 is the upper half of a float32. Rounding is to nearest, ties to even, as AIE2's and
every framework's conversion does it.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

_QUIET_NAN_BIT = np.uint16(0x0040)


def to_bf16(values: ArrayLike) -> NDArray[np.uint16]:
    """Round float32 values to bfloat16, nearest with ties to even.

    Args:
        values: any shape; taken as float32.

    Returns:
        The bfloat16 bits, same shape. Values beyond the largest bfloat16 become infinity, as
        IEEE 754 rounding has it; a NaN stays a (quiet) NaN with its sign.
    """
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32).reshape(np.shape(values))
    upper = (bits >> np.uint32(16)).astype(np.uint16)
    half_less_one_plus_parity = np.uint32(0x7FFF) + (upper & np.uint16(1))
    is_nan = (bits & np.uint32(0x7FFFFFFF)) > np.uint32(0x7F800000)
    # A NaN would wrap around to zero or turn into infinity; its sum is computed and thrown away.
    rounded = ((bits.astype(np.uint64) + half_less_one_plus_parity) >> 16).astype(np.uint16)
    return np.where(is_nan, upper | _QUIET_NAN_BIT, rounded)


def from_bf16(bits: ArrayLike) -> NDArray[np.float32]:
    """Return the float32 values of bfloat16 bits; exact.

    Args:
        bits: uint16, any shape.
    """
    words = np.asarray(bits)
    if words.dtype != np.uint16:
        raise TypeError(f"bfloat16 bits are uint16, not {words.dtype}: make them with to_bf16")
    return (words.astype(np.uint32) << np.uint32(16)).view(np.float32)
