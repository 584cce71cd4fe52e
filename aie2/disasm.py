# SPDX-License-Identifier: Apache-2.0
"""Print instruction streams (TXN): one op a line for people, or as JSON for programs.

`aie2.txn.decode` makes what is printed. Byte offsets are those of the version 0.1 stream; a stream
read from version 1.0 is printed as the 0.1 stream that `aie2.txn.encode` would make of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from aie2.devices import DEVICES
from aie2.fields import WORD_BYTES
from aie2.registers import DMA, SHIM_DMA, Direction, DmaMap
from aie2.tiles import ROWS, kind, split
from aie2.txn import (
    HEADER_WORDS,
    BlockWrite,
    Custom134,
    DdrPatch,
    MaskPoll,
    MaskPollBusy,
    MaskWrite,
    Op,
    Program,
    Tct,
    Write,
)

ACTION = 3
"""Word of a DDR patch's reserved words that mlir-aie calls the action."""


def lines(program: Program) -> list[str]:
    """A header line, then a line per op: byte offset, opcode, what it does.

    BD fields that are not zero are given as in `to_json`.
    """
    header = program.header
    devices = {device.generation: device.name for device in DEVICES.values()}
    name = devices.get(header.generation, f"device generation {header.generation}")
    total_bytes = HEADER_WORDS * WORD_BYTES + sum(size for _, size, _ in _placed(program))
    first = (
        f"TXN {header.major}.{header.minor} for {name}: {header.columns} columns, {header.rows} "
        f"rows, {header.memtile_rows} of memtiles; {len(program.ops)} ops, {total_bytes} bytes"
    )
    return [first] + [
        f"{at:8d}  {op.opcode.name:13s} {_text(op)}" for at, _, op in _placed(program)
    ]


def to_json(program: Program) -> dict[str, Any]:
    """Header and ops as JSON-ready dicts.

    Shim BD payloads and queue pushes are also given as fields. These are as the register holds
    them (steps and iteration wrap are actual - 1), but `base_address_low` is in bytes.
    """
    header = program.header
    placed = list(_placed(program))
    return {
        "header": {
            "major": header.major,
            "minor": header.minor,
            "device_generation": header.generation,
            "rows": header.rows,
            "columns": header.columns,
            "memtile_rows": header.memtile_rows,
            "ops": len(program.ops),
            "bytes": HEADER_WORDS * WORD_BYTES + sum(size for _, size, _ in placed),
        },
        "ops": [{"at": at, "op": op.opcode.name.lower(), **_json(op)} for at, _, op in placed],
    }


def _placed(program: Program) -> Iterator[tuple[int, int, Op]]:
    """(byte offset, bytes, op) of every op."""
    at = HEADER_WORDS * WORD_BYTES
    for op in program.ops:
        size_bytes = len(op.to_words()) * WORD_BYTES
        yield at, size_bytes, op
        at += size_bytes


def _hex(word: int) -> str:
    return f"0x{word:08x}"


@dataclass(frozen=True, slots=True)
class _Register:
    """A DMA register that has a name."""

    dma: DmaMap
    what: str
    """One of "BD", "queue", "ctrl", "status"."""
    number: int
    """BD or channel."""
    direction: Direction = Direction.S2MM

    def __str__(self) -> str:
        if self.what == "BD":
            return f"BD {self.number}"
        return f"{self.direction.name} {self.number} {self.what}"


def _named(dma: DmaMap) -> dict[int, _Register]:
    """Registers of a DMA by offset in the tile; of each BD the first word."""
    names = {dma.bd_address(bd): _Register(dma, "BD", bd) for bd in range(dma.bd_count)}
    for direction in Direction:
        for channel in range(dma.channels(direction)):
            places = {
                "queue": dma.queue_address(direction, channel),
                "ctrl": dma.ctrl(direction, channel),
                "status": dma.status(direction, channel),
            }
            for what, offset in places.items():
                names[offset] = _Register(dma, what, channel, direction)
    return names


_NAMED = {tile: _named(dma) for tile, dma in DMA.items()}


def _register(address: int) -> _Register | None:
    """The DMA register at `address`, None if it is anything else."""
    place = split(address)
    return _NAMED[kind(place.row)].get(place.offset) if place.row in ROWS else None


def _where(address: int) -> str:
    place = split(address)
    register = _register(address)
    name = f" {register}" if register else ""
    return f"({place.column},{place.row}) 0x{place.offset:05x}{name}"


def _text(op: Op) -> str:
    """What an op does, in a line."""
    match op:
        case Write():
            return _write_text(op)
        case BlockWrite():
            return _block_write_text(op)
        case MaskWrite():
            return f"{_where(op.address)} = {_hex(op.value)} under {_hex(op.mask)}"
        case MaskPoll() | MaskPollBusy():
            return f"until {_where(op.address)} is {_hex(op.value)} under {_hex(op.mask)}"
        case DdrPatch():
            reserved = f", reserved {' '.join(map(_hex, op.reserved))}" if any(op.reserved) else ""
            return f"{_where(op.address)} = host buffer {op.arg} + {op.arg_plus}{reserved}"
        case Tct():
            tiles = (
                f"{op.columns} x {op.rows} tiles from " if (op.columns, op.rows) != (1, 1) else ""
            )
            return f"token of {tiles}({op.column},{op.row}) {op.direction.name} {op.channel}"
        case Custom134():
            words = "".join(f" {_hex(word)}" for word in op.payload)
            return f"unknown, of {op.to_words()[1]} bytes:{words or ' no payload'}"
    return ", ".join(f"{name} {value}" for name, value in asdict(op).items())


def _write_text(op: Write) -> str:
    register = _register(op.address)
    if register is None or register.what != "queue":
        return f"{_where(op.address)} = {_hex(op.value)}"
    fields = register.dma.queue.decode([op.value])
    repeat = f", repeat_count {fields['repeat_count']}" if fields["repeat_count"] else ""
    token = ", token" if fields["enable_token_issue"] else ""
    return f"{_where(op.address)}: push start_bd_id {fields['start_bd_id']}{repeat}{token}"


def _block_write_text(op: BlockWrite) -> str:
    register = _register(op.address)
    if register is None or register.what != "BD" or len(op.payload) != register.dma.bd.words:
        return f"{_where(op.address)} = {' '.join(map(_hex, op.payload))}"
    named = [f"{name} {value}" for name, value in _bd_fields(register, op).items() if value]
    return f"{_where(op.address)}: {', '.join(named) or 'all zero'}"


def _bd_fields(register: _Register, op: BlockWrite) -> dict[str, int]:
    """Fields of a BD as its registers hold them, but the shim's low address in bytes."""
    fields = register.dma.bd.decode(op.payload)
    if register.dma is SHIM_DMA:
        fields["base_address_low"] <<= register.dma.bd.field("base_address_low").lsb
    return fields


def _json(op: Op) -> dict[str, Any]:
    if isinstance(op, Write):
        return _place(op.address) | {"value": _hex(op.value)} | _push(op)
    if isinstance(op, BlockWrite):
        words = {"tile_word": _hex(op.tile_word), "payload": [_hex(word) for word in op.payload]}
        return _place(op.address) | words | _shim_bd(op)
    if isinstance(op, MaskWrite | MaskPoll | MaskPollBusy):
        return _place(op.address) | {"value": _hex(op.value), "mask": _hex(op.mask)}
    if isinstance(op, DdrPatch):
        patch = {"arg": op.arg, "arg_plus": op.arg_plus, "action": op.reserved[ACTION]}
        reserved = {"reserved": [_hex(word) for word in op.reserved]} if any(op.reserved) else {}
        return _place(op.address) | patch | reserved
    if isinstance(op, Tct):
        return {
            "direction": op.direction.name.lower(),
            "row": op.row,
            "column": op.column,
            "row_num": op.rows,
            "column_num": op.columns,
            "channel": op.channel,
        }
    return asdict(op)


def _place(address: int) -> dict[str, Any]:
    place = split(address)
    offset = f"0x{place.offset:05x}"
    return {"address": _hex(address), "column": place.column, "row": place.row, "offset": offset}


def _push(op: Write) -> dict[str, Any]:
    register = _register(op.address)
    if register is None or register.what != "queue":
        return {}
    fields = register.dma.queue.decode([op.value])
    push = {
        "direction": register.direction.name.lower(),
        "channel": register.number,
        "bd_id": fields["start_bd_id"],
        "repeat_count": fields["repeat_count"],
        "token": fields["enable_token_issue"],
    }
    return {"queue_push": push}


def _shim_bd(op: BlockWrite) -> dict[str, Any]:
    register = _register(op.address)
    if register is None or register.dma is not SHIM_DMA or register.what != "BD":
        return {}
    if len(op.payload) != SHIM_DMA.bd.words:
        return {}
    return {"shim_bd": {"bd_id": register.number, **_bd_fields(register, op)}}
