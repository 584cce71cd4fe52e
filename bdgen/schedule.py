# SPDX-License-Identifier: Apache-2.0
"""Wanted rows to transfers, dealt to lanes, placed in the output and cut into batches.

After `bdgen.bitmap` and `bdgen.runs`, before `bdgen.emit`. A *transfer* is what one BD reads: a
row, a run of rows or a piece of a row. A *lane* is a (column, channel) pair of `Target.lanes`. A
*batch* is what a lane moves between two token waits, within its share of the shim's BDs. The
output is compact: a lane's bytes follow each other, lane after lane.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from bdgen.compiled import counted, inner
from bdgen.errors import PlanError
from bdgen.target import WORD_BYTES, Matrix

Ints = NDArray[np.int64]
Deal = Literal["order", "index", "block", "segment"]


class Transfers(NamedTuple):
    """What each BD reads and where it lands, lane after lane; plain arrays of equal length.

    `lane_starts` has one entry more than there are lanes: lane n owns transfers
    `lane_starts[n]:lane_starts[n + 1]`. `src` and `dst` are byte offsets in the matrix and in the
    output.
    """

    lane_starts: Ints
    src: Ints
    nbytes: Ints
    dst: Ints

    @property
    def lane(self) -> Ints:
        """The lane of each transfer."""
        return np.repeat(np.arange(len(self.lane_starts) - 1), np.diff(self.lane_starts))

    @property
    def total_bytes(self) -> int:
        """Bytes read from the matrix."""
        return int(self.nbytes.sum())


@dataclass(frozen=True, slots=True)
class Limits:
    """How many send BDs a batch may hold: without padding, and beside a pair of pad BDs.

    With `always_pad` each batch carries pad BDs, which move a whole object where the batch itself
    needs no padding: a firmware that drops rows from the batch then only rewrites lengths.
    """

    sends: int
    padded_sends: int
    always_pad: bool = False


class Batches(NamedTuple):
    """Transfers cut into batches, lane after lane; plain arrays of equal length.

    Batch b holds transfers `first[b]:first[b] + sends[b]`, which are `nbytes[b]` bytes that land
    together at `dst[b]`, and is padded by `pad[b]` bytes. Lane n owns batches
    `lane_starts[n]:lane_starts[n + 1]`.
    """

    lane_starts: Ints
    first: Ints
    sends: Ints
    nbytes: Ints
    pad: Ints
    dst: Ints


@dataclass(frozen=True, slots=True)
class Placement:
    """Where each moved piece of a row lands, lane after lane; plain arrays of equal length.

    Bytes `row_offset` to `row_offset + nbytes` of row `row` land at `dst` of the output. Rows of
    an island that nobody asked for are there too, with `wanted` false.
    """

    row: Ints
    row_offset: Ints
    nbytes: Ints
    dst: Ints
    wanted: NDArray[np.bool_]


def deal_rows(rows: Ints, matrix: Matrix, lanes: int, by: Deal = "order") -> Transfers:
    """Deal single rows (ascending indices) to `lanes` lanes, one transfer each.

    `order`: the k-th row to lane k mod lanes. `index`: row r to lane r mod lanes, whichever others
    are wanted. `block`: equal shares of neighbours. `segment`: each row cut into `lanes`
    word-aligned pieces, piece n to lane n. PlanError for any other `by`.
    """
    if by == "segment":
        return _segments(rows, matrix, lanes)
    if by == "block":
        starts, dealt = _shares(len(rows), lanes), rows
    elif by == "order":
        starts = np.zeros(lanes + 1, np.int64)
        np.cumsum([len(rows[lane::lanes]) for lane in range(lanes)], out=starts[1:])
        dealt = np.concatenate([rows[lane::lanes] for lane in range(lanes)])
    elif by == "index":
        lane = (rows % lanes).astype(np.uint8)
        starts = np.zeros(lanes + 1, np.int64)
        np.cumsum(np.bincount(lane, minlength=lanes), out=starts[1:])
        dealt = rows[np.argsort(lane, kind="stable")]
    else:
        raise PlanError(f'rows dealt by "{by}"; give "order", "index", "block" or "segment"')
    return _compact(starts, dealt * matrix.row_bytes, np.full(len(dealt), matrix.row_bytes))


def deal_runs(starts: Ints, lengths: Ints, matrix: Matrix, lanes: int) -> Transfers:
    """Deal runs of rows (first rows ascending, and row counts) in equal shares of neighbours.

    A run that crosses from one share into the next is cut there.
    """
    rows_before = np.concatenate([[0], np.cumsum(lengths)])
    shares = _shares(int(rows_before[-1]), lanes)
    cuts = np.unique(np.concatenate([rows_before, shares]))
    pieces, counts = cuts[:-1], np.diff(cuts)
    run = np.searchsorted(rows_before, pieces, side="right") - 1
    first = starts[run] + pieces - rows_before[run]
    bounds = np.searchsorted(pieces, shares)
    return _compact(bounds, first * matrix.row_bytes, counts * matrix.row_bytes)


def batch(transfers: Transfers, object_bytes: int, limits: Limits) -> Batches:
    """Cut each lane's transfers into batches that move whole fifo objects.

    A batch ends where its bytes are a multiple of `object_bytes` if such a place lies in the
    second half of its BDs; otherwise it is padded up to the next multiple, at the cost of a BD
    on either side. So nothing is left in a fifo when its token is awaited.
    """
    total = len(transfers.src)
    first, sends, nbytes, pad = (np.empty(total, np.int64) for _ in range(4))
    lane_starts = np.zeros_like(transfers.lane_starts)
    made = _cut(
        transfers.lane_starts,
        transfers.nbytes,
        (object_bytes, limits.sends, limits.padded_sends, limits.always_pad),
        (lane_starts, first, sends, nbytes, pad),
    )
    first = first[:made]
    return Batches(
        lane_starts, first, sends[:made], nbytes[:made], pad[:made], transfers.dst[first]
    )


def place(transfers: Transfers, matrix: Matrix, wanted: NDArray[np.bool_]) -> Placement:
    """Tell row by row where transfers land; `wanted` has one entry per row of the matrix."""
    row, row_offset = np.divmod(transfers.src, matrix.row_bytes)
    nbytes, dst = transfers.nbytes, transfers.dst
    if (nbytes > matrix.row_bytes).any():
        counts = nbytes // matrix.row_bytes
        nth = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
        row, row_offset = np.repeat(row, counts) + nth, np.repeat(row_offset, counts)
        dst = np.repeat(dst, counts) + nth * matrix.row_bytes
        nbytes = np.full(len(row), matrix.row_bytes)
    return Placement(row, row_offset, nbytes, dst, wanted[row])


def _shares(count: int, lanes: int) -> Ints:
    """Bounds of `lanes` shares of `count` things, the first share never the smaller one."""
    return -(-np.arange(lanes + 1) * count // lanes)


def _compact(lane_starts: Ints, src: Ints, nbytes: Ints) -> Transfers:
    """Place transfers, which come lane after lane, one behind the other in the output."""
    return Transfers(lane_starts, src, nbytes, np.cumsum(nbytes) - nbytes)


def _segments(rows: Ints, matrix: Matrix, lanes: int) -> Transfers:
    """Cut each row into word-aligned pieces, one a lane; lanes beyond its words get none."""
    bounds = _shares(matrix.row_bytes // WORD_BYTES, lanes) * WORD_BYTES
    sizes = np.diff(bounds)
    used = np.flatnonzero(sizes)
    lane_starts = np.concatenate([[0], np.cumsum(np.where(sizes > 0, len(rows), 0))])
    src = (bounds[used][:, None] + rows[None, :] * matrix.row_bytes).reshape(-1)
    return _compact(lane_starts, src, np.repeat(sizes[used], len(rows)))


@counted
def _cut(lane_starts: Ints, nbytes: Ints, rule: tuple, out: tuple) -> int:
    """Fill `out` with the batches of all lanes and return how many there are."""
    object_bytes, sends, padded_sends, always_pad = rule
    batch_starts, first, count, total, pad = out
    made = 0
    for lane in range(len(lane_starts) - 1):
        batch_starts[lane] = made
        at, end = lane_starts[lane], lane_starts[lane + 1]
        while at < end:
            if always_pad:
                size = min(end - at, padded_sends)
            else:
                size = _batch_size(nbytes, at, end, object_bytes, sends, padded_sends)
            moved = 0
            for transfer in range(at, at + size):
                moved += nbytes[transfer]
            first[made], count[made], total[made] = at, size, moved
            pad[made] = -moved % object_bytes
            if always_pad and pad[made] == 0:
                pad[made] = object_bytes
            at += size
            made += 1
    batch_starts[len(lane_starts) - 1] = made
    return made


@inner
def _batch_size(
    nbytes: Ints, at: int, end: int, object_bytes: int, sends: int, padded_sends: int
) -> int:
    """Count the transfers of the batch that starts at `at` in a lane that ends at `end`."""
    left = end - at
    moved = 0
    whole = 0
    for size in range(1, min(left, sends) + 1):
        moved += nbytes[at + size - 1]
        if moved % object_bytes == 0:
            whole = size
    if whole == min(left, sends) or (2 * whole >= padded_sends and left > padded_sends):
        return whole
    return min(left, padded_sends)
