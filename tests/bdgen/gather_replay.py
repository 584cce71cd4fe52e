# SPDX-License-Identifier: Apache-2.0
"""A tiny NPU for the streams of `bdgen.planner`: plays them on byte arrays and watches their rules.

Only the register tables are shared with bdgen. Registers are words that block writes, writes and
patches change one by one; a BD is decoded when it is loaded, so what a stream does not rewrite is
what was there before. A fifo passes whole objects only. Data moves as soon as it can (`eager`) or
not before a token is awaited.
"""

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from aie2 import tiles, txn
from aie2.registers import CHANNEL_CTRL, SHIM_BD, SHIM_DMA, SHIM_QUEUE, Direction
from bdgen.target import Target

S2MM, MM2S = Direction.S2MM, Direction.MM2S
CONTROLLER_ID = 15
"""What mlir-aie gives every shim."""

WORD = 4
WINDOW = 1 << 36
"""Patched buffers lie at multiples of this device address, so that none runs into another."""

UNUSED = {known.name for known in SHIM_BD.fields} - {
    *("buffer_length", "base_address_low", "base_address_high", "burst_length", "axcache"),
    *("d0_wrap", "d0_stepsize", "d1_wrap", "d1_stepsize", "d2_stepsize"),
    *("iteration_current", "iteration_wrap", "iteration_stepsize"),
    *("next_bd", "use_next_bd", "valid_bd"),
}
"""Fields of a BD that a gather has no use for: a value there has run over from another field."""


@dataclass
class Task:
    """A chain in a queue: its BDs, how often it runs, whether a token is due."""

    bds: list[int]
    times: int
    token: bool
    moved: bool = False


@dataclass
class Way:
    """One direction of a lane: tasks pushed and not known to be over."""

    tasks: deque[Task] = field(default_factory=deque)
    controller_id: int | None = None
    most_tasks: int = 0


@dataclass
class Lane:
    """One column and channel: its directions, its fifo, and where the receive task stands.

    `room` has the buffer and the word places of each receive BD, as far as nothing has come yet.
    """

    column: int
    ways: dict[Direction, Way] = field(default_factory=lambda: {S2MM: Way(), MM2S: Way()})
    fifo: bytearray = field(default_factory=bytearray)
    room: deque[tuple[np.ndarray, np.ndarray]] = field(default_factory=deque)


class GatherReplay:
    """Runs one stream. `buffers` has a byte array for each host buffer that may be reached.

    `addresses` are their device addresses, if the stream states any: there the buffers lie, and
    nothing is patched; else they lie where patches say. `reads[arg]` counts the reads of each word.
    """

    def __init__(
        self,
        target: Target,
        buffers: dict[int, np.ndarray],
        addresses: dict[int, int] | None = None,
        *,
        eager: bool = False,
    ) -> None:
        self.target, self.buffers, self.eager = target, buffers, eager
        self.patched = addresses is None
        self.bases = addresses or {arg: (arg + 1) * WINDOW for arg in buffers}
        self.registers: dict[tuple[int, int], list[int]] = {}
        self.live: dict[int, set[int]] = {column: set() for column in range(target.columns)}
        self.lanes = {lane: Lane(lane[0]) for lane in target.lanes}
        self.queues: dict[int, tuple[Lane, Direction]] = {}
        self.controls: dict[int, Way] = {}
        for (column, channel), lane in self.lanes.items():
            for way, state in lane.ways.items():
                control = SHIM_DMA.ctrl(way, channel)
                self.controls[tiles.address(column, 0, control)] = state
                queue = SHIM_DMA.queue_address(way, channel)
                self.queues[tiles.address(column, 0, queue)] = lane, way
        self.reads = {arg: np.zeros(len(held) // WORD, np.int64) for arg, held in buffers.items()}
        self.pushed: list[Task] = []
        self.ops: tuple[txn.Op, ...] = ()
        self.tails_written = self.patches = self.tokens = 0

    def run(self, words: np.ndarray) -> "GatherReplay":
        """Execute a stream; it must leave nothing queued, under way or unawaited."""
        program = txn.decode(words)
        device = self.target.device
        assert program.header == txn.Header(
            0, 1, device.generation, device.rows, self.target.header_columns, device.memtile_rows
        )
        self.ops = program.ops
        for op in self.ops:
            getattr(self, f"_{type(op).__name__.lower()}")(op)
        for lane in self.lanes.values():
            assert not lane.fifo, "bytes are left in a fifo"
            assert not lane.room, "a receive BD is not full"
            assert not lane.ways[S2MM].tasks, "a receive task is not known to be over"
            assert all(task.moved and not task.token for task in lane.ways[MM2S].tasks)
        return self

    def check_counts(self, counts: tuple[int, ...]) -> None:
        """Hold counts of words, ops, BDs, patches, pushes and tokens against the stream."""
        size = txn.HEADER_WORDS + sum(len(op.to_words()) for op in self.ops)
        bds = sum(len(task.bds) for task in self.pushed)
        assert self.tails_written == bds, "a BD was written that no task uses"
        found = (size, len(self.ops), bds, self.patches, len(self.pushed), self.tokens)
        assert tuple(counts) == found

    @property
    def most_unawaited(self) -> int:
        """The most send tasks of a lane that were not known to be over."""
        return max(lane.ways[MM2S].most_tasks for lane in self.lanes.values())

    def _blockwrite(self, op: txn.BlockWrite) -> None:
        assert op.payload
        for nth, value in enumerate(op.payload):
            self._write_bd(op.address + nth * WORD, value)

    def _write(self, op: txn.Write) -> None:
        if op.address in self.queues:
            self._push(*self.queues[op.address], SHIM_QUEUE.decode([op.value]))
        else:
            self._write_bd(op.address, op.value)

    def _ddrpatch(self, op: txn.DdrPatch) -> None:
        """Put a buffer's address into words 1 and 2, and leave the upper half of word 2."""
        assert self.patched, "a stream of device addresses has nothing to patch"
        assert not any(op.reserved)
        column, bd, word = self._bd_place(op.address)
        assert word == 1
        address = self.bases[op.arg] + op.arg_plus
        upper = self.registers[column, bd][2] >> 16 << 16
        self._write_bd(op.address, address & 0xFFFFFFFF)
        self._write_bd(op.address + WORD, upper | address >> 32)
        self.patches += 1

    def _maskwrite(self, op: txn.MaskWrite) -> None:
        assert op.mask == 0x1F00
        controller_id = CHANNEL_CTRL.decode([op.value])["controller_id"]
        self.controls[op.address].controller_id = controller_id

    def _tct(self, op: txn.Tct) -> None:
        """Take a token of the channel from each column: its task, and those before it, are over."""
        assert (op.row, op.rows) == (0, 1)
        assert op.columns >= 1
        for column in range(op.column, op.column + op.columns):
            lane = self.lanes[column, op.channel]
            tasks = lane.ways[op.direction].tasks
            assert any(task.token for task in tasks), "this token never comes"
            self._move(lane, everything=op.direction is S2MM)
            over = [tasks.popleft()]
            while not over[-1].token:
                over.append(tasks.popleft())
            assert all(task.moved for task in over), "this token never comes: data is missing"
            self.live[column].difference_update(bd for task in over for bd in task.bds)
            self.tokens += 1

    def _bd_place(self, address: int) -> tuple[int, int, int]:
        """(column, BD, word) of a BD register."""
        column, row, offset = tiles.split(address)
        bd, place = divmod(offset - SHIM_DMA.bd_base, SHIM_DMA.bd_stride)
        assert row == 0
        assert 0 <= column < self.target.columns
        assert 0 <= bd < self.target.device.shim_bds
        assert place % WORD == 0
        return column, bd, place // WORD

    def _write_bd(self, address: int, value: int) -> None:
        """Change a word of a BD that no task may still use."""
        column, bd, word = self._bd_place(address)
        assert bd not in self.live[column], "BD written while in use"
        self.registers.setdefault((column, bd), [0] * SHIM_BD.words)[word] = value
        self.tails_written += word == SHIM_BD.words - 1

    def _push(self, lane: Lane, way: Direction, push: dict[str, int]) -> None:
        state, live = lane.ways[way], self.live[lane.column]
        bds = self._chain(lane.column, push["start_bd_id"])
        task = Task(bds, push["repeat_count"] + 1, push["enable_token_issue"] == 1)
        assert not live.intersection(bds), "BD in two tasks"
        assert not task.token or state.controller_id == CONTROLLER_ID
        live.update(bds)
        state.tasks.append(task)
        self.pushed.append(task)
        state.most_tasks = max(state.most_tasks, len(state.tasks))
        assert len(state.tasks) <= self.target.device.queue_depth, "push into a full queue"
        if way is S2MM:
            assert task.token, "nobody would know that all has landed"
            assert (task.times, len(state.tasks)) == (1, 1), "a lane receives in one task"
        if self.eager:
            self._move(lane, everything=True)

    def _chain(self, column: int, bd: int) -> list[int]:
        """The BDs from `bd` on, as they are linked."""
        bds = [bd]
        while (fields := SHIM_BD.decode(self.registers[column, bds[-1]]))["use_next_bd"]:
            assert fields["next_bd"] not in bds, "a chain without an end"
            bds.append(fields["next_bd"])
        assert fields["next_bd"] == 0
        return bds

    def _move(self, lane: Lane, *, everything: bool) -> None:
        """Run a lane's sends, up to the next token if not `everything`, and pass objects on."""
        for task in lane.ways[MM2S].tasks:
            if not task.moved:
                for _ in range(task.times):
                    for bd in task.bds:
                        arg, places = self._load(lane.column, bd)
                        np.add.at(self.reads[arg], places, 1)
                        lane.fifo += self.buffers[arg].view(np.uint32)[places].tobytes()
                task.moved = True
            if task.token and not everything:
                break
        self._receive(lane)

    def _receive(self, lane: Lane) -> None:
        """Pass whole objects on to the receive task, if there is one."""
        for task in lane.ways[S2MM].tasks:
            if not lane.room and not task.moved:
                loaded = [self._load(lane.column, bd) for bd in task.bds]
                lane.room.extend((self.buffers[arg], places) for arg, places in loaded)
            ready = len(lane.fifo) // self.target.object_bytes * self.target.object_bytes
            while ready and lane.room:
                buffer, places = lane.room.popleft()
                count = min(ready // WORD, len(places))
                data = np.frombuffer(bytes(lane.fifo[: count * WORD]), np.uint32)
                buffer.view(np.uint32)[places[:count]] = data
                if count < len(places):
                    lane.room.appendleft((buffer, places[count:]))
                del lane.fifo[: count * WORD]
                ready -= count * WORD
            assert not ready, "more comes than is received"
            task.moved = not lane.room

    def _load(self, column: int, bd: int) -> tuple[int, np.ndarray]:
        """Load a BD: the buffer that it reaches and the places of its words, in order.

        Its iteration counts on, and stays so until word 6 is written again.
        """
        fields = SHIM_BD.decode(self.registers[column, bd])
        assert fields["valid_bd"] == 1
        assert fields["axcache"] == 2
        assert fields["burst_length"] == self.target.device.burst_code
        assert not any(fields[name] for name in UNUSED)
        length, wrap = fields["buffer_length"], fields["iteration_wrap"]
        assert length > 0, "an empty BD halts its channel"
        current = fields["iteration_current"]
        assert current <= wrap
        nth = np.arange(length)
        places = np.full(length, current * (fields["iteration_stepsize"] + 1))
        for dimension in ("d0", "d1"):
            if not fields[f"{dimension}_wrap"]:
                break
            nth, at = np.divmod(nth, fields[f"{dimension}_wrap"])
            places += at * (fields[f"{dimension}_stepsize"] + 1)
        else:
            dimension = "d2"
        places += nth * (fields[f"{dimension}_stepsize"] + 1)
        word = SHIM_BD.field("iteration_current").word
        self.registers[column, bd][word] += self._counted_on(current, wrap)
        address = fields["base_address_low"] * WORD + (fields["base_address_high"] << 32)
        return self._resolve(address, places)

    @staticmethod
    def _counted_on(current: int, wrap: int) -> int:
        """What a load adds to the iteration's word."""
        following = current + 1 if current < wrap else 0
        return (following - current) << SHIM_BD.field("iteration_current").shift

    def _resolve(self, address: int, places: np.ndarray) -> tuple[int, np.ndarray]:
        """The buffer at a device address, and word places in it."""
        for arg, base in self.bases.items():
            if base <= address < base + len(self.buffers[arg]):
                moved = places + (address - base) // WORD
                assert moved.max() < len(self.buffers[arg]) // WORD, "beyond the end of a buffer"
                return arg, moved
        raise AssertionError(f"no buffer lies at {address:#x}")
