# SPDX-License-Identifier: Apache-2.0
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsity.errors import SparsityError
from sparsity.tables.architecture import architecture
from sparsity.tables.paper_tables import SPEED_UPS
from sparsity.tables.speedups import left_over, speedup, split_by_bytes


def test_amdahl_at_the_papers_share():
    assert speedup(0.62, 0.08) == pytest.approx(2.328, abs=5e-4)
    assert speedup(0.62, 0.10) == pytest.approx(2.262, abs=5e-4)
    assert left_over(0.62, 1.79) == pytest.approx(0.288, abs=5e-4)
    assert left_over(0.62, 1.70) == pytest.approx(0.336, abs=5e-4)


@given(st.floats(0.01, 0.99), st.floats(0, 1))
def test_what_is_left_over_undoes_the_speed_up(share, left):
    assert left_over(share, speedup(share, left)) == pytest.approx(left, abs=1e-9)


@given(st.floats(0.01, 0.99), st.floats(0, 0.98))
def test_less_left_is_faster_and_never_beyond_the_limit(share, left):
    assert speedup(share, left + 0.01) < speedup(share, left) <= 1 / (1 - share) + 1e-9


def test_powerinfer_comes_out_alike_from_both_rows_of_a_model():
    found = [row.powerinfer for row in SPEED_UPS]
    assert found[0] == pytest.approx(1.409, abs=5e-4)
    assert found[0] == pytest.approx(found[2], rel=0.01)
    assert found[1] == pytest.approx(found[3], rel=0.01)


def test_split_of_a_tokens_bytes():
    split = split_by_bytes(architecture("ProSparse-13B"))
    assert split.mlp == pytest.approx(0.661, abs=5e-4)
    assert split.attention == pytest.approx(0.326, abs=5e-4)
    assert split.attention + split.mlp + split.head == pytest.approx(1)


def test_refuses_what_is_no_share():
    with pytest.raises(SparsityError, match="share"):
        speedup(1.5, 0.1)
    with pytest.raises(SparsityError, match="share"):
        speedup(1, 0)
    with pytest.raises(SparsityError, match="more than 0"):
        left_over(0, 2)
