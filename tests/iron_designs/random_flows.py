# SPDX-License-Identifier: Apache-2.0
"""Hypothesis draws dataflows that fit: forwards, splits, joins and broadcasts over columns.

Every unit begins and ends in shims, or ends in cores; a unit that finds no free channel left is
left out, so that what is drawn can always be lowered.
"""

from collections import Counter
from itertools import accumulate

from hypothesis import strategies as st

from aie2.devices import NPU1, NPU2
from aie2.registers import DMA, Direction
from iron_designs.dataflow import Dataflow, Dim, Fifo, Link, Tile

words = st.integers(1, 96)
depths = st.integers(1, 3)
repeats = st.one_of(st.none(), st.integers(1, 3))


class Draft:
    """Fifos and links so far, and the channels that they take."""

    def __init__(self, columns):
        self.columns = columns
        self.fifos, self.links = [], []
        self.taken = Counter()

    def fits(self, *fifos):
        """Whether the fifos find channels; they have them then."""
        ends = Counter()
        for fifo in fifos:
            ends[fifo.producer, Direction.MM2S] += 1
            ends.update((tile, Direction.S2MM) for tile in fifo.consumers)
        for (tile, way), count in ends.items():
            if self.taken[tile, way] + count > DMA[tile.kind].channels(way):
                return False
        self.taken += ends
        self.fifos += fifos
        return True

    def name(self, what):
        return f"{what}{len(self.fifos)}"


def _forward(draw, draft, column):
    """Shim, memtile, shim: objects of any two sizes, depths that differ, repeats."""
    there, back = (draw(st.integers(0, draft.columns - 1)) for _ in range(2))
    down = Fifo(draft.name("down"), Tile(there, 0), (Tile(column, 1),), draw(words), draw(depths))
    size = draw(words)
    order = (Dim(size, 1),) if draw(st.booleans()) else ()
    up = Fifo(
        draft.name("up"),
        Tile(column, 1),
        (Tile(back, 0),),
        size,
        draw(depths),
        to_stream=order,
        repeat=draw(repeats),
    )
    if draft.fits(down, up):
        draft.links.append(Link((down.name,), (up.name,)))


def _cores(draw, draft, column):
    tiles = [Tile(c, r) for c in range(draft.columns) for r in range(2, 6)]
    near = [Tile(column, r) for r in range(2, 6)]
    pool = st.sampled_from(tiles if draw(st.booleans()) else near)
    return tuple(draw(st.lists(pool, min_size=2, max_size=4, unique=True)))


def _parts(draw, cores):
    sizes = [draw(words) for _ in cores]
    return sizes, tuple(accumulate(sizes[:-1], initial=0))


def _split(draw, draft, column):
    """Shim, memtile, each core a part; all repeated or none."""
    cores = _cores(draw, draft, column)
    sizes, offsets = _parts(draw, cores)
    repeat = draw(repeats)
    down = Fifo(draft.name("whole"), Tile(column, 0), (Tile(column, 1),), sum(sizes), draw(depths))
    parts = [
        Fifo(f"{down.name}_to{n}", Tile(column, 1), (core,), size, repeat=repeat)
        for n, (core, size) in enumerate(zip(cores, sizes, strict=True))
    ]
    if draft.fits(down, *parts):
        draft.links.append(Link((down.name,), tuple(part.name for part in parts), offsets))


def _join(draw, draft, column):
    """Cores' parts in a memtile, the whole repeated to a shim."""
    cores = _cores(draw, draft, column)
    sizes, offsets = _parts(draw, cores)
    up = Fifo(
        draft.name("joined"),
        Tile(column, 1),
        (Tile(column, 0),),
        sum(sizes),
        draw(depths),
        repeat=draw(repeats),
    )
    parts = [
        Fifo(f"{up.name}_of{n}", core, (Tile(column, 1),), size, draw(depths))
        for n, (core, size) in enumerate(zip(cores, sizes, strict=True))
    ]
    if draft.fits(*parts, up):
        draft.links.append(Link(tuple(part.name for part in parts), (up.name,), offsets))


def _broadcast(draw, draft, column):
    """A shim's or memtile's objects to several cores at once, each with its own depth."""
    cores = _cores(draw, draft, column)
    depth = tuple(draw(depths) for _ in range(1 + len(cores)))
    producer = Tile(column, draw(st.sampled_from([0, 1])))
    draft.fits(Fifo(draft.name("all"), producer, cores, draw(words), depth))


def _through_core(draw, draft, column):
    """Shim, core, shim."""
    core = Tile(draw(st.integers(0, draft.columns - 1)), draw(st.integers(2, 5)))
    down = Fifo(draft.name("in"), Tile(column, 0), (core,), draw(words), draw(depths))
    up = Fifo(draft.name("out"), core, (Tile(column, 0),), down.words, draw(depths))
    if draft.fits(down, up):
        draft.links.append(Link((down.name,), (up.name,)))


UNITS = (_forward, _split, _join, _broadcast, _through_core)


@st.composite
def dataflows(draw, most_columns=8, most_units=12):
    """A design of one fifo or more on an NPU of either generation."""
    device = draw(st.sampled_from([NPU1, NPU2]))
    columns = draw(st.integers(1, min(device.columns, most_columns)))
    draft = Draft(columns)
    _forward(draw, draft, 0)
    for _ in range(draw(st.integers(0, most_units))):
        unit = draw(st.sampled_from(UNITS))
        unit(draw, draft, draw(st.integers(0, columns - 1)))
    return Dataflow(device, columns, tuple(draft.fifos), tuple(draft.links))
