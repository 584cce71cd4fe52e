# SPDX-License-Identifier: Apache-2.0
"""What `check` looks at on its walk through a stream: BDs, queues, routes, tokens, waits, patches.

A finding is an error only where nothing that is left out here (time, data, cores, control packets)
could make it right.
"""

from __future__ import annotations

from aie2.registers import CHANNEL_CTRL
from aie2.tiles import TileKind
from firmware_sim import diagnostics as d
from firmware_sim.array.bd_registers import BD_COUNTS
from firmware_sim.array.configure import Configuration
from firmware_sim.array.routes import Route
from firmware_sim.array.state import (
    BD_SLOTS,
    NONE,
    PACKET_IDS,
    QUEUE_DEPTH,
    ROWS,
    TILE_CHANNELS,
    channel_name,
    tile_name,
)
from firmware_sim.check.bds import fault_for
from firmware_sim.check.findings import Findings
from firmware_sim.check.ops import CONTROLLED
from firmware_sim.check.paths import is_sender, is_shim
from firmware_sim.check.registers import (
    tile_kind_of,
)
from firmware_sim.check.stream import Event, Stream
from firmware_sim.check.tasks import NEVER, Channel, Rectangle, Task
from firmware_sim.check.walk import Walk
from firmware_sim.diagnostics import KINDS

CONTROLLER_ID = CHANNEL_CTRL.field("controller_id")
OUT_OF_ORDER = CHANNEL_CTRL.field("enable_out_of_order")
REACHES = {
    TileKind.SHIM: "to which no DDR patch has given the address of a host buffer",
    TileKind.MEMTILE: "which reaches beyond the memories that its channel sees: west, own and "
    "east, as far as they are in the partition",
    TileKind.CORE: "which reaches beyond its tile's memory",
}
"""What is wrong with a BD's address."""


class Checker(Walk):
    """Looks at every push, patch, BD and wait on the way."""

    def __init__(self, stream: Stream, configuration: Configuration, findings: Findings) -> None:
        super().__init__(stream)
        self.findings = findings
        self.configuration = configuration
        self.ids_to_come = _ids_to_come(stream)

    def began(self) -> None:
        """See `Walk`."""
        self.merges: list[tuple[int, int]] = []
        self.uses: dict[int, dict[int, tuple[int, int]]] = {}
        """By BD (tile * BD_SLOTS + BD): channel -> (task, op) that ran it last."""
        self.lost_tokens: set[tuple[int, int]] = set()
        """(channel, task) whose tokens never arrive."""

    # BDs

    def described(self, op: int, tile: int, bd: int) -> None:
        """See `Walk`."""
        self._live("live-bd-rewritten", op, tile, bd)
        self.uses.pop(tile * BD_SLOTS + bd, None)

    def patched(self, event: Event) -> None:
        """See `Walk`."""
        if event.where != NONE:
            self._live("live-bd-patched", event.op, *divmod(event.where, BD_SLOTS))

    def _live(self, kind: str, op: int, tile: int, bd: int) -> None:
        """Name the channel that may still have a BD to run."""
        for number, (index, pushed) in self.uses.get(tile * BD_SLOTS + bd, {}).items():
            state = self.channels[number]
            if index < state.covered:
                continue
            sure = index == state.limit and kind != "live-bd-pushed" and self._sure(tile)
            live = "runs it for ever" if sure else "may still have it queued or running"
            by = "the configuration" if pushed < 0 else f"op {pushed}"
            self.findings.add(
                kind,
                sure,
                op,
                tile_name(*divmod(tile, ROWS)),
                (bd, number),
                bd=bd,
                channel=channel_name(number),
                pushed=by,
                live=live,
            )

    def _sure(self, tile: int) -> bool:
        """Whether nothing but configuration and stream writes a tile's registers."""
        return not self.lost and tile not in self.paths.steered

    # Tasks

    def started(self, task: Task) -> None:
        """See `Walk`."""
        state = self.channel(task.channel)
        tile = task.channel // TILE_CHANNELS
        if task.op >= 0:
            self._live("live-bd-pushed", task.op, tile, task.bd)
            self._check_queue(task, state)
            if state.limit != NEVER:
                name = channel_name(task.channel)
                self.findings.add("task-never-runs", False, task.op, name, bd=task.bd)
        self._check_chain(task)
        self._check_routes(task)
        if task.token:
            self._check_token(task)
        for bd, _ in task.chain:
            self.uses.setdefault(tile * BD_SLOTS + bd, {})[task.channel] = (task.place, task.op)

    def _check_queue(self, task: Task, state: Channel) -> None:
        if state.tasks <= QUEUE_DEPTH:
            return
        waiting = state.tasks - state.covered
        sure = self.starved(task.channel)
        if waiting <= QUEUE_DEPTH and not sure:
            return
        certainly = "it is dropped, for nothing has been sent to any of them"
        outcome = certainly if sure else "it is dropped if none of them has ended by then (a race)"
        name = channel_name(task.channel)
        counts = {"bd": task.bd, "count": waiting + 1, "depth": QUEUE_DEPTH, "outcome": outcome}
        self.findings.add("queue-overflow", sure, task.op, name, **counts)

    def _check_chain(self, task: Task) -> None:
        number, tile = task.channel, task.channel // TILE_CHANNELS
        if not is_sender(number) and OUT_OF_ORDER.take(self.registers.control.get(number, 0)):
            return  # packet headers name the BDs
        state = self.channel(number)
        for bd, row in task.chain:
            code, sure = self._fault(number, bd, row)
            sure &= is_shim(number) or (bd == task.bd and state.covered == state.tasks)
            if code:
                reach = REACHES[tile_kind_of(tile)]
                self.findings.add(
                    KINDS[code].name,
                    sure and self._sure(tile),
                    task.op,
                    channel_name(number),
                    bd,
                    bd=bd,
                    unwritten="which nothing has written"
                    if row < 0
                    else "whose valid bit is clear",
                    reach=reach,
                )
                return

    def _fault(self, number: int, bd: int, row: int) -> tuple[int, bool]:
        """(code of why a channel cannot run a BD, 0: it can; whether that is certain)."""
        tile, bds = number // TILE_CHANNELS, self.stream.bds
        if bd >= BD_COUNTS[min(tile % ROWS, 2)]:
            return d.BD_MISSING, True
        if row < 0:
            return d.BD_INVALID, True
        code = fault_for(bds, row, number)
        if not code and is_shim(number) and tile * BD_SLOTS + bd not in self.patched_at:
            return d.BAD_ADDRESS, not bds.address[row] and not self.anything
        if code == d.BAD_ADDRESS:  # met by the word that goes there
            return code, is_sender(number) and bds.lock[row] == NONE
        return code, code != d.BD_FEATURE

    def _check_routes(self, task: Task) -> None:
        number, found = task.channel, self.paths
        if number not in (found.sources if is_sender(number) else found.fed):
            sure = self._sure(number // TILE_CHANNELS) and task.op >= 0
            self.findings.add("no-route", sure, task.op, channel_name(number), bd=task.bd)
        elif (number, None) in found.of:
            self._check_end(task, found.of[number, None])
        elif is_sender(number):
            self._check_packets(task)

    def _check_packets(self, task: Task) -> None:
        """Whether every header that a task's BDs send has a route."""
        number, routes = task.channel, self.paths.of
        for bd, row in task.chain:
            packet_id = self.stream.bds.packet[row] if row >= 0 else NONE
            if packet_id == NONE:
                continue
            if (number, packet_id) in routes:
                self._check_end(task, routes[number, packet_id])
            else:
                sure = is_shim(number) and self._sure(number // TILE_CHANNELS)
                names = {"bd": bd, "id": packet_id}
                name = channel_name(number)
                self.findings.add("packet-unrouted", sure, task.op, name, packet_id, **names)

    def _check_end(self, task: Task, route: Route) -> None:
        """A dead end stops a shim for sure; what a memtile sends may never come."""
        for end in route.dead_ends:
            if end.ports[-1].bundle != "core":
                sure = is_shim(task.channel) and task.op >= 0
                name = channel_name(task.channel)
                self.findings.add("route-dead-end", sure, task.op, name, end.why, why=end.why)

    def _check_token(self, task: Task) -> None:
        tile = task.channel // TILE_CHANNELS
        routed = self.paths.token_ids.get(tile, 0)
        word = self.registers.control.get(task.channel, 0)
        number = CONTROLLER_ID.take(word) % PACKET_IDS
        if routed >> number & 1:
            return
        later = self.ids_to_come.get(task.channel, ())
        sure = self._sure(tile)
        sure &= not any(op > task.op and routed >> other & 1 for op, other in later)
        if sure:
            self.lost_tokens.add((task.channel, task.place))
        sure &= task.op >= 0 and is_shim(task.channel)
        self.findings.add(
            "token-unrouted", sure, task.op, channel_name(task.channel), number, id=number
        )

    # Waits

    def awaited(self, op: int, asked: Rectangle, channels: tuple[int, ...]) -> None:
        """See `Walk`."""
        if not channels:
            name = f"({asked.column},{asked.row}) {('S2MM', 'MM2S')[asked.direction]}"
            why = "this partition does not have that channel in every tile that is asked"
            self._hangs("wait-without-token", op, f"{name} {asked.number}", why, True)
        for number in channels:
            self._await(op, number)

    def _await(self, op: int, number: int) -> None:
        state = self.channel(number)
        why = ""
        if not state.tokens:
            why = "no task pushed before it issues one"
            if state.issued:
                why = f"earlier waits have taken all {state.issued} that tasks pushed before issue"
        elif state.tokens[0] > state.limit:
            why = "an earlier task of the channel never ends"
        elif not is_shim(number) and all((number, n) in self.lost_tokens for n in state.tokens):
            why = "the ids of the tokens that it issues have no route to the controller"
        elif not self.starved(number):
            return
        kind = "wait-without-token" if why else "wait-before-data"
        self._hangs(kind, op, channel_name(number), why, self._sure(number // TILE_CHANNELS))

    def _hangs(self, kind: str, op: int, where: str, why: str, sure: bool) -> None:
        self.findings.add(kind, sure, op, where, why=why)

    def merged(self, op: int, tokens: int, columns: int) -> None:
        """See `Walk`."""
        inside = [n for n in self.channels if n // TILE_CHANNELS // ROWS < columns]
        left = sum(len(self.channels[number].tokens) for number in inside)
        left -= sum(taken for taken, wide in self.merges if wide <= columns)
        self.merges.append((tokens, columns))
        steered = any(tile // ROWS < columns for tile in self.paths.steered)
        if tokens > left:
            why = f"of {tokens} wanted only {left} can have been issued"
            name = f"{columns} columns"
            self._hangs("wait-without-token", op, name, why, not steered)

    def polled(self, event: Event) -> None:
        """See `Walk`."""
        if event.value & ~event.mask:
            values = {"value": event.value, "mask": event.mask}
            self.findings.add("poll-never-true", True, event.op, "", event.number, **values)

    def load_missing(self, op: int, pdi: int) -> None:
        """See `Walk`."""
        known = ", ".join(map(str, self.configuration.others)) or "none: it has no PDI"
        self.findings.add("load-pdi", True, op, "", pdi, pdi=pdi, known=known)

    # The end

    def ended(self) -> None:
        """See `Walk`."""
        for number, state in self.channels.items():
            name, last = channel_name(number), state.tasks - 1
            if state.tokens and not self.merges and state.limit == NEVER:
                op = state.sent_by[state.tokens[0]]
                left = len(state.tokens)
                are = "is" if left == 1 else "are"
                if op >= 0:
                    self.findings.add("token-left", False, op, name, count=left, are=are)
            if is_shim(number) and 0 <= state.covered <= last:
                op = state.sent_by[last]
                bd = self._last_bd(number, last)
                if bd != NONE:
                    self.findings.add("ends-early", False, op, name, bd=bd)

    def _last_bd(self, number: int, index: int) -> int:
        """A BD that the channel's task `index` runs."""
        tile = number // TILE_CHANNELS
        for key, users in self.uses.items():
            if key // BD_SLOTS == tile and users.get(number, (NONE, 0))[0] == index:
                return key % BD_SLOTS
        return NONE


def _ids_to_come(stream: Stream) -> dict[int, list[tuple[int, int]]]:
    """(op, packet id) of every controller id that the stream sets, by channel."""
    found: dict[int, list[tuple[int, int]]] = {}
    for event in stream.events:
        if event[1] == CONTROLLED and event.mask & CONTROLLER_ID.mask << CONTROLLER_ID.lsb:
            number = CONTROLLER_ID.take(event.value) % PACKET_IDS
            found.setdefault(event.where, []).append((event.op, number))
    return found
