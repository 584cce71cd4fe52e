# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.tables.architecture import architecture
from sparsity.tables.flops import STRIKES_BACK, Skip, accuracy_lost, multiplications, readings

SHARES = st.floats(0, 1)


@pytest.mark.parametrize(
    ("name", "giga", "skip", "head", "fits"),
    [
        ("Llama 7B", 6.607, Skip.OWN, True, True),
        ("Llama 7B (relufied-s1)", 4.818, Skip.UP_TOO, True, True),
        ("Llama 7B (relufied-s2)", 2.914, Skip.OWN, True, True),
        ("Falcon 7B", 6.600, Skip.OWN, False, True),
        ("Falcon 7B (relufied-s1)", 4.142, Skip.OWN, False, True),
        ("Falcon 7B (relufied-s2)", 2.255, Skip.OWN, False, False),
        ("OPT 6.7B", 4.565, Skip.OWN, True, False),
        ("OPT 6.7B (relufied-s2)", 2.901, Skip.OWN, True, False),
    ],
)
def test_nearest_reading_of_every_row(name, giga, skip, head, fits):
    row = next(each for each in STRIKES_BACK if each.name == name)
    best = readings(row)[0]
    assert best.giga == pytest.approx(giga, abs=6e-4)
    assert (best.skip, best.head, best.fits) == (skip, head, fits)


def test_accuracy_lost_is_to_the_same_model_before():
    assert [accuracy_lost(row) for row in STRIKES_BACK] == [0, 1.3, 2.0, 0, 1.6, 2.0, 0, 1.2]


def test_dense_is_every_weight_but_embeddings_and_norms():
    found = architecture("ReluLLaMA-7B")
    norms = (2 * 32 + 1) * 4096
    assert multiplications(found) == found.parameters - norms - found.head


@given(SHARES, SHARES, SHARES, st.sampled_from(Skip), st.booleans())
def test_more_zeros_never_cost_more(qkv, up, down, skip, head):
    found = architecture("OPT-6.7B")
    some = multiplications(found, qkv, up, down, skip, head)
    assert multiplications(found, qkv, up, 1, skip, head) <= some
    assert some <= multiplications(found, head=head) + 1
    assert multiplications(found, qkv, up, down, Skip.ALL, head) <= some
