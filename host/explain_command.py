# SPDX-License-Identifier: Apache-2.0
"""`sparsebd explain`: what a design is and what a stream does, in the words of an engineer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.text import Text

from aie2.fields import WORD_BYTES
from firmware_sim.explain import explain as explain_design
from firmware_sim.explain.facts import (
    Argument,
    Explanation,
    Move,
    Push,
    Stream,
    Waiting,
)
from host.explain_text import INDENT, bd_text, count, design_lines, details, listed, section

T = TypeVar("T")
SHOWN = 8
"""Tasks of a channel, waits and BDs of a chain that are printed unless all are asked for."""


def explain(
    xclbin: Annotated[Path, typer.Argument(help="design (xclbin)")],
    insts: Annotated[Path | None, typer.Argument(help="instruction stream (insts.bin)")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="print every task and wait of the stream")
    ] = False,
) -> None:
    """Say what a design is and what a stream does, from the register writes alone."""
    found = explain_design(xclbin, insts)
    if as_json:
        typer.echo(json.dumps(asdict(found), indent=1))
        return
    console = Console()
    for each in lines(found, None if everything else SHOWN):
        heading = bool(each) and not each.startswith(" ")
        console.print(Text(each, "bold" if heading else ""), soft_wrap=True)


def lines(found: Explanation, shown: int | None = SHOWN) -> list[str]:
    """Everything as lines; what is indented belongs to the heading above it.

    `shown` is how many tasks, waits and BDs of a chain are printed, None: all.
    """
    sections = design_lines(found)
    if found.stream is not None:
        sections += _stream(found.stream, shown)
    return [line for section in sections if section for line in (*section, "")][:-1]


def _stream(stream: Stream, shown: int | None) -> list[list[str]]:
    ops = ", ".join(f"{count} {name}" for name, count in stream.ops.items())
    head = [
        f"{sum(stream.ops.values())} ops: {ops}",
        f"touches column {listed(stream.touched_columns)}" if stream.touched_columns else "",
        _lengths(stream),
        *(f"{count(n, 'other write')}: {what}" for what, n in stream.other_writes.items()),
    ]
    title = f"stream (TXN {stream.version}) for {stream.device}, {count(stream.columns, 'column')}"
    return [
        section(f"{title}, {stream.nbytes} bytes", filter(None, head)),
        section("host buffers", map(_argument, stream.arguments)),
        *_channels(stream.pushes, shown),
        section("waits", _cut(stream.waits, shown, _wait)),
    ]


def _lengths(stream: Stream) -> str:
    total = sum(stream.lengths_words.values())
    if not total:
        return ""
    lengths = [f"{count} of {words} words" for words, count in stream.lengths_words.items()]
    more = f" and {len(lengths) - SHOWN} more lengths" if len(lengths) > SHOWN else ""
    return f"{count(total, 'BD')} written: {', '.join(lengths[:SHOWN])}{more}"


def _argument(argument: Argument) -> str:
    return (
        f"argument {argument.argument} {argument.direction}: {argument.nbytes} bytes by "
        f"{count(argument.bds, 'BD')}, within bytes {argument.first_byte} to {argument.end_byte}"
    )


def _channels(pushes: Sequence[Push], shown: int | None) -> Iterator[list[str]]:
    """Tasks in order, channel by channel."""
    by_channel: dict[str, list[Push]] = {}
    for push in pushes:
        by_channel.setdefault(push.channel, []).append(push)
    for name, each in by_channel.items():
        total = sum(push.nbytes for push in each)
        title = f"{name}: {count(len(each), 'task')}, {total} bytes"
        yield section(title, _cut(each, shown, lambda push: _push(push, shown)))


def _cut(
    items: Sequence[T], shown: int | None, text: Callable[[T], Iterable[str]]
) -> Iterator[str]:
    """The first items in words, and how many more there are."""
    for item in items[:shown]:
        yield from text(item)
    if shown is not None and len(items) > shown:
        yield f"... {len(items) - shown} more (--all prints them)"


def _push(push: Push, shown: int | None) -> Iterator[str]:
    chain = " -> ".join(map(str, push.chain))
    facts = [f"BD {chain}{' ..., without end' if push.endless else ''}"]
    facts += [f"{push.nbytes} bytes"] if push.nbytes else []
    facts += [f"{push.times} times"] if push.times > 1 else []
    facts += ["token"] if push.token else []
    yield f"op {push.op}: {', '.join(facts)}"
    own = push.channel.partition(" ")[0]
    for move in push.moves[:shown]:
        yield f"{INDENT}{_move(move, own)}"
    if shown is not None and len(push.moves) > shown:
        yield f"{INDENT}... {len(push.moves) - shown} more BDs (--all prints them)"


def _move(move: Move, own: str) -> str:
    if move.argument is None:
        return bd_text(move.bd, own)
    nbytes = move.bd.words * WORD_BYTES
    place = f"argument {move.argument} from byte {move.offset}"
    return f"BD {move.bd.bd}: {nbytes} bytes of {place}{details(move.bd, own)}"


def _wait(wait: Waiting) -> Iterator[str]:
    ends = [f"ends push {_ops(wait.ends)}"] if wait.ends else []
    covers = [f"may cover push {_ops(wait.covers)}"] if wait.covers else []
    about = ", ".join([*ends, *covers])
    yield f"op {wait.op} waits for {wait.text}{': ' if about else ''}{about}"


def _ops(ops: tuple[int, ...]) -> str:
    more = f" and {len(ops) - SHOWN} more" if len(ops) > SHOWN else ""
    return f"{', '.join(map(str, ops[:SHOWN]))}{more}"
