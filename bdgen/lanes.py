# SPDX-License-Identifier: Apache-2.0
"""Compare 64 elements at a time into one 64-bit bitmap word: the compiled loops under `bdgen.scan`.

numba does not turn a loop over elements into mask compares, so the compare is written once as LLVM
vector instructions, which every processor has in some width (AVX-512: two compares for 64 16-bit
elements). Intrinsics and loops share this file because numba's cache watches the loop's file only.
"""

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from bdgen.compiled import entry, inner

LANES = 64
"""Elements compared at once: the bits of a bitmap word."""

_WORD_BYTES = LANES // 8
_INDEX = ir.IntType(32)
_WORD = ir.IntType(LANES)
_intrinsic: Any = numba.extending.intrinsic  # Any: callers leave out the typing context


@entry
def pack_magnitudes(values: NDArray[Any], _count: int, limit: int, bitmap: NDArray[Any]) -> bool:
    """Set bit i of `bitmap` iff the bits of float i, less the sign, are at least `limit`.

    `values` are unsigned words, `bitmap` a bit for each, in whole bytes; False if the two overlap.
    """
    return _pack(values, 0, (1 << values.itemsize * 8 - 1) - 1, limit - 1, bitmap)


@entry
def pack_integers(values: NDArray[Any], _count: int, limit: int, bitmap: NDArray[Any]) -> bool:
    """Set bit i of `bitmap` iff integer i is at least `limit` in magnitude, with limit >= 1.

    The integers in between are 2 * limit - 1 in a row, so one shift makes it one compare. `bitmap`
    has a bit for each, in whole bytes; False if it overlaps `values`.
    """
    mask = (1 << values.itemsize * 8) - 1
    return _pack(values, limit - 1, mask, min(2 * limit - 2, mask), bitmap)


@entry
def pack_nibbles(values: NDArray[Any], count: int, limit: int, bitmap: NDArray[Any]) -> bool:
    """Do as `pack_integers` for `count` 4-bit integers, two to a byte, the low nibble first."""
    if _overlap(values, bitmap):
        return False
    bias, mask, span = limit - 1, 15, 2 * limit - 2
    whole = count // LANES
    for word in range(whole):
        _compare_nibbles(values, word * LANES // 2, bias, mask, span, bitmap, word * _WORD_BYTES)
    for byte in range(whole * _WORD_BYTES, len(bitmap)):
        bits = 0
        for i in range(byte * 8, min(byte * 8 + 8, count)):
            nibble = values[i // 2] >> i % 2 * 4
            bits |= (((nibble + bias) & mask) > span) << i % 8
        bitmap[byte] = bits
    return True


@inner
def _pack(values: NDArray[Any], bias: int, mask: int, span: int, bitmap: NDArray[Any]) -> bool:
    """Set bit i of `bitmap` iff `((values[i] + bias) & mask) > span`; False if they overlap."""
    if _overlap(values, bitmap):
        return False
    count = len(values)
    whole = count // LANES
    for word in range(whole):
        _compare_elements(values, word * LANES, bias, mask, span, bitmap, word * _WORD_BYTES)
    for byte in range(whole * _WORD_BYTES, len(bitmap)):
        bits = 0
        for i in range(byte * 8, min(byte * 8 + 8, count)):
            bits |= (((values[i] + bias) & mask) > span) << i % 8
        bitmap[byte] = bits
    return True


@inner
def _overlap(values: NDArray[Any], bitmap: NDArray[Any]) -> bool:
    """Whether two contiguous arrays share a byte."""
    first, second = values.ctypes.data, bitmap.ctypes.data
    return first < second + bitmap.nbytes and second < first + values.nbytes


@_intrinsic
def _compare_elements(
    _context: Any, values: Any, at: Any, bias: Any, mask: Any, span: Any, bitmap: Any, byte: Any
) -> Any:
    """Compare `values[at : at + 64]`; write the word at `bitmap[byte : byte + 8]`."""
    lane = ir.IntType(values.dtype.bitwidth)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = _pointer(context, builder, signature.args[0], args[0], args[1])
        lanes = _load(builder, source, ir.VectorType(lane, LANES))
        _compare_and_store(context, builder, signature, args, lanes)
        return context.get_dummy_value()

    return types.void(values, at, bias, mask, span, bitmap, byte), codegen


@_intrinsic
def _compare_nibbles(
    _context: Any, values: Any, at: Any, bias: Any, mask: Any, span: Any, bitmap: Any, byte: Any
) -> Any:
    """Compare the 64 nibbles of `values[at : at + 32]`; write them at `bitmap[byte : byte + 8]`."""
    pairs_type = ir.VectorType(ir.IntType(8), LANES // 2)

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = _pointer(context, builder, signature.args[0], args[0], args[1])
        pairs = _load(builder, source, pairs_type)
        high = builder.lshr(pairs, ir.Constant(pairs_type, [4] * (LANES // 2)))
        order = [lane // 2 + lane % 2 * (LANES // 2) for lane in range(LANES)]
        lanes = builder.shuffle_vector(pairs, high, _indices(order))
        _compare_and_store(context, builder, signature, args, lanes)
        return context.get_dummy_value()

    return types.void(values, at, bias, mask, span, bitmap, byte), codegen


def _compare_and_store(context: Any, builder: Any, signature: Any, args: Any, lanes: Any) -> None:
    """Emit `((lanes + bias) & mask) > span` and store its 64 bits, wherever they fall."""
    bias, mask, span = (_splat(builder, value, lanes.type) for value in args[2:5])
    active = builder.icmp_unsigned(">", builder.and_(builder.add(lanes, bias), mask), span)
    target = _pointer(context, builder, signature.args[5], args[5], args[6])
    word = builder.bitcast(active, _WORD)
    builder.store(word, builder.bitcast(target, _WORD.as_pointer()), align=1)


def _load(builder: Any, source: Any, vector: ir.VectorType) -> Any:
    """Emit a load that asks for no alignment."""
    return builder.load(builder.bitcast(source, vector.as_pointer()), align=1)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """Emit the address of an element of a contiguous array."""
    return builder.gep(make_array(array_type)(context, builder, array).data, [index])


def _splat(builder: Any, value: Any, vector: ir.VectorType) -> Any:
    """Emit a vector that holds a 64-bit integer, cut to the lane's width, in every lane."""
    if value.type.width > vector.element.width:
        value = builder.trunc(value, vector.element)
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(_INDEX, 0))
    return builder.shuffle_vector(first, empty, _indices([0] * vector.count))


def _indices(order: list[int]) -> Any:
    """Make the constant lane order that a shuffle takes."""
    return ir.Constant(ir.VectorType(_INDEX, len(order)), order)
