# SPDX-License-Identifier: Apache-2.0
"""`sparsebd compile`: files that run, a report that agrees with them, one sentence of refusal."""

import json
from pathlib import Path

import numpy as np
import pytest
from command import refused, sparsebd
from hypothesis import given
from hypothesis import strategies as st

from aie2 import txn, xclbin
from aie2.devices import DEVICES
from firmware_sim import simulate
from host import compile_bench, compile_runs
from iron_designs.compiler import designs
from iron_designs.compiler.build import compile_design
from iron_designs.dataflow import Tile

GOLDEN = Path(__file__).parents[1] / "data/golden"


def test_a_design_by_name_gives_files_that_copy_a_buffer(tmp_path):
    done = sparsebd(
        *("compile", "passthrough", "--device", "npu2", "--columns", 3, "--channels", 2),
        *("--object-bytes", 2048, "-o", tmp_path / "out"),
    )
    assert done.status == 0, done.err
    source = np.arange(6 * 16384, dtype=np.uint32)
    target = np.zeros_like(source)
    result = simulate(tmp_path / "out/design.xclbin", tmp_path / "out/insts.bin", [source, target])
    assert result.ok
    assert np.array_equal(source, target)


def test_the_report_says_what_the_files_hold(tmp_path):
    done = sparsebd("compile", "gather_chain", "--columns", 2, "-o", tmp_path, "--json")
    report = json.loads(done.out)
    assert json.loads((tmp_path / "report.json").read_text()) == report
    container = xclbin.read(tmp_path / "design.xclbin")
    assert report["start_columns"] == list(container.partition.start_columns)
    assert report["host_buffers"] == container.host_buffers == 5
    assert report["stream_ops"] == len(txn.decode((tmp_path / "insts.bin").read_bytes()).ops)
    for name, size in report["files"].items():
        assert (tmp_path / name).stat().st_size == size
    shims = [tile for tile in report["tiles"] if tile["kind"] == "shim"]
    assert [tile["channels"] for tile in shims] == [2, 2]


def test_printed_mlir_compiles_to_the_same_files(tmp_path):
    first, again = tmp_path / "first", tmp_path / "again"
    sparsebd("compile", "gather_rows", "--wanted", "1,4-6,9", "-o", first, "--emit", "mlir")
    done = sparsebd("compile", first / "design.mlir", "-o", again)
    assert done.status == 0, done.err
    for name in ("design.xclbin", "insts.bin"):
        assert (first / name).read_bytes() == (again / name).read_bytes()


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["matmul"], "no design is called 'matmul'"),
        (["passthrough", "--columns", 5], "npu1 has 1 to 4"),
        (["passthrough", "--object-bytes", 1022], "multiple of 4"),
        (["passthrough", "--object-bytes", 294912, "--lane-bytes", 589824], "take 589824 bytes"),
        (["passthrough", "--lane-bytes", 5000], "no whole number of objects"),
        (["passthrough", "--backend", "gcc"], "not one of builtin, aiecc"),
        (["passthrough", "--backend", "aiecc"], "install it with"),
        (["passthrough", "--emit", "llvm"], "mlir is"),
        (["passthrough", "--quick"], "goes with --bench"),
        (["gather_rows", "--wanted", "3-1"], "runs backwards"),
        (["gather_rows", "--wanted", "99"], "row 99 is wanted of a matrix of 64 rows"),
        (["gather_rows", "--wanted", "nowhere.npy"], "nowhere.npy"),
        (["gather_rows", "--row-bytes", 4100], "no whole number of objects"),
        (["gather_rows", "--batch", 0], "batches of 0 rows"),
        (["gather_rows", "--batch", 16], "more than its 16 BDs"),
        (["gather_to_core", "--channels", 2], "one lane"),
        (["nowhere.mlir"], "nowhere.mlir"),
        (["--bench", "--golden", "nowhere"], "holds no designs"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, list) else "",
)
def test_bad_input_is_one_sentence_and_no_file(tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert why in refused(sparsebd("compile", *arguments))
    assert not any(tmp_path.iterdir())


def test_an_mlir_file_has_its_own_shape(tmp_path):
    file = GOLDEN / "gather_rows_c4_npu1/aie.mlir"
    assert "has its own shape" in refused(sparsebd("compile", file, "--columns", 4))


def test_mlir_outside_the_subset_is_named_with_file_and_line(tmp_path):
    file = tmp_path / "core.mlir"
    file.write_text("module {\n  aie.device(npu1) {\n  %c = aie.core(%t) {\n")
    assert f"{file}: line 3" in refused(sparsebd("compile", file, "-o", tmp_path))


def test_bench_compares_bytes_times_and_data():
    found = compile_bench.run(GOLDEN, lambda: None, quick=True)
    assert found.is_right
    assert len(found.golden) == 5
    assert all(case.aiecc_ms for case in found.golden)
    assert "5 of 5 equal in all bytes" in compile_bench.markdown(found)
    assert [stream.rows for stream in found.streams] == [130, 1000, 4000]


def test_bench_says_when_bytes_differ(tmp_path):
    case = GOLDEN / "passthrough_c1_ch1_o4k_npu1"
    copy = tmp_path / case.name
    copy.mkdir()
    for file in case.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    (copy / "main.pdi").write_bytes(b"other")
    found = compile_bench.run(tmp_path, lambda: None, quick=True)
    assert not found.is_right
    assert "0 of 1 equal" in compile_bench.markdown(found)


@st.composite
def made_up(draw):
    device = DEVICES[draw(st.sampled_from(["npu1", "npu2"]))]
    shape = designs.Shape(
        device,
        draw(st.integers(1, device.columns)),
        draw(st.integers(1, 2)),
        draw(st.sampled_from([4, 64, 1024, 16384])),
        draw(st.integers(1, 4)),
    )
    name = draw(st.sampled_from(["passthrough", "gather_rows", "gather_chain"]))
    if name == "passthrough":
        return designs.passthrough(shape, shape.object_bytes * draw(st.integers(1, 9)))
    row_bytes = shape.object_bytes * draw(st.integers(1, 3))
    rows = draw(st.integers(1, 60))
    wanted = draw(st.lists(st.integers(0, rows - 1), min_size=1, max_size=60))
    return designs.GATHERS[name](shape, designs.Rows(row_bytes, rows, tuple(wanted)))


@given(made_up())
def test_whatever_is_compiled_runs_and_moves_the_right_words(design):
    right, result = compile_runs.run(compile_design(design.dataflow, design.sequence))
    assert right
    assert not result.diagnostics


def test_rows_reach_the_cores_that_take_them():
    shape = designs.Shape(DEVICES["npu1"], 2, 1, 1024)
    rows = designs.Rows(1024, 16, (1, 2, 5, 8, 13))
    design = designs.gather_to_core(shape, rows)
    made = compile_design(design.dataflow, design.sequence)
    places = [at for buffer, at in made.addresses.items() if buffer.tile == Tile(0, 2)]
    matrix = np.arange(16 * 256, dtype=np.uint32)
    taken = {column: [] for column in range(2)}

    def core(tile):
        while True:
            for at in places:
                yield tile.acquire(1, -1)
                words = tile.memory[at : at + 1024].view(np.uint32)
                taken[tile.column].append(words.copy())
                tile.release(0, 1)

    cores = {(column, 2): core for column in range(2)}
    assert made.insts is not None
    result = simulate(made.xclbin, made.insts, [matrix], core_models=cores)
    assert not result.diagnostics
    for column, wanted in enumerate([(1, 5, 13), (2, 8)]):
        assert np.array_equal(taken[column], matrix.reshape(16, 256)[list(wanted)])
