# SPDX-License-Identifier: Apache-2.0
"""The five modes: from a bitmap to a `Program`, the instruction stream and what it will move.

After `bdgen.scan`, which makes the bitmap; before `firmware_sim` or pyxrt, which run the words.
`dense`, `phase0` and `host` run on stock firmware. `phase1` and `phase2` need a firmware that
leaves out the rows nobody wants; their placement is what that firmware leaves in the output.
"""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from bdgen import bitmap as bitmaps
from bdgen import emit, schedule
from bdgen.bitmap import Bitmap
from bdgen.emit import Counts, Job
from bdgen.errors import PlanError
from bdgen.planner import Options, Planner
from bdgen.request import Location, Request
from bdgen.rounds import in_rounds
from bdgen.schedule import Batches, Deal, Ints, Limits, Placement, Transfers
from bdgen.stencils import Words
from bdgen.target import Matrix, Target

Guard = Literal["wait", "poll"]
Mode = Literal["chain", "tasks"]
Mask = NDArray[np.bool_]

RECEIVE_BDS = 1
"""One receive BD takes all bytes of a batch, since they land together."""

PAD_BDS = 2
"""Padding takes a send BD and a receive BD more."""


@dataclass(frozen=True, slots=True)
class Program:
    """An instruction stream, what it moves and where that lands.

    `words` is the TXN stream. The output buffer needs `output_bytes`: moved rows from its start
    and, if anything is padded, a scratch tail of one fifo object from `scratch_offset`.
    `padding_bytes` are read from that tail, `bytes_moved` from the matrix. `bds`, `pushes` and
    `tokens` count the stream as written; rows, bytes and placement are what `firmware` ("stock",
    "phase1", "phase2" or "phase2-overlap") makes of it.
    """

    phase: str
    firmware: str
    words: Words
    placement: Placement
    output_bytes: int
    scratch_offset: int
    padding_bytes: int
    rows_wanted: int
    rows_moved: int
    bytes_moved: int
    bds: int
    pushes: int
    tokens: int

    @property
    def instruction_bytes(self) -> int:
        """Size of the stream."""
        return self.words.nbytes


@dataclass(frozen=True, slots=True)
class Stream:
    """Words of a stream, the batches they carry out, what they hold and where they pad."""

    words: Words
    batches: Batches
    counts: Counts
    scratch_offset: int


def dense(target: Target, matrix: Matrix) -> Program:
    """The whole matrix on stock firmware: one send BD, one receive BD and one wait a lane."""
    transfers = _whole(target, matrix)
    stream = gather_words(target, matrix, transfers, "chain", scratch_offset=matrix.nbytes)
    wanted = np.ones(matrix.rows, np.bool_)
    return _program("dense", target, matrix, transfers, wanted, stream)


def phase0(
    target: Target, matrix: Matrix, bitmap: Bitmap, guard: Guard = "wait", by: Deal = "order"
) -> Program:
    """One task per wanted row, or per piece of one if dealt by segment, on stock firmware."""
    wanted = bitmaps.unpack(bitmap, matrix.rows)
    rows = bitmaps.rows(bitmap, matrix.rows)
    transfers = schedule.deal_rows(rows, matrix, len(target.lanes), by)
    stream = gather_words(
        target, matrix, transfers, "tasks", guard, scratch_offset=transfers.total_bytes
    )
    return _program("phase0", target, matrix, transfers, wanted, stream)


def phase1(target: Target, matrix: Matrix, bitmap: Bitmap, guard: Guard = "wait") -> Program:
    """One task per row, all rows, dealt by index; the firmware leaves out those not in `bitmap`.

    The words do not depend on `bitmap`. Output and placement are those the firmware leaves: each
    lane's wanted rows compact, lane after lane, at the front of a buffer that has room for all
    rows and whose scratch tail stays where the words have it. A batch without a wanted row goes
    with its pads and its wait; other pads get the length their batch then needs, or an object's.
    """
    wanted = bitmaps.unpack(bitmap, matrix.rows)
    lanes = len(target.lanes)
    everything = schedule.deal_rows(np.arange(matrix.rows), matrix, lanes, "index")
    stream = gather_words(
        target,
        matrix,
        everything,
        "tasks",
        guard,
        scratch_offset=matrix.nbytes,
        always_pad=_may_pad(target, matrix),
    )
    dealt = wanted[everything.src // matrix.row_bytes]
    kept = np.add.reduceat(dealt, stream.batches.first, dtype=np.int64)
    padding = _kept_padding(target, matrix, kept)
    rows = bitmaps.rows(bitmap, matrix.rows)
    transfers = schedule.deal_rows(rows, matrix, lanes, "index")
    return _program("phase1", target, matrix, transfers, wanted, stream, padding)


def phase2(
    target: Target,
    matrix: Matrix,
    request: Request,
    bitmap: Bitmap,
    guard: Guard = "poll",
    overlap: bool = False,
) -> Program:
    """The dense stream, its first patch carrying `request`; the firmware gathers instead.

    `bitmap` is what the firmware will find in the activations: output and placement are those of
    `phase0` for it, in a buffer that has room for all rows, with the scratch tail behind them.
    `guard` is how the firmware keeps its task queues from overflowing; only the padding depends
    on it. With `overlap` the firmware makes batches before it has scanned all activations: the
    same stream, but rows are placed in rounds (`bdgen.rounds`), by batches as `guard` cuts them.
    PlanError if the request is for another matrix or another partition.
    """
    _check_request(target, matrix, request)
    wanted = bitmaps.unpack(bitmap, matrix.rows)
    stream = gather_words(
        target,
        matrix,
        _whole(target, matrix),
        "chain",
        scratch_offset=matrix.nbytes,
        send_first=True,
    )
    emit.write_reserved(stream.words, request.pack())
    rows = bitmaps.rows(bitmap, matrix.rows)
    transfers = schedule.deal_rows(rows, matrix, len(target.lanes), "order")
    batches = schedule.batch(transfers, target.object_bytes, limits(target, "tasks", guard))
    if overlap:
        transfers = in_rounds(transfers, batches)
    firmware = "phase2-overlap" if overlap else "phase2"
    padding = int(batches.pad.sum())
    made = _program("phase2", target, matrix, transfers, wanted, stream, padding)
    return replace(made, firmware=firmware)


def host(target: Target, matrix: Matrix, bitmap: Bitmap, options: Options | None = None) -> Program:
    """Wanted rows in packed, chained BDs on stock firmware: what `bdgen.planner` makes of them.

    With a gap in `options`, unneeded rows between wanted ones are moved too.
    """
    wanted = bitmaps.unpack(bitmap, matrix.rows)
    planner = Planner(target, matrix, options or Options())
    plan = planner.plan_bitmap_into(planner.buffer(), bitmap)
    listed = plan.rows()
    moved, tail = plan.bytes_moved, plan.padding_bytes > 0
    return Program(
        phase="host",
        firmware="stock",
        words=plan.words.copy(),
        placement=Placement(
            row=listed,
            row_offset=np.zeros(len(listed), np.int64),
            nbytes=np.full(len(listed), matrix.row_bytes, np.int64),
            dst=np.arange(len(listed)) * matrix.row_bytes,
            wanted=wanted[listed],
        ),
        output_bytes=moved + tail * target.object_bytes,
        scratch_offset=moved,
        padding_bytes=plan.padding_bytes,
        rows_wanted=int(np.count_nonzero(wanted)),
        rows_moved=plan.rows_moved,
        bytes_moved=moved,
        bds=plan.counts.bds,
        pushes=plan.counts.pushes,
        tokens=plan.counts.tokens,
    )


def gather_words(
    target: Target,
    matrix: Matrix,
    transfers: Transfers,
    mode: Mode,
    guard: Guard = "wait",
    *,
    scratch_offset: int,
    always_pad: bool = False,
    send_first: bool = False,
) -> Stream:
    """Cut transfers into batches and write them: what every mode, and Phase 2 firmware, calls.

    `mode` "chain" makes a batch's send BDs one task, "tasks" each its own. `guard` keeps tasks
    from overflowing a task queue: "wait" by batches no longer than the queue is deep, "poll" by
    polling its full bit. Padding is read from and written to the output at `scratch_offset`, in
    every batch if `always_pad`. `send_first` writes a batch's send BDs before its receive BDs.
    """
    batches = schedule.batch(
        transfers, target.object_bytes, limits(target, mode, guard, always_pad)
    )
    job = Job(
        chain=mode == "chain",
        send_first=send_first,
        in_turn=guard == "poll",
        polls_after=target.device.queue_depth,
        arg=matrix.arg,
        output_arg=matrix.output_arg,
        scratch=scratch_offset,
    )
    words, counts = emit.write_stream(target, transfers, batches, job)
    return Stream(words, batches, counts, scratch_offset)


def limits(target: Target, mode: Mode, guard: Guard, always_pad: bool = False) -> Limits:
    """How many send BDs a batch may have, with and without padding; PlanError for other names."""
    if mode not in ("chain", "tasks") or guard not in ("wait", "poll"):
        raise PlanError(
            f'mode "{mode}" with guard "{guard}"; give "chain" or "tasks", and "wait" or "poll"'
        )
    sends = target.bds_per_lane - RECEIVE_BDS
    padded = sends - PAD_BDS
    if mode == "tasks" and guard == "wait":
        depth = target.device.queue_depth
        sends, padded = min(sends, depth), min(padded, depth - 1)
    return Limits(sends, padded, always_pad)


def _whole(target: Target, matrix: Matrix) -> Transfers:
    """The whole matrix as one run, shared out to all lanes."""
    start, length = np.array([0]), np.array([matrix.rows])
    return schedule.deal_runs(start, length, matrix, len(target.lanes))


def _may_pad(target: Target, matrix: Matrix) -> bool:
    """Whether some set of rows is no whole number of fifo objects."""
    return matrix.row_bytes % target.object_bytes != 0


def _kept_padding(target: Target, matrix: Matrix, kept: Ints) -> int:
    """Padding of Phase 1 batches that keep `kept` rows each; pads never have length 0."""
    if not _may_pad(target, matrix):
        return 0
    pad = -kept[kept > 0] * matrix.row_bytes % target.object_bytes
    return int(np.where(pad == 0, target.object_bytes, pad).sum())


def _check_request(target: Target, matrix: Matrix, request: Request) -> None:
    """Refuse a request that does not belong to this matrix and partition."""
    if (request.count, request.row_bytes) != (matrix.rows, matrix.row_bytes):
        raise PlanError(
            f"a request for {request.count} rows of {request.row_bytes} bytes, but the matrix has "
            f"{matrix.rows} of {matrix.row_bytes}; make the request for this matrix"
        )
    if request.kind is Location.TILE and request.column >= target.header_columns:
        raise PlanError(
            f"activations in column {request.column} of a partition of {target.header_columns} "
            f"columns; give column 0 to {target.header_columns - 1}"
        )


def _program(
    phase: str,
    target: Target,
    matrix: Matrix,
    transfers: Transfers,
    wanted: Mask,
    stream: Stream,
    kept_padding: int | None = None,
) -> Program:
    """Put a program together. `kept_padding` is what the firmware named `phase` pads.

    Without it the words do what they say, and the output is as small as that allows.
    """
    if kept_padding is None:
        firmware, padding = "stock", int(stream.batches.pad.sum())
        tail = padding > 0
    else:
        firmware, padding = phase, kept_padding
        tail = _may_pad(target, matrix)
    moved = transfers.total_bytes
    return Program(
        phase=phase,
        firmware=firmware,
        words=stream.words,
        placement=schedule.place(transfers, matrix, wanted),
        output_bytes=stream.scratch_offset + tail * target.object_bytes,
        scratch_offset=stream.scratch_offset,
        padding_bytes=padding,
        rows_wanted=int(np.count_nonzero(wanted)),
        rows_moved=moved // matrix.row_bytes,
        bytes_moved=moved,
        bds=stream.counts.bds,
        pushes=stream.counts.pushes,
        tokens=stream.counts.tokens,
    )
