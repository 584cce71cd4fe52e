# SPDX-License-Identifier: Apache-2.0
"""The row designs under every recorded release: same moves, safe queues, nothing left unawaited."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_mlir_aie import FakeMlirAie
from hypothesis import given
from hypothesis import strategies as st
from mlir_operations import Printed, Way, read
from recorded_api import BETWEEN, FORMER, PRESENT, RECORDS, load
from test_iron_rows import gathers

from aie2.devices import NPU1, NPU2
from firmware_sim import simulate
from iron_designs import (
    dense_rowwise,
    gather_chain,
    gather_rows,
    gather_to_core,
    iron,
    placed,
    shipped,
)
from iron_designs.compiler import mlir_reader
from iron_designs.compiler.objects import lower
from iron_designs.compiler.sequence import assemble
from iron_designs.errors import DesignError
from iron_designs.gather_to_core import GatherToCore, Kernel
from iron_designs.rows import Gather

GATHERS = [gather_rows.row_by_row, gather_chain.mlir]


def printed(make: Any, design: Any, record: str) -> tuple[Printed, FakeMlirAie]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        fake = FakeMlirAie(record)
        fake.install(monkeypatch)
        return read(make(design)), fake


def down(column: int) -> Way:
    return (column, 0), (column, 1)


def up(column: int) -> Way:
    return (column, 1), (column, 0)


@given(gathers(), st.sampled_from(GATHERS), st.sampled_from(RECORDS))
def test_each_batch_moves_its_rows_and_waits_for_them(gather: Gather, make: Any, record: str):
    module, _ = printed(make, gather, record)
    row = gather.row_bytes // 4
    wanted = list(gather.batches())
    assert len(module.batches) == len(wanted)
    for batch, shares in zip(module.batches, wanted, strict=True):
        for share in shares:
            lane = share.column
            assert batch.moves[down(lane)] == [(0, r * row, row) for r in share.rows]
            assert batch.moves[up(lane)] == [(1, share.place * row, len(share.rows) * row)]
        assert sorted(batch.awaited) == sorted(up(share.column) for share in shares)
        assert len(batch.moves) == 2 * len(shares)


@given(gathers(), st.sampled_from(GATHERS), st.sampled_from(RECORDS))
def test_every_task_ends_once_it_has_started(gather: Gather, make: Any, record: str):
    module, _ = printed(make, gather, record)
    for task in module.tasks:
        assert task.steps[0] == "start"
        ends = [["await"], ["await", "free"]] if task.token else [["free"]]
        assert task.steps[1:] in ends


@given(gathers(), st.sampled_from(RECORDS))
def test_chains_need_one_push_per_lane_and_batch(gather: Gather, record: str):
    module, _ = printed(gather_chain.mlir, gather, record)
    for batch in module.batches:
        assert set(batch.pushes.values()) == {1}
        assert all(len(batch.moves[down(c)]) <= 15 for c, _ in {way[0] for way in batch.awaited})


@given(gathers(), st.sampled_from(RECORDS))
def test_single_bd_batches_never_overflow_the_queue(gather: Gather, record: str):
    if gather.batch > gather.device.queue_depth:
        with pytest.raises(DesignError, match=r"give 1 to 4, the tasks that a DMA channel's queue"):
            printed(gather_rows.mlir, gather, record)
        return
    module, _ = printed(gather_rows.mlir, gather, record)
    assert max(max(batch.pushes.values()) for batch in module.batches) <= 4


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("make", [*GATHERS, dense_rowwise.mlir])
def test_stream_of_a_design_runs_on_the_shipped_xclbin(make: Any, record: str):
    wanted = tuple(range(10)) if make is dense_rowwise.mlir else (5, 0, 3, 9, 2)
    xclbin = shipped.select("npu1", 4, 1024)
    gather = Gather(NPU1, wanted, 4, 10, 1024, xclbin.object_bytes)
    with pytest.MonkeyPatch.context() as monkeypatch:
        FakeMlirAie(record).install(monkeypatch)
        design, sequence = mlir_reader.read(make(gather))
    assert sequence is not None
    stream = assemble(sequence, lower(design).shim_channels, design.device, design.columns)
    matrix = np.arange(10 * 256, dtype=np.uint32)
    out = np.zeros(gather.out_bytes // 4, np.uint32)
    simulate(xclbin.read(), stream, [matrix, out], strict=True)
    lines, landed = matrix.reshape(10, 256), out.reshape(4, -1, 256)
    for column in range(4):
        mine = lines[list(wanted[column::4])]
        assert np.array_equal(landed[column, : len(mine)], mine)
        assert not landed[column, len(mine) :].any()


def core_design(**sizes: Any) -> GatherToCore:
    gather = {"device": NPU2, "wanted": tuple(range(11)), "columns": 3, "row_bytes": 1024}
    gather |= {"object_bytes": 1024} | {k: v for k, v in sizes.items() if k in ("batch",)}
    rest = {k: v for k, v in sizes.items() if k not in ("batch",)}
    return GatherToCore(Gather(**gather), **rest)


@pytest.mark.parametrize("record", RECORDS)
def test_rows_for_cores_stop_in_the_memtile_and_go_on_to_the_core(record: str):
    module, fake = printed(gather_to_core.mlir, core_design(resident=6), record)
    for column in range(3):
        to_core = (column, 1), (column, 2)
        assert module.fifos[down(column)] == ((6,), 256)
        assert module.fifos[to_core] == ((2, 6), 256)
        assert (down(column), to_core) in module.links
    assert len(module.fifos) == 6
    assert fake.cores == [(0, 2), (1, 2), (2, 2)]


@pytest.mark.parametrize("record", RECORDS)
def test_last_read_of_a_share_is_what_a_batch_for_cores_waits_for(record: str):
    module, _ = printed(gather_to_core.mlir, core_design(), record)
    assert module.arguments == [64 * 256]
    assert [sorted(batch.awaited) for batch in module.batches] == [[down(0), down(1), down(2)]]
    (batch,) = module.batches
    assert batch.moves[down(1)] == [(0, row * 256, 256) for row in (1, 4, 7, 10)]
    tokens = [task for task in module.tasks if task.token]
    assert [task.spans[0][1] // 256 for task in tokens] == [9, 10, 8]


@pytest.mark.parametrize("record", RECORDS)
def test_core_takes_a_row_calls_the_kernel_and_gives_the_row_back(record: str, tmp_path: Path):
    file = tmp_path / "k.o"
    file.touch()
    design = core_design(kernel=Kernel(file, "sum_row"))
    with pytest.MonkeyPatch.context() as monkeypatch:
        FakeMlirAie(record).install(monkeypatch)
        text = gather_to_core.mlir(design)
    assert text.count("func.func private @sum_row(memref<256xi32>)") == 1
    assert f'link_with = "{file}"' in text
    core = re.findall(r"aie\.core\(%tile_1_2\) \{\n(.*?)\n    \}", text, re.DOTALL)
    assert [line.split()[0] for line in core[0].splitlines()] == [
        "aie.objectfifo.acquire",
        "func.call",
        "aie.objectfifo.release",
    ]


@pytest.mark.parametrize(
    ("sizes", "sentence"),
    [
        ({"batch": 5}, "batch is 5 rows: give 1 to 4, the tasks that a DMA channel's queue holds"),
        (
            {"resident": 13},
            "resident is 13 rows of 1024 bytes: a memtile of 524288 bytes and 48 BDs holds 1 to 12",
        ),
        (
            {"resident": 0},
            "resident is 0 rows of 1024 bytes: a memtile of 524288 bytes and 48 BDs holds 1 to 12",
        ),
        ({"kernel": Path("nowhere.o")}, "kernel nowhere.o is not a file: compile it first"),
    ],
)
def test_impossible_design_for_cores_is_refused(sizes, sentence):
    with pytest.raises(DesignError, match=f"^{re.escape(sentence)}$"):
        if "kernel" in sizes:
            Kernel(sizes["kernel"], "f")
        core_design(**sizes)


@pytest.mark.parametrize(
    ("row_bytes", "object_bytes", "sentence"),
    [
        (
            32768,
            32768,
            "row bytes is 32768: 2 rows and a stack must fit in a core's 65536 bytes, so at most "
            "32256",
        ),
        (
            1024,
            512,
            "object bytes is 512 and row bytes 1024: the core takes whole rows, make them equal",
        ),
    ],
)
def test_rows_that_a_core_cannot_take_are_refused(row_bytes, object_bytes, sentence):
    gather = Gather(NPU1, (0,), row_bytes=row_bytes, object_bytes=object_bytes)
    with pytest.raises(DesignError, match=f"^{re.escape(sentence)}$"):
        GatherToCore(gather)


def test_a_memtile_full_of_rows_is_accepted():
    GatherToCore(Gather(NPU1, (0,), row_bytes=32256, object_bytes=32256), resident=12)


def test_a_dense_stream_of_some_rows_is_refused():
    sentence = (
        "2 rows are wanted: a dense stream has all 64 of the matrix in order, use gather_rows for "
        "some"
    )
    with pytest.raises(DesignError, match=f"^{re.escape(sentence)}$"):
        dense_rowwise.mlir(Gather(NPU1, (0, 1)))


@pytest.mark.parametrize("record", RECORDS)
def test_designs_call_the_generation_that_is_there(record: str):
    _, fake = printed(gather_rows.mlir, Gather(NPU1, (0, 1)), record)
    former = {"aie.iron.Runtime.fill", "aie.iron.Runtime.drain", "aie.iron.Runtime.sequence"}
    present = {"aie.iron.ObjectFifoHandle.fill", "aie.iron.TaskGroup.finish"}
    called = fake.api.called & (former | present)
    assert called == (present if record == PRESENT else former)


def test_all_that_is_recorded_is_called_in_some_generation(tmp_path: Path):
    (tmp_path / "k.o").touch()
    called: set[str] = set()
    recorded: set[str] = set()
    for record in RECORDS:
        recorded |= set(load(record).signatures)
        for make, design in (
            (gather_rows.mlir, Gather(NPU1, (0, 1))),
            (gather_chain.mlir, Gather(NPU1, (0, 1))),
            (gather_to_core.mlir, core_design(kernel=Kernel(tmp_path / "k.o", "f"))),
        ):
            called |= printed(make, design, record)[1].api.called
    assert recorded == called


@pytest.mark.parametrize("record", RECORDS)
def test_every_name_that_is_loaded_is_in_the_record(record: str):
    api = load(record)
    names = iron.REWRITTEN if record == PRESENT else iron.SHARED
    for module, members in (placed.NAMES | names).items():
        for name in members:
            known = [n for n in api.signatures if n.startswith(f"{module}.{name}")]
            assert known or name == "AIEDevice", name


def test_records_are_of_three_commits_before_and_after_the_rewrite():
    assert RECORDS == [FORMER, BETWEEN, PRESENT]
    assert all(re.fullmatch(r"[0-9a-f]{40}", load(record).commit) for record in RECORDS)
    assert load(FORMER).has("aie.iron.Runtime.fill")
    assert load(BETWEEN).has("aie.iron.Runtime.fill")
    assert not load(PRESENT).has("aie.iron.Runtime.fill")


@pytest.mark.parametrize(
    ("name", "args", "kwargs"),
    [
        ("aie.iron.Runtime.fill", (1, 2), {"tile": 3}),
        ("aie.iron.ObjectFifoHandle.forward", (), {"tile": 3}),
        ("aie.iron.Program.__init__", (1, 2), {"workers": []}),
        ("aie.dialects.aie.tile", (0,), {}),
    ],
)
def test_the_stand_in_refuses_what_the_release_would_refuse(name, args, kwargs):
    with pytest.raises(TypeError):
        load(FORMER).bind(name, args, kwargs)


def test_the_stand_in_lacks_what_the_release_lacks(monkeypatch: pytest.MonkeyPatch):
    FakeMlirAie(PRESENT).install(monkeypatch)
    array = iron.array(NPU1, 1)
    with pytest.raises(AttributeError, match=r"aie\.iron\.Runtime\.sequence is not in mlir-aie"):
        _ = array.iron.Runtime(lambda: None).sequence
