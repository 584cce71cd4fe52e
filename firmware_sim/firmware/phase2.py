# SPDX-License-Identifier: Apache-2.0
"""Phase 2: the image that scans the activation vector and makes the BDs of the wanted rows.

The stream holds the original dense transfer; its first DDR patch says where the activations lie
(`bdgen.request`). The image reads them 16 bytes at a time, builds the bitmap, runs bdgen on the
controller (batches of at most 16 BDs a column, synchronised on tokens) and skips the original BD.

The seed's image scans the whole vector before it makes a BD. With `overlap` it scans until the
next batch is known, makes it, and scans on while it waits for room in a queue or for tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.registers import Direction
from bdgen import bitmap as bitmaps
from bdgen import schedule
from bdgen.program import Guard, Mode, gather_words, limits
from bdgen.request import ALIGNMENT_BYTES, Location, Request, unpack
from bdgen.rounds import in_rounds
from bdgen.scan import ELEMENTS, ElementName, scan
from bdgen.schedule import Ints
from bdgen.target import WORD_BYTES, Matrix, Target
from firmware_sim.errors import FirmwareError
from firmware_sim.firmware.ahead import last_looked_at, scan_ahead, scan_of
from firmware_sim.firmware.script import Context, Script, priced
from firmware_sim.firmware.stock import making_costs
from firmware_sim.firmware.stream import Lane, lanes_of, written_bds

READ_BYTES = ALIGNMENT_BYTES
"""Bytes of activations per read, as the seed has it."""
MODE: Mode = "tasks"
GUARD: Guard = "poll"
"""How the image enqueues: each BD by itself, after a look at whether the queue has room."""


@dataclass(frozen=True)
class Phase2:
    """Scan, bitmap, BDs in batches, token waits; the original BD is skipped.

    With `overlap` batches are made while the scan is under way, and placed in rounds
    (`bdgen.rounds`): where a lane's rows land may not depend on rows that nobody has seen yet.
    """

    overlap: bool = False

    @property
    def name(self) -> str:
        """Name of the image, as results carry it."""
        return "phase2-overlap" if self.overlap else "phase2"

    def script(self, context: Context) -> Script:
        """Ops that the image makes for the vector that it finds.

        Raises:
            FirmwareError: no transfer in the stream, or (`overlap`) activations that it overwrites.
            bdgen.request.RequestError: the first patch carries no well-formed request.
        """
        program = txn.decode(context.words)
        patch = next((op for op in program.ops if isinstance(op, txn.DdrPatch)), None)
        if patch is None:
            raise FirmwareError("phase2: the stream has no DDR patch to carry a request")
        request = unpack(patch.reserved, context.columns)
        target, matrix = _original(context, lanes_of(program), request)
        _check_size(program, matrix)
        if self.overlap:
            _check_stays(context, request, matrix)
        rows = _wanted(context, request)
        cost = scan_of(request, context.costs, READ_BYTES)
        walk = len(program.ops) * context.costs.walk
        words, looked_at = self._make(target, matrix, rows)
        notes = (
            f"scanned {request.count} {request.dtype} activations ({request.nbytes} bytes) in "
            f"{round(walk + cost.cycles)} cycles, {rows.size} rows wanted",
        )
        before = walk if self.overlap else walk + cost.cycles
        script = priced(words, making_costs(context.costs), before=before, notes=notes)
        return scan_ahead(script, cost, looked_at) if self.overlap else script

    def _make(self, target: Target, matrix: Matrix, rows: Ints) -> tuple[NDArray[np.uint32], Ints]:
        """The stream that the image carries out, and the last row that each batch looks at."""
        transfers = schedule.deal_rows(rows, matrix, len(target.lanes), "order")
        room = limits(target, MODE, GUARD)
        batches = schedule.batch(transfers, target.object_bytes, room)
        placed = in_rounds(transfers, batches) if self.overlap else transfers
        made = gather_words(target, matrix, placed, MODE, GUARD, scratch_offset=matrix.nbytes)
        return made.words, last_looked_at(rows, transfers, batches, room.sends, matrix.rows)


def _wanted(context: Context, request: Request) -> Ints:
    """Rows that the activations want, ascending."""
    bitmap = scan(
        _vector(context, request),
        dtype=cast(ElementName, request.dtype),
        threshold=request.threshold,
        count=request.count,
    )
    return bitmaps.rows(bitmap, request.count)


def _vector(context: Context, request: Request) -> NDArray[Any]:
    offset, nbytes = request.offset_bytes, request.nbytes
    if request.kind is Location.TILE:
        raw = context.read_tile(request.column, request.row, offset, nbytes)
    else:
        raw = context.read_argument(request.arg, offset, nbytes)
    element = ELEMENTS[request.dtype]
    return np.ascontiguousarray(raw).view(element.array or element.word)


def _check_size(program: txn.Program, matrix: Matrix) -> None:
    """The request and the transfer that it replaces must be about the same bytes."""
    moved = sum(
        bd.fields["buffer_length"] * WORD_BYTES
        for bd in written_bds(program)
        if bd.patch.arg == matrix.arg
    )
    if moved != matrix.nbytes:
        raise FirmwareError(
            f"phase2: the request is for {matrix.rows} rows of {matrix.row_bytes} bytes and the "
            f"stream's own transfer for {moved} bytes; make the request for this matrix"
        )


def _check_stays(context: Context, request: Request, matrix: Matrix) -> None:
    """Refuse activations that the first batches would overwrite before the last are read."""
    taken: list[tuple[int, int]] = []
    if request.kind is Location.TILE:
        taken = context.memtile_buffers(request.column, request.row)
    elif request.arg == matrix.output_arg:
        taken = [(0, matrix.nbytes + context.object_bytes)]
    first, end = request.offset_bytes, request.offset_bytes + request.nbytes
    if any(begin < end and first < stop for begin, stop in taken):
        raise FirmwareError(
            f"phase2-overlap: the activations at byte 0x{first:x} lie where the transfer puts rows "
            "while they are scanned; move them, or take phase2, which scans first"
        )


def _original(
    context: Context, lanes: dict[Lane, dict[Direction, txn.DdrPatch]], request: Request
) -> tuple[Target, Matrix]:
    """What the original dense transfer says about the machine and the matrix."""
    whole = [ends for ends in lanes.values() if len(ends) == 2]
    if not whole:
        raise FirmwareError("phase2: the stream holds no transfer in both directions to replace")
    first = min(whole, key=lambda ends: ends[Direction.S2MM].arg_plus)
    if any(first[direction].arg_plus for direction in Direction):
        raise FirmwareError(
            "phase2: weights and output must begin where their host buffers do; pass buffers that "
            "hold nothing before them"
        )
    target = Target(
        device=context.device,
        columns=1 + max(lane.column for lane in lanes),
        channels=1 + max(lane.channel for lane in lanes),
        object_bytes=context.object_bytes,
        partition_columns=context.columns,
    )
    matrix = Matrix(
        rows=request.count,
        row_bytes=request.row_bytes,
        arg=first[Direction.MM2S].arg,
        output_arg=first[Direction.S2MM].arg,
    )
    return target, matrix
