# SPDX-License-Identifier: Apache-2.0
"""Phase 1: the image with a fixed pattern; it walks a stream of all rows and enqueues the wanted.

The stream has one BD per row (`bdgen.program.phase1`). The seed does not say whether the BD of a
row that is skipped is still written and patched or only walked over: `skip` chooses. Receive BDs
are shortened to the rows that are kept, or dropped with their wait, and rows land compacted.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from aie2 import txn, txn_ops
from aie2.fields import WORD_BYTES
from aie2.registers import SHIM_BD
from firmware_sim.errors import FirmwareError
from firmware_sim.firmware.script import Context, Script, priced
from firmware_sim.firmware.stock import native_costs
from firmware_sim.firmware.stream import Batches, Ints, Role, read_batches

Skip = Literal["written", "walked"]
ROW_BD_ROLES = (Role.ROW_BD, Role.ROW_PATCH)
ROW_RUN_ROLES = (Role.ROW_POLL, Role.ROW_PUSH)
LENGTH_WORD = txn.BLOCK_WRITE_HEADER_WORDS + SHIM_BD.field("buffer_length").word
LOW_WORD = txn.BLOCK_WRITE_HEADER_WORDS + SHIM_BD.field("base_address_low").word


@dataclass(frozen=True)
class Phase1:
    """A filter image: `wanted` (one bool per row) is built in, as are the row's bytes."""

    wanted: NDArray[np.bool_]
    row_bytes: int
    skip: Skip = "written"
    name: str = "phase1"

    def __post_init__(self) -> None:
        """Refuse a pattern that is none."""
        if self.wanted.ndim != 1 or self.wanted.dtype != np.bool_:
            raise FirmwareError(
                f"a phase1 pattern is one bool per row, not {self.wanted.dtype} of shape "
                f"{self.wanted.shape}"
            )
        if self.row_bytes < WORD_BYTES or self.row_bytes % WORD_BYTES:
            raise FirmwareError(f"a row of {self.row_bytes} bytes: give a multiple of 4")
        if self.skip not in get_args(Skip):
            raise FirmwareError(f"skip {self.skip!r} is not one of {', '.join(get_args(Skip))}")

    def script(self, context: Context) -> Script:
        """The ops that the image executes of the stream, and what walking over the rest costs.

        Raises:
            FirmwareError: the stream is not a row-by-row stream of this matrix.
        """
        found = read_batches(context.words)
        wanted_op = self._wanted_ops(found)
        kept = np.bincount(
            found.batch[(found.role == Role.ROW_PUSH) & wanted_op], minlength=found.lane.size
        )
        keep = self._keep(found, wanted_op, kept)
        words = self._resized(context, found, kept)
        script = priced(_without(words, found.offsets, keep), native_costs(context.costs))
        walk = context.costs.walk
        executed = np.flatnonzero(keep)
        walked = np.diff(executed, prepend=-1) - 1
        ops = script.ops.copy()
        ops["before"] += walked * walk
        after = keep.size - 1 - int(executed[-1]) if executed.size else keep.size
        rows = int(np.count_nonzero(found.role == Role.ROW_PUSH))
        notes = (
            f"kept {kept.sum()} of {rows} rows; {executed.size} of {keep.size} ops executed, the "
            "others walked",
        )
        return replace(script, ops=ops, tail_cycles=after * walk, notes=notes)

    def _wanted_ops(self, found: Batches) -> NDArray[np.bool_]:
        """Which row ops belong to wanted rows."""
        pushes = found.role == Role.ROW_PUSH
        lengths = np.unique(found.length_bytes[pushes])
        if lengths.size > 1 or (lengths.size and lengths[0] != self.row_bytes):
            raise FirmwareError(
                f"the stream's BDs move {', '.join(map(str, lengths))} bytes and the image's rows "
                f"have {self.row_bytes}; make the stream with bdgen.program.phase1"
            )
        if np.count_nonzero(pushes) != self.wanted.size:
            raise FirmwareError(
                f"the stream has {np.count_nonzero(pushes)} rows and the image's pattern "
                f"{self.wanted.size}; make both for the same matrix"
            )
        is_row = found.source >= 0
        row, rest = np.divmod(found.source, self.row_bytes)
        wrong = is_row & ((rest != 0) | (row >= self.wanted.size))
        if wrong.any():
            raise FirmwareError(
                f"a BD reads from byte {found.source[wrong][0]}, which begins no row of a matrix "
                f"of {self.wanted.size} rows of {self.row_bytes} bytes"
            )
        return is_row & self.wanted[np.where(is_row, row, 0)]

    def _keep(self, found: Batches, wanted_op: NDArray[np.bool_], kept: Ints) -> NDArray[np.bool_]:
        """Which ops are executed; the others are walked over."""
        is_row_bd = np.isin(found.role, ROW_BD_ROLES)
        is_row = is_row_bd | np.isin(found.role, ROW_RUN_ROLES)
        keep = np.where(is_row, wanted_op, kept[found.batch] > 0)
        return keep | is_row_bd if self.skip == "written" else keep

    def _resized(self, context: Context, found: Batches, kept: Ints) -> NDArray[np.uint32]:
        """The stream's words with receive and padding BDs as the kept rows need them."""
        words = context.words.copy()
        nbytes = kept * self.row_bytes
        pad = -nbytes % context.object_bytes
        place = _places(found.lane, nbytes)
        padded = np.zeros(kept.size, np.bool_)
        padded[found.batch[found.role == Role.PAD_BD]] = True
        if np.any((pad > 0) & ~padded):
            raise FirmwareError(
                f"rows of {self.row_bytes} bytes do not fill fifo objects of "
                f"{context.object_bytes} bytes, and the stream has no padding BDs; make it "
                "with bdgen.program.phase1"
            )
        pad[pad == 0] = context.object_bytes

        def put(role: Role, word: int, values: Ints) -> None:
            ops = found.role == role
            words[found.offsets[ops] + word] = values[found.batch[ops]]

        put(Role.RECEIVE_BD, LENGTH_WORD, nbytes // WORD_BYTES)
        put(Role.RECEIVE_BD, LOW_WORD, place)
        put(Role.RECEIVE_PATCH, txn_ops.DDR_PATCH_ARG_PLUS_WORD, place)
        put(Role.PAD_BD, LENGTH_WORD, pad // WORD_BYTES)
        put(Role.PAD_RECEIVE_BD, LENGTH_WORD, pad // WORD_BYTES)
        return words


def _places(lane: Ints, nbytes: Ints) -> Ints:
    """Where each batch's rows land: lane after lane, in the lane's order of batches."""
    order = np.argsort(lane, kind="stable")
    place = np.zeros(lane.size, np.int64)
    place[order] = np.cumsum(nbytes[order]) - nbytes[order]
    return place


def _without(
    words: NDArray[np.uint32], offsets: Ints, keep: NDArray[np.bool_]
) -> NDArray[np.uint32]:
    """A stream with only the ops to keep, its header put right."""
    sizes = np.diff(offsets, append=words.size)
    body = words[txn.HEADER_WORDS :][np.repeat(keep, sizes)]
    made = np.concatenate([words[: txn.HEADER_WORDS], body])
    made[txn.HEADER_OPS_WORD] = np.count_nonzero(keep)
    made[txn.HEADER_BYTES_WORD] = made.nbytes
    return made
