# SPDX-License-Identifier: Apache-2.0
"""Ready-made ops of each lane, which `bdgen.emit` copies and fills in.

They are encoded once per target, by `aie2.txn` and the register tables, as mlir-aie would write
them; only length, address and host buffer are left blank.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import tiles, txn
from aie2.registers import CHANNEL_CTRL, CHANNEL_STATUS, SHIM_BD, SHIM_DMA, Direction
from bdgen.target import WORD_BYTES, Target

Words = NDArray[np.uint32]

SHIM_ROW = 0

SHIM_CONTROLLER_ID = 15
"""Controller id that mlir-aie's aie-assign-tile-controller-ids gives every shim tile."""

CONTROLLER_ID_BITS = 0x1F
"""What mlir-aie writes of CONTROLLER_ID: a token carries its low five bits as packet id."""

AXCACHE = 2
"""AXI cache attribute of every shim BD that mlir-aie writes."""


class Stencils(NamedTuple):
    """Ready-made ops. Axes: lane; BD id within the lane, for `bd` and `send`; link, for `bd`; word.

    `bd` is a block write and its DDR patch, of a last BD at link 0, of one that goes on to the
    next BD id at link 1; `receive` sets the controller id and pushes the lane's first BD with a
    token; `send` pushes without; `poll` waits until the send queue is not full; `wait` awaits one
    receive token.
    """

    bd: Words
    receive: Words
    send: Words
    poll: Words
    wait: Words


class Blanks(NamedTuple):
    """Which words of `Stencils.bd` are filled in for each BD."""

    length: int
    address: int
    arg: int
    arg_plus: int


@lru_cache(maxsize=64)
def stencils(target: Target) -> Stencils:
    """Encode the ops of every lane of a target."""
    lanes, bds = target.lanes, range(target.bds_per_lane)
    return Stencils(
        bd=_encode(
            [_bd(target, lane, bd, link) for lane in lanes for bd in bds for link in (0, 1)]
        ).reshape(len(lanes), len(bds), 2, -1),
        receive=_encode([_receive(target, lane) for lane in lanes]),
        send=_encode(
            [[_push(target, lane, bd, Direction.MM2S)] for lane in lanes for bd in bds]
        ).reshape(len(lanes), len(bds), -1),
        poll=_encode([[_poll(lane)] for lane in lanes]),
        wait=_encode([[_wait(lane)] for lane in lanes]),
    )


@lru_cache(maxsize=1)
def blanks() -> Blanks:
    """Find the words of a BD stencil that differ from one BD to the next."""
    block = txn.BLOCK_WRITE_HEADER_WORDS
    patch = block + SHIM_BD.words
    return Blanks(
        length=block + SHIM_BD.field("buffer_length").word,
        address=block + SHIM_BD.field("base_address_low").word,
        arg=patch + txn.DDR_PATCH_ARG_WORD,
        arg_plus=patch + txn.DDR_PATCH_ARG_PLUS_WORD,
    )


def header(target: Target, ops: int, words: int) -> Words:
    """The header of a stream of so many ops, and words with the header: an empty one's, amended."""
    device = target.device
    empty = txn.Header(
        major=0,
        minor=1,
        generation=device.generation,
        rows=device.rows,
        columns=target.header_columns,
        memtile_rows=device.memtile_rows,
    )
    amended = _stream_words(empty, ()).copy()
    amended[txn.HEADER_OPS_WORD] = ops
    amended[txn.HEADER_BYTES_WORD] = words * WORD_BYTES
    return amended


def _bd_id(target: Target, lane: tuple[int, int], bd: int) -> int:
    """The shim's id of a lane's BD: each channel of a column has its own share."""
    return lane[1] * target.bds_per_lane + bd


def _bd(target: Target, lane: tuple[int, int], bd: int, link: int) -> list[txn.Op]:
    """Block write of a linear BD and the DDR patch of its address."""
    bd_id = _bd_id(target, lane, bd)
    address = tiles.address(lane[0], SHIM_ROW, SHIM_DMA.bd_address(bd_id))
    payload = SHIM_BD.encode(
        burst_length=target.device.burst_code,
        axcache=AXCACHE,
        valid_bd=1,
        use_next_bd=link,
        next_bd=link * (bd_id + 1) % SHIM_DMA.bd_count,
    )
    patched = address + WORD_BYTES * SHIM_BD.field("base_address_low").word
    return [txn.BlockWrite(address, tuple(payload.tolist())), txn.DdrPatch(patched, 0, 0)]


def _receive(target: Target, lane: tuple[int, int]) -> list[txn.Op]:
    """Set the controller id that tokens carry, then push the lane's first BD with a token."""
    column, channel = lane
    shift = CHANNEL_CTRL.field("controller_id").shift
    control = tiles.address(column, SHIM_ROW, SHIM_DMA.ctrl(Direction.S2MM, channel))
    set_id = txn.MaskWrite(control, SHIM_CONTROLLER_ID << shift, CONTROLLER_ID_BITS << shift)
    return [set_id, _push(target, lane, 0, Direction.S2MM, token=True)]


def _push(
    target: Target, lane: tuple[int, int], bd: int, direction: Direction, token: bool = False
) -> txn.Op:
    """Push the task that starts at a lane's BD."""
    column, channel = lane
    queue = tiles.address(column, SHIM_ROW, SHIM_DMA.queue_address(direction, channel))
    value = SHIM_DMA.queue.encode(
        enable_token_issue=int(token), start_bd_id=_bd_id(target, lane, bd)
    )
    return txn.Write(queue, int(value[0]))


def _poll(lane: tuple[int, int]) -> txn.Op:
    """Wait until the send queue is not full: the highest bit of its size is then clear."""
    column, channel = lane
    status = tiles.address(column, SHIM_ROW, SHIM_DMA.status(Direction.MM2S, channel))
    return txn.MaskPoll(status, 0, 1 << CHANNEL_STATUS.field("task_queue_size").msb)


def _wait(lane: tuple[int, int]) -> txn.Op:
    """Await one token of the lane's receive channel."""
    column, channel = lane
    return txn.Tct(column, SHIM_ROW, Direction.S2MM, channel)


def _encode(groups: list[list[txn.Op]]) -> Words:
    """Encode groups of ops of equal size to words, a row for each group."""
    flat = tuple(op for group in groups for op in group)
    words = _stream_words(txn.Header(0, 1, 0, 0, 0, 0), flat)[txn.HEADER_WORDS :]
    return words.reshape(len(groups), -1)


def _stream_words(header: txn.Header, ops: tuple[txn.Op, ...]) -> Words:
    """Encode a stream to words."""
    return np.frombuffer(txn.encode(txn.Program(header, ops)), "<u4")
