# SPDX-License-Identifier: Apache-2.0
"""Phase 2: the image that scans the activation vector and makes the BDs of the wanted rows.

The stream holds the original dense transfer; its first DDR patch says where the activations lie
(`bdgen.request`). The image reads them 16 bytes at a time, builds the bitmap, runs bdgen on the
controller (batches of at most 16 BDs a column, synchronised on tokens) and skips the original BD.
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
from bdgen.program import gather_words
from bdgen.request import ALIGNMENT_BYTES, Location, Request, unpack
from bdgen.scan import ELEMENTS, ElementName, scan
from bdgen.target import WORD_BYTES, Matrix, Target
from firmware_sim.errors import FirmwareError
from firmware_sim.firmware.script import Context, Script, priced
from firmware_sim.firmware.stock import making_costs
from firmware_sim.firmware.stream import Lane, lanes_of, written_bds

READ_BYTES = ALIGNMENT_BYTES
"""Bytes of activations per read, as the seed has it."""


@dataclass(frozen=True)
class Phase2:
    """Scan, bitmap, BDs in batches, token waits; the original BD is skipped."""

    name: str = "phase2"

    def script(self, context: Context) -> Script:
        """Ops that the image makes for the vector that it finds.

        Raises:
            FirmwareError: no transfer in the stream, or activations outside the memory named.
            bdgen.request.RequestError: the first patch carries no well-formed request.
        """
        program = txn.decode(context.words)
        patch = next((op for op in program.ops if isinstance(op, txn.DdrPatch)), None)
        if patch is None:
            raise FirmwareError("phase2: the stream has no DDR patch to carry a request")
        request = unpack(patch.reserved, context.columns)
        target, matrix = _original(context, lanes_of(program), request)
        _check_size(program, matrix)
        vector = _vector(context, request)
        bitmap = scan(
            vector,
            dtype=cast(ElementName, request.dtype),
            threshold=request.threshold,
            count=request.count,
        )
        rows = bitmaps.rows(bitmap, request.count)
        transfers = schedule.deal_rows(rows, matrix, len(target.lanes), "order")
        made = gather_words(
            target, matrix, transfers, "tasks", "poll", scratch_offset=matrix.nbytes
        )
        nbytes = vector.nbytes
        cycles = (
            len(program.ops) * context.costs.walk
            + -(-nbytes // READ_BYTES) * context.costs.l2_read
            + request.count * context.costs.test_row
        )
        notes = (
            f"scanned {request.count} {request.dtype} activations ({nbytes} bytes) in "
            f"{round(cycles)} cycles, {rows.size} rows wanted",
        )
        return priced(made.words, making_costs(context.costs), before=cycles, notes=notes)


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
