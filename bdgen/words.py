# SPDX-License-Identifier: Apache-2.0
"""Instructions that numba lacks: bits of 64-row bitmap words, and copies of words.

For compiled code only.
"""

from typing import Any

import numba.extending
import numpy as np
from llvmlite import ir
from numba import types
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from bdgen.compiled import inner

_WORD = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
_intrinsic: Any = numba.extending.intrinsic  # Any: callers leave out the typing context


@_intrinsic
def trailing_zeros(_context: Any, word: Any) -> Any:
    """Count the zero bits below the lowest set bit of a uint64; 64 for zero."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.int64(types.uint64), codegen


@_intrinsic
def set_bits(_context: Any, word: Any) -> Any:
    """Count the set bits of a uint64."""

    def codegen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        return builder.ctpop(args[0])

    return types.int64(types.uint64), codegen


@inner
def load_word(bitmap: NDArray[Any], word: int) -> np.uint64:
    """Load rows `64 * word` and on of a uint8 bitmap as a uint64; rows past its end are zero."""
    at = word * 8
    if at + 8 <= len(bitmap):
        return _load_eight(bitmap, at)
    bits = np.uint64(0)
    for byte in range(at, len(bitmap)):
        bits |= np.uint64(bitmap[byte]) << np.uint64((byte - at) * 8)
    return bits


@_intrinsic
def _load_eight(_context: Any, bitmap: Any, at: Any) -> Any:
    """Load `bitmap[at : at + 8]` as a little-endian uint64, at any alignment."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        base = make_array(signature.args[0])(context, builder, args[0]).data
        source = builder.gep(base, [args[1]])
        return builder.load(builder.bitcast(source, _WORD.as_pointer()), align=1)

    return types.uint64(bitmap, at), codegen


@_intrinsic
def copy_words(_context: Any, into: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """Copy `count` elements of an array, from flat place `start` on, to place `at` of another.

    Both are contiguous and of one element type; nothing is checked.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        target = make_array(signature.args[0])(context, builder, args[0])
        origin = make_array(signature.args[2])(context, builder, args[2])
        to = builder.bitcast(builder.gep(target.data, [args[1]]), _BYTES)
        of = builder.bitcast(builder.gep(origin.data, [args[3]]), _BYTES)
        nbytes = builder.mul(args[4], target.itemsize)
        copy = builder.module.declare_intrinsic("llvm.memcpy", [_BYTES, _BYTES, _WORD])
        builder.call(copy, [to, of, nbytes, ir.Constant(ir.IntType(1), 0)])
        return context.get_dummy_value()

    return types.void(into, types.int64, source, types.int64, types.int64), codegen
