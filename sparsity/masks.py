# SPDX-License-Identifier: Apache-2.0
"""Which rows are wanted, where no model says so: the masks that `bdgen` turns into BDs.

A mask is a bool array with one entry per row, true where the row is wanted. Real FFN activations
lie like `bernoulli`, coin flips; `alternating` and `contiguous` bracket them from the worst to the
best case for descriptors. `from_file` takes anybody else's.
"""

import math
from collections.abc import Callable
from fractions import Fraction
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sparsity.errors import MaskError
from sparsity.npy import UNREADABLE, parse_only_array, reason
from sparsity.recording import naming

Mask = NDArray[np.bool_]

_ARRAY_SUFFIXES = (".npy", ".npz")


def bernoulli(rows: int, sparsity: float, seed: int = 0) -> Mask:
    """Want each row with probability `1 - sparsity`, independently.

    The share of wanted rows scatters around `1 - sparsity`; it is exact at 0 and at 1. With the
    same seed a sparser mask is a subset of a denser one.

    Raises:
        MaskError: no row, or a sparsity outside 0 to 1, or a negative seed.
    """
    _check(rows, sparsity)
    if seed < 0:
        raise MaskError(f"seed {seed} is negative: give one from 0 up")
    return np.random.default_rng(seed).random(rows) >= sparsity


def alternating(rows: int, sparsity: float) -> Mask:
    """Spread the wanted rows as evenly as can be, from row 0: the most descriptors there can be.

    Distances between wanted rows differ by at most one; a sparsity of `1 - 1/s` wants rows 0, s,
    2s and so on.

    Raises:
        MaskError: no row, or a sparsity outside 0 to 1.
    """
    density = _density(rows, sparsity)
    row_ends = np.arange(rows + 1, dtype=np.int64)
    wanted_before = -(-row_ends * density.numerator // density.denominator)
    return np.diff(wanted_before) > 0


def contiguous(rows: int, sparsity: float) -> Mask:
    """Want one block of rows from row 0 on, as many as `alternating` wants: one run.

    Raises:
        MaskError: no row, or a sparsity outside 0 to 1.
    """
    return np.arange(rows) < math.ceil(int(rows) * _density(rows, sparsity))


PATTERNS: dict[str, Callable[[int, float, int], Mask]] = {
    "random": bernoulli,
    "alternating": lambda rows, sparsity, _seed: alternating(rows, sparsity),
    "contiguous": lambda rows, sparsity, _seed: contiguous(rows, sparsity),
}
"""Patterns by the name a person types, called with rows, sparsity and seed."""


def make(pattern: str, rows: int, sparsity: float, seed: int = 0) -> Mask:
    """Return the mask of a pattern in `PATTERNS`; `seed` matters to `random` only.

    Raises:
        MaskError: unknown pattern, no row, or a sparsity outside 0 to 1.
    """
    if pattern not in PATTERNS:
        raise MaskError(f"no pattern {pattern!r}: choose from {', '.join(PATTERNS)}")
    return PATTERNS[pattern](rows, sparsity, seed)


def _check(rows: int, sparsity: float) -> None:
    """Refuse what is no mask."""
    if rows < 1:
        raise MaskError(f"a mask of {rows} rows: give at least 1")
    if not 0.0 <= sparsity <= 1.0:
        raise MaskError(f"sparsity {sparsity} is not a share: give 0 (all rows) to 1 (no row)")


def _density(rows: int, sparsity: float) -> Fraction:
    """Return the share of wanted rows as the fraction meant, which a float only comes near."""
    _check(rows, sparsity)
    return Fraction(1.0 - float(sparsity)).limit_denominator(int(rows))


def from_file(path: str | PathLike[str], rows: int) -> Mask:
    """Read a mask of `rows` rows.

    Args:
        path: `.npy`, or `.npz` with a single array: bools, integers that are all 0 or 1, or
            floating-point activations, of which every one that is not zero wants its row; any
            other suffix: text of the characters 0 and 1, with white space and commas ignored. Or
            `FILE.npz:LAYER:TOKEN` of a recording: see `sparsity.recording.naming`.
        rows: how many the model has.

    Raises:
        MaskError: unreadable file, wrong number of rows, NaN, or values other than 0 and 1.
    """
    if naming.is_named(path):
        return naming.mask(path, rows)
    source = Path(path)
    values = read_vector(source) if source.suffix.lower() in _ARRAY_SUFFIXES else _digits(source)
    if values.size != rows:
        raise MaskError(
            f"{source} has {values.size} entries, the model has {rows} rows: "
            "give one entry per row of the down projection"
        )
    return _wanted(values, source)


def read_vector(path: str | PathLike[str]) -> NDArray[Any]:
    """Read the one vector in a `.npy` or `.npz` file, of any numeric type; 1 x n counts as n.

    Raises:
        MaskError: unreadable file, several arrays, or an array with more than one long axis.
    """
    source = Path(path)
    try:
        vector = parse_only_array(source.read_bytes())
    except UNREADABLE as error:
        raise MaskError(f"{source} cannot be read as a numpy array: {reason(error)}") from error
    if vector.dtype.kind not in "biuf":
        raise MaskError(f"{source} holds {vector.dtype}: save a vector of bools or numbers")
    if vector.size != max(vector.shape, default=1):
        raise MaskError(f"{source} has shape {vector.shape}: save the vector of one token")
    return vector.reshape(-1)


def _digits(source: Path) -> NDArray[np.uint8]:
    """Read a text of 0 and 1."""
    try:
        text = source.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise MaskError(f"{source} cannot be read as text of 0 and 1: {reason(error)}") from error
    digits = "".join(text.replace(",", " ").split())
    for place, digit in enumerate(digits):
        if digit not in "01":
            raise MaskError(f"{source} has {digit!r} as entry {place}: a text mask is 0 and 1 only")
    return np.frombuffer(digits.encode(), dtype=np.uint8) - np.uint8(ord("0"))


def _wanted(values: NDArray[Any], source: Path) -> Mask:
    """Turn the entries of a file into a mask, or say which one is none."""
    if values.dtype.kind == "f":
        nan = np.flatnonzero(np.isnan(values))
        if nan.size:
            raise MaskError(
                f"{source} has NaN in row {nan[0]} ({nan.size} in all): find out where the model "
                "made it, a mask from NaN would mean nothing"
            )
        return values != 0
    odd = np.flatnonzero((values != 0) & (values != 1))
    if odd.size:
        raise MaskError(
            f"{source} has {values[odd[0]]} in row {odd[0]}: an integer mask is 0 and 1 only, "
            "save quantised activations as `values != 0`"
        )
    return values.astype(np.bool_)
