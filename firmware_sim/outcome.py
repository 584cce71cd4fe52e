# SPDX-License-Identifier: Apache-2.0
"""What a run has left: counts, tasks, diagnostics, and the sentence of one that could not end."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aie2.registers import Direction
from firmware_sim.array.bd_registers import WORD_BYTES
from firmware_sim.array.engine import DONE, IDLE_EVENTS, STALLED, STRICT, TIMED_OUT
from firmware_sim.array.machine import Machine
from firmware_sim.array.state import (
    CHANNEL_SLOTS,
    READY,
    ROWS,
    TILE_CHANNELS,
    channel_id,
    channel_name,
    channel_of,
    tile_index,
    tile_kind_channels,
)
from firmware_sim.cores import CoreModels
from firmware_sim.diagnostics import CORE_NOT_EXECUTED, KINDS, PATCH_NOT_FOLDED, Diagnostic, read
from firmware_sim.inputs import TOO_MANY
from firmware_sim.result import TASK, Counts, Result
from firmware_sim.waits import IDLE_REASON, Wait, cycles, explain, unfinished

WATCHDOG_S = 2.0
"""The driver ends a dispatch after this long (xdna-driver, timeout_in_sec)."""
FOLDING = KINDS[PATCH_NOT_FOLDED].name
ENDS = frozenset({"hang", "deadlock", "token-never-issued", "watchdog"})
"""Diagnostics that say how a run came to its end which did not end by itself."""


def forget_modelled_cores(machine: Machine, models: CoreModels) -> None:
    """Take back the warning that a core is not executed where a model stands in for it."""
    tiles = {tile_index(column, row) for column, row in models}
    state = machine.state
    notes = state["notes"][: int(state["notes_used"])]
    kept = [
        note.copy()
        for note in notes
        if note["kind"] != CORE_NOT_EXECUTED or int(note["tile"]) not in tiles
    ]
    state["note_counts"][CORE_NOT_EXECUTED] -= len(notes) - len(kept)
    for place, note in enumerate(kept):
        notes[place] = note
    state["notes_used"] = len(kept)


def _shim_channels(machine: Machine, direction: Direction) -> list[int]:
    return [
        channel_id(column, 0, direction, channel)
        for column in range(machine.columns)
        for channel in range(tile_kind_channels(0))
    ]


def counts_of(machine: Machine) -> Counts:
    """What the controller and the shim DMAs did."""
    done = machine.state
    moved = machine.channels["moved"]
    return Counts(
        ops=int(done["op"]),
        bds=int(done["bds_written"]),
        pushes=int(done["pushes"]),
        tokens=int(done["tokens"]),
        patches=int(done["patches"]),
        polls=int(done["polls"]),
        dropped_pushes=int(done["dropped"]),
        bytes_read=int(moved[_shim_channels(machine, Direction.MM2S)].sum()) * WORD_BYTES,
        bytes_written=int(moved[_shim_channels(machine, Direction.S2MM)].sum()) * WORD_BYTES,
    )


def shim_tasks(machine: Machine) -> NDArray[np.void]:
    """Shim tasks in the order in which they were taken up, as records of `TASK`."""
    log = machine.log()
    tasks = np.zeros(log.size, TASK)
    tile, place = np.divmod(log["channel"], TILE_CHANNELS)
    tasks["column"], tasks["row"] = np.divmod(tile, ROWS)
    tasks["direction"], tasks["channel"] = np.divmod(place, CHANNEL_SLOTS)
    for name in ("started", "finished", "words"):
        tasks[name] = log[name]
    return tasks


def all_notes(
    before: tuple[Diagnostic, ...], machine: Machine, ended: int, waits: tuple[Wait, ...]
) -> tuple[Diagnostic, ...]:
    """What was met before, during and after the run; one warning about folding is enough."""
    met = list(before)
    folding = any(note.kind == TOO_MANY for note in before)
    for note in read(machine.state):
        if note.kind != FOLDING or not folding:
            met.append(note)
        folding = folding or note.kind == FOLDING
    return (*met, *_left_behind(machine, ended), *_stuck(machine, ended, waits))


def _stuck(machine: Machine, ended: int, waits: tuple[Wait, ...]) -> tuple[Diagnostic, ...]:
    """What kind of end it is that a run came to which did not end."""
    if ended not in (STALLED, TIMED_OUT):
        return ()
    op, at = int(machine.state["op"]), round(float(machine.state["stop_at"]))
    kind, text = "hang", f"{explain(machine)}; on a device the driver would end the run after 2 s"
    rings = cycles(waits)
    awaited = waits[0].on if waits and waits[0].waiter == f"op {op}" else ()
    idle = [wait.waiter for wait in waits if wait.waiter in awaited and not wait.on]
    if ended == TIMED_OUT:
        kind, text = "watchdog", "the run is longer than the driver lets it be; split the stream"
    elif rings:
        kind = "deadlock"
        text = f"{' and '.join(rings[0])} wait for each other; break the ring with one more buffer"
    elif any(IDLE_REASON in wait.reason for wait in waits if wait.waiter in idle):
        kind = "token-never-issued"
        text = (
            f"no task of {idle[0]} will issue the token that is waited for; push one with a token"
        )
    return (Diagnostic(kind, at, op, "", text),)


def _left_behind(machine: Machine, ended: int) -> tuple[Diagnostic, ...]:
    """What a stream that came to its end leaves behind: tasks, and words in the array."""
    if ended != DONE:
        return ()
    op, at = int(machine.state["op"]), float(machine.state["last_op_at"])

    def note(kind: str, channel: str, text: str) -> Diagnostic:
        return Diagnostic(kind, round(at), op, channel, text)

    stuck = unfinished(machine)
    notes = [
        note(
            "unfinished-task",
            name,
            f"{name} still has a task when the stream ends, and nothing will move any more; wait "
            "for its token before the end",
        )
        for name in stuck
    ]
    log = machine.log()
    late = sorted({int(number) for number in log["channel"][log["finished"] > at]})
    for name in (channel_name(number) for number in late):
        text = f"{name} finishes after the stream has ended; the host would read too early"
        notes.append(note("ends-early", name, f"{text}; wait for its token before the end"))
    left = _left_in_array(machine)
    if left and not stuck:
        notes.append(note("left-in-array", "", f"{left}; the next run would begin with that"))
    return tuple(notes)


def full_logs(machine: Machine) -> tuple[str, ...]:
    """A note where a log could not keep everything."""
    if not machine.state["log_full"]:
        return ()
    kept = f"{len(machine.log())} tasks and {len(machine.events())} events"
    return (f"the run was longer than its logs: they keep the first {kept}",)


def _left_in_array(machine: Machine) -> str:
    """Words that came in and found no way out, so that the next run would begin with them."""
    channels = machine.channels
    for number in np.flatnonzero(channels["held"] > 0):
        held = int(channels["held"][number])
        return f"{held} words lie in the stream before {channel_name(int(number))}"
    has_task = channels["task"] >= 0
    for number in np.flatnonzero(has_task & (channels["position"] > 0)):
        done, name = int(channels["position"][number]), channel_name(int(number))
        if channels["words_left"][number] > 0:
            return f"{name} stands in the middle of a BD, {done} words in"
    for number in np.flatnonzero(has_task & (channels["phase"] == READY)):
        column, row, direction, _ = channel_of(int(number))
        fields = machine.bd(tile_index(column, row), int(channels["bd"][number]))
        if direction == Direction.MM2S and fields["lock_acq_enable"]:
            return f"{channel_name(int(number))} holds data that nothing takes"
    return ""


def stall_text(machine: Machine, result: Result, ended: int) -> str:
    """The sentence that a run ends with which could not come to its end."""
    if ended == STRICT:
        first = next(note for note in result.diagnostics if not note.is_warning)
        return f"stopped at the first mistake: {first}"
    if ended == STALLED:
        text = f"no progress after cycle {result.array_cycles}: {explain(machine)}"
    else:
        text = (
            f"still running after {WATCHDOG_S:g} s of device time or {IDLE_EVENTS} events in the "
            "array, when the driver's watchdog would have ended it; op "
            f"{machine.state['op']} was being executed"
        )
    mistakes = (note for note in result.diagnostics if not note.is_warning)
    first = next((note for note in mistakes if note.kind not in ENDS), None)
    return text if first is None else f"{text}; before that: {first}"
