# SPDX-License-Identifier: Apache-2.0
"""Cases, each from its seed and number alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from aie2 import txn
from aie2.devices import NPU1, NPU2
from aie2.errors import Aie2Error
from tests.fuzz.containers import (
    BODY_BYTE,
    HEADERS,
    Container,
    cdo_of,
    repaired,
    writes_to_commands,
)
from tests.fuzz.containers import edited as edited_commands
from tests.fuzz.damage import damaged, numbers_changed
from tests.fuzz.programs import Maker, control_words
from tests.fuzz.registers import one_in
from tests.fuzz.streams import edited as edited_ops

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
CLOCKS_MHZ = (1.0, 1.0, 1.0, 4.0)
"""Slow clocks: the watchdog's two seconds are then 2 or 8 million cycles."""
SIZES = (0, 4, 64, 1024, 1024, 4096, 4096, 16384, 65536, 1002)
"""Bytes of host buffers that need not fit."""
PROGRAM_SIZES = (16384, 16384, 16384)
"""Bytes of host buffers that fit a made-up design."""


@dataclass
class Case:
    """What is given to the readers and to the simulator."""

    number: int
    kind: str
    xclbin: bytes
    insts: bytes
    buffers: list[NDArray[np.uint8]] = field(repr=False)
    options: dict[str, Any]
    cores: dict[tuple[int, int], int]
    """Seeds of core models by (column, row)."""


@dataclass(frozen=True)
class Golden:
    """A design that mlir-aie compiled."""

    name: str
    container: Container
    insts: bytes
    program: txn.Program
    sizes: tuple[int, ...]
    """Bytes of its host buffers."""

    @property
    def columns(self) -> int:
        """Columns that its stream is for."""
        return self.program.header.columns


@cache
def goldens() -> tuple[Golden, ...]:
    """All compiled designs; those of few columns count three times, as they run faster."""
    made: list[Golden] = []
    for path in sorted(GOLDEN.iterdir()):
        insts = (path / "insts.bin").read_bytes()
        container = Container.of((path / "aie.xclbin").read_bytes())
        about = json.loads((path / "case.json").read_text())
        sizes = tuple(each["bytes"] for each in about["buffers"])
        golden = Golden(path.name, container, insts, txn.decode(insts), sizes)
        made += [golden] * (1 if golden.columns > 1 else 3)
    return tuple(made)


def case(seed: int, number: int) -> Case:
    """Case `number` of a seed."""
    rng = Random(f"{seed}/{number}")
    name, make = rng.choice(KINDS)
    made = make(rng)
    buffers = [_buffer(rng, size, made.columns) for size in _sizes(rng, made.sizes)]
    return Case(number, name, made.xclbin, made.insts, buffers, _options(rng), _cores(rng))


class Made(NamedTuple):
    """What a kind of case is: files, columns of the stream, and sizes of buffers that fit it."""

    xclbin: bytes
    insts: bytes
    columns: int
    sizes: tuple[int, ...]


def _container(rng: Random) -> Made:
    golden = rng.choice(goldens())
    data = golden.container.data
    match rng.randrange(3):
        case 0:
            data = damaged(rng, data)
        case 1:
            data = numbers_changed(rng, data, 296, 456 + 7 * 40, rng.choice((1, 1, 2)))
        case _:
            first = golden.container.section
            data = numbers_changed(rng, data, first, first + 400, rng.choice((1, 1, 2)))
    return Made(data, golden.insts, golden.columns, golden.sizes)


def _image(rng: Random) -> Made:
    golden = rng.choice(goldens())
    container = golden.container
    image = container.image
    if one_in(rng, 2):
        whole = cdo_of(edited_commands(rng, container.commands, golden.columns))
        image = container.transformed_image_of(whole, whole=one_in(rng, 2))
        if rng.randrange(4):
            end = BODY_BYTE + 20 + len(image) // 4
            image = numbers_changed(rng, image, BODY_BYTE + 20, end, rng.choice((1, 1, 3)))
        else:
            image = damaged(rng, image)
    elif one_in(rng, 2):
        first, words = rng.choice(HEADERS)
        image = repaired(numbers_changed(rng, image, first, first + 4 * words, 2))
    else:
        image = damaged(rng, image)
    return Made(container.with_image(image), golden.insts, golden.columns, golden.sizes)


def _configuration(rng: Random) -> Made:
    golden = rng.choice(goldens())
    container = golden.container
    made = cdo_of(edited_commands(rng, container.commands, golden.columns))
    if one_in(rng, 6):
        made = numbers_changed(rng, made, 20, len(made))
    insts = golden.insts if rng.randrange(4) else _edited_stream(rng, golden)
    wrap = container.transformed_image_of if one_in(rng, 5) and made else container.image_of
    try:
        image = wrap(made)
    except Aie2Error:
        image = container.image_of(made)
    return Made(container.with_image(image), insts, golden.columns, golden.sizes)


def _edited_stream(rng: Random, golden: Golden) -> bytes:
    program = golden.program
    if len(program.ops) > 400:
        program = replace(program, ops=program.ops[: rng.randrange(400)])
    try:
        return txn.encode(edited_ops(rng, program, golden.columns))
    except Aie2Error:
        return damaged(rng, golden.insts)


def _stream(rng: Random) -> Made:
    golden = rng.choice(goldens())
    insts = _edited_stream(rng, golden) if rng.randrange(4) else golden.insts
    if insts is golden.insts or one_in(rng, 8):
        insts = rng.choice((damaged, _numbers))(rng, insts)
    return Made(golden.container.data, insts, golden.columns, golden.sizes)


def _numbers(rng: Random, data: bytes) -> bytes:
    return numbers_changed(rng, data, 0, len(data), rng.choice((1, 2, 4)))


def _program(rng: Random) -> Made:
    design = Maker(rng).make()
    device = rng.choice((NPU1, NPU2))
    wide = [each for each in goldens() if design.columns <= each.columns <= device.columns]
    container = rng.choice(wide).container
    commands = writes_to_commands(design.writes)
    configuration = cdo_of(commands)
    wrap = container.transformed_image_of if one_in(rng, 4) else container.image_of
    header = txn.Header(0, 1, device.generation, 6, design.columns, 1)
    insts = txn.encode(txn.Program(header, tuple(design.ops)))
    return Made(container.with_image(wrap(configuration)), insts, design.columns, PROGRAM_SIZES)


KINDS: tuple[tuple[str, Callable[[Random], Made]], ...] = (
    *[("container", _container)] * 3,
    *[("image", _image)] * 2,
    *[("configuration", _configuration)] * 5,
    *[("stream", _stream)] * 6,
    *[("program", _program)] * 6,
)
"""Kinds of cases, as often as they are to be made."""


def _sizes(rng: Random, fitting: tuple[int, ...]) -> tuple[int, ...]:
    """Bytes of host buffers: those that fit, or fewer, more, others."""
    if rng.randrange(3):
        return fitting
    return tuple(rng.choice(SIZES) for _ in range(rng.choice((0, 1, 2, 2, 3, 3, 8))))


def _buffer(rng: Random, size: int, columns: int) -> NDArray[np.uint8]:
    """A host buffer: control packets or not, then noise, then zeros."""
    data = np.zeros(size, np.uint8)
    words = control_words(rng, min(64, size // 4), columns) if one_in(rng, 3) else []
    data[: 4 * len(words)] = np.array(words, "<u4").view(np.uint8)
    noise = data[4 * len(words) : 4096]
    noise[:] = np.frombuffer(rng.randbytes(noise.size), np.uint8)
    return data


def _options(rng: Random) -> dict[str, Any]:
    options: dict[str, Any] = {"clock_mhz": rng.choice(CLOCKS_MHZ)}
    if one_in(rng, 10):
        options["firmware"] = "native"
    if one_in(rng, 6):
        options["profile"] = rng.choice(("low", "high"))
    if one_in(rng, 8):
        options["strict"] = True
    if one_in(rng, 6):
        options["trace"] = True
    if one_in(rng, 6):
        options["jitter_seed"] = rng.randrange(1 << 32)
    if one_in(rng, 100):
        options["start_column"] = rng.randrange(-1, 9)
    return options


def _cores(rng: Random) -> dict[tuple[int, int], int]:
    if not one_in(rng, 6):
        return {}
    places = [(0, rng.choice((2, 2, 3, 5))) for _ in range(2)]
    if one_in(rng, 20):
        places.append((rng.choice((1, 2, 9)), rng.choice((1, 2))))
    return {place: rng.randrange(1 << 32) for place in places}
