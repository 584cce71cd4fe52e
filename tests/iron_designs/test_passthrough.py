# SPDX-License-Identifier: Apache-2.0
"""The passthrough design: the MLIR it prints, what it refuses, and life without mlir-aie."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest
from fake_mlir_aie import FakeMlirAie, Tile
from hypothesis import given
from hypothesis import strategies as st
from mlir_operations import read

from aie2.devices import DEVICES, NPU1, NPU2
from iron_designs import passthrough
from iron_designs.errors import DesignError, ToolchainMissing
from iron_designs.passthrough import Passthrough

PRINTED = sorted((Path(__file__).parent / "data").glob("*.mlir"))


def described(printed: Path) -> Passthrough:
    """The design that a file `passthrough_c1_ch1_o1k_npu1.mlir` was printed from."""
    found = re.fullmatch(r"passthrough_c(\d+)_ch(\d+)_o(\d+)k_(\w+)", printed.stem)
    assert found
    columns, channels, kib = map(int, found.groups()[:3])
    return Passthrough(DEVICES[found[4]], columns, channels, kib * 1024)


def recorded(design: Passthrough) -> FakeMlirAie:
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake = FakeMlirAie()
        fake.install(monkeypatch)
        passthrough.mlir(design)
    return fake


@st.composite
def designs(draw: st.DrawFn) -> Passthrough:
    device = draw(st.sampled_from([NPU1, NPU2]))
    channels = draw(st.integers(1, device.shim_channels))
    object_bytes = 4 * draw(st.integers(1, device.memtile_bytes // (2 * channels * 4)))
    lane_bytes = object_bytes * draw(st.integers(1, 100))
    columns = draw(st.integers(1, device.columns))
    return Passthrough(device, columns, channels, object_bytes, lane_bytes)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> FakeMlirAie:
    fake = FakeMlirAie()
    fake.install(monkeypatch)
    return fake


@pytest.fixture
def no_mlir_aie(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "aie", None)


def test_there_is_text_to_compare_with():
    assert len(PRINTED) == 10


@pytest.mark.parametrize("printed", PRINTED, ids=lambda path: path.stem)
def test_calls_print_what_mlir_aie_printed(printed: Path, fake: FakeMlirAie):
    assert passthrough.mlir(described(printed)) + "\n" == printed.read_text()


@pytest.mark.mlir_aie
@pytest.mark.parametrize("printed", PRINTED, ids=lambda path: path.stem)
def test_mlir_aie_itself_prints_the_same(printed: Path):
    text = passthrough.mlir(described(printed))
    golden = printed.read_text()
    assert text + "\n" == golden or read(text) == read(golden)


@given(designs())
def test_every_lane_is_a_linked_pair_through_its_columns_memtile(design: Passthrough):
    calls = recorded(design)
    fifos = {fifo.name: fifo for fifo in calls.fifos}
    assert len(fifos) == 2 * design.lanes == 2 * len(calls.links)
    lanes_of_column = dict.fromkeys(range(design.columns), 0)
    for down, up in ((fifos[a], fifos[b]) for a, b in calls.links):
        shim, memtile = down.producer, down.consumer
        assert (shim.row, memtile) == (0, Tile(shim.column, 1))
        assert (up.producer, up.consumer) == (memtile, shim)
        lanes_of_column[shim.column] += 1
    assert set(lanes_of_column.values()) == {design.channels}
    assert {(fifo.depth, fifo.words * 4) for fifo in calls.fifos} == {(2, design.object_bytes)}


@given(designs())
def test_the_lanes_copy_the_whole_buffer_once(design: Passthrough):
    calls = recorded(design)
    for buffer, token in (("%arg0", False), ("%arg1", True)):
        mine = [task for task in calls.tasks if task.spans[0][0] == buffer]
        assert {task.token for task in mine} == {token}
        spans = sorted((at, at + length) for task in mine for _, at, length in task.spans)
        ends = [0, *(end for _, end in spans)]
        assert [start for start, _ in spans] == ends[:-1]
        assert ends[-1] * 4 == design.lanes * design.lane_bytes
    assert calls.buffers_words == (ends[-1], ends[-1])


@given(designs())
def test_every_token_is_awaited_after_all_lanes_started(design: Passthrough):
    calls = recorded(design)
    verbs = [verb for verb, _ in calls.order]
    started = verbs.count("start")
    assert started == len(calls.tasks)
    assert set(verbs[:started]) == {"start"}
    waited = {number for verb, number in calls.order if verb == "await"}
    freed = {number for verb, number in calls.order if verb == "free"}
    assert waited == {task.number for task in calls.tasks if task.token}
    assert waited | freed == {task.number for task in calls.tasks}


@pytest.mark.parametrize(
    ("device", "columns", "target"),
    [
        (NPU1, 1, "npu1_1col"),
        (NPU1, 3, "npu1_3col"),
        (NPU1, 4, "npu1"),
        (NPU2, 4, "npu2_4col"),
        (NPU2, 8, "npu2"),
    ],
)
def test_target_is_the_partition(device, columns, target, fake: FakeMlirAie):
    passthrough.mlir(Passthrough(device, columns))
    assert fake.device_name == target


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({"columns": 0}, "columns is 0: npu1 has 1 to 4"),
        ({"columns": 5}, "columns is 5: npu1 has 1 to 4"),
        ({"channels": 0}, "channels is 0: npu1 has 1 to 2"),
        ({"channels": 3}, "channels is 3: npu1 has 1 to 2"),
        (
            {"object_bytes": 0},
            "object bytes is 0: DMAs move 32-bit words, give a multiple of 4",
        ),
        (
            {"object_bytes": 1022},
            "object bytes is 1022: DMAs move 32-bit words, give a multiple of 4",
        ),
        (
            {"object_bytes": 262148},
            "object bytes is 262148: 2 objects for each of 1 channel(s) must fit in a memtile of "
            "524288 bytes, so at most 262144",
        ),
        (
            {"object_bytes": 131076, "channels": 2},
            "object bytes is 131076: 2 objects for each of 2 channel(s) must fit in a memtile of "
            "524288 bytes, so at most 131072",
        ),
        (
            {"lane_bytes": 6144},
            "lane bytes is 6144, which is not one or more whole objects of 4096 bytes: the last "
            "object would never leave the memtile",
        ),
        (
            {"lane_bytes": 0},
            "lane bytes is 0, which is not one or more whole objects of 4096 bytes: the last "
            "object would never leave the memtile",
        ),
    ],
)
def test_impossible_design_is_refused(parameters, sentence, no_mlir_aie):
    with pytest.raises(DesignError, match=f"^{re.escape(sentence)}$"):
        Passthrough(NPU1, **parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        {"columns": 4, "channels": 2},
        {"object_bytes": 4},
        {"object_bytes": 262144, "lane_bytes": 262144},
        {"object_bytes": 131072, "channels": 2, "lane_bytes": 131072},
    ],
)
def test_the_largest_and_smallest_designs_are_accepted(parameters):
    Passthrough(NPU1, **parameters)


def test_without_mlir_aie_the_error_says_how_to_get_it(no_mlir_aie):
    with pytest.raises(
        ToolchainMissing, match=r"pip install mlir_aie llvm-aie -f https://"
    ) as error:
        passthrough.mlir(Passthrough(NPU1))
    assert "\n" not in str(error.value)


def test_an_mlir_aie_that_lacks_a_function_is_reported_as_missing(fake, monkeypatch):
    monkeypatch.delattr(sys.modules["aie.dialects.aiex"], "dma_free_task")
    with pytest.raises(ToolchainMissing, match="dma_free_task"):
        passthrough.mlir(Passthrough(NPU1))


def test_command_line_prints_the_design(fake, capsys):
    assert passthrough.main(["-d", "npu2", "--columns", "8", "--channels", "2"]) == 0
    printed = Path(__file__).parent / "data/passthrough_c8_ch2_o4k_npu2.mlir"
    assert capsys.readouterr().out == printed.read_text()


def test_command_line_writes_the_file_it_is_given(fake, tmp_path, capsys):
    output = tmp_path / "aie.mlir"
    arguments = ["-d", "npu", "--object-bytes", "1024", "--lane-bytes", "65536", "-o", str(output)]
    assert passthrough.main(arguments) == 0
    printed = Path(__file__).parent / "data/passthrough_c1_ch1_o1k_npu1.mlir"
    assert (capsys.readouterr().out, output.read_text()) == ("", printed.read_text())


def test_command_line_without_mlir_aie_leaves_no_file(no_mlir_aie, tmp_path, capsys):
    output = tmp_path / "aie.mlir"
    assert passthrough.main(["-o", str(output)]) == 1
    assert "needs mlir-aie" in capsys.readouterr().err
    assert not output.exists()


def test_command_line_refuses_an_impossible_design(no_mlir_aie, capsys):
    with pytest.raises(SystemExit, match=r"^2$"):
        passthrough.main(["-d", "npu", "--columns", "8"])
    assert "error: columns is 8: npu1 has 1 to 4" in capsys.readouterr().err


def test_command_line_says_why_it_cannot_write(fake, tmp_path, capsys):
    output = tmp_path / "nowhere" / "aie.mlir"
    assert passthrough.main(["-o", str(output)]) == 1
    assert capsys.readouterr().err == f"cannot write {output}: No such file or directory\n"
