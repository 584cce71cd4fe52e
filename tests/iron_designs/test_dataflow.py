# SPDX-License-Identifier: Apache-2.0
"""What a dataflow refuses, each with one sentence that says what to do."""

import pytest

from aie2.devices import NPU1, NPU2
from iron_designs.dataflow import Dataflow, Dim, Fifo, Link, Tile
from iron_designs.errors import DesignError

SHIM, MEMTILE, CORE, FAR_CORE = Tile(0, 0), Tile(0, 1), Tile(0, 2), Tile(0, 4)
DOWN = Fifo("down", SHIM, (MEMTILE,), 64)
UP = Fifo("up", MEMTILE, (SHIM,), 64)


def flow(*fifos, links=(), columns=1, device=NPU1):
    return Dataflow(device, columns, fifos, tuple(links))


@pytest.mark.parametrize(
    ("target", "device", "columns"),
    [("npu1_1col", NPU1, 1), ("npu1", NPU1, 4), ("npu2_4col", NPU2, 4), ("npu2", NPU2, 8)],
)
def test_a_partition_has_mlir_aies_name(target, device, columns):
    assert flow(DOWN, device=device, columns=columns).target == target


@pytest.mark.parametrize(
    ("fifos", "links", "why"),
    [
        ([Fifo("f", SHIM, (MEMTILE,), 0)], [], "0 words"),
        ([Fifo("f", SHIM, (), 64)], [], "no consumer"),
        ([Fifo("f", SHIM, (MEMTILE,), 64, depth=0)], [], "depth 0"),
        ([Fifo("f", SHIM, (MEMTILE,), 64, depth=(2, 2, 2))], [], "3 depths"),
        ([Fifo("f", SHIM, (MEMTILE,), 64, to_stream=(Dim(2, 1),))], [], "runtime sequence writes"),
        ([Fifo("f", MEMTILE, (SHIM,), 64, from_stream=((Dim(2, 1),),))], [], "runtime sequence"),
        ([Fifo("f", MEMTILE, (SHIM,), 64, from_stream=((), ()))], [], "2 receiving transforms"),
        ([Fifo("f", SHIM, (MEMTILE,), 64, repeat=2)], [], "comes from a shim"),
        ([Fifo("f", MEMTILE, (SHIM,), 64, repeat=0)], [], "repeats 0 times"),
        ([Fifo("f", CORE, (Tile(0, 3),), 64)], [], "share memory"),
        ([Fifo("f", SHIM, (Tile(1, 1),), 64)], [], "columns 0 to 0"),
        ([Fifo("f", SHIM, (Tile(0, 6),), 64)], [], "row"),
        ([DOWN, DOWN], [], "two fifos are called 'down'"),
        ([DOWN], [Link(("down",), ("up",))], "'up', which is not in the design"),
        ([DOWN, UP], [Link(("down",), ("up",)), Link(("down",), ("up",))], "in two links"),
        ([DOWN, UP], [Link(("up",), ("down",))], "in a shim"),
        ([DOWN, UP], [Link((), ("up",))], "lacks an end"),
        ([DOWN, UP], [Link(("down",), ("up",), (0,))], "leave the offsets out"),
        ([DOWN, Fifo("up", Tile(1, 1), (Tile(1, 0),), 64)], [Link(("down",), ("up",))], "no tile"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused(fifos, links, why):
    with pytest.raises(DesignError, match=why) as error:
        flow(*fifos, links=links, columns=2 if why == "no tile" else 1)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("offsets", [(0,), (0, 64), (32, 0), (-1, 32), (0, 0)])
def test_offsets_of_a_split_rise_within_the_object(offsets):
    parts = [Fifo(f"part{n}", MEMTILE, (Tile(0, 2 + n),), 32) for n in range(2)]
    with pytest.raises(DesignError, match="offsets"):
        flow(DOWN, *parts, links=[Link(("down",), ("part0", "part1"), offsets)])


def test_only_memtiles_join_and_split():
    parts = [Fifo(f"part{n}", CORE, (SHIM,), 32) for n in range(2)]
    to_core = Fifo("in", SHIM, (CORE,), 64)
    with pytest.raises(DesignError, match="only memtiles"):
        flow(to_core, *parts, links=[Link(("in",), ("part0", "part1"), (0, 32))])


@pytest.mark.parametrize("columns", [0, 5])
def test_a_partition_has_the_devices_columns(columns):
    with pytest.raises(DesignError, match="npu1 has 1 to 4"):
        flow(DOWN, columns=columns)
