# SPDX-License-Identifier: Apache-2.0
"""Masks from files: every accepted form gives the same mask, anything else one sentence."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sparsity.errors import MaskError
from sparsity.masks import from_file

MASK = np.array([1, 0, 0, 1, 1, 0, 1, 0, 0, 0], dtype=bool)


@pytest.mark.parametrize(
    "values",
    [
        MASK,
        MASK.astype(np.uint8),
        MASK.astype(np.int64),
        MASK[None, :],
        MASK.astype(np.float16) * np.float16(-0.25),
        np.where(MASK, np.inf, 0.0),
    ],
    ids=["bool", "uint8", "int64", "row", "float16 with -0.0", "float64 with inf"],
)
def test_arrays(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "mask.npy", values)
    np.savez_compressed(tmp_path / "mask.npz", values)
    assert np.array_equal(from_file(tmp_path / "mask.npy", 10), MASK)
    assert np.array_equal(from_file(tmp_path / "mask.npz", 10), MASK)


def test_smallest_activation_wants_its_row(tmp_path: Path) -> None:
    np.save(tmp_path / "tiny.npy", np.array([0, 5e-324, -0.0]))
    assert from_file(tmp_path / "tiny.npy", 3).tolist() == [False, True, False]


@pytest.mark.parametrize("text", ["1001101000", "1 0 0 1 1\n0 1 0 0 0\n", "1,0,0,1,1,0,1,0,0,0"])
def test_text(tmp_path: Path, text: str) -> None:
    (tmp_path / "mask.txt").write_text(text)
    assert np.array_equal(from_file(tmp_path / "mask.txt", 10), MASK)


@pytest.mark.parametrize("rows", [9, 11])
@pytest.mark.parametrize("name", ["mask.npy", "mask.txt"])
def test_wrong_length_refused(tmp_path: Path, name: str, rows: int) -> None:
    np.save(tmp_path / "mask.npy", MASK)
    (tmp_path / "mask.txt").write_text("1001101000")
    with pytest.raises(MaskError, match=rf"{name} has 10 entries, the model has {rows} rows: "):
        from_file(tmp_path / name, rows)


def test_nan_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.array([0, 1, np.nan, np.nan], dtype=np.float16))
    with pytest.raises(MaskError, match=r"mask\.npy has NaN in row 2 \(2 in all\): find out where"):
        from_file(tmp_path / "mask.npy", 4)


@pytest.mark.parametrize("odd", [2, -1])
def test_integers_other_than_0_and_1_refused(tmp_path: Path, odd: int) -> None:
    np.save(tmp_path / "mask.npy", np.array([0, 1, odd], dtype=np.int8))
    with pytest.raises(MaskError, match=rf"mask\.npy has {odd} in row 2: an integer mask is 0 and"):
        from_file(tmp_path / "mask.npy", 3)


def test_other_text_refused(tmp_path: Path) -> None:
    (tmp_path / "mask.txt").write_text("10 2")
    with pytest.raises(
        MaskError, match=r"mask\.txt has '2' as entry 2: a text mask is 0 and 1 onl"
    ):
        from_file(tmp_path / "mask.txt", 3)


@pytest.mark.parametrize("name", ["none.npy", "none.npz", "none.txt"])
def test_missing_file_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MaskError, match=rf"{name} cannot be read as .*No such file"):
        from_file(tmp_path / name, 3)


def test_several_arrays_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", a=MASK, b=MASK)
    with pytest.raises(
        MaskError, match=r"two\.npz cannot be read .* it holds 2 arrays, save a singl"
    ):
        from_file(tmp_path / "two.npz", 10)


def test_several_tokens_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.ones((2, 5)))
    with pytest.raises(MaskError, match=r"mask\.npy has shape \(2, 5\): save the vector of one"):
        from_file(tmp_path / "mask.npy", 10)


@pytest.mark.parametrize("values", [np.array(["1", "0"]), np.array([1j, 0j])])
def test_things_that_are_no_numbers_refused(tmp_path: Path, values: np.ndarray) -> None:
    np.save(tmp_path / "mask.npy", values)
    with pytest.raises(MaskError, match=r"save a vector of bools or numbers$"):
        from_file(tmp_path / "mask.npy", 2)


def test_pickled_objects_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "mask.npy", np.array([print, None], dtype=object))
    with pytest.raises(MaskError, match=r"mask\.npy cannot be read as a numpy array"):
        from_file(tmp_path / "mask.npy", 2)


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damaged_array_file_is_a_mask_or_one_error(tmp_path: Path, suffix: str, data) -> None:
    path = tmp_path / f"mask{suffix}"
    (np.save if suffix == ".npy" else np.savez_compressed)(path, MASK)
    content = bytearray(path.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    content[place] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(place, len(content)))])
    try:
        assert from_file(path, 10).shape == (10,)
    except MaskError as error:
        assert str(path) in str(error)
