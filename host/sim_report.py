# SPDX-License-Identifier: Apache-2.0
"""What a simulated run tells a person (a table, mistakes, who waits for whom) and a program (JSON).

`host.sim_command` runs it; `docs/sim.md` has the JSON's schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich import box
from rich.console import Console
from rich.table import Table

from aie2 import disasm, txn
from aie2.registers import Direction
from firmware_sim import Result
from firmware_sim.array import events
from firmware_sim.array.state import ROWS, channel_name, tile_name
from firmware_sim.diagnostics import Diagnostic
from firmware_sim.outcome import ENDS
from firmware_sim.trace.spans import CONTROLLER
from firmware_sim.waits import Wait
from host.sim_arguments import Argument

SCHEMA = 1
"""Version of the JSON; it grows when a key changes its meaning or goes."""
SHOWN = 20
"""Diagnostics that are printed; the JSON has them all."""
EVENT_NAMES = {
    value: name.lower()
    for name, value in vars(events).items()
    if name.isupper() and isinstance(value, int)
}


@dataclass(frozen=True)
class Comparison:
    """An argument against what it was expected to hold, in elements of the expected type."""

    argument: int
    elements: int
    differing: int
    first: int | None = None
    """Index of the first element that differs."""
    found: str = ""
    expected: str = ""


@dataclass(frozen=True)
class Outcome:
    """A run and all that was asked about it."""

    result: Result
    stalled: str = ""
    """Why the run could not go on; empty: it came to its end."""
    arguments: Sequence[Argument] = ()
    changed: dict[int, int] = field(default_factory=dict[int, int])
    """Bytes of each argument that the run changed."""
    comparisons: Sequence[Comparison] = ()
    band: dict[str, float | None] = field(default_factory=dict[str, float | None])
    """us by profile, if the band was asked for; None: stalled."""
    ops: Sequence[str] = ()
    """The stream's ops in words."""

    @property
    def status(self) -> str:
        """`done`, `stalled`, or `stopped` (at the first mistake, when strict)."""
        if not self.stalled:
            return "done"
        return "stalled" if ENDS.intersection(self.result.met) else "stopped"

    @property
    def ok(self) -> bool:
        """Whether the run ended, without a mistake, with what was expected."""
        differing = any(each.differing for each in self.comparisons)
        return not self.stalled and self.result.ok and not differing


def op_texts(insts: bytes) -> list[str]:
    """The ops of a stream in words, by number."""
    lines = disasm.lines(txn.decode(insts))[1:]
    return [" ".join(line.split()[1:]) for line in lines]


def compare(number: int, found: NDArray[Any], expected: NDArray[Any]) -> Comparison:
    """Compare an argument's bytes with the expected ones; NaNs are equal if their bits are."""
    size = expected.dtype.itemsize
    got = found.reshape(-1).view(np.uint8)
    want = expected.reshape(-1).view(np.uint8)
    wrong = np.flatnonzero((got.reshape(-1, size) != want.reshape(-1, size)).any(axis=1))
    count = got.size // size
    if not wrong.size:
        return Comparison(number, count, 0)
    first = int(wrong[0])
    values = [bytes_.view(expected.dtype)[first] for bytes_ in (got, want)]
    return Comparison(number, count, int(wrong.size), first, *map(str, values))


def show(outcome: Outcome, console: Console) -> None:
    """Print all of it."""
    result = outcome.result

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line(_headline(outcome))
    if outcome.band:
        times = (
            f"{name} {'stalled' if us is None else f'{us:.2f} us'}"
            for name, us in outcome.band.items()
        )
        line(f"by profile of what nobody has measured: {', '.join(times)}")
    console.print(_table(result))
    line(f"a dispatch adds about {result.dispatch_base_us:.0f} us before its first op")
    for argument in outcome.arguments:
        changed = outcome.changed.get(argument.number, 0)
        what = f"{changed} of {argument.array.nbytes} bytes changed"
        line(f"argument {argument.number} ({argument.source}): {what}")
    for each in outcome.comparisons:
        line(_verdict(each))
    for text in result.notes:
        line(text)
    for address, value in result.reads.items():
        line(f"read 0x{address:08x}: 0x{value:08x}")
    for note in result.diagnostics[:SHOWN]:
        line(_mistake(note, result, outcome.ops))
    if len(result.diagnostics) > SHOWN:
        line(f"and {len(result.diagnostics) - SHOWN} more: --json has them all")
    if result.waits:
        line("who waits for whom:")
        for text in wait_tree(result.waits):
            line(f"  {text}")


def _headline(outcome: Outcome) -> str:
    result = outcome.result
    what = f"{result.device} at {result.clock_mhz:g} MHz, {result.profile} profile"
    if outcome.status == "done":
        return f"{what}: {result.microseconds:.2f} us ({result.cycles} cycles)"
    at = max(result.cycles, result.array_cycles)
    if outcome.status == "stalled":
        last = [note.cycle for note in result.diagnostics if note.kind in ENDS]
        at = max([at, *last])
    return f"{what}: {outcome.status} at {at / result.clock_mhz:.2f} us (cycle {at})"


def _table(result: Result) -> Table:
    counts = result.counts
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, collapse_padding=True)
    pushes = str(counts.pushes)
    if counts.dropped_pushes:
        pushes += f" ({counts.dropped_pushes} dropped)"
    cells = {
        "bytes in": counts.bytes_read,
        "bytes out": counts.bytes_written,
        "ops": counts.ops,
        "BDs": counts.bds,
        "pushes": pushes,
        "tokens": counts.tokens,
        "patches": counts.patches,
        "polls": counts.polls,
    }
    for name in cells:
        table.add_column(name, justify="right")
    table.add_row(*map(str, cells.values()))
    return table


def _verdict(each: Comparison) -> str:
    name = f"argument {each.argument}"
    if not each.differing:
        return f"{name} is as expected"
    return (
        f"{name}: {each.differing} of {each.elements} elements are not as expected, the first at "
        f"index {each.first}: {each.found}, expected {each.expected}"
    )


def _mistake(note: Diagnostic, result: Result, ops: Sequence[str]) -> str:
    head = f"{'warning' if note.is_warning else 'mistake'} {note.kind}"
    times = f" ({note.times} times)" if note.times > 1 else ""
    when = f"at {note.cycle / result.clock_mhz:.2f} us (cycle {note.cycle})"
    op = ", by the configuration"
    if note.op >= 0:
        known = result.firmware == "stock" and note.op < len(ops)
        op = f", op {note.op}" + (f": {ops[note.op]}" if known else "")
    return f"{head}{times} {when}{op}\n  {note.message}"


def wait_tree(waits: Sequence[Wait]) -> list[str]:
    """Who waits for whom as indented lines: below each waiter those who could end its wait."""
    known = {wait.waiter: wait for wait in waits}
    lines: list[str] = []
    seen: set[str] = set()
    for wait in waits:
        if wait.waiter in seen:
            continue
        todo = [(0, wait.waiter)]
        while todo:
            depth, name = todo.pop()
            again = name in seen
            seen.add(name)
            text = f" {known[name].reason}" if name in known and not again else ""
            lines.append(f"{'  ' * depth}{name}{text}{' (see above)' if again else ''}")
            if name in known and not again:
                todo.extend((depth + 1, each) for each in reversed(known[name].on))
    return lines


def to_json(outcome: Outcome, *, with_events: bool) -> dict[str, Any]:
    """All of a run as plain data; `with_events`: also each event."""
    result = outcome.result
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "status": outcome.status,
        "ok": outcome.ok,
        "message": outcome.stalled or None,
        "device": result.device,
        "profile": result.profile,
        "firmware": result.firmware,
        "clock_mhz": result.clock_mhz,
        "start_column": result.start_column,
        "cycles": result.cycles,
        "us": result.microseconds,
        "array_cycles": result.array_cycles,
        "dispatch_base_us": result.dispatch_base_us,
        "band_us": outcome.band or None,
        "wall_s": result.wall_s,
        "counts": asdict(result.counts),
        "arguments": [
            {
                "argument": each.number,
                "source": each.source,
                "bytes": each.array.nbytes,
                "bytes_changed": outcome.changed.get(each.number, 0),
            }
            for each in outcome.arguments
        ],
        "expected": [asdict(each) for each in outcome.comparisons],
        "diagnostics": [_diagnostic(note, result) for note in result.diagnostics],
        "met": result.met,
        "tasks": [_task(task) for task in result.tasks],
        "notes": list(result.notes),
        "waits": [asdict(wait) for wait in result.waits],
        "reads": {f"0x{address:08x}": value for address, value in result.reads.items()},
    }
    if with_events:
        data["events"] = [_event(event) for event in result.events.tolist()]
    return data


def _diagnostic(note: Diagnostic, result: Result) -> dict[str, Any]:
    return asdict(note) | {"us": note.cycle / result.clock_mhz, "warning": note.is_warning}


def _task(task: Any) -> dict[str, Any]:
    column, row, direction, channel = (
        int(task[name]) for name in ("column", "row", "direction", "channel")
    )
    finished = float(task["finished"])
    return {
        "tile": [column, row],
        "direction": Direction(direction).name,
        "channel": channel,
        "started": float(task["started"]),
        "finished": None if np.isnan(finished) else finished,
        "words": int(task["words"]) if not np.isnan(finished) else None,
    }


def _event(event: tuple[float, int, int, int, int]) -> list[Any]:
    """[cycle, kind, actor, a, b]; what a and b mean is in `firmware_sim.array.events`."""
    at, kind, actor, a, b = event
    if actor == CONTROLLER:
        name = "controller"
    elif kind in (events.LOCK_CHANGED, events.REGISTER_WRITTEN):
        name = tile_name(*divmod(actor, ROWS))
    else:
        name = channel_name(actor)
    return [at, EVENT_NAMES[kind], name, a, b]
