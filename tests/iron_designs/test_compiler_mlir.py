# SPDX-License-Identifier: Apache-2.0
"""MLIR in and out: what is printed is read back the same, and what is unknown is named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2.devices import DEVICES
from iron_designs.compiler import designs, mlir, mlir_reader
from iron_designs.dataflow import Dataflow, Dim, Fifo, Link, Tile
from iron_designs.errors import DesignError

HEAD = "module {\n  aie.device(npu1_1col) {\n    %s = aie.tile(0, 0)\n    %m = aie.tile(0, 1)\n"


@st.composite
def any_design(draw):
    device = DEVICES[draw(st.sampled_from(["npu1", "npu2"]))]
    shape = designs.Shape(
        device,
        draw(st.integers(1, device.columns)),
        draw(st.integers(1, 2)),
        draw(st.sampled_from([512, 1024, 4096])),
        draw(st.integers(1, 3)),
    )
    name = draw(st.sampled_from(designs.NAMES))
    if name == "passthrough":
        return designs.passthrough(shape, 8 * shape.object_bytes)
    if name == "gather_to_core":
        shape = designs.Shape(device, shape.columns, 1, shape.object_bytes, shape.depth)
    wanted = draw(st.lists(st.integers(0, 31), unique=True, min_size=1))
    return designs.GATHERS[name](shape, designs.Rows(4096, 32, tuple(sorted(wanted))))


@given(any_design())
def test_a_printed_design_reads_back_as_it_was(design):
    printed = mlir.emit(design.dataflow, design.sequence)
    dataflow, sequence = mlir_reader.read(printed)
    assert (dataflow.fifos, dataflow.links) == (design.dataflow.fifos, design.dataflow.links)
    assert mlir.emit(dataflow, sequence) == printed


def test_transforms_depths_splits_and_repeats_read_back():
    shim, memtile = Tile(0, 0), Tile(0, 1)
    cores = tuple(Tile(0, row) for row in (2, 3))
    fifos = (
        Fifo("whole", shim, (memtile,), 64, depth=(2, 3), from_stream=((Dim(8, 8), Dim(8, 1)),)),
        *(
            Fifo(f"part{n}", memtile, (core,), 32, to_stream=(Dim(4, 8), Dim(8, 1)), repeat=2)
            for n, core in enumerate(cores)
        ),
    )
    design = Dataflow(DEVICES["npu1"], 1, fifos, (Link(("whole",), ("part0", "part1"), (0, 32)),))
    again, sequence = mlir_reader.read(mlir.emit(design))
    assert sequence is None
    assert (again.fifos, again.links) == (design.fifos, design.links)


def test_a_fifo_may_go_over_several_lines():
    text = HEAD + (
        "    aie.objectfifo @f (%s, // from the shim\n"
        "        {%m}, 2 : i32)\n        : !aie.objectfifo<memref<8x4xi32>>\n  }\n}\n"
    )
    assert mlir_reader.read(text)[0].fifos == (Fifo("f", Tile(0, 0), (Tile(0, 1),), 32),)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("%core = aie.core(%m) {", "line 5, .*outside what the built-in compiler knows"),
        ("aie.objectfifo @f(%x, {%m}, 2 : i32) : !aie.objectfifo<memref<8xi32>>", "%x has not"),
        ("aie.objectfifo @f(%s, {%m}, 2 : i32) : !aie.objectfifo<memref<8xi8>>", "elements are i8"),
        (
            "aie.objectfifo @f(%s, {%m}, 2 : i32) {plio = true} : !aie.objectfifo<memref<8xi32>>",
            "attributes",
        ),
        ("aie.device(npu2) {", "second device"),
        ("aiex.dma_start_task(%0)", "%0 has not been configured"),
        ("%0 = aiex.dma_configure_task_for @f {", "outside a runtime sequence"),
        ("aie.packet_flow(3) {", "outside"),
    ],
)
def test_what_is_not_known_is_named_with_its_line(line, why):
    with pytest.raises(DesignError, match=why) as error:
        mlir_reader.read(HEAD + f"    {line}\n  }}\n}}\n")
    assert str(error.value).startswith("line 5, ")


def test_text_without_a_device_is_refused():
    with pytest.raises(DesignError, match=r"no aie\.device"):
        mlir_reader.read("module {\n}\n")


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("%0 = aiex.dma_configure_task_for @f {\n affine.for\n}", "in a task"),
        ("%0 = aiex.dma_configure_task_for @f {", "does not end"),
        ("%0 = aiex.dma_configure_task_for @f {\n aie.dma_bd(%b : memref<8xi32>, 0, 8)\n}", "%b"),
    ],
)
def test_a_task_outside_the_subset_is_refused(body, why):
    text = HEAD + f"aie.runtime_sequence(%a: memref<8xi32>) {{\n{body}"
    with pytest.raises(DesignError, match=why):
        mlir_reader.read(text)


@pytest.mark.parametrize(
    ("former", "present"),
    [
        ("(%a : memref<64xi32>, 4, 16)", "(%a : memref<64xi32> offset = 4 len = 16)"),
        ("(%a : memref<64xi32>)", "(%a : memref<64xi32> len = 64)"),
        (
            "(%a : memref<64xi32>, 2, 8, [<size = 2, stride = 16>, <size = 4, stride = 1>])",
            "(%a : memref<64xi32> offset = 2 len = 8 sizes = [2, 4] strides = [16, 1])",
        ),
    ],
)
def test_both_ways_to_print_a_bd_are_read_the_same(former, present):
    def bds(access):
        text = HEAD.replace("aie.tile(0, 1)", "aie.logical_tile<MemTile>(0, 1)") + (
            "aie.objectfifo @f(%s, {%m}, 2 : i32) : !aie.objectfifo<memref<8xi32>>\n"
            "aie.runtime_sequence(%a: memref<64xi32>) {\n"
            f"%0 = aiex.dma_configure_task_for @f {{\naie.dma_bd{access}\naie.end\n}}\n}}\n}}\n}}\n"
        )
        _, sequence = mlir_reader.read(text)
        assert sequence is not None
        return sequence.steps[0].task.bds

    assert bds(former) == bds(present)


@pytest.mark.parametrize(
    ("bd", "why"),
    [
        ("(%a : memref<64xi32>, 4, 16) {bd_id = 3 : i32}", "bd_id = 3"),
        ("(%a : memref<64xi32> offset = x)", "offset = x"),
        (
            "(%a : memref<64xi32>, 0, 1, [" + ", ".join(["<size = 1, stride = 1>"] * 5) + "])",
            "5 dim",
        ),
    ],
)
def test_a_bd_outside_the_subset_is_refused(bd, why):
    text = HEAD + (
        "aie.runtime_sequence(%a: memref<64xi32>) {\n"
        f"%0 = aiex.dma_configure_task_for @f {{\naie.dma_bd{bd}\naie.end\n}}\n"
    )
    with pytest.raises(DesignError, match=why):
        mlir_reader.read(text)


def test_a_tile_that_is_not_placed_is_refused():
    with pytest.raises(DesignError, match="pin it to a column"):
        mlir_reader.read(HEAD + "%x = aie.logical_tile<MemTile>(?, ?)\n")
