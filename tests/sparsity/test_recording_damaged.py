# SPDX-License-Identifier: Apache-2.0
import io
import json
import random
import zipfile

import numpy as np
import pytest

from sparsity.errors import CaptureError
from sparsity.recording.reading import Recording, is_recording, read
from sparsity.recording.record import Recorder


@pytest.fixture
def whole(tmp_path):
    path = tmp_path / "whole.npz"
    values = np.random.default_rng(0).standard_normal((300, 13))
    values[values < 0] = 0
    with Recorder(path, "m", keep_values=True) as recorder:
        recorder.add(0, values)
        recorder.add(3, values)
    return path


def read_all(path):
    found = read(path)
    for layer in found.layers:
        for part in (found.masks, found.values, found.counts, found.histogram, found.statistics):
            part(layer)


def changed(path, name, data=None):
    """Copy a recording with one member replaced, or left out."""
    target = path.with_name("changed.npz")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, "w") as new:
        for member in old.namelist():
            if member != name:
                new.writestr(member, old.read(member))
        if data is not None:
            new.writestr(name, data)
    return target


def npy(array):
    data = io.BytesIO()
    np.save(data, array)
    return data.getvalue()


def metadata(path, change):
    with zipfile.ZipFile(path) as archive:
        about = json.loads(archive.read("metadata.json"))
    change(about)
    return json.dumps(about).encode()


def test_the_whole_file_is_fine(whole):
    read_all(whole)


@pytest.mark.parametrize(
    "name", ["masks_0_1.npy", "values_3_0.npy", "counts_3.npy", "histogram_0.npy"]
)
def test_a_missing_array(whole, name):
    with pytest.raises(CaptureError, match=f"is damaged, record anew: it lacks {name}$"):
        read(changed(whole, name))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("masks_0_1.npy", np.zeros((44, 3), np.uint8), r"uint8 \[44, 3\], not uint8 \[44, 2\]"),
        ("masks_0_1.npy", np.zeros((44, 2), np.int8), r"int8 \[44, 2\], not uint8 \[44, 2\]"),
        ("masks_0_1.npy", np.full((44, 2), 255, np.uint8), "masks past its last neuron"),
        ("values_0_0.npy", np.zeros((256, 13)), "float64"),
        ("counts_0.npy", np.zeros(12, np.int64), r"\[12\], not int64 \[13\]"),
        ("histogram_0.npy", np.zeros(5, np.int64), r"\[5\], not int64 \[32768\]"),
        ("counts_0.npy", np.array([{}] * 13, object), "counts_0.npy: Object arrays"),
    ],
)
def test_an_array_that_does_not_fit(whole, name, array, message):
    with pytest.raises(CaptureError, match=f"is damaged, record anew .*{message}"):
        read_all(changed(whole, name, npy(array)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.update(version=2), "version"),
        (lambda about: about.update(format="other"), "format"),
        (lambda about: about.update(tokens=-1), "tokens"),
        (lambda about: about.update(chunk=0), "chunk"),
        (lambda about: about.update(texts=[299]), "300 tokens are not those of its texts"),
        (lambda about: about.update(texts=[0, 300]), "texts.0"),
        (lambda about: about["layers"][0].update(neurons=0), "layers.0.neurons"),
        (lambda about: about["layers"][0].update(neurons=None), "no number of neurons"),
        (lambda about: about.pop("layers"), "layers"),
    ],
)
def test_metadata_of_another_kind(whole, change, message):
    path = changed(whole, "metadata.json", metadata(whole, change))
    with pytest.raises(CaptureError, match=f"not a recording that this version reads: .*{message}"):
        read(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda about: about.update(tokens=10**18), "most chunks"),
        (lambda about: about.update(tokens=513), "masks_0_2.npy"),
        (lambda about: about["layers"].append(about["layers"][0]), "twice"),
        (lambda about: about["layers"][1].update(layer=9), "counts_9"),
    ],
)
def test_metadata_that_promises_too_much(whole, change, message):
    path = changed(whole, "metadata.json", metadata(whole, change))
    with pytest.raises(CaptureError, match=f"is damaged, record anew: .*{message}"):
        read(path)


def test_an_array_that_unpacks_to_far_more_is_not_unpacked(whole, monkeypatch):
    path, about = changed(whole, "counts_0.npy"), read(whole).about
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("counts_0.npy", bytes(1 << 24))
    monkeypatch.setattr(zipfile.ZipFile, "read", lambda _self, name: pytest.fail(name))
    with pytest.raises(
        CaptureError, match=r"counts_0.npy: it has 16777216 bytes, not at most 4200\)$"
    ):
        Recording(path, about).counts(0)


def test_foreign_files(tmp_path):
    (tmp_path / "text").write_text("hello")
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    for name in ("text", "other.npz", "absent"):
        with pytest.raises(CaptureError, match="is not a recording of `sparsebd sparsity capture`"):
            read(tmp_path / name)
        assert not is_recording(tmp_path / name)


def test_a_file_cut_short(whole):
    data = whole.read_bytes()
    for keep in range(0, len(data), max(len(data) // 40, 1)):
        path = whole.with_name("short.npz")
        path.write_bytes(data[:keep])
        with pytest.raises(CaptureError):
            read_all(path)


def test_flipped_bytes_give_one_error_or_none(whole):
    data, chance = whole.read_bytes(), random.Random(3)
    for _ in range(120):
        broken = bytearray(data)
        broken[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path = whole.with_name("flipped.npz")
        path.write_bytes(broken)
        try:
            read_all(path)
        except CaptureError as error:
            assert "\n" not in str(error)
