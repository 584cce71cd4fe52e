# SPDX-License-Identifier: Apache-2.0
"""Puts neurons that fire together next to each other, for `sparsity.permute.ORDERS`.

A token that wants n rows wants n runs less one for each pair of wanted neighbours. So the order
with the fewest runs over the recorded tokens is the path through all neurons that has the greatest
sum of co-activation counts between neighbours: a travelling salesman's problem. It is solved as
these are: a nearest-neighbour chain, then 2-opt moves, each of which takes runs away, until none is
left among every neuron's best partners. Where the path hardly holds together it is cut, and the
pieces are put in order of frequency: dense regions suit BDs that step (`bdgen.pack`).

A neuron is a row of bits, one per token, and a count is a popcount, so nothing of the size
neurons x neurons is ever in memory.
"""

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

PARTNERS = 32
"""Partners per neuron that moves are tried with: on held-out tokens of USE-lite 8 leave up to 0.3 %
more runs, 128 take no more away. Or-opt moves on top of 2-opt take away 0.1 % and were left out."""
CUT_SHARE = 0.005
"""Share of the runs that cutting the path may add: for this 0.5 %, USE-lite needs up to 3 % fewer
BDs of effort `fast`."""
_TOKENS_AT_ONCE = 4096
_BITS = 64
_PAIRS = np.uint64(0x3333333333333333)


def coactivation(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Order neurons such that neighbours fire together; [neurons], old number by new place.

    The same masks give the same order. Neurons that never fire come last, as they stood.

    Args:
        masks: bool [tokens, neurons].
    """
    bits = _bits(masks)
    counts = np.bitwise_count(bits).sum(axis=1, dtype=np.int64)
    by_frequency = np.argsort(-counts[:-1], kind="stable")
    firing = by_frequency[: np.count_nonzero(counts)]
    tour = np.full(len(firing) + 2, masks.shape[1], np.int64)
    tour[1:-1] = _chain(bits, counts, firing)
    _improve(bits, _partners(bits, counts, firing), tour)
    return np.concatenate([_densest_first(bits, counts, tour[1:-1]), by_frequency[len(firing) :]])


def _densest_first(
    bits: NDArray[np.uint64], counts: NDArray[np.int64], tour: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Cut the tour at its weakest links and put the pieces in order of falling frequency."""
    links = _links(bits, tour)
    weakest = np.argsort(links, kind="stable")
    spent = np.cumsum(links[weakest])
    allowed = CUT_SHARE * (counts[tour].sum() - links.sum())
    cuts = np.sort(weakest[: np.searchsorted(spent, allowed, side="right")]) + 1
    pieces = np.split(tour, cuts)
    frequency = np.array([counts[piece].mean() if len(piece) else 0.0 for piece in pieces])
    return np.concatenate([pieces[at] for at in np.argsort(-frequency, kind="stable")])


def runs(masks: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Count the runs of wanted rows of each token; [tokens].

    Args:
        masks: bool [tokens, neurons].
    """
    joined = np.count_nonzero(masks[:, 1:] & masks[:, :-1], axis=1)
    return np.count_nonzero(masks, axis=1) - joined


def _bits(masks: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Return [neurons + 1, tokens / 64]: when each neuron fires; the one too many never does."""
    tokens, neurons = masks.shape
    bits = np.zeros((neurons + 1, -(-tokens // _BITS)), np.uint64)
    for first in range(0, tokens, _TOKENS_AT_ONCE):
        part = np.packbits(masks[first : first + _TOKENS_AT_ONCE].T, axis=1, bitorder="little")
        bits.view(np.uint8)[:neurons, first // 8 : first // 8 + part.shape[1]] = part
    return bits


@njit(cache=True, nogil=True)
def _together(one: NDArray[Any], other: NDArray[Any]) -> Any:
    """How many tokens both fire at; LLVM makes vector popcounts of the arithmetic."""
    total = np.uint64(0)
    for word in range(len(one)):
        x = one[word] & other[word]
        x = x - ((x >> np.uint64(1)) & np.uint64(0x5555555555555555))
        x = (x & _PAIRS) + ((x >> np.uint64(2)) & _PAIRS)
        x = (x + (x >> np.uint64(4))) & np.uint64(0x0F0F0F0F0F0F0F0F)
        total += (x * np.uint64(0x0101010101010101)) >> np.uint64(56)
    return np.int64(total)


@njit(cache=True, nogil=True)
def _links(bits: NDArray[Any], tour: NDArray[Any]) -> NDArray[Any]:
    """Co-activation count of each two neighbours of the tour."""
    links = np.zeros(max(len(tour) - 1, 0), np.int64)
    for at in range(len(links)):
        links[at] = _together(bits[tour[at]], bits[tour[at + 1]])
    return links


@njit(cache=True, nogil=True)
def _chain(bits: NDArray[Any], counts: NDArray[Any], firing: NDArray[Any]) -> NDArray[Any]:
    """From the most frequent neuron on, always the partner that fires most often with the last.

    `firing` is by falling frequency, and so is what is `left` of it: a neuron that fires no more
    often than the best so far fires together no more often, and neither does any after it.
    """
    tour, left = np.empty_like(firing), firing.copy()
    remaining = len(left)
    best_at = 0
    for place in range(len(tour)):
        last = left[best_at]
        tour[place] = last
        remaining -= 1
        left[best_at:remaining] = left[best_at + 1 : remaining + 1].copy()
        best, best_at = 0, 0
        for at in range(remaining):
            if counts[left[at]] <= best:
                break
            count = _together(bits[last], bits[left[at]])
            if count > best:
                best, best_at = count, at
    return tour


@njit(cache=True, nogil=True)
def _partners(bits: NDArray[Any], counts: NDArray[Any], firing: NDArray[Any]) -> NDArray[Any]:
    """Best partners of each neuron by cosine, [neurons + 1, PARTNERS], -1 where there are fewer.

    Cosine, not count: by count, the few most frequent neurons would be everybody's partners.
    """
    partners = np.full((len(bits), PARTNERS), -1, np.int32)
    cosines = np.zeros((len(bits), PARTNERS))
    for place in range(len(firing)):
        one = firing[place]
        for other in firing[:place]:
            count = _together(bits[one], bits[other])
            cosine = count / np.sqrt(counts[one] * counts[other])
            if cosine > cosines[one, -1]:
                _insert(partners[one], cosines[one], other, cosine)
            if cosine > cosines[other, -1]:
                _insert(partners[other], cosines[other], one, cosine)
    return partners


@njit(cache=True, nogil=True)
def _insert(partners: NDArray[Any], cosines: NDArray[Any], partner: int, cosine: Any) -> None:
    """Put a partner where it belongs in a falling list; the last one drops out."""
    at = len(partners) - 1
    while at > 0 and cosines[at - 1] < cosine:
        partners[at], cosines[at] = partners[at - 1], cosines[at - 1]
        at -= 1
    partners[at], cosines[at] = partner, cosine


@njit(cache=True, nogil=True)
def _improve(bits: NDArray[Any], partners: NDArray[Any], tour: NDArray[Any]) -> None:
    """Make 2-opt moves until none helps; ends, since each takes at least one run away.

    `tour` begins and ends with the neuron that never fires, so that every neuron has neighbours.
    """
    place = np.zeros(len(bits), np.int64)
    for at in range(1, len(tour) - 1):
        place[tour[at]] = at
    moved = True
    while moved:
        moved = False
        for neuron in tour[1:-1].copy():
            for side in (1, -1):
                while _move(bits, partners, tour, place, neuron, side):
                    moved = True


@njit(cache=True, nogil=True)
def _move(
    bits: NDArray[Any],
    partners: NDArray[Any],
    tour: NDArray[Any],
    place: NDArray[Any],
    one: int,
    side: int,
) -> bool:
    """Reverse a stretch such that a partner takes the place beside `one`, if that gains."""
    beside_one = tour[place[one] + side]
    held = _together(bits[one], bits[beside_one])
    for partner in partners[one]:
        if partner < 0:
            break
        gain = _together(bits[one], bits[partner]) - held
        if gain <= 0:
            continue
        beside = tour[place[partner] + side]
        gain += _together(bits[beside_one], bits[beside])
        gain -= _together(bits[partner], bits[beside])
        if gain > 0:
            low, high = min(place[one], place[partner]), max(place[one], place[partner])
            _reverse(tour, place, low + (side > 0), high - (side < 0))
            return True
    return False


@njit(cache=True, nogil=True)
def _reverse(tour: NDArray[Any], place: NDArray[Any], low: int, high: int) -> None:
    """Turn the neurons in places `low` to `high` around."""
    while low < high:
        tour[low], tour[high] = tour[high], tour[low]
        place[tour[low]], place[tour[high]] = low, high
        low += 1
        high -= 1
