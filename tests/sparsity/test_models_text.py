# SPDX-License-Identifier: Apache-2.0
"""Text in windows: what is fitted on is never what is judged by."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import CaptureError
from sparsity.models import text
from sparsity.models.catalogue import Opened

NO_MODEL: Any = None
TEXTS = [chr(ord("a") + n) * 50 for n in range(10)]


def encode(words):
    return np.frombuffer(words.encode(), np.uint8).astype(np.int64)


@given(fit=st.integers(0, 12), judge=st.integers(1, 12), size=st.integers(2, 20))
def test_windows_are_whole_from_their_own_side_and_never_overlap(fit, judge, size):
    made = text.windows(encode, TEXTS, fit * size, judge * size, size)
    assert (len(made.fit), len(made.judge)) == (fit, judge)
    for side, parity in ((made.fit, 0), (made.judge, 1)):
        tokens = np.concatenate([*side, np.zeros(0, np.int64)])
        assert len(tokens) == len(side) * size
        assert ((tokens - ord("a")) % 2 == parity).all()
        counts = np.bincount(tokens.astype(np.intp), minlength=1)
        assert counts.max(initial=0) <= 50
        assert (np.diff(tokens) >= 0).all()


@pytest.mark.parametrize(
    ("fit", "judge", "size", "texts", "message"),
    [
        (10, 10, 3, TEXTS, "no multiples"),
        (0, 0, 4, TEXTS, "no multiples"),
        (4, 4, 4, TEXTS[:1], "two or more"),
        (4, 400, 4, TEXTS, "the text has 248: give more text"),
    ],
)
def test_too_little_text_is_named(fit, judge, size, texts, message):
    with pytest.raises(CaptureError, match=message):
        text.windows(encode, texts, fit, judge, size)


@pytest.mark.parametrize(
    ("fit", "judge", "message"),
    [(-1, 4, "^-1 tokens to fit on: give 0 or"), (4, 0, "^0 tokens to run over: give 1 or more$")],
)
def test_numbers_of_tokens_that_cannot_be_are_named(fit, judge, message):
    with pytest.raises(CaptureError, match=message):
        Opened(NO_MODEL, encode, 4).windows(fit, judge)


def test_whole_texts_keep_their_ends():
    made = text.whole_texts(encode, ["ab", "c", "def"])
    assert [len(each) for each in made.fit] == [2, 3]
    assert [len(each) for each in made.judge] == [1]
    with pytest.raises(CaptureError, match="two or more"):
        text.whole_texts(encode, ["ab"])


def test_a_file_is_cut_at_blank_lines(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("one\ntwo\n\n\n\nthree\n")
    assert [part.strip() for part in text.texts_of(path)] == ["one\ntwo", "three"]


def test_blank_lines_may_hold_spaces_and_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n \t\r\n  two\r\nthree")
    assert text.texts_of(path) == ["one\n\n", "  two\nthree\n\n"]


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\xff\xfe", "a.txt cannot be read as UTF-8 text: "), (b" \n", "no text")],
)
def test_a_file_without_text_is_named(tmp_path, content, message):
    path = tmp_path / "a.txt"
    path.write_bytes(content)
    with pytest.raises(CaptureError, match=message):
        text.texts_of(path)


def test_every_python_has_enough_text():
    topics = text.texts_of(None)
    assert len(topics) > 50
    assert sum(map(len, topics)) > 100_000
