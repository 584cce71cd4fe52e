# SPDX-License-Identifier: Apache-2.0
"""The tokenizer on vocabularies small enough to check by hand or by trying every cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.tokenizer import UNKNOWN, WORD_START, UnigramTokenizer

VOCABULARY: list[tuple[str, float | None]] = [
    ("\ufffd", 0.0),
    ("<s>", 0.0),
    (WORD_START, -4.0),
    ("a", -3.0),
    ("b", -3.0),
    ("ab", -5.0),
    (f"{WORD_START}ab", -8.0),
    ("ba", -7.0),
    ("c", -2.5),
    ("abc", -9.0),
    (":", None),
]
NUMBER = {piece: number for number, (piece, _) in enumerate(VOCABULARY)}
SCORE = {piece: score or 0.0 for piece, score in VOCABULARY[2:]}
TOKENIZER = UnigramTokenizer(VOCABULARY, reserved=2)


def best_score(text: str) -> float:
    """The highest score over every way to cut the text into pieces."""
    if not text:
        return 0.0
    return max(
        SCORE[text[:end]] + best_score(text[end:])
        for end in range(1, len(text) + 1)
        if text[:end] in SCORE
    )


def test_picks_the_best_cut() -> None:
    assert TOKENIZER.encode("ab") == [NUMBER[f"{WORD_START}ab"]]
    assert TOKENIZER.encode("aba") == [NUMBER[f"{WORD_START}ab"], NUMBER["a"]]
    assert TOKENIZER.encode("abc") == [NUMBER[f"{WORD_START}ab"], NUMBER["c"]]


@given(st.text(alphabet="abc: ", min_size=1, max_size=9))
def test_no_cut_scores_better(text: str) -> None:
    tokens = TOKENIZER.encode(text)
    marked = WORD_START + text.replace(" ", WORD_START)
    assert "".join(VOCABULARY[token][0] for token in tokens) == marked
    assert sum(SCORE[VOCABULARY[token][0]] for token in tokens) == pytest.approx(best_score(marked))


def test_tie_goes_to_the_shorter_last_piece() -> None:
    tie = UnigramTokenizer([("", 0.0), ("x", -1.0), ("xx", -2.0), (WORD_START, -1.0)], reserved=1)
    assert tie.encode("xx") == [3, 1, 1]


def test_run_of_unknown_characters_is_one_token() -> None:
    a = NUMBER["a"]
    assert TOKENIZER.encode("a??a?") == [NUMBER[WORD_START], a, UNKNOWN, a, UNKNOWN]


def test_reserved_pieces_never_match() -> None:
    assert 1 not in TOKENIZER.encode("<s>")


def test_missing_score_counts_as_zero() -> None:
    assert TOKENIZER.encode(":") == [NUMBER[WORD_START], NUMBER[":"]]


def test_last_of_equal_pieces_holds() -> None:
    double = UnigramTokenizer([("x", -1.0), (WORD_START, -1.0), ("x", -2.0)], reserved=0)
    assert double.encode("x") == [1, 2]


def test_text_is_normalised() -> None:
    wide_a, ligature_free = "\uff41", "a"
    assert TOKENIZER.encode(wide_a) == TOKENIZER.encode(ligature_free)


def test_empty_text_and_empty_vocabulary() -> None:
    assert TOKENIZER.encode("") == []
    assert UnigramTokenizer([]).encode("ab") == [UNKNOWN]
