# SPDX-License-Identifier: Apache-2.0
"""Mistakes in a design and its stream that need no execution: found in one walk over the stream.

"error" is what goes wrong whenever the op is reached, "warning" what may: whether a task has ended
by then is known only to who runs it (`firmware_sim.simulate`). Cost is linear in the stream.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from aie2.devices import by_generation
from aie2.fields import WORD_BYTES
from aie2.tiles import OFFSET_MASK, split
from aie2.txn import Opcode
from bdgen.target import REACH_BYTES, TRANSLATED_ARGS
from firmware_sim.array.configure import Configuration, XclbinSource, read_configuration
from firmware_sim.array.controller import FOLD
from firmware_sim.array.mmio import LOCK_REQUEST, NOTHING, SILENT
from firmware_sim.array.state import (
    NONE,
    ROWS,
    tile_name,
)
from firmware_sim.check.findings import Finding, Findings
from firmware_sim.check.ops import PATCHED
from firmware_sim.check.registers import (
    MISALIGNED,
    OUTSIDE,
    loadable,
    registers_of,
)
from firmware_sim.check.rules import Checker
from firmware_sim.check.stream import Event, Stream, read_stream
from firmware_sim.inputs import Insts, stream_of

NOT_IN_XCLBIN_FLOW = (
    *(Opcode.CREATE_SCRATCHPAD, Opcode.UPDATE_REG, Opcode.LOAD_PM_START, Opcode.CUSTOM_134),
)


def check(xclbin: XclbinSource | Configuration, insts: Insts) -> tuple[Finding, ...]:
    """Everything that can be said against running a stream on a design; empty: nothing.

    Args:
        xclbin: path, bytes or parsed container, or a `Configuration`.
        insts: TXN stream: path, bytes or words.

    Raises:
        aie2.errors.Aie2Error: a malformed container or stream, or a device that is not known.
        SimulationError: the container holds no configuration, or one wider than any device.
    """
    configuration = read_configuration(xclbin)
    base, others = registers_of(configuration), loadable(configuration)
    stream = read_stream(stream_of(insts), base, others)
    findings = Findings()
    _check_header(stream, configuration, findings)
    _check_accesses(stream, configuration.columns, findings)
    _check_patches(stream, configuration, findings)
    Checker(stream, configuration, findings).run()
    return findings.all()


def _check_header(stream: Stream, configuration: Configuration, findings: Findings) -> None:
    """Whether stream and design are made for each other, as far as they say."""
    device, stated = by_generation(stream.header.generation), stream.header.columns
    columns = configuration.columns
    if columns > device.columns:
        names = {"device": device.name, "there": device.columns, "columns": columns}
        findings.add("other-device", True, 0, "", **names)
    elif stated > columns:
        findings.add("other-columns", True, 0, "", stated=stated, columns=columns)


def _check_accesses(stream: Stream, columns: int, findings: Findings) -> None:
    """Registers that are not there."""
    op, address, places, reads = stream.accesses
    wrong = np.isin(places.what, (OUTSIDE, MISALIGNED, NOTHING))
    wrong |= ~reads & (places.what == LOCK_REQUEST) | reads & (places.what == SILENT)
    for at in np.flatnonzero(wrong).tolist():
        where, what = int(address[at]), int(places.what[at])
        tile = tile_name(*divmod(int(places.tile[at]), ROWS))
        access = "read of" if reads[at] else "write to"
        values = {"address": where, "access": access, "columns": columns}
        if what == OUTSIDE:
            place = split(where & 0xFFFFFFFF)
            values |= {"column": place.column, "row": place.row}
            same = place.column, place.row
            findings.add("outside-partition", True, int(op[at]), "", same, **values)
        elif what == MISALIGNED:
            findings.add("misaligned", True, int(op[at]), tile, where, **values)
        else:
            kind = "unmodelled-read" if reads[at] else "unmodelled-register"
            offset = where & OFFSET_MASK
            findings.add(kind, False, int(op[at]), tile, where, offset=offset, **values)
    for number in np.flatnonzero(np.isin(stream.opcodes, NOT_IN_XCLBIN_FLOW)).tolist():
        name = Opcode(int(stream.opcodes[number])).name
        findings.add("unmodelled-op", False, number, "", name, name=name)


def _check_patches(stream: Stream, configuration: Configuration, findings: Findings) -> None:
    """Arguments, offsets and places of DDR patches."""
    for event in stream.events:
        if event[1] == PATCHED:
            _check_patch(event, configuration, findings)


def _check_patch(event: Event, configuration: Configuration, findings: Findings) -> None:
    argument, offset, declared = event.number, event.value, configuration.host_buffers
    plain = argument < TRANSLATED_ARGS
    folded = not plain and offset >= FOLD
    add = partial(findings.add, op=event.op, where="", argument=argument)
    too_many = bool(declared) and argument >= (declared or 0)
    if plain and too_many:
        add("bad-patch", True, same=argument, declared=declared)
    elif not plain and not folded:
        text = f" (and the xclbin declares {declared})" if too_many else ""
        add("patch-not-folded", False, declared=text)
    elif too_many:
        add("too-many-buffers", False, declared=declared)
    if (offset - FOLD if folded else offset) >= REACH_BYTES:
        add("patch-offset", True, offset=offset)
    if offset % WORD_BYTES:
        access = f"DDR patch of argument {argument} by"
        add("misaligned", False, same="patch", access=access, address=offset)
    place = split(event.mask)
    inside = place.column < configuration.columns and place.row < ROWS
    if event.where == NONE and inside and event.mask % WORD_BYTES == 0:
        add("patch-misplaced", False, address=event.mask)
