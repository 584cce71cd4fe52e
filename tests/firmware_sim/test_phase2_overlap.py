# SPDX-License-Identifier: Apache-2.0
"""Phase 2 that scans ahead: the same rows, never later, never before it can know what it does."""

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from streams import MM2S, S2MM, bd, buffers, copy, passthrough, patch, push, stream, token_id, wait

from aie2 import txn
from aie2.devices import device
from bdgen import program, schedule
from bdgen.bitmap import pack
from bdgen.program import limits
from bdgen.request import Location, Request
from bdgen.rounds import in_rounds
from bdgen.target import Matrix, Target
from firmware_sim import PROFILES, Native, Phase2, SimulationError, simulate
from firmware_sim.array import events as e
from firmware_sim.calibration import costs
from firmware_sim.firmware import Firmware, image
from firmware_sim.firmware.script import Context, Script

L2_AT = (0, 1, 0x40000)
READ_BYTES = 16
ARRAYS = {
    "bf16": np.uint16,
    "fp16": np.float16,
    "fp32": np.float32,
    "int8": np.int8,
    "int4": np.uint8,
}


class Kept:
    """An image that keeps the script that another one made."""

    script_made: Script

    def __init__(self, firmware: Firmware) -> None:
        self.firmware, self.name = firmware, firmware.name

    def script(self, context: Context) -> Script:
        self.script_made = self.firmware.script(context)
        return self.script_made


class Case:
    """A mask on a machine: run it whole or ahead, with everything that came of it."""

    def __init__(self, wanted, row_bytes=1024, columns=4, name="npu1", profile="central", **more):
        self.wanted, self.profile, self.device = np.asarray(wanted, bool), profile, name
        self.columns, self.dtype = columns, more.get("dtype", "fp16")
        fifo = 1024
        self.configuration = passthrough(columns, fifo, name)
        self.target = Target(device(name), columns, fifo)
        self.matrix = Matrix(self.wanted.size, row_bytes)
        self.weights = weights(self.wanted.size, row_bytes)
        self.request = Request(
            Location.TILE, self.wanted.size, self.dtype, row_bytes, offset_bytes=L2_AT[2]
        )
        self.made = program.phase2(self.target, self.matrix, self.request, pack(self.wanted))

    @property
    def activations(self):
        """A vector that wants the wanted rows; int4 two to a byte."""
        if self.dtype != "int4":
            return self.wanted.astype(ARRAYS[self.dtype])
        pairs = np.append(self.wanted, np.zeros(self.wanted.size % 2, bool)).reshape(-1, 2)
        return (pairs @ np.array([0x1, 0xF0])).astype(np.uint8)

    def run(self, overlap, trace=False):
        self.output = np.full(self.matrix.nbytes + 8192, 0xEE, np.uint8)
        self.image = Kept(Phase2(overlap=overlap))
        return simulate(
            self.configuration,
            self.made.words,
            [self.weights, self.output],
            firmware=self.image,
            profile=self.profile,
            l2={L2_AT: self.activations},
            trace=trace,
        )

    @property
    def scan_cycles(self):
        """Cycles of all reads and tests."""
        known = costs(self.device, self.profile)
        reads = -(-self.activations.nbytes // READ_BYTES)
        return reads * known.l2_read + self.wanted.size * known.test_row

    def placement(self, overlap):
        if not overlap:
            return self.made.placement
        rows = np.flatnonzero(self.wanted)
        dealt = schedule.deal_rows(rows, self.matrix, self.columns, "order")
        room = limits(self.target, "tasks", "poll")
        batches = schedule.batch(dealt, self.target.object_bytes, room)
        return schedule.place(in_rounds(dealt, batches), self.matrix, self.wanted)

    def rows_right(self, overlap):
        """Every wanted row once where the placement says, and no byte elsewhere but padding."""
        where = self.placement(overlap)
        if not np.array_equal(np.sort(where.row), np.flatnonzero(self.wanted)):
            return False
        expected = np.full(self.output.size, 0xEE, np.uint8)
        for row, at in zip(where.row, where.dst, strict=True):
            expected[at : at + self.matrix.row_bytes] = self.weights[row]
        scratch = slice(self.matrix.nbytes, self.matrix.nbytes + self.target.object_bytes)
        expected[scratch] = self.output[scratch]
        return np.array_equal(self.output, expected)


@lru_cache(maxsize=64)
def weights(rows, row_bytes):
    return np.random.default_rng(rows).integers(0, 256, (rows, row_bytes), np.uint8)


def random_mask(rows, density, seed=0):
    return np.random.default_rng(seed).random(rows) < density


@st.composite
def cases(draw):
    name = draw(st.sampled_from(["npu1", "npu2"]))
    rows = draw(st.integers(1, 700))
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 0.7, 1.0]))
    clump = draw(st.sampled_from([1, 7, 64]))
    mask = random_mask(-(-rows // clump), density, draw(st.integers(0, 99)))
    return Case(
        np.repeat(mask, clump)[:rows],
        row_bytes=draw(st.sampled_from([4, 516, 1024, 1152, 2048])),
        columns=draw(st.integers(1, 4)),
        name=name,
        profile=draw(st.sampled_from(PROFILES)),
        dtype=draw(st.sampled_from(sorted(ARRAYS))),
    )


@settings(max_examples=60)
@given(cases())
@example(Case([False] * 40))
@example(Case([True] * 240, row_bytes=2048, profile="low"))
@example(Case([True] + [False] * 699, profile="low"))
@example(Case(np.arange(3000) < 60))
def test_ahead_is_never_later_than_whole_and_never_before_what_it_must_do(case):
    whole = case.run(False)
    assert whole.ok
    assert case.rows_right(False)
    ahead = case.run(True)
    assert ahead.ok
    assert case.rows_right(True)
    assert ahead.cycles <= whole.cycles
    ops = case.image.script_made.ops
    busy = ops["before"].sum() + ops["cost"].sum() + case.scan_cycles
    without_scan = whole.cycles - case.scan_cycles
    assert ahead.cycles >= max(busy, without_scan) - 1
    assert ahead.counts.bytes_read == whole.counts.bytes_read
    assert (ahead.counts.bds, ahead.counts.tokens) == (whole.counts.bds, whole.counts.tokens)


def known_at(case, result):
    """(words of each op, cycles at its start that the controller can have spent scanning)."""
    script = case.image.script_made
    started = result.events[result.events["kind"] == e.OP_STARTED]["at"]
    busy = np.concatenate([[0.0], np.cumsum(script.ops["cost"])[:-1]])
    ends = np.append(script.ops["offset"], script.words.size)
    words = [tuple(script.words[a:b]) for a, b in pairwise(ends)]
    return words, started, started - busy - script.ops["before"][0]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("row_bytes", [1024, 1152])
@pytest.mark.parametrize("tail", ["none", "all", "other"])
def test_what_is_done_first_does_not_depend_on_rows_that_are_read_later(profile, row_bytes, tail):
    """Change the mask from row 400 on: no op differs that starts before row 400 can be read."""
    one, two = (Case(random_mask(800, 0.3), row_bytes, profile=profile) for _ in range(2))
    two.wanted[400:] = {"none": False, "all": True, "other": random_mask(400, 0.3, 7)}[tail]
    two.made = program.phase2(two.target, two.matrix, two.request, pack(two.wanted))
    (words, at, scanning), (other, at_other, _) = (
        known_at(case, case.run(True, trace=True)) for case in (one, two)
    )
    known = costs("npu1", profile)
    slice_rows = READ_BYTES // 2
    until_400 = 400 / slice_rows * (known.l2_read + slice_rows * known.test_row)
    early = int(np.count_nonzero(scanning < until_400))
    assert 60 < early < len(words)
    assert words[:early] == other[:early]
    np.testing.assert_array_equal(at[:early], at_other[:early])


@pytest.mark.parametrize("profile", PROFILES)
def test_the_first_bd_is_written_when_its_batches_are_known_and_not_before(profile):
    case = Case(np.arange(1600) % 8 == 0, columns=2, profile=profile)
    result = case.run(True, trace=True)
    known = costs("npu1", profile)
    first = result.events[result.events["kind"] == e.OP_STARTED]["at"][0]
    walk = txn.index(case.made.words)[0].size * known.walk
    in_lane_0 = 2 * 14  # wanted row of the first lane's fifteenth: each read brings one
    reads = in_lane_0 + 1
    assert first == pytest.approx(walk + reads * (known.l2_read + 8 * known.test_row))


def test_the_ops_are_those_of_the_plain_image_but_for_where_batches_land():
    case = Case(random_mask(700, 0.4), row_bytes=1152)
    case.run(False)
    plain = case.image.script_made
    case.run(True)
    ahead = case.image.script_made
    assert np.array_equal(plain.ops["cost"], ahead.ops["cost"])
    differs = [
        (one, two)
        for one, two in zip(txn.decode(plain.words).ops, txn.decode(ahead.words).ops, strict=True)
        if one != two
    ]
    assert differs
    for one, two in differs:
        assert type(one) is type(two)
        if isinstance(one, txn.DdrPatch) and isinstance(two, txn.DdrPatch):
            assert one.arg == two.arg == case.matrix.output_arg
            assert one.address == two.address
        else:
            assert isinstance(one, txn.BlockWrite) and isinstance(two, txn.BlockWrite)
            assert one.payload[0] == two.payload[0]


def test_where_transfers_are_slow_all_of_the_scan_is_hidden():
    case = Case(random_mask(1200, 0.5), row_bytes=8192, columns=1, profile="low")
    whole, ahead = case.run(False), case.run(True)
    without_scan = whole.cycles - case.scan_cycles
    assert ahead.cycles - without_scan < case.scan_cycles / 20


def test_where_the_controller_is_slow_nothing_can_be_hidden():
    case = Case(random_mask(1200, 0.5), row_bytes=512, columns=4, profile="high")
    whole, ahead = case.run(False), case.run(True)
    ops = case.image.script_made.ops
    busy = ops["before"].sum() + ops["cost"].sum() + case.scan_cycles
    assert ahead.cycles <= whole.cycles < 1.02 * busy


def test_a_zero_tail_is_scanned_while_the_last_batches_move():
    """Rows at the front only: what is left of the scan hides behind them, slice by slice."""
    case = Case(np.arange(4000) < 480, row_bytes=8192, columns=4, profile="low")
    whole, ahead = case.run(False), case.run(True)
    assert whole.cycles - ahead.cycles > 0.9 * case.scan_cycles


def test_no_row_wanted_takes_the_walk_and_the_scan():
    case = Case([False] * 100)
    result = case.run(True)
    walk = txn.index(case.made.words)[0].size * costs("npu1").walk
    assert result.cycles == round(walk + case.scan_cycles)
    assert result.counts.ops == 0


def test_the_name_selects_the_image():
    assert image("phase2").name == "phase2" == Phase2().name
    assert image("phase2-overlap") == Phase2(overlap=True)
    assert Phase2(overlap=True).name == "phase2-overlap"


def simulate_request(request, words, l2, more=()):
    held = [weights(64, 1024).copy(), np.zeros(64 * 1024 + 4096, np.uint8), *more]
    return simulate(passthrough(4), words, held, firmware="phase2-overlap", l2=l2)


@pytest.mark.parametrize(
    ("offset", "refused"),
    [(0, True), (1008, True), (1024, False), (0xFF80, False), (0xFF90, True), (0x10400, False)],
)
def test_activations_in_the_fifo_are_refused_and_beside_it_read(offset, refused):
    """Its two objects of 1 KiB lie at 0 and at 64 KiB."""
    wanted = np.arange(64) % 3 == 0
    request = Request(Location.TILE, 64, "fp16", 1024, offset_bytes=offset)
    words = program.phase2(Target(device("npu1"), 4, 1024), Matrix(64, 1024), request, pack(wanted))
    l2 = {(0, 1, offset): wanted.astype(np.float16)}
    if refused:
        with pytest.raises(SimulationError, match="^phase2-overlap: the activations at byte 0x"):
            simulate_request(request, words.words, l2)
    else:
        assert simulate_request(request, words.words, l2).counts.bytes_read == 22 * 1024


@pytest.mark.parametrize("arg", [0, 1, 2])
def test_activations_in_the_output_are_refused_and_elsewhere_read(arg):
    wanted = np.ones(64, bool)
    request = Request(Location.DDR, 64, "fp16", 1024, arg=arg)
    words = program.phase2(Target(device("npu1"), 4, 1024), Matrix(64, 1024), request, pack(wanted))
    more = [np.ones(64, np.float16)]
    if arg == 1:
        with pytest.raises(SimulationError, match="^phase2-overlap: the activations at byte 0x0 "):
            simulate_request(request, words.words, {}, more)
    else:
        assert simulate_request(request, words.words, {}, more).ok


class Working:
    """A native image with work of its own; from each op of `left` on so much may be undone."""

    name = "working"

    def __init__(self, work, left, slice_cycles=0.0):
        self.work, self.left, self.slice_cycles = work, left, slice_cycles

    def script(self, context):
        made = Native().script(context)
        made.ops["work_left"] = self.work
        for op, left in self.left.items():
            made.ops["work_left"][op:] = left
        return Script(made.words, made.ops, 0.0, (), self.work, self.slice_cycles)


WAIT_OP = 7
"""The wait of `copy`; a no-op follows it."""


def cycles_of(firmware, trace=False):
    ops = [*copy(4096), txn.Noop()]
    result = simulate(passthrough(), stream(ops), buffers(4096), firmware=firmware, trace=trace)
    assert result.ok
    return result


def stalled():
    """Cycles for which the wait of `copy` waits."""
    events = cycles_of(Native(), trace=True).events
    taken = events[events["kind"] == e.TOKEN_TAKEN]["at"][0]
    return taken - events[(events["kind"] == e.OP_STARTED) & (events["a"] == WAIT_OP)]["at"][0]


def test_work_that_an_op_needs_is_done_before_it():
    for needed_by in (0, WAIT_OP + 1):
        late = cycles_of(Working(700.0, {needed_by: 0.0})).cycles
        assert late == cycles_of(Native()).cycles + 700


def test_work_needed_before_a_wait_shortens_the_wait():
    assert stalled() > 1000
    assert cycles_of(Working(1000.0, {WAIT_OP: 0.0})).cycles == cycles_of(Native()).cycles


def test_work_is_done_in_whole_slices_while_a_token_is_awaited():
    free, base = stalled(), cycles_of(Native()).cycles
    slices = int(free // 300)
    assert slices > 3
    for work in (300.0 * slices, 300.0 * slices - 10):
        assert cycles_of(Working(work, {WAIT_OP + 1: 0.0}, 300.0)).cycles == base
    late = cycles_of(Working(300.0 * (slices + 1), {WAIT_OP + 1: 0.0}, 300.0)).cycles
    assert late == pytest.approx(base + 300 * (slices + 1) - free, abs=1)
    later = cycles_of(Working(300.0 * (slices + 5), {WAIT_OP + 1: 0.0}, 300.0)).cycles
    assert later == late + 4 * 300


def test_a_slice_that_has_begun_is_ended_before_the_token_is_seen():
    free, base = stalled(), cycles_of(Native()).cycles
    unneeded = Working(1e6, {}, 300.0)
    assert cycles_of(unneeded).cycles == pytest.approx(base + -free % 300, abs=1)


def test_work_is_done_between_the_reads_of_a_poll():
    """Six sends of 4 KiB through a queue of four: the poll before the last waits for room."""
    ops = [bd(0, 6144), patch(0, 1, 0), token_id(), push(S2MM, 0, token=True)]
    for number in range(1, 7):
        ops += [bd(number, 1024), patch(number, 0, 4096 * (number - 1))]
        ops += [poll_room(), push(MM2S, number)]
    ops.append(wait())
    results = [
        simulate(passthrough(), stream(ops), buffers(6144), firmware=firmware)
        for firmware in (Native(), Working(600.0, {len(ops) - 1: 0.0}, 200.0))
    ]
    plain, working = results
    assert plain.ok
    assert working.ok
    assert working.cycles == plain.cycles
    assert working.counts.polls < plain.counts.polls


def poll_room():
    """A poll for room in the queue of MM2S 0, as bdgen writes it."""
    words = program.gather_words(
        Target(device("npu1"), 1, 1024),
        Matrix(9, 1024),
        schedule.deal_rows(np.arange(9), Matrix(9, 1024), 1),
        "tasks",
        "poll",
        scratch_offset=9216,
    ).words
    return next(op for op in txn.decode(words).ops if isinstance(op, txn.MaskPoll))
