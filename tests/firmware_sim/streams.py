# SPDX-License-Identifier: Apache-2.0
"""Small streams for the simulator's tests, op by op, and the golden cases that aiecc made."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

import numpy as np

from aie2 import txn
from aie2.devices import NPU1
from aie2.registers import SHIM_BD, SHIM_DMA, SHIM_QUEUE, Direction
from aie2.tiles import address
from firmware_sim import read_configuration
from iron_designs.shipped import select

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
S2MM, MM2S = Direction.S2MM, Direction.MM2S


@lru_cache
def passthrough(columns: int = 1, object_bytes: int = 1024, device: str = "npu1"):
    """Configuration of a shipped passthrough."""
    return read_configuration(
        select(device, columns, object_bytes, object_bytes=object_bytes).read()
    )


def bd(number: int, words: int, *, column: int = 0, **fields: int) -> txn.Op:
    known = {"burst_length": NPU1.burst_code, "axcache": 2, "valid_bd": 1} | fields
    payload = SHIM_BD.encode(buffer_length=words, **known)
    return txn.BlockWrite(
        address(column, 0, SHIM_DMA.bd_address(number)), tuple(int(word) for word in payload)
    )


def patch(number: int, arg: int, plus: int, *, column: int = 0) -> txn.Op:
    return txn.DdrPatch(address(column, 0, SHIM_DMA.bd_address(number) + 4), arg, plus)


def token_id(column: int = 0, controller: int = 15, direction: Direction = S2MM) -> txn.Op:
    return txn.MaskWrite(address(column, 0, SHIM_DMA.ctrl(direction, 0)), controller << 8, 0x1F00)


def push(
    direction: Direction, number: int, *, token: bool = False, repeat: int = 0, column: int = 0
) -> txn.Op:
    word = SHIM_QUEUE.encode(start_bd_id=number, repeat_count=repeat, enable_token_issue=int(token))
    return txn.Write(address(column, 0, SHIM_DMA.queue_address(direction, 0)), int(word[0]))


def wait(direction: Direction = S2MM, column: int = 0) -> txn.Op:
    return txn.Tct(column, 0, direction, 0)


def copy(words: int, *, receive: int = 0, send: int = 1, column: int = 0) -> list[txn.Op]:
    """Copy `words` words from the start of argument 0 to the start of argument 1, and wait."""
    return [
        bd(receive, words, column=column),
        patch(receive, 1, 0, column=column),
        bd(send, words, column=column),
        patch(send, 0, 0, column=column),
        token_id(column),
        push(S2MM, receive, token=True, column=column),
        push(MM2S, send, column=column),
        wait(column=column),
    ]


def stream(ops: list[txn.Op], columns: int = 1, device=NPU1) -> bytes:
    header = txn.Header(0, 1, device.generation, device.rows, columns, device.memtile_rows)
    return txn.encode(txn.Program(header, tuple(ops)))


def buffers(words: int = 1024, more: int = 0) -> list[np.ndarray]:
    """An input of counting words, and an output of zeros `more` words longer."""
    return [np.arange(1, words + 1, dtype=np.uint32), np.zeros(words + more, np.uint32)]


def golden(name: str) -> dict:
    return json.loads((GOLDEN / name / "case.json").read_text())


def golden_names() -> list[str]:
    return sorted(path.name for path in GOLDEN.iterdir() if path.is_dir())


def golden_buffers(case: dict) -> list[np.ndarray]:
    """Host buffers of a case: random inputs, outputs of a pattern that must survive elsewhere."""
    rng = np.random.default_rng(7)
    return [
        rng.integers(0, 256, entry["bytes"], np.uint8)
        if entry["dir"] == "in"
        else np.full(entry["bytes"], 0xEE, np.uint8)
        for entry in case["buffers"]
    ]


def golden_expected(case: dict, inputs: list[np.ndarray]) -> list[np.ndarray]:
    """What the buffers must hold after the run, from the case's list of copies."""
    expected = [buffer.copy() for buffer in inputs]
    copies = case["expect"]["copies"]
    assert copies
    for target, target_offset, source, source_offset, count in copies:
        piece = inputs[source][source_offset : source_offset + count]
        assert piece.size == count
        expected[target][target_offset : target_offset + count] = piece
    return expected
