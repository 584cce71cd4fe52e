# SPDX-License-Identifier: Apache-2.0
"""Walk through a stream without running it: tasks, tokens, and which waits can cover which tasks.

A wait covers what it certainly ends (tasks of the channel up to the one whose token it takes), and
may cover the tasks of channels that the awaited one can depend on. `check` and `explain` follow.
"""

from __future__ import annotations

from firmware_sim.array.bd_registers import QUEUE_BD_MASKS, QUEUE_REPEAT, QUEUE_TOKEN
from firmware_sim.array.state import (
    ACTORS,
    BD_SLOTS,
    LOCK_SLOTS,
    NONE,
    ROWS,
    TILE_CHANNELS,
)
from firmware_sim.check.ops import (
    CONTROLLED,
    DESCRIBED,
    LOADED,
    LOCKED,
    MERGED,
    MUXED,
    PATCHED,
    POLLED,
    PUSHED,
    SWITCHED,
    UPDATED,
    WAITED,
)
from firmware_sim.check.paths import Paths, groups, is_sender, is_shim, paths
from firmware_sim.check.registers import Registers
from firmware_sim.check.stream import Event, Stream
from firmware_sim.check.tasks import NEVER, Channel, Rectangle, Task, left_in_queue, rectangle

MOST_REROUTES = 32
"""Times that routes are found anew: each takes as long as hundreds of ops."""


class Walk:
    """Follows a stream; subclasses look at what happens by overriding the methods that say so."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.columns = stream.epochs[0].columns
        self.reroutes = 0
        self.lost = False
        """Whether routes were rewritten so often that they are not followed any more."""
        self._members: dict[int, list[int]] = {}
        self._begin(stream.epochs[0], NONE)
        self._handlers = {
            LOADED: self._load,
            DESCRIBED: self._describe,
            PATCHED: self._patch,
            PUSHED: self._push,
            CONTROLLED: self._control,
            LOCKED: self._lock,
            SWITCHED: self._switch,
            MUXED: self._mux,
            WAITED: self._wait,
            POLLED: self._poll,
            MERGED: self._merge,
            UPDATED: self._update,
        }

    def run(self) -> None:
        """Walk from the configuration to the end of the stream."""
        handlers = self._handlers
        for event in self.stream.events:
            if self._configured_by is not None and (
                event[1] != DESCRIBED or event[0] != self._configured_by
            ):
                self._start_configured()
            handlers[event[1]](event)
        if self._configured_by is not None:
            self._start_configured()
        self.ended()

    # What subclasses look at

    def began(self) -> None:
        """A configuration was loaded; whatever was known of the array is over."""

    def started(self, task: Task) -> None:
        """A task was pushed; it is not yet counted."""

    def described(self, op: int, tile: int, bd: int) -> None:
        """A BD is about to be written by the stream."""

    def patched(self, event: Event) -> None:
        """A DDR patch is about to be made."""

    def awaited(self, op: int, asked: Rectangle, channels: tuple[int, ...]) -> None:
        """A token wait is about to take its tokens."""

    def polled(self, event: Event) -> None:
        """A register is polled."""

    def merged(self, op: int, tokens: int, columns: int) -> None:
        """A MERGE_SYNC is about to take its tokens."""

    def passed(self) -> None:
        """A wait, poll or MERGE_SYNC is over; what it covers is covered."""

    def load_missing(self, op: int, pdi: int) -> None:
        """A PDI is loaded that is not there."""

    def ended(self) -> None:
        """The stream is over."""

    # The state

    def _begin(self, registers: Registers, op: int) -> None:
        self.registers = registers
        self.rows: dict[int, int] = {}
        """Row in the stream's descriptors of each BD, by tile * BD_SLOTS + BD."""
        self.patched_at: dict[int, int] = {}
        """Op of the patch of each BD since it was written."""
        self.channels: dict[int, Channel] = {}
        self.anything = False
        """Whether locks were moved in ways that this walk does not follow."""
        self._configured_by: int | None = op
        self._dirty = True
        self.began()

    def _start_configured(self) -> None:
        op, self._configured_by = self._configured_by, None
        for channel, word in self.registers.pushes:
            self._add(NONE if op is None else op, channel, word)

    def channel(self, number: int) -> Channel:
        """State of a channel."""
        if number not in self.channels:
            self.channels[number] = Channel()
            self._members.clear()
        return self.channels[number]

    @property
    def paths(self) -> Paths:
        """Routes as they are now."""
        if self._dirty:
            self._reroute()
        return self._paths

    def _reroute(self) -> None:
        self._dirty = False
        self.reroutes += 1
        if self.reroutes > MOST_REROUTES:
            self.lost = self.anything = True
            return
        self._paths = paths(self.registers)
        tiles = self.stream.bds.tile[self.stream.configured :]
        merged = {int(tile) for tile in set(tiles.tolist()) if tile % ROWS}
        self._groups = groups(self._paths, self.registers.cores, merged)
        self._starters = [ACTORS + tile for tile in (*self.registers.cores, *merged)]
        for route in self._paths.others:
            self._starters += [end.endpoint for end in route.sinks]
        self._starters += [ACTORS + tile for tile in self._paths.steered]
        self._members = {}
        for channel, word in self.registers.pushes:
            self._join(self._task(NONE, channel, word))

    def _join(self, task: Task) -> None:
        """Let a task's locks join its channel with others; it may send without being fed."""
        if is_shim(task.channel):
            return
        bds = self.stream.bds
        locks = [
            lock for _, row in task.chain for lock in (bds.lock[row], bds.given[row]) if row >= 0
        ]
        for lock in locks:
            if lock >= 0:
                self._groups.join_lock(task.channel, lock)
        if not any(lock >= 0 for lock in locks):
            self._groups.join_tile(task.channel // TILE_CHANNELS)
        row = task.chain[0][1] if task.chain else NONE
        if is_sender(task.channel) and row >= 0 and self._is_free(row):
            self._starters.append(task.channel)
        self._members.clear()

    def _is_free(self, row: int) -> bool:
        """Whether a BD's lock can be taken as locks begin."""
        lock, wanted = self.stream.bds.lock[row], self.stream.bds.lock_value[row]
        if lock < 0:
            return True
        held = self.registers.locks.get(divmod(lock, LOCK_SLOTS), 0)
        return held >= -wanted if wanted < 0 else held == wanted

    def group(self, channel: int) -> list[int]:
        """Channels with tasks that a channel can depend on, itself included."""
        if self._dirty:
            self._reroute()
        root = self._groups.of(channel)
        if root not in self._members:
            self._members[root] = [n for n in self.channels if self._groups.of(n) == root]
        return self._members[root]

    def starved(self, channel: int) -> bool:
        """Whether a shim's receiving channel certainly has had nothing sent to it so far."""
        if is_sender(channel) or not is_shim(channel) or self.anything:
            return False
        members = self.group(channel)
        if any(is_sender(n) and is_shim(n) for n in members):
            return False
        root = self._groups.of(channel)
        return all(self._groups.of(node) != root for node in self._starters)

    # Events

    def _load(self, event: Event) -> None:
        if event.value == NONE:
            self.load_missing(event.op, event.number)
        else:
            self._begin(self.stream.epochs[event.value], event.op)

    def _describe(self, event: Event) -> None:
        tile, row = event[2], event[3]
        bd = int(self.stream.bds.number[row])
        key = tile * BD_SLOTS + bd
        if self._configured_by is None:
            self.described(event[0], tile, bd)
        self.rows[key] = row
        self.patched_at.pop(key, None)

    def _patch(self, event: Event) -> None:
        self.patched(event)
        if event.where != NONE:
            self.patched_at[event.where] = event.op

    def _update(self, event: Event) -> None:
        self.anything = True

    def _push(self, event: Event) -> None:
        self._add(event[0], event[2], event[4] & event[5])

    def _task(self, op: int, channel: int, word: int) -> Task:
        tile = channel // TILE_CHANNELS
        bd = word & int(QUEUE_BD_MASKS[min(tile % ROWS, 2)])
        chain: list[tuple[int, int]] = []
        seen: set[int] = set()
        at, after = bd, self.stream.bds.next
        while at != NONE and at not in seen:
            seen.add(at)
            row = self.rows.get(tile * BD_SLOTS + at, NONE)
            chain.append((at, row))
            at = after[row] if row >= 0 else NONE
        state = self.channels.get(channel)
        repeats = word >> QUEUE_REPEAT.shift & QUEUE_REPEAT.mask
        token = bool(word >> QUEUE_TOKEN.shift & 1)
        index = state.tasks if state else 0
        return Task(op, channel, index, bd, tuple(chain), at != NONE, repeats, token)

    def _add(self, op: int, channel: int, word: int) -> None:
        task = self._task(op, channel, word)
        if self._dirty:
            self._reroute()
        if op >= 0:
            self._join(task)
        self.started(task)
        state = self.channel(channel)
        if task.endless:
            state.limit = min(state.limit, task.place)
        elif task.token:
            state.tokens.append(task.place)
            state.issued += 1
        state.tasks += 1
        state.sent_by.append(op)

    def _control(self, event: Event) -> None:
        if self.registers.write_control(event.where, event.value, event.mask):
            state = self.channel(event.where)
            state.covered, state.limit = state.tasks, NEVER

    def _lock(self, event: Event) -> None:
        self.anything = True

    def _switch(self, event: Event) -> None:
        self.registers.write_switch(*event[2:])
        self._dirty = True

    def _mux(self, event: Event) -> None:
        self.registers.write_mux(*event[2:])
        self._dirty = True

    def _wait(self, event: Event) -> None:
        asked = rectangle(event[4], event[5])
        channels = asked.channels(self.columns)
        self.awaited(event[0], asked, channels)
        for number in channels:
            state = self.channel(number)
            if state.tokens:
                state.cover(state.tokens.popleft() + 1)
                self._cover_group(number)
        self.passed()

    def _cover_group(self, number: int) -> None:
        """Whatever the channel depends on may have ended; of itself more is known."""
        for member in self.group(number):
            if member != number:
                state = self.channels[member]
                state.cover(state.tasks)

    def _poll(self, event: Event) -> None:
        self.polled(event)
        number = event.where
        if number == NONE:
            self.anything = True
            for state in self.channels.values():
                state.cover(state.tasks)
        elif (left := left_in_queue(event.value, event.mask)) is None:
            self.channel(number).cover(self.channel(number).tasks)
            self._cover_group(number)
        else:
            self.channel(number).cover(self.channel(number).tasks - 1 - left)
        self.passed()

    def _merge(self, event: Event) -> None:
        columns = min(event.mask, self.columns)
        self.merged(event.op, event.value, columns)
        for number in list(self.channels):
            if number // TILE_CHANNELS // ROWS < columns:
                self.channels[number].cover(self.channels[number].tasks)
                self._cover_group(number)
        self.passed()
