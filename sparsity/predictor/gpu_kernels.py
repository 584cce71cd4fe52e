# SPDX-License-Identifier: Apache-2.0
"""The kernels of `gpu`, in numba's CUDA: to be imported late, since it imports CUDA at once.

One warp takes one row and strides over it, so that its loads are of neighbours, at any width. Sums
of a warp go through shared memory: the simulator has no shuffles, and loads are what takes time.
"""

from typing import Any

import numba.cuda
import numpy as np

cuda: Any = numba.cuda  # Any: its decorators and threads are untyped

WARP = 32
ROWS = 8
"""Rows, that is warps, in a block of threads."""
THREADS = WARP * ROWS


@cuda.jit(device=True)
def _total(values: Any, lane: Any, own: Any) -> Any:
    """Sum a warp's 32 values; every thread of the block has to call it."""
    step = WARP // 2
    while step > 0:
        cuda.syncthreads()
        if lane < step:
            values[own] += values[own + step]
        step //= 2
    cuda.syncthreads()
    return values[own - lane]


@cuda.jit
def predict(signs: Any, planes: Any, most: Any, skip: Any) -> None:
    """Set `skip` [rows] where the weighted count of minus signs is more than `most`."""
    sums = cuda.shared.array(THREADS, np.int32)
    lane = cuda.threadIdx.x
    own = cuda.threadIdx.y * WARP + lane
    row = cuda.blockIdx.x * ROWS + cuda.threadIdx.y
    minus = np.int32(0)
    if row < signs.shape[0]:
        for word in range(lane, signs.shape[1], WARP):
            bits = signs[row, word]
            for plane in range(planes.shape[0]):
                minus += cuda.popc(bits ^ planes[plane, word]) << plane
    sums[own] = minus
    found = _total(sums, lane, own)
    if lane == 0 and row < signs.shape[0]:
        skip[row] = found > most


@cuda.jit
def rows(weights: Any, x: Any, skip: Any, out: Any) -> None:
    """Fill `out` [rows] with `weights @ x`, zero where skipped; a skipped row is not loaded."""
    sums = cuda.shared.array(THREADS, np.float32)
    lane = cuda.threadIdx.x
    own = cuda.threadIdx.y * WARP + lane
    row = cuda.blockIdx.x * ROWS + cuda.threadIdx.y
    product = np.float32(0)
    if row < weights.shape[0] and not skip[row]:
        for column in range(lane, weights.shape[1], WARP):
            product += np.float32(weights[row, column]) * x[column]
    sums[own] = product
    found = _total(sums, lane, own)
    if lane == 0 and row < weights.shape[0]:
        out[row] = found


@cuda.jit
def down(weights: Any, a: Any, skip: Any, out: Any) -> None:
    """Add `a @ weights` without skipped rows to `out` [columns]; blocks' y share the rows."""
    column = cuda.blockIdx.x * THREADS + cuda.threadIdx.x
    if column < weights.shape[1]:
        product = np.float32(0)
        for row in range(cuda.blockIdx.y, weights.shape[0], cuda.gridDim.y):
            if not skip[row]:
                product += np.float32(weights[row, column]) * a[row]
        cuda.atomic.add(out, column, product)
