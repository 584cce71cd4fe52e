# SPDX-License-Identifier: Apache-2.0
"""Read MLIR of data-movement designs: what `iron_designs.compiler.mlir` prints, and mlir-aie too.

The subset: tiles, object fifos of 32-bit elements, links, and a runtime sequence of DMA tasks. What
is outside it, such as cores and kernels, is named and refused, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from aie2.devices import DEVICES, Device
from aie2.errors import Aie2Error
from iron_designs.dataflow import Dataflow, Dim, Dims, Fifo, Link, Tile
from iron_designs.errors import DesignError
from iron_designs.runtime_sequence import DIMS, RuntimeSequence, ShimBd, Task, linear

_DEVICE = re.compile(r"aie\.device\((npu[12])(?:_(\d)col)?\)(?: @[\w$.]+)? \{")
_TILE = re.compile(
    r"(%[\w$.]+) = aie\.(?:tile|logical_tile(?:<\w+>)?)\((\d+|\?), (\d+|\?)\)(?: \{[^}]*\})?"
)
_FIFO = re.compile(
    r"aie\.objectfifo @([\w$.]+)\s*\((%[\w$.]+)(.*?),\s*\{(.*)\},\s*(\d+ : i32|\[[^]]*\])\)"
    r"\s*(\{[^}]*\})?\s*: !aie\.objectfifo<memref<(\d+(?:x\d+)*)x(\w+)>>"
)
_LINK = re.compile(
    r"aie\.objectfifo\.link\s*\[([^]]*)\]\s*->\s*\[([^]]*)\]\s*\(\[([^]]*)\]\s*\[([^]]*)\]\)"
)
_SEQUENCE = re.compile(r"aie(?:x)?\.runtime_sequence\s*(?:@([\w$.]+))?\s*\((.*)\) \{")
_ARGUMENT = re.compile(r"(%[\w$.]+): memref<(\d+(?:x\d+)*)x(\w+)>")
_TASK = re.compile(r"(%[\w$.]+) = aiex\.dma_configure_task_for @([\w$.]+) \{")
_BD = re.compile(r"aie\.dma_bd\((%[\w$.]+) : memref<[^>]*>(.*?)\)(?: \{(.*)\})?")
_FORMER_ACCESS = re.compile(r", (\d+), (\d+)(?:, (\[.*\]))?")
_ACCESS = re.compile(
    r"(?: offset = (\d+))?(?: len = (\d+))?(?: sizes = (\[[^]]*\]) strides = (\[[^]]*\]))?"
)
_TASK_END = re.compile(r"\}(?: \{(.*)\})?")
_STEP = re.compile(r"aiex\.dma_(start|await|free)_task\((%[\w$.]+)\)")
_DIM = re.compile(r"<size = (\d+), stride = (\d+)>")
_IGNORED = re.compile(r"\^bb\d+:.*|aie\.next_bd \^bb\d+|aie\.end|\}|module.*\{")


@dataclass(slots=True)
class _Parts:
    """What has been read so far."""

    device: Device | None = None
    columns: int = 0
    tiles: dict[str, Tile] = field(default_factory=dict[str, Tile])
    fifos: list[Fifo] = field(default_factory=list[Fifo])
    links: list[Link] = field(default_factory=list[Link])
    sequence: RuntimeSequence | None = None
    arguments: dict[str, int] = field(default_factory=dict[str, int])
    tasks: dict[str, Task] = field(default_factory=dict[str, Task])


def read(text: str) -> tuple[Dataflow, RuntimeSequence | None]:
    """The design in an MLIR module, and its runtime sequence if it has one.

    Raises:
        DesignError: a line outside the subset, with its number, or a design that cannot be.
    """
    parts = _Parts()
    lines = iter(_statements(text))
    for number, line in lines:
        try:
            if not _one(parts, line, lines):
                raise DesignError("outside what the built-in compiler knows")
        except (DesignError, Aie2Error) as error:
            raise DesignError(f"line {number}, `{line[:60]}`: {error}") from None
    if parts.device is None:
        raise DesignError("the text has no aie.device for npu1 or npu2: give mlir-aie's MLIR")
    design = Dataflow(
        parts.device,
        parts.columns,
        tuple(parts.fifos),
        tuple(parts.links),
        tuple(parts.tiles.values()),
    )
    return design, parts.sequence


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Lines with their numbers, without comments; an object fifo may go over several."""
    held, start = "", 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = re.sub(r"\s*//.*", "", raw).strip()
        if not line:
            continue
        held, start = (f"{held} {line}", start) if held else (line, number)
        if not (held.startswith("aie.objectfifo @") and "!aie.objectfifo<" not in held):
            yield start, held
            held = ""
    if held:
        yield start, held


def _one(parts: _Parts, line: str, lines: Iterator[tuple[int, str]]) -> bool:
    """Take in one operation; False if it is none of those known."""
    for pattern, take in (
        (_DEVICE, _take_device),
        (_TILE, _take_tile),
        (_FIFO, _take_fifo),
        (_LINK, _take_link),
        (_SEQUENCE, _take_sequence),
        (_STEP, _take_step),
    ):
        if match := pattern.fullmatch(line):
            take(parts, match)
            return True
    if match := _TASK.fullmatch(line):
        _take_task(parts, match, lines)
        return True
    return _IGNORED.fullmatch(line) is not None


def _take_device(parts: _Parts, match: re.Match[str]) -> None:
    if parts.device is not None:
        raise DesignError("a second device: give a module with one")
    parts.device = DEVICES[match[1]]
    parts.columns = int(match[2]) if match[2] else parts.device.columns


def _take_tile(parts: _Parts, match: re.Match[str]) -> None:
    if "?" in match.group(2, 3):
        raise DesignError("the tile is not placed: pin it to a column and a row")
    parts.tiles[match[1]] = Tile(int(match[2]), int(match[3]))


def _take_fifo(parts: _Parts, match: re.Match[str]) -> None:
    name, producer, to_stream, consumers, depth, attributes, shape, element = match.groups()
    ends = [end.strip() for end in re.split(r",(?![^\[]*\])", consumers)]
    tiles = [_known(parts, end.split()[0]) for end in ends]
    received = tuple(_dims(end) for end in ends)
    repeat = re.fullmatch(r"\{repeat_count = (\d+) : i32\}", attributes or "")
    if attributes and not repeat:
        raise DesignError(f"attributes {attributes} are not known here")
    numbers = [int(number) for number in re.findall(r"\d+", depth.removesuffix(" : i32"))]
    parts.fifos.append(
        Fifo(
            name=name,
            producer=_known(parts, producer),
            consumers=tuple(tiles),
            words=_elements(shape, element),
            depth=numbers[0] if depth.endswith("i32") else tuple(numbers),
            to_stream=_dims(to_stream),
            from_stream=received if any(received) else (),
            repeat=int(repeat[1]) if repeat else None,
        )
    )


def _known(parts: _Parts, name: str) -> Tile:
    if name not in parts.tiles:
        raise DesignError(f"tile {name} has not been declared before")
    return parts.tiles[name]


def _elements(shape: str, element: str) -> int:
    """32-bit elements of a memref."""
    if element not in ("i32", "ui32", "si32", "f32"):
        raise DesignError(f"elements are {element}: only 32-bit ones are compiled here, use i32")
    count = 1
    for size in shape.split("x"):
        count *= int(size)
    return count


def _dims(text: str) -> Dims:
    return tuple(Dim(int(size), int(stride)) for size, stride in _DIM.findall(text))


def _take_link(parts: _Parts, match: re.Match[str]) -> None:
    sources, destinations = (tuple(re.findall(r"@([\w$.]+)", part)) for part in match.group(1, 2))
    joined, split = (_numbers(part) for part in match.group(3, 4))
    many = len(sources) > 1 or len(destinations) > 1
    parts.links.append(Link(sources, destinations, tuple(joined or split) if many else ()))


def _take_sequence(parts: _Parts, match: re.Match[str]) -> None:
    if parts.sequence is not None:
        raise DesignError("a second runtime sequence: give a module with one")
    found = _ARGUMENT.findall(match[2])
    parts.arguments = {name: number for number, (name, _, _) in enumerate(found)}
    sizes = tuple(_elements(shape, element) for _, shape, element in found)
    parts.sequence = RuntimeSequence(sizes, name=match[1] or "")


def _take_task(parts: _Parts, match: re.Match[str], lines: Iterator[tuple[int, str]]) -> None:
    """A task with its BDs, up to its closing brace."""
    sequence = _sequence(parts)
    bds: list[ShimBd] = []
    for _, line in lines:
        if bd := _BD.fullmatch(line):
            bds.append(_bd(parts, bd))
        elif end := _TASK_END.fullmatch(line):
            attributes = end[1] or ""
            repeat = re.search(r"repeat_count = (\d+)", attributes)
            token = "issue_token = true" in attributes
            task = Task(match[2], tuple(bds), token, int(repeat[1]) if repeat else 0)
            parts.tasks[match[1]] = task
            sequence.configure(task)
            return
        elif not _IGNORED.fullmatch(line):
            raise DesignError(f"`{line[:60]}` in a task is outside what is known here")
    raise DesignError("the task does not end")


def _bd(parts: _Parts, match: re.Match[str]) -> ShimBd:
    name, access, attributes = match.groups()
    if name not in parts.arguments:
        raise DesignError(f"BD of {name}, which is no host buffer of the sequence")
    if attributes and attributes != "burst_length = 0 : i32":
        raise DesignError(f"BD attributes {{{attributes}}} are not known here")
    arg = parts.arguments[name]
    offset, words, dims = _place(access)
    if words is None:
        words = _sequence(parts).arguments[arg] - offset
    if not dims:
        return linear(arg, offset, words)
    if len(dims) > DIMS:
        raise DesignError(f"a BD with {len(dims)} dimensions: at most {DIMS} can be")
    padded = ((Dim(1, 0),) * (DIMS - 1) + dims)[-DIMS:]
    return ShimBd(arg, offset, words, (padded[0], padded[1], padded[2], padded[3]))


def _place(text: str) -> tuple[int, int | None, Dims]:
    """Offset, words and dimensions of a BD, as printed until and since summer 2026."""
    if former := _FORMER_ACCESS.fullmatch(text):
        return int(former[1]), int(former[2]), _dims(former[3] or "")
    found = _ACCESS.fullmatch(text)
    if found is None:
        raise DesignError(f"BD access `{text.strip()}` is not known here")
    offset, words, sizes, strides = found.groups()
    pairs = zip(_numbers(sizes), _numbers(strides), strict=True)
    dims = tuple(Dim(size, stride) for size, stride in pairs)
    return int(offset or 0), None if words is None else int(words), dims


def _numbers(text: str | None) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text or "")]


def _sequence(parts: _Parts) -> RuntimeSequence:
    if parts.sequence is None:
        raise DesignError("a task outside a runtime sequence")
    return parts.sequence


def _take_step(parts: _Parts, match: re.Match[str]) -> None:
    if match[2] not in parts.tasks:
        raise DesignError(f"task {match[2]} has not been configured before")
    task, sequence = parts.tasks[match[2]], _sequence(parts)
    {"start": sequence.start, "await": sequence.wait, "free": sequence.free}[match[1]](task)
