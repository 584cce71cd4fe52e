# SPDX-License-Identifier: Apache-2.0
"""What would break first: a set of rows taken for one that a BD can read, or listed wrongly.

What BDs read for the lattices that `check` lets through is in test_chain_words.
"""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bdgen import lattices
from bdgen.errors import PlanError
from bdgen.lattices import LATTICE, Reach, check, reach, rows, size, table

NAMES = LATTICE.names or ()
ONE = {"first": 0, "run": 1, "count": 1, "outer": 1, "repeat": 1}


def lattice(**fields):
    """An array of one lattice; what is not given is a single row from 0 on."""
    made = np.zeros(1, LATTICE)
    for name, value in (ONE | fields).items():
        made[name] = value
    return made


@st.composite
def any_lattices(draw):
    """Lattices with levels of 1 to 4 and steps of up to 50 rows, sensible or not."""
    made = np.zeros(draw(st.integers(0, 5)), LATTICE)
    for one in made:
        one["first"], one["run"] = draw(st.integers(0, 90)), draw(st.integers(1, 4))
        for level, step in (("count", "step"), ("outer", "outer_step"), ("repeat", "repeat_step")):
            one[level] = draw(st.integers(1, 4))
            one[step] = draw(st.integers(1, 50)) if one[level] > 1 else 0
    return made


def plain_rows(made):
    """The rows of lattices, loop in loop."""
    return [
        one["first"] + a + one["step"] * i + one["outer_step"] * j + one["repeat_step"] * t
        for one in ({name: int(each[name]) for name in NAMES} for each in made)
        for t in range(one["repeat"])
        for j in range(one["outer"])
        for i in range(one["count"])
        for a in range(one["run"])
    ]


@given(any_lattices())
def test_rows_are_listed_as_the_loops_of_a_bd_run(made):
    assert rows(made).tolist() == plain_rows(made)
    assert size(made).tolist() == [len(plain_rows(made[[nth]])) for nth in range(len(made))]


def test_sizes_are_counted_in_64_bits():
    assert size(lattice(run=1 << 20, count=1 << 20)).tolist() == [1 << 40]


def test_a_table_is_the_same_memory_with_the_columns_named():
    made = np.zeros(2, LATTICE)
    seen = table(made)
    columns = [getattr(lattices, name.upper()) for name in NAMES]
    seen[1, columns] = np.arange(10, 18)
    assert [int(made[1][name]) for name in NAMES] == list(range(10, 18))
    assert seen.shape == (2, len(NAMES))
    assert table(made[:0]).shape == (0, len(NAMES))


@pytest.mark.parametrize(
    ("row_bytes", "words", "max_step", "levels"),
    [
        (4, 1, 1 << 20, 2),
        (1020, 255, 4112, 2),
        (4092, 1023, 1025, 2),
        (4096, 1024, 1024, 1),
        (4124, 1031, 1017, 0),
        (5504, 1376, 762, 1),
        (8192, 2048, 512, 1),
        (22016, 5504, 190, 1),
        (4 * 1023 * 1023, 1023 * 1023, 1, 1),
        (4 << 20, 1 << 20, 1, 0),
        (8 << 20, 2 << 20, 0, 0),
    ],
)
def test_what_rows_leave_to_step_with(row_bytes, words, max_step, levels):
    assert reach(row_bytes) == Reach(words, max_step, levels)


@given(st.integers(1, 5000), st.integers(1, 40))
def test_runs_use_up_dimensions_as_their_words_need(row_words, run):
    words = run * row_words
    divisors = [n for n in range(1, 1024) if words % n == 0]
    two_wraps = any(words // n <= 1023 for n in divisors)
    expected = 2 if words <= 1023 else 1 if two_wraps else 0
    assert reach(4 * row_words).run_levels(run) == expected


@pytest.mark.parametrize("row_bytes", [0, -4, 6, 4097])
def test_rows_of_no_whole_words_refused(row_bytes):
    message = f"^a row of {row_bytes} bytes is not a whole number of 32-bit words; pad rows to"
    with pytest.raises(PlanError, match=message):
        reach(row_bytes)


@pytest.mark.parametrize(
    ("fields", "row_bytes", "count"),
    [
        ({"first": 99}, 8192, 100),
        ({"run": 100}, 4 << 20, 100),
        ({"count": 2, "step": 512}, 8192, 513),
        ({"count": 2000, "step": 1}, 8192, 2000),
        ({"count": 1023, "step": 2, "outer": 2, "outer_step": 1}, 2048, 2046),
        ({"repeat": 64, "repeat_step": 1}, 8192, 64),
        ({"run": 4, "repeat": 2, "repeat_step": 500}, 4124, 504),
        ({"run": 2, "count": 3, "step": 9}, 8192, 20),
        ({"run": 3, "outer": 2, "outer_step": 300}, 512, 303),
    ],
)
def test_what_a_bd_can_express_passes(fields, row_bytes, count):
    check(lattice(**fields), row_bytes, count)


@pytest.mark.parametrize(
    ("fields", "row_bytes", "count", "message"),
    [
        ({"first": -1}, 8192, 100, "lattice 0 starts at row -1 with runs of 1 rows"),
        ({"run": 0}, 8192, 100, "lattice 0 starts at row 0 with runs of 0 rows"),
        ({"first": 100}, 8192, 100, "lattice 0 ends at row 100 of a matrix of 100"),
        ({"run": 101}, 8192, 100, "lattice 0 ends at row 100 of a matrix of 100"),
        (
            {"count": 2, "step": 513},
            8192,
            1000,
            "lattice 0 has count 2 with steps of 513 rows; steps go from 1 to 512",
        ),
        (
            {"count": 2},
            8192,
            1000,
            "lattice 0 has count 2 with steps of 0 rows; steps go from 1 to 512",
        ),
        (
            {"outer": 1, "outer_step": 3},
            2048,
            1000,
            "lattice 0 has outer 1 with steps of 3 rows; steps go from 1 to 2048",
        ),
        (
            {"repeat": 0},
            8192,
            1000,
            "lattice 0 has repeat 0 with steps of 0 rows; steps go from 1 to 512",
        ),
        (
            {"repeat": 65, "repeat_step": 1},
            8192,
            1000,
            "lattice 0 is repeated 65 times; a BD's iteration ends at 64",
        ),
        (
            {"count": 2, "step": 5, "outer": 2, "outer_step": 1},
            8192,
            1000,
            "lattice 0 steps over runs of 1 rows in 2 dimensions, which a BD has not left",
        ),
        (
            {"run": 2, "count": 2, "step": 5},
            4124,
            1000,
            "lattice 0 steps over runs of 2 rows in 1 dimensions, which a BD has not left",
        ),
        (
            {"run": 3, "count": 2, "step": 5, "outer": 2, "outer_step": 20},
            2048,
            1000,
            "lattice 0 steps over runs of 3 rows in 2 dimensions, which a BD has not left",
        ),
        (
            {"count": 1024, "step": 2, "outer": 2, "outer_step": 1},
            512,
            5000,
            "lattice 0 wraps after 1024 runs; a wrap ends at 1023",
        ),
    ],
)
def test_what_no_bd_can_express_refused(fields, row_bytes, count, message):
    with pytest.raises(PlanError, match=f"^{message}$"):
        check(lattice(**fields), row_bytes, count)


def test_the_lattice_that_is_wrong_is_named():
    with pytest.raises(PlanError, match=r"^lattice 2 ends at row 7 of a matrix of 7$"):
        check(np.concatenate([lattice(first=3), lattice(run=7), lattice(first=7)]), 8192, 7)
