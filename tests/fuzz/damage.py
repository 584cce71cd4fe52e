# SPDX-License-Identifier: Apache-2.0
"""Damage to bytes: flips, cuts, numbers changed, pieces moved."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

NUMBERS = (0, 1, 2, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFF, 0x10000)


def damaged(rng: Random, data: bytes) -> bytes:
    """`data` after one to four damages."""
    made = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4))):
        if made:
            made = rng.choice(DAMAGES)(rng, made)
    return bytes(made)


def numbers_changed(rng: Random, data: bytes, first: int, end: int, count: int = 1) -> bytes:
    """`data` with `count` of the 32-bit words that lie from byte `first` to `end` changed."""
    made = bytearray(data)
    for _ in range(count):
        at = first + 4 * rng.randrange(max(1, (min(end, len(made)) - first) // 4))
        if at + 4 <= len(made):
            (old,) = struct.unpack_from("<I", made, at)
            struct.pack_into("<I", made, at, _other_number(rng, old, len(data)))
    return bytes(made)


def _other_number(rng: Random, old: int, size_bytes: int) -> int:
    near = old + rng.choice((-4, -1, 1, 4, 16, 96))
    likely = (near, size_bytes, size_bytes - old, old ^ 1 << rng.randrange(32))
    return rng.choice((*likely, *NUMBERS)) & 0xFFFFFFFF


def _flip(rng: Random, data: bytearray) -> bytearray:
    for _ in range(rng.choice((1, 1, 3, 16))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return data


def _bytes(rng: Random, data: bytearray) -> bytearray:
    at = rng.randrange(len(data))
    count = min(rng.choice((1, 4, 8)), len(data) - at)
    data[at : at + count] = rng.randbytes(count)
    return data


def _number(rng: Random, data: bytearray) -> bytearray:
    return bytearray(numbers_changed(rng, bytes(data), 0, len(data)))


def _cut(rng: Random, data: bytearray) -> bytearray:
    return data[: rng.randrange(len(data) + 1)]


def _more(rng: Random, data: bytearray) -> bytearray:
    return data + rng.choice((bytes, rng.randbytes))(rng.choice((1, 4, 16, 100)))


def _move(rng: Random, data: bytearray) -> bytearray:
    count = rng.choice((4, 40, 96, 128)) if len(data) > 300 else 4
    one, other = (4 * rng.randrange(len(data) // 4 + 1) for _ in range(2))
    piece, there = data[one : one + count], data[other : other + count]
    if len(piece) == len(there) == count and abs(one - other) >= count:
        data[one : one + count], data[other : other + count] = there, piece
    return data


def _remove(rng: Random, data: bytearray) -> bytearray:
    at = rng.randrange(len(data))
    del data[at : at + rng.choice((1, 4, 24, 40))]
    return data


DAMAGES: tuple[Callable[[Random, bytearray], bytearray], ...] = (
    *(_flip, _flip, _bytes, _number, _number),
    *(_cut, _more, _move, _remove),
)
