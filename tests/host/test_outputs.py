# SPDX-License-Identifier: Apache-2.0
"""Result files: there whole or not at all, and found unwritable before the work."""

import errno
import os
from pathlib import Path

import pytest

from host.errors import UsageError
from host.outputs import check_writable, keep_inputs, write_whole


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_both_files_are_written_over_old_ones_and_nothing_else_stays(folder):
    Path("a").write_text("a longer text than the new one")
    check_writable(Path("a"), Path("b"))
    assert Path("a").read_text().startswith("a longer")
    write_whole({Path("a"): b"1", folder / "b": b"2"})
    assert (Path("a").read_bytes(), Path("b").read_bytes()) == (b"1", b"2")
    assert sorted(os.listdir()) == ["a", "b"]


def test_what_is_read_is_not_written_over(folder):
    for name in ("text", "model.gguf", "package.tgz", "masks.npz", "a.npz"):
        Path(name).write_text("read")
    Path("link").symlink_to("text")
    given = "use-lite:package.tgz", Path("text"), "model.gguf", "masks.npz:0:3", "a.npz:1", None
    keep_inputs([Path("new"), None], *given)
    for name in ("text", "link", "package.tgz", folder / "model.gguf", "masks.npz", "a.npz"):
        with pytest.raises(UsageError, match="is read, and would be written over: name another"):
            keep_inputs([None, Path(name)], *given)


def test_if_the_second_cannot_be_written_the_first_is_not():
    Path("a").write_text("old")
    with pytest.raises(UsageError, match="^cannot write missing/b: No such file or directory$"):
        write_whole({Path("a"): b"new", Path("missing/b"): b"new"})
    assert Path("a").read_text() == "old"
    assert os.listdir() == ["a"]


def test_a_disk_that_fills_up_leaves_the_old_files_and_no_draft(monkeypatch):
    def fills_up(draft, data):
        draft.write_bytes(data[:1])
        if data == b"second":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    Path("a").write_text("old")
    monkeypatch.setattr("host.outputs._write", fills_up)
    with pytest.raises(UsageError, match="^cannot write b: No space left on device$"):
        write_whole({Path("a"): b"first", Path("b"): b"second"})
    assert Path("a").read_text() == "old"
    assert os.listdir() == ["a"]


def test_an_interrupt_while_writing_leaves_no_draft(monkeypatch):
    def interrupted(self, target):
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole({Path("a"): b"new"})
    assert os.listdir() == []


def test_permissions_are_those_of_any_new_file():
    Path("usual").touch()
    write_whole({Path("a"): b""})
    assert Path("a").stat().st_mode == Path("usual").stat().st_mode


def test_a_link_stays_a_link():
    Path("store").mkdir()
    Path("a").symlink_to("store/real")
    write_whole({Path("a"): b"new"})
    assert Path("a").is_symlink()
    assert Path("store/real").read_bytes() == b"new"


def test_a_stream_is_poured_into_and_stays_a_stream():
    reading, writing = os.pipe()
    try:
        path = Path(f"/dev/fd/{writing}")
        check_writable(path, Path("a"))
        write_whole({path: b"poured", Path("a"): b"file"})
        assert os.read(reading, 100) == b"poured"
    finally:
        os.close(reading)
        os.close(writing)
    with pytest.raises(UsageError, match="^cannot write /dev/full: No space left on device$"):
        write_whole({Path("/dev/full"): b"1"})


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        (".", r"^cannot write \.: it is a folder, name a file$"),
        ("missing/a", "^cannot write missing/a: there is no folder missing, make it$"),
        ("file/a", "^cannot write file/a: there is no folder file, make it$"),
        ("n" * 300, "^cannot write n+: File name too long$"),
        ("b", "^two outputs would both be b: name two files$"),
    ],
)
def test_what_cannot_be_written_is_found_before_and_nothing_is_left(name, sentence):
    Path("file").touch()
    with pytest.raises(UsageError, match=sentence):
        check_writable(Path("./b").absolute(), Path(name))
    assert os.listdir() == ["file"]
