# SPDX-License-Identifier: Apache-2.0
"""Devices by name and generation, and the tile address map."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aie2 import tiles
from aie2.devices import DEVICES, NPU1, NPU2, by_generation, device
from aie2.errors import DeviceError, RegisterError
from aie2.tiles import COLUMN_MASK, OFFSET_MASK, ROW_MASK, TileKind


def test_devices_are_found_by_name_and_generation():
    assert [device("npu1"), device("npu2")] == [NPU1, NPU2] == list(DEVICES.values())
    assert [by_generation(3), by_generation(4)] == [NPU1, NPU2]


def test_unknown_devices_are_refused():
    with pytest.raises(DeviceError, match=r"^unknown device 'npu3': give npu1 or npu2$"):
        device("npu3")
    sentence = r"^device generation 5 is not known here: known are 3 \(npu1\) and 4 \(npu2\)$"
    with pytest.raises(DeviceError, match=sentence):
        by_generation(5)


@given(st.integers(0, COLUMN_MASK), st.integers(0, ROW_MASK), st.integers(0, OFFSET_MASK))
def test_split_undoes_address(column: int, row: int, offset: int):
    assert tiles.split(tiles.address(column, row, offset)) == (column, row, offset)


@given(st.integers(0, 0xFFFFFFFF))
def test_address_undoes_split(address: int):
    assert tiles.address(*tiles.split(address)) == address


def test_address_of_a_known_register():
    assert tiles.address(4, 0, 0x1D228) == 0x0801D228
    assert tiles.address(0, 1, 0xA0000) == 0x001A0000


@pytest.mark.parametrize(
    ("place", "sentence"),
    [
        ((128, 0, 0), "column 128 does not fit a tile address: 0 to 127 do"),
        ((-1, 0, 0), "column -1 does not fit a tile address: 0 to 127 do"),
        ((0, 32, 0), "row 32 does not fit a tile address: 0 to 31 do"),
        ((0, 0, 1 << 20), "offset 1048576 does not fit a tile address: 0 to 1048575 do"),
    ],
)
def test_what_does_not_fit_an_address_is_refused(place, sentence):
    with pytest.raises(RegisterError, match=f"^{sentence}$"):
        tiles.address(*place)


@pytest.mark.parametrize("address", [-1, 1 << 32])
def test_wide_addresses_are_not_split(address):
    with pytest.raises(RegisterError, match="is not a 32-bit register address$"):
        tiles.split(address)


def test_kinds_of_tiles_by_row():
    core = TileKind.CORE
    assert [tiles.kind(row) for row in tiles.ROWS] == [TileKind.SHIM, TileKind.MEMTILE, *[core] * 4]
    assert len(tiles.ROWS) == NPU1.rows == NPU2.rows
    for row in (-1, 6):
        with pytest.raises(RegisterError, match=f"^row {row} does not exist: rows are 0 to 5$"):
            tiles.kind(row)
