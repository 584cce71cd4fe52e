# SPDX-License-Identifier: Apache-2.0
from collections import Counter
from pathlib import Path

import pytest

from sparsity.errors import SparsityError
from sparsity.tables.catalogue import SEEDS, figures, totals
from sparsity.tables.figure import Kind, Verdict

EVERY = figures()
GUIDE = Path(__file__).parents[2] / "docs" / "sparsity-tables.md"


def named(table, start=""):
    return [each for each in EVERY if each.table == table and each.what.startswith(start)]


@pytest.mark.parametrize(
    ("table", "start", "count"),
    [
        ("ReLU Strikes Back", "", 8 * 3),
        ("ReluLLaMA parameters", "", 2 * 6),
        ("Phase 1", "walking", 5),
        ("Phase 1: island transfers", "7B", 12),
        ("bytes to move", "", 12),
        ("model description", "", 5 * 2 + 1),
        ("activation pattern matching rates", "sample", 12 + 1),
        ("Table I", "", 6 + 2),
        ("Table II", "", 5 * 2 + 4 * 3),
        ("Table III", "", 5 * 2 + 4 * 3),
        ("end-to-end speed-up", "ProSparse", 4 * 3 + 2 * 2),
        ("prediction memory", "", 5),
    ],
)
def test_every_row_and_column_of_the_seeds_tables(table, start, count):
    assert len(named(table, start)) == count


@pytest.mark.parametrize(
    "printed",
    [
        *("6.74", "5.63", "16.5", "13.02", "10.94", "16.3", "55.517 %", "57.688 %"),  # ReluLLaMA
        *("6.6", "4.8", "2.9", "4.1", "2.2", "4.5", "2.8"),  # Strikes Back
        *("2.123e8", "1.940e7", "2.211e6", "1.699e7", "1480", "337.5", "4.38"),  # overheads
        *("70 us", "3.66", "1.79x", "1.74x", "1.27x", "1.30x", "1.70x", "1.21x", "1.59x", "1.19x"),
        *(
            "38",
            "62",
            "22",
            "66",
            "21",
            "19",
            "up to 4.65x",
            "up to 11.6x",
            "15 %",
            "2x",
            "twofold",
        ),
        *(
            "16",
            "20",
            "4 MB per SM",
            "0 %",
            "over 99 %",
            "more than 90",
            "within 1",
            "3.66 x 70 us",
        ),
    ],
)
def test_every_stated_number_is_there(printed):
    assert printed in {each.printed for each in EVERY}


def test_every_claim_of_the_conclusions_is_there():
    claims = {each.what for each in EVERY}
    for what in (
        "lower latency, power and memory on edge devices",
        "little drop in accuracy: the most that a relufied model loses in ReLU Strikes Back",
        "accuracy lost at alpha 1.03, the worst of 2 tasks and 2 models",
        "ProSparse-7B: speed-ups get slightly lower as alpha grows",
        "the dot product is close to a Laplace distribution: excess kurtosis at d = 5120",
    ):
        assert what in claims


def test_what_no_seed_prints_is_not_put_into_its_mouth():
    printed = {each.printed for each in EVERY}
    for derived in ("256.2 us", "1.41x", "1.34x"):
        assert derived not in printed
    assert not [each for each in EVERY if each.verdict is Verdict.BESIDE and each.printed]
    ranges = "Llama-3-8B, most magnitudes in very small ranges"  # Mistral's slide says it, not this
    assert named("activation distributions and thresholds", ranges)[0].verdict is Verdict.BESIDE


def test_other_models_precision_is_not_the_papers():
    found = named("prediction", "precision at alpha 1, USE-lite")
    assert {each.verdict for each in found} == {Verdict.CLOSEST}


def test_nothing_differs_without_a_sentence():
    for each in EVERY:
        assert each.sentence or each.verdict is Verdict.SAME, each.what


def test_no_two_entries_are_of_the_same_thing():
    counts = Counter((each.seed, each.table, each.what) for each in EVERY)
    assert not [key for key, count in counts.items() if count > 1]


def test_all_is_the_sum_of_the_seeds():
    assert [each.what for n in SEEDS for each in figures(n)] == [each.what for each in EVERY]
    assert sum(totals(EVERY).values()) == len(EVERY)
    assert {each.seed for each in figures(1)} == {1}


def test_accuracies_are_never_claimed():
    for each in EVERY:
        if "accuracy" in each.what and each.kind is Kind.ELSEWHERE:
            assert each.verdict is Verdict.CLOSEST


def test_known_disagreements():
    differing = {each.what for each in EVERY if each.verdict is Verdict.DIFFERS}
    for what in (
        "ReluLLaMA-13B sparse, gain by the slide's own two numbers",
        "ReluLLaMA-7B sparse, active parameters",
        "OPT 6.7B, FLOPS",
        "SparseInfer, prediction",
        "times less memory",
        "ProSparse's sparsity",
        "accuracy lost at the alpha of that gain, 13B, the worse of both tasks",
        "skip is set to true where more products are negative",
        "rows that a read of 16 bytes tells, bf16 activations",
    ):
        assert what in differing


def test_all_averages_and_changes_of_the_accuracy_tables_add_up():
    for table in ("Table II", "Table III"):
        computed = [each for each in named(table) if each.kind is Kind.COMPUTED]
        assert len(computed) == 17
        assert {each.verdict for each in computed} == {Verdict.SAME}


def test_no_such_seed():
    with pytest.raises(SparsityError, match="0, 1 or 2"):
        figures(3)


def test_the_guide_names_every_group():
    guide = GUIDE.read_text("utf-8").lower()
    missing = {each.table for each in EVERY if each.table.lower() not in guide}
    assert not missing
