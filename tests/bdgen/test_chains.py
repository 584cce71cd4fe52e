# SPDX-License-Identifier: Apache-2.0
"""What would break: a piece moved twice or never, a lane that all others wait for, a mixed chain.

A chain has one REPEAT_COUNT, so its BDs must all have one repeat; its BDs must fit their half.
"""

import numpy as np
import pytest
from gather_cases import bernoulli, masks
from hypothesis import given, settings
from hypothesis import strategies as st

from bdgen import lattices
from bdgen.bitmap import pack as pack_bits
from bdgen.chains import (
    CHAIN_COUNT,
    CHAIN_REPEAT,
    DST,
    END_CHAIN,
    FIRST_CHAIN,
    NBYTES,
    PAD,
    PADDING,
    ROWS,
    Room,
    Weights,
    cut,
    deal,
    deal_runs,
    list_rows,
    room,
)
from bdgen.lattices import COUNT, LATTICE, OUTER, REPEAT, RUN, table
from bdgen.pack import pack

LEVELS = (1, 1, 1, 2, 3, 7)
REPEATS = (1, 1, 2, 2, 3, 64)


@st.composite
def disjoint(draw):
    """Lattices of all kinds that share no row: each begins where the one before has ended."""
    random = np.random.default_rng(draw(st.integers(0, 9999)))
    made = np.zeros(draw(st.sampled_from((0, 1, 2, 5, 30, 200))), LATTICE)
    kinds = draw(st.sampled_from(((1,), (2,), (1, 2), REPEATS)))
    first = 0
    for one in made:
        one["first"], span = first, 1
        one["run"] = span = random.choice(LEVELS)
        for level, step, choice in (
            ("count", "step", LEVELS),
            ("outer", "outer_step", LEVELS),
            ("repeat", "repeat_step", kinds),
        ):
            one[level] = random.choice(choice)
            if one[level] > 1:
                one[step] = span + random.integers(0, 3)
                span = one[step] * one[level]
        first += span
    return made


lane_starts = st.lists(st.sampled_from((0.0, 0.0, 40.0, 333.3, 5000.0)), min_size=1, max_size=16)
costs = st.sampled_from((Weights(1.0, 0.0), Weights(2048.0, 60.0), Weights(3.0, 500.0)))
halves = st.sampled_from(((7, 8), (7, 7), (3, 3), (1, 1), (12, 2)))
ramps = st.sampled_from(((), (3, 6), (1,), (50, 1, 4)))


def dealt(made, starts, weights, in_runs=False):
    """Deal lattices; the room, and how many pieces there are."""
    into = room(int(lattices.size(made).sum()), len(starts))
    late = np.array(sorted(starts))
    args = (table(made), late, weights, into.pieces, into.marks)
    if in_runs:
        return into, deal_runs(*args, into.lanes, into.needs)
    return into, deal(*args, into.order, into.lanes, into.classes, into.needs, into.tally)


def cut_up(into, ramp, half, row_bytes=1024, object_bytes=4096):
    """Cut what was dealt; how many chains there are."""
    return cut(
        into.marks, np.array(ramp, np.int64), np.array(half), row_bytes, object_bytes,
        into.chains, into.lanes,
    )  # fmt: skip


def lane_pieces(into: Room, lane):
    """The pieces of a lane, in the order in which they were dealt."""
    return [
        piece
        for marks in into.marks[:0:-1]
        for piece in into.pieces[marks[lane] : marks[lane + 1]].tolist()
    ]


def sizes(pieces):
    return [piece[RUN] * piece[COUNT] * piece[OUTER] * piece[REPEAT] for piece in pieces]


def load(pieces, weights):
    """Time that pieces take to move."""
    bds = sum(piece[REPEAT] for piece in pieces)
    return sum(sizes(pieces)) * weights.row + bds * weights.bd


def parts(piece):
    """Into how many equal parts a lattice can be cut."""
    return next((piece[level] for level in (OUTER, COUNT) if piece[level] > 1), piece[RUN])


def ideal(total, starts):
    """What lanes have to move so that all end at once: found by halving, not by solving."""
    low, high = min(starts), max(starts) + total + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        late = sum(max(middle - start, 0.0) for start in starts) > total
        low, high = (low, middle) if late else (middle, high)
    return [max(low - start, 0.0) for start in starts]


def check_dealt(made, starts, weights, into, count):
    """Each row once, pieces of one repeat together, and no lane far from what it should have."""
    lanes = range(len(starts))
    by_lane = [lane_pieces(into, lane) for lane in lanes]
    everything = into.pieces[:count].copy().view(LATTICE).reshape(-1)
    expected = np.sort(lattices.rows(made))
    assert np.array_equal(np.sort(lattices.rows(everything)), expected)
    assert sum(map(len, by_lane)) == count
    assert into.lanes[:, ROWS].tolist() == [sum(sizes(pieces)) for pieces in by_lane]
    for repeat, marks in enumerate(into.marks):
        assert (np.diff(marks) >= 0).all()
        assert (into.pieces[marks[0] : marks[-1], REPEAT] == repeat).all()
    whole = table(made).tolist()
    part = max((load([piece], weights) / parts(piece) for piece in whole), default=0.0)
    again = weights.bd * max((piece[REPEAT] for piece in whole), default=0)
    kinds = len({piece[REPEAT] for piece in whole})
    for pieces, needed in zip(by_lane, ideal(load(whole, weights), sorted(starts)), strict=True):
        assert abs(load(pieces, weights) - needed) <= kinds * (part + 2 * again) + 1e-3


@settings(max_examples=120)
@given(disjoint(), lane_starts, costs)
def test_every_row_is_dealt_once_and_lanes_end_together(made, starts, weights):
    check_dealt(made, starts, weights, *dealt(made, starts, weights))


@settings(max_examples=80)
@given(st.sampled_from((1, 64, 300, 1000)).flatmap(masks), lane_starts, costs)
def test_runs_are_dealt_as_well_and_to_neighbours(mask, starts, weights):
    made = pack(pack_bits(mask), len(mask), 1024, effort="runs")
    into, count = dealt(made, starts, weights, in_runs=True)
    check_dealt(made, starts, weights, into, count)
    assert (np.diff(into.pieces[:count, 0]) > 0).all()
    assert count <= len(made) + len(starts) - 1


@pytest.mark.parametrize("lanes", [1, 3, 4, 16])
@pytest.mark.parametrize("density", [0.1, 0.5, 1.0])
def test_lanes_that_start_together_move_as_many_rows(lanes, density):
    made = pack(pack_bits(bernoulli(1000, density, 3)), 1000, 1024, effort="runs")
    into, _ = dealt(made, [0.0] * lanes, Weights(256.0, 0.0), in_runs=True)
    assert np.ptp(into.lanes[:, ROWS]) <= 1


def test_lattices_of_several_repeats_are_shared_out_as_evenly():
    """Two kinds of lattices, dealt one after the other: each lane gets its share of both."""
    made = np.zeros(300, LATTICE)
    made["first"] = np.arange(300)
    made["run"] = made["count"] = made["outer"] = made["repeat"] = 1
    made["repeat"][::3], made["repeat_step"][::3] = 2, 300
    for lanes in (2, 3, 5, 16):
        into, _ = dealt(made, [0.0] * lanes, Weights(1.0, 0.0))
        assert np.ptp(into.lanes[:, ROWS]) <= 3


def test_a_lane_that_starts_after_all_is_moved_gets_nothing():
    made = pack(pack_bits(np.ones(100, np.bool_)), 100, 1024, effort="runs")
    for in_runs in (False, True):
        into, _ = dealt(made, [0.0, 0.0, 1000.0], Weights(1.0, 0.0), in_runs)
        assert into.lanes[:, ROWS].tolist() == [50, 50, 0]


@settings(max_examples=120)
@given(
    disjoint(), lane_starts, costs, ramps, halves, st.sampled_from((4, 1020, 1024, 4096)),
    st.sampled_from((512, 4096)),
)  # fmt: skip
def test_chains_have_one_repeat_and_fit_their_halves(
    made, starts, weights, ramp, half, row_bytes, object_bytes
):
    into, count = dealt(made, starts, weights)
    chains = into.chains[: cut_up(into, ramp, half, row_bytes, object_bytes)]
    end, seen = 0, []
    for lane, facts in enumerate(into.lanes):
        assert facts[NBYTES] == facts[ROWS] * row_bytes
        assert facts[DST] == end
        assert 0 <= facts[PAD] < object_bytes
        assert (facts[NBYTES] + facts[PAD]) % object_bytes == 0
        end += facts[NBYTES]
        mine = chains[facts[FIRST_CHAIN] : facts[END_CHAIN]]
        padding = mine[:, CHAIN_REPEAT] == PADDING
        assert padding.tolist() == [False] * (len(mine) - bool(facts[PAD])) + [True] * bool(
            facts[PAD]
        )
        assert (mine[padding, CHAIN_COUNT] == 1).all()
        for nth, (first, number, repeat) in enumerate(mine[~padding]):
            most = min(half[nth % 2], ramp[nth] if nth < len(ramp) else half[nth % 2])
            assert 1 <= number <= most
            assert (into.pieces[first : first + number, REPEAT] == repeat).all()
            seen += into.pieces[first : first + number].tolist()
        assert seen[len(seen) - mine[~padding, CHAIN_COUNT].sum() :] == lane_pieces(into, lane)
    assert len(seen) == count
    assert (into.lanes[1:, FIRST_CHAIN] == into.lanes[:-1, END_CHAIN]).all()
    assert into.lanes[-1, END_CHAIN] == len(chains)


@settings(max_examples=80)
@given(disjoint(), lane_starts, ramps, halves)
def test_rows_are_listed_as_repeated_chains_move_them(made, starts, ramp, half):
    into, _ = dealt(made, starts, Weights(1.0, 0.0))
    cut_up(into, ramp, half)
    listed = np.empty(into.lanes[:, ROWS].sum(), np.int64)
    list_rows(into.pieces, into.chains, into.lanes, listed)
    plain = []
    for facts in into.lanes:
        for first, number, repeat in into.chains[facts[FIRST_CHAIN] : facts[END_CHAIN]]:
            for t in range(repeat):
                once = into.pieces[first : first + number].copy().view(LATTICE).reshape(-1)
                once["first"] += t * once["repeat_step"]
                once["repeat"] = 1
                plain += lattices.rows(once).tolist()
    assert listed.tolist() == plain


@pytest.mark.parametrize(
    ("fields", "parts_of"),
    [
        ({"run": 12}, 12),
        ({"run": 2, "count": 12, "step": 3}, 12),
        ({"run": 1, "count": 3, "step": 2, "outer": 12, "outer_step": 9}, 12),
        ({"run": 12, "repeat": 2, "repeat_step": 40}, 12),
    ],
)
def test_a_lattice_is_cut_along_its_outermost_level(fields, parts_of):
    made = np.zeros(1, LATTICE)
    for name, value in ({"count": 1, "outer": 1, "repeat": 1} | fields).items():
        made[name] = value
    into, count = dealt(made, [0.0] * 3, Weights(1.0, 0.0))
    assert [parts(piece) for piece in into.pieces[:count].tolist()] == [parts_of // 3] * 3
    assert np.ptp(into.lanes[:, ROWS]) == 0
    steps = {piece[level + 1] for piece in into.pieces[:count].tolist() for level in (COUNT, OUTER)}
    assert steps <= {0, *made[0].tolist()}


def test_a_part_of_one_has_no_step():
    made = np.zeros(1, LATTICE)
    made["run"] = made["outer"] = made["repeat"] = 1
    made["count"], made["step"] = 3, 5
    into, count = dealt(made, [0.0] * 3, Weights(1.0, 0.0))
    assert count == 3
    lattices.check(into.pieces[:3].copy().view(LATTICE).reshape(-1), 1024, 11)


def test_the_largest_shares_of_all_kinds_fit_the_room():
    """Every lattice cut at every lane: pieces stay within what `room` has."""
    made = pack(pack_bits(bernoulli(400, 0.5, 9)), 400, 1024)
    for lanes in range(1, 17):
        into, count = dealt(made, [0.0] * lanes, Weights(1.0, 0.0))
        assert count <= len(into.pieces)
        assert cut_up(into, (1,), (1, 1)) <= len(into.chains)
