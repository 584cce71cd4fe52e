# SPDX-License-Identifier: Apache-2.0
"""The predictor and the sparse products on an NVIDIA GPU: the paper's kernels, in numba's CUDA.

An optional extra: nothing else imports this, and CUDA is imported when something here is first
used. Words are 32 bits as in the paper, two to one of `signs`, but a row may have any number of
them. Decisions equal the processor's bit for bit; products differ from it in the order of float
sums, and the down projection from call to call, by its atomic additions. In numba's simulator
(`NUMBA_ENABLE_CUDASIM=1`) the same kernels run without a GPU, slowly.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import ShapeError, SparsityError
from sparsity.predictor.planes import Planes
from sparsity.predictor.predict import Flags, limit
from sparsity.predictor.signs import SignBits


@cache
def cuda() -> Any:
    """Return numba's CUDA module.

    Raises:
        SparsityError: no CUDA, or no GPU.
    """
    try:
        from numba import cuda as module

        available = module.is_available()
    except (ImportError, OSError, RuntimeError) as error:
        raise SparsityError(
            f"CUDA cannot be loaded ({error}): install numba-cuda and a driver, or use "
            "sparsity.predictor.predict"
        ) from error
    if not available:
        raise SparsityError("there is no NVIDIA GPU here: use sparsity.predictor.predict")
    return module


def _kernels() -> Any:
    """The module of kernels; errors as in `cuda`."""
    cuda()
    from sparsity.predictor import gpu_kernels

    return gpu_kernels


@dataclass(frozen=True, slots=True, eq=False)
class GpuSigns:
    """A layer's sign bits in the GPU's memory."""

    words: Any
    """uint32 [rows, words of 32 signs]"""
    width: int
    """Values in a row."""

    @classmethod
    def of(cls, signs: SignBits) -> "GpuSigns":
        """Copy them there; errors as in `cuda`."""
        return cls(cuda().to_device(halves(signs.words)), signs.width)

    def skip(self, planes: Planes, alpha: float = 1.0) -> Flags:
        """Return the rows to skip [rows], as `sparsity.predictor.predict.skip` does.

        Raises:
            ShapeError: planes of several tokens or of another width.
        """
        if planes.words.ndim != 2 or planes.width != self.width:
            raise ShapeError(
                f"planes {list(planes.words.shape)} of {planes.width} values do not fit weights "
                f"of {self.width}: give one token's input of this layer"
            )
        out = cuda().device_array(self.words.shape[0], np.bool_)
        self.launch(cuda().to_device(halves(planes.words)), limit(planes, alpha), out)
        return out.copy_to_host()

    def launch(self, planes: Any, most: int, out: Any) -> None:
        """Start the kernel and do not wait.

        Args:
            planes: uint32 [bits, words], in the GPU's memory.
            most: the largest count that is not skipped, `predict.limit`.
            out: bool [rows], in the GPU's memory.
        """
        kernels = _kernels()
        grid = -(-self.words.shape[0] // kernels.ROWS)
        kernels.predict[grid, (kernels.WARP, kernels.ROWS)](self.words, planes, most, out)


def rows_times(weights: Any, x: Any, skip: Any, out: Any) -> None:
    """Start `weights @ x` with zero in skipped rows, on arrays of the GPU; do not wait.

    Args:
        weights: float16 or float32 [k, d].
        x: float32 [d].
        skip: bool [k].
        out: float32 [k], written.
    """
    kernels = _kernels()
    grid = -(-weights.shape[0] // kernels.ROWS)
    kernels.rows[grid, (kernels.WARP, kernels.ROWS)](weights, x, skip, out)


def down_times(weights: Any, a: Any, skip: Any, out: Any, parts: int = 64) -> None:
    """Start adding `a @ weights` without skipped rows to `out`; do not wait.

    Args:
        weights: float16 or float32 [k, d].
        a: float32 [k].
        skip: bool [k].
        out: float32 [d], added to: fill it with zeros before.
        parts: blocks of threads, at most, that share the rows of a column by atomic additions.
    """
    kernels = _kernels()
    grid = -(-weights.shape[1] // kernels.THREADS), min(parts, weights.shape[0])
    kernels.down[grid, kernels.THREADS](weights, a, skip, out)


def halves(words: NDArray[np.uint64]) -> NDArray[np.uint32]:
    """Cut 64-bit words in two 32-bit ones, the lower first."""
    return np.ascontiguousarray(words.astype("<u8", copy=False)).view("<u4").astype(np.uint32)
