# SPDX-License-Identifier: Apache-2.0
"""Orders: each is a permutation, clusters are found, and nothing is found where nothing is."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sparsity import coactivation
from sparsity.capture import load_use_lite
from sparsity.permute import (
    ORDERS,
    Ffn,
    PermuteError,
    check_order,
    inverse,
    make_order,
    permute_rows,
)

MASKS = arrays.arrays(bool, st.tuples(st.integers(1, 150), st.integers(1, 40)))


def planted(tokens, clusters, size, seed=0, firing=0.9):
    """Masks of clusters that fire as one, neurons shuffled; and the cluster of each neuron."""
    draw = np.random.default_rng(seed)
    cluster = draw.permutation(np.repeat(np.arange(clusters), size))
    fires = draw.random((tokens, clusters)) < 0.1
    return fires[:, cluster] & (draw.random((tokens, len(cluster))) < firing), cluster


def runs(masks):
    return coactivation.runs(masks).sum()


@pytest.mark.parametrize("name", ORDERS)
@settings(max_examples=60, deadline=None)
@given(masks=MASKS)
def test_an_order_has_each_neuron_once(name, masks):
    order = make_order(name, masks)
    assert sorted(order.tolist()) == list(range(masks.shape[1]))


@pytest.mark.parametrize("name", ORDERS)
def test_the_same_masks_give_the_same_order(name):
    masks, _ = planted(200, 8, 8)
    assert np.array_equal(make_order(name, masks), make_order(name, masks.copy(order="F")))


@pytest.mark.parametrize("name", ORDERS)
@pytest.mark.parametrize("fill", [False, True])
def test_masks_that_are_all_alike_keep_their_order(name, fill):
    assert make_order(name, np.full((3, 70), fill)).tolist() == list(range(70))


@given(masks=MASKS)
def test_frequency_falls(masks):
    counts = masks.sum(axis=0)[make_order("frequency", masks)]
    assert (np.diff(counts) <= 0).all()


def test_neurons_that_never_fire_come_last_as_they_stood():
    masks = np.zeros((5, 6), bool)
    masks[:3, 4] = masks[2:, 1] = True
    for name in ORDERS:
        assert make_order(name, masks)[2:].tolist() == [0, 2, 3, 5]


@given(masks=MASKS, data=st.data())
def test_permuted_masks_want_as_many_rows(masks, data):
    order = np.array(data.draw(st.permutations(range(masks.shape[1]))), np.int64)
    permuted = masks[:, order]
    assert np.array_equal(permuted.sum(axis=1), masks.sum(axis=1))
    assert np.array_equal(permuted[:, inverse(order)], masks)


@given(masks=MASKS)
def test_runs_are_those_of_a_walk_over_the_rows(masks):
    walked = [
        sum(wanted and not (row and mask[row - 1]) for row, wanted in enumerate(mask))
        for mask in masks
    ]
    assert coactivation.runs(masks).tolist() == walked


def test_planted_clusters_lie_together_again():
    masks, cluster = planted(1000, 12, 16)
    found = cluster[make_order("coactivation", masks)]
    assert np.count_nonzero(np.diff(found)) == 12 - 1


def test_planted_clusters_of_unequal_size_and_frequency_are_found_too():
    draw = np.random.default_rng(4)
    cluster = draw.permutation(np.repeat(np.arange(5), [2, 4, 8, 16, 32]))
    fires = draw.random((2000, 5)) < [0.4, 0.05, 0.2, 0.1, 0.3]
    found = cluster[make_order("coactivation", fires[:, cluster])]
    assert np.count_nonzero(np.diff(found)) == 4


def test_fewer_runs_on_tokens_not_seen_where_clusters_are():
    masks, _ = planted(600, 16, 16)
    order = make_order("coactivation", masks[:300])
    assert runs(masks[300:][:, order]) < 0.3 * runs(masks[300:])


def test_nothing_is_gained_on_coin_flips():
    masks = np.random.default_rng(1).random((1000, 512)) < 0.1
    for name in ORDERS:
        order = make_order(name, masks[:500])
        assert abs(runs(masks[500:][:, order]) / runs(masks[500:]) - 1) < 0.01


def test_no_order_of_few_neurons_has_fewer_runs():
    for seed in range(20):
        masks = np.random.default_rng(seed).random((40, 6)) < 0.4
        least = min(runs(masks[:, order]) for order in permutations(range(6)))
        found = runs(masks[:, make_order("coactivation", masks)])
        # 2-opt stops in a local optimum, and cutting may cost its share of the runs.
        assert found <= 1.06 * least


def steps(masks):
    """The chain as it is made, and as the moves leave it."""
    bits = coactivation._bits(masks)
    counts = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
    firing = np.argsort(-counts[:-1], kind="stable")[: np.count_nonzero(counts)]
    chain = coactivation._chain(bits, counts, firing)
    tour = np.array([masks.shape[1], *chain, masks.shape[1]])
    coactivation._improve(bits, coactivation._partners(bits, counts, firing), tour)
    return chain, tour[1:-1]


@given(masks=MASKS)
def test_the_chain_goes_to_the_nearest_neuron_left(masks):
    together = masks.T.astype(int) @ masks
    left = [row for row in ORDERS["frequency"](masks).tolist() if masks[:, row].any()]
    expected = left[:1]
    while left[1:]:
        left.remove(expected[-1])
        expected.append(max(left, key=lambda row: together[expected[-1], row]))
    assert steps(masks)[0].tolist() == expected


@given(masks=arrays.arrays(bool, st.tuples(st.integers(1, 90), st.integers(1, 12))))
def test_no_reversal_is_left_that_takes_a_run_away(masks):
    tour = steps(masks)[1]
    least = runs(masks[:, tour])
    for low in range(len(tour)):
        for high in range(low + 1, len(tour)):
            turned = np.r_[tour[:low], tour[low : high + 1][::-1], tour[high + 1 :]]
            assert runs(masks[:, turned]) >= least


def test_moves_take_runs_away_from_the_chain():
    masks = load_use_lite().activations[1][:256] != 0
    chain, tour = steps(masks)
    assert runs(masks[:, tour]) < 0.985 * runs(masks[:, chain])


@pytest.mark.parametrize("tokens", [1, 63, 64, 65, coactivation._TOKENS_AT_ONCE + 9])
def test_bits_are_the_masks_by_neuron(tokens):
    masks = np.random.default_rng(tokens).random((tokens, 5)) < 0.5
    bits = coactivation._bits(masks)
    fired = np.unpackbits(bits.view(np.uint8), axis=1, bitorder="little")
    assert np.array_equal(fired[:5, :tokens].T, masks)
    assert not fired[5].any()
    assert not fired[:, tokens:].any()


@given(arrays.arrays(np.uint64, st.tuples(st.just(2), st.integers(1, 5))))
def test_together_counts_the_bits_that_both_have(bits):
    expected = sum(int(one & other).bit_count() for one, other in bits.T)
    assert coactivation._together(bits[0], bits[1]) == expected


@pytest.mark.parametrize(("layer", "frequency", "together"), [(0, 0.03, 0.15), (1, 0.10, 0.15)])
def test_real_masks_get_fewer_runs_on_other_topics(layer, frequency, together):
    masks = load_use_lite().activations[layer] != 0
    seen, other = masks[:256], masks[256:]
    for name, gain in (("frequency", frequency), ("coactivation", together)):
        assert runs(other[:, make_order(name, seen)]) < (1 - gain) * runs(other)


@given(order=st.permutations(range(30)))
def test_the_inverse_undoes_an_order(order):
    order = np.array(order, np.uint16)
    rows = np.arange(90).reshape(30, 3)
    permuted = permute_rows(rows, check_order(order, 30))
    assert np.array_equal(permuted, rows[order])
    assert np.array_equal(permute_rows(permuted, inverse(order)), rows)


@pytest.mark.parametrize(
    ("order", "sentence"),
    [
        ([0, 1], "the order has 2 entries for 3 neurons: give each"),
        ([0, 1, 3], "the order has neuron 3 in place 2: they are 0 to 2"),
        ([0, -1, 2], "the order has neuron -1 in place 1: they are 0 to 2"),
        ([1, 1, 2], "the order has neuron 1 2 times: give each neuron once"),
        ([0.0, 1.0, 2.0], r"an order is a vector of integers, not float64 of shape \(3,\)"),
        ([[0, 1, 2]], r"an order is a vector of integers, not int64 of shape \(1, 3\)"),
        ([None, 1, 2], r"an order is a vector of integers, not object of shape \(3,\)"),
    ],
)
def test_what_is_no_permutation_is_refused(order, sentence):
    with pytest.raises(PermuteError, match=f"^{sentence}$"):
        check_order(np.array(order), 3)


def test_an_order_that_is_no_array_is_refused():
    with pytest.raises(PermuteError, match="^an order is a vector of integers, not list$"):
        inverse([1, 0])  # type: ignore[arg-type]


def test_an_unknown_order_is_refused():
    with pytest.raises(PermuteError, match='^no order "size": choose from coactivation, freq'):
        make_order("size", np.ones((2, 2), bool))


@pytest.mark.parametrize(
    ("masks", "sentence"),
    [
        (np.ones((0, 4), bool), "masks of 0 tokens and 4 neurons: record at least one"),
        (np.ones((4, 0), bool), "masks of 4 tokens and 0 neurons: record at least one"),
        (np.ones(4, bool), r"masks are bool \[tokens, neurons\], not bool of shape \(4,\)"),
        (np.ones((2, 4)), r"masks are bool \[tokens, neurons\], not float64 of shape \(2, 4\)"),
        ([[True]], r"masks are bool \[tokens, neurons\], not list"),
    ],
)
def test_what_are_no_masks_is_refused(masks, sentence):
    with pytest.raises(PermuteError, match=f"^{sentence}$"):
        make_order("frequency", masks)


def ffn_with(**changed):
    tensors = {"down": np.ones((4, 2)), "gate": np.ones((4, 3)), "up": np.ones((4, 3))}
    return Ffn(**(tensors | changed))


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"up": np.ones((3, 4))}, "up has 3 rows, down has 4 .*: save its transpose"),
        ({"up": np.ones((5, 3))}, "up has 5 rows, down has 4 .*: all have one row per neuron"),
        ({"up": np.ones((4, 2))}, "gate has 3 inputs and up 2: give both from the same layer"),
        ({"bias_up": np.ones((4, 1))}, r"bias_up has shape \(4, 1\): save it as \[neurons\]"),
        ({"bias_up": np.ones(3)}, "bias_up has 3 rows, down has 4 .*: all have one row per neuron"),
        ({"up": None, "bias_up": np.ones(4)}, "bias_up is given without up: give both or neither"),
        ({"down": np.ones(4)}, r"down has shape \(4,\): save it as \[neurons, width\]"),
        ({"down": np.ones((0, 4))}, r"down has shape \(0, 4\): save it as \[neurons, width\]"),
        ({"down": np.ones((4, 2), complex)}, "down holds complex128: save integers, floats or bf"),
        ({"down": np.ones((4, 2), object)}, "down holds object: save integers, floats or bf"),
        ({"down": np.ones((4, 2), bool)}, "down holds bool: save integers, floats or bf"),
        (
            {"gate": np.full((4, 3), 0x7F80, np.uint16)},
            "gate has a NaN or infinity in row 0: with it no output could be compared",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_refused(changed, sentence):
    with pytest.raises(PermuteError, match=f"^{sentence}".replace("bf", "bfloat16 bits$")):
        ffn_with(**changed)


def test_a_nan_is_found_in_whichever_row():
    down = np.ones((3000, 2), np.float16)
    down[2777, 1] = np.nan
    with pytest.raises(PermuteError, match="^down has a NaN or infinity in row 2777: "):
        Ffn(down)
