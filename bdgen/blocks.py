# SPDX-License-Identifier: Apache-2.0
"""Bitmaps of uint64 words, eight words (512 rows) at a time, for `bdgen.progressions`.

Written as LLVM vector instructions, which every processor has in some width, because numba does
not find them in a loop whose start it cannot prove to be positive. For compiled code only; nothing
is checked: the caller's bitmaps reach nine words past the last bit that is asked for.
"""

from typing import Any

import numba.extending
from llvmlite import ir
from numba import types
from numba.np.arrayobj import make_array

BLOCK = 8
"""Bitmap words in a block."""

BLOCK_ROWS = 64 * BLOCK

_WORD = ir.IntType(64)
_BLOCK = ir.VectorType(_WORD, BLOCK)
_intrinsic: Any = numba.extending.intrinsic  # Any: callers leave out the typing context


@_intrinsic
def copy_block(_context: Any, bits: Any, bit: Any, at: Any) -> Any:
    """Copy the block from bit `bit` on to word `at` of the same array; whether a bit is set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _block_from(context, builder, signature.args[0], args[0], args[1])
        builder.store(block, _pointer(context, builder, signature.args[0], args[0], args[2]), 8)
        return _any_bit(builder, block)

    return types.boolean(bits, types.int64, types.int64), codegen


@_intrinsic
def conjoin_block(_context: Any, bits: Any, bit: Any, at: Any) -> Any:
    """Conjoin the block at word `at` with that from bit `bit` on; whether a bit is still set."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        block = _block_from(context, builder, signature.args[0], args[0], args[1])
        target = _pointer(context, builder, signature.args[0], args[0], args[2])
        block = builder.and_(block, builder.load(target, align=8))
        builder.store(block, target, 8)
        return _any_bit(builder, block)

    return types.boolean(bits, types.int64, types.int64), codegen


def _pointer(context: Any, builder: Any, kind: Any, array: Any, word: Any) -> Any:
    """Where word `word` of an array lies, as a block."""
    base = make_array(kind)(context, builder, array).data
    return builder.bitcast(builder.gep(base, [word]), _BLOCK.as_pointer())


def _block_from(context: Any, builder: Any, kind: Any, array: Any, bit: Any) -> Any:
    """The block from a bit of a bitmap on: two loads, a word apart, shifted together."""
    word = builder.lshr(bit, ir.Constant(_WORD, 6))
    shift = builder.and_(bit, ir.Constant(_WORD, 63))
    low = builder.load(_pointer(context, builder, kind, array, word), align=8)
    above = builder.add(word, ir.Constant(_WORD, 1))
    high = builder.load(_pointer(context, builder, kind, array, above), align=8)
    rest = builder.sub(ir.Constant(_WORD, 63), shift)
    once = ir.Constant(_BLOCK, [1] * BLOCK)
    raised = builder.shl(builder.shl(high, once), _splat(builder, rest))
    return builder.or_(builder.lshr(low, _splat(builder, shift)), raised)


def _splat(builder: Any, word: Any) -> Any:
    """A block of equal words."""
    block = ir.Constant(_BLOCK, ir.Undefined)
    one = builder.insert_element(block, word, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), BLOCK), [0] * BLOCK)
    return builder.shuffle_vector(one, block, lanes)


def _any_bit(builder: Any, block: Any) -> Any:
    """Whether any bit of a block is set."""
    name = f"llvm.vector.reduce.or.v{BLOCK}i64"
    kind = ir.FunctionType(_WORD, [_BLOCK])
    reduce = builder.module.globals.get(name) or ir.Function(builder.module, kind, name)
    return builder.icmp_unsigned("!=", builder.call(reduce, [block]), ir.Constant(_WORD, 0))
