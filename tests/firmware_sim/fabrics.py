# SPDX-License-Identifier: Apache-2.0
"""Small made-up designs for the simulator's tests: a configuration and a stream, written by hand.

A `Design` collects register writes (memory, locks, BDs, tasks, routes) and the ops of a stream;
`configuration()` and `stream()` give what `firmware_sim.simulate` takes. Lengths and steps are in
32-bit words, places in memory in bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from routing import ALL, Port, Router, Tile, Write, control, controller

from aie2 import txn
from aie2.devices import NPU1, Device
from aie2.fields import WORD_BYTES
from aie2.registers import CHANNEL_CTRL, DMA, LOCKS, Direction
from aie2.tiles import MEMTILE_OWN_LOCK, OWN_MEMORY_OFFSET, TileKind, address, kind
from bdgen.target import TRANSLATED_ARGS
from firmware_sim import Configuration

S2MM, MM2S = Direction.S2MM, Direction.MM2S
FULL_ACCESS = 2
"""axcache of a shim BD, as compilers set it."""
DDR_ALIAS = 0x80000000
"""What compilers add to the offset in a host buffer that firmware does not translate."""
TOKEN_IDS = (15, 26, 27, 29, 30, 31)
"""Packet ids that mlir-aie gives to the tokens of each row."""


@dataclass(frozen=True)
class Bd:
    """A BD in the words of an engineer; `fields` says what its registers hold."""

    words: int
    """Stream words, padding included."""
    at: int = 0
    """First byte: in the memory of `owner`, or in the host buffer `arg`."""
    arg: int = 0
    """Host buffer of a shim BD."""
    dims: Sequence[tuple[int, int]] = ()
    """(size, step) per dimension, outermost first; the outermost size may be 0: no end."""
    pad: Sequence[tuple[int, int]] = ()
    """(before, after) per dimension, outermost first."""
    times: tuple[int, int, int] | None = None
    """Iteration: how often, words from one to the next, and where it stands."""
    packet: tuple[int, int] | None = None
    """(id, type) of a header that is sent first."""
    take: tuple[int, int] | None = None
    """Lock to acquire, and the register's value: negative is at least, else exactly."""
    give: tuple[int, int] | None = None
    """Lock to release, and by what."""
    then: int | None = None
    """Following BD."""
    owner: Tile | None = None
    """Memtile whose memory and locks are meant, if it is a neighbour."""
    raw: Mapping[str, int] = field(default_factory=dict)
    """Further fields, as the registers have them."""

    def fields(self, tile: Tile) -> dict[str, int]:
        """Register fields of this BD on a tile; a shim's address comes with a patch."""
        own = kind(tile[1])
        side = (self.owner or tile)[0] - tile[0] + 1
        place = self.at + OWN_MEMORY_OFFSET * side if own is TileKind.MEMTILE else self.at
        locks = MEMTILE_OWN_LOCK * side if own is TileKind.MEMTILE else 0
        found = {"buffer_length": self.words, "valid_bd": 1}
        if own is TileKind.SHIM:
            found["axcache"] = FULL_ACCESS
        else:
            found["base_address"] = place // WORD_BYTES
        return found | self._addressing(own) | self._locks(locks) | self._rest() | dict(self.raw)

    def _addressing(self, own: TileKind) -> dict[str, int]:
        found: dict[str, int] = {}
        known = {entry.name for entry in DMA[own].bd.fields}
        for place, (size, step) in enumerate(reversed(self.dims)):
            found[f"d{place}_stepsize"] = max(step, 1) - 1
            if f"d{place}_wrap" in known:
                found[f"d{place}_wrap"] = size
        for place, (before, after) in enumerate(reversed(self.pad)):
            found |= {f"d{place}_zero_before": before, f"d{place}_zero_after": after}
        if self.times:
            count, step, now = self.times
            found |= {"iteration_wrap": count - 1, "iteration_stepsize": step - 1}
            found["iteration_current"] = now
        return found

    def _locks(self, first: int) -> dict[str, int]:
        found: dict[str, int] = {}
        if self.take:
            found = {"lock_acq_enable": 1, "lock_acq_id": first + self.take[0]}
            found["lock_acq_value"] = self.take[1]
        if self.give:
            found |= {"lock_rel_id": first + self.give[0], "lock_rel_value": self.give[1]}
        return found

    def _rest(self) -> dict[str, int]:
        found: dict[str, int] = {}
        if self.packet:
            found = {"enable_packet": 1, "packet_id": self.packet[0], "packet_type": self.packet[1]}
        if self.then is not None:
            found |= {"use_next_bd": 1, "next_bd": self.then}
        return found


class Design:
    """A design in the making, and the stream that runs it."""

    def __init__(self, columns: int = 1, device: Device = NPU1) -> None:
        self.columns, self.device = columns, device
        self.routes = Router(columns)
        self.writes: list[Write] = []
        self.starts: list[Write] = []
        """Task pushes; they come after everything else."""
        self.ops: list[txn.Op] = []
        self.next_bds: dict[tuple[Tile, int], int] = {}
        self.next_bytes: dict[Tile, int] = {}

    def register(self, tile: Tile, offset: int, value: int, mask: int = ALL) -> None:
        """Write one register."""
        self.writes.append((address(*tile, offset), value & ALL, mask))

    def lock(self, tile: Tile, number: int, value: int) -> None:
        """Give a lock its first value."""
        locks = LOCKS[kind(tile[1])]
        self.register(tile, locks.base + locks.stride * number, value)

    def buffer(self, tile: Tile, words: int, values: Iterable[int] = ()) -> int:
        """Room in a tile's memory, perhaps with values; returns its first byte."""
        at = self.next_bytes.get(tile, 0)
        self.next_bytes[tile] = at + WORD_BYTES * words
        for place, value in enumerate(values):
            self.register(tile, at + WORD_BYTES * place, int(value))
        return at

    def bd(self, tile: Tile, number: int, bd: Bd) -> None:
        """Write a BD."""
        words = DMA[kind(tile[1])].bd.encode(**bd.fields(tile))
        first = DMA[kind(tile[1])].bd_address(number)
        for place, word in enumerate(words):
            self.register(tile, first + WORD_BYTES * place, int(word))

    def free_bd(self, tile: Tile, channel: int) -> int:
        """A BD that is not used yet and that the channel can run."""
        half = channel % 2 if kind(tile[1]) is TileKind.MEMTILE else 0
        number = self.next_bds.get((tile, half), 24 * half)
        self.next_bds[tile, half] = number + 1
        return number

    def program(
        self,
        tile: Tile,
        direction: Direction,
        channel: int,
        bds: Sequence[Bd],
        *,
        loop: bool = True,
        repeat: int = 0,
        token: bool = False,
    ) -> list[int]:
        """Chain BDs, in a ring or not, and start them; returns their numbers."""
        numbers = [self.free_bd(tile, channel) for _ in bds]
        for place, (number, bd) in enumerate(zip(numbers, bds, strict=True)):
            last = place == len(bds) - 1
            then = numbers[0] if last and loop else None if last else numbers[place + 1]
            self.bd(tile, number, bd if bd.then is not None else replace(bd, then=then))
        queue = DMA[kind(tile[1])]
        word = task(tile, numbers[0], repeat, token)
        self.starts.append((address(*tile, queue.queue_address(direction, channel)), word, ALL))
        return numbers

    def relay(
        self,
        tile: Tile,
        taking: int,
        sending: int,
        words: int,
        *,
        depth: int = 2,
        locks: tuple[int, int] = (0, 1),
        take: Sequence[Bd] = (),
        send: Sequence[Bd] = (),
        owner: Tile | None = None,
    ) -> list[int]:
        """Pass objects of `words` words on through `depth` buffers, paced by two locks.

        `take` and `send`: the BDs of one object, if not one each; `at` counts within the object.
        """
        place = owner or tile
        free, full = locks
        self.lock(place, free, depth)
        self.lock(place, full, 0)
        at = [self.buffer(place, words) for _ in range(depth)]
        plain = (Bd(words),)
        for direction, channel, bds, wanted, given in (
            (S2MM, taking, take or plain, free, full),
            (MM2S, sending, send or plain, full, free),
        ):
            ring = [
                _part(bd, base, owner, wanted if n == 0 else None, given if last else None)
                for base in at
                for n, bd in enumerate(bds)
                for last in (n == len(bds) - 1,)
            ]
            self.program(tile, direction, channel, ring)
        return at

    def tokens(self, tile: Tile, packet_id: int | None = None) -> None:
        """Lead a tile's tokens to the controller."""
        number = TOKEN_IDS[tile[1]] if packet_id is None else packet_id
        self.routes.packets(number, control(tile), controller(tile[0]), keep=True)

    def configuration(self) -> Configuration:
        """All register writes: tasks are pushed last."""
        every = [*self.writes, *self.routes.writes(), *self.starts]
        addresses, values, masks = np.array(every, np.uint32).T.copy()
        return Configuration(self.columns, addresses, values, masks)

    def write(self, tile: Tile, offset: int, value: int) -> None:
        """Write a register from the stream."""
        self.ops.append(txn.Write(address(*tile, offset), value & ALL))

    def write_bd(self, tile: Tile, number: int, bd: Bd) -> None:
        """Write a BD from the stream; a shim's also gets the address of its host buffer."""
        where = DMA[kind(tile[1])]
        first = address(*tile, where.bd_address(number))
        payload = where.bd.encode(**bd.fields(tile)).tolist()
        self.ops.append(txn.BlockWrite(first, tuple(payload)))
        if kind(tile[1]) is TileKind.SHIM:
            fold = DDR_ALIAS if bd.arg >= TRANSLATED_ARGS else 0
            self.ops.append(txn.DdrPatch(first + WORD_BYTES, bd.arg, bd.at + fold))

    def push(
        self, port: Port, direction: Direction, number: int, repeat: int = 0, token: bool = False
    ) -> None:
        """Push a task to the channel behind a "dma" port; a token gets its row's packet id."""
        tile, _, channel = port
        where = DMA[kind(tile[1])]
        if token:
            identity = CHANNEL_CTRL.field("controller_id")
            mask = 0x1F << identity.shift
            place = address(*tile, where.ctrl(direction, channel))
            self.ops.append(txn.MaskWrite(place, TOKEN_IDS[tile[1]] << identity.shift, mask))
        offset = where.queue_address(direction, channel)
        self.write(tile, offset, task(tile, number, repeat, token))

    def run(
        self, port: Port, direction: Direction, *bds: Bd, repeat: int = 0, token: bool = False
    ) -> int:
        """Write a chain of BDs from the stream and push it; returns the first one's number."""
        numbers = [self.free_bd(port[0], port[2]) for _ in bds]
        for number, then, bd in zip(numbers, [*numbers[1:], None], bds, strict=True):
            self.write_bd(port[0], number, bd if then is None else replace(bd, then=then))
        self.push(port, direction, numbers[0], repeat, token)
        return numbers[0]

    def wait(self, port: Port, direction: Direction = S2MM, columns: int = 1) -> None:
        """Wait for a token of the channel behind a "dma" port."""
        (column, row), _, channel = port
        self.ops.append(txn.Tct(column, row, direction, channel, columns))

    def stream(self) -> bytes:
        """The ops so far, as a TXN stream."""
        npu = self.device
        header = txn.Header(0, 1, npu.generation, npu.rows, self.columns, npu.memtile_rows)
        return txn.encode(txn.Program(header, tuple(self.ops)))


def _part(bd: Bd, base: int, owner: Tile | None, take: int | None, give: int | None) -> Bd:
    """A BD of one object that lies at `base`: the first takes the lock, the last gives one."""
    return replace(
        bd,
        at=base + bd.at,
        owner=owner,
        take=bd.take or (None if take is None else (take, -1)),
        give=bd.give or (None if give is None else (give, 1)),
    )


def task(tile: Tile, number: int, repeat: int = 0, token: bool = False) -> int:
    """Queue word of a task; `repeat`: how often its chain comes again."""
    queue = DMA[kind(tile[1])].queue
    fields = {"start_bd_id": number, "repeat_count": repeat, "enable_token_issue": int(token)}
    return int(queue.encode(**fields)[0])


def counting(words: int, start: int = 1) -> NDArray[np.uint32]:
    """Words that count up, so that each one says where it came from."""
    return np.arange(start, start + words, dtype=np.uint32)
