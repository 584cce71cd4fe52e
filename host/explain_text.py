# SPDX-License-Identifier: Apache-2.0
"""A design in words: header, tiles, BDs, locks, buffers, routes; `explain_command` prints them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from firmware_sim.explain.bds import HOST
from firmware_sim.explain.facts import (
    Bd,
    Buffer,
    Channel,
    End,
    Explanation,
    Header,
    Lock,
    LockUse,
    Route,
    Task,
    Tile,
)

INDENT = "  "


def design_lines(found: Explanation) -> list[list[str]]:
    """Sections about the design, each a heading and its lines."""
    return [
        _header(found.header, found.notes),
        section("recognised", found.shapes),
        *(_tile(tile) for tile in found.tiles),
        section("routes", (line for route in found.routes for line in _route(route))),
        section("token routes", (line for route in found.token_routes for line in _route(route))),
        section("dead ends", _dead_ends(found)),
    ]


def section(title: str, body: Iterable[str]) -> list[str]:
    """A heading and its lines; nothing where there are none."""
    inside = [INDENT + line for line in body]
    return [title, *inside] if inside else []


def count(number: int, name: str) -> str:
    """A number of things, in words."""
    return f"{number} {name}{'' if number == 1 else 's'}"


def listed(items: Iterable[object], last: str = "and") -> str:
    """Things one after the other, `last` before the last."""
    *front, end = map(str, items)
    return f"{', '.join(front)} {last} {end}" if front else end


def _header(header: Header, notes: Sequence[str]) -> list[str]:
    body = [f"fits {listed(header.devices)}"]
    if header.start_columns:
        body[0] += f"; may start at physical column {listed(header.start_columns, 'or')}"
    kernels = f"kernel {listed(header.kernels)}" if header.kernels else "no kernel declared"
    buffers = (
        "" if header.host_buffers is None else f", {count(header.host_buffers, 'host buffer')}"
    )
    body.append(f"{kernels}{buffers}; {count(header.register_writes, 'register write')}")
    if header.further_configurations:
        body.append(f"{count(header.further_configurations, 'further configuration')} to load")
    body.append(f"code for {listed(header.cores)}" if header.cores else "no core has code")
    return section(f"design of {count(header.columns, 'column')}", [*body, *notes])


def _tile(tile: Tile) -> list[str]:
    body: list[str] = []
    if tile.program_bytes or tile.core_runs:
        runs = "enabled" if tile.core_runs else "not enabled"
        body.append(f"core: {tile.program_bytes} bytes of code, {runs}; not executed here")
    if tile.data_bytes:
        body.append(f"memory: {tile.data_bytes} bytes set by the configuration")
    for channel in tile.channels:
        body += _channel(channel, tile.name)
    body += [_lock_text(tile, lock) for lock in tile.locks]
    body += [_buffer_text(tile, buffer) for buffer in tile.buffers]
    body += [f"not started: {bd_text(bd, tile.name)}" for bd in tile.other_bds]
    return section(tile.name, body)


def _lock_text(tile: Tile, lock: Lock) -> str:
    uses = _uses(tile, ("acquired by", lock.taken_by), ("released by", lock.given_by))
    return f"lock {lock.lock} = {lock.initial}{uses}"


def _buffer_text(tile: Tile, buffer: Buffer) -> str:
    uses = _uses(tile, ("from", buffer.written_by), ("to", buffer.read_by))
    return f"buffer at 0x{buffer.address:x}, {buffer.nbytes} bytes{uses}"


def _uses(tile: Tile, *uses: tuple[str, tuple[str, ...]]) -> str:
    """Who uses a thing, each use with its word; empty where nobody does."""
    texts = [
        f"{word} {listed(_short(tile, name) for name in names)}" for word, names in uses if names
    ]
    return f": {', '.join(texts)}" if texts else ""


def _short(tile: Tile, channel: str) -> str:
    """A channel's name without its tile, where that is this tile."""
    return channel.removeprefix(f"{tile.name} ")


def _channel(channel: Channel, own: str) -> Iterator[str]:
    facts = [f"controller id {channel.controller_id}"] if channel.controller_id else []
    facts += channel.modes
    name = f"{channel.direction} {channel.number}"
    about = f" ({', '.join(facts)})" if facts else ""
    if not channel.tasks:
        yield f"{name}{about}: no task until the stream pushes one"
    for task in channel.tasks:
        yield f"{name}{about}: {_task(task)}"
        for bd in task.bds:
            yield f"{INDENT}{bd_text(bd, own)}"
        for number in task.chain[len(task.bds) :]:
            yield f"{INDENT}BD {number}: never written"


def _task(task: Task) -> str:
    chain = " -> ".join(map(str, task.chain))
    if task.loops_to is not None:
        return f"BD {chain} -> {task.loops_to} ..., without end"
    ends = [f"{task.times} times"] if task.times > 1 else []
    ends += ["then a token"] if task.token else []
    return ", ".join([f"BD {chain}", *ends])


def bd_text(bd: Bd, own: str) -> str:
    """A BD of the tile `own` as a sentence."""
    memory = "own memory" if bd.memory == own else bd.memory
    where = "" if bd.memory == HOST else f" at 0x{bd.address:x} of {memory}"
    return f"BD {bd.bd}: {count(bd.words, 'word')}{where}{details(bd, own)}"


def details(bd: Bd, own: str) -> str:
    """All of a BD but where it begins and how long it is; empty where it is plain."""
    parts = [pattern(bd)]
    if bd.iteration is not None:
        turn = bd.iteration
        at = f", now at {turn.current}" if turn.current else ""
        parts.append(f"{turn.step_words} words further each of {turn.times} times{at}")
    if bd.packet is not None:
        parts.append(f"as packet {bd.packet.id} of type {bd.packet.type}")
    if bd.acquires is not None:
        sign = "=" if bd.acquires.exactly else ">="
        parts.append(f"acquires {_lock(bd.acquires, own)} {sign} {bd.acquires.value}")
    if bd.releases is not None:
        parts.append(f"releases {_lock(bd.releases, own)} {bd.releases.value:+d}")
    parts += ["without TLAST"] if bd.suppresses_tlast else []
    parts += ["compressed"] if bd.compressed else []
    parts += [] if bd.valid else ["INVALID: its valid bit is clear"]
    return "".join(f", {part}" for part in parts if part)


def _lock(use: LockUse, own: str) -> str:
    """A lock; its tile is named where it is another."""
    return f"lock {use.lock}" if use.tile == own else f"lock {use.lock} of {use.tile}"


def pattern(bd: Bd) -> str:
    """Sizes and steps of a BD that is no plain run, outermost first."""
    if bd.linear:
        return ""
    outward = bd.dimensions[::-1]
    sizes = ", ".join(str(each.size) for each in outward)
    steps = ", ".join(str(each.step_words) for each in outward)
    text = f"sizes [{sizes}], steps [{steps}] words"
    if any(each.pad_before or each.pad_after for each in outward):
        pads = ", ".join(f"{each.pad_before}+{each.pad_after}" for each in outward)
        text += f", padded by [{pads}]"
    return text


def _route(route: Route) -> Iterator[str]:
    kind = "" if route.packet_id is None else f", packets {route.packet_id}"
    for end in route.ends:
        yield f"{route.source}{kind} -> {_end(end)}"
        yield f"{INDENT}{', '.join(end.hops)}"


def _end(end: End) -> str:
    parts = [end.sink or f"nothing ({end.why})", *end.arbiters]
    parts += ["header dropped"] if end.drops_header else []
    return ", ".join(parts)


def _dead_ends(found: Explanation) -> Iterator[str]:
    for route in (*found.routes, *found.token_routes):
        for end in route.ends:
            if not end.sink:
                yield f"{route.source}: {end.why}"
