# SPDX-License-Identifier: Apache-2.0
"""The promise of every mode: each wanted row exactly once, nothing else but padding, no deadlock.

Streams are run by `replay`, those of `host` by `gather_replay`, both with data moving at once and
with data moving as late as it can.
"""

from dataclasses import replace

import numpy as np
import pytest
from gather_cases import Case, closed, play, some_options
from gather_cases import weights as host_weights
from hypothesis import given, settings
from hypothesis import strategies as st
from replay import Replay, drop_unwanted

from aie2 import txn
from aie2.devices import NPU1, NPU2
from bdgen import program
from bdgen.bitmap import pack
from bdgen.errors import PlanError
from bdgen.planner import Options
from bdgen.request import Location, Request, unpack
from bdgen.target import Matrix, Target

ROW_BYTES = (4, 12, 512, 1020, 1024, 4096, 5504, 8192, 11008, 22016)
OBJECT_BYTES = (512, 1024, 4096, 8192)
DEALS = ("order", "index", "block", "segment")


@st.composite
def targets(draw):
    device = draw(st.sampled_from((NPU1, NPU2)))
    columns = draw(st.integers(1, device.columns))
    partition = draw(st.none() | st.integers(columns, device.columns))
    return Target(
        device, columns, draw(st.sampled_from(OBJECT_BYTES)), draw(st.integers(1, 2)), partition
    )


@st.composite
def cases(draw):
    """A target, a matrix and a mask: none, one, all, alternating, contiguous or random."""
    target = draw(targets())
    rows = draw(st.integers(1, 150))
    matrix = Matrix(
        rows, draw(st.sampled_from(ROW_BYTES)), *draw(st.sampled_from(((0, 1), (3, 2))))
    )
    mask = np.zeros(rows, np.bool_)
    pattern = draw(st.sampled_from(("none", "one", "all", "alternating", "contiguous", "random")))
    if pattern == "one":
        mask[draw(st.integers(0, rows - 1))] = True
    elif pattern == "all":
        mask[:] = True
    elif pattern == "alternating":
        mask[:: draw(st.integers(2, 10))] = True
    elif pattern == "contiguous":
        mask[draw(st.integers(0, rows - 1)) :] = True
    elif pattern == "random":
        mask = np.random.default_rng(draw(st.integers(0, 9999))).random(rows) < 0.4
    return target, matrix, mask


def weights(matrix):
    return np.random.default_rng(matrix.rows).integers(0, 256, matrix.nbytes, np.uint8)


def run(target, matrix, made, words, eager):
    """The replay of some words in the buffers of a program; what nobody writes stays 0xEE."""
    buffers = [np.zeros(0, np.uint8)] * 4
    buffers[matrix.arg] = weights(matrix)
    buffers[matrix.output_arg] = np.full(made.output_bytes, 0xEE, np.uint8)
    return Replay(target, buffers, eager).run(words)


def check(target, matrix, mask, made, words=None):
    """Run a program (or the words that a firmware made of it) and hold it to its promises."""
    words = made.words if words is None else words
    late, early = (run(target, matrix, made, words, eager) for eager in (False, True))
    where, output = made.placement, late.buffers[matrix.output_arg]
    source = weights(matrix)
    for row, offset, nbytes, dst in zip(
        where.row, where.row_offset, where.nbytes, where.dst, strict=True
    ):
        start = row * matrix.row_bytes + offset
        assert np.array_equal(output[dst : dst + nbytes], source[start : start + nbytes])
    assert np.array_equal(where.wanted, mask[where.row])
    reads = np.zeros(matrix.nbytes, np.int64)
    padding = 0
    for arg, offset, nbytes in late.reads:
        if arg == matrix.arg:
            reads[offset : offset + nbytes] += 1
        else:
            assert arg == matrix.output_arg
            assert made.scratch_offset <= offset
            assert offset + nbytes <= made.output_bytes
            padding += nbytes
    moved = np.bincount(where.row, minlength=matrix.rows) > 0
    assert np.array_equal(reads, np.repeat(moved, matrix.row_bytes))
    assert padding == made.padding_bytes
    rows = made.bytes_moved
    assert (output[rows : made.scratch_offset] == 0xEE).all()
    assert np.array_equal(output[:rows], early.buffers[matrix.output_arg][:rows])
    assert made.bytes_moved == where.nbytes.sum() == moved.sum() * matrix.row_bytes
    assert made.rows_moved == moved.sum()
    assert made.rows_wanted == mask.sum()
    return late


def check_counts(made, replayed):
    assert made.bds == replayed.bds_written
    assert made.pushes == replayed.pushes
    assert made.tokens == replayed.waits
    assert made.instruction_bytes == 4 * len(made.words)


def check_exactly_wanted(mask, made):
    assert made.placement.wanted.all()
    assert set(made.placement.row.tolist()) == set(np.flatnonzero(mask).tolist())


@settings(deadline=None, max_examples=60)
@given(targets(), st.integers(1, 60), st.sampled_from(ROW_BYTES))
def test_dense_moves_the_matrix_in_one_batch(target, rows, row_bytes):
    matrix, mask = Matrix(rows, row_bytes), np.ones(rows, np.bool_)
    made = program.dense(target, matrix)
    check_counts(made, check(target, matrix, mask, made))
    check_exactly_wanted(mask, made)
    assert np.array_equal(made.placement.row, np.arange(rows))
    assert made.tokens == min(rows, len(target.lanes))


@settings(deadline=None, max_examples=200)
@given(cases(), st.sampled_from(("wait", "poll")), st.sampled_from(DEALS))
def test_phase0_gathers_each_wanted_row_once(case, guard, by):
    target, matrix, mask = case
    made = program.phase0(target, matrix, pack(mask), guard, by)
    replayed = check(target, matrix, mask, made)
    check_counts(made, replayed)
    check_exactly_wanted(mask, made)
    assert replayed.most_unawaited <= (4 if guard == "wait" else 15)


@settings(deadline=None, max_examples=150)
@given(cases(), st.sampled_from(("wait", "poll")))
def test_phase1_gathers_what_its_firmware_leaves(case, guard):
    target, matrix, mask = case
    made = program.phase1(target, matrix, pack(mask), guard)
    words = drop_unwanted(made.words, target, matrix, mask)
    check(target, matrix, mask, made, words)
    check_exactly_wanted(mask, made)


@settings(deadline=None, max_examples=40)
@given(cases(), st.sampled_from(("wait", "poll")))
def test_phase1_words_are_the_rowwise_dense_stream_for_every_mask(case, guard):
    target, matrix, mask = case
    everything = np.ones(matrix.rows, np.bool_)
    made = program.phase1(target, matrix, pack(everything), guard)
    assert np.array_equal(program.phase1(target, matrix, pack(mask), guard).words, made.words)
    replayed = check(target, matrix, everything, made)
    check_counts(made, replayed)
    assert replayed.most_unawaited <= (4 if guard == "wait" else 15)


@settings(deadline=None, max_examples=60)
@given(cases())
def test_phase2_is_dense_to_stock_firmware_and_carries_its_request(case):
    target, matrix, mask = case
    request = Request(Location.TILE, matrix.rows, "bf16", matrix.row_bytes, offset_bytes=64)
    made = program.phase2(target, matrix, request, pack(mask))
    dense = program.dense(target, matrix)
    replayed = run(target, matrix, made, made.words, eager=False)
    assert np.array_equal(replayed.buffers[matrix.output_arg][: matrix.nbytes], weights(matrix))
    assert (made.bds, made.pushes, made.tokens) == (dense.bds, dense.pushes, dense.tokens)
    first, *others = replayed.patches
    assert first.arg == matrix.arg
    assert unpack(first.reserved) == request
    assert not any(any(patch.reserved) for patch in others)


@settings(deadline=None, max_examples=60)
@given(cases(), st.sampled_from(("wait", "poll")))
def test_phase2_places_rows_as_phase0_does(case, guard):
    target, matrix, mask = case
    request = Request(Location.DDR, matrix.rows, "int8", matrix.row_bytes, arg=2)
    made = program.phase2(target, matrix, request, pack(mask), guard)
    phase0 = program.phase0(target, matrix, pack(mask), guard)
    for ours, theirs in zip(vars_of(made.placement), vars_of(phase0.placement), strict=True):
        assert np.array_equal(ours, theirs)
    assert made.padding_bytes == phase0.padding_bytes
    assert made.output_bytes >= max(phase0.output_bytes, matrix.nbytes)


def vars_of(placement):
    return [getattr(placement, name) for name in placement.__slots__]


@settings(deadline=None, max_examples=150)
@given(cases(), some_options())
def test_host_lands_what_its_placement_says(case, options):
    target, matrix, mask = case
    made = program.host(target, matrix, pack(mask), options)
    where, moved = made.placement, made.bytes_moved
    for eager in (False, True):
        played = play(
            Case(target, matrix, mask, options), made.words, made.output_bytes, eager=eager
        )
        output = played.buffers[matrix.output_arg]
        for row, dst in zip(where.row, where.dst, strict=True):
            source = host_weights(matrix)[row * matrix.row_bytes : (row + 1) * matrix.row_bytes]
            assert np.array_equal(output[dst : dst + matrix.row_bytes], source)
        pads = 4 * played.reads[matrix.output_arg]
        assert not pads[: made.scratch_offset // 4].any()
        assert pads.sum() == made.padding_bytes
        counts = (len(made.words), len(played.ops), made.bds, played.patches, made.pushes)
        played.check_counts((*counts, made.tokens))
    island = closed(mask, options.max_gap)
    assert np.array_equal(np.sort(where.row), np.flatnonzero(island))
    assert np.array_equal(where.dst, np.arange(len(where.row)) * matrix.row_bytes)
    assert np.array_equal(where.wanted, mask[where.row])
    assert (where.nbytes == matrix.row_bytes).all()
    assert not where.row_offset.any()
    assert (made.rows_wanted, made.rows_moved) == (mask.sum(), island.sum())
    assert moved == made.scratch_offset == island.sum() * matrix.row_bytes
    assert made.output_bytes == moved + (target.object_bytes if made.padding_bytes else 0)
    assert made.instruction_bytes == 4 * len(made.words)


def test_host_programs_outlive_their_planner():
    target, matrix = Target(NPU1, 1, 1024), Matrix(200, 1024)
    one = program.host(target, matrix, pack(np.arange(200) % 3 == 0))
    words, rows = one.words.copy(), one.placement.row.copy()
    program.host(target, matrix, pack(np.arange(200) % 2 == 0))
    assert np.array_equal(one.words, words)
    assert np.array_equal(one.placement.row, rows)


def test_host_moves_more_rows_a_bd_the_more_effort_it_makes():
    target, matrix = Target(NPU1, 4, 4096), Matrix(4000, 8192)
    wanted = np.random.default_rng(0).random(4000) < 0.2
    bds = [
        program.host(target, matrix, pack(wanted), Options(effort)).bds
        for effort in ("runs", "fast", "best")
    ]
    assert bds == sorted(bds, reverse=True)
    assert bds[0] > 2 * bds[2]


@settings(deadline=None, max_examples=30)
@given(cases())
def test_same_input_gives_same_words(case):
    target, matrix, mask = case
    for make in (program.phase0, program.phase1, program.host):
        first, second = (make(target, matrix, pack(mask)) for _ in range(2))
        assert np.array_equal(first.words, second.words)


@pytest.mark.parametrize("make", [program.phase0, program.host])
def test_nothing_wanted_is_an_empty_stream(make):
    made = make(Target(NPU1, 4, 1024), Matrix(64, 1024), np.zeros(8, np.uint8))
    decoded = txn.decode(made.words)
    assert decoded.ops == ()
    assert (made.bytes_moved, made.output_bytes, made.rows_moved, made.tokens) == (0, 0, 0, 0)
    assert len(made.placement.row) == 0


def test_a_partition_wider_than_the_target_is_in_the_header():
    target = Target(NPU2, 2, 1024, partition_columns=8)
    made = program.phase0(target, Matrix(8, 1024), pack(np.ones(8, np.bool_)))
    assert txn.decode(made.words).header.columns == 8


def test_host_rows_shorter_than_an_object_fill_objects_together():
    target, matrix = Target(NPU1, 1, 4096), Matrix(64, 1024)
    made = program.host(target, matrix, pack(np.arange(64) % 2 == 0))
    assert (made.padding_bytes, made.output_bytes, made.scratch_offset) == (0, 1 << 15, 1 << 15)


def test_padding_is_counted_and_has_its_scratch_tail():
    target, matrix = Target(NPU1, 1, 4096), Matrix(8, 1024)
    made = program.host(target, matrix, pack(np.arange(8) == 5))
    assert (made.padding_bytes, made.scratch_offset, made.output_bytes) == (3072, 1024, 1024 + 4096)


def test_lanes_of_a_column_share_its_bds():
    made = program.phase0(
        Target(NPU1, 1, 1024, channels=2), Matrix(40, 1024), pack(np.ones(40, np.bool_)), "poll"
    )
    addresses = {op.address for op in txn.decode(made.words).ops if isinstance(op, txn.BlockWrite)}
    assert addresses == {0x1D000 + 0x20 * bd for bd in range(16)}


def test_polls_stand_before_pushes_beyond_the_queue_only():
    target, matrix = Target(NPU1, 1, 1024), Matrix(15, 1024)
    bitmap = pack(np.ones(15, np.bool_))
    polled = txn.decode(program.phase0(target, matrix, bitmap, "poll").words).ops
    waited = txn.decode(program.phase0(target, matrix, bitmap, "wait").words).ops
    assert sum(isinstance(op, txn.MaskPoll) for op in polled) == 11
    assert not any(isinstance(op, txn.MaskPoll) for op in waited)
    assert sum(isinstance(op, txn.Tct) for op in waited) == 4


@pytest.mark.parametrize("make", [program.phase0, program.phase1, program.host])
def test_bitmap_of_another_matrix_refused(make):
    with pytest.raises(PlanError, match="^a bitmap of 64 rows has 8 bytes, this one 7; give"):
        make(Target(NPU1, 1, 1024), Matrix(64, 1024), np.zeros(7, np.uint8))


REQUEST = Request(Location.TILE, 64, "bf16", 1024, column=1)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (
            replace(REQUEST, count=63),
            "a request for 63 rows of 1024 bytes, but the matrix has 64 of",
        ),
        (replace(REQUEST, row_bytes=512), "a request for 64 rows of 512 bytes, but the matrix has"),
        (
            replace(REQUEST, column=2),
            "activations in column 2 of a partition of 2 columns; give col",
        ),
    ],
)
def test_request_for_something_else_refused(request_, message):
    with pytest.raises(PlanError, match=f"^{message}"):
        program.phase2(Target(NPU1, 2, 1024), Matrix(64, 1024), request_, np.zeros(8, np.uint8))


def test_contradictory_host_options_refused():
    target, matrix = Target(NPU1, 2, 1024), Matrix(8, 1024)
    with pytest.raises(PlanError, match='^addressing "absolute" and device addresses go together'):
        program.host(target, matrix, np.ones(1, np.uint8), Options(addressing="absolute"))


def test_unknown_guard_refused():
    with pytest.raises(PlanError, match='^mode "tasks" with guard "hope"; give "chain" or "tasks"'):
        program.phase0(Target(NPU1, 1, 1024), Matrix(8, 1024), np.ones(1, np.uint8), guard="hope")  # type: ignore[arg-type]
