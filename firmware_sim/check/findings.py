# SPDX-License-Identifier: Apache-2.0
"""Mistakes that `check` finds: their names and sentences, and a list that tells each once."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal, NamedTuple

Severity = Literal["error", "warning"]

CONFIGURED = -1
"""Op of a finding that the configuration causes."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A mistake, or what may be one."""

    kind: str
    """Name, that of `firmware_sim.diagnostics.KINDS` where the simulator knows the same thing."""
    severity: Severity
    """"error": certain, whenever the op is reached; "warning": possible."""
    op: int
    """Op of the stream by number, -1: the configuration."""
    where: str
    """Channel or tile, "" for the stream as a whole."""
    message: str
    """What is wrong and what to do."""
    times: int = 1
    """How often the same was found; `op` is the first."""

    def __str__(self) -> str:
        place = "configuration" if self.op == CONFIGURED else f"op {self.op}"
        more = f" ({self.times} times)" if self.times > 1 else ""
        return f"{self.severity}: {self.kind} at {place}: {self.message}{more}"


SENTENCES = {
    "queue-overflow": (
        "{where} is pushed BD {bd} as task {count} with no wait between that could have covered "
        "an earlier one; its queue holds {depth} and 1 runs, so {outcome}: await earlier tasks, "
        "chain BDs, or poll the queue-full bit before pushing"
    ),
    "live-bd-rewritten": (
        "BD {bd} of {where} is rewritten, and {channel}, to which {pushed} pushed it, {live}; "
        "wait for that task's token first"
    ),
    "live-bd-patched": (
        "BD {bd} of {where} is given a new address, and {channel}, to which {pushed} pushed "
        "it, {live}; wait for that task's token first"
    ),
    "live-bd-pushed": (
        "BD {bd} of {where} is pushed again, and {channel}, to which {pushed} pushed it, "
        "{live}; right only if both tasks are meant to be the same"
    ),
    "bd-invalid": (
        "{where} is given BD {bd}, {unwritten}; the channel halts: write the BD before it is pushed"
    ),
    "bd-missing": "{where} is given BD {bd}, which its tile does not have; use a lower BD id",
    "bd-empty": "{where} is given BD {bd} with length 0, where it halts; give a length in words",
    "bd-feature": "{where} is given BD {bd} with compression, which the simulator does not model",
    "bd-field": (
        "{where} is given BD {bd} with a field out of range (a lock that its channel does not "
        "have, or an iteration beyond its wrap); correct the field"
    ),
    "bd-parity": (
        "{where} cannot run BD {bd}: memtile BDs 0 to 23 are for even channels, 24 to 47 for odd "
        "ones; use one of the other half"
    ),
    "bad-address": (
        "{where} is given BD {bd}, {reach}; correct its address, length or steps, or patch it"
    ),
    "task-never-runs": (
        "{where} is pushed BD {bd} behind a task whose chain never ends; it never starts: reset "
        "the channel first, or give the chain an end"
    ),
    "no-route": "{where} is given BD {bd} but has no stream route; connect it in the switches",
    "route-dead-end": (
        "the words of {where} also go where nothing takes them, since {why}; the stream stops "
        "when its FIFOs are full: connect the port or disable it"
    ),
    "packet-unrouted": (
        "{where} sends BD {bd} with packet id {id}, for which no packet slot on its way has a "
        "rule; add the slot, or correct the id"
    ),
    "token-unrouted": (
        "{where} is asked for a token, and its controller id {id} has no route to the controller: "
        "the token never arrives; route the tile's control port to its column's shim south 0 for "
        "that id, or set the id that the route has"
    ),
    "wait-without-token": (
        "waits for a token of {where}, but {why}; this op never ends: push a task with its token "
        "bit set before it, or drop the wait"
    ),
    "wait-before-data": (
        "waits for a token of {where}, to which nothing has been sent by then; this op never ends: "
        "push what sends to it before the wait"
    ),
    "poll-never-true": (
        "polls until a register is 0x{value:x} under mask 0x{mask:x}, which has bits outside the "
        "mask; this op never ends: correct the value or the mask"
    ),
    "token-left": (
        "{count} of the tokens of {where} {are} never waited for; a wait of the next run could "
        "take one and end too early: drop the token bit, or wait"
    ),
    "ends-early": (
        "no wait follows that could cover the task of BD {bd} on {where}; the host may look at its "
        "buffers too early: wait for its token before the end"
    ),
    "bad-patch": (
        "DDR patch of argument {argument}, but the xclbin declares {declared} host buffers; pass "
        "that buffer through a kernel that declares it, or correct the argument"
    ),
    "too-many-buffers": (
        "DDR patch of argument {argument}, but the xclbin declares {declared} host buffers; a real "
        "device cannot be called with more"
    ),
    "patch-not-folded": (
        "DDR patch of argument {argument} is not folded{declared}: firmware translates only the "
        "first five host buffers, and 0x80000000 must be added to the offset of the others; "
        "compile again with address folding"
    ),
    "patch-offset": (
        "DDR patch by {offset} bytes is beyond what a host buffer can hold; correct the offset"
    ),
    "patch-misplaced": (
        "DDR patch of register 0x{address:x}, which is not the address word of a shim's BD; patch "
        "BD + 4"
    ),
    "misaligned": "{access} 0x{address:x}, which is no multiple of 4; registers are 32-bit words",
    "outside-partition": (
        "{access} 0x{address:x}, tile ({column},{row}), outside the design's {columns} columns; "
        "use the xclbin that the stream was made for"
    ),
    "unmodelled-register": (
        "write to 0x{address:x}, offset 0x{offset:x} of {where}, which is no register known here; "
        "correct the address if it is not meant"
    ),
    "unmodelled-read": (
        "read of 0x{address:x}, offset 0x{offset:x} of {where}, which is no register known here; "
        "correct the address if it is not meant"
    ),
    "unmodelled-op": (
        "{name} belongs to the full-ELF flow or is unknown; in the xclbin flow it does nothing or "
        "fails"
    ),
    "load-pdi": ("loads PDI {pdi}, which the container does not hold; name one of {known}"),
    "other-device": (
        "the stream is for {device}, which has {there} columns, and the design is {columns} "
        "columns wide; use the stream that was made with this xclbin"
    ),
    "other-columns": (
        "the stream's header states {stated} columns and the design has {columns}; use the xclbin "
        "that the stream was made for"
    ),
}
"""What to say of each kind, in words that fit both a certainty and a possibility."""


class _Entry(NamedTuple):
    finding: Finding
    times: list[int]


class Findings:
    """Collects findings; the same one met again only adds to its count."""

    def __init__(self) -> None:
        self._entries: dict[tuple[str, str, Hashable], _Entry] = {}

    def add(
        self, kind: str, certain: bool, op: int, where: str, same: Hashable = None, **values: object
    ) -> None:
        """Add a finding; those of one kind, place and `same` are told once.

        One that is certain takes the place of one that was only possible.
        """
        key = kind, where, same
        entry = self._entries.get(key)
        if entry is not None:
            entry.times[0] += 1
            if not certain or entry.finding.severity == "error":
                return
        message = SENTENCES[kind].format(where=where, **values)
        finding = Finding(kind, "error" if certain else "warning", op, where, message)
        self._entries[key] = _Entry(finding, entry.times if entry else [1])

    def all(self) -> tuple[Finding, ...]:
        """Errors first, then in order of the ops."""
        found = [
            Finding(f.kind, f.severity, f.op, f.where, f.message, times[0])
            for f, times in self._entries.values()
        ]
        return tuple(sorted(found, key=lambda f: (f.severity, f.op)))
