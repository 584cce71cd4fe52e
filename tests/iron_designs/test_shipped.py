# SPDX-License-Identifier: Apache-2.0
"""The shipped xclbins: each is what its name says, and the right one is picked for a row."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2 import cdo, pdi, tiles, xclbin
from aie2.devices import DEVICES
from aie2.registers import MEMTILE_DMA, Direction
from iron_designs.errors import DesignError
from iron_designs.shipped import FOLDER, Shipped, catalogue, select

GOLDEN = Path(__file__).parents[1] / "data/golden"
README_ROW = re.compile(r"^\| (passthrough_\w+\.xclbin) \| (\w+) \| (\w+) \| (\d+) \|$", re.M)
ORIGINS = README_ROW.findall((FOLDER / "README.md").read_text())

START_COLUMNS = {
    ("npu1", 1): (1, 2, 3, 4),
    ("npu1", 4): (0,),
    ("npu2", 1): (1, 2, 3, 4),
    ("npu2", 4): (1,),
    ("npu2", 8): (0,),
}
"""As aiecc writes them per device and width."""


def memtile_writes(shipped: Shipped) -> dict[tuple[int, int], int]:
    """What the configuration leaves in memtile registers: (column, offset) to value."""
    image = xclbin.read(shipped.read()).partition.pdis[0].image
    addresses, values, _ = cdo.register_writes(cdo.read(pdi.read(image).cdo))
    left = {}
    for address, value in zip(addresses.tolist(), values.tolist(), strict=True):
        place = tiles.split(address)
        if place.row == 1:
            left[place.column, place.offset] = value
    return left


def test_every_xclbin_is_in_the_catalogue_and_the_readme():
    files = {file.name for file in FOLDER.glob("*.xclbin")}
    assert len(files) == 27
    assert {shipped.path.name for shipped in catalogue()} == files
    assert [name for name, *_ in sorted(ORIGINS)] == sorted(files)


@pytest.mark.parametrize(("name", "case", "_target", "size"), ORIGINS)
def test_readme_names_the_case_it_was_built_from(name: str, case: str, _target: str, size: str):
    data = (FOLDER / name).read_bytes()
    assert len(data) == int(size)
    assert (GOLDEN / case / "main.pdi").read_bytes() in data


@pytest.mark.parametrize("shipped", catalogue(), ids=lambda s: s.path.stem)
def test_partition_is_as_wide_as_the_name_says(shipped: Shipped):
    partition = xclbin.read(shipped.path).partition
    assert partition.column_width == shipped.columns
    assert tuple(partition.start_columns) == START_COLUMNS[shipped.device, shipped.columns]


@pytest.mark.parametrize("shipped", catalogue(), ids=lambda s: s.path.stem)
def test_memtiles_have_the_lanes_that_the_name_says(shipped: Shipped):
    left = memtile_writes(shipped)
    for direction in Direction:
        queues = {
            MEMTILE_DMA.queue_address(direction, channel): channel
            for channel in range(MEMTILE_DMA.s2mm_channels)
        }
        started = [(column, queues[offset]) for column, offset in left if offset in queues]
        lanes = [(c, ch) for c in range(shipped.columns) for ch in range(shipped.channels)]
        assert sorted(started) == lanes


@pytest.mark.parametrize("shipped", catalogue(), ids=lambda s: s.path.stem)
def test_memtile_bds_move_objects_of_the_size_that_the_name_says(shipped: Shipped):
    left = memtile_writes(shipped)
    lengths = []
    for column in range(shipped.columns):
        for index in range(MEMTILE_DMA.bd_count):
            base = MEMTILE_DMA.bd_address(index)
            words = [left.get((column, base + 4 * word), 0) for word in range(8)]
            bd = MEMTILE_DMA.bd.decode(np.array(words, dtype=np.uint32))
            lengths += [4 * bd["buffer_length"]] if bd["valid_bd"] else []
    assert len(lengths) == 4 * shipped.columns * shipped.channels
    assert set(lengths) == {shipped.object_bytes}


@given(object_words=st.integers(1, 200), row_words=st.integers(1, 200))
def test_worst_padding_is_the_worst_over_all_batches(object_words: int, row_words: int):
    shipped = Shipped("npu1", 1, 1, 4 * object_words)
    lacking = [-4 * row_words * rows % (4 * object_words) for rows in range(1, object_words + 1)]
    assert shipped.worst_padding(4 * row_words) == max(lacking)


@pytest.mark.parametrize(
    ("row_bytes", "object_bytes"),
    [
        (512, 1024),
        (1024, 1024),
        (2048, 2048),
        (3072, 1024),
        (5120, 1024),
        (8192, 8192),
        (10240, 2048),
        (22016, 1024),
        (22528, 2048),
        (24576, 8192),
        (4, 1024),
    ],
)
def test_largest_object_that_divides_the_row_else_the_smallest(row_bytes: int, object_bytes: int):
    assert select("npu1", 1, row_bytes).object_bytes == object_bytes


@pytest.mark.parametrize(
    ("device", "wanted", "columns"),
    [("npu1", 1, 1), ("npu1", 2, 4), ("npu1", 4, 4), ("npu2", 4, 4), ("npu2", 5, 8)],
)
def test_narrowest_partition_with_enough_columns(device: str, wanted: int, columns: int):
    assert select(device, wanted, 8192).columns == columns


@given(
    device=st.sampled_from(sorted(DEVICES)),
    columns=st.integers(1, 4),
    row_bytes=st.integers(1, 10_000).map(lambda words: 4 * words),
    channels=st.integers(1, 2),
)
def test_no_other_of_that_width_pads_less(device, columns, row_bytes, channels):
    chosen = select(device, columns, row_bytes, channels)
    assert (chosen.device, chosen.channels) == (device, channels)
    assert chosen.columns >= columns
    same = [
        shipped
        for shipped in catalogue()
        if (shipped.device, shipped.columns, shipped.channels) == (device, chosen.columns, channels)
    ]
    least = min(shipped.worst_padding(row_bytes) for shipped in same)
    assert chosen.worst_padding(row_bytes) == least
    rivals = [s.object_bytes for s in same if s.worst_padding(row_bytes) == least]
    assert chosen.object_bytes == max(rivals)


def test_object_size_can_be_asked_for():
    assert select("npu2", 1, 8192, object_bytes=1024).object_bytes == 1024
    assert select("npu2", 1, 8192, channels=2, object_bytes=4096).channels == 2


NPU1_SHIPPED = (
    "1 x 1 with objects of 1024, 2048, 4096, 8192; 1 x 2 with objects of 1024, 4096; "
    "4 x 1 with objects of 1024, 4096, 8192; 4 x 2 with objects of 1024, 4096"
)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("npu1", 2, 8192, 1, 2048),
            "no shipped xclbin for npu1 has 2 or more columns with 1 channel(s) and objects of "
            f"2048 bytes; shipped (columns x channels): {NPU1_SHIPPED}; for another, compile "
            "iron_designs.passthrough with mlir-aie",
        ),
        (("npu9", 1, 8192), "unknown device 'npu9': give npu1 or npu2"),
        (("npu1", 0, 8192), "columns is 0: npu1 has 1 to 4"),
        (("npu1", 5, 8192), "columns is 5: npu1 has 1 to 4"),
        (("npu2", 9, 8192), "columns is 9: npu2 has 1 to 8"),
        (("npu2", 1, 8192, 3), "channels is 3: npu2 has 1 to 2"),
        (("npu1", 1, 0), "a row of 0 bytes cannot be moved: give a multiple of 4"),
        (("npu1", 1, 1022), "a row of 1022 bytes cannot be moved: give a multiple of 4"),
    ],
)
def test_what_is_not_shipped_is_refused(arguments, sentence):
    with pytest.raises(DesignError, match=f"^{re.escape(sentence)}$"):
        select(*arguments)
