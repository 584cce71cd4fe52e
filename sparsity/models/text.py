# SPDX-License-Identifier: Apache-2.0
"""English that every Python has, its help topics, cut into windows to fit on and to judge by."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from pydoc_data import topics as pydoc_topics

import numpy as np

from sparsity.errors import CaptureError
from sparsity.models.interface import Tokens
from sparsity.npy import reason

WINDOW = 512
"""Tokens that are run at once; nothing is remembered from one window to the next."""
_BLANK_LINES = re.compile(r"\n(?:[^\S\n]*\n)+")
HELP_TOPICS = f"pydoc_data.topics of Python {platform.python_version()}"
"""Name of the default text."""


def help_topics() -> list[str]:
    """Return this Python's help topics as they are, sorted by name."""
    return [text for _, text in sorted(pydoc_topics.topics.items())]


def read_text(path: str | PathLike[str]) -> str:
    """Return a file's text, without the byte order mark that some editors put first.

    Raises:
        CaptureError: no such file, or not UTF-8.
    """
    try:
        return Path(path).read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise CaptureError(f"{path} cannot be read as UTF-8 text: {reason(error)}") from None


def texts_of(path: str | PathLike[str] | None) -> list[str]:
    """Return a file's paragraphs (blocks between blank lines), or the help topics without a file.

    Raises:
        CaptureError: the file cannot be read as UTF-8, or holds no text.
    """
    if path is None:
        return help_topics()
    kept = [f"{block}\n\n" for block in _BLANK_LINES.split(read_text(path)) if block.strip()]
    if not kept:
        raise CaptureError(f"{path} holds no text")
    return kept


@dataclass(frozen=True, slots=True)
class Windows:
    """Windows of one text: rules are fitted on some and judged on others."""

    fit: tuple[Tokens, ...]
    judge: tuple[Tokens, ...]


def windows(
    encode: Callable[[str], Tokens],
    texts: Sequence[str],
    fit: int,
    judge: int,
    size: int = WINDOW,
) -> Windows:
    """Cut texts into windows; even texts are for fitting, odd ones for judging.

    Args:
        encode: from text to token numbers.
        texts: in order; neighbours of one text never end up on both sides. What two texts have in
            common may, as where one help topic quotes another.
        fit: tokens to fit on, a multiple of `size`.
        judge: tokens to judge by, a multiple of `size`.
        size: tokens of a window.

    Returns:
        Windows spread evenly over each side's text.

    Raises:
        CaptureError: too little text, or no multiples.
    """
    if size < 2 or fit % size or judge % size or fit < 0 or judge < size:
        raise CaptureError(f"{fit} and {judge} tokens are no multiples of the window, {size}")
    if len(texts) < 2:
        raise CaptureError("one text cannot be both fitted on and judged by: give two or more")
    return Windows(
        _spread(encode, texts[0::2], fit // size, size),
        _spread(encode, texts[1::2], judge // size, size),
    )


def whole_texts(encode: Callable[[str], Tokens], texts: Sequence[str]) -> Windows:
    """Take every text as one window, for models that read a sentence at a time.

    Raises:
        CaptureError: fewer than two texts.
    """
    if len(texts) < 2:
        raise CaptureError("one text cannot be both fitted on and judged by: give two or more")
    encoded = [encode(text) for text in texts]
    return Windows(tuple(encoded[0::2]), tuple(encoded[1::2]))


def _spread(
    encode: Callable[[str], Tokens], texts: Sequence[str], count: int, size: int
) -> tuple[Tokens, ...]:
    if not count:
        return ()
    tokens = np.concatenate([encode(text) for text in texts])
    whole = len(tokens) // size
    if whole < count:
        raise CaptureError(
            f"{count * size} tokens are asked for and the text has {whole * size}: give more text"
        )
    return tuple(tokens[n * size : (n + 1) * size] for n in np.arange(count) * whole // count)
