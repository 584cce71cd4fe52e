# SPDX-License-Identifier: Apache-2.0
"""Which rows to skip, from the weights' signs and a token's input: the predictor itself.

After `signs` (once per model) and `planes` (once per token); its flags go to `gemv`. Everything is
in integers: with P and N the sums of the products' magnitudes by sign, a row is skipped where
`alpha * P < N`. `score` gives (P - N) / (P + N), the same as a number to rank rows by.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import ShapeError
from sparsity.predictor import kernels
from sparsity.predictor.alpha import SCALE, scaled
from sparsity.predictor.planes import Planes, make_planes, quantise
from sparsity.predictor.signs import SignBits, pack_signs, unpack_signs

Flags = NDArray[np.bool_]


def minus_sums(signs: SignBits, planes: Planes) -> NDArray[np.int64]:
    """Return per row the sum over planes of 2**plane times its minus signs, [rows].

    Raises:
        ShapeError: planes of several tokens, or of another width.
    """
    _check(signs, planes)
    out = np.empty(signs.rows, np.int64)
    kernels.minus_counts(signs.words, planes.words, out)
    return out


def minus_sums_plainly(signs: SignBits, planes: Planes) -> NDArray[np.int64]:
    """Return what `minus_sums` does, by numpy alone: the reference that tests compare it with."""
    _check(signs, planes)
    minus = np.bitwise_count(signs.words[:, None, :] ^ planes.words)
    return minus.sum(axis=-1, dtype=np.int64) @ (np.int64(1) << np.arange(planes.bits))


def limit(planes: Planes, alpha: float) -> int:
    """Return the largest minus sum that is not skipped at alpha.

    With D = width * (2**bits - 1), the minus sum M is N - (total - D) / 2, so that
    `alpha * P < N` becomes M > limit.
    """
    a = scaled(alpha)
    total = int(planes.total)
    signed = planes.width * ((1 << planes.bits) - 1)
    positive_at_zero, negative_at_zero = (total + signed) // 2, (total - signed) // 2
    return (positive_at_zero * a - negative_at_zero * SCALE) // (SCALE + a)


def skip(signs: SignBits, planes: Planes, alpha: float = 1.0, out: Flags | None = None) -> Flags:
    """Return [rows], true where a row is predicted to stay at zero.

    Args:
        signs: of the matrix before the ReLU.
        planes: one token's input.
        alpha: more skips less; see `sparsity.predictor.alpha`.
        out: bool [rows] to write to.

    Raises:
        ShapeError: planes of several tokens or of another width, or an `out` of another shape.
        SparsityError: an alpha out of range.
    """
    _check(signs, planes)
    if out is None:
        out = np.empty(signs.rows, np.bool_)
    elif out.shape != (signs.rows,) or out.dtype != np.bool_:
        raise ShapeError(
            f"flags of {signs.rows} rows go into bools [{signs.rows}], not {out.shape}"
        )
    kernels.skip_flags(signs.words, planes.words, limit(planes, alpha), out)
    return out


def scores(signs: SignBits, x: NDArray[Any], bits: int = 1) -> NDArray[np.float32]:
    """Return (P - N) / (P + N) of every token and row, [tokens, rows]: low means skip.

    For many tokens at once: a matrix product, exact since its numbers are whole and below 2^24.

    Args:
        signs: of the matrix before the ReLU.
        x: [tokens, width], the layer's input.
        bits: of the activations, 1 to 8.

    Raises:
        ShapeError: an input of another width, or what `planes.quantise` refuses.
    """
    levels = quantise(np.atleast_2d(x), bits)
    _check_width(signs, levels.shape[-1])
    exact = np.float32 if signs.width << bits < 1 << 24 else np.float64
    difference = levels.astype(exact) @ unpack_signs(signs).astype(exact).T
    return (difference / np.abs(levels).sum(-1, keepdims=True)).astype(np.float32)


def _check(signs: SignBits, planes: Planes) -> None:
    if planes.words.ndim != 2:
        raise ShapeError(f"{len(planes.words)} tokens at once: give the planes of one")
    _check_width(signs, planes.width)


def _check_width(signs: SignBits, width: int) -> None:
    if width != signs.width:
        raise ShapeError(
            f"an input of {width} values does not fit weights of {signs.width} a row: "
            "give the input of this layer's FFN"
        )


@dataclass(frozen=True, slots=True, eq=False)
class SignPredictor:
    """A layer's predictor: what is kept of its weights, and how it is tuned."""

    signs: SignBits
    alpha: float = 1.0
    bits: int = 1
    """Of the activations."""

    @classmethod
    def of(
        cls, weights: NDArray[Any], alpha: float = 1.0, bits: int = 1, form: str = ""
    ) -> "SignPredictor":
        """Make it from the matrix before the ReLU, [k, d]; formats and errors as `pack_signs`."""
        return cls(pack_signs(weights, form), alpha, bits)

    def __call__(self, x: NDArray[Any]) -> Flags:
        """Return the rows to skip at one token's input [d]; errors as in `skip`."""
        return skip(self.signs, make_planes(x, self.bits), self.alpha)
