# SPDX-License-Identifier: Apache-2.0
"""The planner's promises: each wanted row once at its place, no deadlock, nothing left of before.

Streams are played by `gather_replay`, with data moving at once and as late as it can.
"""

import threading
import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from gather_cases import (
    CROSSING,
    SLOW,
    Case,
    bernoulli,
    cases,
    check,
    masks,
    matrices,
    some_options,
    targets,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from aie2 import txn
from aie2.devices import NPU1, NPU2
from bdgen import scan
from bdgen.bitmap import pack
from bdgen.chains import CHAIN_REPEAT, END_CHAIN, ROWS
from bdgen.costs import FREE
from bdgen.errors import PlanError
from bdgen.pack import EFFORTS
from bdgen.planner import Options, Planner
from bdgen.target import Matrix, Target

TARGET, MATRIX = Target(NPU1, 4, 4096), Matrix(1000, 8192)
LARGE = Matrix(11_008, 8192)
GUARD = 0xABAD1DEA
ABSOLUTE = {"addressing": "absolute", "addresses": (1 << 36, 2 << 36)}
ADDRESSINGS = ({"addressing": "patch"}, ABSOLUTE, {"addressing": "iteration"})
KEPT_BYTES = 1300
"""What a plan may leave behind or need on its way: a few small Python objects, less than a bitmap
of LARGE."""


def plan(case):
    """Plan a case on a planner of its own, in a buffer between words that must stay."""
    planner = Planner(case.target, case.matrix, case.options)
    buffer = planner.buffer()
    held = np.full(len(buffer) + 128, GUARD, np.uint32)
    held[64:-64] = buffer
    made = planner.plan_bitmap_into(held[64:-64], pack(case.mask))
    assert (held[:64] == GUARD).all()
    assert (held[-64:] == GUARD).all()
    return made


def words_of(planner, buffer, mask):
    """A copy of the words of a plan."""
    return planner.plan_bitmap_into(buffer, pack(mask)).words.copy()


@settings(max_examples=200)
@given(cases())
def test_each_wanted_row_lands_once_where_the_plan_says(case):
    assert check(case, plan(case)).most_unawaited <= 2


@settings(max_examples=30)
@given(cases(efforts=("best",)))
def test_the_effort_best_keeps_the_same_promises(case):
    check(case, plan(case))


@pytest.mark.parametrize("effort", EFFORTS)
@pytest.mark.parametrize("addressing", ADDRESSINGS, ids=lambda given: given["addressing"])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(("columns", "row_bytes"), [(1, 64), (2, 516), (1, 1024)])
def test_many_rounds_of_halves(effort, addressing, channels, columns, row_bytes):
    """Enough BDs that every half is used again and again, and stamps are.

    Rows of whole objects need a receive BD less, so that a lane's second half is the larger.
    """
    target, matrix = Target(NPU2, columns, 1024, channels), Matrix(1900, row_bytes)
    options = Options(effort, **addressing)
    case = Case(target, matrix, bernoulli(1900, 0.4, channels), options)
    made = plan(case)
    check(case, made)
    assert made.lanes[0, END_CHAIN] > (8 if effort == "runs" else 3)


@settings(max_examples=60)
@given(st.data(), targets(), matrices(), some_options())
def test_a_plan_keeps_nothing_of_the_plans_before(data, target, matrix, options):
    planner = Planner(target, matrix, options)
    buffer = planner.buffer()
    for mask in data.draw(st.lists(masks(matrix.rows), min_size=2, max_size=4)):
        fresh = Planner(target, matrix, options)
        assert np.array_equal(
            words_of(planner, buffer, mask), words_of(fresh, fresh.buffer(), mask)
        )


@settings(max_examples=30)
@given(cases(), cases())
def test_planners_do_not_disturb_each_other(one, two):
    alone = [plan(case).words.copy() for case in (one, two)]
    planners = [Planner(case.target, case.matrix, case.options) for case in (one, two)]
    buffers = [planner.buffer() for planner in planners]
    kept = []
    for planner, buffer, case in zip(planners, buffers, (one, two), strict=True):
        kept.append(planner.plan_bitmap_into(buffer, pack(case.mask)))
    for made, words, case in zip(kept, alone, (one, two), strict=True):
        assert np.array_equal(made.words, words)
        check(case, made)


@pytest.mark.parametrize("effort", ["runs", "fast"])
def test_two_threads_plan_what_each_plans_alone(effort):
    """Compiled code runs without the GIL, so anything shared would show."""
    masks_of = [[bernoulli(1000, 0.3, 50 * who + n) for n in range(40)] for who in range(2)]
    kinds = [Options(effort), Options(effort, "iteration", max_gap=1, costs=SLOW)]
    alone = [
        [words_of(planner, planner.buffer(), mask) for mask in masks_of[who]]
        for who, planner in enumerate(Planner(TARGET, MATRIX, options) for options in kinds)
    ]
    together: list[list[np.ndarray]] = [[], []]
    start = threading.Barrier(2)

    def work(who):
        planner = Planner(TARGET, MATRIX, kinds[who])
        buffer = planner.buffer()
        start.wait()
        together[who] += [words_of(planner, buffer, mask) for mask in masks_of[who]]

    threads = [threading.Thread(target=work, args=(who,)) for who in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for expected, found in zip(alone, together, strict=True):
        assert len(found) == 40
        assert all(np.array_equal(one, two) for one, two in zip(expected, found, strict=True))


@pytest.mark.parametrize("effort", ["runs", "fast"])
@pytest.mark.parametrize("addressing", ADDRESSINGS, ids=lambda given: given["addressing"])
@pytest.mark.parametrize("max_gap", [0, 2])
def test_a_plan_allocates_next_to_nothing(effort, addressing, max_gap):
    options = Options(effort, max_gap=max_gap, dtype="bf16", **addressing)
    planner = Planner(TARGET, LARGE, options)
    buffer = planner.buffer()
    activations = [bernoulli(LARGE.rows, 0.3, seed).astype(np.uint16) for seed in range(3)]
    for vector in activations:
        planner.plan_into(buffer, vector)
    tracemalloc.start()
    try:
        made = planner.plan_into(buffer, activations[0])
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert made.words.nbytes > 10 * KEPT_BYTES
    assert kept <= peak < KEPT_BYTES


@st.composite
def vectors(draw):
    """Activations of an element type, and which of them are wanted; unwanted floats may be -0."""
    count = draw(st.sampled_from((1, 8, 63, 200, 513)))
    name = draw(st.sampled_from(tuple(scan.ELEMENTS)))
    mask = draw(masks(count))
    threshold = draw(st.sampled_from((0.0, 2.0)))
    random = np.random.default_rng(draw(st.integers(0, 999)))
    if name in ("int8", "int4"):
        large = random.choice([-8, -2, 2, 7], count)
        values = np.where(mask, large, random.choice([0, 1 if threshold else 0, 0], count))
        if name == "int4":
            pairs = np.append(values, np.zeros(count % 2, np.int64)).reshape(-1, 2) & 15
            return name, (pairs[:, 0] | pairs[:, 1] << 4).astype(np.uint8), mask, threshold
        return name, values.astype(np.int8), mask, threshold
    large = random.choice([-np.inf, -2.0, 2.0, 300.0, np.nan], count)
    values = np.where(mask, large, random.choice([0.0, -0.0, 1.5 if threshold else 0.0], count))
    if name == "bf16":
        patterns = values.astype(np.float32).view(np.uint32) >> 16
        return name, patterns.astype(np.uint16), mask, threshold
    return name, values.astype({"fp16": np.float16, "fp32": np.float32}[name]), mask, threshold


@settings(max_examples=80)
@given(vectors(), st.sampled_from(("runs", "fast")))
def test_activations_of_every_type_give_the_plan_of_their_bitmap(vector, effort):
    name, values, mask, threshold = vector
    matrix = Matrix(len(mask), 512)
    options = Options(effort, dtype=name, threshold=threshold)
    planner = Planner(TARGET, matrix, options)
    made = planner.plan_into(planner.buffer(), values)
    check(Case(TARGET, matrix, mask, options), made)
    scanned = scan.scan(values, dtype=name, threshold=threshold, count=len(mask))
    again = Planner(TARGET, matrix, options)
    expected = again.plan_bitmap_into(again.buffer(), scanned)
    assert np.array_equal(made.words, expected.words)


def test_arrays_that_say_their_type_need_no_dtype():
    planner = Planner(TARGET, MATRIX)
    values = bernoulli(1000, 0.1, 0).astype(np.float16)
    assert planner.plan_into(planner.buffer(), values).rows_moved == values.sum()


@pytest.mark.parametrize("effort", EFFORTS)
def test_nothing_wanted_is_an_empty_stream(effort):
    planner = Planner(TARGET, MATRIX, Options(effort))
    buffer = planner.buffer()
    planner.plan_bitmap_into(buffer, pack(np.ones(1000, np.bool_)))
    made = planner.plan_bitmap_into(buffer, np.zeros(125, np.uint8))
    assert txn.decode(made.words).ops == ()
    assert (made.rows_moved, made.bytes_moved, made.padding_bytes, made.lattices) == (0, 0, 0, 0)
    assert len(made.rows()) == 0
    assert tuple(made.counts) == (txn.HEADER_WORDS, 0, 0, 0, 0, 0)


def test_words_are_a_view_of_the_buffer_that_was_given():
    planner = Planner(TARGET, MATRIX)
    one, two = planner.buffer(), planner.buffer()
    made = planner.plan_bitmap_into(one, pack(bernoulli(1000, 0.1, 0)))
    assert np.shares_memory(made.words, one)
    words = made.words.copy()
    planner.plan_bitmap_into(two, pack(bernoulli(1000, 0.3, 1)))
    assert np.array_equal(made.words, words)


def test_a_stream_is_whole_whatever_was_in_its_buffer():
    """Another planner's stream, for another device, with the same room."""
    mask = bernoulli(1000, 0.1, 0)
    other = Planner(Target(NPU2, 4, 4096), MATRIX)
    used = other.buffer()
    words_of(other, used, mask)
    planner = Planner(TARGET, MATRIX)
    expected = words_of(planner, planner.buffer(), mask)
    for buffer in (used, np.full_like(used, GUARD)):
        assert np.array_equal(words_of(planner, buffer, mask), expected)


def test_iteration_and_options_without_repeats_repeat_no_chain():
    mask = bernoulli(1000, 0.3, 5)
    for options in (
        Options(repeats=False),
        Options(addressing="iteration"),
        Options("best", repeats=False),
    ):
        made = plan(Case(TARGET, MATRIX, mask, options))
        assert made.chains[: made.lanes[-1, END_CHAIN], CHAIN_REPEAT].max() == 1
    made = plan(Case(TARGET, MATRIX, mask, Options()))
    assert made.chains[: made.lanes[-1, END_CHAIN], CHAIN_REPEAT].max() == 2


def test_lanes_that_start_late_get_less_to_move():
    """One controller writes for all lanes: where that takes long, the last has the least time."""
    mask = bernoulli(1000, 0.5, 5)
    slow = plan(Case(TARGET, MATRIX, mask, Options(costs=SLOW))).lanes[:, ROWS].copy()
    free = plan(Case(TARGET, MATRIX, mask, Options(costs=FREE))).lanes[:, ROWS].copy()
    assert (np.diff(slow) < 0).all()
    assert np.ptp(free) < np.ptp(slow)
    assert slow.sum() == free.sum() == mask.sum()


def test_where_bds_cost_lanes_with_more_of_them_get_fewer_rows():
    """A machine where a BD takes as long as a row: one run, then every third row."""
    mask = np.zeros(1000, np.bool_)
    mask[:300] = True
    mask[301::3] = True
    target = Target(NPU1, 2, 4096)
    options = Options("runs", costs=FREE._replace(next_bd=2048.0))
    assert plan(Case(target, MATRIX, mask, options)).lanes[:, ROWS].tolist() == [341, 192]


def test_the_same_input_gives_the_same_words():
    for options in (Options("runs"), Options(), Options("best", "iteration")):
        case = Case(TARGET, MATRIX, bernoulli(1000, 0.2, 7), options)
        assert np.array_equal(plan(case).words, plan(case).words)


def test_a_plan_adds_up():
    case = Case(TARGET, Matrix(700, 1020), bernoulli(700, 0.2, 7), Options())
    made = plan(case)
    rows = made.lanes[:, ROWS]
    assert made.rows_moved == rows.sum() == case.mask.sum()
    assert made.padding_bytes == sum(-1020 * int(moved) % 4096 for moved in rows)
    assert made.counts.words == len(made.words)
    assert made.lattices <= made.counts.bds
    assert txn.decode(made.words).header.columns == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"effort": "most"}, 'effort "most" is not known; give runs, fast, best$'),
        ({"addressing": "luck"}, 'addressing "luck" is not one of patch, absolute, iteration$'),
        ({"addresses": (0, 8)}, 'addressing "absolute" and device addresses go together; give'),
        ({"addressing": "absolute"}, 'addressing "absolute" and device addresses go together;'),
        ({"max_gap": -1}, "a gap of -1 rows between runs cannot be; give 0 or more$"),
        ({"ramp": (3, 0)}, r"a ramp of \(3, 0\) and waits for 0 columns cannot be; give chains of"),
        ({"together": -1}, r"a ramp of \(3, 6\) and waits for -1 columns cannot be; give chains"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(PlanError, match=f"^{message}"):
        Planner(TARGET, MATRIX, replace(Options(), **options))


@pytest.mark.parametrize(
    "addresses",
    [(1 << 36, (2 << 36) + 2), (-4, 1 << 36), ((1 << 48) - 4096, 1 << 36), (1 << 36, 1 << 48)],
    ids=["no whole word", "negative", "beyond 48 bits", "far beyond"],
)
def test_device_addresses_that_no_bd_holds_are_refused(addresses):
    message = "^device address -?0x[0-9a-f]+ of a buffer of 81[0-9]+ bytes cannot be; give a multip"
    with pytest.raises(PlanError, match=message):
        Planner(TARGET, MATRIX, Options(addressing="absolute", addresses=addresses))


def test_the_highest_addresses_that_a_bd_holds_are_taken():
    matrix = Matrix(100, 1024)
    addresses = ((1 << 48) - matrix.nbytes, CROSSING)
    options = Options(addressing="absolute", addresses=addresses)
    case = Case(TARGET, matrix, bernoulli(100, 0.5, 1), options)
    check(case, plan(case))


def not_writable(buffer):
    buffer.flags.writeable = False
    return buffer


@pytest.mark.parametrize(
    "spoil",
    [
        lambda buffer: buffer[:-1],
        lambda buffer: np.append(buffer, buffer[:1]),
        lambda buffer: buffer.view(np.int32),
        lambda buffer: buffer.reshape(1, -1),
        lambda buffer: np.repeat(buffer, 2)[::2],
        lambda buffer: buffer.tolist(),
        lambda buffer: None,
        not_writable,
    ],
    ids=["short", "long", "int32", "2-D", "strided", "list", "None", "read-only"],
)
def test_what_is_no_buffer_is_refused_before_anything_is_written(spoil):
    planner = Planner(TARGET, MATRIX)
    buffer = planner.buffer()
    before = buffer.copy()
    spoiled = spoil(buffer)
    message = r" is no stream buffer; make one with buffer\(\)$"
    with pytest.raises(PlanError, match=message):
        planner.plan_bitmap_into(spoiled, np.full(125, 255, np.uint8))
    with pytest.raises(PlanError, match=message):
        planner.plan_into(spoiled, np.ones(1000, np.float32))
    assert np.array_equal(buffer, before)


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        (np.ones(999, np.float32), {}, "count is 1000, but the vector holds 999 fp32 elements; sl"),
        (np.ones(1001, np.int8), {}, "count is 1000, but the vector holds 1001 int8 elements; sli"),
        (np.ones((2, 500), np.float16), {}, "an activation vector has 1 dimension, not 2; scan on"),
        (np.ones(1000, np.float64), {}, "a 1-D float64 array does not say what elements it holds;"),
        (
            np.ones(1000, np.uint16),
            {},
            "a 1-D uint16 array does not say what elements it holds; gi",
        ),
        (
            np.ones(1000, np.float32),
            {"dtype": "int8"},
            "a 1-D float32 array does not hold int8 elements; give int8$",
        ),
        (np.ones(1000, np.float32), {"threshold": -1.0}, "threshold -1.0 is not a magnitude; give"),
    ],
)
def test_vectors_that_do_not_fit_are_refused_before_anything_is_written(values, options, message):
    planner = Planner(TARGET, MATRIX, Options(**options))
    buffer = planner.buffer()
    before = buffer.copy()
    with pytest.raises(PlanError, match=f"^{message}"):
        planner.plan_into(buffer, values)
    assert np.array_equal(buffer, before)


def test_a_bitmap_of_another_matrix_is_refused():
    planner = Planner(TARGET, MATRIX)
    with pytest.raises(PlanError, match="^a bitmap of 1000 rows has 125 bytes, this one 124; give"):
        planner.plan_bitmap_into(planner.buffer(), np.zeros(124, np.uint8))


def test_a_refused_call_leaves_the_planner_in_order():
    planner = Planner(TARGET, MATRIX)
    buffer, mask = planner.buffer(), bernoulli(1000, 0.3, 2)
    expected = words_of(planner, buffer, mask)
    with pytest.raises(PlanError):
        planner.plan_into(buffer, np.ones(3, np.float32))
    assert np.array_equal(words_of(planner, buffer, mask), expected)
