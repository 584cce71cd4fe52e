# SPDX-License-Identifier: Apache-2.0
import pytest

from sparsity.errors import SparsityError
from sparsity.tables.figure import (
    Kind,
    SeedFigure,
    Table,
    Verdict,
    resolution,
    rounds_to,
    truncates_to,
)

HERE = Table(2, "a table")


@pytest.mark.parametrize(
    ("printed", "value", "unit"),
    [
        ("6.6", 6.6, 0.1),
        ("2.211e6", 2.211e6, 1e3),
        ("1,480 MB", 1480, 1),
        ("-2.96", -2.96, 0.01),
        ("70 us", 70, 1),
        ("1.940e7", 1.94e7, 1e4),
        ("more than 90", 90, 1),
    ],
)
def test_the_last_printed_digit(printed, value, unit):
    assert resolution(printed) == pytest.approx((value, unit))


def test_words_hold_no_number():
    with pytest.raises(SparsityError, match="as printed"):
        resolution("near-perfect linear")


def test_half_a_unit_is_the_limit():
    assert rounds_to(6.649, "6.6")
    assert not rounds_to(6.651, "6.6")
    assert rounds_to(37.755, "37.76")
    assert not rounds_to(2_211_840, "2.211e6")


def test_digits_cut_off_are_not_rounded_up():
    assert truncates_to(4.5653, "4.5")
    assert not truncates_to(4.6, "4.5")
    assert not truncates_to(4.4999, "4.5")


def test_verdicts_follow_from_the_values():
    assert HERE.number("x", "6.6", 6.61).verdict is Verdict.SAME
    assert HERE.number("x", "6.6", 6.8, sentence="why").verdict is Verdict.DIFFERS
    assert HERE.number("x", "90", 92.0, bound=1).verdict is Verdict.SAME
    assert HERE.number("x", "90", 89.0, sentence="why", bound=1).verdict is Verdict.DIFFERS
    assert HERE.number("x", "1", 0.5, bound=-1).verdict is Verdict.SAME
    assert HERE.number("x", "1", None, sentence="how").verdict is Verdict.MISSING
    assert HERE.statement("x", "said", 1, False, "why").verdict is Verdict.DIFFERS
    assert HERE.statement("x", "said", None, True, "how").verdict is Verdict.MISSING
    assert HERE.beside_if("x", None, "", "how").verdict is Verdict.MISSING
    measured = HERE.closest("x", "1", None, "", "how", kind=Kind.MEASURED)
    assert measured.verdict is Verdict.MISSING


def test_a_difference_without_a_sentence_cannot_be_made():
    with pytest.raises(SparsityError, match="sentence"):
        HERE.number("x", "6.6", 9.9)


def test_the_same_without_a_value_cannot_be_made():
    with pytest.raises(SparsityError, match="no value"):
        SeedFigure(0, "t", "x", "1", 1, None, "", Kind.COMPUTED, Verdict.SAME)


def test_what_is_not_reproducible_is_never_the_same():
    with pytest.raises(SparsityError, match="closest"):
        SeedFigure(0, "t", "x", "1", 1, 1, "", Kind.ELSEWHERE, Verdict.SAME)


def test_ratios_are_of_numbers():
    assert HERE.number("x", "2", 1, sentence="why").ratio == 0.5
    assert HERE.statement("x", "said", 1, True, "").ratio is None
    assert HERE.number("x", "0", 0).ratio is None
    assert HERE.closest("x", "70 us", 35.0, "us", "why", like=True).ratio == 0.5
    assert HERE.closest("x", "70 us", 35.0, "us", "why").ratio is None
