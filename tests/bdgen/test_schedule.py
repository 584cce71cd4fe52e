# SPDX-License-Identifier: Apache-2.0
"""What would break a gather: a row dealt twice or never, or a fifo left with half an object."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aie2.devices import NPU1, NPU2
from bdgen.errors import PlanError
from bdgen.runs import runs
from bdgen.schedule import Limits, batch, deal_rows, deal_runs, place
from bdgen.target import Matrix, Target

DEALS = ("order", "index", "block", "segment")


@st.composite
def masks(draw):
    count = draw(st.integers(1, 200))
    density = draw(st.sampled_from((0.0, 0.05, 0.5, 0.95, 1.0)))
    return np.random.default_rng(draw(st.integers(0, 2**32))).random(count) < density


row_words = st.integers(1, 60)
lane_counts = st.integers(1, 16)


def lane_slices(transfers):
    return [slice(*ends) for ends in pairwise(transfers.lane_starts)]


@settings(deadline=None)
@given(masks(), row_words, lane_counts, st.sampled_from(DEALS))
def test_every_wanted_byte_is_dealt_once(mask, words, lanes, by):
    matrix = Matrix(len(mask), words * 4)
    transfers = deal_rows(np.flatnonzero(mask), matrix, lanes, by)
    assert len(transfers.lane_starts) == lanes + 1
    assert not (transfers.src % 4).any()
    assert not (transfers.nbytes % 4).any()
    moved = np.zeros(matrix.nbytes, int)
    for src, nbytes in zip(transfers.src, transfers.nbytes, strict=True):
        moved[src : src + nbytes] += 1
    assert np.array_equal(moved.reshape(len(mask), -1), np.repeat(mask[:, None], words * 4, 1))


@settings(deadline=None)
@given(masks(), row_words, lane_counts, st.sampled_from(DEALS))
def test_output_is_compact_lane_after_lane(mask, words, lanes, by):
    transfers = deal_rows(np.flatnonzero(mask), Matrix(len(mask), words * 4), lanes, by)
    ends = np.concatenate([[0], np.cumsum(transfers.nbytes)])
    assert np.array_equal(transfers.dst, ends[:-1])
    assert (np.diff(transfers.lane) >= 0).all()


@settings(deadline=None)
@given(masks(), lane_counts)
def test_order_and_index_say_which_lane(mask, lanes):
    matrix = Matrix(len(mask), 8)
    rows = np.flatnonzero(mask)
    by_order = deal_rows(rows, matrix, lanes, "order")
    by_index = deal_rows(rows, matrix, lanes, "index")
    for lane, part in enumerate(lane_slices(by_order)):
        assert by_order.src[part].tolist() == [
            8 * r for k, r in enumerate(rows) if k % lanes == lane
        ]
    for lane, part in enumerate(lane_slices(by_index)):
        assert by_index.src[part].tolist() == [8 * r for r in rows if r % lanes == lane]


@settings(deadline=None)
@given(masks(), lane_counts)
def test_runs_are_shared_out_evenly(mask, lanes):
    matrix = Matrix(len(mask), 8)
    starts, lengths = runs(np.packbits(mask, bitorder="little"), len(mask))
    transfers = deal_runs(starts, lengths, matrix, lanes)
    placement = place(transfers, matrix, mask)
    assert np.array_equal(placement.row, np.flatnonzero(mask))
    wanted_per_lane = []
    for part in lane_slices(transfers):
        first = transfers.src[part] // 8
        end = first + transfers.nbytes[part] // 8
        assert (first[1:] > end[:-1]).all()
        assert mask[first].all() and mask[end - 1].all()
        wanted_per_lane.append(sum(int(mask[a:b].sum()) for a, b in zip(first, end, strict=True)))
    assert max(wanted_per_lane) - min(wanted_per_lane) <= 1


@settings(deadline=None)
@given(
    st.lists(st.integers(1, 30), min_size=0, max_size=80),
    st.integers(1, 40),
    st.sampled_from((Limits(15, 13), Limits(7, 5), Limits(4, 3), Limits(4, 3, always_pad=True))),
)
def test_every_batch_moves_whole_objects_within_its_bds(sizes, object_words, limits):
    object_bytes = 4 * object_words
    nbytes = 4 * np.array(sizes, np.int64)
    ends = np.concatenate([[0], np.cumsum(nbytes)])
    cut = len(sizes) // 3
    transfers = deal_rows(np.arange(0), Matrix(1, 4), 2)._replace(
        lane_starts=np.array([0, cut, len(sizes)]), src=ends[:-1], nbytes=nbytes, dst=ends[:-1]
    )
    made = batch(transfers, object_bytes, limits)
    assert made.sends.sum() == len(sizes)
    assert np.array_equal(made.first, np.cumsum(made.sends) - made.sends)
    assert set(transfers.lane_starts) <= set(made.first) | {len(sizes)}
    for first, sends, moved, pad, dst in zip(
        made.first, made.sends, made.nbytes, made.pad, made.dst, strict=True
    ):
        assert moved == nbytes[first : first + sends].sum()
        assert dst == ends[first]
        assert (moved + pad) % object_bytes == 0
        assert 1 <= sends <= (limits.padded_sends if pad else limits.sends)
        if limits.always_pad:
            assert 0 < pad <= object_bytes
        else:
            assert pad < object_bytes


def test_batches_end_on_whole_objects_where_they_can():
    matrix = Matrix(100, 1024)
    transfers = deal_rows(np.arange(100), matrix, 1)
    made = batch(transfers, 4096, Limits(15, 13))
    assert set(made.sends.tolist()) == {12, 4}
    assert not made.pad.any()


def test_rows_that_share_no_object_boundary_are_padded_and_the_batch_stays_large():
    transfers = deal_rows(np.arange(26), Matrix(26, 20), 1)
    made = batch(transfers, 8192, Limits(15, 13))
    assert made.sends.tolist() == [13, 13]
    assert made.pad.tolist() == [8192 - 260] * 2


def test_a_row_narrower_than_the_lanes_leaves_lanes_idle():
    transfers = deal_rows(np.array([3, 5]), Matrix(8, 8), 4, "segment")
    assert np.diff(transfers.lane_starts).tolist() == [2, 0, 2, 0]
    assert transfers.nbytes.tolist() == [4] * 4


def test_one_row_goes_to_the_first_lane_in_every_deal():
    for by in ("order", "block"):
        assert deal_rows(np.array([7]), Matrix(8, 8), 8, by).lane.tolist() == [0]


def test_unknown_deal_refused():
    with pytest.raises(PlanError, match=r'^rows dealt by "luck"; give "order", "index", "block"'):
        deal_rows(np.arange(3), Matrix(3, 8), 2, by="luck")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Target(NPU1, 5, 1024), "5 columns asked of npu1, which has 4; give 1 to 4"),
        (lambda: Target(NPU2, 0, 1024), "0 columns asked of npu2, which has 8; give 1 to 8"),
        (lambda: Target(NPU1, 1, 1024, channels=3), "3 channels a column asked of npu1"),
        (lambda: Target(NPU1, 4, 1024, partition_columns=3), "a partition of 3 columns cannot"),
        (lambda: Target(NPU1, 1, partition_columns=5, object_bytes=4), "a partition of 5 columns"),
        (lambda: Target(NPU1, 1, 1022), "a fifo object of 1022 bytes is not a whole number"),
        (lambda: Matrix(4, 510), "a row of 510 bytes is not a whole number of 32-bit words; pad"),
        (lambda: Matrix(4, 0), "a row of 0 bytes"),
        (lambda: Matrix(0, 4), "a matrix of 0 rows has nothing to gather"),
        (lambda: Matrix(1 << 20, 4096), "a matrix of 4294967296 bytes is not below"),
        (lambda: Matrix(4, 4, arg=5), "host buffer 5 is not one of the first 5"),
        (lambda: Matrix(4, 4, arg=1), "weights and output are both host buffer 1"),
    ],
)
def test_impossible_target_or_matrix_refused(make, message):
    with pytest.raises(PlanError, match=f"^{message}"):
        make()
