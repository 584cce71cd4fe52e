# SPDX-License-Identifier: Apache-2.0
"""The judge of every run must be able to say no: each way to be wrong, one at a time."""

import ast
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from host import check
from host.check import SENTINEL, Pieces, bytes_right, product, relative_error, rows_complete
from host.workload import random_weights
from sparsity.bf16 import from_bf16

ROWS, ROW_BYTES = 6, 8
WANTED = np.array([False, True, False, True, True, False])


def pieces(*tuples) -> Pieces:
    """From (row, row_offset, nbytes, at)."""
    return Pieces(*np.array(tuples, np.int64).reshape(-1, 4).T)


WHOLE = pieces((1, 0, 8, 8), (3, 0, 8, 0), (4, 0, 8, 16))
HALVES = pieces((1, 0, 4, 0), (4, 0, 8, 20), (1, 4, 4, 16), (3, 4, 4, 8), (3, 0, 4, 4))


def gathered(where: Pieces):
    """Weights of rows that differ, and an output that holds what `where` says."""
    weights = np.arange(ROWS * ROW_BYTES, dtype=np.uint8).reshape(ROWS, ROW_BYTES)
    output = np.full(64, SENTINEL, np.uint8)
    for row, start, count, at in zip(*(column.tolist() for column in columns(where)), strict=True):
        output[at : at + count] = weights[row, start : start + count]
    return weights, output


def columns(where: Pieces):
    return where.row, where.row_offset, where.nbytes, where.at


def complete(where: Pieces) -> bool:
    return rows_complete(where, WANTED, ROW_BYTES)


def right(where: Pieces, output, weights) -> bool:
    return bytes_right(output, weights, where, ROW_BYTES)


@pytest.mark.parametrize("where", [WHOLE, HALVES])
def test_rows_whole_or_in_pieces_are_complete_and_right(where):
    weights, output = gathered(where)
    assert complete(where)
    assert right(where, output, weights)


@pytest.mark.parametrize(
    "where",
    [
        pieces((1, 0, 8, 0), (3, 0, 8, 8)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 0, 4, 16)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 0, 8, 16), (4, 0, 8, 24)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 0, 4, 16), (4, 0, 4, 20)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 4, 8, 16)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, -4, 8, 16)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 0, 8, 16), (2, 0, 4, 24)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 0, 8, 16), (6, 0, 8, 24)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (-2, 0, 8, 16)),
        pieces((1, 0, 8, 0), (3, 0, 8, 8), (4, 0, 8, 16), (5, 0, 0, 24)),
        pieces(),
    ],
    ids=[
        *("row missing", "row in part", "row twice", "half twice", "beyond the row"),
        *("before the row", "unwanted row in part", "no such row", "negative row", "empty", "none"),
    ],
)
def test_a_plan_that_does_not_bring_every_row_once_is_incomplete(where):
    assert not complete(where)


def test_whole_rows_beside_the_wanted_are_no_fault():
    """An island keeps rows in that splitting would cost more than; the case counts them."""
    assert complete(pieces((1, 0, 8, 0), (2, 0, 8, 8), (3, 0, 8, 16), (4, 0, 8, 24)))


@given(st.sampled_from([WHOLE, HALVES]), st.integers(0, 63), st.integers(1, 255))
def test_any_wrong_byte_of_a_row_is_seen(where, place, change):
    weights, output = gathered(where)
    claimed = any(
        at <= place < at + count for at, count in zip(where.at, where.nbytes, strict=True)
    )
    output[place] ^= change
    assert right(where, output, weights) != claimed


@pytest.mark.parametrize(
    "at",
    [[8, 8, 16], [8, 4, 16], [8, 0, 60], [8, 0, 64], [8, -8, 16]],
    ids=["same place", "overlapping", "over the end", "beyond the end", "before the start"],
)
def test_rows_must_land_apart_and_inside_the_output(at):
    """With rows all alike: only where they are said to lie can be wrong."""
    weights = np.full((ROWS, ROW_BYTES), SENTINEL, np.uint8)
    where = replace(WHOLE, at=np.array(at))
    assert right(WHOLE, np.full(64, SENTINEL, np.uint8), weights)
    assert not right(where, np.full(64, SENTINEL, np.uint8), weights)


def test_rows_that_land_off_the_multiples_of_a_row_are_compared_too():
    where = replace(WHOLE, at=WHOLE.at + 4)
    weights, output = gathered(where)
    assert right(where, output, weights)
    output[4] ^= 1
    assert not right(where, output, weights)


def test_no_row_is_right_wherever_it_lies():
    assert rows_complete(pieces(), np.zeros(ROWS, bool), ROW_BYTES)
    assert right(pieces(), np.zeros(0, np.uint8), np.zeros((ROWS, ROW_BYTES), np.uint8))


def test_blocks_of_rows_are_all_compared(monkeypatch):
    monkeypatch.setattr(check, "BLOCK_BYTES", 2 * ROW_BYTES)
    weights, output = gathered(WHOLE)
    assert right(WHOLE, output, weights)
    output[20] ^= 1
    assert not right(WHOLE, output, weights)


def test_one_written_byte_is_not_untouched():
    part = np.full(16, SENTINEL, np.uint8)
    assert check.untouched(part)
    assert check.untouched(part[:0])
    part[15] = 0
    assert not check.untouched(part)


@pytest.mark.parametrize("block_bytes", [1, 40, 1 << 25])
def test_product_is_that_of_numpy_whatever_the_order_of_rows(monkeypatch, block_bytes):
    monkeypatch.setattr(check, "BLOCK_BYTES", block_bytes)
    weights = random_weights(ROWS, ROW_BYTES, 0)
    activations = np.where(WANTED, np.arange(1, 7), 0).astype(np.float32)
    output = np.zeros(64, np.uint8)
    for row, at in zip(WHOLE.row, WHOLE.at, strict=True):
        output[at : at + ROW_BYTES] = weights[row]
    exact = activations.astype(np.float64) @ from_bf16(weights.view(np.uint16)).astype(np.float64)
    found = product(output, WHOLE, activations, ROW_BYTES)
    np.testing.assert_allclose(found, exact, rtol=1e-5)
    assert relative_error(found, exact.astype(np.float32)) < 1e-6


def test_relative_error_of_nothing_is_no_division_by_zero():
    zero, one = np.zeros(3, np.float32), np.ones(3, np.float32)
    assert relative_error(zero, zero) == 0
    assert relative_error(one, zero) == pytest.approx(3**0.5)
    assert relative_error(2 * one, one) == pytest.approx(1)


def test_the_judge_knows_nothing_of_the_planner():
    tree = ast.parse(Path(check.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [a.name for a in node.names]
        )
    }
    assert imported <= {"__future__", "dataclasses", "numpy"}
