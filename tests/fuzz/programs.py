# SPDX-License-Identifier: Apache-2.0
"""Made-up designs: roads through the array, BDs, locks and tasks, sensible but for a few words."""

from __future__ import annotations

from dataclasses import dataclass, field
from random import Random

from aie2 import txn
from aie2.control_packets import CONTROL_HEADER, PACKET_HEADER
from aie2.fields import Layout
from aie2.registers import (
    DMA,
    LOCKS,
    SHIM_DEMUX_ADDRESS,
    SHIM_MUX_ADDRESS,
    SWITCH_MASTER,
    SWITCH_SLAVE,
    SWITCH_SLOT,
    SWITCHES,
    Direction,
)
from aie2.switch_registers import Ports
from aie2.tiles import ROWS, TileKind, address, kind
from tests.fuzz.registers import fitting_word, one_in, some_address, some_push, some_word
from tests.fuzz.streams import some_op

FREE_BDS = range(16)
"""BDs that channels choose from; they may choose the same."""
HOPS = 6
"""Tiles that a road may cross."""
STEPS = {
    "north": (0, 1, "south"),
    "south": (0, -1, "north"),
    "east": (1, 0, "west"),
    "west": (-1, 0, "east"),
}
"""Where a master's words go on: column and row, and the slaves there that they come in by."""
SHIM_SENDERS, SHIM_RECEIVERS = (3, 7), (2, 3)
"""South ports of a shim that its mux and demux join to DMA channels 0 and 1."""


@dataclass
class Design:
    """Register writes and the stream after them."""

    columns: int
    writes: list[tuple[int, int]] = field(default_factory=list[tuple[int, int]])
    ops: list[txn.Op] = field(default_factory=list[txn.Op])


def _index(ports: Ports, bundle: str, number: int) -> int | None:
    for name, first, count in ports:
        if name == bundle and number < count:
            return first + number
    return None


def _word(layout: Layout, **values: int) -> int:
    return int(layout.encode(**values)[0])


class Maker:
    """Makes one design."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.design = Design(rng.choice((1, 1, 2, 3)))
        self.used: set[tuple[int, int, Direction, int]] = set()

    def make(self) -> Design:
        """Roads, what is sent on them, and now and then a word that makes no sense."""
        for column in range(self.design.columns):
            if self.rng.randrange(5):
                self._token_road(column)
        for _ in range(self.rng.randint(1, 5)):
            self._road()
        waits = [self._tasks(*place) for place in sorted(self.used)]
        self.rng.shuffle(waits)
        for wait in waits:
            self.design.ops += wait
        for _ in range(self.rng.choice((0, 0, 0, 1, 3))):
            where = some_address(self.rng, self.design.columns)
            self.design.writes.append((where, fitting_word(self.rng, where)))
        for _ in range(self.rng.choice((0, 0, 0, 1, 3))):
            at = self.rng.randrange(len(self.design.ops) + 1)
            self.design.ops.insert(at, some_op(self.rng, self.design.columns))
        return self.design

    def _write(self, column: int, row: int, offset: int, word: int) -> None:
        self.design.writes.append((address(column, row, offset), word))

    def _token_road(self, column: int) -> None:
        switch = SWITCHES[TileKind.SHIM]
        ctrl, south = _index(switch.slaves, "ctrl", 0), _index(switch.masters, "south", 0)
        self._slave(column, 0, ctrl or 0, packet=True)
        slot = _word(SWITCH_SLOT, enable=1, id=15, mask=self.rng.choice((0, 31)))
        self._write(column, 0, switch.slot_base + switch.slot_port_stride * (ctrl or 0), slot)
        self._master(column, 0, south or 0, 1 << 3, packet=True)

    def _slave(self, column: int, row: int, index: int, *, packet: bool) -> None:
        word = _word(SWITCH_SLAVE, enable=1, packet_enable=int(packet))
        switch = SWITCHES[kind(row)]
        self._write(column, row, switch.slave_base + switch.port_stride * index, word)

    def _master(self, column: int, row: int, index: int, config: int, *, packet: bool) -> None:
        drop = int(packet and self.rng.randrange(2))
        word = _word(
            SWITCH_MASTER, enable=1, packet_enable=int(packet), drop_header=drop, config=config
        )
        switch = SWITCHES[kind(row)]
        self._write(column, row, switch.master_base + switch.port_stride * index, word)

    def _road(self) -> None:
        rng = self.rng
        column, row = rng.randrange(self.design.columns), rng.choice((0, 0, 1, 1, 2, 3))
        channel = rng.randrange(DMA[kind(row)].channels(Direction.MM2S))
        self.used.add((column, row, Direction.MM2S, channel))
        bundle, number = "dma", channel
        if row == 0:
            bundle, number = "south", SHIM_SENDERS[channel]
            self._write(column, 0, SHIM_MUX_ADDRESS, 0x4400)
        packet = one_in(rng, 3)
        self._walk(column, row, bundle, number, HOPS, rng.randrange(32) if packet else None)

    def _walk(
        self, column: int, row: int, bundle: str, number: int, hops: int, packet: int | None
    ) -> None:
        """From a slave on: a master of the tile or, for a broadcast, two."""
        rng, switch = self.rng, SWITCHES[kind(row)]
        slave = _index(switch.slaves, bundle, number)
        if slave is None or not hops:
            return
        self._slave(column, row, slave, packet=packet is not None)
        config = slave
        if packet is not None:
            arbiter, msel = rng.randrange(6), rng.randrange(4)
            mask = rng.choice((31, 31, 0, rng.randrange(32)))
            slot = _word(SWITCH_SLOT, enable=1, id=packet, mask=mask, arbiter=arbiter, msel=msel)
            at = switch.slot_base + switch.slot_port_stride * slave + 4 * rng.randrange(4)
            self._write(column, row, at, slot)
            config = arbiter | 1 << 3 + msel
        for _ in range(1 if rng.randrange(4) else 2):
            self._leave(column, row, config, hops, packet)

    def _leave(self, column: int, row: int, config: int, hops: int, packet: int | None) -> None:
        """By a master: to a DMA, to a tile beside, now and then to where nothing is."""
        rng = self.rng
        name, first, count = rng.choice(self._ways_out(column, row))
        number = rng.randrange(count)
        if row == 0 and name == "south" and rng.randrange(10):
            number = rng.choice(SHIM_RECEIVERS)
            self._write(column, 0, SHIM_DEMUX_ADDRESS, 0x50)
            self.used.add((column, 0, Direction.S2MM, SHIM_RECEIVERS.index(number)))
        self._master(column, row, first + number, config, packet=packet is not None)
        if name == "dma":
            self.used.add((column, row, Direction.S2MM, number))
        elif name in STEPS:
            right, up, entry = STEPS[name]
            if self._inside(column, row, name):
                self._walk(column + right, row + up, entry, number, hops - 1, packet)

    def _ways_out(self, column: int, row: int) -> list[tuple[str, int, int]]:
        """Masters that lead somewhere, likelier ones more than once; rarely all."""
        masters = list(SWITCHES[kind(row)].masters)
        if one_in(self.rng, 20):
            return masters
        likely = {"dma": 4, "north": 1, "south": 1, "east": 1, "west": 1}
        if one_in(self.rng, 8):
            likely["ctrl"] = 4
        if row == 0:
            likely["south"] = 3
        return [
            port
            for port in masters
            for _ in range(likely.get(port[0], 0))
            if self._leads_on(column, row, port[0])
        ]

    def _leads_on(self, column: int, row: int, bundle: str) -> bool:
        to_dma = bundle not in STEPS or (row == 0 and bundle == "south")
        return to_dma or self._inside(column, row, bundle)

    def _inside(self, column: int, row: int, way: str) -> bool:
        right, up, _ = STEPS[way]
        return column + right in range(self.design.columns) and row + up in ROWS

    def _tasks(self, column: int, row: int, direction: Direction, channel: int) -> list[txn.Op]:
        """Start a channel's tasks, by the configuration or by ops; returns waits for tokens."""
        rng, dma = self.rng, DMA[kind(row)]
        for _ in range(rng.randrange(3)):
            lock = LOCKS[kind(row)]
            at = lock.base + lock.stride * rng.randrange(8)
            self._write(column, row, at, rng.choice((0, 1, 1, 2, 63)))
        bds = [self.rng.choice(FREE_BDS) for _ in range(rng.choice((1, 1, 2, 3)))]
        if row == 1 and channel % 2:
            bds = [24 + bd for bd in bds]
        by_ops = row == 0 or one_in(rng, 3)
        waits: list[txn.Op] = []
        control = address(column, row, dma.ctrl(direction, channel))
        word = (
            _word(dma.control, controller_id=15, fot_mode=0) if rng.randrange(6) else some_word(rng)
        )
        self._put(by_ops, control, word)
        for bd, following in zip(bds, [*bds[1:], bds[0]], strict=True):
            self._bd(by_ops, column, row, bd, following, chained=len(bds) > 1)
        for _ in range(rng.choice((1, 1, 1, 2, 6))):
            push = some_push(rng, dma.queue) & ~0x3F | rng.choice((bds[0], *bds))
            self._put(by_ops, address(column, row, dma.queue_address(direction, channel)), push)
            if push >> 31 and rng.randrange(4):
                waits.append(txn.Tct(column, row, direction, channel))
        return waits

    def _put(self, by_ops: bool, where: int, word: int) -> None:
        if by_ops:
            self.design.ops.append(txn.Write(where, word))
        else:
            self.design.writes.append((where, word))

    def _bd(
        self, by_ops: bool, column: int, row: int, bd: int, following: int, *, chained: bool
    ) -> None:
        rng, layout = self.rng, DMA[kind(row)].bd
        values = {"buffer_length": rng.choice((1, 4, 16, 64, 256)), "valid_bd": 1}
        if row:
            values["base_address"] = rng.randrange(0x400) + (0x20000 if row == 1 else 0)
        if chained or one_in(rng, 8):
            values |= {"use_next_bd": rng.randrange(4) > 0, "next_bd": following}
        if one_in(rng, 6):
            own = 64 if row == 1 else 0
            values |= {"lock_acq_enable": 1, "lock_acq_id": own + rng.randrange(4)}
            values |= {"lock_acq_value": rng.choice((-1, -1, -2, 0, 1))}
            values |= {
                "lock_rel_id": own + rng.randrange(4),
                "lock_rel_value": rng.choice((1, 1, 2, -1)),
            }
        if one_in(rng, 3):
            values |= {"d0_wrap": rng.choice((1, 2, 4)), "d0_stepsize": rng.choice((0, 1, 3))}
            values |= {"d1_wrap": rng.choice((0, 2, 4)), "d1_stepsize": rng.choice((0, 7, 15))}
        if one_in(rng, 6):
            values |= {"enable_packet": 1, "packet_id": rng.randrange(32)}
        if one_in(rng, 6):
            values |= {"iteration_wrap": rng.randrange(4), "iteration_stepsize": rng.randrange(64)}
        for _ in range(rng.choice((0, 0, 0, 0, 0, 0, 1, 2))):
            entry = rng.choice(layout.fields)
            values[entry.name] = rng.choice(
                (entry.min, entry.max, rng.randint(entry.min, entry.max))
            )
        words = [int(word) for word in layout.encode(**values)]
        where = address(column, row, DMA[kind(row)].bd_address(bd))
        if by_ops:
            self.design.ops.append(txn.BlockWrite(where, tuple(words)))
            if row == 0 and rng.randrange(12):
                offset = 4 * rng.randrange(2048)
                self.design.ops.append(txn.DdrPatch(where + 4, rng.randrange(3), offset))
        else:
            self.design.writes += [(where + 4 * place, word) for place, word in enumerate(words)]


def control_words(rng: Random, count: int, columns: int) -> list[int]:
    """Packets for control ports, one after the other, most of them well-formed."""
    words: list[int] = []
    while len(words) < count:
        if rng.randrange(2):
            words.append(_odd(_word(PACKET_HEADER, packet_id=rng.randrange(32))))
        beats = rng.randrange(4)
        offset = some_address(rng, columns) & 0xFFFFF
        head = _word(
            CONTROL_HEADER, operation=rng.randrange(4), beats=beats, address=offset, answer_id=1
        )
        words.append(_odd(head))
        words += [fitting_word(rng, offset) for _ in range(beats + 1)]
    return words[:count]


def _odd(word: int) -> int:
    return word | (1 - word.bit_count() % 2) << 31
