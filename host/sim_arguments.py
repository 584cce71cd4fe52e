# SPDX-License-Identifier: Apache-2.0
"""Host buffers of `sparsebd sim` from what a person types: `N=file.npy`, `N=zeros:65536`, ...

Everything that can be wrong with them is found before a run: each is one sentence.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from host.errors import UsageError
from sparsity.npy import UNREADABLE, parse_npy, reason

MOST_BYTES = 1 << 32
"""Bytes of a made-up buffer; more is a slip of the unit."""
RANGE_TYPE = np.dtype("<i4")
FORMS = "a .npy file, a file of raw bytes, zeros:BYTES, random:BYTES[:SEED] or range:BYTES"


@dataclass(frozen=True, slots=True)
class Argument:
    """One host buffer of a run."""

    number: int
    source: str
    """As it was typed, without the number."""
    array: NDArray[Any]
    """C-contiguous and writable."""


def arguments(texts: Sequence[str]) -> list[Argument]:
    """Host buffers in argument order, whatever the order that they were given in.

    Raises:
        UsageError: not of the form, a number that is given twice or left out, an unusable file.
        OSError: a file that cannot be read.
    """
    named = numbered("--arg", texts)
    for number in range(len(named)):
        if number not in named:
            raise UsageError(
                f"--arg {number} is missing and --arg {max(named)} is given: name every argument "
                f"from 0 on, e.g. --arg {number}=zeros:4096"
            )
    return [
        Argument(number, named[number], buffer(f"--arg {number}", named[number]))
        for number in sorted(named)
    ]


def expectations(texts: Sequence[str], given: Sequence[Argument]) -> dict[int, NDArray[Any]]:
    """What arguments must hold after the run.

    Raises:
        UsageError: not of the form, no such argument, or not of its size.
        OSError: a file that cannot be read.
    """
    named = numbered("--expect", texts)
    _check_known("--expect", named, given)
    wanted = {number: buffer(f"--expect {number}", text) for number, text in named.items()}
    for number, array in wanted.items():
        size = given[number].array.nbytes
        if array.nbytes != size:
            raise UsageError(
                f"--expect {number} has {array.nbytes} bytes and argument {number} has {size}: "
                "give as many"
            )
    return wanted


def outputs(texts: Sequence[str], given: Sequence[Argument]) -> dict[int, Path]:
    """Where arguments are to be written.

    Raises:
        UsageError: not of the form, or no such argument.
    """
    named = numbered("--out", texts)
    _check_known("--out", named, given)
    return {number: Path(text) for number, text in named.items()}


def numbered(option: str, texts: Sequence[str]) -> dict[int, str]:
    """What each `N=...` says, by number.

    Raises:
        UsageError: no number, nothing behind it, or a number that is given twice.
    """
    named: dict[int, str] = {}
    for text in texts:
        number, equals, rest = text.partition("=")
        if not (equals and rest and number.isascii() and number.isdigit()):
            raise UsageError(f"{option} {text!r} is not N=...: give the argument's number first")
        if int(number) in named:
            raise UsageError(f"{option} {int(number)} is given twice: give it once")
        named[int(number)] = rest
    return named


def buffer(option: str, text: str) -> NDArray[Any]:
    """The array that a source names, freshly made.

    Raises:
        UsageError: a size or a file that cannot be used.
        OSError: a file that cannot be read.
    """
    kind, colon, rest = text.partition(":")
    if colon and kind in ("zeros", "random", "range"):
        return _made(option, text, kind, rest.split(":"))
    data = Path(text).read_bytes()
    array = _npy(text, data) if text.endswith(".npy") else np.frombuffer(data, np.uint8).copy()
    if not array.nbytes:
        raise UsageError(f"{option}: {text} holds no bytes: give {FORMS}")
    return array


def _made(option: str, text: str, kind: str, numbers: list[str]) -> NDArray[Any]:
    most = 2 if kind == "random" else 1
    if len(numbers) > most or not all(_is_number(each) for each in numbers):
        form = "random:BYTES[:SEED]" if kind == "random" else f"{kind}:BYTES"
        raise UsageError(f"{option}: {text!r} is not {form}: give a number of bytes")
    nbytes, seed = int(numbers[0], 0), int(numbers[1], 0) if len(numbers) > 1 else 0
    if not 0 < nbytes <= MOST_BYTES:
        raise UsageError(f"{option}: {nbytes} bytes cannot be: give 1 to {MOST_BYTES}")
    if kind == "random":
        return np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8)
    if kind == "zeros":
        return np.zeros(nbytes, np.uint8)
    if nbytes % RANGE_TYPE.itemsize:
        raise UsageError(f"{option}: range counts in int32: give a multiple of 4 bytes")
    return np.arange(nbytes // RANGE_TYPE.itemsize, dtype=RANGE_TYPE)


def _is_number(text: str) -> bool:
    digits = text.removeprefix("0x")
    allowed = "0123456789" + ("abcdefABCDEF" if digits != text else "")
    plain = digits == text and len(text) > 1 and text.startswith("0")
    return bool(digits) and not plain and len(digits) < 20 and set(digits) <= set(allowed)


def _npy(name: str, data: bytes) -> NDArray[Any]:
    try:
        array = parse_npy(data)
    except UNREADABLE as error:
        raise UsageError(f"{name} cannot be read as a numpy array: {reason(error)}") from error
    return np.array(array, order="C")


def _check_known(option: str, named: dict[int, str], given: Sequence[Argument]) -> None:
    for number in named:
        if number >= len(given):
            raise UsageError(
                f"{option} {number} names no argument: there are {len(given)}; give "
                f"--arg {number}=zeros:BYTES too"
            )
