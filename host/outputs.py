# SPDX-License-Identifier: Apache-2.0
"""Files that a command writes: proved writable before the work, whole or not there after it."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from host.errors import UsageError


def check_writable(*outputs: Path | None) -> None:
    """Refuse, before a long run, what could not be written after it; leaves nothing behind.

    Args:
        outputs: what will be written; None is nothing.

    Raises:
        UsageError: a path is a folder, is in none or in one that takes no file, or is named twice.
    """
    paths = tuple(path for path in outputs if path is not None)
    for place, path in enumerate(paths):
        with _naming(path):
            _check(path, paths[:place])


def keep_inputs(outputs: Iterable[Path | None], *inputs: Path | str | None) -> None:
    """Refuse to write over what is read.

    Args:
        outputs: what is written; None is nothing.
        inputs: files, models as `KIND:FILE`, or masks as `FILE:LAYER:TOKEN`; None is nothing.

    Raises:
        UsageError: a file is both.
    """
    names = [name for each in inputs if each is not None for name in _files_named(str(each))]
    read = {_target(Path(name)) for name in names}
    for path in outputs:
        if path is not None and path.is_file() and _target(path) in read:
            raise UsageError(f"{path} is read, and would be written over: name another file")


def _files_named(spec: str) -> Iterator[str]:
    """What of a name may be a file: all, what is after a kind, what is before layer and token."""
    yield from filter(None, (spec, spec.partition(":")[2]))
    yield from filter(None, (spec.rsplit(":", cut)[0] for cut in (1, 2)))


def _check(path: Path, others: tuple[Path, ...]) -> None:
    if path.is_dir():
        raise UsageError(f"cannot write {path}: it is a folder, name a file")
    if _is_stream(path):
        return
    if not path.parent.is_dir():
        raise UsageError(f"cannot write {path}: there is no folder {path.parent}, make it")
    if _target(path) in map(_target, others):
        raise UsageError(f"two outputs would both be {path}: name two files")
    with _drafts([path]) as drafts:
        _write(drafts[path], b"")


def write_whole(files: Mapping[Path, bytes]) -> None:
    """Write all files or, as far as the system lets, none; a file is never there in part.

    Streams such as `/dev/null` or a pipe are written to as they are, after the files.

    Raises:
        UsageError: one of them cannot be written.
    """
    with _drafts(files) as drafts:
        for path, draft in drafts.items():
            with _naming(path):
                _write(draft, files[path])
        for path, draft in drafts.items():
            with _naming(path):
                draft.replace(_target(path))
    for path in files.keys() - drafts.keys():
        with _naming(path):
            path.write_bytes(files[path])


@contextmanager
def _drafts(paths: Iterable[Path]) -> Iterator[dict[Path, Path]]:
    """Names of new files beside those to be written; what is left of them goes at the end."""
    targets = {path: _target(path) for path in paths if not _is_stream(path)}
    drafts = {
        path: target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        for path, target in targets.items()
    }
    try:
        yield drafts
    finally:
        for draft in drafts.values():
            with suppress(OSError):
                draft.unlink()


def _write(draft: Path, data: bytes) -> None:
    with draft.open("xb") as file:
        file.write(data)


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Name the file that was asked for, not the draft, in what the system refuses."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None


def _is_stream(path: Path) -> bool:
    return path.exists() and not path.is_file()


def _target(path: Path) -> Path:
    """Where the bytes go: a link stays a link to what is replaced."""
    return Path(os.path.realpath(path))
