# SPDX-License-Identifier: Apache-2.0
"""The built-in compiler on every design that aiecc compiled: the same bytes, from the same MLIR."""

from pathlib import Path

import pytest

from aie2 import xclbin
from aie2.devices import DEVICES
from iron_designs import shipped
from iron_designs.compiler import designs, mlir, mlir_reader
from iron_designs.compiler.build import compile_design

GOLDEN = Path(__file__).parents[1] / "data/golden"
CASES = sorted(path.parent for path in GOLDEN.glob("*/aie.mlir"))


@pytest.fixture(params=CASES, ids=lambda case: case.name)
def case(request):
    return request.param


def compiled(case, *, fold=False):
    dataflow, sequence = mlir_reader.read((case / "aie.mlir").read_text())
    return compile_design(dataflow, sequence, fold=fold)


def test_there_are_as_many_cases_as_were_made():
    assert len(CASES) == 57


def test_configuration_and_image_equal_aieccs(case):
    made = compiled(case)
    assert made.cdo_elfs == (case / "cdo_elfs.bin").read_bytes()
    assert made.cdo_init == (case / "cdo_init.bin").read_bytes()
    assert made.cdo_enable == (case / "cdo_enable.bin").read_bytes()
    assert made.pdi == (case / "main.pdi").read_bytes()


def test_stream_equals_aieccs(case):
    assert compiled(case).insts == (case / "insts.bin").read_bytes()


@pytest.mark.parametrize("name", ["args8_c1_npu1", "args8_c1_npu2"])
def test_arguments_from_the_sixth_on_are_folded_as_later_compilers_do(name):
    case = GOLDEN / name
    made = compiled(case, fold=True)
    assert made.insts == (case / "insts_folded.bin").read_bytes()
    assert xclbin.read(made.xclbin).host_buffers == 8


def test_container_equals_aieccs_but_for_what_a_build_draws(case):
    data = (case / "aie.xclbin").read_bytes()
    theirs = xclbin.read(data)
    made = compiled(case)
    ours = xclbin.build(
        made.pdi,
        column_width=made.design.columns,
        start_columns=xclbin.start_columns(made.design.device, made.design.columns),
        host_buffers=theirs.host_buffers,
        uuid=theirs.uuid,
        pdi_uuid=theirs.partition.pdis[0].uuid,
        time_stamp=theirs.time_stamp,
    )
    assert ours == data


def test_the_same_design_gives_the_same_container_twice(case):
    assert compiled(case).xclbin == compiled(case).xclbin


def test_printed_mlir_is_what_aiecc_was_given(case):
    text = (case / "aie.mlir").read_text()
    printed = mlir.emit(*mlir_reader.read(text))
    if not case.name.startswith("iron_"):  # printed by IRON, which lists tiles before fifos
        assert printed.strip() == text.strip()
    again = mlir_reader.read(printed)
    assert compile_design(*again, fold=False).insts == compiled(case).insts


@pytest.mark.parametrize("one", shipped.catalogue(), ids=lambda one: one.path.stem)
def test_shipped_xclbins_hold_the_image_that_is_made_here(one):
    shape = designs.Shape(DEVICES[one.device], one.columns, one.channels, one.object_bytes)
    lane_bytes = 8 * one.object_bytes
    design = designs.passthrough(shape, lane_bytes)
    image = xclbin.read(one.read()).partition.pdis[0].image
    assert compile_design(design.dataflow).pdi == image
