# SPDX-License-Identifier: Apache-2.0
"""The row designs against what mlir-aie printed of the same: byte for byte, or move for move."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from fake_mlir_aie import FakeMlirAie
from mlir_operations import Printed, read
from recorded_api import FORMER, RECORDS

from aie2.devices import DEVICES
from iron_designs import dense_rowwise, gather_chain, gather_rows
from iron_designs.rows import Gather

DATA = Path(__file__).parents[1] / "data"
CASES = sorted((DATA / "golden").glob("*/aie.mlir"))
DESIGNS = {
    "iron_gather": (gather_rows, 4),
    "gather_rows": (gather_rows, 4),
    "gather_chain": (gather_chain, 15),
    "dense_rowwise": (dense_rowwise, 15),
}
"""Golden case to design and the batch it was made with."""
SHAPES = re.compile(r"(iron_gather|gather_chain|dense_rowwise|gather_rows_q4)_c\d_npu\d")
PRINTED = {path.parent.name: path for path in CASES if SHAPES.fullmatch(path.parent.name)}
"""What mlir-aie printed of the golden cases that our designs describe."""


def described(name: str) -> tuple[str, Gather]:
    """Our design of a golden case, and its sizes."""
    case = json.loads((DATA / "golden" / name / "case.json").read_text())
    design = next(title for title in DESIGNS if name.startswith(title))
    wanted = range(64) if design == "dense_rowwise" else case["wanted_rows"]
    device, _, _ = case["device"].partition("_")
    batch = DESIGNS[design][1]
    return design, Gather(DEVICES[device], tuple(wanted), case["columns"], batch=batch)


def printed_by(name: str, record: str) -> str:
    """What the design prints under a recorded release."""
    design, gather = described(name)
    with pytest.MonkeyPatch.context() as monkeypatch:
        FakeMlirAie(record).install(monkeypatch)
        return DESIGNS[design][0].mlir(gather)


def moves(module: Printed) -> list[object]:
    """Transfers of each batch by lane, and which lanes it waits for, whatever their order."""
    return [(batch.moves, sorted(batch.awaited)) for batch in module.batches]


def same_design(ours: Printed, golden: Printed) -> bool:
    def facts(module: Printed) -> list[object]:
        return [module.device, module.fifos, module.links, module.arguments, moves(module)]

    return facts(ours) == facts(golden)


EXACT = [name for name in PRINTED if name.startswith(("iron_gather", "gather_chain"))]
CHAINED = [name for name in PRINTED if name.startswith("gather_chain")]


def test_there_is_text_to_compare_with():
    assert len(PRINTED) == 14
    assert len(EXACT) == 9


@pytest.mark.parametrize("name", EXACT)
def test_design_prints_what_mlir_aie_printed_of_it(name: str):
    assert printed_by(name, FORMER) + "\n" == PRINTED[name].read_text()


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("name", CHAINED)
def test_placed_design_prints_the_same_in_every_generation(name: str, record: str):
    assert printed_by(name, record) + "\n" == PRINTED[name].read_text()


@pytest.mark.parametrize("record", RECORDS)
@pytest.mark.parametrize("name", PRINTED)
def test_every_generation_moves_what_the_golden_moves(name: str, record: str):
    golden = read(PRINTED[name].read_text())
    assert same_design(read(printed_by(name, record)), golden)


@pytest.mark.parametrize("name", PRINTED)
def test_reading_a_golden_finds_all_of_it(name: str):
    text = PRINTED[name].read_text()
    golden = read(text)
    case = json.loads((DATA / "golden" / name / "case.json").read_text())
    assert [4 * words for words in golden.arguments] == [b["bytes"] for b in case["buffers"]]
    assert len(golden.tasks) == text.count("dma_configure_task_for")
    assert sum(len(task.spans) for task in golden.tasks) == text.count("aie.dma_bd(")
    assert len(golden.links) == case["columns"] == len(golden.fifos) / 2


@pytest.mark.parametrize(
    "change",
    [
        ("2048, 2048, [", "4096, 2048, ["),
        ("aiex.dma_await_task(%0)", "aiex.dma_free_task(%0)"),
        ("!aie.objectfifo<memref<2048xi32>>", "!aie.objectfifo<memref<1024xi32>>"),
    ],
)
def test_a_changed_golden_is_told_apart(change: tuple[str, str]):
    text = PRINTED["gather_chain_c1_npu1"].read_text()
    assert change[0] in text
    assert not same_design(read(text.replace(*change, 1)), read(text))


@pytest.mark.mlir_aie
@pytest.mark.parametrize("name", PRINTED)
def test_mlir_aie_itself_moves_what_the_golden_moves(name: str):
    design, gather = described(name)
    text = DESIGNS[design][0].mlir(gather)
    golden = PRINTED[name].read_text()
    assert text + "\n" == golden or same_design(read(text), read(golden))
