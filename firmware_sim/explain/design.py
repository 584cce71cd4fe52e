# SPDX-License-Identifier: Apache-2.0
"""What a configuration's registers make of the array: tiles, tasks, locks, buffers, routes."""

from __future__ import annotations

from collections.abc import Iterable

from aie2.fields import WORD_BYTES
from aie2.registers import CHANNEL_CTRL, MEMTILE_CHANNEL_CTRL, Direction
from aie2.tiles import TileKind, kind
from firmware_sim.array import routes as routing
from firmware_sim.array.bd_registers import QUEUE_BD_MASKS, QUEUE_REPEAT, QUEUE_TOKEN
from firmware_sim.array.fabric import CONTROLLER, Port
from firmware_sim.array.fabric import End as FabricEnd
from firmware_sim.array.state import (
    ARBITERS,
    CHANNELS,
    CONTROL_OUT,
    NONE,
    ROWS,
    TILE_CHANNELS,
    channel_name,
    channel_of,
    tile_name,
)
from firmware_sim.check.paths import Paths
from firmware_sim.check.registers import Registers
from firmware_sim.explain.bds import read_bd
from firmware_sim.explain.facts import Bd, Buffer, Channel, End, Lock, Route, Task, Tile

MODES = (
    ("fot_mode", "finishes on TLAST"),
    ("enable_out_of_order", "takes packets out of order"),
    ("enable_compression", "compresses or decompresses"),
    ("pause_stream", "stream side paused"),
    ("pause_mem", "memory side paused"),
)
"""Bits of a channel's control that change what it does."""


def chain_of(registers: Registers, tile: int, start: int) -> tuple[tuple[int, ...], int | None]:
    """BDs that a task comes by, and the one with which an endless chain goes on."""
    chain: list[int] = []
    number: int | None = start
    while number is not None and number not in chain:
        chain.append(number)
        words = registers.bds.get((tile, number))
        number = None if words is None else read_bd(tile, number, words, registers.columns).next
    return tuple(chain), number


def _tasks(registers: Registers) -> dict[int, list[Task]]:
    """Tasks that the configuration starts, by channel."""
    found: dict[int, list[Task]] = {}
    for channel, word in registers.pushes:
        tile = channel // TILE_CHANNELS
        start = word & int(QUEUE_BD_MASKS[min(tile % ROWS, 2)])
        chain, loops_to = chain_of(registers, tile, start)
        bds = tuple(_bds(registers, tile, chain))
        times = (word >> QUEUE_REPEAT.shift & QUEUE_REPEAT.mask) + 1
        token = bool(word >> QUEUE_TOKEN.shift & 1)
        found.setdefault(channel, []).append(Task(chain, loops_to, times, token, bds))
    return found


def _bds(registers: Registers, tile: int, numbers: Iterable[int]) -> list[Bd]:
    written = [number for number in numbers if (tile, number) in registers.bds]
    return [read_bd(tile, n, registers.bds[tile, n], registers.columns) for n in written]


def tiles(registers: Registers, routes: Paths) -> tuple[Tile, ...]:
    """Tiles that have tasks, BDs, locks or code, or a channel that some route uses."""
    tasks = _tasks(registers)
    channels = set(tasks) | {route.source for route in routes.routes if route.source < CHANNELS}
    channels |= {sink for sink in routes.fed if sink < CHANNELS}
    channels = {number for number in channels if number // TILE_CHANNELS < registers.columns * ROWS}
    used = {number // TILE_CHANNELS for number in channels}
    used |= {tile for tile, _ in registers.bds} | registers.cores
    used |= {tile for (tile, _), value in registers.locks.items() if value}
    users = _users(tasks)
    of_tile = {tile: [n for n in sorted(channels) if n // TILE_CHANNELS == tile] for tile in used}
    return tuple(_tile(registers, tile, of_tile[tile], tasks, users) for tile in sorted(used))


Users = list[tuple[str, Bd, bool]]
"""(channel, BD, whether it sends) of every BD in a task."""


def _users(tasks: dict[int, list[Task]]) -> Users:
    return [
        (channel_name(channel), bd, channel_of(channel)[2] == Direction.MM2S)
        for channel, each in sorted(tasks.items())
        for task in each
        for bd in task.bds
    ]


def _tile(
    registers: Registers,
    tile: int,
    channels: list[int],
    tasks: dict[int, list[Task]],
    users: Users,
) -> Tile:
    column, row = divmod(tile, ROWS)
    name = tile_name(column, row)
    started = {bd for n in channels for task in tasks.get(n, ()) for bd in task.chain}
    spare = sorted(bd for where, bd in registers.bds if where == tile and bd not in started)
    return Tile(
        name=name,
        column=column,
        row=row,
        kind=kind(row).value,
        core_runs=tile in registers.enabled_cores,
        program_bytes=registers.program_bytes.get(tile, 0),
        data_bytes=registers.data_bytes.get(tile, 0),
        channels=tuple(_channel(registers, number, tasks) for number in channels),
        locks=_locks(registers, tile, users),
        buffers=_buffers(name, users),
        other_bds=tuple(_bds(registers, tile, spare)),
    )


def _channel(registers: Registers, number: int, tasks: dict[int, list[Task]]) -> Channel:
    _, row, direction, index = channel_of(number)
    layout = CHANNEL_CTRL if kind(row) is TileKind.SHIM else MEMTILE_CHANNEL_CTRL
    fields = layout.decode([registers.control.get(number, 0)])
    return Channel(
        name=channel_name(number),
        direction=Direction(direction).name,
        number=index,
        tasks=tuple(tasks.get(number, ())),
        controller_id=fields["controller_id"],
        modes=tuple(text for name, text in MODES if fields.get(name)),
    )


def _locks(registers: Registers, tile: int, users: Users) -> tuple[Lock, ...]:
    name = tile_name(*divmod(tile, ROWS))
    numbers = {lock for (where, lock), value in registers.locks.items() if where == tile and value}
    taken: dict[int, dict[str, None]] = {}
    given: dict[int, dict[str, None]] = {}
    for channel, bd, _ in users:
        for use, by in ((bd.acquires, taken), (bd.releases, given)):
            if use is not None and use.tile == name:
                by.setdefault(use.lock, {})[channel] = None
    return tuple(
        Lock(
            number,
            registers.locks.get((tile, number), 0),
            tuple(taken.get(number, ())),
            tuple(given.get(number, ())),
        )
        for number in sorted(numbers | set(taken) | set(given))
    )


def _buffers(name: str, users: Users) -> tuple[Buffer, ...]:
    """Stretches of a tile's memory that plain BDs name; n-d ones by their base alone."""
    found: dict[tuple[int, int], tuple[dict[str, None], dict[str, None]]] = {}
    for channel, bd, sends in users:
        if bd.memory == name:
            written, read = found.setdefault((bd.address, _extent_bytes(bd)), ({}, {}))
            (read if sends else written)[channel] = None
    return tuple(
        Buffer(address, nbytes, tuple(written), tuple(read))
        for (address, nbytes), (written, read) in sorted(found.items())
    )


def _extent_bytes(bd: Bd) -> int:
    """Bytes from a BD's first word to past its furthest."""
    far = sum(max(each.size - 1, 0) * each.step_words for each in bd.dimensions)
    return (far + 1) * WORD_BYTES


def routes(found: Paths) -> tuple[tuple[Route, ...], tuple[Route, ...]]:
    """(routes of data, routes of tokens and other answers of control ports)."""
    data = [_route(route) for route in (*found.routes, *found.others) if route.source < CONTROL_OUT]
    tokens = [_route(route) for route in found.routes if route.source >= CONTROL_OUT]
    return tuple(data), tuple(tokens)


def _route(route: routing.Route) -> Route:
    source = str(route.start) if route.source == NONE else channel_name(route.source)
    return Route(source, route.packet_id, tuple(map(_end, route.ends)))


def _end(end: FabricEnd) -> End:
    sink = "controller" if end.endpoint == CONTROLLER else ""
    why = end.why
    if end.endpoint >= 0:
        sink = channel_name(end.endpoint)
    elif not sink and end.ports[-1].bundle == "core":
        sink, why = f"core of {tile_name(end.ports[-1].column, end.ports[-1].row)}", ""
    arbiters = [divmod(arbiter, ARBITERS) for arbiter in end.arbiters]
    return End(
        sink,
        why,
        tuple(_hops(end.ports)),
        end.drops_header,
        tuple(f"{tile_name(*divmod(tile, ROWS))} arbiter {number}" for tile, number in arbiters),
    )


def _hops(ports: tuple[Port, ...]) -> list[str]:
    """Port in and port out of each switch on the way."""
    hops: list[str] = []
    for enters, leaves in zip(ports[::2], (*ports[1::2], None), strict=False):
        way = f"{enters.bundle} {enters.number}"
        if leaves is not None:
            way += f" -> {leaves.bundle} {leaves.number}"
        hops.append(f"{tile_name(enters.column, enters.row)} {way}")
    return hops
