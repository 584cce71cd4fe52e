# SPDX-License-Identifier: Apache-2.0
import io
import pickle
import random
import zipfile
from pathlib import Path

import numpy as np
import pytest
from made_up_torch import save

from sparsity.errors import CaptureError
from sparsity.recording.torch_file import read_tensors

FILES = Path(__file__).parents[1] / "data" / "torch_files"


def test_every_kind_of_tensor():
    found = read_tensors(FILES / "kinds.pt")
    plain = np.arange(24, dtype=np.float32).reshape(4, 6)
    np.testing.assert_array_equal(found["plain"], plain)
    np.testing.assert_array_equal(found["transposed"], plain.T)
    np.testing.assert_array_equal(found["part"], [5, 8, 11, 14])
    np.testing.assert_array_equal(found["expanded"], [4, 4, 4])
    assert found["scalar"].shape == ()
    assert found["scalar"] == 2.5
    assert found["empty"].shape == (0, 3)
    one, ordered = found["nested"]
    assert one[1:] == (2, "three", None, True, 4.5)
    assert ordered["a"].tolist() == [6]


@pytest.mark.parametrize(
    ("name", "dtype", "values"),
    [
        ("half", "f2", [1.5, -2]),
        ("bfloat16", "f4", [1.5, -0.0078125]),
        ("double", "f8", [0.1]),
        ("long", "i8", [[-(2**40)]]),
        ("int", "i4", [7]),
        ("short", "i2", [-3]),
        ("char", "i1", [-1]),
        ("byte", "u1", [255]),
        ("bool", "?", [True, False]),
    ],
)
def test_every_type(name, dtype, values):
    found = read_tensors(FILES / "kinds.pt")[name]
    assert found.dtype == np.dtype(dtype)
    assert found.tolist() == values


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("legacy.pt", "is not a file of torch.save since torch 1.6: load and save it anew$"),
        ("module.pt", "it holds a torch.nn.modules.linear.Linear, not only tensors$"),
        ("README.md", "is not a file of torch.save since"),
        ("absent.pt", "cannot be read as tensors: .*No such file"),
    ],
)
def test_other_files_are_refused(name, message):
    with pytest.raises(CaptureError, match=message):
        read_tensors(FILES / name)


class Evil:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return Path.touch, (self.marker,)


def archive(path, body, **members):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a/data.pkl", body)
        for key, data in members.items():
            file.writestr(f"a/data/{key}", data)


def test_a_pickle_runs_nothing(tmp_path):
    marker = tmp_path / "ran"
    archive(tmp_path / "evil.pt", pickle.dumps(Evil(marker)))
    with pytest.raises(CaptureError, match="not only tensors$"):
        read_tensors(tmp_path / "evil.pt")
    assert not marker.exists()


def tensor(offset, shape, stride, elements):
    """A pickle of one float32 tensor laid over a storage in a way of one's own."""
    parts = [pickle.dumps(each, 2)[2:-1] for each in (offset, shape, stride)]
    words = [pickle.dumps(each, 2)[2:-1] for each in ("storage", "0", "cpu", elements)]
    storage = b"(" + words[0] + b"ctorch\nFloatStorage\n" + b"".join(words[1:]) + b"tQ"
    return b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"".join(parts) + b"tR."


@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [(0, (5,), (1,)), (4, (1,), (1,)), (0, (2, 2), (3, 1)), (3, (2,), (2,)), (0, (2**40,), (1,))],
)
def test_a_tensor_past_its_storage_is_refused(tmp_path, offset, shape, stride):
    archive(tmp_path / "t.pt", tensor(offset, shape, stride, 4), **{"0": bytes(16)})
    with pytest.raises(CaptureError, match="ends outside its storage$"):
        read_tensors(tmp_path / "t.pt")


@pytest.mark.parametrize(
    ("offset", "shape", "stride"), [(-1, (1,), (1,)), (0, (-1,), (1,)), (0, (2,), (-1,))]
)
def test_negative_sizes_are_refused(tmp_path, offset, shape, stride):
    archive(tmp_path / "t.pt", tensor(offset, shape, stride, 4), **{"0": bytes(16)})
    with pytest.raises(CaptureError, match="impossible shape$"):
        read_tensors(tmp_path / "t.pt")


def test_storages_of_big_endian_machines(tmp_path):
    values = np.array([1.5, -2.25, 3], ">f4")
    path = tmp_path / "big.pt"
    archive(path, tensor(0, (3,), (1,), 3), **{"0": values.tobytes()})
    with zipfile.ZipFile(path, "a") as file:
        file.writestr("a/byteorder", b"big")
    assert read_tensors(path).tolist() == [1.5, -2.25, 3]


def twice(value, times):
    """A list of itself and itself, and so on: a few bytes, 2^times things."""
    for _ in range(times):
        value = [value, value]
    return pickle.dumps(value, 2)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"\x80\x02]r\xff\xff\xff\x0f.", "its pickle remembers 268435455 things in 9 bytes$"),
        (b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".", "bytearray8, but only 1 remain"),
        (twice(1, 60), "it holds more than 1048576 things$"),
        (b"\x80\x02]q\x00h\x00a.", "maximum recursion depth"),
        (tensor(0, (1 << 40,), (0,), 4), "a tensor far larger than its storage$"),
    ],
)
def test_a_small_file_cannot_take_all_memory(tmp_path, body, message):
    archive(tmp_path / "t.pt", body, **{"0": bytes(16)})
    with pytest.raises(CaptureError, match=message):
        read_tensors(tmp_path / "t.pt")


def test_compressed_storages_are_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.pt", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("a/data.pkl", tensor(0, (4,), (1,), 4))
        file.writestr("a/data/0", bytes(16))
    with pytest.raises(CaptureError, match="a/data.pkl is compressed, which torch.save never does"):
        read_tensors(tmp_path / "t.pt")


def test_damaged_files_give_one_error(tmp_path):
    whole = (FILES / "kinds.pt").read_bytes()
    chance = random.Random(7)
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path = tmp_path / "damaged.pt"
        path.write_bytes(data[: chance.choice([len(data), chance.randrange(len(data))])])
        try:
            read_tensors(path)
        except CaptureError as error:
            assert "\n" not in str(error)


def test_damaged_pickles_give_one_error(tmp_path):
    body = zipfile.ZipFile(FILES / "kinds.pt").read("kinds/data.pkl")
    chance = random.Random(8)
    for _ in range(300):
        data = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        archive(tmp_path / "damaged.pt", bytes(data), **{str(n): bytes(96) for n in range(16)})
        try:
            read_tensors(tmp_path / "damaged.pt")
        except CaptureError as error:
            assert "\n" not in str(error)


@pytest.mark.peers
def test_torch_reads_and_writes_the_same(tmp_path):
    torch = pytest.importorskip("torch", reason="torch is not installed")
    values = {"h1": np.arange(5, dtype=np.float32), "n": np.array([3, 1], np.int64)}
    save(values, tmp_path / "ours.pt")
    theirs = torch.load(tmp_path / "ours.pt", weights_only=True)
    assert all(np.array_equal(theirs[key].numpy(), each) for key, each in values.items())
    out = io.BytesIO()
    torch.save({key: torch.from_numpy(each) for key, each in values.items()}, out)
    (tmp_path / "theirs.pt").write_bytes(out.getvalue())
    for name in ("ours.pt", "theirs.pt"):
        found = read_tensors(tmp_path / name)
        assert all(np.array_equal(found[key], each) for key, each in values.items())
