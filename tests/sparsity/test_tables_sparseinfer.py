# SPDX-License-Identifier: Apache-2.0
import math

import pytest

from sparsity.errors import ShapeError
from sparsity.tables import row_bytes
from sparsity.tables import sparseinfer as si


def test_table_1_to_the_digit():
    found = si.operations()
    assert found.dense == 212_336_640
    assert found.low_rank == 19_398_656
    assert found.signs == 2_211_840
    assert found.sparse == 1106 * 5120 * 3  # 8 % of 13,824 rows, whole ones
    assert si.implied_sparsity(1.699e7) == pytest.approx(0.92, abs=5e-5)


def test_memory_to_the_byte():
    found = si.memory()
    assert found.low_rank == 1_551_892_480 == 1480 * si.MIB
    assert found.signs == 353_894_400 == 675 * si.MIB // 2
    assert found.ratio == pytest.approx(4.3852, abs=5e-5)
    assert found.down_twice == 2 * 70_778_880 * 40
    seven = si.memory("ProSparse-7B")
    assert (seven.low_rank / si.MIB, seven.signs / si.MIB) == (944, 172)


def test_floors_at_orins_bandwidth():
    low_rank, signs = si.predictors(si.shape(si.PAPER_MODEL))
    assert si.roofline(signs.read_bytes, 70).floor_us == pytest.approx(43.2)
    assert si.roofline(low_rank.read_bytes, 256.2).floor_us == pytest.approx(189.44)
    assert si.roofline(signs.read_bytes, 70).gb_per_s == pytest.approx(126.4, abs=0.05)


@pytest.mark.parametrize(("size", "us", "speed"), [(0, 1, 1), (1, 0, 1), (1, 1, 0)])
def test_no_roofline_of_nothing(size, us, speed):
    with pytest.raises(ShapeError, match="more than 0"):
        si.roofline(size, us, speed)


@pytest.mark.parametrize(
    ("width", "words", "iterations", "dropped", "padded"),
    [
        (5120, 160, 5, 0, 0),
        (4096, 128, 4, 0, 0),
        (4544, 142, 4, 14, 0),  # Falcon-7B
        (2560, 80, 2, 16, 0),  # Phi-2
        (512, 16, 0, 16, 0),  # USE-lite: nothing is counted at all
        (100, 4, 0, 4, 28),
    ],
)
def test_what_listing_1_leaves_out(width, words, iterations, dropped, padded):
    assert si.listing(width) == si.Listing(words, iterations, dropped, padded)


def test_listing_1_counts_all_of_a_multiple_of_1024_and_only_of_that():
    for width in range(32, 4097, 32):
        assert (si.listing(width).dropped == 0) == (width % 1024 == 0)


def test_ties():
    assert si.tie_probability(2) == pytest.approx(0.5)
    assert si.tie_probability(4) == pytest.approx(6 / 16)
    assert si.tie_probability(5) == 0
    for width in (4096, 5120):
        assert si.tie_probability(width) == pytest.approx(math.sqrt(2 / math.pi / width), rel=1e-3)


def test_no_listing_of_no_weight():
    with pytest.raises(ShapeError, match="at least 1"):
        si.listing(0)


@pytest.mark.parametrize(
    ("model", "sizes", "vector", "bitmap", "batches", "mib"),
    [
        ("ReluLLaMA-7B", (8192, 4096, 2048, 4352, 2304), 22_016, 1376, 688, 5.375),
        ("ReluLLaMA-13B", (10240, 5120, 2560, 5440, 2880), 27_648, 1728, 864, 8.4375),
        ("Falcon-7B", (9088, 4544, 2272, 4828, 2556), 36_352, 2272, 1136, 9.845703125),
        ("Phi-2", (5120, 2560, 1280, 2720, 1440), 20_480, 1280, 640, 3.125),
        ("SmolLM2-135M", (1152, 576, 288, 612, 324), 3072, 192, 96, 0.10546875),
    ],
)
def test_bytes_of_rows_vectors_bitmaps_and_signs(model, sizes, vector, bitmap, batches, mib):
    found = next(each for each in row_bytes.every_model() if each.model == model)
    formats = ("bf16", "int8", "int4", "q8_0", "q4_0")
    assert tuple(found.by_format[name] for name in formats) == sizes
    assert (found.vector_bytes, found.bitmap_bytes, found.batches) == (vector, bitmap, batches)
    assert found.sign_bytes / si.MIB == mib


def test_rows_that_a_read_tells():
    assert [row_bytes.rows_told_by_a_read(bits) for bits in (8, 16, 1)] == [16, 8, 128]
