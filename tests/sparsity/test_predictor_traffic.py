# SPDX-License-Identifier: Apache-2.0
import pytest

from sparsity.errors import SparsityError
from sparsity.predictor.traffic import (
    POWERINFER_RANK,
    floor_us,
    low_bit_predictor,
    low_rank_predictor,
    mlp,
    sign_predictor,
    traffic,
    vector_bytes,
)

D13, K13, D7, K7 = 5120, 13824, 4096, 11008
MIB = 1 << 20


def test_operations_of_table_1():
    assert mlp(D13, K13).multiplications == 212_336_640
    assert low_rank_predictor(D13, K13, POWERINFER_RANK).operations == 19_398_656
    assert sign_predictor(D13, K13).operations == 2_211_840
    assert mlp(D13, K13, 0.92).multiplications == pytest.approx(1.699e7, rel=1e-3)


@pytest.mark.parametrize(
    ("d", "k", "layers", "low_rank_mib", "sign_mib"),
    [(D13, K13, 40, 1480.0, 337.5), (D7, K7, 32, 944.0, 172.0)],
)
def test_memory_of_the_predictors(d, k, layers, low_rank_mib, sign_mib):
    low_rank = low_rank_predictor(d, k, POWERINFER_RANK).read_bytes * layers
    assert low_rank / MIB == low_rank_mib
    assert sign_predictor(d, k).read_bytes * layers / MIB == sign_mib


@pytest.mark.parametrize(("d", "words"), [(4544, 142), (2560, 80), (512, 16), (33, 2), (1, 1)])
def test_rows_are_padded_to_words(d, words):
    assert sign_predictor(d, 10).read_bytes == 10 * words * 4
    assert sign_predictor(d, 10).operations == 10 * words


def test_more_bits_of_x_read_no_more():
    one, four = (low_bit_predictor(D7, K7, bits) for bits in (1, 4))
    assert four.read_bytes == one.read_bytes == sign_predictor(D7, K7).read_bytes
    assert four.operations == 4 * one.operations


def test_the_input_is_16_and_20_kilobytes():
    """Unfused, gate and up each load it; the fused kernel loads it once: section IV-B4."""
    for d, k, kilobytes in ((D7, K7, 16), (D13, K13, 20)):
        inner = vector_bytes(d, k) - vector_bytes(d, k, fused=True)
        assert inner == kilobytes * 1024 + 4 * k * 4  # x once less; h1 and h2 not at all


def test_fusion_is_worth_little_and_actual_sparsity_a_lot():
    plain = traffic(D13, K13, 0.85, predictor=sign_predictor(D13, K13))
    fused = traffic(D13, K13, 0.85, fused=True, predictor=sign_predictor(D13, K13))
    actual = traffic(D13, K13, 0.85, 0.92, predictor=sign_predictor(D13, K13))
    assert 1 < plain.total_bytes / fused.total_bytes < 1.01
    assert plain.total_bytes / actual.total_bytes > 1.3
    assert actual.mlp.gate_bytes == plain.mlp.gate_bytes


def test_steps_add_up():
    counted = mlp(100, 1000, 0.5, 0.75, weight_bytes=2)
    assert (counted.gate_bytes, counted.up_bytes, counted.down_bytes) == (10**5, 50_000, 50_000)
    assert counted.read_bytes == 200_000
    assert counted.total_bytes == 200_000 + counted.vector_bytes
    assert mlp(100, 1000, 0.5, 0.75, gated=False).read_bytes == 150_000


def test_block_formats_have_fractions_of_bytes():
    assert mlp(32, 10, weight_bytes=34 / 32).read_bytes == 3 * 340


def test_the_papers_times_beside_the_memorys():
    """70 us and 256 us on a Jetson Orin of 204.8 GB/s are 126 and 151 GB/s."""
    sign, low = sign_predictor(D13, K13), low_rank_predictor(D13, K13, POWERINFER_RANK)
    assert floor_us(sign.read_bytes, 204.8) == pytest.approx(43.2, abs=0.05)
    assert floor_us(low.read_bytes, 204.8) == pytest.approx(189.4, abs=0.1)
    assert low.read_bytes / sign.read_bytes == pytest.approx(4.385, abs=1e-3)


@pytest.mark.parametrize(
    "wrong", [{"d": 0}, {"predicted": -0.1}, {"predicted": 0.5, "actual": 0.4}]
)
def test_shares_that_shrink_are_refused(wrong):
    with pytest.raises(SparsityError, match="^d .*: give sizes from 1 and shares from 0 to 1, "):
        mlp(**({"d": 4, "k": 4} | wrong))
