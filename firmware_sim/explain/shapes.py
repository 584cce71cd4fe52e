# SPDX-License-Identifier: Apache-2.0
"""Shapes that a design's registers show for certain: FIFOs, splits, joins, broadcasts, lanes.

A shape is told only where buffers and locks agree; what is merely likely is left out.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from aie2.fields import WORD_BYTES
from aie2.tiles import TileKind
from firmware_sim.explain.bds import HOST
from firmware_sim.explain.facts import Bd, Channel, Route, Tile


class _Side(NamedTuple):
    """A channel that runs one chain of BDs for ever."""

    tile: Tile
    channel: Channel
    bds: tuple[Bd, ...]

    @property
    def sends(self) -> bool:
        return self.channel.direction == "MM2S"

    @property
    def name(self) -> str:
        return f"{self.channel.direction} {self.channel.number}"


class Fifo(NamedTuple):
    """An object FIFO: what one channel receives, the other sends, object by object."""

    receiver: str
    sender: str
    sentence: str


def shapes(tiles: tuple[Tile, ...], routes: tuple[Route, ...]) -> tuple[str, ...]:
    """Every shape, as sentences."""
    sides = [side for tile in tiles for side in _sides(tile)]
    fifos = list(_fifos(tiles, sides))
    held = {fifo.receiver for fifo in fifos} | {fifo.sender for fifo in fifos}
    rest = [side for side in sides if side.channel.name not in held]
    return (
        *(fifo.sentence for fifo in fifos),
        *_parts(rest),
        *_of_cores(rest),
        *_broadcasts(routes),
        *_lanes(fifos, routes),
    )


def _sides(tile: Tile) -> Iterator[_Side]:
    for channel in tile.channels:
        if len(channel.tasks) == 1 and tile.kind != TileKind.SHIM.value:
            task = channel.tasks[0]
            if task.loops_to == task.chain[0] and len(task.bds) == len(task.chain):
                yield _Side(tile, channel, task.bds)


def _lock_of(side: _Side, released: bool) -> tuple[str, int] | None:
    """The one lock that all BDs of a side take (or give) by one; None: there is none such."""
    uses = [bd.releases if released else bd.acquires for bd in side.bds]
    first = uses[0]
    if first is None or any(use != first for use in uses):
        return None
    return (first.tile, first.lock) if first.value == 1 and not first.exactly else None


def _initial(tiles: tuple[Tile, ...], lock: tuple[str, int]) -> int:
    for tile in tiles:
        for each in tile.locks:
            if (tile.name, each.lock) == lock:
                return each.initial
    return 0


def _fifos(tiles: tuple[Tile, ...], sides: list[_Side]) -> Iterator[Fifo]:
    """Pairs of sides over the same buffers that hand two locks to and fro."""
    for receiver in (side for side in sides if not side.sends):
        room, full = _lock_of(receiver, False), _lock_of(receiver, True)
        if room is None or full is None or any(bd.memory == HOST for bd in receiver.bds):
            continue
        for sender in (side for side in sides if side.sends):
            locks = _lock_of(sender, False), _lock_of(sender, True)
            counts = _initial(tiles, room), _initial(tiles, full)
            if locks == (full, room) and counts == (len(receiver.bds), 0):
                sentence = _fifo_sentence(receiver, sender)
                if sentence:
                    yield Fifo(receiver.channel.name, sender.channel.name, sentence)


def _fifo_sentence(receiver: _Side, sender: _Side) -> str:
    """A FIFO in words; empty where the two do not take the same objects in the same order."""
    places = [(bd.memory, bd.address, bd.words) for bd in receiver.bds]
    if places != [(bd.memory, bd.address, _own_words(bd)) for bd in sender.bds]:
        return ""
    sizes = {words for _, _, words in places}
    if len(sizes) != 1:
        return ""
    count, nbytes = len(places), sizes.pop() * WORD_BYTES
    where = receiver.tile.name
    if {memory for memory, _, _ in places} != {where}:
        where += f" (in the memory of {', '.join(sorted({memory for memory, _, _ in places}))})"
    to = sender.name if sender.tile is receiver.tile else sender.channel.name
    sentence = f"object FIFO through {where}: {count} x {nbytes} bytes, {receiver.name} -> {to}"
    changed = [side.name for side in (receiver, sender) if not all(bd.linear for bd in side.bds)]
    if changed:
        sentence += f", with {' and '.join(changed)} in another order (n-d) or padded"
    return sentence


def _own_words(bd: Bd) -> int:
    """Words of a BD without its padding."""
    words = 1
    for each in bd.dimensions:
        words *= each.size
    return words if any(each.pad_before or each.pad_after for each in bd.dimensions) else bd.words


def _feeds(receiver: _Side, sender: _Side) -> bool:
    """Whether a sender reads what the receiver wrote, behind a lock that the receiver gave."""
    given = {(bd.releases.tile, bd.releases.lock) for bd in receiver.bds if bd.releases}
    taken = {(bd.acquires.tile, bd.acquires.lock) for bd in sender.bds if bd.acquires}
    if not given & taken:
        return False
    return any(_overlap(one, other) for one in receiver.bds for other in sender.bds)


def _overlap(one: Bd, other: Bd) -> bool:
    """Whether two BDs, taken as plain runs, name some byte together."""
    ends = [bd.address + _own_words(bd) * WORD_BYTES for bd in (one, other)]
    return one.memory == other.memory and one.address < ends[1] and other.address < ends[0]


def _parts(sides: list[_Side]) -> Iterator[str]:
    """One receiver and several senders over the same buffers, or the reverse."""
    receivers = [side for side in sides if not side.sends]
    senders = [side for side in sides if side.sends]
    to = {r.channel.name: [s for s in senders if _feeds(r, s)] for r in receivers}
    fed_by = {s.channel.name: [r for r in receivers if _feeds(r, s)] for s in senders}
    for receiver in receivers:
        fed = to[receiver.channel.name]
        if len(fed) > 1 and all(len(fed_by[s.channel.name]) == 1 for s in fed):
            yield f"split in {receiver.tile.name}: {_sized(receiver)} -> {_listed(fed)}"
    for sender in senders:
        feeds = fed_by[sender.channel.name]
        if len(feeds) > 1 and all(len(to[r.channel.name]) == 1 for r in feeds):
            yield f"join in {sender.tile.name}: {_listed(feeds)} -> {_sized(sender)}"


def _sized(side: _Side) -> str:
    sizes = sorted({bd.words * WORD_BYTES for bd in side.bds})
    return f"{side.name} ({len(side.bds)} x {' and '.join(map(str, sizes))} bytes)"


def _listed(sides: list[_Side]) -> str:
    return ", ".join(map(_sized, sides))


def _of_cores(sides: list[_Side]) -> Iterator[str]:
    """Channels of a core tile that hand over to the core: nobody else has the lock's other end."""
    taken = {(bd.acquires.tile, bd.acquires.lock) for s in sides for bd in s.bds if bd.acquires}
    given = {(bd.releases.tile, bd.releases.lock) for s in sides for bd in s.bds if bd.releases}
    for side in sides:
        if not side.tile.program_bytes:
            continue
        takes, gives = _lock_of(side, False), _lock_of(side, True)
        if takes is None or gives is None or takes in given or gives in taken:
            continue
        verb = "sends what the core writes" if side.sends else "fills buffers for the core"
        yield f"{side.tile.name} {_sized(side)} {verb}"


def _broadcasts(routes: tuple[Route, ...]) -> Iterator[str]:
    for route in routes:
        sinks = [end.sink for end in route.ends if end.sink]
        if len(sinks) > 1:
            by = "" if route.packet_id is None else f" packets {route.packet_id}"
            yield f"broadcast: {route.source}{by} to {', '.join(sinks)}"


def _lanes(fifos: list[Fifo], routes: tuple[Route, ...]) -> Iterator[str]:
    """Shim to shim through one FIFO, with nothing else on the way."""
    to = {route.source: route for route in routes if route.packet_id is None}
    for first in to.values():
        for fifo in fifos:
            last = to.get(fifo.sender)
            if last is None or [end.sink for end in first.ends] != [fifo.receiver]:
                continue
            sinks = [end.sink for end in last.ends]
            if first.source.startswith("shim") and len(sinks) == 1 and sinks[0].startswith("shim"):
                through = fifo.receiver.partition(" ")[0]
                yield f"passthrough lane: {first.source} -> {through} -> {sinks[0]}"
