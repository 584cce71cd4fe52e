# SPDX-License-Identifier: Apache-2.0
"""Print a design and its runtime sequence as the MLIR text that aiecc takes.

The form is that of mlir-aie's printer, so that what is printed here and what the IRON design prints
compare line by line (the goldens' aie.mlir).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from aie2.tiles import TileKind
from iron_designs.dataflow import Dataflow, Dims, Fifo, Link, Tile
from iron_designs.runtime_sequence import Await, Configure, RuntimeSequence, ShimBd, Start, Task

_TILE_NAMES = {
    TileKind.SHIM: "shim_noc_tile",
    TileKind.MEMTILE: "mem_tile",
    TileKind.CORE: "tile",
}


def emit(design: Dataflow, sequence: RuntimeSequence | None = None) -> str:
    """The module of a design, with its runtime sequence if one is given."""
    lines = ["module {", f"  aie.device({design.target}) {{"]
    lines += [f"    {line}" for line in _device(design, sequence)]
    lines += ["  }", "}"]
    return "\n".join(lines) + "\n"


def _device(design: Dataflow, sequence: RuntimeSequence | None) -> Iterator[str]:
    """Tiles before the first fifo that names them, links after the last fifo that they join."""
    declared: set[Tile] = set()
    seen: set[str] = set()
    pending = list(design.links)
    for fifo in design.fifos:
        for tile in (fifo.producer, *fifo.consumers):
            if tile not in declared:
                declared.add(tile)
                yield f"{_tile(tile)} = aie.tile({tile.column}, {tile.row})"
        seen.add(fifo.name)
        yield _fifo(fifo)
        for link in [link for link in pending if seen >= {*link.sources, *link.destinations}]:
            pending.remove(link)
            yield _link(link)
    for tile in design.tiles:
        if tile not in declared:
            yield f"{_tile(tile)} = aie.tile({tile.column}, {tile.row})"
    if sequence is not None:
        yield from _sequence(sequence)


def _tile(tile: Tile) -> str:
    return f"%{_TILE_NAMES[tile.kind]}_{tile.column}_{tile.row}"


def _fifo(fifo: Fifo) -> str:
    ends = [_tile(fifo.producer) + _dims(" dimensionsToStream ", fifo.to_stream)]
    received = (
        _tile(tile) + _dims(" dimensionsFromStream ", fifo.received_as(index))
        for index, tile in enumerate(fifo.consumers)
    )
    depth = (
        f"{fifo.depth} : i32"
        if isinstance(fifo.depth, int)
        else f"[{', '.join(str(depth) for depth in fifo.depth)}]"
    )
    repeat = "" if fifo.repeat is None else f"{{repeat_count = {fifo.repeat} : i32}} "
    return (
        f"aie.objectfifo @{fifo.name}({ends[0]}, {{{', '.join(received)}}}, {depth}) {repeat}"
        f": !aie.objectfifo<memref<{fifo.words}xi32>> "
    )


def _dims(word: str, dims: Dims) -> str:
    return f"{word}{_access(dims)}" if dims else ""


def _access(dims: Dims) -> str:
    return "[" + ", ".join(f"<size = {dim.size}, stride = {dim.stride}>" for dim in dims) + "]"


def _link(link: Link) -> str:
    sources, destinations = _names(link.sources), _names(link.destinations)
    offsets = ", ".join(str(offset) for offset in link.offsets)
    joined, split = (offsets, "") if link.is_join else ("", offsets)
    return f"aie.objectfifo.link {sources} -> {destinations}([{joined}] [{split}])"


def _names(names: Iterable[str]) -> str:
    return "[" + ", ".join(f"@{name}" for name in names) + "]"


def _sequence(sequence: RuntimeSequence) -> Iterator[str]:
    arguments = ", ".join(
        f"%arg{number}: memref<{words}xi32>" for number, words in enumerate(sequence.arguments)
    )
    name = f" @{sequence.name}" if sequence.name else ""
    yield f"aie.runtime_sequence{name}({arguments}) {{"
    numbers: dict[Task, int] = {}
    for step in sequence.steps:
        task = step.task
        if isinstance(step, Configure):
            numbers[task] = len(numbers)
            yield from (f"  {line}" for line in _task(sequence, task, numbers[task]))
            continue
        verb = (
            "start" if isinstance(step, Start) else "await" if isinstance(step, Await) else "free"
        )
        yield f"  aiex.dma_{verb}_task(%{numbers[task]})"
    yield "}"


def _task(sequence: RuntimeSequence, task: Task, number: int) -> Iterator[str]:
    yield f"%{number} = aiex.dma_configure_task_for @{task.fifo} {{"
    for turn, bd in enumerate(task.bds):
        if turn:
            yield f"^bb{turn}:  // pred: ^bb{turn - 1}"
        yield f"  {_bd(sequence, bd)}"
        is_last = turn == len(task.bds) - 1
        yield "  aie.end" if is_last else f"  aie.next_bd ^bb{turn + 1}"
    attributes = ["issue_token = true"] if task.token else []
    attributes += [f"repeat_count = {task.repeat} : i32"] if task.repeat else []
    yield f"}} {{{', '.join(attributes)}}}" if attributes else "}"


def _bd(sequence: RuntimeSequence, bd: ShimBd) -> str:
    buffer = f"%arg{bd.arg} : memref<{sequence.arguments[bd.arg]}xi32>"
    place = f"{buffer}, {bd.offset}, {bd.words}"
    return f"aie.dma_bd({place}, {_access(bd.dims)}) {{burst_length = 0 : i32}}"
