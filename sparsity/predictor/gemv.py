# SPDX-License-Identifier: Apache-2.0
"""The FFN's products with skip flags: a row that is skipped is neither read nor computed.

After `predict`. Every result is independent of how many threads there are and of what is skipped:
a kept row's dot product is summed in one order, and the down projection adds rows in rising order
to each column, columns being what threads share. So skipping leaves the very bits of kept rows,
and no atomic addition is needed where the paper's GPU kernel needs one.
"""

from typing import Any

import numba
import numba.extending
import numpy as np
from llvmlite import ir
from numba import prange, types
from numpy.typing import NDArray

from sparsity.errors import ShapeError

_intrinsic: Any = numba.extending.intrinsic  # Any: callers leave out the typing context
_njit: Any = numba.njit
_REORDER = {"reassoc", "nsz", "contract"}
"""What lets a sum be computed in vectors; the order is still one, made when it is compiled."""
_ROWS = 64
_COLUMNS = 256
"""The least that a thread takes of every row."""
Floats = NDArray[np.float32]


@_intrinsic
def _value(_context: Any, weight: Any) -> Any:
    """A float32 as it is, or the value of bfloat16 bits."""

    def keep(_context: Any, _builder: Any, _signature: Any, args: Any) -> Any:
        return args[0]

    def widen(_context: Any, builder: Any, _signature: Any, args: Any) -> Any:
        whole = builder.zext(args[0], ir.IntType(32))
        return builder.bitcast(builder.shl(whole, ir.Constant(whole.type, 16)), ir.FloatType())

    return types.float32(weight), widen if weight == types.uint16 else keep


@_njit(nogil=True, fastmath=_REORDER)
def _dot(weights: Any, row: Any, x: Any) -> Any:
    total = np.float32(0)
    for column in range(len(x)):
        total += _value(weights[row, column]) * x[column]
    return total


@_njit(nogil=True, parallel=True, cache=True)
def _rows(weights: Any, x: Any, skip: Any, out: Any) -> None:
    for block in prange((len(out) + _ROWS - 1) // _ROWS):
        for row in range(block * _ROWS, min((block + 1) * _ROWS, len(out))):
            out[row] = np.float32(0) if skip[row] else _dot(weights, row, x)


@_njit(nogil=True, parallel=True, cache=True)
def _gated(gate: Any, up: Any, x: Any, bias: Any, skip: Any, out: Any, closed: Any) -> None:
    for block in prange((len(out) + _ROWS - 1) // _ROWS):
        for row in range(block * _ROWS, min((block + 1) * _ROWS, len(out))):
            out[row] = np.float32(0)
            closed[row] = True
            if not skip[row]:
                opened = _dot(gate, row, x) + bias[row]
                if not opened <= 0:  # a NaN is not lost
                    closed[row] = False
                    out[row] = opened * _dot(up, row, x)


@_njit(nogil=True)
def _add(weights: Any, active: Any, a: Any, first: Any, out: Any) -> None:
    """Add rows to the columns from `first` on: one by one, in order, but four to a load of out."""
    end = first + len(out)
    fours = len(active) // 4 * 4
    for place in range(0, fours, 4):
        a0, a1, a2, a3 = (
            a[active[place]],
            a[active[place + 1]],
            a[active[place + 2]],
            a[active[place + 3]],
        )
        w0, w1 = weights[active[place], first:end], weights[active[place + 1], first:end]
        w2, w3 = weights[active[place + 2], first:end], weights[active[place + 3], first:end]
        for column in range(len(out)):
            total = out[column] + a0 * _value(w0[column])
            total = total + a1 * _value(w1[column])
            total = total + a2 * _value(w2[column])
            out[column] = total + a3 * _value(w3[column])
    for place in range(fours, len(active)):
        share, row = a[active[place]], weights[active[place], first:end]
        for column in range(len(out)):
            out[column] += share * _value(row[column])


@_njit(nogil=True, parallel=True, cache=True)
def _down(weights: Any, active: Any, a: Any, columns: Any, out: Any) -> None:
    for block in prange((len(out) + columns - 1) // columns):
        first = block * columns
        own = np.zeros(min(columns, len(out) - first), np.float32)
        _add(weights, active, a, first, own)
        out[first : first + len(own)] = own


def rows_times(weights: NDArray[Any], x: Floats, skip: NDArray[np.bool_]) -> Floats:
    """Return `weights @ x` [k] with zero in the rows to skip: gate and up projections.

    Args:
        weights: float32, or bfloat16 bits as uint16, [k, d], rows contiguous.
        x: float32 [d].
        skip: bool [k].

    Raises:
        ShapeError: types or shapes that do not fit.
    """
    _check(weights, x, skip)
    out = np.empty(len(skip), np.float32)
    _rows(weights, x, skip, out)
    return out


def gated_rows(
    gate: NDArray[Any], up: NDArray[Any], x: Floats, bias: Floats, skip: NDArray[np.bool_]
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return relu(gate @ x + bias) * (up @ x) [k] in one pass: the paper's fused kernel (+KF).

    A row of `up` is not read where the gate came out closed (+AS). Arguments and errors as in
    `rows_times`; bias is float32 [k].

    Returns:
        The products, and which rows of `up` were not read.
    """
    _check(gate, x, skip)
    _check(up, x, skip)
    check_vector(bias, len(skip), "bias")
    out, closed = np.empty(len(skip), np.float32), np.empty(len(skip), np.bool_)
    _gated(gate, up, x, bias, skip, out, closed)
    return out, closed


def down_times(weights: NDArray[Any], a: Floats, skip: NDArray[np.bool_]) -> Floats:
    """Return `a @ weights` [d] without the rows to skip: the down projection, a row per neuron.

    Args:
        weights: float32, or bfloat16 bits as uint16, [k, d].
        a: float32 [k].
        skip: bool [k]; give `a == 0` too, such rows add nothing.

    Raises:
        ShapeError: types or shapes that do not fit.
    """
    _check_matrix(weights)
    check_vector(a, len(weights), "activations")
    _check_flags(skip, len(weights))
    out = np.empty(weights.shape[1], np.float32)
    columns = max(-(-len(out) // numba.get_num_threads()), _COLUMNS)
    _down(weights, np.flatnonzero(~skip), a, columns, out)
    return out


def _check(weights: NDArray[Any], x: NDArray[Any], skip: NDArray[Any]) -> None:
    _check_matrix(weights)
    check_vector(x, weights.shape[1], "input")
    _check_flags(skip, len(weights))


def _check_matrix(weights: NDArray[Any]) -> None:
    if weights.ndim != 2 or weights.dtype not in (np.float32, np.uint16):
        raise ShapeError(
            f"weights of {weights.dtype} {list(weights.shape)} are not supported: give float32, or "
            "bfloat16 bits as uint16, one row per neuron"
        )


def check_vector(values: NDArray[Any], length: int, what: str) -> None:
    """Refuse what is not float32 [length]."""
    if values.dtype != np.float32 or values.shape != (length,):
        raise ShapeError(f"{what} of {values.dtype} {list(values.shape)}: give float32 [{length}]")


def _check_flags(skip: NDArray[Any], rows: int) -> None:
    if skip.dtype != np.bool_ or skip.shape != (rows,):
        raise ShapeError(f"flags of {skip.dtype} {list(skip.shape)}: give bools [{rows}]")
