# SPDX-License-Identifier: Apache-2.0
"""A tiny NPU for tests of bdgen: runs a decoded TXN stream on byte arrays and watches its rules.

It shares the register tables with bdgen and nothing else. Each lane is a fifo that passes on whole
objects only. Data moves either as soon as it can (`eager`) or not before a token is awaited.
"""

from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np

from aie2 import tiles, txn
from aie2.registers import CHANNEL_CTRL, SHIM_BD, SHIM_DMA, Direction
from bdgen.target import Matrix, Target

DIRECTIONS = (Direction.S2MM, Direction.MM2S)


@dataclass
class Lane:
    """One column and channel: what is queued, what is in the fifo, what was not awaited yet."""

    sends: list[list[dict]] = field(default_factory=list)
    receives: list[list[dict]] = field(default_factory=list)
    fifo: bytearray = field(default_factory=bytearray)
    tokens: int = 0
    controller_id: int | None = None
    live: set[int] = field(default_factory=set)
    unawaited: int = 0
    polled: bool = False
    moved: int = 0


class Replay:
    """Buffers by argument, what was read and written, and the rules as assertions."""

    def __init__(self, target: Target, buffers: list[np.ndarray], eager: bool) -> None:
        self.target, self.buffers, self.eager = target, buffers, eager
        self.bds: dict[tuple[int, int], dict] = {}
        self.lanes = {lane: Lane() for lane in target.lanes}
        self.reads: list[tuple[int, int, int]] = []
        self.writes: list[tuple[int, int, int]] = []
        self.most_unawaited = 0
        self.patches: list[txn.DdrPatch] = []
        self.bds_written = self.pushes = self.waits = 0

    def run(self, words: np.ndarray) -> "Replay":
        """Execute a stream and check that it leaves nothing behind."""
        program = txn.decode(words)
        assert program.header.columns == self.target.header_columns
        assert program.header.generation == self.target.device.generation
        for op in program.ops:
            getattr(self, f"_{type(op).__name__.lower()}")(op)
        for lane in self.lanes.values():
            assert not (lane.sends or lane.receives or lane.fifo or lane.tokens or lane.live)
        return self

    def _blockwrite(self, op: txn.BlockWrite) -> None:
        column, row, offset = tiles.split(op.address)
        bd_id, rest = divmod(offset - SHIM_DMA.bd_base, SHIM_DMA.bd_stride)
        assert row == 0 and rest == 0 and 0 <= bd_id < self.target.device.shim_bds
        for (owner, _), lane in self.lanes.items():
            assert owner != column or bd_id not in lane.live, "BD written while in use"
        bd = SHIM_BD.decode(op.payload)
        assert bd["valid_bd"] == 1 and bd["axcache"] == 2
        assert bd["burst_length"] == self.target.device.burst_code
        self.bds[column, bd_id] = bd
        self.bds_written += 1

    def _ddrpatch(self, op: txn.DdrPatch) -> None:
        column, _, offset = tiles.split(op.address)
        bd_id, rest = divmod(offset - SHIM_DMA.bd_base, SHIM_DMA.bd_stride)
        assert rest == 4
        bd = self.bds[column, bd_id]
        assert bd["base_address_low"] * 4 == op.arg_plus
        bd["arg"], bd["offset"] = op.arg, op.arg_plus
        self.patches.append(op)

    def _maskwrite(self, op: txn.MaskWrite) -> None:
        for key, lane in self.lanes.items():
            if op.address == tiles.address(key[0], 0, SHIM_DMA.ctrl(Direction.S2MM, key[1])):
                assert op.mask == 0x1F00
                lane.controller_id = CHANNEL_CTRL.decode([op.value])["controller_id"]
                return
        raise AssertionError(f"mask write to {op.address:#x}")

    def _maskpoll(self, op: txn.MaskPoll) -> None:
        assert (op.value, op.mask) == (0, 0x00400000)
        for key, lane in self.lanes.items():
            if op.address == tiles.address(key[0], 0, SHIM_DMA.status(Direction.MM2S, key[1])):
                lane.polled = True
                return
        raise AssertionError(f"poll of {op.address:#x}")

    def _write(self, op: txn.Write) -> None:
        push = SHIM_DMA.queue.decode([op.value])
        assert push["repeat_count"] == 0
        for key, lane in self.lanes.items():
            for direction in DIRECTIONS:
                if op.address == tiles.address(
                    key[0], 0, SHIM_DMA.queue_address(direction, key[1])
                ):
                    self._push(key, lane, direction, push)
                    return
        raise AssertionError(f"write to {op.address:#x}")

    def _push(self, key: tuple[int, int], lane: Lane, direction: Direction, push: dict) -> None:
        task, bd_id = [], push["start_bd_id"]
        while True:
            bd = self.bds[key[0], bd_id]
            assert bd_id not in lane.live, "BD in two tasks"
            lane.live.add(bd_id)
            task.append({"arg": bd["arg"], "offset": bd["offset"], "left": 4 * bd["buffer_length"]})
            assert bd["buffer_length"] > 0
            if not bd["use_next_bd"]:
                break
            bd_id = bd["next_bd"]
        assert len(lane.live) <= self.target.bds_per_lane
        self.pushes += 1
        if direction is Direction.S2MM:
            assert push["enable_token_issue"] == 1 and lane.controller_id == 15
            assert not lane.receives, "a batch has one receive task"
            lane.receives.append(task)
        else:
            assert push["enable_token_issue"] == 0
            lane.unawaited += 1
            if lane.unawaited > self.target.device.queue_depth:
                assert lane.polled, "push into a queue that may be full"
            self.most_unawaited = max(self.most_unawaited, lane.unawaited)
            lane.polled = False
            lane.sends.append(task)
        if self.eager:
            self._move(lane)

    def _tct(self, op: txn.Tct) -> None:
        assert (op.row, op.direction, op.columns, op.rows) == (0, Direction.S2MM, 1, 1)
        lane = self.lanes[op.column, op.channel]
        self._move(lane)
        assert lane.tokens == 1, "this wait would never end"
        assert not lane.sends and not lane.fifo, "something is left in the fifo"
        assert lane.moved % self.target.object_bytes == 0
        lane.tokens = lane.unawaited = lane.moved = 0
        lane.live.clear()
        self.waits += 1

    def _move(self, lane: Lane) -> None:
        while lane.sends:
            for bd in lane.sends.pop(0):
                span = slice(bd["offset"], bd["offset"] + bd["left"])
                data = self.buffers[bd["arg"]][span]
                assert len(data) == bd["left"], "read past the end of a buffer"
                self.reads.append((bd["arg"], bd["offset"], bd["left"]))
                lane.fifo += data.tobytes()
                lane.moved += bd["left"]
        ready = len(lane.fifo) - len(lane.fifo) % self.target.object_bytes
        while lane.receives and ready:
            bd = lane.receives[0][0]
            span = min(ready, bd["left"])
            into = self.buffers[bd["arg"]][bd["offset"] : bd["offset"] + span]
            assert len(into) == span, "write past the end of a buffer"
            into[:] = np.frombuffer(bytes(lane.fifo[:span]), np.uint8)
            self.writes.append((bd["arg"], bd["offset"], span))
            del lane.fifo[:span]
            ready -= span
            bd["offset"], bd["left"] = bd["offset"] + span, bd["left"] - span
            if bd["left"] == 0:
                lane.receives[0].pop(0)
            if not lane.receives[0]:
                lane.receives.pop(0)
                lane.tokens += 1


def drop_unwanted(
    words: np.ndarray, target: Target, matrix: Matrix, mask: np.ndarray
) -> np.ndarray:
    """What Phase 1 firmware makes of a stream: it drops ops and rewrites lengths and addresses.

    It looks ahead to the end of a batch, drops the BDs and pushes of unwanted rows, gives the
    receive BD the length of what is left and the next free place, and gives the pads the length
    that the batch then needs. A batch of nothing is dropped with its wait.
    """
    decoded = txn.decode(words)
    lanes = target.lanes
    shares = [int(mask[nth :: len(lanes)].sum()) * matrix.row_bytes for nth in range(len(lanes))]
    kept: list[tuple[int, txn.Op]] = []
    for nth, lane in enumerate(lanes):
        mine = [(at, op) for at, op in enumerate(decoded.ops) if _lane(op, target) == lane]
        kept += _filter_lane(mine, target, matrix, mask, sum(shares[:nth]))
    ops = tuple(op for _, op in sorted(kept, key=lambda numbered: numbered[0]))
    return np.frombuffer(txn.encode(replace(decoded, ops=ops)), np.uint32)


def _filter_lane(
    mine: list[tuple[int, txn.Op]], target: Target, matrix: Matrix, mask: np.ndarray, place: int
) -> list[tuple[int, txn.Op]]:
    """One lane's numbered ops without those of unwanted rows; its rows land from `place` on."""
    kept: list[tuple[int, txn.Op]] = []
    moved = 0
    for group in _batches(mine, target):
        if isinstance(group[0][1], txn.Tct):
            kept += group if moved else []
            continue
        left, moved = _keep_wanted(group, matrix, mask)
        if moved:
            fitted = _refit([op for _, op in left], target, matrix, moved, place)
            kept += [(at, op) for (at, _), op in zip(left, fitted, strict=True)]
            place += moved
    return kept


def _lane(op: txn.Op, target: Target) -> tuple[int, int]:
    """The lane that an op is for: that of its BD, or that of its channel's registers."""
    if isinstance(op, txn.Tct):
        return op.column, op.channel
    assert isinstance(op, txn.BlockWrite | txn.DdrPatch | txn.MaskWrite | txn.MaskPoll | txn.Write)
    column, _, offset = tiles.split(op.address)
    if isinstance(op, txn.BlockWrite | txn.DdrPatch):
        bd_id = (offset - SHIM_DMA.bd_base) // SHIM_DMA.bd_stride
        return column, bd_id // target.bds_per_lane
    for channel in range(target.channels):
        for way in DIRECTIONS:
            registers = (SHIM_DMA.ctrl, SHIM_DMA.queue_address, SHIM_DMA.status)
            if offset in [register(way, channel) for register in registers]:
                return column, channel
    raise AssertionError(f"no lane has {op}")


def _batches(ops: list[tuple[int, txn.Op]], target: Target) -> list[list[tuple[int, txn.Op]]]:
    """A lane's ops in groups: a wait alone, or a batch, which begins with the lane's lowest BD."""
    lowest = {
        tiles.address(column, 0, SHIM_DMA.bd_address(channel * target.bds_per_lane))
        for column, channel in target.lanes
    }
    groups: list[list[tuple[int, txn.Op]]] = []
    for at, op in ops:
        starts = isinstance(op, txn.BlockWrite) and op.address in lowest
        if starts or isinstance(op, txn.Tct):
            groups.append([])
        groups[-1].append((at, op))
    return groups


def _keep_wanted(
    batch: list[tuple[int, txn.Op]], matrix: Matrix, mask: np.ndarray
) -> tuple[list[tuple[int, txn.Op]], int]:
    """A batch without the BDs and pushes of unwanted rows, and the bytes that are left."""
    kept, moved, dropping = [], 0, False
    for (at, op), following in zip(batch, [*batch[1:], None], strict=True):
        if isinstance(op, txn.BlockWrite):
            assert following is not None
            patch = following[1]
            assert isinstance(patch, txn.DdrPatch)
            weights = patch.arg == matrix.arg
            dropping = weights and not mask[patch.arg_plus // matrix.row_bytes]
            moved += matrix.row_bytes if weights and not dropping else 0
        if not dropping:
            kept.append((at, op))
    return kept, moved


def _refit(
    ops: list[txn.Op], target: Target, matrix: Matrix, moved: int, place: int
) -> list[txn.Op]:
    """A batch whose receive and pad BDs suit the bytes that it still moves."""
    pad = -moved % target.object_bytes or target.object_bytes
    fitted = list(ops)
    for at, (block, patch) in enumerate(pairwise(ops)):
        if isinstance(patch, txn.DdrPatch) and patch.arg == matrix.output_arg:
            assert isinstance(block, txn.BlockWrite)
            scratch = patch.arg_plus >= matrix.nbytes
            nbytes, address = (pad, patch.arg_plus) if scratch else (moved, place)
            payload = (nbytes // 4, address, *block.payload[2:])
            fitted[at] = replace(block, payload=payload)
            fitted[at + 1] = replace(patch, arg_plus=address)
    return fitted
