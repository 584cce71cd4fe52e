# SPDX-License-Identifier: Apache-2.0
"""What would break on a device: BDs that read something else, rounds that stamps write otherwise.

Streams are written from lattices made by hand, so that they reach what packing never makes, and
are played by `gather_replay`.
"""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from gather_cases import BYTES, CROSSING
from gather_replay import GatherReplay
from hypothesis import given, settings
from hypothesis import strategies as st

from aie2 import tiles, txn
from aie2.devices import NPU1, NPU2
from aie2.registers import SHIM_BD, SHIM_DMA, Direction
from bdgen import chain_words, lattices
from bdgen.bd_words import Addressing, first_wrap, iteration_to, row_shape
from bdgen.chain_words import Desk, Layout
from bdgen.chains import ROWS, Weights, cut, deal, list_rows, room
from bdgen.lattices import LATTICE, MAX_WRAP, reach, table
from bdgen.pen import Counts
from bdgen.stencils import header
from bdgen.target import Matrix, Target

MM2S, S2MM = Direction.MM2S, Direction.S2MM
PATCH, ABSOLUTE, ITERATION = Addressing
ADDRESSES: tuple[int, ...] = (CROSSING, 0x1234_0000_0000)
Kind = TypeVar("Kind", bound=txn.Op)
OUTPUT_ARG = 1


@dataclass(frozen=True)
class Stream:
    """A stream, what it moves in which order, and what it says that it holds."""

    target: Target
    matrix: Matrix
    words: np.ndarray
    rows: np.ndarray
    counts: Counts
    absolute: bool

    @property
    def ops(self):
        return txn.decode(self.words).ops

    def of(self, kind: type[Kind]) -> list[Kind]:
        return [op for op in self.ops if isinstance(op, kind)]

    def play(self, eager=False):
        """Replay it; the rows must have landed in their order."""
        moved = len(self.rows) * self.matrix.row_bytes
        buffers = {
            0: BYTES[: self.matrix.nbytes],
            1: np.zeros(moved + self.target.object_bytes, np.uint8),
        }
        addresses = dict(enumerate(ADDRESSES)) if self.absolute else None
        played = GatherReplay(self.target, buffers, addresses, eager=eager).run(self.words)
        expected = BYTES[: self.matrix.nbytes].reshape(self.matrix.rows, -1)[self.rows]
        assert np.array_equal(buffers[1][:moved], expected.ravel())
        played.check_counts(self.counts)
        return played


def layout_of(target, addressing=PATCH, together=0):
    """A layout as a planner would have it, with room for padding."""
    sends = target.bds_per_lane - 2
    args = ADDRESSES if addressing is ABSOLUTE else (0, OUTPUT_ARG)
    return Layout(
        int(addressing), target.columns, target.channels, together or target.columns, 2,
        sends // 2, sends - sends // 2, *args,
    )  # fmt: skip


def write(target, row_bytes, made, addressing=PATCH, *, ramp=(), together=0, stamped=True):
    """Deal, cut and write lattices, whether any packing makes such or not."""
    last = int(lattices.rows(made).max(initial=0))
    matrix = Matrix(last + 1, row_bytes)
    lattices.check(made, row_bytes, matrix.rows)
    layout, shape = layout_of(target, addressing, together), row_shape(target, matrix)
    into = room(int(lattices.size(made).sum()), len(target.lanes))
    late, weights = np.zeros(len(target.lanes)), Weights(float(shape.row_words), 0.0)
    count = deal(
        table(made), late, weights, into.pieces, into.marks, into.order, into.lanes, into.classes,
        into.needs, into.tally,
    )  # fmt: skip
    cut(
        into.marks, np.array(ramp, np.int64), np.array([layout.half0, layout.half1]), row_bytes,
        target.object_bytes, into.chains, into.lanes,
    )  # fmt: skip
    desk = chain_words.desk(target, layout, shape)
    if not stamped:
        desk.tallies[:] = 0
    words = emit(target, layout, shape, into, desk, count)
    listed = np.empty(int(into.lanes[:, ROWS].sum()), np.int64)
    list_rows(into.pieces, into.chains, into.lanes, listed)
    counts = Counts(*desk.pen[: len(Counts._fields)].tolist())
    return Stream(target, matrix, words[: counts.words], listed, counts, addressing is ABSOLUTE)


def emit(target, layout, shape, into, desk: Desk, count):
    """Write what was dealt into a buffer between words that must stay."""
    held = np.full(chain_words.capacity(target, count) + 64, 0xABAD1DEA, np.uint32)
    words = held[32:-32]
    words[: txn.HEADER_WORDS] = header(target, 0, 0)
    chain_words.write(words, layout, shape, into.pieces, into.chains, into.lanes, *desk)
    assert (held[:32] == 0xABAD1DEA).all()
    assert (held[-32:] == 0xABAD1DEA).all()
    return words


def singles(firsts, run=1):
    """Linear lattices."""
    made = np.zeros(len(firsts), LATTICE)
    made["first"], made["run"] = firsts, run
    made["count"] = made["outer"] = made["repeat"] = 1
    return made


targets = st.builds(
    Target,
    st.sampled_from((NPU1, NPU2)),
    st.sampled_from((1, 2, 4)),
    st.sampled_from((512, 4096)),
    st.sampled_from((1, 2)),
)


KINDS = ("single", "long", "count", "many", "outer", "both")


@st.composite
def reachable(draw):
    """Row bytes, and lattices that BDs can express: wraps, steps and repeats up to the limits."""
    row_bytes = draw(st.sampled_from((4, 12, 1020, 2048, 4124, 5504, 8192, 22016)))
    known, random = reach(row_bytes), np.random.default_rng(draw(st.integers(0, 9999)))
    most = len(BYTES) // row_bytes
    kinds = draw(st.lists(st.sampled_from(KINDS), max_size=40))
    made = [_one(kind, known, random, most) for kind in kinds]
    return row_bytes, np.concatenate(
        [*(one for one in made if _fits(one, known, most)), singles([])]
    )


def _fits(one, known, most):
    """Whether a lattice stays within BYTES, and moves no more than a small part of them."""
    in_matrix = lattices.rows(one).max() < most
    return in_matrix and lattices.size(one)[0] * known.row_words < 1 << 16


def _one(kind, known, random, most):
    """One lattice of a kind, as far as rows of this length leave dimensions for it."""
    one = singles([random.integers(0, max(most // 4, 1))], int(random.integers(1, 4)))
    if kind == "long" and known.row_words == 1:
        one["run"] = random.choice([1023, 1024, 1031, 2048])
    levels = known.run_levels(int(one["run"][0]))
    if kind in ("count", "many", "both") and levels > 0:
        one["count"] = random.integers(1000, 2000) if kind == "many" else random.integers(2, 5)
        one["step"] = random.choice([1, 2, known.max_step])
    if kind in ("outer", "both") and levels > (kind == "both"):
        one["outer"], one["outer_step"] = random.integers(2, 5), random.integers(1, 9)
    if random.random() < 0.3:
        one["repeat"], one["repeat_step"] = random.choice([2, 3, 64]), random.integers(1, 4)
    for step in ("outer_step", "repeat_step"):
        one[step] = np.minimum(one[step], known.max_step)
    return one


@settings(max_examples=150)
@given(targets, reachable(), st.sampled_from((PATCH, ABSOLUTE)), st.sampled_from(((), (3, 6))))
def test_bds_read_the_rows_of_their_lattices(target, made, addressing, ramp):
    row_bytes, found = made
    stream = write(target, row_bytes, found, addressing, ramp=ramp)
    stream.play()
    stream.play(eager=True)


@settings(max_examples=100)
@given(targets, reachable())
def test_iteration_reads_the_same_rows_from_one_base(target, made):
    row_bytes, found = made
    stream = write(target, row_bytes, found[found["repeat"] == 1], ITERATION)
    stream.play()
    stream.play(eager=True)


@settings(max_examples=60)
@given(
    targets, st.integers(0, 999), st.integers(1, 3), st.sampled_from((PATCH, ABSOLUTE)),
    st.sampled_from(((), (3, 6), (1,))), st.sampled_from((0, 1, 3)),
)  # fmt: skip
def test_stamped_rounds_have_the_words_of_written_ones(
    target, seed, repeat, addressing, ramp, together
):
    random = np.random.default_rng(seed)
    made = singles(random.permutation(900)[: random.integers(0, 700)], int(random.integers(1, 3)))
    which = random.random(len(made)) < 0.3
    made["count"][which], made["step"][which] = 3, 7
    made["repeat"] = repeat
    made["repeat_step"] = 40 * (repeat > 1)
    one, two = (
        write(target, 64, made, addressing, ramp=ramp, together=together, stamped=stamped)
        for stamped in (True, False)
    )
    assert np.array_equal(one.words, two.words)
    assert one.counts == two.counts


@settings(max_examples=200)
@given(st.sampled_from((1, 3, 255, 1024, 1031, 1376, 2048, 5504)), st.integers(0, 1 << 20))
def test_iterations_reach_rows_exactly_or_not_at_all(row_words, row):
    shape = row_shape(Target(NPU1, 1, 1024), Matrix(1, row_words * 4))
    current, step = iteration_to.py_func(shape, row)  # type: ignore[attr-defined]
    reachable_by = [
        n for n in range(1, 64) if row * row_words % n == 0 and row * row_words // n <= 1 << 20
    ]
    if row == 0:
        assert current * step == 0
    elif current < 0:
        assert not reachable_by
    else:
        assert current * step == row * row_words
    assert current <= 63
    assert step <= 1 << 20


def test_rows_of_a_7b_matrix_are_all_in_reach_of_its_start():
    """Down-projections of 8 KiB and 10 KiB rows: no row needs a second patch."""
    for rows, row_bytes in ((11_008, 8192), (13_824, 10_240), (16_384, 8192)):
        shape = row_shape(Target(NPU1, 1, 4096), Matrix(rows, row_bytes))
        assert all(iteration_to.py_func(shape, row)[0] >= 0 for row in range(rows))  # type: ignore[attr-defined]


@given(st.integers(1, 3000) | st.integers(1, MAX_WRAP**2))
def test_two_wraps_have_the_product_of_the_words(words):
    first = first_wrap(words)
    pairs = [n for n in range(1, MAX_WRAP + 1) if words % n == 0 and words // n <= MAX_WRAP]
    assert first == max(pairs, default=0)


def test_a_column_has_its_bds_of_a_round_in_one_block():
    target = Target(NPU1, 2, 1024, channels=2)
    stream = write(target, 1024, singles(range(0, 144, 2)))
    sizes = [len(block.payload) // SHIM_BD.words for block in stream.of(txn.BlockWrite)]
    assert sizes == [1, 1, 6] * 2 + [6, 6] * 5
    assert stream.counts.bds == 72 + 4


def test_receive_bds_go_with_the_first_sends_where_they_touch():
    one = write(Target(NPU1, 1, 1024), 1024, singles([1, 5]))
    padded = write(Target(NPU1, 1, 4096), 1024, singles([1, 5]))
    assert [len(block.payload) // 8 for block in one.of(txn.BlockWrite)] == [1, 2]
    assert [len(block.payload) // 8 for block in padded.of(txn.BlockWrite)] == [4, 1]


def test_one_op_awaits_a_token_of_all_columns():
    stream = write(Target(NPU2, 8, 1024), 1024, singles(range(0, 400, 2)))
    waits = stream.of(txn.Tct)
    assert {(wait.column, wait.columns) for wait in waits} == {(0, 8)}
    assert [wait.direction for wait in waits] == [MM2S] * (len(waits) - 1) + [S2MM]
    assert stream.counts.tokens == 8 * len(waits)


def test_tokens_are_awaited_of_as_many_columns_together_as_asked():
    for together, widths in ((1, {1}), (3, {3, 2}), (8, {8})):
        stream = write(Target(NPU2, 8, 1024), 1024, singles(range(0, 400, 2)), together=together)
        waits = [wait for wait in stream.of(txn.Tct) if wait.direction is MM2S]
        assert {wait.columns for wait in waits} == widths
        stream.play()


def test_columns_without_work_are_not_awaited():
    stream = write(Target(NPU1, 4, 1024), 1024, singles([3, 8]))
    awaited = [wait.column + nth for wait in stream.of(txn.Tct) for nth in range(wait.columns)]
    assert len(awaited) == 2
    assert {op.address >> 25 for op in stream.of(txn.Write)} == set(awaited)


def test_short_streams_need_no_token_but_the_last():
    """Two chains a lane: both halves are used once, so nobody waits for a BD."""
    stream = write(Target(NPU1, 1, 1024), 1024, singles(range(0, 28, 2)))
    assert stream.counts.pushes == 3
    assert [wait.direction for wait in stream.of(txn.Tct)] == [S2MM]
    assert [op.address & 0xFFFFF for op in stream.of(txn.MaskWrite)] == [SHIM_DMA.ctrl(S2MM, 0)]


def test_a_chain_s_token_is_awaited_two_rounds_later():
    stream = write(Target(NPU1, 1, 1024), 1024, singles(range(0, 84, 2)))
    kinds = [
        op.direction if isinstance(op, txn.Tct) else "push"
        for op in stream.ops
        if isinstance(op, txn.Tct | txn.Write)
    ]
    assert kinds == ["push"] * 3 + [MM2S, "push"] * 4 + [S2MM]
    assert stream.play().most_unawaited == 2


def test_one_push_repeats_a_chain():
    made = singles(range(0, 10, 2), 2)
    made["repeat"], made["repeat_step"] = 3, 10
    stream = write(Target(NPU1, 1, 1024), 1024, made)
    assert [task.times for task in stream.play().pushed] == [3, 1]
    assert stream.rows.tolist() == list(range(30))


def test_absolute_streams_patch_nothing():
    stream = write(Target(NPU1, 1, 4096), 1024, singles(range(0, 40, 2)), ABSOLUTE)
    assert stream.counts.patches == 0
    assert not stream.of(txn.DdrPatch)


def test_iteration_patches_each_bd_once_and_then_keeps_its_address():
    made = singles(range(0, 600, 2))
    made["count"][1::3], made["step"][1::3] = 2, 900
    stream = write(Target(NPU1, 1, 1024), 1024, made, ITERATION)
    assert stream.counts.patches == 14 + 1
    bds = (SHIM_BD.words - 3) * 4
    patched = False
    for block in stream.of(txn.BlockWrite)[3:]:
        _, _, offset = tiles.split(block.address)
        assert (offset - SHIM_DMA.bd_base) % SHIM_DMA.bd_stride == 12
        assert len(block.payload) * 4 == bds
        patched = True
    assert patched
    stream.play()


def test_iteration_writes_a_length_only_where_it_differs():
    """Long runs come first, so each of the 14 BDs changes once to short ones."""
    alike = write(Target(NPU1, 1, 1024), 1024, singles(range(0, 100, 2)), ITERATION)
    runs = singles(range(0, 200, 4), 2)
    runs["run"][30:] = 3
    differing = write(Target(NPU1, 1, 1024), 1024, runs, ITERATION)
    lengths = [op for op in differing.of(txn.Write) if op.address & 0xFFFFF < SHIM_DMA.s2mm_ctrl]
    assert len(alike.of(txn.Write)) == alike.counts.pushes
    assert len(lengths) == 14
    assert {op.value for op in lengths} == {2 * 256}


def test_rows_out_of_the_iteration_s_reach_are_patched():
    """1,031 words, a prime: row n is reached in n's own factors only."""
    rows = [0, 1017, 1019, 1021, 1024, 1031, 1033]
    stream = write(Target(NPU1, 1, 4096), 4124, singles(rows), ITERATION)
    assert sorted(stream.rows.tolist()) == rows
    offsets = [op.arg_plus for op in stream.of(txn.DdrPatch) if op.arg == 0]
    assert sorted(offsets) == [0, 0, 0] + [4124 * row for row in (1019, 1021, 1031, 1033)]
    stream.play()


def test_bds_with_and_without_the_start_as_their_base_take_turns():
    """Rows in and out of reach, in many rounds: a BD is patched anew where its base was not it."""
    stream = write(Target(NPU1, 1, 4096), 4124, singles(range(901, 1270, 2)), ITERATION)
    assert 30 < stream.counts.patches < stream.counts.bds
    stream.play()
    stream.play(eager=True)
