# SPDX-License-Identifier: Apache-2.0
"""Patterns beside each other: chance is told apart from foresight."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hn

from sparsity.errors import SparsityError
from sparsity.patterns import agreement, batch_sparsity, consecutive, last_token, union_sparsity

MASKS = hn.arrays(np.bool_, st.tuples(st.integers(2, 12), st.integers(1, 40)))


def random_masks(tokens, k, density, seed=0):
    return np.random.default_rng(seed).random((tokens, k)) < density


@given(MASKS)
def test_a_pattern_agrees_with_itself(masks):
    same = agreement(masks, masks)
    assert (same.match, same.overlap, same.recall) == (1, 1, 1)
    assert same.kappa == pytest.approx(1)


@pytest.mark.parametrize("density", [0.05, 0.2, 0.5])
def test_patterns_that_know_nothing_of_each_other_agree_by_chance(density):
    found = agreement(random_masks(50, 4000, density, 1), random_masks(50, 4000, density, 2))
    assert found.match == pytest.approx(density**2 + (1 - density) ** 2, abs=0.01)
    assert found.kappa == pytest.approx(0, abs=0.02)
    assert found.recall == pytest.approx(density, abs=0.02)


@pytest.mark.parametrize(("match", "kappa"), [(0.5773, 0.155), (0.5383, 0.077)])
def test_the_seeds_matches_at_half_density_are_near_chance(match, kappa):
    k = 20000
    first = np.arange(k) % 2 == 0
    second = first.copy()
    second[: round((1 - match) * k)] ^= True
    found = agreement(first[None], second[None])
    assert found.match == pytest.approx(match, abs=1e-3)
    assert found.kappa == pytest.approx(kappa, abs=2e-3)


@given(MASKS, st.integers(1, 3))
def test_the_union_of_windows_is_that_of_plain_loops(masks, window):
    if len(masks) < window:
        return
    unions = [
        masks[start : start + window].any(axis=0)
        for start in range(0, len(masks) - window + 1, window)
    ]
    assert union_sparsity(masks, window) == pytest.approx(1 - np.mean(unions))


def test_a_batch_of_strangers_leaves_the_power_of_the_sparsity():
    masks = random_masks(400, 500, 0.1)
    for batch in (1, 4, 16):
        assert batch_sparsity(masks, batch) == pytest.approx(0.9**batch, abs=0.01)


@given(MASKS)
def test_prefetching_from_the_last_token_counts_what_it_misses_and_wastes(masks):
    found = last_token(masks)
    pairs = list(pairwise(masks))
    wanted = sum(int(after.sum()) for _, after in pairs)
    missed = sum(int((after & ~before).sum()) for before, after in pairs)
    loaded = sum(int(before.sum()) for before, _ in pairs)
    useless = sum(int((before & ~after).sum()) for before, after in pairs)
    assert found.missed == pytest.approx(missed / wanted if wanted else 0)
    assert found.useless == pytest.approx(useless / loaded if loaded else 0)
    assert found.loaded == pytest.approx(loaded / masks[1:].size)


@given(MASKS)
def test_a_longer_memory_misses_no_more(masks):
    if len(masks) > 2:
        assert last_token(masks[1:]).missed >= last_token(masks, 2).missed - 1e-12


TEXTS = st.lists(hn.arrays(np.bool_, st.tuples(st.integers(1, 6), st.just(5))), min_size=2)


@given(TEXTS, st.integers(1, 3))
def test_the_tokens_of_one_text_are_no_neighbours_of_the_next_ones(texts, apart):
    pairs = [p for each in texts for p in zip(each, each[apart:], strict=False)]
    if not pairs:
        with pytest.raises(SparsityError, match="too few"):
            consecutive(texts, apart)
        return
    first, second = (np.array(each) for each in zip(*pairs, strict=True))
    assert consecutive(texts, apart) == agreement(first, second)
    if apart == 1:
        wanted = np.count_nonzero(second)
        missed = np.count_nonzero(second & ~first) / wanted if wanted else 0
        assert last_token(texts).missed == pytest.approx(missed)


@given(TEXTS, st.integers(1, 3))
def test_a_window_lies_within_one_text(texts, window):
    unions = [
        each[first : first + window].any(axis=0)
        for each in texts
        for first in range(0, len(each) - window + 1, window)
    ]
    if unions:
        assert union_sparsity(texts, window) == pytest.approx(1 - np.mean(unions))


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda m: agreement(m, m[:2]), "align the tokens"),
        (lambda m: agreement(m[:0], m[:0]), "at least one"),
        (lambda m: consecutive(m, 4), "too few"),
        (lambda m: consecutive(m, 0), "^a distance of 0 tokens cannot be: give 1 or more$"),
        (lambda m: consecutive(m, -1), "^a distance of -1 tokens"),
        (lambda m: last_token(m, 0), "^a history of 0 tokens cannot be: give 1 or more$"),
        (lambda m: union_sparsity(m, 0), "1 or more"),
        (lambda m: union_sparsity(m, 9), "too few"),
        (lambda m: batch_sparsity(m, 0), "1 or more"),
        (
            lambda m: last_token([m, m[:, 1:]]),
            "^texts have \\[9, 10\\] neurons: give those of one layer$",
        ),
        (lambda m: last_token(m[0]), "give \\[tokens, neurons\\]"),
        (lambda m: last_token(m[:, :0]), "shape \\(4, 0\\): give \\[tokens, neurons\\]"),
        (lambda m: union_sparsity(m[:, :0], 2), "shape \\(4, 0\\): give"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, why):
    with pytest.raises(SparsityError, match=why):
        call(random_masks(4, 10, 0.5))
